// connection.test.ts - one connection: windows, reports of the consumer cursor, write blocked, urgent bytes, hostile cursors.

import { CONN_STATE } from '@smcjs/core/backend';
import { describe, expect, it } from 'vitest';
import { payload } from '../../../test/support/random.js';
import { CDC_FLAG, CDC_STATE, type CdcMessage, emptyCdc } from '../src/cdc/index.js';
import { CLOSE_TIMEOUT, NEWS } from '../src/connection/index.js';
import { type End, pair, settle } from './connection-pair.js';

const K = 1024;

/** Flags of the messages that fly. */
const flags = (end: End) => end.flying.map(({ cdc }) => cdc[24]);
const message = (fields: Partial<CdcMessage>): CdcMessage => ({ ...emptyCdc(), token: 1, sequence: 1, ...fields });

describe('data', () => {
  it('is written to the same offset of the peer and split where the element ends', () => {
    const [a, b] = pair();
    a.write(payload(1, 10_000));
    settle(a, b);
    b.read();
    b.write(payload(2, 1));
    settle(a, b);
    a.write(payload(1, 10_000, 10_000));
    a.transmit();
    expect(a.flying[0]?.writes.map(({ to, bytes }) => [to, bytes.length])).toEqual([
      [10_000, 6384],
      [0, 3616],
    ]);
  });

  it('may fill the peer to the last byte; then the sender says that it is blocked, once, and is not heard of again', () => {
    const [a, b] = pair();
    expect(a.write(payload(1, 16 * K))).toBe(16 * K);
    a.transmit();
    expect(flags(a)).toEqual([CDC_FLAG.writeBlocked]);
    settle(a, b);
    expect(a.connection.send.window).toBe(0);
    expect(a.write(payload(1, 100, 16 * K))).toBe(100);
    expect(a.transmit()).toBe(0);
    expect(b.read().equals(payload(1, 16 * K))).toBe(true);
    settle(a, b);
    expect(b.read().equals(payload(1, 100, 16 * K))).toBe(true);
  });

  it('leaves the send buffer free as soon as the peer has it, read or not', () => {
    const [a, b] = pair();
    a.write(payload(1, 16 * K));
    a.transmit();
    expect(a.write(payload(1, 1))).toBe(0);
    a.arrive(b);
    a.acknowledge();
    expect(a.news & NEWS.room).toBe(NEWS.room);
    expect(a.write(payload(1, 16 * K, 16 * K))).toBe(16 * K);
  });

  it('counts messages from 1 in each direction', () => {
    const [a, b] = pair();
    for (let i = 0; i < 3; i++) {
      a.write(payload(1, 1));
      a.transmit();
    }
    expect(a.flying.map(({ cdc }) => cdc[3])).toEqual([1, 2, 3]);
    settle(a, b);
    expect(b.connection.receiving.sequence).toBe(3);
  });

  it('goes on when sequence numbers and wraps begin again', { timeout: 60_000 }, () => {
    const [a, b] = pair();
    let written = 0;
    for (let i = 0; i < 70_000; i++) {
      written += a.write(payload(1, 1000, written));
      a.transmit();
      a.arrive(b);
      a.acknowledge();
      b.look();
      const bytes = b.read();
      if (i % 1000 === 0 && !bytes.equals(payload(1, 1000, written - 1000))) throw new Error(`message ${i}`);
      if (b.transmit() > 0) {
        b.arrive(a);
        b.acknowledge();
        a.look();
      }
    }
    expect(written).toBe(70_000_000);
    expect(b.connection.receiving.sequence).toBe(70_000 & 0xffff);
    expect(a.connection.send.cursor.wrap).toBe(Math.floor(70_000_000 / 16384) & 0xffff);
  });

  it('that does not fit is sent before a close; an abort does not wait for it', () => {
    const [a, b] = pair();
    a.write(payload(1, 16 * K));
    settle(a, b);
    a.write(payload(1, 100, 16 * K));
    a.close();
    settle(a, b);
    expect([a.connection.closing.state, b.rx.state()]).toEqual(['active', 0]);
    b.read();
    settle(a, b);
    expect([a.connection.closing.state, b.rx.state(), b.read().equals(payload(1, 100, 16 * K))]).toEqual([
      'peerCloseWait1',
      CONN_STATE.closed,
      true,
    ]);

    const [c, d] = pair();
    c.write(payload(1, 16 * K));
    settle(c, d);
    c.write(payload(1, 100));
    c.close(true);
    settle(c, d);
    expect([c.connection.closing.state, d.rx.state() & CONN_STATE.abnormal]).toEqual(['closed', CONN_STATE.abnormal]);
  });

  it('of an older message is ignored', () => {
    const [a] = pair();
    expect(a.connection.receive(message({ sequence: 2, producerOffset: 10 }))).toBe(NEWS.data);
    expect(a.connection.receive(message({ sequence: 1, producerOffset: 20 }))).toBe(0);
    expect(a.connection.receive(message({ sequence: 3, producerOffset: 5 }))).toBe(0);
    expect(a.rx.available()).toBe(10);
  });
});

describe('the consumer cursor', () => {
  // RFC 7609 section 4.5.1: an update of its own if the sender has less than half left and a tenth was read.
  it('goes out alone when the sender knows of less than half and a tenth was read', () => {
    const [a, b] = pair([64 * K, 64 * K]);
    a.write(payload(1, 40 * K));
    settle(a, b);
    b.read(6 * K);
    expect(b.connection.pending()).toBe(false);
    b.read(K);
    expect(b.connection.pending()).toBe(true);
  });

  it('waits while the sender has more than half', () => {
    const [a, b] = pair([64 * K, 64 * K]);
    a.write(payload(1, 30 * K));
    settle(a, b);
    b.read();
    expect(b.connection.pending()).toBe(false);
  });

  it('goes with every message for other reasons, so ping-pong needs none of its own', () => {
    const [a, b] = pair();
    for (let i = 0; i < 1000; i++) {
      a.write(payload(1, 64));
      settle(a, b);
      expect(b.read()).toHaveLength(64);
      b.write(payload(2, 64));
      settle(a, b);
      expect(a.read()).toHaveLength(64);
    }
    expect([a.sentMessages, b.sentMessages]).toEqual([1000, 1000]);
  });

  it('goes out for a blocked sender as soon as all was read, however little', () => {
    const [a] = pair();
    a.connection.receive(message({ producerOffset: 10, flags: CDC_FLAG.writeBlocked }));
    a.read(9);
    expect(a.connection.pending()).toBe(false);
    a.read(1);
    expect(a.connection.pending()).toBe(true);
  });

  it('goes out for a blocked sender when a tenth was read, whatever it has left', () => {
    const [a] = pair([64 * K, 64 * K]);
    a.connection.receive(message({ producerOffset: 8 * K, flags: CDC_FLAG.writeBlocked }));
    a.read(6 * K);
    expect(a.connection.pending()).toBe(false);
    a.read(K);
    expect(a.connection.pending()).toBe(true);
  });

  it('goes out at once when it is asked for', () => {
    const [a] = pair();
    a.connection.receive(message({ flags: CDC_FLAG.cursorUpdateRequested }));
    expect(a.transmit()).toBe(1);
    expect(a.connection.pending()).toBe(false);
  });
});

describe('urgent bytes', () => {
  it('are told by the message that ends with them, and are in the stream', () => {
    const [a, b] = pair();
    a.write(payload(1, 10));
    a.connection.markUrgent();
    a.write(payload(1, 5, 10));
    a.transmit();
    expect(flags(a)).toEqual([CDC_FLAG.urgentPresent, 0]);
    settle(a, b);
    expect(b.news & NEWS.urgent).toBe(NEWS.urgent);
    expect(b.connection.urgentAt).toBe(10);
    expect(b.read().equals(payload(1, 15))).toBe(true);
  });

  it('are announced while there is no room for them', () => {
    const [a, b] = pair();
    a.write(payload(1, 16 * K));
    settle(a, b);
    a.write(payload(1, 1));
    a.connection.markUrgent();
    a.write(payload(1, 1));
    a.transmit();
    // Blocked was told before; nothing more can be said until there is room.
    b.read(8 * K);
    settle(a, b);
    expect(b.connection.urgentAt).toBe(16 * K + 1);
  });

  it('are reported when they were read: a Linux sender writes nothing behind them before', () => {
    const [a, b] = pair();
    a.write(payload(1, 10));
    settle(a, b);
    b.read();
    expect(b.connection.pending()).toBe(false);
    a.write(payload(1, 10, 10));
    a.connection.markUrgent();
    settle(a, b);
    b.read(9);
    expect(b.connection.pending()).toBe(false);
    b.read(1);
    expect(b.connection.pending()).toBe(true);
    settle(a, b);
    expect([a.connection.send.window, b.connection.pending()]).toEqual([16 * K, false]);
  });

  it('are told again when the link with their message failed', () => {
    const [a, b] = pair();
    a.write(payload(1, 10));
    a.connection.markUrgent();
    a.transmit();
    a.failover();
    a.transmit();
    expect(flags(a)).toEqual([CDC_FLAG.failoverValidation, CDC_FLAG.urgentPresent | CDC_FLAG.cursorUpdateRequested]);
    settle(a, b);
    expect(b.connection.urgentAt).toBe(10);
  });
});

describe('after a failover', () => {
  it('the peer may have read more than was repeated yet', () => {
    const [a, b] = pair();
    a.write(payload(1, 10));
    a.connection.markUrgent();
    a.write(payload(1, 5, 10));
    a.transmit();
    while (a.flying.length > 0) a.arrive(b);
    while (b.inbox.length > 0) b.look();
    b.read();
    a.failover();
    // The validation, and up to the urgent byte.
    a.transmit(2);
    b.write(payload(2, 1));
    b.transmit();
    b.arrive(a);
    a.look();
    expect(a.news & NEWS.violation).toBe(0);
    expect(a.transmit()).toBe(0);
  });
});

describe('a hostile peer', () => {
  const impossible: [string, Partial<CdcMessage>][] = [
    ['a producer cursor past what was free', { producerWrap: 1, producerOffset: 1 }],
    ['an offset outside the element', { producerOffset: 16 * K }],
    ['two turns ahead', { producerWrap: 2 }],
    ['a consumer cursor past what was sent', { consumerOffset: 1 }],
    ['a consumer cursor far outside', { consumerOffset: 0xffffffff }],
  ];

  it.each(impossible)('with %s is a violation that aborts the connection', (_name, fields) => {
    const [a] = pair();
    expect(a.connection.receive(message(fields))).toBe(NEWS.violation | NEWS.state);
    expect(a.rx.state()).toBe(CONN_STATE.closed | CONN_STATE.abnormal);
    a.transmit();
    expect(a.flying.map(({ cdc }) => cdc[25])).toEqual([CDC_STATE.abnormal]);
    a.unacknowledged = 1;
    a.acknowledge();
    expect([a.connection.finished, a.connection.clean]).toEqual([true, false]);
    expect(a.connection.receive(message({ sequence: 2, state: CDC_STATE.abnormal }))).toBe(0);
    expect(a.connection.clean).toBe(true);
  });

  it('cannot make the ring read what was not written, whatever cursors it sends', () => {
    const [a] = pair();
    let seed = 1;
    const next = () => (seed = (Math.imul(seed, 1103515245) + 12345) >>> 0);
    for (let i = 0; i < 20_000; i++) {
      const [end] = i % 50 === 0 ? pair() : [a];
      end.connection.receive(
        message({
          sequence: next(),
          producerWrap: next() % 3,
          producerOffset: next() % 20_000,
          consumerWrap: next() % 3,
          consumerOffset: next() % 20_000,
          flags: next() & 0xff,
          state: 0,
        }),
      );
      expect(end.rx.available()).toBeLessThanOrEqual(16 * K);
      expect(end.rx.violated || end.tx.violated).toBe(false);
      expect(end.connection.send.window).toBeLessThanOrEqual(16 * K);
    }
  });
});

describe('a hostile peer that ends', () => {
  it('cannot take a state back, whatever comes after it, nor be heard after an abort', () => {
    let seed = 7;
    const next = () => (seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) >>> 8;
    for (let run = 0; run < 300; run++) {
      const [a] = pair();
      let state = 0;
      let sequence = 0;
      for (let i = 0; i < 20; i++) {
        const before = a.rx.available();
        const over = a.connection.closing.state === 'closed';
        a.connection.receive(
          message({
            sequence: ++sequence,
            producerOffset: next() % 4 === 0 ? next() % 20_000 : i,
            consumerOffset: next() % 8 === 0 ? next() % 20_000 : 0,
            flags: next() & 0xf7,
            state: next() % 3 === 0 ? next() & 0xff : 0,
          }),
        );
        expect(a.rx.state() & state).toBe(state);
        state = a.rx.state() & (CONN_STATE.closed | CONN_STATE.abnormal);
        expect([a.rx.violated, a.tx.violated]).toEqual([false, false]);
        if (over) expect(a.rx.available()).toBe(before);
        if (a.connection.pending()) a.transmit(1);
      }
    }
  });
});

describe('time', () => {
  it('ends a close that the peer does not answer', () => {
    const [a, b] = pair();
    a.close();
    settle(a, b);
    expect(a.connection.closing.state).toBe('peerCloseWait1');
    expect(a.connection.tick(1000)).toBe(0);
    expect(a.connection.deadline).toBe(1000 + CLOSE_TIMEOUT);
    expect(a.connection.tick(999 + CLOSE_TIMEOUT)).toBe(0);
    expect(a.connection.tick(1000 + CLOSE_TIMEOUT)).toBe(NEWS.state);
    settle(a, b);
    expect(b.connection.closing.state).toBe('processAbort');
    // The answer of the peer comes after all: its writes are over.
    expect([a.connection.finished, a.connection.clean]).toEqual([true, true]);
  });
});
