// hostile.test.ts - plain user code against peers that keep to the protocol until they do not: whatever they write, say or
// leave unsaid, it lives, its loop turns, its bytes are its own, and it serves who comes next. On every Node there is.

import { connect, type SmcOptions } from '@smcjs/core';
import { describe, expect, it } from 'vitest';
import { LONG, NODES } from '../memory-order/children.js';
import { addon } from '../memory-order/places.js';
import { event, take } from '../support/events.js';
import { type Message, Peer } from '../support/peer.js';
import { payload } from '../support/random.js';
import { MARKS, WAYS } from './assault.js';
import type { AttackerArgs, Plan } from './attacker.js';
import type { Check, VictimArgs } from './victim.js';

const SECONDS = LONG ? 60 : 2;
const SEED = Number(process.env.SMC_TEST_SEED ?? (LONG || process.env.CI ? Date.now() % 2 ** 31 : 7609));
/** Longest time the victim's 10 ms timer may be late, on a loaded machine too. */
const HANG_MS = 5000;
const HOSTILE: SmcOptions = { transports: ['smcd', 'tcp'], ringSize: 65_536, discoveryWait: 500, handshakeTimeout: 500 };
const GOOD: SmcOptions = { transports: ['smcd'], fallback: 'error', discoveryWait: 30_000, handshakeTimeout: 60_000 };

/** How connections of the victim may end. HPE_*: what an http parser says to nonsense. */
const ENDS = /^(end|ECONNRESET|EPIPE|ETIMEDOUT|ERR_SMC_PEER_VIOLATION|HPE_\w+)$/;
const ALL: readonly Plan[] = ['assault', 'assault', 'lies', 'lies', 'descriptors', 'silence', 'deafness', 'flood'];

const native = await addon();

async function checked(victim: Peer): Promise<Check & Message> {
  victim.send({ do: 'check' });
  return (await victim.message('check')) as Check & Message;
}

/** A connection over memory that gets its bytes back. */
async function served(port: number): Promise<void> {
  const socket = connect({ ...GOOD, port, host: '127.0.0.1' } as never);
  socket.write(payload(1, 100_000));
  expect(payload(1, 100_000).equals(await take(socket, 100_000))).toBe(true);
  expect(socket.transport).toBe('smcd');
  socket.end();
  socket.resume();
  await event(socket, 'close');
}

interface Attack extends Omit<AttackerArgs, 'ports' | 'seed'> {
  readonly port?: 'stream';
}

/** Attacks a victim on this Node; resolves with how its connections ended. */
async function attacked(node: string, { port, ...attack }: Attack): Promise<Message[]> {
  const victim = new Peer('../hostile/victim', { hostile: HOSTILE, good: GOOD } satisfies VictimArgs, { execPath: node });
  const { stream, pages, echo } = (await victim.message('listening')) as unknown as Record<string, number>;
  await served(echo as number);
  const ports = (port === 'stream' ? [stream] : [stream, stream, pages]) as number[];
  const attacker = new Peer('../hostile/attacker', { ...attack, ports, seed: SEED } satisfies AttackerArgs);
  const dialling = (async () => {
    for (;;) {
      const serving = await attacker.message('serving').catch(() => undefined);
      if (serving === undefined) return;
      victim.send({ do: 'dial', port: serving.port });
    }
  })();
  expect(await attacker.exit, attacker.errors).toEqual({ code: 0, signal: null });
  await dialling;
  await served(echo as number);
  let check = await checked(victim);
  while (check.open > 0) check = await checked(victim);
  const { ticks } = check;
  while (check.ticks === ticks) check = await checked(victim);
  expect(victim.running, victim.errors).toBe(true);
  expect(check.worstGap).toBeLessThan(HANG_MS);
  expect(check.changed).toBe(0);
  victim.kill('SIGKILL');
  const closed = await victim.messages('closed');
  const [done] = await attacker.messages('done');
  console.log(
    `SMC_TEST_SEED=${SEED} ${JSON.stringify(done?.counts)}: ${closed.length} connections, ${check.chunks} chunks, worst gap ${Math.round(check.worstGap)} ms`,
  );
  for (const { seen } of closed) for (const what of seen as string[]) expect(what).toMatch(ENDS);
  expect(closed.length).toBeGreaterThan(0);
  return closed;
}

for (const { name, path, missing } of NODES) {
  const reason = typeof native === 'string' ? native : missing;
  const timeout = (SECONDS + 120) * 1000;
  describe(`on ${name}`, { skip: reason !== undefined, meta: { reason } } as object, () => {
    it('a server outlives hostile clients and serves the next good one', { timeout }, async () => {
      await attacked(path, { role: 'client', seconds: SECONDS, ways: WAYS.filter((way) => way !== 'marked'), plans: ALL });
    });

    it('a server resets who writes cursors that cannot be', { timeout }, async () => {
      // One attack after the other: which of them comes first, and how many there are, must not matter.
      const closed = await attacked(path, { role: 'client', port: 'stream', seconds: SECONDS / 2, ways: ['cursors'], plans: ['assault'] });
      expect(closed.flatMap(({ seen }) => seen as string[])).toContain('ERR_SMC_PEER_VIOLATION');
    });

    it('a client outlives hostile servers', { timeout }, async () => {
      const closed = await attacked(path, { role: 'server', seconds: SECONDS, ways: WAYS.filter((way) => way !== 'marked'), plans: ALL });
      const reset = closed.filter(({ seen }) => /VIOLATION|RESET/.test((seen as string[]).join()));
      const declined = closed.filter(({ transport, declines }) => transport === 'tcp' && (declines as unknown[]).length > 0);
      expect([reset.length > 0, declined.length > 0]).toEqual([true, true]);
    });

    it('a server parses payload that changes while it is read', { timeout }, async () => {
      const closed = await attacked(path, { role: 'client', seconds: SECONDS / 2, ways: ['payload'], plans: ['assault'] });
      // Cursors that can be: nobody but the parser of http finds fault with such a peer before it is gone.
      expect(closed.filter(({ transport }) => transport === 'smcd').length).toBeGreaterThan(0);
      expect(closed.flatMap(({ seen }) => seen as string[])).not.toContain('ERR_SMC_PEER_VIOLATION');
    });

    it('a server gets no byte from outside its ring, whatever the cursors say', { timeout }, async () => {
      const closed = await attacked(path, { role: 'client', port: 'stream', seconds: SECONDS / 2, ways: ['marked'], plans: ['assault'] });
      const values = closed
        .map((one) => one.values)
        .filter((set) => !Array.isArray(set) || set.some((byte) => byte !== 0 && !MARKS.includes(byte)));
      expect(values).toEqual([]);
    });
  });
}
