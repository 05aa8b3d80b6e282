// teardown.test.ts - what is destroyed, in which order ever, by whom ever: errors with codes, no crash, nothing left behind.

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import v8 from 'node:v8';
import { COMPLETION, OPCODE, SEND_FLAG, STATUS } from '@smcjs/smcr/verbs';
import { describe, expect, it } from 'vitest';
import { Random } from '../support/random.js';
import { type Connected, completions, connectPair, loopbackGid, makeEnd, openRxe, poll, receives, sends, toRts } from './connected.js';

const code = (expected: string) => expect.objectContaining({ code: expected });
const descriptors = () => readdirSync('/proc/self/fd').length;
/** Of the device's queues, and of our registered memory: V8's own come and go. */
const mappings = () => readFileSync('/proc/self/maps', 'utf8').match(/uverbs|\/dev\/zero/g)?.length ?? 0;

function collectGarbage(): void {
  v8.setFlagsFromString('--expose-gc');
  (globalThis as { gc?: () => void }).gc?.();
}

/** Until `value` says so; a test that waits for ever is ended by its time-out. */
async function until(value: () => boolean): Promise<void> {
  while (!value()) {
    collectGarbage();
    await wait(10);
  }
}

describe('what is destroyed', () => {
  it('answers with EBADF', async () => {
    const { context, domain, left } = await connectPair();
    const { pair, queue, memory } = left;
    const send = sends({ from: memory, length: 1 });
    await pair.destroy();
    await pair.destroy();
    await expect(pair.toError()).rejects.toEqual(code('EBADF'));
    await expect(pair.queryState()).rejects.toEqual(code('EBADF'));
    expect(() => pair.postSend(send, 1)).toThrow(code('EBADF'));
    expect(() => pair.postReceive(new Uint32Array(8), 1)).toThrow(code('EBADF'));
    await queue.destroy();
    await expect(queue.destroy()).rejects.toEqual(code('EBADF'));
    expect(() => queue.poll(new Uint32Array(8))).toThrow(code('EBADF'));
    expect(() => queue.arm(false)).toThrow(code('EBADF'));
    await expect(
      domain.createQueuePair({ sendQueue: queue, receiveQueue: queue, maxSend: 1, maxReceive: 1, maxInline: 0 }),
    ).rejects.toEqual(code('EBADF'));
    await memory.release();
    expect(memory.bytes.length).toBe(0);
    await expect(memory.release()).rejects.toEqual(code('EBADF'));
    await expect(domain.registerMemory(memory, { remoteWrite: true })).rejects.toEqual(code('EBADF'));
    await context.close();
    await expect(domain.release()).rejects.toEqual(code('EBADF'));
    await expect(domain.allocateMemory(1, { remoteWrite: false })).rejects.toEqual(code('EBADF'));
    await expect(context.queryPort(1)).rejects.toEqual(code('EBADF'));
  });

  it('is not destroyed while it is used', async () => {
    const { context, domain, left, right } = await connectPair();
    await expect(domain.release()).rejects.toEqual(code('EBUSY'));
    await expect(left.queue.destroy()).rejects.toEqual(code('EBUSY'));
    // Still in order after that.
    left.queue.arm(false);
    expect(poll(left.queue)).toEqual([]);
    const other = await context.allocatePd();
    const again = await other.registerMemory(left.memory, { remoteWrite: true });
    expect(again.address).toBe(left.memory.address);
    expect(again.rkey).not.toBe(left.memory.rkey);
    await expect(left.memory.release()).rejects.toEqual(code('EBUSY'));
    await again.release();
    // Not awaited one by one: what was asked for first is done first.
    await Promise.all([
      ...[left.pair.destroy(), left.queue.destroy(), left.memory.release()],
      ...[right.pair.destroy(), right.queue.destroy(), right.memory.release()],
      ...[domain.release(), other.release()],
    ]);
    await context.close();
  });

  it('takes its completions with it, and leaves those of others', async () => {
    const { context, domain, left, right } = await connectPair();
    const gid = await loopbackGid(context);
    const shared = { sendQueue: left.queue, receiveQueue: left.queue, maxSend: 8, maxReceive: 8, maxInline: 0 };
    const third = await domain.createQueuePair(shared);
    await toRts(third, third.number, gid);
    const write = (id: number) => sends({ id, opcode: OPCODE.rdmaWrite, from: left.memory, length: 8, to: right.memory });
    for (let id = 0; id < 4; id++) {
      left.pair.postSend(write(id), 1);
      third.postSend(write(100 + id), 1);
    }
    const all = new Uint32Array(COMPLETION.words);
    // Only to know that something has completed: the rest is in the queue when the pair is destroyed.
    while (left.queue.poll(all) === 0) await wait(1);
    await wait(50);
    await third.destroy();
    const ids = [all[COMPLETION.id] as number];
    for (;;) {
      const found = poll(left.queue);
      if (found.length === 0) break;
      ids.push(...found.map(({ id }) => id));
    }
    expect(ids.filter((id) => id < 100).sort()).toEqual([0, 1, 2, 3]);
    expect(ids.filter((id) => id >= 100).length).toBeLessThanOrEqual(1);
    await context.close();
  });
});

describe('memory', () => {
  it('is zeroed, shared, not inherited by fork, and gone after release', async () => {
    const context = await openRxe();
    const domain = await context.allocatePd();
    const memory = await domain.allocateMemory(65536, { remoteWrite: true });
    expect(memory.bytes.equals(Buffer.alloc(65536))).toBe(true);
    const start = memory.address.toString(16);
    const entry = () =>
      readFileSync('/proc/self/smaps', 'utf8')
        .split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)
        .find((one) => one.startsWith(`${start}-`));
    expect(entry()).toMatch(/^\S+ rw-s /);
    expect(entry()).toMatch(/VmFlags:.* dc\b/);
    await memory.release();
    expect(memory.bytes.length).toBe(0);
    await until(() => entry() === undefined);
    await context.close();
  });

  it('can be mirrored, with one half registered', async () => {
    const { context, domain, left } = await connectPair();
    const memory = await domain.allocateMemory(8192, { remoteWrite: true, mirrored: true });
    expect(memory).toMatchObject({ length: 8192, mirrored: true });
    expect(memory.bytes.length).toBe(16384);
    const to = { address: memory.address + 8190n, rkey: memory.rkey };
    left.memory.bytes.write('ab', 0);
    left.pair.postSend(sends({ opcode: OPCODE.rdmaWrite, from: left.memory, length: 2, to }), 1);
    expect(await completions(left.queue, 1)).toMatchObject([{ status: STATUS.success }]);
    memory.bytes.write('cd', 0);
    expect(memory.bytes.toString('latin1', 8190, 8194)).toBe('abcd');
    await expect(domain.allocateMemory(5000, { remoteWrite: true, mirrored: true })).rejects.toEqual(code('EINVAL'));
    const beyond = { address: memory.address + 8190n, rkey: memory.rkey };
    left.pair.postSend(sends({ opcode: OPCODE.rdmaWrite, from: left.memory, length: 4, to: beyond }), 1);
    expect(await completions(left.queue, 1)).toMatchObject([{ status: STATUS.remoteAccess }]);
    await context.close();
  });

  it('without remote write has no rkey and cannot be written', async () => {
    const { context, domain, left } = await connectPair();
    const memory = await domain.allocateMemory(4096, { remoteWrite: false });
    expect(memory.rkey).toBe(0);
    const to = { address: memory.address, rkey: memory.lkey };
    left.pair.postSend(sends({ opcode: OPCODE.rdmaWrite, from: left.memory, length: 4, to }), 1);
    expect(await completions(left.queue, 1)).toMatchObject([{ status: STATUS.remoteAccess }]);
    await context.close();
  });

  it('stays readable where JavaScript has moved it, after release and close', async () => {
    const { context, left } = await connectPair();
    left.memory.bytes.write('moved');
    let moved: ArrayBuffer | undefined;
    try {
      moved = structuredClone(left.memory.bytes.buffer, { transfer: [left.memory.bytes.buffer as ArrayBuffer] }) as ArrayBuffer;
    } catch {
      // Node marks such buffers as not transferable; ArrayBuffer.prototype.transfer (Node 22) does not look.
      moved = (left.memory.bytes.buffer as ArrayBuffer & { transfer?: () => ArrayBuffer }).transfer?.();
    }
    await left.pair.destroy();
    await left.memory.release();
    await context.close();
    collectGarbage();
    if (moved !== undefined) expect(Buffer.from(moved).toString('latin1', 0, 5)).toBe('moved');
    expect(left.memory.bytes.length).toBe(0);
  });

  it('that is forgotten stays registered and mapped as long as its context is open', async () => {
    const { context, domain, left } = await connectPair();
    // Only the bytes and the numbers leave this function.
    const { bytes, ...to } = await domain
      .allocateMemory(4096, { remoteWrite: true })
      .then(({ bytes, address, rkey }) => ({ bytes, address, rkey }));
    for (let i = 0; i < 5; i++) {
      collectGarbage();
      await wait(10);
    }
    left.memory.bytes.write('late');
    left.pair.postSend(sends({ opcode: OPCODE.rdmaWrite, from: left.memory, length: 4, to }), 1);
    expect(await completions(left.queue, 1)).toMatchObject([{ status: STATUS.success }]);
    expect(bytes.toString('latin1', 0, 4)).toBe('late');
    await context.close();
    expect(bytes.length).toBe(0);
  });

  it('is written no more once it is released, with writes under way', async () => {
    const { context, left, right } = await connectPair({ bytes: 1 << 20 });
    const writes = Array.from({ length: 32 }, (_, id) => ({
      id,
      opcode: OPCODE.rdmaWrite,
      from: left.memory,
      length: 1 << 20,
      to: right.memory,
    }));
    left.pair.postSend(sends(...writes), 32);
    await right.memory.release();
    const statuses = new Set((await completions(left.queue, 32)).map(({ status }) => status));
    expect([...statuses].filter((status) => status !== STATUS.success && status !== STATUS.flushed)).toEqual([STATUS.remoteAccess]);
    await context.close();
  });
});

describe('misuse', () => {
  it('gets EINVAL for what is no record, and for inline bytes of somebody else', async () => {
    const { context, left } = await connectPair({ maxInline: 64 });
    const { pair, queue, memory } = left;
    expect(() => queue.poll(new Uint8Array(64) as never)).toThrow(code('EINVAL'));
    expect(() => queue.poll({} as never)).toThrow(code('EINVAL'));
    expect(() => queue.poll(undefined as never)).toThrow(code('EINVAL'));
    expect(queue.poll(new Uint32Array(3))).toBe(0);
    expect(() => pair.postSend(sends({ from: memory, length: 1 }), 2)).toThrow(code('EINVAL'));
    expect(() => pair.postSend(sends({ from: memory, length: 1, opcode: 99 }), 1)).toThrow(code('EINVAL'));
    expect(() => pair.postSend(sends({ from: memory, length: 1, flags: 1 << 20 }), 1)).toThrow(code('EINVAL'));
    expect(() => pair.postSend('no' as never, 1)).toThrow(code('EINVAL'));
    const inline = SEND_FLAG.signaled | SEND_FLAG.inline;
    expect(() => pair.postSend(sends({ from: memory, length: 1 << 20, flags: inline }), 1)).toThrow(code('EINVAL'));
    for (const offset of [65536, 65530, -1, -(2 ** 40)]) {
      expect(() => pair.postSend(sends({ from: memory, offset, length: 8, flags: inline }), 1)).toThrow(code('EINVAL'));
    }
    // What comes before the bad record is posted.
    const mixed = sends({ id: 1, from: memory, length: 1, opcode: OPCODE.rdmaWrite, to: memory }, { from: memory, length: 1, opcode: 9 });
    expect(() => pair.postSend(mixed, 2)).toThrow(code('EINVAL'));
    expect(await completions(queue, 1)).toMatchObject([{ id: 1, status: STATUS.success }]);
    await context.close();
  });

  it('gets EINVAL for things of another context or provider', async () => {
    const one = await connectPair();
    const other = await connectPair();
    const queues = (queue: typeof one.left.queue) => ({ sendQueue: queue, receiveQueue: queue, maxSend: 1, maxReceive: 1, maxInline: 0 });
    await expect(one.domain.createQueuePair(queues(other.left.queue))).rejects.toEqual(code('EINVAL'));
    await expect(one.domain.createQueuePair(queues({} as never))).rejects.toEqual(code('EINVAL'));
    await expect(one.domain.registerMemory({} as never, { remoteWrite: true })).rejects.toEqual(code('EINVAL'));
    // Memory may be shared between devices: that is what a second link needs.
    const guest = await other.domain.registerMemory(one.left.memory, { remoteWrite: true });
    await one.context.close();
    expect(one.left.memory.bytes.length).toBe(0);
    await guest.release();
    await other.context.close();
  });
});

describe('every order', () => {
  it('of destroying everything is safe, awaited or not', { timeout: 240_000 }, async () => {
    const random = new Random(20260);
    for (let round = 0; round < 40; round++) {
      const all = await connectPair();
      all.left.pair.postSend(sends({ opcode: OPCODE.rdmaWrite, from: all.left.memory, length: 65536, to: all.right.memory }), 1);
      all.left.queue.arm(false);
      const results: Promise<unknown>[] = [];
      for (const step of shuffled(steps(all), random)) {
        const done = step().catch((error: NodeJS.ErrnoException) => {
          if (error.code !== 'EBUSY' && error.code !== 'EBADF') throw error;
        });
        results.push(done);
        if (round % 2 === 0) await done;
      }
      await Promise.all(results);
      await all.context.close();
    }
  });
});

function steps({ context, domain, left, right }: Connected): (() => Promise<void>)[] {
  const ends = [left, right].flatMap(({ pair, queue, memory }) => [() => pair.destroy(), () => queue.destroy(), () => memory.release()]);
  return [...ends, () => domain.release(), () => context.close(), () => left.pair.toError(), () => right.pair.toReset()];
}

function shuffled<T>(list: T[], random: Random): T[] {
  for (let i = list.length - 1; i > 0; i--) {
    const j = random.integer(0, i);
    [list[i], list[j]] = [list[j] as T, list[i] as T];
  }
  return list;
}

describe('nothing is left behind', () => {
  it('of 1,000 queue pairs', { timeout: 600_000 }, async () => {
    const context = await openRxe();
    const gid = await loopbackGid(context);
    const domain = await context.allocatePd();
    const { queue, memory } = await makeEnd(context, domain);
    const round = async (count: number) => {
      for (let i = 0; i < count; i++) {
        const pair = await domain.createQueuePair({ sendQueue: queue, receiveQueue: queue, maxSend: 16, maxReceive: 48, maxInline: 0 });
        await toRts(pair, pair.number, gid);
        pair.postReceive(receives(memory, 0, 64, 4), 4);
        await pair.destroy();
      }
    };
    await round(100);
    collectGarbage();
    const before = { descriptors: descriptors(), mappings: mappings(), rss: process.memoryUsage().rss };
    await round(1000);
    collectGarbage();
    expect(descriptors()).toBe(before.descriptors);
    expect(mappings()).toBe(before.mappings);
    // An address sanitizer keeps what is freed for a while.
    if (!process.env.LD_PRELOAD) expect(process.memoryUsage().rss).toBeLessThan(before.rss + (16 << 20));
    // Nothing of them is found in the queue.
    expect(poll(queue)).toEqual([]);
    const shown = execFileSync('rdma', ['resource', 'show', 'qp'], { encoding: 'utf8' });
    expect(shown.split('\n').filter((line) => / pid \d+ /.test(line))).toHaveLength(1);
    await context.close();
  });

  it('of contexts with all that was made from them', { timeout: 240_000 }, async () => {
    const round = async () => (await connectPair()).context.close();
    for (let i = 0; i < 5; i++) await round();
    collectGarbage();
    await wait(50);
    const before = { descriptors: descriptors(), mappings: mappings() };
    for (let i = 0; i < 50; i++) await round();
    await until(() => mappings() <= before.mappings);
    expect(descriptors()).toBe(before.descriptors);
  });
});
