// lifetimes.test.ts - workers that end, processes that exit, sockets that are collected and libraries that are loaded twice,
// all with open connections: nothing crashes and nothing is left. On every version of Node that is installed.

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { LifetimesArgs } from '../peers/lifetimes.js';
import { Peer } from '../support/peer.js';

const OURS = Number(process.versions.node.split('.')[0]);
const program = (version: number): string =>
  version === OURS ? process.execPath : fileURLToPath(new URL(`../../node_modules/node-${version}/bin/node`, import.meta.url));

for (const version of [...new Set([OURS, 22, 24, 26])]) {
  const execPath = program(version);
  const reason = existsSync(execPath) ? undefined : `not installed: ${execPath}`;
  const options = { skip: reason !== undefined, meta: { reason } };
  const start = (scenario: LifetimesArgs['scenario']): Peer =>
    new Peer('lifetimes', { scenario } satisfies LifetimesArgs, { execPath, execArgv: ['--expose-gc'] });

  describe(`with connections open, on Node ${version}`, options as object, () => {
    it('workers are terminated and exit, time after time, and leave nothing in the process', async () => {
      const peer = start('workersEnd');
      expect(await peer.exit, peer.errors).toEqual({ code: 0, signal: null });
      const { transports, before, after } = await peer.message('ended');
      expect(transports).toEqual(['smcd']);
      expect(after).toEqual(before);
      expect(before).toMatchObject({ mappings: 0 });
    });

    it('a process exits with the code it was told, workers or not', async () => {
      const peer = start('processExits');
      expect(await peer.exit, peer.errors).toEqual({ code: 7, signal: null });
      expect(await peer.message('in use')).toEqual({ is: 'in use', transport: 'smcd' });
    });

    it('sockets that nobody holds work on, and those that were destroyed are collected', async () => {
      const peer = start('collected');
      expect(await peer.exit, peer.errors).toEqual({ code: 0, signal: null });
      const { transport, echoed, again } = await peer.message('collected');
      expect({ transport, echoed, again }).toEqual({ transport: 'smcd', echoed: [true, true, true, true], again: true });
    });

    it('copies of the library in one process connect with each other', async () => {
      const peer = start('copies');
      expect(await peer.exit, peer.errors).toEqual({ code: 0, signal: null });
      const results = (await peer.message('copies')).results as Record<string, string>;
      // Copies that share what is below the entry share a loop's memory; others meet as strangers do.
      const one = new Set(['own', 'queried']);
      const names = ['own', 'queried', 'copy'];
      const expected: Record<string, string> = {};
      for (const from of names) {
        for (const to of names) expected[`${from} to ${to}`] = `${from === to || (one.has(from) && one.has(to)) ? 'memory' : 'smcd'} true`;
        for (const worker of [0, 1]) expected[`${from} to worker ${worker}`] = 'smcd true';
      }
      expect(results).toEqual(expected);
    });
  });
}
