// pack.test.ts - the tarballs, as a user installs them: no compiler, no install script, and SMC-D between two processes.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Decline, REASONS } from '@smcjs/core';
import { expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');
const script = join(root, 'scripts/pack-check.mjs');

interface Seen {
  transport: string;
  declines: Decline[];
  same: boolean;
  threads: string;
  files: Record<string, string[]>;
  entries: Record<string, string>;
  usage: string;
  usable: string[];
  /** Of a project that has @smcjs/core and nothing else. */
  alone: Pick<Seen, 'transport' | 'declines' | 'same' | 'threads'> & { probe: { usable: string[]; declines: Decline[] } };
}

it('installs from tarballs without a compiler and connects two processes over SMC-D', { timeout: 300_000 }, async () => {
  const { packCheck } = (await import(script)) as { packCheck: (options: { quiet: boolean }) => Promise<Seen> };
  const seen = await packCheck({ quiet: true });
  expect(seen).toMatchObject({ transport: 'smcd', same: true, threads: 'memory' });
  // What needs a package the user chooses says so, and only when it is imported.
  const entries = { '.': 'loads', './channel': 'loads', './worker': 'loads', './named': 'loads', './backend': 'loads', './rxjs': 'rxjs' };
  expect(seen.entries).toEqual(entries);
  expect(seen.usage).toContain('usage: smc setup');
  // Without the other packages everything works over TCP, and each says what to install.
  expect(seen.alone).toMatchObject({ transport: 'tcp', same: true, threads: 'memory', probe: { usable: ['memory', 'tcp'] } });
  const { code, text, hint } = REASONS['not-installed'];
  for (const declines of [seen.alone.declines, seen.alone.probe.declines]) {
    for (const transport of ['smcd', 'smcr']) {
      const found = declines.filter((decline) => decline.transport === transport);
      expect(found).toEqual([{ transport, side: 'local', reason: 'not-installed', code, detail: text, hint }]);
    }
  }
  expect(seen.usable).toEqual(expect.arrayContaining(['memory', 'smcd', 'tcp']));
  expect(Object.keys(seen.files)).toEqual(expect.arrayContaining(['core', 'smcd']));
  for (const name of ['smcd', 'smcr']) expect(seen.files[name]?.filter((file) => file.endsWith('.node'))).toHaveLength(1);
  for (const names of Object.values(seen.files)) {
    expect(names).toContain('dist/index.js');
    expect(names).toContain('dist/index.d.ts');
    // npm compiles by itself where it finds one beside package.json.
    expect(names).not.toContain('binding.gyp');
    expect(names.filter((name) => /(^|\/)(test|build|node_modules)\/|tsbuildinfo|\.(o|d|tgz)$/.test(name))).toEqual([]);
  }
});

it('has no script that runs when a package is installed', () => {
  for (const name of ['core', 'smcd', 'smcr']) {
    const { scripts = {} } = JSON.parse(readFileSync(join(root, 'packages', name, 'package.json'), 'utf8')) as { scripts?: object };
    expect(Object.keys(scripts).filter((script) => /^(pre|post)?install$|^prepare$/.test(script))).toEqual([]);
  }
});
