// writing.ts - the writable side: encodings, callbacks, corking, 'drain' and what is counted as waiting.

import { describe, expect, it } from 'vitest';
import { collect, event, take, until } from '../support/events.js';
import { payload } from '../support/random.js';
import { accept, dial, listening, open, type TransportCase } from './transport-case.js';

const SAMPLES: readonly [BufferEncoding, string][] = [
  ['utf8', 'grüße, 世界, 🦀'],
  ['latin1', 'caf\u00e9 \u00ff'],
  ['hex', '00ff7f80deadbeef'],
  ['base64', 'aGVsbG8gd29ybGQh+/8='],
  ['base64url', 'aGVsbG8gd29ybGQh-_8'],
  ['utf16le', 'grüße 世界'],
  ['ascii', 'plain'],
  ['binary', '\u0000\u0001\u00fe'],
];

export function writing(t: TransportCase): void {
  describe('writing', () => {
    for (const [encoding, text] of SAMPLES) {
      it(`writes strings in ${encoding}`, async () => {
        const { client, accepted } = await open(t);
        const expected = Buffer.from(text, encoding);
        client.write(text, encoding);
        expect(await take(accepted, expected.length)).toEqual(expected);
        client.setDefaultEncoding(encoding);
        client.write(text);
        expect(await take(accepted, expected.length)).toEqual(expected);
        client.end(text, encoding);
        expect(await collect(accepted)).toEqual(expected);
        expect(client.bytesWritten).toBe(3 * expected.length);
      });
    }

    it('writes long strings of characters of several bytes', async () => {
      const { client, accepted } = await open(t);
      const text = 'aé世🦀'.repeat(40_000);
      client.end(text);
      expect((await collect(accepted)).toString() === text).toBe(true);
    });

    it('mixes strings and buffers in one corked batch', async () => {
      const { client, accepted } = await open(t);
      client.cork();
      client.write('é');
      client.write(Buffer.from([0xff]));
      client.write('ÿ', 'latin1');
      client.write('0a0b', 'hex');
      client.uncork();
      expect([...(await take(accepted, 6))]).toEqual([0xc3, 0xa9, 0xff, 0xff, 0x0a, 0x0b]);
    });

    it('refuses an unknown encoding', async () => {
      const { client } = await open(t);
      expect(() => client.write('x', 'nope' as never)).toThrow(expect.objectContaining({ code: 'ERR_UNKNOWN_ENCODING' }));
    });

    it('calls back once per write, in order', async () => {
      const { client, accepted } = await open(t);
      accepted.resume();
      const order: number[] = [];
      const sizes = [10, 0, 300_000, 1, 0, 70_000, 5];
      await Promise.all(
        sizes.map((size, i) => new Promise<void>((resolve) => client.write(payload(i, size), () => resolve(void order.push(i))))),
      );
      expect(order).toEqual([0, 1, 2, 3, 4, 5, 6]);
    });

    it('never calls back before write() has returned', async () => {
      const { client, accepted } = await open(t);
      accepted.resume();
      let returned = false;
      const called = new Promise<boolean>((resolve) => client.write('x', () => resolve(returned)));
      returned = true;
      expect(await called).toBe(true);
    });

    it('holds back what is corked and sends it together', async () => {
      const { client, accepted } = await open(t);
      const chunks: string[] = [];
      accepted.on('data', (chunk) => chunks.push(chunk.toString()));
      client.cork();
      client.cork();
      for (const text of ['a', 'bc', 'def']) client.write(text);
      client.uncork();
      expect([client.writableCorked, client.writableLength]).toEqual([1, 6]);
      // A second connection made meanwhile shows that the loop went round without the corked bytes moving.
      await open(t);
      expect(chunks).toEqual([]);
      client.uncork();
      await until(() => chunks.length > 0);
      expect(chunks).toEqual(['abcdef']);
      expect(client.writableCorked).toBe(0);
    });

    it('sends what is corked when it ends', async () => {
      const { client, accepted } = await open(t);
      client.cork();
      client.write('never ');
      client.end('uncorked');
      expect((await collect(accepted)).toString()).toBe('never uncorked');
    });

    it('batches hundreds of small writes without losing one', async () => {
      const { client, accepted } = await open(t);
      const receiving = collect(accepted);
      const expected: string[] = [];
      for (let round = 0; round < 10; round++) {
        client.cork();
        for (let i = 0; i < 100; i++) {
          expected.push(`${round}.${i};`);
          client.write(`${round}.${i};`);
        }
        process.nextTick(() => client.uncork());
        await new Promise((resolve) => void setImmediate(resolve));
      }
      client.end();
      expect((await receiving).toString()).toBe(expected.join(''));
    });

    it('takes a corked batch larger than anything in between', async () => {
      const { client, accepted } = await open(t);
      const receiving = collect(accepted);
      client.cork();
      for (let i = 0; i < 64; i++) client.write(payload(7, 30_011, i * 30_011));
      client.uncork();
      client.end();
      expect((await receiving).equals(payload(7, 64 * 30_011))).toBe(true);
    });

    it("says when to stop writing and emits 'drain' when to go on", async () => {
      const { client, accepted } = await open(t);
      expect(client.write('x')).toBe(true);
      await until(() => client.writableLength === 0);
      const large = payload(8, 40 * 1024 * 1024);
      expect(client.write(large)).toBe(false);
      expect(client.writableNeedDrain).toBe(true);
      expect(client.writableLength).toBe(large.length);
      const drained = event(client, 'drain');
      accepted.resume();
      await drained;
      expect([client.writableNeedDrain, client.writableLength]).toEqual([false, 0]);
      expect(client.write('y')).toBe(true);
    });

    it('counts what waits for the connection', async () => {
      const { server, port } = await listening(t);
      const accepting = accept(server);
      const client = dial(t, port, { highWaterMark: 10 } as never);
      expect(client.write('12345')).toBe(true);
      expect(client.write('67890')).toBe(false);
      expect([client.writableLength, client.writableHighWaterMark, client.writableNeedDrain]).toEqual([10, 10, true]);
      await event(client, 'drain');
      expect(client.writableLength).toBe(0);
      expect((await take(await accepting, 10)).toString()).toBe('1234567890');
    });

    it('calls back end() when everything was handed over', async () => {
      const { client, accepted } = await open(t);
      accepted.resume();
      await new Promise<void>((resolve) => void client.end('last', 'utf8', resolve));
      expect([client.writableEnded, client.writableFinished, client.writableLength]).toEqual([true, true, 0]);
    });

    it('is not writable any more once it ended', async () => {
      const { client, accepted } = await open(t);
      expect(client.writable).toBe(true);
      client.end();
      expect(client.writable).toBe(false);
      accepted.resume();
      await event(client, 'finish');
    });
  });
}
