// onread.ts - the `onread` option: received bytes go into a buffer of the caller, and no 'data' is emitted.

import { describe, expect, it } from 'vitest';
import { event, settled, turns, until } from '../support/events.js';
import { payload } from '../support/random.js';
import { open, type TransportCase } from './transport-case.js';

export function onread(t: TransportCase): void {
  describe('onread', () => {
    it('reads into the buffer of the caller', async () => {
      const buffer = Buffer.alloc(1000);
      const chunks: Buffer[] = [];
      let lent = true;
      const onread = {
        buffer,
        callback: (length: number, given: Uint8Array) => {
          lent &&= given === buffer && length <= buffer.length;
          return chunks.push(Buffer.from(buffer.subarray(0, length))) > 0;
        },
      };
      const { client, accepted } = await open(t, { client: { onread } });
      client.on('data', () => chunks.push(Buffer.from("'data' was emitted")));
      accepted.end(payload(9, 123_457));
      await event(client, 'end');
      expect(lent).toBe(true);
      expect(Buffer.concat(chunks).equals(payload(9, 123_457))).toBe(true);
      expect(client.bytesRead).toBe(123_457);
    });

    it('calls the callback as a method of the socket', async () => {
      const seen = new Set<unknown>();
      const onread = {
        buffer: Buffer.alloc(10),
        callback(this: unknown) {
          seen.add(this);
          return true;
        },
      };
      const { client, accepted } = await open(t, { client: { onread } });
      accepted.end('x');
      await event(client, 'end');
      expect([...seen]).toEqual([client]);
    });

    it('asks for a new buffer each time when given a function', async () => {
      const chunks: Buffer[] = [];
      const onread = {
        buffer: () => Buffer.alloc(777),
        callback: (length: number, given: Uint8Array) => chunks.push(Buffer.from(given.subarray(0, length))) > 0,
      };
      const { client, accepted } = await open(t, { client: { onread } });
      accepted.end(payload(10, 50_000));
      await event(client, 'end');
      expect(Buffer.concat(chunks).equals(payload(10, 50_000))).toBe(true);
    });

    it('pauses when the callback returns false and goes on by resume()', async () => {
      const chunks: Buffer[] = [];
      const onread = {
        buffer: Buffer.alloc(100),
        callback: (length: number, given: Uint8Array) => {
          chunks.push(Buffer.from(given.subarray(0, length)));
          return false;
        },
      };
      const { client, accepted } = await open(t, { client: { onread } });
      accepted.end(payload(11, 350));
      let ended = false;
      client.on('end', () => {
        ended = true;
      });
      for (let count = 1; count <= 4; count++) {
        await until(() => chunks.length === count);
        await turns(10);
        expect(chunks.length).toBe(count);
        client.resume();
      }
      await until(() => ended);
      expect(Buffer.concat(chunks).equals(payload(11, 350))).toBe(true);
    });

    it('does not end while it is paused', async () => {
      const onread = { buffer: Buffer.alloc(100), callback: () => false };
      const { client, accepted } = await open(t, { client: { onread } });
      let ended = false;
      client.on('end', () => {
        ended = true;
      });
      accepted.end('x');
      await until(() => client.bytesRead === 1);
      await settled(() => Number(ended), 50);
      expect(ended).toBe(false);
      client.resume();
      await until(() => ended);
    });

    it('stops at pause() as well', async () => {
      let received = 0;
      const onread = { buffer: Buffer.alloc(1000), callback: (length: number) => (received += length) > 0 };
      const { client, accepted } = await open(t, { client: { onread } });
      accepted.write('x');
      await until(() => received === 1);
      client.pause();
      accepted.write(payload(12, 10_000));
      await settled(() => received, 50);
      // What had been under way when it paused may still arrive: at most one buffer.
      expect(received).toBeLessThanOrEqual(1001);
      client.resume();
      await until(() => received === 10_001);
    });
  });
}
