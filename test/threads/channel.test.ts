// channel.test.ts - worker channels: bytes, records and ends between two threads, and within one.

import { once } from 'node:events';
import { MessageChannel, Worker } from 'node:worker_threads';
import { ChannelEnd, createChannel, open, openBlocking, type WorkerPort } from '@smcjs/core/channel';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { collect, errorOf, event, record, until } from '../support/events.js';
import { payload } from '../support/random.js';
import { both, codeOf, opened, withWorker } from './pair.js';

describe('a worker channel', () => {
  for (const role of ['stream', 'blocking'] as const) {
    it(`gives back every byte of a stream that a ${role} end echoes, many times the ring`, async () => {
      const { end } = withWorker(role, {}, { allowHalfOpen: true });
      const bytes = payload(1, 1_000_003);
      const echoed = collect(end);
      end.end(bytes);
      expect((await echoed).equals(bytes)).toBe(true);
      await event(end, 'close');
      expect(end.stats()).toMatchObject({ transport: 'memory', bytesRead: bytes.length, bytesWritten: bytes.length });
    });

    it(`is a queue: any sizes through ring and stream of a ${role} end come back in order`, async () => {
      const chunks = fc.array(fc.record({ by: fc.constantFrom('write', 'reserve', 'ring'), bytes: fc.integer({ min: 1, max: 9000 }) }), {
        minLength: 1,
        maxLength: 60,
      });
      await fc.assert(
        fc.asyncProperty(chunks, async (sent) => {
          const { end, worker } = withWorker(role, {}, { allowHalfOpen: true });
          const all = payload(
            2,
            sent.reduce((sum, { bytes }) => sum + bytes, 0),
          );
          const echoed = collect(end);
          let at = 0;
          for (const { by, bytes } of sent) {
            const to = at + bytes;
            if (by === 'write') await new Promise<void>((resolve) => end.write(all.subarray(at, to), () => resolve()));
            while (by !== 'write' && at < to) {
              await end.ring.writable(1);
              if (by === 'ring') at += end.ring.write(all.subarray(0, to), at);
              const view = by === 'reserve' ? end.ring.reserve(1) : undefined;
              view?.set(all.subarray(at, at + 1));
              if (view !== undefined) end.ring.commit(1);
              at += view?.length ?? 0;
            }
            at = to;
          }
          end.end();
          expect((await echoed).equals(all)).toBe(true);
          await worker.terminate();
        }),
        { numRuns: 6 },
      );
    });
  }

  it("loses nothing to who awaits one 'data' after the other, nor the end", async () => {
    const { end } = withWorker('stream', {}, { allowHalfOpen: true });
    const bytes = payload(3, 500_009);
    const ended = event(end, 'end').then(() => undefined);
    end.end(bytes);
    const chunks: Buffer[] = [];
    for (;;) {
      const chunk = await Promise.race([once(end, 'data'), ended]);
      if (chunk === undefined) break;
      chunks.push(chunk[0] as Buffer);
    }
    expect(Buffer.concat(chunks).equals(bytes)).toBe(true);
  });

  it('keeps what is sent before the other side opens its port', async () => {
    const { port1, port2 } = createChannel();
    const end = opened(port1);
    end.end('early');
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(String(await collect(opened(port2)))).toBe('early');
  });

  it('delivers to whoever awaits, to callbacks and to listeners while both sides poll', async () => {
    const [here, there] = both();
    there.on('data', (chunk) => there.write(chunk));
    const { ring } = here;
    for (let i = 0; i < 200; i++) {
      ring.write(Buffer.of(i & 0xff));
      expect(await ring.readable()).toBe(true);
      expect(ring.peek()?.[0]).toBe(i & 0xff);
      ring.release(1);
    }
  });

  it('lets timers and immediates have their turn while messages come in a row', async () => {
    const [here, there] = both();
    for (const [end, other] of [[here, there] as const, [there, here] as const]) {
      const { ring } = end;
      ring.onreadable = () => {
        const view = ring.peek();
        if (view === undefined) return;
        ring.release(view.length);
        if (!other.destroyed) ring.write(Buffer.of(1));
      };
    }
    here.ring.write(Buffer.of(1));
    let turns = 0;
    for (; turns < 20; turns++) await new Promise((resolve) => setTimeout(resolve, 1));
    expect(turns).toBe(20);
    await new Promise((resolve) => setImmediate(resolve));
    await until(() => here.bytesRead > 1000);
    here.destroy();
  });

  it('has a listener that throws heard of, and the others told all the same', async () => {
    const [here, there] = both();
    const others = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    const thrown: unknown[] = [];
    process.on('uncaughtException', (error) => thrown.push(error));
    try {
      let seen = 0;
      there.on('data', (chunk: Buffer) => {
        seen += chunk.length;
        if (seen === 2) throw new Error('of a listener');
      });
      for (const letter of ['a', 'b', 'c']) {
        here.write(letter);
        await until(() => seen === letter.charCodeAt(0) - 96);
      }
      await until(() => thrown.length === 1);
    } finally {
      process.removeAllListeners('uncaughtException');
      for (const listener of others) process.on('uncaughtException', listener);
    }
  });
});

describe('the end of a worker channel', () => {
  it('is an end when the other side ends or closes, after everything was read', async () => {
    for (const how of ['end', 'destroy'] as const) {
      const [here, there] = both();
      const events = record(here);
      there.write(payload(3, 5000));
      there[how]();
      const bytes = await collect(here);
      expect(bytes.equals(payload(3, 5000))).toBe(true);
      await until(() => here.closed);
      expect(events.filter((name) => name.startsWith('error'))).toEqual([]);
    }
  });

  it('is ECONNRESET when the other side resets, after everything was read', async () => {
    const [here, there] = both();
    const events = record(here);
    there.write('last words');
    there.resetAndDestroy();
    let text = '';
    here.on('data', (chunk) => (text += String(chunk)));
    await until(() => here.closed);
    expect(text).toBe('last words');
    expect(events).toContain('error ECONNRESET');
  });

  it('is ECONNRESET when the other thread is terminated, after what it had sent', async () => {
    const { end, worker } = withWorker('idle', { seed: 4 });
    const events = record(end);
    await event(worker, 'message');
    await worker.terminate();
    const chunks: Buffer[] = [];
    end.on('data', (chunk: Buffer) => chunks.push(chunk));
    await until(() => end.closed);
    expect(Buffer.concat(chunks).equals(payload(4, 1000))).toBe(true);
    expect(events).toEqual(['error ECONNRESET', 'close']);
  });

  it('is ECONNRESET also when the other thread was gone before this side opened its port', async () => {
    for (const wait of [false, true]) {
      const { port1, port2 } = createChannel();
      const worker = new Worker(new URL('../dist/threads/partner.js', import.meta.url), {
        workerData: { role: 'idle', seed: 5, port: port2 },
        transferList: [port2.bell],
      });
      await event(worker, 'message');
      await worker.terminate();
      if (wait) await new Promise((resolve) => setTimeout(resolve, 50));
      const end = opened(port1);
      const events = record(end);
      const chunks: Buffer[] = [];
      end.on('data', (chunk: Buffer) => chunks.push(chunk));
      await until(() => end.closed);
      expect(Buffer.concat(chunks).equals(payload(5, 1000))).toBe(true);
      expect(events).toEqual(['error ECONNRESET', 'close']);
    }
  });

  for (const role of ['exits', 'unrefs'] as const) {
    it(`is an end when the other thread ${role} with its end open`, async () => {
      const { end } = withWorker(role, { seed: 6 });
      const events = record(end);
      expect((await collect(end)).equals(payload(6, 1000))).toBe(true);
      await until(() => end.closed);
      expect(events.at(-1)).toBe('close');
    });
  }

  it('fails a write that waits for room when the other thread is terminated', async () => {
    const { end, worker } = withWorker('idle');
    end.on('error', () => {});
    await event(worker, 'message');
    const { ring } = end;
    ring.peek();
    const code = codeOf(
      () => new Promise<void>((resolve, reject) => end.write(Buffer.alloc(10_000_000), (error) => (error ? reject(error) : resolve()))),
    );
    await worker.terminate();
    expect(['EPIPE', 'ECONNRESET', 'ECANCELED', 'ERR_STREAM_DESTROYED']).toContain(await code);
  });

  it('answers who waits for bytes or room when either side closes', async () => {
    for (const closing of [0, 1]) {
      const pair = both();
      const [here] = pair;
      here.on('error', () => {});
      pair[1].on('error', () => {});
      here.ring.write(Buffer.alloc(16_384));
      const room = here.ring.writable(1);
      const bytes = here.ring.readable();
      pair[closing]?.destroy();
      expect([await room, await bytes]).toEqual([false, false]);
    }
  });

  it('is not taken for one by the other direction: half open both ways', async () => {
    const [here, there] = both(16_384, { allowHalfOpen: true });
    here.end('question');
    expect(String(await collect(there))).toBe('question');
    there.end('answer');
    expect(String(await collect(here))).toBe('answer');
    await until(() => here.closed && there.closed);
  });
});

describe('a port', () => {
  it('belongs to one end: opening it again is an error, whatever kind of end', async () => {
    const { port1, port2 } = createChannel();
    opened(port1);
    expect(await codeOf(() => open(port1))).toBe('ERR_SMC_PORT_IN_USE');
    expect(await codeOf(() => openBlocking(port1))).toBe('ERR_SMC_PORT_IN_USE');
    openBlocking(port2).close();
    expect(await codeOf(() => open(port2))).toBe('ERR_SMC_PORT_IN_USE');
  });

  it('is refused when it is none', async () => {
    const { port1, port2 } = createChannel();
    const small = new SharedArrayBuffer(1024);
    for (const wrong of [
      undefined,
      null,
      1,
      {},
      { ...port1, rx: small },
      { ...port1, tx: port1.rx },
      { ...port1, bell: 1 },
      { ...port1, type: 'x' },
    ]) {
      expect(await codeOf(() => open(wrong as WorkerPort))).toBe('ERR_SMC_INVALID_PORT');
    }
    // Nothing of that has spoilt it.
    opened(port1).end('fine');
    expect(String(await collect(opened(port2)))).toBe('fine');
  });

  it('that was posted elsewhere ends at once where it is opened by mistake, and crashes nothing', async () => {
    for (const openWrong of [open, openBlocking]) {
      const { port2 } = createChannel();
      const { port1: carrier } = new MessageChannel();
      carrier.postMessage(port2, [port2.bell]);
      const end = openWrong(port2);
      if (end instanceof ChannelEnd) expect((await errorOf(end)).code).toBe('ECONNRESET');
      else expect(await codeOf(() => end.readable())).toBe('ECONNRESET');
      carrier.close();
    }
  });

  it('is of a channel with a size that can be', async () => {
    for (const ringSize of [0, 1, 8192, 16_385, 2 ** 29, Number.NaN, '65536' as unknown as number, 65_536.5]) {
      expect(await codeOf(() => createChannel({ ringSize }))).toBe('ERR_SMC_INVALID_OPTION');
    }
    expect(await codeOf(() => open(createChannel().port1, { busyPoll: 'sometimes' as never }))).toBe('ERR_SMC_INVALID_OPTION');
  });

  it('whose ring is overwritten ends its channel with ERR_SMC_PEER_VIOLATION', async () => {
    for (const word of [32, 64]) {
      const { port1, port2 } = createChannel({ ringSize: 16_384 });
      const end = opened(port1);
      opened(port2)
        .on('error', () => {})
        .write('x');
      const events = record(end);
      // The producer cursor of what we read, or the consumer cursor of what we write.
      new Int32Array(word === 32 ? port1.rx : port1.tx)[word] = 0x7fff_0000;
      end.write(Buffer.alloc(20_000));
      end.resume();
      await until(() => end.closed);
      expect(events).toContain('error ERR_SMC_PEER_VIOLATION');
    }
  });
});
