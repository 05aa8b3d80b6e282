// verbs.test.ts - libibverbs through the addon, on a real (software) device: what can be done with it.

import { createHash, randomBytes } from 'node:crypto';
import { COMPLETION, COMPLETION_FLAG, COMPLETION_OPCODE, ibverbs, OPCODE, SEND_FLAG, SEND_WR, STATUS } from '@smcjs/smcr/verbs';
import { describe, expect, it } from 'vitest';
import { ADDRESS, DEVICE } from './place.js';
import { completions, connectPair, loopbackGid, makeEnd, openRxe, poll, receives, sends, toRts } from './connected.js';

describe('devices', () => {
  it('are listed by name and GUID, and nothing is missing', async () => {
    expect(ibverbs().probe()).toBeUndefined();
    const devices = await ibverbs().devices();
    expect(devices.map(({ name }) => name)).toContain(DEVICE);
    expect(devices[0]?.nodeGuid).toMatch(/^[0-9a-f]{16}$/);
  });

  it('have limits, ports and GIDs with their types', async () => {
    const context = await openRxe();
    expect(context.device.name).toBe(DEVICE);
    expect(context.portCount).toBe(1);
    expect(context.limits.maxQueuePairs).toBeGreaterThan(1000);
    expect(context.limits.maxMemoryRegionBytes).toBeGreaterThan(1 << 30);
    const port = await context.queryPort(1);
    expect(port).toMatchObject({ number: 1, state: 'active', linkLayer: 'ethernet' });
    expect(port.activeMtu).toBeGreaterThanOrEqual(1);
    const onLo = { index: 1, networkInterface: 'lo', mac: Buffer.alloc(6) };
    expect(await loopbackGid(context)).toMatchObject(ADDRESS === '127.0.0.1' ? onLo : { type: 'rocev2' });
    await context.close();
  });

  it('reject what they do not have', async () => {
    const context = await openRxe();
    await expect(context.queryPort(2)).rejects.toMatchObject({ code: 'EINVAL', syscall: 'ibv_query_port' });
    await expect(context.createCompletionQueue(0)).rejects.toMatchObject({ code: 'EINVAL', syscall: 'ibv_create_cq' });
    await expect(context.createCompletionQueue(2 ** 31)).rejects.toMatchObject({ code: 'EINVAL' });
    await context.close();
    await context.close();
    await expect(context.allocatePd()).rejects.toMatchObject({ code: 'EBADF', syscall: 'ibv_alloc_pd' });
  });
});

describe('queue pairs', () => {
  it('go from RESET to RTS and back', async () => {
    const context = await openRxe();
    const gid = await loopbackGid(context);
    const { pair } = await makeEnd(context, await context.allocatePd());
    expect(await pair.queryState()).toBe('reset');
    await toRts(pair, pair.number, gid);
    expect(await pair.queryState()).toBe('rts');
    await pair.toError();
    expect(await pair.queryState()).toBe('error');
    await pair.toReset();
    expect(await pair.queryState()).toBe('reset');
    await context.close();
  });

  it('refuse steps out of order and numbers that do not fit', async () => {
    const context = await openRxe();
    const { pair, memory } = await makeEnd(context, await context.allocatePd());
    await expect(pair.toRts({ sqPsn: 0, timeout: 15, retryCount: 7, rnrRetry: 7, maxRdAtomic: 1 })).rejects.toMatchObject({
      code: 'EINVAL',
    });
    await expect(pair.toInit({ port: 256, pkeyIndex: 0, remoteWrite: true })).rejects.toThrow('port must be an integer from 1 to 255');
    expect(() => pair.postSend(sends({ from: memory, length: 1 }), 1)).toThrow(expect.objectContaining({ code: 'EINVAL' }));
    expect(() => pair.postReceive(receives(memory, 0, 64, 1), 1)).toThrow(expect.objectContaining({ code: 'EINVAL' }));
    await context.close();
  });

  it('play ping-pong by SEND', async () => {
    const { context, left, right } = await connectPair();
    for (const { pair, memory } of [left, right]) expect(pair.postReceive(receives(memory, 4096, 64, 8), 8)).toBe(8);
    for (let round = 0; round < 50; round++) {
      for (const [from, to] of [
        [left, right],
        [right, left],
      ] as const) {
        from.memory.bytes.write(`round ${round}`, 0, 'latin1');
        expect(from.pair.postSend(sends({ id: round, from: from.memory, length: 16 }), 1)).toBe(1);
        const [received] = await completions(to.queue, 1);
        expect(received).toMatchObject({ status: STATUS.success, opcode: COMPLETION_OPCODE.receive, length: 16, qpNumber: to.pair.number });
        const at = 4096 + (received?.id ?? 0) * 64;
        expect(to.memory.bytes.toString('latin1', at, at + 16).replace(/\0.*$/, '')).toBe(`round ${round}`);
        expect(await completions(from.queue, 1)).toMatchObject([{ id: round, status: STATUS.success, opcode: COMPLETION_OPCODE.send }]);
        expect(to.pair.postReceive(receives(to.memory, 4096, 64, 8).subarray((received?.id ?? 0) * 8), 1)).toBe(1);
      }
    }
    await context.close();
  });

  it('take the same arrays again and again, and notice when one is gone', async () => {
    const { context, left, right } = await connectPair();
    right.pair.postReceive(receives(right.memory, 0, 64, 16), 16);
    const requests = sends({ from: left.memory, length: 4 });
    const [one, other] = [new Uint32Array(8 * COMPLETION.words), new Uint32Array(8 * COMPLETION.words)];
    const send = async (id: number, into: Uint32Array): Promise<void> => {
      requests[SEND_WR.id] = id;
      expect(left.pair.postSend(requests, 1)).toBe(1);
      while (left.queue.poll(into) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      expect(into[COMPLETION.id]).toBe(id);
    };
    for (let id = 1; id <= 4; id++) await send(id, one);
    for (let id = 5; id <= 8; id++) await send(id, id % 2 === 0 ? one : other);
    await send(9, one);
    await send(10, one);
    expect(await completions(right.queue, 10)).toHaveLength(10);
    // Detached: the memory is somebody else's, and stays as it is.
    const moved = structuredClone(one, { transfer: [one.buffer as ArrayBuffer] });
    const before = moved.slice();
    left.pair.postSend(requests, 1);
    await completions(right.queue, 1);
    // By then it has completed here, too.
    await new Promise((resolve) => setTimeout(resolve, 200));
    for (let i = 0; i < 3; i++) expect(left.queue.poll(one)).toBe(0);
    expect(moved).toEqual(before);
    structuredClone(requests, { transfer: [requests.buffer as ArrayBuffer] });
    for (let i = 0; i < 3; i++) expect(() => left.pair.postSend(requests, 1)).toThrow(expect.objectContaining({ code: 'EINVAL' }));
    await completions(left.queue, 1);
    for (let i = 0; i < 3; i++) expect(left.queue.poll(other)).toBe(0);
    const again = sends({ from: left.memory, length: 4 });
    for (let i = 0; i < 3; i++) expect(left.pair.postSend(again, 1)).toBe(1);
    for (const count of [2, -1, 2 ** 31]) {
      expect(() => left.pair.postSend(again, count)).toThrow(expect.objectContaining({ code: 'EINVAL' }));
    }
    expect(left.pair.postSend(again, 0)).toBe(0);
    await left.pair.toReset();
    for (let i = 0; i < 3; i++) expect(() => left.pair.postSend(again, 1)).toThrow(expect.objectContaining({ code: 'EINVAL' }));
    for (const wrong of [undefined, null, {}]) {
      for (let i = 0; i < 2; i++) {
        expect(() => left.pair.postSend(wrong as never, 1)).toThrow(expect.objectContaining({ code: 'EINVAL' }));
        expect(() => left.queue.poll(wrong as never)).toThrow(expect.objectContaining({ code: 'EINVAL' }));
      }
    }
    for (let i = 0; i < 3; i++) left.queue.poll(other);
    await context.close();
    expect(() => left.queue.poll(other)).toThrow(expect.objectContaining({ code: 'EBADF' }));
    expect(() => left.pair.postSend(again, 1)).toThrow(expect.objectContaining({ code: 'EBADF' }));
  });

  it('carry immediate data and tell which completions have it', async () => {
    const { context, left, right } = await connectPair();
    right.pair.postReceive(receives(right.memory, 0, 64, 2), 2);
    const to = right.memory;
    const requests = sends(
      { opcode: OPCODE.sendWithImmediate, immediate: 0xcafe0001, from: left.memory, length: 4, flags: 0 },
      { opcode: OPCODE.rdmaWriteWithImmediate, immediate: 7, from: left.memory, length: 4, to, flags: SEND_FLAG.signaled },
    );
    expect(left.pair.postSend(requests, 2)).toBe(2);
    expect(await completions(right.queue, 2)).toMatchObject([
      { opcode: COMPLETION_OPCODE.receive, flags: COMPLETION_FLAG.immediate, immediate: 0xcafe0001, length: 4 },
      { opcode: COMPLETION_OPCODE.receiveRdmaWithImmediate, flags: COMPLETION_FLAG.immediate, immediate: 7 },
    ]);
    // Only the signaled one completes at the sender.
    expect(await completions(left.queue, 1)).toMatchObject([{ opcode: COMPLETION_OPCODE.rdmaWrite }]);
    expect(poll(left.queue)).toEqual([]);
    await context.close();
  });

  it('move 64 MB by RDMA WRITE, byte for byte', { timeout: 300_000 }, async () => {
    const chunk = 1 << 20;
    const { context, left, right } = await connectPair({ bytes: 8 * chunk });
    const sent = createHash('sha256');
    const arrived = createHash('sha256');
    for (let round = 0; round < 8; round++) {
      const piece = randomBytes(chunk);
      for (let i = 0; i < 8; i++) {
        piece[0] = i;
        left.memory.bytes.set(piece, i * chunk);
      }
      sent.update(left.memory.bytes);
      const requests = Array.from({ length: 8 }, (_, i) => ({
        ...{ id: i, opcode: OPCODE.rdmaWrite, from: left.memory, offset: i * chunk, length: chunk },
        ...{ to: { address: right.memory.address + BigInt(i * chunk), rkey: right.memory.rkey } },
      }));
      expect(left.pair.postSend(sends(...requests), 8)).toBe(8);
      for (const { status } of await completions(left.queue, 8)) expect(status).toBe(STATUS.success);
      arrived.update(right.memory.bytes);
    }
    expect(arrived.digest('hex')).toBe(sent.digest('hex'));
    await context.close();
  });

  it('copy inline bytes while posting', async () => {
    const { context, left, right } = await connectPair({ maxInline: 64 });
    right.pair.postReceive(receives(right.memory, 0, 64, 1), 1);
    left.memory.bytes.write('inline', 0);
    expect(left.pair.postSend(sends({ from: left.memory, length: 6, lkey: 0, flags: SEND_FLAG.signaled | SEND_FLAG.inline }), 1)).toBe(1);
    left.memory.bytes.fill(0x78, 0, 6);
    await completions(right.queue, 1);
    expect(right.memory.bytes.toString('latin1', 0, 6)).toBe('inline');
    await context.close();
  });

  it('take no more requests than fit and say how many', async () => {
    const { context, left, right } = await connectPair({ maxSend: 16, maxReceive: 16 });
    const taken = right.pair.postReceive(receives(right.memory, 0, 64, 200), 200);
    expect(taken).toBeGreaterThanOrEqual(16);
    expect(taken).toBeLessThan(200);
    expect(right.pair.postReceive(receives(right.memory, 0, 64, 1), 1)).toBe(0);
    // Nothing is left over after what was taken has completed.
    await right.pair.toError();
    expect(await completions(right.queue, taken)).toHaveLength(taken);
    expect(left.pair.number).not.toBe(right.pair.number);
    await context.close();
  });
});

describe('event mode', () => {
  it('calls back once for a completion of an armed queue, and not before', async () => {
    const { context, left, right } = await connectPair();
    right.pair.postReceive(receives(right.memory, 0, 64, 4), 4);
    let events = 0;
    let told = () => {};
    right.queue.onEvent = () => {
      events++;
      told();
    };
    left.pair.postSend(sends({ from: left.memory, length: 1 }), 1);
    await completions(right.queue, 1);
    expect(events).toBe(0);
    right.queue.arm(false);
    expect(poll(right.queue)).toEqual([]);
    const event = new Promise<void>((resolve) => (told = resolve));
    left.pair.postSend(sends({ from: left.memory, length: 2 }), 1);
    await event;
    expect(poll(right.queue)).toMatchObject([{ length: 2 }]);
    expect(events).toBe(1);
    await context.close();
  });

  it('wakes a queue armed for solicited completions only by those', async () => {
    const { context, left, right } = await connectPair();
    right.pair.postReceive(receives(right.memory, 0, 64, 4), 4);
    right.queue.arm(true);
    let events = 0;
    const event = new Promise<void>((resolve) => {
      right.queue.onEvent = () => {
        events++;
        resolve();
      };
    });
    left.pair.postSend(sends({ from: left.memory, length: 1 }), 1);
    await completions(left.queue, 1);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(events).toBe(0);
    left.pair.postSend(sends({ from: left.memory, length: 1, flags: SEND_FLAG.signaled | SEND_FLAG.solicited }), 1);
    await event;
    expect(poll(right.queue)).toHaveLength(2);
    await context.close();
  });
});

describe('errors', () => {
  it('complete a write with a wrong rkey as remote access error, and flush what follows', async () => {
    const { context, left, right } = await connectPair();
    const to = { address: right.memory.address, rkey: right.memory.rkey ^ 0xff };
    const requests = sends(
      { id: 1, opcode: OPCODE.rdmaWrite, from: left.memory, length: 8, to },
      { id: 2, opcode: OPCODE.rdmaWrite, from: left.memory, length: 8, to: right.memory },
    );
    left.memory.bytes.fill(1, 0, 8);
    left.pair.postSend(requests, 2);
    expect(await completions(left.queue, 2)).toMatchObject([
      { id: 1, status: STATUS.remoteAccess },
      { id: 2, status: STATUS.flushed },
    ]);
    expect(right.memory.bytes.subarray(0, 8)).toEqual(Buffer.alloc(8));
    expect(await left.pair.queryState()).toBe('error');
    await context.close();
  });

  it('complete a write beyond the memory as remote access error', async () => {
    const { context, left, right } = await connectPair({ bytes: 4096 });
    const to = { address: right.memory.address + 4090n, rkey: right.memory.rkey };
    left.pair.postSend(sends({ opcode: OPCODE.rdmaWrite, from: left.memory, length: 8, to }), 1);
    expect(await completions(left.queue, 1)).toMatchObject([{ status: STATUS.remoteAccess }]);
    await context.close();
  });

  it('complete a SEND that finds no receive, when RNR retries are limited', async () => {
    const { context, left } = await connectPair({ rnrRetry: 1 });
    left.pair.postSend(sends({ from: left.memory, length: 8 }), 1);
    expect(await completions(left.queue, 1)).toMatchObject([{ status: STATUS.rnrRetryExceeded }]);
    await context.close();
  });

  it('complete what is under way to a peer that is gone, after all retries', async () => {
    const { context, left, right } = await connectPair({ timeout: 10, retryCount: 1 });
    await right.pair.destroy();
    left.pair.postSend(sends({ opcode: OPCODE.rdmaWrite, from: left.memory, length: 8, to: right.memory }), 1);
    expect(await completions(left.queue, 1)).toMatchObject([{ status: STATUS.retryExceeded }]);
    await context.close();
  });

  // rdma_rxe looks at receives posted in ERROR only when something else happens: that they are taken is all there is to test.
  it('flush posted receives when the state becomes ERROR, and sends posted then', async () => {
    const { context, left, right } = await connectPair();
    right.pair.postReceive(receives(right.memory, 0, 64, 3), 3);
    await right.pair.toError();
    expect((await completions(right.queue, 3)).map(({ id, status }) => [id, status])).toEqual([0, 1, 2].map((id) => [id, STATUS.flushed]));
    expect(right.pair.postReceive(receives(right.memory, 0, 64, 1), 1)).toBe(1);
    await left.pair.toError();
    expect(left.pair.postSend(sends({ id: 9, from: left.memory, length: 8 }), 1)).toBe(1);
    expect(await completions(left.queue, 1)).toMatchObject([{ id: 9, status: STATUS.flushed }]);
    await context.close();
  });
});
