// smcd-channel.test.ts - the end of a channel, in the one order that loops rarely have: closed by both sides, its link group over and its
// memory unmapped, and only then the call that it had asked for before.

import { CONN_STATE, HEADER_BYTES, initialise, type RingMemory, RingProducer } from '@smcjs/core/backend';
import { describe, expect, it } from 'vitest';
import type { Doorbell } from '../dist/doorbell.js';
import type { Hub } from '../dist/hub.js';
import { SmcdChannel } from '../dist/smcd-channel.js';

function ring(capacity: number): { buffer: ArrayBuffer; memory: RingMemory } {
  const buffer = new ArrayBuffer(HEADER_BYTES + capacity);
  const words = new Int32Array(buffer, 0, HEADER_BYTES / 4);
  const memory: RingMemory = { words, data: Buffer.from(buffer, HEADER_BYTES, capacity), capacity, mirrored: false };
  initialise(memory);
  return { buffer, memory };
}

function open(): { channel: SmcdChannel; own: ReturnType<typeof ring>; retired: SmcdChannel[]; dispatch: () => void } {
  const [own, peer] = [ring(16384), ring(16384)];
  const asked: (() => void)[] = [];
  const hub = { turn: 0, hot: false, again: (callback: () => void) => asked.push(callback), countBusyPoll: () => {} } as unknown as Hub;
  const retired: SmcdChannel[] = [];
  const dispatch = (): void => {
    for (const callback of asked.splice(0)) callback();
  };
  const name = { segment: 0, index: 0 };
  const channel = new SmcdChannel(
    { hub, retire: (it) => retired.push(it) },
    {} as Doorbell,
    { name, memory: own.memory },
    1,
    { name, memory: peer.memory },
    1,
  );
  return { channel, own, retired, dispatch };
}

const peerCloses = ({ memory }: ReturnType<typeof ring>): void =>
  new RingProducer(memory).setState(CONN_STATE.closed | CONN_STATE.sendingDone);

describe('a channel that is closed', () => {
  it('does not look at its ring when it was retired and the memory is gone', () => {
    const { channel, own, retired, dispatch } = open();
    channel.again();
    peerCloses(own);
    channel.close();
    expect(retired).toEqual([channel]);
    structuredClone(own.buffer, { transfer: [own.buffer] });
    expect(dispatch).not.toThrow();
    expect(retired).toEqual([channel]);
  });

  it('is retired once, whether the peer closes or is lost first', () => {
    for (const first of ['closes', 'is lost'] as const) {
      const { channel, own, retired, dispatch } = open();
      channel.close();
      expect(retired).toEqual([]);
      channel.again();
      if (first === 'closes') peerCloses(own);
      else channel.lose(false);
      dispatch();
      channel.lose(false);
      expect(retired).toEqual([channel]);
    }
  });
});
