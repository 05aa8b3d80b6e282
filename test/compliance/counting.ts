// counting.ts - bytesRead and bytesWritten are exact at every moment.

import { describe, expect, it } from 'vitest';
import { collect, event, take, until } from '../support/events.js';
import { payload } from '../support/random.js';
import { accept, dial, listening, open, type TransportCase } from './transport-case.js';

export function counting(t: TransportCase): void {
  describe('counting', () => {
    it('starts at nothing', async () => {
      const fresh = new t.client.api.Socket({ ...t.client.options });
      expect([fresh.bytesRead, fresh.bytesWritten]).toEqual([0, 0]);
      fresh.destroy();
      const { client, accepted } = await open(t);
      expect([client.bytesRead, client.bytesWritten, accepted.bytesRead, accepted.bytesWritten]).toEqual([0, 0, 0, 0]);
    });

    it('counts bytes, not characters', async () => {
      const { client, accepted } = await open(t);
      client.write('世界');
      client.write('abcd', 'hex');
      client.write('é', 'latin1');
      client.write('AAAA', 'base64');
      expect(client.bytesWritten).toBe(6 + 2 + 1 + 3);
      await take(accepted, 12);
      expect([client.bytesWritten, accepted.bytesRead]).toEqual([12, 12]);
    });

    it('counts what waits for the connection', async () => {
      const { server, port } = await listening(t);
      const accepting = accept(server);
      const client = dial(t, port);
      client.write('世');
      expect(client.bytesWritten).toBe(3);
      client.write(Buffer.alloc(5));
      client.write('0102', 'hex');
      expect(client.bytesWritten).toBe(10);
      await take(await accepting, 10);
      expect(client.bytesWritten).toBe(10);
    });

    it('counts what is corked', async () => {
      const { client, accepted } = await open(t);
      client.cork();
      client.write('世界');
      client.write(Buffer.alloc(4));
      expect(client.bytesWritten).toBe(10);
      client.uncork();
      await take(accepted, 10);
      expect(client.bytesWritten).toBe(10);
    });

    it('counts what the peer has not taken yet', async () => {
      const { client, accepted } = await open(t);
      accepted.pause();
      const size = t.capacity;
      for (let i = 0; i < 3; i++) client.write(Buffer.alloc(size));
      expect(client.bytesWritten).toBe(3 * size);
      client.write('世');
      expect(client.bytesWritten).toBe(3 * size + 3);
      let received = 0;
      accepted.on('data', (chunk) => {
        received += chunk.length;
      });
      accepted.resume();
      await until(() => received === 3 * size + 3);
      expect([client.bytesWritten, accepted.bytesRead]).toEqual([received, received]);
    });

    it('knows the numbers after the end', async () => {
      const { client, accepted } = await open(t);
      accepted.end(payload(1, 70_000));
      client.end('12345');
      const closed = [event(client, 'close'), event(accepted, 'close')];
      await Promise.all([collect(client), collect(accepted), ...closed]);
      expect([client.bytesRead, client.bytesWritten]).toEqual([70_000, 5]);
      expect([accepted.bytesRead, accepted.bytesWritten]).toEqual([5, 70_000]);
    });

    it('knows the numbers after destroy()', async () => {
      const { client, accepted } = await open(t);
      client.on('error', () => {});
      accepted.on('error', () => {});
      client.write('abc');
      await take(accepted, 3);
      accepted.destroy();
      client.destroy();
      await until(() => client.closed && accepted.closed);
      expect([client.bytesRead, client.bytesWritten, accepted.bytesRead, accepted.bytesWritten]).toEqual([0, 3, 3, 0]);
    });

    it('counts what was read, also while the stream still holds it', async () => {
      const { client, accepted } = await open(t);
      client.write(payload(2, 1000));
      await until(() => accepted.bytesRead === 1000);
      expect(accepted.readableLength).toBe(1000);
      accepted.read(400);
      expect([accepted.bytesRead, accepted.readableLength]).toEqual([1000, 600]);
    });

    it('counts after the listener was attached late', async () => {
      const { client, accepted } = await open(t, { server: { pauseOnConnect: true } });
      client.end(payload(3, 5000));
      await event(client, 'finish');
      expect(accepted.bytesRead).toBe(0);
      await collect(accepted);
      expect(accepted.bytesRead).toBe(5000);
    });

    it('counts from nothing when it connects again', async () => {
      const { server, port } = await listening(t);
      server.on('connection', (socket) => socket.pipe(socket));
      const client = dial(t, port);
      client.resume();
      client.end('one');
      await event(client, 'close');
      client.connect({ port, host: '127.0.0.1' });
      expect([client.bytesRead, client.bytesWritten]).toEqual([0, 0]);
      client.end('12345');
      expect(client.bytesWritten).toBe(5);
      await event(client, 'connect');
      await event(client, 'close');
      expect([client.bytesRead, client.bytesWritten]).toEqual([5, 5]);
    });

    it('has bufferSize and writableLength agree', async () => {
      const { client } = await open(t);
      client.cork();
      client.write('12345');
      expect([client.bufferSize, client.writableLength]).toEqual([5, 5]);
      client.uncork();
    });
  });
}
