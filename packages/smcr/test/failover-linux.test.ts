// failover-linux.test.ts - links fail under what a Linux peer says of what it has read, which it does not say again: the writer that waits
// for room gets on nevertheless. See send-half.ts.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { payload, Verifier } from '../../../test/support/random.js';
import { CDC_FLAG } from '../src/cdc/index.js';
import { HELD_BACK } from '../src/connection/send-half.js';
import { End } from './connection-pair.js';
import { LinuxReceiver } from './linux-receiver.js';

const SIZE = 16384;

function ends(
  buffer = SIZE,
  mayMove = true,
): { a: End; linux: LinuxReceiver; verifier: Verifier; write(length: number): number; fail(): void } {
  const a = new End([1, 2], { rmbe: SIZE, peerRmbe: SIZE, buffer, mayMove });
  const linux = new LinuxReceiver(a, SIZE);
  let written = 0;
  return {
    a,
    linux,
    verifier: new Verifier(1),
    write(length) {
      written += a.write(payload(1, length, written));
      return written;
    },
    fail() {
      linux.failover();
      a.failover();
    },
  };
}

/** All that happens by itself, with a reader that reads. */
function settle(a: End, linux: LinuxReceiver, verifier: Verifier): void {
  for (let quiet = false; !quiet; ) {
    quiet = a.transmit() === 0 && linux.flying.length === 0;
    while (a.flying.length > 0) linux.receive();
    while (a.unacknowledged > 0) a.acknowledge();
    verifier.take(linux.read());
    while (linux.flying.length > 0) linux.arrive();
  }
}

describe('a connection to Linux whose links fail', () => {
  it('sends one byte that it kept when it waits for room, and asks what was read', () => {
    const { a, linux, verifier, write, fail } = ends();
    write(SIZE);
    a.transmit();
    linux.receive();
    a.acknowledge();
    expect(linux.produced).toBe(SIZE - HELD_BACK);
    verifier.take(linux.read());
    expect(linux.told).toBe(linux.consumed);
    fail();
    a.transmit();
    linux.receive();
    expect(a.flying.map(({ cdc, writes }) => [cdc[24], writes.map(({ to, bytes }) => [to, bytes.length])])).toEqual([
      [CDC_FLAG.writeBlocked | CDC_FLAG.cursorUpdateRequested, [[SIZE - HELD_BACK, 1]]],
    ]);
    settle(a, linux, verifier);
    expect(verifier.received).toBe(SIZE);
    expect(a.connection.send.unsure).toBe(false);
  });

  it('asks with every message until it is answered: little that is read would not be told otherwise', () => {
    const { a, linux, verifier, write, fail } = ends();
    write(SIZE - HELD_BACK - 100);
    a.transmit();
    linux.receive();
    a.acknowledge();
    verifier.take(linux.read());
    fail();
    a.transmit();
    while (a.flying.length > 0) linux.receive();
    while (a.unacknowledged > 0) a.acknowledge();
    linux.arrive();
    expect(a.connection.send.window).toBe(100);
    const written = write(SIZE);
    settle(a, linux, verifier);
    expect(verifier.received).toBe(written);
  });

  it('keeps nothing where there can be no other link', () => {
    const { a, linux, write } = ends(SIZE, false);
    write(SIZE);
    a.transmit();
    linux.receive();
    expect(linux.produced).toBe(SIZE);
  });

  it('gets every byte across, whatever happens when', { timeout: 120_000 }, () => {
    const length = fc.integer({ min: 1, max: 20_000 });
    const step = fc.oneof(
      fc.record({ do: fc.constantFrom('write' as const, 'read' as const), length }),
      fc.record({
        do: fc.constantFrom('post' as const, 'receive' as const, 'acknowledge' as const, 'arrive' as const),
        length: fc.constant(1),
      }),
      fc.record({ do: fc.constant('fail' as const), length: fc.constant(0) }),
    );
    fc.assert(
      fc.property(fc.constantFrom(SIZE, 2 * SIZE), fc.array(step, { minLength: 10, maxLength: 200 }), (buffer, steps) => {
        const { a, linux, verifier, write, fail } = ends(buffer);
        // More in a row than bytes were kept for are nobody's links.
        let failures = 0;
        for (const { do: what, length: bytes } of steps) {
          if (what === 'write') write(bytes);
          else if (what === 'read') verifier.take(linux.read(bytes));
          else if (what === 'post') a.transmit(1);
          else if (what === 'receive') linux.receive();
          else if (what === 'acknowledge') a.acknowledge();
          else if (what === 'arrive') linux.arrive();
          else if (failures++ < HELD_BACK) fail();
        }
        settle(a, linux, verifier);
        const written = write(3 * SIZE);
        settle(a, linux, verifier);
        expect(verifier.received).toBe(written);
      }),
      { numRuns: 1000 },
    );
  });
});
