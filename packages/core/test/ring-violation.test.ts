// ring-violation.test.ts - a peer that writes impossible numbers loses its connection, with a reason, and nothing else.

import type net from 'node:net';
import { describe, expect, it } from 'vitest';
import { CONN_STATE, WORD } from '../src/ring/layout.js';
import type { Socket } from '../src/index.js';
import { memoryPair } from './pair-helper.js';

interface Closed {
  readonly error: string | undefined;
  readonly hadError: unknown;
}

function closed(socket: net.Socket): Promise<Closed> {
  let code: string | undefined;
  socket.on('error', (error: NodeJS.ErrnoException) => {
    code = error.code;
  });
  return new Promise((resolve) => socket.once('close', (hadError) => resolve({ error: code, hadError })));
}

/** The header of the ring that `socket` writes: in this transport it lies before the data, in the same memory. */
function headerOfTx(socket: Socket): Int32Array {
  const view = socket.ring?.reserve(1);
  if (view === undefined) throw new Error('no room');
  return new Int32Array(view.buffer, 0, 128);
}

const VIOLATION = { error: 'ERR_SMC_PEER_VIOLATION', hadError: true };
const RESET = { error: 'ECONNRESET', hadError: true };

describe('a peer that breaks the rules', () => {
  it.each([2 ** 31 - 1, -1, 16_385, -(2 ** 31)])('with the producer cursor at %d is cut off', async (cursor) => {
    const [client, server] = await memoryPair({ ringSize: 16_384 });
    const ends = Promise.all([closed(server), closed(client)]);
    server.on('data', () => {});
    Atomics.store(headerOfTx(client), WORD.producerCursor, cursor);
    client.end();
    expect(await ends).toEqual([VIOLATION, RESET]);
  });

  it('with a producer cursor that goes back is cut off', async () => {
    const [client, server] = await memoryPair({ ringSize: 16_384 });
    const ends = Promise.all([closed(server), closed(client)]);
    const words = headerOfTx(client);
    server.once('data', () => {
      Atomics.store(words, WORD.producerCursor, 1);
      client.end();
    });
    client.write('more than one');
    expect(await ends).toEqual([VIOLATION, RESET]);
  });

  it('with an impossible consumer cursor is cut off by who writes', async () => {
    const [client, server] = await memoryPair({ ringSize: 16_384 });
    const ends = Promise.all([closed(client), closed(server)]);
    server.pause();
    Atomics.store(headerOfTx(client), WORD.consumerCursor, 20_000);
    client.write(Buffer.alloc(40_000));
    server.resume();
    expect(await ends).toEqual([VIOLATION, RESET]);
  });

  it('with a record length that cannot be is cut off by who receives records', async () => {
    const [client, server] = await memoryPair({ ringSize: 16_384 }, (socket) => {
      const { ring } = socket;
      if (ring !== undefined) ring.onreadable = () => void ring.receive(() => {});
    });
    const ends = Promise.all([closed(server), closed(client)]);
    client.ring?.reserve(8)?.set([0xff, 0xff, 0xff, 0x7f]);
    client.ring?.commit(8);
    expect(await ends).toEqual([VIOLATION, RESET]);
  });

  it('with a state of any bits is at most closed', async () => {
    for (const bits of [CONN_STATE.closed, CONN_STATE.sendingDone, 0x7fffffff, -1]) {
      const [client, server] = await memoryPair();
      const end = closed(server);
      server.resume();
      client.on('error', () => {});
      Atomics.store(headerOfTx(client), WORD.connState, bits);
      client.write('x');
      expect([undefined, 'ECONNRESET', 'EPIPE']).toContain((await end).error);
      client.destroy();
    }
  });
});
