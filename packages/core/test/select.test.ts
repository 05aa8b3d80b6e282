// select.test.ts - the choice of a transport: total, deterministic, the same from both ends.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Decline,
  type DeclineReason,
  type DeclineSide,
  decline,
  REASONS,
  TRANSPORT_NAMES,
  type TransportName,
} from '../src/transport/decline.js';
import { type CandidateName, type SelectInput, select } from '../src/transport/select.js';

// Reproducible by default; another seed explores elsewhere.
fc.configureGlobal({ seed: Number(process.env.FC_SEED ?? 7609) });

const CANDIDATES = ['memory', 'smcd', 'smcr'] as const;
const USABLE = { memory: 'usable', smcd: 'usable', smcr: 'usable' } as const;

const someNames = fc.shuffledSubarray([...TRANSPORT_NAMES]);
const candidate = (name: CandidateName) =>
  fc.oneof(
    fc.constant('usable' as const),
    fc
      .tuple(
        fc.constantFrom<DeclineSide>('local', 'peer', 'path'),
        fc.constantFrom(...(Object.keys(REASONS) as DeclineReason[])),
        fc.string(),
      )
      .map(([side, reason, detail]) => decline(name, side, reason, detail)),
  );
const input: fc.Arbitrary<SelectInput> = fc.record({
  order: someNames,
  allowed: someNames,
  candidates: fc.record({ memory: candidate('memory'), smcd: candidate('smcd'), smcr: candidate('smcr') }),
});

const other = (side: DeclineSide): DeclineSide => (side === 'local' ? 'peer' : side === 'peer' ? 'local' : side);
const mirrored = (it: Decline): Decline => ({ ...it, side: other(it.side) });
/** What the server is given where the client is given `it`: the same facts, seen from the other end. */
function atServer(it: SelectInput): SelectInput {
  const candidates = Object.fromEntries(
    Object.entries(it.candidates).map(([name, found]) => [name, found === 'usable' ? found : mirrored(found)]),
  );
  return { ...it, candidates, end: 'server' };
}

const brief = (declines: readonly Decline[]) => declines.map(({ transport, side, reason }) => `${transport} ${side} ${reason}`);

describe('select', () => {
  it('takes the first of the server that both allow and that is usable', () => {
    const noDevice = decline('smcr', 'local', 'no-smcr', 'libibverbs is missing');
    const { chosen, declines } = select({
      order: ['smcr', 'smcd', 'tcp'],
      allowed: ['tcp', 'memory', 'smcd', 'smcr'],
      candidates: { ...USABLE, smcr: noDevice },
    });
    expect(chosen).toBe('smcd');
    expect(brief(declines)).toEqual(['memory peer configuration', 'smcr local no-smcr', 'tcp peer not-preferred']);
    expect(declines[1]).toEqual(noDevice);
  });

  it('blames the client for what the client does not allow', () => {
    const { chosen, declines } = select({ order: TRANSPORT_NAMES, allowed: ['tcp'], candidates: USABLE });
    expect(chosen).toBe('tcp');
    expect(brief(declines)).toEqual(['memory local configuration', 'smcd local configuration', 'smcr local configuration']);
  });

  it('finds nothing when the two have nothing in common', () => {
    const { chosen, declines } = select({ order: ['smcd'], allowed: ['tcp'], candidates: USABLE });
    expect(chosen).toBeUndefined();
    expect(brief(declines)).toEqual([
      'memory local configuration',
      'smcd local configuration',
      'smcr local configuration',
      'tcp peer configuration',
    ]);
  });

  it('reads a candidate nobody looked for as not installed', () => {
    const { chosen, declines } = select({ order: ['smcd', 'tcp'], allowed: ['smcd', 'tcp'], candidates: {} });
    expect(chosen).toBe('tcp');
    expect(brief(declines)).toContain('smcd local not-installed');
  });

  it('reports every transport exactly once: chosen, or declined', () => {
    fc.assert(
      fc.property(input, (it) => {
        const { chosen, declines } = select(it);
        const names = [...declines.map((d) => d.transport), ...(chosen === undefined ? [] : [chosen])];
        expect(names.sort()).toEqual([...TRANSPORT_NAMES].sort());
      }),
    );
  });

  it('chooses only what both allow and what is usable, and nothing the server would rather have', () => {
    fc.assert(
      fc.property(input, (it) => {
        const possible = it.order.filter((name) => it.allowed.includes(name) && (name === 'tcp' || it.candidates[name] === 'usable'));
        expect(select(it).chosen).toBe(possible[0]);
      }),
    );
  });

  it('gives equal results for equal arguments, and changes none of them', () => {
    fc.assert(
      fc.property(input, (it) => {
        const copy = structuredClone(it);
        expect(select(it)).toEqual(select(copy));
        expect(it).toEqual(copy);
      }),
    );
  });

  it('does not care for the order in which the client allows', () => {
    fc.assert(
      fc.property(input, (it) => {
        expect(select({ ...it, allowed: [...it.allowed].reverse() })).toEqual(select(it));
      }),
    );
  });

  it('gives both ends the same choice and the same declines, seen from each side', () => {
    fc.assert(
      fc.property(input, (it) => {
        const client = select({ ...it, end: 'client' });
        const server = select(atServer(it));
        expect(server.chosen).toBe(client.chosen);
        expect(server.declines.map(mirrored)).toEqual(client.declines);
      }),
    );
  });

  it('always has TCP when both allow it', () => {
    fc.assert(
      fc.property(input, (it) => {
        const both = { ...it, order: [...new Set<TransportName>([...it.order, 'tcp'])], allowed: [...it.allowed, 'tcp' as const] };
        expect(select(both).chosen).toBeDefined();
        const none = Object.fromEntries(CANDIDATES.map((name) => [name, decline(name, 'local', 'internal')]));
        expect(select({ ...both, candidates: none }).chosen).toBe('tcp');
      }),
    );
  });

  it('never has TCP when one side excludes it', () => {
    fc.assert(
      fc.property(input, (it) => {
        const without = it.allowed.filter((name) => name !== 'tcp');
        expect(select({ ...it, allowed: without }).chosen).not.toBe('tcp');
      }),
    );
  });

  it('survives repeats, unknown names and mixed-up declines', () => {
    const name = fc.oneof(fc.constantFrom<string>(...TRANSPORT_NAMES), fc.constantFrom('__proto__', 'constructor', 'quic', ''));
    const names = fc.array(name) as unknown as fc.Arbitrary<TransportName[]>;
    const mixedUp = fc.constantFrom<CandidateName>(...CANDIDATES).chain(candidate);
    const partial = fc.record({ memory: mixedUp, smcd: mixedUp, smcr: mixedUp }, { requiredKeys: [] });
    fc.assert(
      fc.property(names, names, partial, (order, allowed, candidates) => {
        const { chosen, declines } = select({ order, allowed, candidates });
        const seen = [...declines.map((d) => d.transport), ...(chosen === undefined ? [] : [chosen])];
        expect(seen.sort()).toEqual([...TRANSPORT_NAMES].sort());
      }),
    );
  });
});
