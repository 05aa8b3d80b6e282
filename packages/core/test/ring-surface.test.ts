// ring-surface.test.ts - the zero-copy side over the memory transport where it meets the stream side and the end.

import { describe, expect, it } from 'vitest';
import type { Socket } from '../src/index.js';
import { memoryPair, until } from './pair-helper.js';

const ROUND = 30;

/** Reads and forgets everything, from the ring. */
function consume(socket: Socket): void {
  const ring = socket.ring;
  if (ring === undefined) throw new Error('no ring');
  ring.onreadable = () => {
    for (let view = ring.peek(); view !== undefined; view = ring.peek()) ring.release(view.length);
  };
}

function end(...sockets: Socket[]): void {
  for (const socket of sockets) socket.destroy();
}

describe('socket.ring', () => {
  it('waits for room while the stream still writes, and is told when that is done', async () => {
    const [client, server] = await memoryPair({ ringSize: 16_384 }, (socket) => void socket.ring?.peek());
    client.write(Buffer.alloc(50_000));
    expect(client.ring?.reserve(1)).toBeUndefined();
    const room = client.ring?.writable(100);
    consume(server);
    expect(await room).toBe(true);
    expect(client.writableLength).toBe(0);
    end(client, server);
  });

  it('refuses to wait for more room than there can be', async () => {
    const [client, server] = await memoryPair({ ringSize: 16_384 });
    expect(() => client.ring?.writable(16_385)).toThrowError(expect.objectContaining({ code: 'ERR_SMC_RING_MISUSE' }));
    expect(await client.ring?.writable(16_384)).toBe(true);
    end(client, server);
  });

  it('refuses what is no bytes and no number of bytes, and nothing is sent or given back', async () => {
    const [client, accepted] = await memoryPair({ ringSize: 16_384 }, (socket) => void socket.ring?.peek());
    const { ring } = client;
    const misuse = expect.objectContaining({ code: 'ERR_SMC_RING_MISUSE' });
    for (const wrong of [
      ['abc'],
      [new Float32Array(2)],
      [new ArrayBuffer(3)],
      [new DataView(new ArrayBuffer(3))],
      [null],
      Buffer.from('abc'),
      'abc',
    ])
      expect(() => ring?.send(wrong as never)).toThrow(misuse);
    for (const wrong of ['abc', new Float32Array(2), undefined]) expect(() => ring?.write(wrong as never)).toThrow(misuse);
    for (const wrong of [Number.NaN, 1.5, '8', undefined]) {
      expect(() => ring?.reserve(wrong as number)).toThrow(misuse);
      if (wrong !== undefined) expect(() => ring?.writable(wrong as number)).toThrow(misuse);
    }
    expect(() => ring?.writable(-1)).toThrow(misuse);
    ring?.reserve(8);
    for (const wrong of [1.5, Number.NaN, -1, 9]) expect(() => ring?.commit(wrong)).toThrow(misuse);
    ring?.commit(8);
    await accepted.ring?.readable();
    for (const wrong of [1.5, Number.NaN, -1, 9]) expect(() => accepted.ring?.release(wrong)).toThrow(misuse);
    expect([client.bytesWritten, accepted.bytesRead, accepted.ring?.peek()?.length]).toEqual([8, 0, 8]);
    end(client, accepted);
  });

  it('writes bytes that are in memory already, in order with the stream, as far as there is room', async () => {
    const [client, server] = await memoryPair({ ringSize: 16_384 });
    const chunks: Buffer[] = [];
    server.on('data', (chunk) => chunks.push(chunk));
    const whole = Buffer.from(Uint8Array.from({ length: 100_000 }, (_, i) => i % 251));
    client.write(whole.subarray(0, 1000));
    expect(client.ring?.write(whole, 1000)).toBe(16_384 - 1000);
    expect(client.ring?.write(whole, 16_384)).toBe(0);
    for (let at = 16_384; at < whole.length; ) {
      expect(await client.ring?.writable()).toBe(true);
      at += client.ring?.write(whole, at) as number;
    }
    expect(client.ring?.write(whole, whole.length)).toBe(0);
    expect(client.bytesWritten).toBe(whole.length);
    await until(() => chunks.reduce((sum, chunk) => sum + chunk.length, 0) === whole.length);
    expect(Buffer.compare(Buffer.concat(chunks), whole)).toBe(0);
    client.destroy();
    expect(client.ring?.write(whole) ?? 0).toBe(0);
    end(server);
  });

  it('can be asked for room when there is some that the stream has not been told of', async () => {
    const [client, server] = await memoryPair({ ringSize: 16_384 }, (socket) => void socket.ring?.peek());
    client.write(Buffer.alloc(50_000));
    await until(() => (server.ring?.peek()?.length ?? 0) > 8000);
    server.ring?.release(8000); // the client learns this in a later turn
    const room = client.ring?.writable(100);
    consume(server);
    expect(await room).toBe(true);
    end(client, server);
  });

  it('gives room to reservations in the order stream, ring, stream', async () => {
    const [client, server] = await memoryPair({ ringSize: 16_384 });
    const chunks: Buffer[] = [];
    server.on('data', (chunk) => chunks.push(chunk));
    const expected: Buffer[] = [];
    for (let i = 0; i < ROUND; i++) {
      const streamed = Buffer.alloc(7000 + i, 2 * i);
      client.write(streamed);
      while (!(await client.ring?.writable(500))) expect(client.destroyed).toBe(false);
      const view = client.ring?.reserve(500) as Uint8Array;
      view.fill(2 * i + 1);
      client.ring?.commit(view.length);
      expected.push(streamed, Buffer.alloc(view.length, 2 * i + 1));
    }
    const whole = Buffer.concat(expected);
    await until(() => chunks.reduce((sum, chunk) => sum + chunk.length, 0) === whole.length);
    expect(Buffer.concat(chunks).equals(whole)).toBe(true);
    end(client, server);
  });

  it('sends no record where only the rest of the ring before its end has room, and tells what room one needs', async () => {
    const [client, server] = await memoryPair({ ringSize: 16_384 }, (socket) => void socket.ring?.peek());
    const ring = client.ring as NonNullable<typeof client.ring>;
    const record = Buffer.alloc(8000);
    expect(ring.send([record, record])).toBe(2);
    await until(() => server.ring?.receive(() => {}, 1) === 1);
    // 8380 bytes are free, 376 of them before the end of the ring; a filler and 8104 bytes are needed.
    const large = Buffer.alloc(8100);
    expect(ring.send([large])).toBe(0);
    expect(ring.roomFor(8100)).toBe(376 + 8104);
    expect(ring.roomFor(300)).toBe(304);
    expect(() => ring.roomFor(8189)).toThrow(expect.objectContaining({ code: 'ERR_SMC_RECORD_TOO_LARGE' }));
    const room = ring.writable(ring.roomFor(8100));
    expect(server.ring?.receive(() => {})).toBe(1);
    expect(await room).toBe(true);
    expect(ring.send([large])).toBe(1);
    end(client, server);
  });

  it('hands out no record after its socket was destroyed', async () => {
    const [client, server] = await memoryPair({}, (socket) => void socket.ring?.peek());
    client.ring?.send([1, 2, 3].map((value) => Buffer.of(value)));
    await until(() => server.ring?.peek() !== undefined);
    const seen: unknown[] = [];
    server.ring?.receive((bytes, offset) => {
      seen.push(bytes[offset]);
      server.destroy();
    });
    expect(seen).toEqual([1]);
    end(client, server);
  });

  it('resolves what waits when either side closes', async () => {
    for (const closing of [0, 1]) {
      const pair = await memoryPair({ ringSize: 16_384 }, (socket) => void socket.ring?.peek());
      const [client, server] = pair;
      client.on('error', () => {});
      client.ring?.reserve(16_384)?.fill(1);
      client.ring?.commit(16_384);
      const room = client.ring?.writable(1);
      const bytes = client.ring?.readable();
      pair[closing]?.destroy();
      expect([await room, await bytes]).toEqual([false, false]);
      end(client, server);
    }
  });
});
