// sockets-overwritten.test.ts - a peer has the rkey of our RMB: it can write anything anywhere in it at any time, told or not. We hand out
// as many bytes as its cursors permit, of records what was checked on memory of our own, and nothing else is harmed.

import { once } from 'node:events';
import type { Socket } from '@smcjs/core';
import { describe, expect, it } from 'vitest';
import { payload, Random, Verifier } from '../../../test/support/random.js';
import { OPCODE, SEND_WR } from '../src/verbs-provider.js';
import { collect, listen, LocalRdma, pair, until } from './simulated/sockets.js';

const rdma = new LocalRdma();
const RING = 16384;
const SIZED = { client: { ringSize: RING }, server: { ringSize: RING } };

/** Two connections of one link group; `element` is the memory that the client writes and `accepted` reads. */
async function attacked(): Promise<{ client: Socket; accepted: Socket; element: Buffer; others: () => Promise<void> }> {
  const at = await listen(SIZED.server);
  const [client, accepted] = await pair(SIZED, at);
  const [other, otherAccepted] = await pair(SIZED, at);
  otherAccepted.pipe(otherAccepted);
  const element = await elementBehind(client, accepted);
  const others = async (): Promise<void> => {
    other.end(payload(9, 50_000));
    expect((await collect(other)).equals(payload(9, 50_000))).toBe(true);
    expect(other.transport).toBe('smcr');
  };
  return { client, accepted, element, others };
}

/** Where the client's first byte goes. That byte is read again, so that the ring is empty. */
async function elementBehind(client: Socket, accepted: Socket): Promise<Buffer> {
  let found: Buffer | undefined;
  const undo: (() => void)[] = [];
  const domains = new Set([...rdma.context.pairs].map(({ domain }) => domain));
  for (const one of rdma.context.pairs) {
    const { postSend } = one;
    undo.push(() => void (one.postSend = postSend));
    one.postSend = (requests, count) => {
      for (let i = 0; i < count; i++) {
        const words = requests.subarray(i * SEND_WR.words, (i + 1) * SEND_WR.words);
        if (words[SEND_WR.opcode] !== OPCODE.rdmaWrite) continue;
        const address = (BigInt(words[SEND_WR.remoteLow + 1] as number) << 32n) | BigInt(words[SEND_WR.remoteLow] as number);
        for (const domain of domains) found ??= rdma.context.memory.at(domain, words[SEND_WR.rkey] as number, address, RING, true);
      }
      return postSend.call(one, requests, count);
    };
  }
  // Four bytes: records can begin behind them.
  client.write(Buffer.alloc(4));
  await once(accepted, 'data');
  accepted.pause();
  for (const step of undo) step();
  if (found === undefined) throw new Error('no write was seen');
  return found;
}

const ended = (socket: Socket): Promise<NodeJS.ErrnoException | undefined> =>
  new Promise((resolve) => {
    let failed: NodeJS.ErrnoException | undefined;
    socket.on('error', (error: NodeJS.ErrnoException) => (failed = error));
    socket.once('close', () => resolve(failed));
  });

const turns = (milliseconds: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, milliseconds));

/** Writes something somewhere, again and again, until the function returned is called. */
function hammer(element: Buffer, seed: number): () => number {
  const random = new Random(seed);
  let writes = 0;
  let over = false;
  const strike = (): void => {
    for (let i = 0; i < 20; i++) {
      const at = random.integer(0, RING - 1);
      payload(random.integer(1, 1000), random.integer(1, 600)).copy(element, at);
      // What a reader of records would take for a length.
      element.writeInt32LE([-1, 0x7fffffff, 0, 8188, -(2 ** 31), RING][random.integer(0, 5)] as number, at & ~3 & (RING - 4));
      writes++;
    }
    if (!over) setImmediate(strike);
  };
  strike();
  return () => {
    over = true;
    return writes;
  };
}

describe('a peer that writes into our memory', () => {
  it('without telling has written nothing: what it tells of later is what we get', async () => {
    const { client, accepted, element, others } = await attacked();
    const received = collect(accepted);
    accepted.resume();
    element.fill(0xee);
    await turns(20);
    // Those from before: nothing was handed out.
    expect(accepted.bytesRead).toBe(4);
    client.end(payload(1, 100_000));
    expect((await received).equals(payload(1, 100_000))).toBe(true);
    await others();
  });

  it('over bytes that we have not read changes those bytes, and neither their number nor anything else', async () => {
    const { client, accepted, element, others } = await attacked();
    // More than the stream reads ahead.
    client.write(payload(1, 60_000));
    await turns(50);
    element.fill(0xee);
    const received = collect(accepted);
    accepted.resume();
    client.end(payload(1, 40_000, 60_000));
    const bytes = await received;
    const expected = payload(1, 100_000);
    const changed = [...bytes.keys()].filter((at) => bytes[at] !== expected[at]);
    expect([bytes.length, changed.every((at) => bytes[at] === 0xee)]).toEqual([100_000, true]);
    // One in 256 was 0xee before.
    expect(changed.length).toBeLessThanOrEqual(RING);
    expect(changed.length).toBeGreaterThan(RING / 2);
    await others();
  });

  it.each([1, 2, 3])('all the time gets no more bytes out than it told of, and harms no other byte (seed %i)', async (seed) => {
    const { client, accepted, element, others } = await attacked();
    const back = new Verifier(5);
    client.on('data', (chunk: Buffer) => back.take(chunk));
    const stop = hammer(element, seed);
    accepted.end(payload(5, 300_000));
    client.end(payload(1, 300_000));
    const received = collect(accepted);
    accepted.resume();
    const [{ length }] = await Promise.all([received, ended(client)]);
    expect(stop()).toBeGreaterThan(20);
    expect([length, back.received]).toEqual([300_000, 300_000]);
    await others();
  });
});

describe('a record that the peer overwrites', () => {
  it.each<[string, number]>([
    ['less than nothing', -2],
    ['the least number', -(2 ** 31)],
    ['more than any ring', 0x7fffffff],
    ['more than a record may have', RING / 2 - 3],
    ['more than has come', 100],
    ['the rest of the ring, which has not come', -1],
  ])('with a length of %s ends its connection with a code, and no other', async (_what, length) => {
    const { client, accepted, element, others } = await attacked();
    const outcome = [ended(client), ended(accepted)];
    client.resume();
    const { ring } = accepted;
    if (ring === undefined) throw new Error('no ring');
    client.ring?.send([payload(1, 40), payload(2, 40)]);
    await until(() => ring.peek()?.length === 88);
    // The second one: the first is given out as it is.
    element.writeInt32LE(length, 4 + 44);
    const records: Buffer[] = [];
    ring.receive((bytes, offset, count) => void records.push(Buffer.from(bytes.subarray(offset, offset + count))));
    expect(records.map((bytes) => bytes.equals(payload(1, 40)))).toEqual([true]);
    const [atClient, atServer] = await Promise.all(outcome);
    expect([atServer?.code, atClient?.code]).toEqual(['ERR_SMC_PEER_VIOLATION', 'ECONNRESET']);
    expect(atServer?.message).toContain('record length');
    await others();
  });

  it('while it is handed out stays as it was, and the next one is looked at once, as it is then', async () => {
    const { client, accepted, element, others } = await attacked();
    const outcome = [ended(client), ended(accepted)];
    client.resume();
    const { ring } = accepted;
    if (ring === undefined) throw new Error('no ring');
    client.ring?.send([payload(1, 40), payload(2, 40), payload(3, 40)]);
    await until(() => ring.peek()?.length === 132);
    // Shorter, which could be; what comes behind it cannot.
    const overwrite = (): void => void element.fill(0xee).writeInt32LE(36, 4 + 44);
    const kept: [Uint8Array, number, number][] = [];
    ring.receive((bytes, offset, count) => {
      kept.push([bytes, offset, count]);
      if (kept.length === 1) overwrite();
    });
    expect(kept.map(([bytes, offset, count]) => Buffer.from(bytes.subarray(offset, offset + count)))).toEqual([
      payload(1, 40),
      payload(2, 36),
    ]);
    expect((await Promise.all(outcome)).map((error) => error?.code)).toEqual(['ECONNRESET', 'ERR_SMC_PEER_VIOLATION']);
    await others();
  });

  it.each([1, 2, 3])('all the time is private and in bounds, or ends its connection (seed %i)', async (seed) => {
    const { client, accepted, element, others } = await attacked();
    const outcome = ended(accepted);
    client.on('error', () => {}).resume();
    const stop = hammer(element, seed);
    const { ring } = accepted;
    if (ring === undefined) throw new Error('no ring');
    let told = 0;
    let taken = 0;
    ring.onreadable = () => {
      ring.receive((bytes, offset, length) => {
        expect(bytes.buffer).not.toBe(element.buffer);
        expect(offset >= 0 && length >= 0 && length <= ring.maxRecord && offset + length <= bytes.length).toBe(true);
        taken += length + 4;
      });
    };
    for (let i = 0; i < 1000 && !client.destroyed; i++) {
      const records = [payload(i, 1 + (i % 700))];
      if (client.ring?.send(records) === 1) told += (records[0]?.length ?? 0) + 7;
      await new Promise((resolve) => setImmediate(resolve));
    }
    client.destroy();
    stop();
    const error = await outcome;
    expect(taken).toBeLessThanOrEqual(told + RING);
    expect(['ERR_SMC_PEER_VIOLATION', 'ECONNRESET', undefined]).toContain(error?.code);
    await others();
  });
});
