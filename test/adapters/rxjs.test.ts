// rxjs.test.ts - Observables of records and frames, and Observables and iterables into a connection: with real workers, within
// this thread, and over TCP.

import { batches, createChannel, frames, open, sendAll } from '@smcjs/core/channel';
import { fromBatches, fromFrames, fromRecords, sendFramesTo, sendTo } from '@smcjs/core/rxjs';
import fc from 'fast-check';
import { createServer as createNetServer, connect as netConnect, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import {
  concatMap,
  firstValueFrom,
  from,
  interval,
  lastValueFrom,
  map,
  NEVER,
  Observable,
  of,
  Subject,
  take,
  throwError,
  toArray,
} from 'rxjs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { event, settled, turns, until } from '../support/events.js';
import { payload } from '../support/random.js';
import { both, codeOf, withWorker } from '../threads/pair.js';
import { recordOf } from '../threads/partner.js';

/** Two ends of a TCP connection of node:net. */
async function tcp(): Promise<[Socket, Socket]> {
  const server = createNetServer();
  server.listen(0, '127.0.0.1');
  await event(server, 'listening');
  const client = netConnect((server.address() as AddressInfo).port, '127.0.0.1');
  const [accepted] = (await event(server, 'connection')) as [Socket];
  server.close();
  for (const socket of [client, accepted]) {
    socket.on('error', () => {});
    onTestFinished(() => void socket.destroy());
  }
  if (client.connecting) await event(client, 'connect');
  return [client, accepted];
}

/** A worker that sends for ever: how it takes the end of that is not looked at. */
function endless(role: 'sender' | 'frames'): ReturnType<typeof withWorker> {
  const pair = withWorker(role, { seed: 8 });
  pair.worker.on('error', () => {});
  return pair;
}

const numbers = (values: Iterable<number>): Float64Array[] => Array.from(values, (value) => Float64Array.of(value));
const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const firsts = map((frame: Float64Array) => frame[0] as number);

describe('an Observable of records', () => {
  it('has every record of a worker, in order, and completes at its end', async () => {
    const { end } = withWorker('sender', { seed: 5, count: 3000 });
    let next = 0;
    await lastValueFrom(fromRecords(end).pipe(map((record) => expect(recordOf(5, next++).equals(record)).toBe(true))));
    expect(next).toBe(3000);
  });

  it('has them in batches, too', async () => {
    const { end } = withWorker('blockingSender', { seed: 6, count: 3000 });
    const records = (await lastValueFrom(fromBatches(end, 50).pipe(toArray()))).flat();
    expect(records.every((record, i) => recordOf(6, i).equals(record))).toBe(true);
    expect(records.length).toBe(3000);
  });

  it('errors with ECONNRESET after what came, when the worker is terminated', async () => {
    const { end, worker } = withWorker('sender', { seed: 7 });
    let next = 0;
    const code = await codeOf(() =>
      lastValueFrom(
        fromRecords(end).pipe(
          map((record) => {
            if (!recordOf(7, next++).equals(record)) throw new Error('damaged');
            if (next === 500) void worker.terminate();
          }),
        ),
      ),
    );
    expect(code).toBe('ECONNRESET');
    expect(next).toBeGreaterThanOrEqual(500);
  });

  it('that is unsubscribed leaves what it has not emitted, and the connection open', async () => {
    const [here, there] = both();
    await sendAll(
      here,
      upTo(9).map((value) => Buffer.of(value)),
    );
    const got: (number | undefined)[] = [];
    for (let i = 0; i < 3; i++) got.push(...(await lastValueFrom(fromRecords(there).pipe(take(3), toArray()))).map((record) => record[0]));
    expect(got).toEqual(upTo(9));
    // Waiting is given up, too: what comes then is not taken by who has gone.
    fromRecords(there).subscribe().unsubscribe();
    await sendAll(here, [Buffer.of(9)]);
    await turns();
    expect((await firstValueFrom(fromRecords(there)))[0]).toBe(9);
    expect(there.destroyed).toBe(false);
    expect(there.listenerCount('error')).toBe(1);
  });

  it('with a projection waits for it: the ring fills and the sender stops', async () => {
    const { end } = endless('sender');
    let active = 0;
    let seen = 0;
    const project = async (record: Uint8Array): Promise<number> => {
      expect(++active).toBe(1);
      if (seen % 20 === 0) await settled(() => end.bytesRead, 30);
      active--;
      return record.length;
    };
    await lastValueFrom(
      fromRecords(end, project).pipe(
        take(100),
        map(() => seen++),
      ),
    );
    const { bytesRead } = end;
    await delay(50);
    expect(end.bytesRead).toBe(bytesRead);
  });

  it('needs a ring', async () => {
    const [client] = await tcp();
    expect(await codeOf(() => lastValueFrom(fromRecords(client as never)))).toBe('ERR_SMC_FALLBACK');
  });
});

describe('an Observable of frames', () => {
  it('over a channel and over TCP: any frames come out as they went in', async () => {
    const plan = fc.array(fc.array(fc.double(), { maxLength: 100 }), { maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(plan, fc.boolean(), async (values, overTcp) => {
        const [here, there] = overTcp ? await tcp() : both();
        const sent = values.map((each) => Float64Array.from(each));
        const received = lastValueFrom(fromFrames(there, Float64Array).pipe(toArray()), { defaultValue: [] });
        await lastValueFrom(sendFramesTo(here, Float64Array)(sent), { defaultValue: undefined });
        expect(await received).toEqual(sent);
      }),
      { numRuns: 25 },
    );
  });

  it('lends them to a projection until what is made of them has completed', async () => {
    const [here, there] = both();
    await lastValueFrom(sendFramesTo(here, Float64Array)(numbers(upTo(20))));
    let held = 0;
    const project = ({ view }: { view: Float64Array }): Observable<number> =>
      new Observable((subscriber) => {
        expect(++held).toBe(1);
        setImmediate(() => {
          subscriber.next(view[0] as number);
          held--;
          subscriber.complete();
        });
      });
    expect(await lastValueFrom(fromFrames(there, Float64Array, project).pipe(toArray()))).toEqual(upTo(20));
  });

  it('gives a lent frame back when it is unsubscribed in the middle of it', async () => {
    const [here, there] = both();
    await lastValueFrom(sendFramesTo(here, Float64Array)(numbers(upTo(5))));
    const seen: number[] = [];
    const subscription = fromFrames(there, Float64Array, ({ view }) => {
      seen.push(view[0] as number);
      return NEVER;
    }).subscribe();
    await until(() => seen.length > 0);
    subscription.unsubscribe();
    expect(await lastValueFrom(fromFrames(there, Float64Array).pipe(firsts, toArray()))).toEqual([1, 2, 3, 4]);
    expect(seen).toEqual([0]);
  });

  it('stops in an endless projection when nobody wants more', async () => {
    const [here, there] = both();
    here.ring.send([]);
    frames(here, Float64Array).reserve(1)?.commit();
    function* endless(): Generator<number> {
      for (let i = 0; ; i++) yield i;
    }
    expect(await lastValueFrom(fromFrames(there, Float64Array, endless).pipe(take(3), toArray()))).toEqual([0, 1, 2]);
  });

  it('is an error when a projection fails, with the frame given back and the connection open', async () => {
    const [here, there] = both();
    const out = sendFramesTo(here, Float64Array, { end: false });
    await lastValueFrom(out(numbers([1, 2, 3])));
    const failing = [
      () => {
        throw new Error('thrown');
      },
      () => throwError(() => new Error('emitted')),
    ];
    for (const project of failing) {
      await expect(lastValueFrom(fromFrames(there, Float64Array, project))).rejects.toThrow(/thrown|emitted/);
    }
    expect((await firstValueFrom(fromFrames(there, Float64Array)))[0]).toBe(3);
  });

  it('is an error with a code for frames of another type and ends that were cut off', async () => {
    const [here, there] = both();
    frames(here, Float32Array).reserve(3)?.commit();
    expect(await codeOf(() => lastValueFrom(fromFrames(there, Float64Array)))).toBe('ERR_SMC_FRAME_TYPE');
    const [client, accepted] = await tcp();
    client.end(Buffer.alloc(5));
    expect(await codeOf(() => lastValueFrom(fromFrames(accepted, Float64Array)))).toBe('ECONNRESET');
  });

  it('lets other events have their turn while frames keep coming', async () => {
    const { end } = endless('frames');
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    onTestFinished(() => clearInterval(timer));
    await lastValueFrom(fromFrames(end, Float32Array, () => [1]).pipe(take(5000)));
    expect(ticks).toBeGreaterThan(0);
  });
});

describe('sending', () => {
  it('asks an iterable for no more than there is room for', async () => {
    const [here, there] = both(16_384);
    let made = 0;
    async function* source(): AsyncGenerator<Buffer> {
      while (made < 300) yield payload(made++, 1000);
    }
    const sent = lastValueFrom(sendTo(here)(source()).pipe(toArray()));
    let received = 0;
    for await (const batch of batches(there, 5)) {
      await settled(() => made, 10);
      // What is in the ring, and one that waits.
      expect(made - received - batch.length).toBeLessThanOrEqual(16_384 / 1004 + 1);
      for (const record of batch) expect(payload(received++, 1000).equals(record)).toBe(true);
    }
    expect((await sent).length).toBe(300);
    expect(received).toBe(300);
  });

  it('takes promises, arrays and cold Observables as well, and emits what is in the ring', async () => {
    for (const source of [Promise.resolve(Buffer.of(1)), [Buffer.of(1)], of(Buffer.of(1))]) {
      const [here, there] = both();
      const emitted = await lastValueFrom(sendTo(here)(source).pipe(toArray()));
      expect(emitted).toEqual([Buffer.of(1)]);
      expect((await lastValueFrom(fromRecords(there)))[0]).toBe(1);
    }
  });

  it('lets an Observable wait up to the bound, and errors above it with a code', async () => {
    const [here, there] = both(16_384);
    const source = new Subject<Buffer>();
    let emitted = 0;
    const failed = codeOf(() =>
      lastValueFrom(
        source.pipe(
          sendTo(here, { buffer: 10 }),
          map(() => emitted++),
        ),
      ),
    );
    for (let i = 0; i < 26; i++) source.next(payload(i, 1000)); // 16 in the ring, 10 that wait
    expect(emitted).toBe(16);
    source.next(payload(26, 1000));
    expect(await failed).toBe('ERR_SMC_BUFFER_FULL');
    expect(source.observed).toBe(false);
    expect(here.destroyed).toBe(false);
    const records = await lastValueFrom(fromRecords(there).pipe(take(16), toArray()));
    expect(records.every((record, i) => payload(i, 1000).equals(record))).toBe(true);
  });

  it('drops what an Observable emits above the bound, if it is told to, and nothing else', async () => {
    const [here, there] = both(16_384);
    const source = new Subject<Buffer>();
    const emitted: Buffer[] = [];
    const sent = lastValueFrom(
      source.pipe(
        sendTo(here, { buffer: 3, overflow: 'drop' }),
        map((value) => emitted.push(value)),
      ),
    );
    for (let i = 0; i < 40; i++) source.next(payload(i, 1000));
    source.complete();
    const received = await lastValueFrom(fromRecords(there).pipe(toArray()));
    await sent;
    expect(received.length).toBe(19);
    expect(emitted).toEqual(upTo(19).map((i) => payload(i, 1000)));
    expect(received.every((record, i) => payload(i, 1000).equals(record))).toBe(true);
  });

  it('of a hot source: a worker gets what there was room for, in order', async () => {
    const { end } = withWorker('records', {}, { allowHalfOpen: true });
    const answers = lastValueFrom(fromRecords(end).pipe(toArray()));
    const source = interval(0).pipe(
      take(20),
      concatMap((tick) => from(upTo(50).map((i) => payload(tick * 50 + i, 900)))),
    );
    const sent = await lastValueFrom(source.pipe(sendTo(end, { overflow: 'drop', buffer: 8 }), toArray()));
    const received = await answers;
    expect(received.length).toBe(sent.length);
    expect(received.every((record, i) => (sent[i] as Buffer).equals(record))).toBe(true);
  });

  it('resets the connection with an error of the source, so that the peer does not take it for the end', async () => {
    for (const source of [
      throwError(() => new Error('source')),
      (async function* (): AsyncGenerator<Buffer> {
        yield Buffer.of(1);
        throw new Error('source');
      })(),
    ]) {
      const [here, there] = both();
      const heard = codeOf(() => lastValueFrom(fromRecords(there)));
      await expect(lastValueFrom(sendTo(here)(source as Observable<Buffer>))).rejects.toThrow('source');
      expect(await heard).toBe('ECONNRESET');
      expect(here.destroyed).toBe(true);
    }
  });

  it('errors when the peer goes, waiting or idle, and gives the source back', async () => {
    let returned = 0;
    async function* source(): AsyncGenerator<Buffer> {
      try {
        for (;;) yield Buffer.alloc(1000);
      } finally {
        returned++;
      }
    }
    const { end, worker } = withWorker('idle');
    const waiting = codeOf(() => lastValueFrom(sendTo(end)(source())));
    await event(worker, 'message');
    void worker.terminate();
    expect(['ECONNRESET', 'EPIPE']).toContain(await waiting);
    await until(() => returned === 1);

    const other = withWorker('idle');
    const idle = codeOf(() => lastValueFrom(sendTo(other.end)(NEVER)));
    other.end.resume();
    await event(other.worker, 'message');
    void other.worker.terminate();
    expect(['ECONNRESET', 'EPIPE']).toContain(await idle);
    expect(['ECONNRESET', 'EPIPE']).toContain(await codeOf(() => lastValueFrom(sendTo(other.end)(NEVER))));
  });

  it('that is unsubscribed in the middle gives the source back and leaves the connection open', async () => {
    const [here, there] = both(16_384);
    let returned = false;
    async function* source(): AsyncGenerator<Buffer> {
      try {
        for (let i = 0; ; i++) yield payload(i, 1000);
      } finally {
        returned = true;
      }
    }
    const subscription = sendTo(here)(source()).subscribe();
    await settled(() => here.bytesWritten, 30);
    subscription.unsubscribe();
    const before = here.bytesWritten;
    await lastValueFrom(fromRecords(there).pipe(take(16)));
    await until(() => returned);
    expect(here.bytesWritten).toBe(before);
    await sendAll(here, [Buffer.of(1)]);
    expect((await firstValueFrom(fromRecords(there)))[0]).toBe(1);
  });

  it('can leave the end to others', async () => {
    const [here, there] = both();
    await lastValueFrom(sendTo(here, { end: false })([Buffer.of(1)]));
    await lastValueFrom(sendTo(here)([Buffer.of(2)]));
    expect((await lastValueFrom(fromRecords(there).pipe(toArray()))).map(([value]) => value)).toEqual([1, 2]);
  });

  it('has errors with codes for options, records too large, and no ring', async () => {
    const [here] = both();
    expect(await codeOf(() => sendTo(here, { overflow: 'wait' as never }))).toBe('ERR_SMC_INVALID_OPTION');
    expect(await codeOf(() => sendTo(here, { buffer: -1 }))).toBe('ERR_SMC_INVALID_OPTION');
    for (const source of [[Buffer.alloc(9000)], of(Buffer.alloc(9000))]) {
      expect(await codeOf(() => lastValueFrom(sendTo(here)(source)))).toBe('ERR_SMC_RECORD_TOO_LARGE');
    }
    expect(await codeOf(() => lastValueFrom(sendFramesTo(here, Float64Array)([Int8Array.of(1) as never])))).toBe('ERR_SMC_FRAME_TYPE');
    const [client] = await tcp();
    expect(await codeOf(() => lastValueFrom(sendTo(client as never)([Buffer.of(1)])))).toBe('ERR_SMC_FALLBACK');
  });
});

describe('errors of a connection that an Observable tells', () => {
  it('need no other listener', async () => {
    const { port1, port2 } = createChannel();
    const [here, there] = [open(port1), open(port2)];
    const told = codeOf(() => lastValueFrom(fromRecords(there)));
    here.resetAndDestroy();
    expect(await told).toBe('ECONNRESET');
    if (!there.closed) await event(there, 'close');
  });
});
