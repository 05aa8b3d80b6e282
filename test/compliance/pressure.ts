// pressure.ts - a reader that does not read stops the writer; memory stays bounded; nothing is lost.

import type { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { event, settled, take, until } from '../support/events.js';
import { payload, Verifier } from '../support/random.js';
import { open, type TransportCase } from './transport-case.js';

const CHUNK = 64 * 1024;

/** Writes the stream of `seed` until the socket asks to wait and no 'drain' follows any more; what was written. */
async function fill(socket: Socket, seed: number): Promise<number> {
  let written = 0;
  const more = (): void => {
    do written += CHUNK;
    while (socket.write(payload(seed, CHUNK, written - CHUNK)));
  };
  socket.on('drain', more);
  more();
  await settled(() => written);
  socket.off('drain', more);
  return written;
}

/** What the transport and the reader hold at most, with the reader's own buffer and one read into it. */
function bound(t: TransportCase, reader: Socket): number {
  return t.capacity + reader.readableHighWaterMark + CHUNK;
}

async function drainInto(reader: Socket, verifier: Verifier, total: number): Promise<void> {
  reader.on('data', (chunk) => verifier.take(chunk));
  reader.resume();
  await until(() => verifier.received >= total);
}

export function pressure(t: TransportCase): void {
  describe('back pressure', () => {
    for (const paused of ['server', 'client'] as const) {
      it(`stops the writer when the ${paused} does not read, and goes on without loss`, async () => {
        const { client, accepted } = await open(t);
        const [reader, writer] = paused === 'server' ? [accepted, client] : [client, accepted];
        reader.pause();
        const written = await fill(writer, 1);
        expect(writer.writableNeedDrain).toBe(true);
        expect(written - writer.writableLength).toBeLessThanOrEqual(bound(t, reader));
        expect(reader.readableLength).toBeLessThanOrEqual(reader.readableHighWaterMark + CHUNK);

        const verifier = new Verifier(1);
        const drained = event(writer, 'drain');
        await drainInto(reader, verifier, written);
        await drained;
        writer.end(payload(1, 1000, written));
        await event(reader, 'end');
        expect(verifier.received).toBe(written + 1000);
      });
    }

    it('holds for a reader that nobody listens to', async () => {
      const { client, accepted } = await open(t);
      const written = await fill(client, 2);
      expect(written - client.writableLength).toBeLessThanOrEqual(bound(t, accepted));
      const verifier = new Verifier(2);
      await drainInto(accepted, verifier, written);
      expect(verifier.received).toBe(written);
    });

    it('holds for a server that pauses on connect', async () => {
      const { client, accepted } = await open(t, { server: { pauseOnConnect: true } });
      const written = await fill(client, 3);
      expect(written - client.writableLength).toBeLessThanOrEqual(bound(t, accepted));
      expect(accepted.readableLength).toBe(0);
      const verifier = new Verifier(3);
      await drainInto(accepted, verifier, written);
      expect(verifier.received).toBe(written);
    });

    it('does not stop the other direction', async () => {
      const { client, accepted } = await open(t);
      accepted.pause();
      await fill(client, 4);
      for (let i = 0; i < 20; i++) {
        accepted.write(payload(5, 50_000, i * 50_000));
        expect((await take(client, 50_000)).equals(payload(5, 50_000, i * 50_000))).toBe(true);
      }
    });

    it('does not stop another connection', async () => {
      const stuck = await open(t);
      stuck.accepted.pause();
      await fill(stuck.client, 6);
      const { client, accepted } = await open(t);
      for (let i = 0; i < 20; i++) {
        client.write(payload(7, 50_000, i * 50_000));
        expect((await take(accepted, 50_000)).equals(payload(7, 50_000, i * 50_000))).toBe(true);
      }
    });

    it('survives stopping and going on many times', async () => {
      const { client, accepted } = await open(t);
      const total = 3_000_000;
      const verifier = new Verifier(8);
      accepted.on('data', (chunk) => {
        verifier.take(chunk);
        accepted.pause();
        setImmediate(() => accepted.resume());
      });
      for (let offset = 0; offset < total; offset += 30_000) {
        if (!client.write(payload(8, 30_000, offset))) await event(client, 'drain');
      }
      client.end();
      await event(accepted, 'end');
      expect(verifier.received).toBe(total);
    });

    it('calls back a write only when it was taken', async () => {
      const { client, accepted } = await open(t);
      accepted.pause();
      const written = await fill(client, 9);
      let called = false;
      client.write('last', () => {
        called = true;
      });
      expect(client.writableLength).toBeGreaterThan(0);
      await settled(() => called, 50);
      expect(called).toBe(false);
      const verifier = new Verifier(9);
      accepted.on('data', (chunk) => {
        if (verifier.received < written) verifier.take(chunk.subarray(0, written - verifier.received));
      });
      accepted.resume();
      await until(() => called);
    });
  });
}
