// robustness.ts - re-entrance, fairness and the stream utilities of Node.

import type { Socket } from 'node:net';
import { finished } from 'node:stream/promises';
import { describe, expect, it } from 'vitest';
import { collect, event, take, until } from '../support/events.js';
import { payload } from '../support/random.js';
import { dial, listening, open, type TransportCase } from './transport-case.js';

export function robustness(t: TransportCase): void {
  describe('re-entrance', () => {
    it('goes on writing from the callback of the last write, tens of thousands of times', async () => {
      const { client, accepted } = await open(t);
      const count = 30_000;
      let written = 0;
      const next = (): void => {
        if (written++ < count) client.write('x', next);
        else client.end();
      };
      next();
      expect((await collect(accepted)).length).toBe(count);
    });

    it("answers from within 'data', thousands of times", async () => {
      const { client, accepted } = await open(t);
      const count = 5000;
      accepted.on('data', (chunk) => accepted.write(chunk));
      let rounds = 0;
      client.on('data', () => {
        if (++rounds < count) client.write('ball');
      });
      client.write('ball');
      await until(() => rounds === count);
      expect([client.bytesRead, accepted.bytesRead]).toEqual([4 * count, 4 * count]);
    });

    it('lets an immediate run before the answer to what was written comes', async () => {
      const { client, accepted } = await open(t);
      const count = 2000;
      let overtaken = 0;
      const mirror = (socket: Socket, done: () => boolean): void => {
        let waits = false;
        socket.on('data', (chunk) => {
          if (waits) overtaken++;
          if (done()) return;
          waits = true;
          setImmediate(() => (waits = false));
          socket.write(chunk);
        });
      };
      let rounds = 0;
      mirror(accepted, () => false);
      mirror(client, () => ++rounds >= count);
      client.write('ball');
      await until(() => rounds === count);
      expect(overtaken).toBe(0);
    });

    it('lets an immediate of a write that had to wait run before further data', async () => {
      const { client, accepted } = await open(t);
      const total = 20;
      const chunk = payload(3, 300_000);
      let waiting = 0;
      let overtaken = 0;
      let sent = 0;
      const send = (): void => {
        sent++;
        client.write(chunk, () => {
          waiting++;
          setImmediate(() => waiting--);
        });
      };
      // Answers whatever comes, and tells of each whole chunk, at which the next one is sent.
      accepted.on('data', () => void accepted.write(accepted.bytesRead === sent * chunk.length ? '!' : '.'));
      client.on('data', (answer) => {
        overtaken += waiting;
        if (answer.includes('!') && sent < total) send();
      });
      send();
      await until(() => accepted.bytesRead >= total * chunk.length);
      expect(overtaken).toBe(0);
    });

    it("may write, end and destroy from within 'data'", async () => {
      const { server, port } = await listening(t);
      server.on('connection', (socket) => {
        socket.once('data', (chunk) => {
          socket.write('you said ');
          socket.end(chunk, () => socket.destroy());
        });
      });
      const client = dial(t, port);
      client.write('this');
      expect((await collect(client)).toString()).toBe('you said this');
    });

    it("may pause and go on from within 'data' without losing the order", async () => {
      const { client, accepted } = await open(t);
      const sent = payload(1, 500_000);
      const chunks: Buffer[] = [];
      accepted.on('data', (chunk) => {
        accepted.pause();
        accepted.resume();
        chunks.push(chunk);
      });
      client.end(sent);
      await event(accepted, 'end');
      expect(Buffer.concat(chunks).equals(sent)).toBe(true);
    });

    it('may connect, exchange and close from within listeners of another connection', async () => {
      const { server, port } = await listening(t);
      server.on('connection', (socket) => socket.pipe(socket));
      const depth = 20;
      const reached = await new Promise<number>((resolve) => {
        const go = (level: number): void => {
          const client = dial(t, port);
          client.on('data', () => {
            if (level === depth) resolve(level);
            else go(level + 1);
            client.destroy();
          });
          client.write('x');
        };
        go(1);
      });
      expect(reached).toBe(depth);
    });
  });

  describe('fairness', () => {
    it('lets timers and immediates run while a connection is flooded', async () => {
      const { client, accepted } = await open(t);
      const total = 40 * 1024 * 1024;
      let immediates = 0;
      let timers = 0;
      let over = false;
      const onImmediate = (): void => {
        immediates++;
        if (!over) setImmediate(onImmediate);
      };
      setImmediate(onImmediate);
      const timer = setInterval(() => timers++, 1);
      const block = Buffer.alloc(256 * 1024);
      const fill = (): void => {
        while (client.bytesWritten < total && client.write(block));
        if (client.bytesWritten >= total) client.end();
      };
      client.on('drain', fill);
      fill();
      accepted.resume();
      await event(accepted, 'end');
      over = true;
      clearInterval(timer);
      expect(immediates).toBeGreaterThan(10);
      expect(timers).toBeGreaterThan(2);
    });

    it('serves a quiet connection while another one is flooded', async () => {
      const flood = await open(t);
      const { client, accepted } = await open(t);
      accepted.pipe(accepted);
      flood.accepted.resume();
      const block = Buffer.alloc(64 * 1024);
      let stop = false;
      const fill = (): void => {
        while (!stop && flood.client.write(block));
      };
      flood.client.on('drain', fill);
      fill();
      for (let i = 0; i < 20; i++) {
        client.write('ping');
        expect((await take(client, 4)).toString()).toBe('ping');
      }
      stop = true;
    });
  });

  describe('stream utilities', () => {
    it('see a connection finish', async () => {
      const { client, accepted } = await open(t);
      const done = [finished(client), finished(accepted)];
      accepted.resume();
      client.resume();
      client.end('x');
      await Promise.all(done);
      expect([client.errored, accepted.errored]).toEqual([null, null]);
    });

    it('see a connection break off', async () => {
      const { client, accepted } = await open(t);
      accepted.resume();
      const done = finished(client);
      client.destroy();
      await expect(done).rejects.toMatchObject({ code: 'ERR_STREAM_PREMATURE_CLOSE' });
    });
  });
}
