// threads.test.ts - every event loop is a peer of its own: worker threads connect like processes, and may go like them.

import { describe, expect, it } from 'vitest';
import type { ThreadsArgs } from '../peers/threads.js';
import { Peer } from '../support/peer.js';

const of = (peer: Peer, is: string): string[] =>
  peer.unread.filter((message) => message.is === is).map((message) => String(message.transport));

describe('worker threads', () => {
  for (const [transport, options] of [
    ['smcd', {}],
    ['smcd', { transports: ['smcd'], busyPoll: 'off' }],
    ['tcp', { transports: ['tcp'] }],
  ] as const) {
    it(`exchange with the main thread over ${transport}, asked for with ${JSON.stringify(options)}`, async () => {
      const peer = new Peer('threads', { workers: 3, bytes: 700_001, options, first: 'exchanges' } satisfies ThreadsArgs);
      expect(await peer.exit, peer.errors).toEqual({ code: 0, signal: null });
      expect(of(peer, 'connected')).toEqual([transport, transport, transport]);
      expect(of(peer, 'accepted').slice(0, 3)).toEqual([transport, transport, transport]);
      expect(peer.unread.filter((message) => message.is === 'echoed').map((message) => message.received)).toEqual([
        700_001, 700_001, 700_001,
      ]);
      expect((await peer.message('stranger')).answer).toBe('still there');
    });
  }

  for (const first of ['is terminated', 'exits'] as const) {
    it(`may end with a connection open: one that ${first} leaves the others and the process alone`, async () => {
      const peer = new Peer('threads', { workers: 3, bytes: 300_000, options: { transports: ['smcd'] }, first } satisfies ThreadsArgs);
      expect(await peer.exit, peer.errors).toEqual({ code: 0, signal: null });
      expect(of(peer, 'connected')).toEqual(['smcd', 'smcd', 'smcd']);
      expect(peer.unread.filter((message) => message.is === 'echoed').map((message) => message.received)).toEqual([300_000, 300_000]);
      expect((await peer.message('stranger')).answer).toBe('still there');
      // Three workers and the stranger: every connection the server had has closed.
      expect(peer.unread.filter((message) => message.is === 'closed').length).toBe(4);
    });

    it(`may all end with a connection open: many of which each ${first} leave the process alone`, async () => {
      const workers = 12;
      const peer = new Peer('threads', { workers, bytes: 0, options: { transports: ['smcd'] }, first, all: true } satisfies ThreadsArgs);
      expect(await peer.exit, peer.errors).toEqual({ code: 0, signal: null });
      expect(of(peer, 'connected').length).toBe(workers);
      expect((await peer.message('stranger')).answer).toBe('still there');
      expect(peer.unread.filter((message) => message.is === 'closed').length).toBe(workers + 1);
    });
  }

  it('leave no mark when they are terminated while they listen', async () => {
    const peer = new Peer('listening-worker', {});
    expect(await peer.exit, peer.errors).toEqual({ code: 0, signal: null });
    expect(await peer.message('client')).toMatchObject({
      text: 'plain',
      transport: 'tcp',
      reasons: ['configuration', 'no-marker', 'configuration'],
    });
  });
});
