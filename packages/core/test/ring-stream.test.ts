// ring-stream.test.ts - writing to a ring is writing to a net.Socket: the same operations on both, and what can be seen of
// them: return values, lengths, callbacks, 'drain', cork, end, and the bytes at the other side.

import { createHash } from 'node:crypto';
import type net from 'node:net';
import { describe, expect, it } from 'vitest';
import { bytesAt } from './ring-model.js';
import { channelPair, memoryPair, netPair, until } from './pair-helper.js';

/** Numbers that follow from the seed. */
function random(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x9e3779b9) >>> 0;
    let word = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    word = Math.imul(word ^ (word >>> 15), 0x735a2d97);
    return ((word ^ (word >>> 15)) >>> 0) % below;
  };
}

type Op =
  | { readonly do: 'write' | 'end'; readonly chunk: Buffer | string; readonly encoding: BufferEncoding; readonly callback: boolean }
  | { readonly do: 'cork' | 'uncork' | 'settle' | 'tick' };

const ENCODINGS = ['utf8', 'latin1', 'hex', 'base64', 'utf16le'] as const;

/** Small chunks between two settling points fit both a ring and a kernel's buffer: then nothing depends on time. */
function program(seed: number, most: number, room: number): Op[] {
  const next = random(seed);
  const ops: Op[] = [];
  let left = room;
  let at = 0;
  const chunk = (): { chunk: Buffer | string; encoding: BufferEncoding } => {
    const length = Math.min(next(8) === 0 ? next(most) : next(200), left);
    left -= length;
    const bytes = Buffer.from(bytesAt(at, length));
    at += length;
    const encoding = ENCODINGS[next(ENCODINGS.length)] as BufferEncoding;
    // A string that every encoding can say; UTF-16 has two bytes for each character.
    return next(2) === 0
      ? { chunk: bytes, encoding: 'utf8' }
      : { chunk: bytes.toString('hex').slice(0, length & ~3), encoding: encoding === 'utf16le' && length * 2 > left ? 'hex' : encoding };
  };
  for (let i = 0; i < 60; i++) {
    const kind = next(12);
    if (kind < 7) ops.push({ do: 'write', ...chunk(), callback: next(2) === 0 });
    else if (kind === 7) ops.push({ do: 'cork' });
    else if (kind < 10) ops.push({ do: 'uncork' });
    else if (kind === 10) ops.push({ do: 'tick' });
    if (kind === 11 || left < most / 8) {
      ops.push({ do: 'settle' });
      left = room;
    }
  }
  ops.push(
    { do: 'settle' },
    { do: 'end', ...chunk(), callback: true },
    { do: 'settle' },
    { do: 'write', chunk: 'too late', encoding: 'utf8', callback: true },
  );
  return ops;
}

interface Seen {
  readonly log: string[];
  readonly received: string;
  readonly bytesWritten: number;
}

/** Runs the operations; the log has what each left behind, and every callback and event in its order. */
async function run([writer, reader]: [net.Socket, net.Socket], ops: readonly Op[], exact: boolean): Promise<Seen> {
  const log: string[] = [];
  const digest = createHash('sha256');
  let received = 0;
  let accepted = 0;
  let called = -1;
  reader.on('data', (bytes) => {
    digest.update(bytes);
    received += bytes.length;
  });
  for (const event of ['drain', 'finish'] as const) {
    writer.on(event, () => {
      if (event === 'drain') expect(writer.writableLength).toBe(0);
      if (exact || event === 'finish') log.push(event);
    });
  }
  writer.on('error', (error: NodeJS.ErrnoException) => log.push(`error ${error.code}`));
  const both = Promise.all([writer, reader].map((socket) => new Promise((resolve) => socket.once('close', resolve))));
  writer.resume();

  for (const [i, op] of ops.entries()) {
    let result: unknown;
    if (op.do === 'write' || op.do === 'end') {
      const size = typeof op.chunk === 'string' ? Buffer.byteLength(op.chunk, op.encoding) : op.chunk.length;
      const { writableEnded, writableNeedDrain: needed } = writer;
      const callback = (error?: Error | null) => {
        if (error == null) expect(i).toBeGreaterThan(called);
        called = i;
        log.push(`callback ${i}${error == null ? '' : ` ${(error as NodeJS.ErrnoException).code}`}`);
      };
      const args = [op.chunk, op.encoding, ...(op.callback ? [callback] : [])] as [string, BufferEncoding, () => void];
      result = op.do === 'end' ? writer.end(...args) === writer : writer.write(...args);
      if (!writableEnded) accepted += size;
      if (op.do === 'write' && !writableEnded) {
        expect(writer.writableNeedDrain).toBe(needed || result === false);
        expect(writer.bytesWritten).toBe(accepted);
      }
    } else if (op.do === 'cork') writer.cork();
    else if (op.do === 'uncork') writer.uncork();
    else if (op.do === 'tick') await Promise.resolve();
    else {
      while (writer.writableCorked > 0) writer.uncork();
      await until(() => received === accepted && writer.writableLength === 0 && writer.writableFinished === writer.writableEnded);
      await new Promise<void>((resolve) => void setImmediate(resolve)); // 'drain' follows
    }
    if (exact) {
      const { writableLength, writableCorked, writableNeedDrain, writableEnded, bytesWritten } = writer;
      log.push(`${i} ${op.do}: ${[result, writableLength, writableCorked, writableNeedDrain, writableEnded, bytesWritten].join(' ')}`);
    }
  }
  reader.end();
  await both;
  expect(received).toBe(accepted);
  return { log, received: `${received} ${digest.digest('hex')}`, bytesWritten: writer.bytesWritten };
}

describe('writing to a ring', () => {
  const seeds = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
  const over = [
    ['memory', memoryPair],
    ['a worker channel', channelPair],
  ] as const;
  const cases = (from: number, to: number) => over.flatMap(([name, pair]) => seeds(from, to).map((seed) => ({ name, pair, seed })));

  for (const { name, pair, seed } of cases(1, 12)) {
    it(`over ${name} looks like writing to a net.Socket, operation by operation (seed ${seed})`, async () => {
      const ops = program(seed, 4000, 8000);
      const options = { highWaterMark: seed % 3 === 0 ? 1000 : 16_384, allowHalfOpen: true };
      const ours = await run(await pair({ ...options, ringSize: 16_384 }), ops, true);
      const theirs = await run(await netPair(options), ops, true);
      expect(ours).toEqual(theirs);
    });
  }

  for (const { name, pair, seed } of cases(101, 106)) {
    it(`over ${name} keeps the order of callbacks, counts and bytes when chunks are larger than the ring (seed ${seed})`, async () => {
      const ops = program(seed, 600_000, 4_000_000);
      const options = { allowHalfOpen: true };
      const ours = await run(await pair({ ...options, ringSize: seed % 2 === 0 ? 16_384 : 65_536 }), ops, false);
      const theirs = await run(await netPair(options), ops, false);
      expect(ours).toEqual(theirs);
    });
  }

  it("emits 'drain' once, when everything has been taken", async () => {
    const [client, server] = await memoryPair({ ringSize: 16_384 });
    let drains = 0;
    client.on('drain', () => {
      drains++;
      expect(client.writableLength).toBe(0);
    });
    server.pause();
    expect(client.write(Buffer.alloc(100_000))).toBe(false);
    expect(client.writableLength).toBe(100_000);
    expect(client.bytesWritten).toBe(100_000);
    expect(drains).toBe(0);
    server.resume();
    await until(() => drains > 0 && client.writableLength === 0);
    expect(drains).toBe(1);
    client.destroy();
    server.destroy();
  });
});
