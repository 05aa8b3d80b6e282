// options.test.ts - every option in every form: its default, what it accepts, its environment variable, and what it
// refuses, at once and by name.

import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { connect, createServer, OPTIONS, type ResolvedOptions, Server, type SmcOptions, Socket } from '../src/index.js';
import { RING_SIZE_MAX, RING_SIZE_MIN, resolveOptions } from '../src/options.js';

interface Row {
  readonly env: string;
  readonly default: unknown;
  /** Accepted values, with how the environment says them. */
  readonly good: readonly (readonly [value: unknown, text: string])[];
  readonly bad: readonly unknown[];
  readonly badText: readonly string[];
}

const notNumbers = ['1e3', '0x10', '-1', '1.5', ' 5', '12ms', 'NaN'];

const ROWS: { readonly [K in keyof Required<SmcOptions>]: Row } = {
  transports: {
    env: 'SMC_TRANSPORTS',
    default: ['memory', 'smcd', 'smcr', 'tcp'],
    good: [
      [['smcd'], 'smcd'],
      [['tcp', 'memory'], 'tcp,memory'],
      [['smcr', 'smcd'], ' smcr , smcd '],
      [['memory', 'smcd', 'smcr', 'tcp'], 'memory,smcd,smcr,tcp'],
    ],
    bad: [[], ['udp'], ['tcp', 'tcp'], 'tcp', ['TCP'], [1], { 0: 'tcp', length: 1 }, 3],
    badText: ['udp', 'tcp,tcp', 'tcp,', ',', 'TCP', 'tcp;smcd'],
  },
  fallback: {
    env: 'SMC_FALLBACK',
    default: 'tcp',
    good: [
      ['tcp', 'tcp'],
      ['error', 'error'],
    ],
    bad: ['', 'none', 'TCP', true, ['tcp'], 0],
    badText: ['none', 'Error', 'true', ' tcp'],
  },
  busyPoll: {
    env: 'SMC_BUSY_POLL',
    default: 'auto',
    good: [
      ['auto', 'auto'],
      ['off', 'off'],
      [0, '0'],
      [50, '50'],
      [1_000_000, '1000000'],
    ],
    bad: ['on', '', -1, 1.5, 1_000_001, Number.NaN, Number.POSITIVE_INFINITY, '50', true, [50]],
    badText: ['on', '1000001', ...notNumbers],
  },
  discovery: {
    env: 'SMC_DISCOVERY',
    default: 'auto',
    good: [
      ['auto', 'auto'],
      ['inline', 'inline'],
    ],
    bad: ['', 'Inline', 'none', true, ['inline'], 1],
    badText: ['Inline', 'none', ' inline'],
  },
  discoveryWait: {
    env: 'SMC_DISCOVERY_WAIT',
    default: 200,
    good: [
      [0, '0'],
      [1, '1'],
      [60_000, '60000'],
    ],
    bad: [-1, 60_001, 0.5, Number.NaN, '200', '', true],
    badText: ['60001', ...notNumbers],
  },
  handshakeTimeout: {
    env: 'SMC_HANDSHAKE_TIMEOUT',
    default: 6000,
    good: [
      [1, '1'],
      [600_000, '600000'],
    ],
    bad: [0, -1, 600_001, 1.5, Number.NaN, '6000', true],
    badText: ['0', '600001', ...notNumbers],
  },
  ringSize: {
    env: 'SMC_RING_SIZE',
    default: 262_144,
    good: [
      [RING_SIZE_MIN, `${RING_SIZE_MIN}`],
      [65_536, '65536'],
      [RING_SIZE_MAX, `${RING_SIZE_MAX}`],
    ],
    bad: [0, RING_SIZE_MIN / 2, RING_SIZE_MIN + 1, 100_000, RING_SIZE_MAX * 2, 65_536.5, '65536', Number.NaN, true],
    badText: ['0', '8192', '100000', `${RING_SIZE_MAX * 2}`, '64K', ...notNumbers],
  },
  ueids: {
    env: 'SMC_UEIDS',
    default: ['SMCJS'],
    good: [
      [['A'], 'A'],
      [['ONE.NET', '2-TWO'], ' ONE.NET , 2-TWO '],
      [['A'.repeat(32)], 'A'.repeat(32)],
    ],
    bad: [[], ['a'], ['.A'], ['A B'], ['A', 'A'], ['A'.repeat(33)], ['A', 'B', 'C', 'D', 'E'], 'A', [1], [''], { 0: 'A', length: 1 }],
    badText: ['a', 'A,A', 'A,', '-A', 'A,B,C,D,E'],
  },
  rdmaDevices: {
    env: 'SMC_RDMA_DEVICES',
    default: [],
    good: [
      [['rxe0'], 'rxe0'],
      [['mlx5_0', 'mlx5_1'], 'mlx5_0, mlx5_1'],
    ],
    bad: [['a', 'a'], [''], ['a b'], ['a/1'], ['a'.repeat(65)], [1], 'rxe0', { 0: 'a', length: 1 }],
    badText: ['a,a', 'a,', 'a/1'],
  },
  peerUsers: {
    env: 'SMC_PEER_USERS',
    default: [],
    good: [
      [[0], '0'],
      [[1000, 1001], '1000, 1001'],
      [[4_294_967_294], '4294967294'],
    ],
    bad: [65_534, [65_534], [-1], [1.5], ['1000'], [1000, 1000], [4_294_967_295], 1000, '1000', 'any', true],
    badText: ['65534', 'root', '1000,', '1000,1000', '4294967295', ...notNumbers.filter((text) => text !== ' 5')],
  },
};
const NAMES = Object.keys(ROWS) as (keyof SmcOptions)[];
const VARIABLES = NAMES.map((name) => ROWS[name].env);

/** Values no option has, of kinds that are hard to print. */
const circular: Record<string, unknown> = {};
circular.self = circular;
const NEVER: readonly unknown[] = [null, Symbol('value'), 10n, () => 1, {}, circular, [[[]]], new Date(0)];

const refusal = (name: string) => expect.objectContaining({ code: 'ERR_SMC_INVALID_OPTION', message: expect.stringContaining(name) });
const given = (name: string, value: unknown) => ({ [name]: value }) as SmcOptions;

/** The library as a process sees it that starts with this environment. */
async function startedWith(env: Readonly<Record<string, string>>): Promise<typeof import('../src/index.js')> {
  Object.assign(process.env, env);
  vi.resetModules();
  return import('../src/index.js');
}

/** What the options of such a process are. */
async function resolvedWith(env: Readonly<Record<string, string>>): Promise<(options?: SmcOptions) => ResolvedOptions> {
  await startedWith(env);
  return (await import('../src/options.js')).resolveOptions;
}

let before: Record<string, string | undefined>;
beforeEach(() => {
  before = Object.fromEntries(VARIABLES.map((name) => [name, process.env[name]]));
  for (const name of VARIABLES) delete process.env[name];
});
afterEach(() => {
  for (const [name, value] of Object.entries(before)) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
});

describe('options', () => {
  it('are these, each with its environment variable', () => {
    expect(Object.fromEntries(Object.entries(OPTIONS).map(([name, { env, default: value }]) => [name, [env, value]]))).toEqual(
      Object.fromEntries(NAMES.map((name) => [name, [ROWS[name].env, ROWS[name].default]])),
    );
  });

  it('have their defaults where nothing is given', async () => {
    const defaults = Object.fromEntries(NAMES.map((name) => [name, ROWS[name].default]));
    for (const none of [undefined, {}, { ringSize: undefined }]) expect((await resolvedWith({}))(none as SmcOptions)).toEqual(defaults);
  });

  it('given do not change the others, nor what is resolved next', () => {
    const before = resolveOptions({});
    expect(resolveOptions({ ringSize: 65_536 })).toEqual({ ...before, ringSize: 65_536 });
    expect(resolveOptions({})).toEqual(before);
    expect(Object.isFrozen(resolveOptions({}))).toBe(true);
  });

  for (const name of NAMES) {
    const { env, good, bad, badText } = ROWS[name];

    describe(name, () => {
      for (const [value, text] of good) {
        it(`may be ${inspect(value)}, and ${env}=${text} says so`, async () => {
          expect(resolveOptions(given(name, value))[name]).toEqual(value);
          expect((await resolvedWith({ [env]: text }))({})[name]).toEqual(value);
        });
      }

      it(`given wins over ${env}`, async () => {
        const [first, second] = good as [Row['good'][number], Row['good'][number]];
        expect((await resolvedWith({ [env]: first[1] }))(given(name, second[0]))[name]).toEqual(second[0]);
      });

      it(`ignores an empty ${env}`, async () => {
        expect((await resolvedWith({ [env]: '' }))({})[name]).toEqual(ROWS[name].default);
      });

      it.each([
        ['other values', bad],
        ['values of other kinds', NEVER],
      ] as const)('refuses %s at once, by name', (_what, values) => {
        for (const value of values) {
          const options = given(name, value) as never;
          const to = { port: 1, host: '127.0.0.1', ...given(name, value) } as never;
          for (const use of [
            () => connect(to),
            () => new Socket(options),
            () => createServer(options),
            () => new Server(options),
            () => new Socket().connect(to),
          ]) {
            expect(use, inspect(value)).toThrow(refusal(name));
          }
        }
      });

      it(`refuses other values of ${env} at once, by the variable's name`, async () => {
        for (const text of badText) {
          const library = await startedWith({ [env]: text });
          for (const use of [
            () => library.connect({ port: 1, host: '127.0.0.1' }),
            () => new library.Socket(),
            () => library.createServer(),
            () => library.createServer(() => {}),
          ]) {
            expect(use, inspect(text)).toThrow(refusal(env));
          }
        }
      });
    });
  }

  it('of a connection in progress are checked, too', () => {
    const socket = new Socket();
    expect(() => socket.setBusyPoll('always' as never)).toThrow(refusal('busyPoll'));
    expect(socket.setBusyPoll(10)).toBe(socket);
    socket.destroy();
  });
});
