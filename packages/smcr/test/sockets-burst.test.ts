// sockets-burst.test.ts - many connects at once to a peer that is not known yet.

import { expect, it } from 'vitest';
import { listen, LocalRdma, pair } from './simulated/sockets.js';

const rdma = new LocalRdma();

it('all that wait for a first contact share its group, up to what both have agreed on', async () => {
  const at = await listen({ ringSize: 16384 });
  const pairs = await Promise.all(Array.from({ length: 300 }, () => pair({ client: { ringSize: 16384 } }, at)));
  expect(new Set(pairs.flat().map(({ transport }) => transport))).toEqual(new Set(['smcr']));
  // Two queue pairs for each of two groups: 255 connections, and the rest.
  expect(rdma.context.pairs.size).toBe(4);
});
