// timing.ts - setTimeout(): 'timeout' after idleness, not after activity. Only lower bounds are asserted.

import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { collect, event, record } from '../support/events.js';
import { dial, listening, open, type TransportCase } from './transport-case.js';

// Long against the pauses of a loaded machine, so that activity is not mistaken for idleness.
const LONG = 600;
const STEP = 40;

/** Acts every STEP for longer than LONG, noting in `seen` what happens; again from the start when the machine stood still meanwhile. */
async function busy(seen: string[], act: () => unknown): Promise<void> {
  let longest: number;
  do {
    seen.length = longest = 0;
    for (let i = 0; i < (1.4 * LONG) / STEP; i++) {
      const since = performance.now();
      act();
      await delay(STEP);
      longest = Math.max(longest, performance.now() - since);
    }
  } while (longest > LONG / 3);
}

export function timing(t: TransportCase): void {
  describe('setTimeout()', () => {
    it("emits 'timeout' when nothing happens, and leaves the socket alone", async () => {
      const { client, accepted } = await open(t);
      const seen = record(client, ['timeout', 'end', 'error', 'close']);
      const started = performance.now();
      expect(client.setTimeout(60)).toBe(client);
      expect(client.timeout).toBe(60);
      await event(client, 'timeout');
      // Timers may fire up to a millisecond early by this clock.
      expect(performance.now() - started).toBeGreaterThan(58);
      expect(seen).toEqual(['timeout']);
      client.end('alive');
      expect((await collect(accepted)).toString()).toBe('alive');
    });

    it('calls the callback it is given, once', async () => {
      const { client, accepted } = await open(t);
      let calls = 0;
      client.setTimeout(30, () => calls++);
      await event(client, 'timeout');
      accepted.write('wakes the timer again');
      client.resume();
      await event(client, 'timeout');
      expect(calls).toBe(1);
    });

    it('is put off by what is written', async () => {
      const { client, accepted } = await open(t);
      accepted.resume();
      const seen = record(client, ['timeout']);
      client.setTimeout(LONG);
      await busy(seen, () => client.write('x'));
      expect(seen).toEqual([]);
      await event(client, 'timeout');
    });

    it('is put off by what is read', async () => {
      const { client, accepted } = await open(t);
      client.resume();
      const seen = record(client, ['timeout']);
      client.setTimeout(LONG);
      await busy(seen, () => accepted.write('x'));
      expect(seen).toEqual([]);
      await event(client, 'timeout');
    });

    it('is off at 0', async () => {
      const { client } = await open(t);
      const seen = record(client, ['timeout']);
      const callback = (): unknown => seen.push('callback');
      client.setTimeout(40, callback);
      client.setTimeout(0, callback);
      expect(client.timeout).toBe(0);
      await delay(150);
      expect(seen).toEqual([]);
    });

    it('may be set before connecting and as an option', async () => {
      const { port } = await listening(t);
      const socket = new t.client.api.Socket({ ...t.client.options });
      socket.setTimeout(60);
      socket.connect({ port, host: '127.0.0.1' });
      await event(socket, 'timeout');
      socket.destroy();
      const client = dial(t, port, { timeout: 60 });
      expect(client.timeout).toBe(60);
      await event(client, 'timeout');
    });

    it('says nothing after the socket closed', async () => {
      const { client, accepted } = await open(t);
      accepted.resume();
      const seen = record(client, ['timeout']);
      client.setTimeout(40);
      client.destroy();
      await delay(120);
      expect(seen).toEqual([]);
    });

    it('works on the accepted side', async () => {
      const { accepted } = await open(t);
      accepted.setTimeout(30);
      await event(accepted, 'timeout');
      expect(accepted.destroyed).toBe(false);
    });
  });
}
