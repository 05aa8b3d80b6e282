// fallback.test.ts - what `transports` and `fallback` promise when the two ends do not want the same.

import type { Decline, SmcError, SmcOptions } from '@smcjs/core';
import { describe, expect, it } from 'vitest';
import { collect, errorOf, event, record } from '../support/events.js';
import { KERNEL, ours, plain } from './ours.js';
import { accept, dial, listening, open, type TransportCase, transportOf } from './transport-case.js';

const made = (client: SmcOptions, server: SmcOptions): TransportCase => ({
  name: 'fallback',
  client: ours('tcp', client),
  server: ours('tcp', server),
  capacity: KERNEL,
});

const declinesOf = (socket: object): readonly Decline[] => (socket as { declines: readonly Decline[] }).declines;

describe('falling back', () => {
  it('says once per unused transport why it was not used, on both sides', async () => {
    const { client, accepted } = await open(made({ transports: ['smcd'] }, { transports: ['memory'] }));
    for (const [socket, wanted] of [
      [client, 'smcd'],
      [accepted, 'memory'],
    ] as const) {
      const declines = declinesOf(socket);
      expect(declines.map((decline) => decline.transport).sort()).toEqual(['memory', 'smcd', 'smcr']);
      for (const decline of declines) {
        expect(decline.detail).not.toBe('');
        expect(Number.isInteger(decline.code)).toBe(true);
        if (decline.transport !== wanted) expect(decline).toMatchObject({ side: 'local', reason: 'configuration' });
      }
      expect(() => structuredClone(declines)).not.toThrow();
    }
  });

  it('has no decline for the transport that is used, and one for each of the others', async () => {
    const t: TransportCase = { name: '', client: ours('memory', {}), server: ours('memory', {}), capacity: 0 };
    const { client, accepted } = await open(t);
    for (const socket of [client, accepted]) {
      expect(
        declinesOf(socket)
          .map((decline) => decline.transport)
          .sort(),
      ).toEqual(['smcd', 'smcr', 'tcp']);
    }
  });

  it("is an error with fallback 'error', and the error says why", async () => {
    const t = made({ transports: ['smcd'], fallback: 'error' }, { transports: ['tcp'] });
    const { server, port } = await listening(t);
    server.on('connection', (socket) => socket.on('error', () => {}).resume());
    const client = dial(t, port);
    const seen = record(client, ['transport', 'connect', 'error', 'close']);
    const closing = event(client, 'close');
    const error = (await errorOf(client)) as unknown as SmcError;
    expect(error.code).toBe('ERR_SMC_FALLBACK');
    expect(error.declines?.map((decline) => decline.transport)).toContain('smcd');
    await closing;
    expect(seen).toEqual(['error ERR_SMC_FALLBACK', 'close true']);
  });

  it("is no error with fallback 'error' where tcp is one of the transports asked for", async () => {
    for (const transports of [['tcp'], ['smcd', 'tcp']] as const) {
      const { client, accepted } = await open(made({ transports, fallback: 'error' }, { transports: ['tcp'], fallback: 'error' }));
      client.end('fine');
      expect((await collect(accepted)).toString()).toBe('fine');
    }
  });

  it("is an error with fallback 'error' when no transports were named: the default list is not a wish for tcp", async () => {
    const { port } = await listening(made({}, { transports: ['tcp'] }));
    expect((await errorOf(dial(made({ fallback: 'error' }, {}), port))).code).toBe('ERR_SMC_FALLBACK');
  });

  it("keeps a server with fallback 'error' from being given a plain client", async () => {
    const t: TransportCase = {
      name: '',
      client: plain,
      server: ours('tcp', { transports: ['smcd'], fallback: 'error' }),
      capacity: KERNEL,
    };
    const { server, port } = await listening(t);
    const seen = record(server, ['connection']);
    const client = dial(t, port).on('error', () => {});
    client.resume();
    await event(client, 'close');
    expect(seen).toEqual([]);
  });

  it('does not change the refusal of a port where nobody listens', async () => {
    const t = made({ transports: ['smcd'], fallback: 'error' }, {});
    const { server, port } = await listening(t);
    await new Promise((resolve) => server.close(resolve));
    expect(['ECONNREFUSED', 'ERR_SMC_FALLBACK']).toContain((await errorOf(dial(t, port))).code);
  });

  it('uses what the server prefers when both may use several', async () => {
    for (const [client, server, expected] of [
      [['memory', 'smcd'], ['memory', 'smcd'], 'memory'],
      [['memory', 'smcd'], ['smcd', 'memory'], 'smcd'],
      [['smcd', 'memory'], ['memory', 'smcd'], 'memory'],
      [['memory'], ['smcd', 'memory'], 'memory'],
      [['smcd', 'tcp'], ['memory', 'smcd', 'tcp'], 'smcd'],
      [['tcp', 'smcd'], ['tcp', 'smcd'], 'tcp'],
    ] as const) {
      const t: TransportCase = {
        name: '',
        client: ours(expected, { transports: client }),
        server: ours(expected, { transports: server }),
        capacity: 0,
      };
      const { port, server: listener } = await listening(t);
      const accepting = accept(listener);
      const dialed = dial(t, port);
      await event(dialed, 'connect');
      expect([client, server, transportOf(dialed), transportOf(await accepting)]).toEqual([client, server, expected, expected]);
    }
  });
});
