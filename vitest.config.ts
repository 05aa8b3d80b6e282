// vitest.config.ts - where the tests are and how they run. Every file has a process of its own, but in the test guest.

import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

// Built packages run as they are, outside the transformer: child processes load the same files, and a package must not
// exist twice (once transformed, once not) in one process.
const server = { deps: { external: [/\/packages\/[^/]+\/dist\//] } };

// A test that waits for something waits for the thing itself; these only end what hangs, on a loaded machine too.
const watchdogs = { testTimeout: 60_000, hookTimeout: 60_000, teardownTimeout: 30_000 };

// Inside the test guest (scripts/test-guest.mjs) there is nothing else; outside, its files have no device to test. Two emulated
// processors: one file at a time. A process and a module graph for each take 6 s there, so files share one unless they say something
// of their process, or want what must not be there yet: link groups, settings of its sockets, open devices.
const OF_THEIR_OWN = [
  'compliance',
  'endings',
  'kernel-death',
  'kernel-declines',
  'kernel-device-*',
  'kernel-links-*',
  'kernel-stall',
  'mtu',
  'own-links',
  'readiness',
  'smcr-processes',
  'smcr-sockets',
  'tcp-option',
  'teardown',
].map((name) => `test/guest/${name}.test.ts`);
const guest = {
  setupFiles: ['test/guest/setup.ts'],
  pool: 'forks' as const,
  fileParallelism: false,
  server,
  testTimeout: 240_000,
  hookTimeout: 240_000,
  teardownTimeout: 60_000,
};
const guestProjects = [
  {
    test: {
      ...guest,
      name: 'guest',
      include: ['test/guest/**/*.test.ts'],
      exclude: OF_THEIR_OWN,
      isolate: false,
      sequence: { groupOrder: 0 },
    },
  },
  { test: { ...guest, name: 'guest-alone', include: OF_THEIR_OWN, sequence: { groupOrder: 1 } } },
];

// A loaded machine may take longer than the default to accept: that is not what these tests are about.
const patient = { setupFiles: ['test/support/runtime-dir.ts'], env: { SMC_DISCOVERY_WAIT: '5000' }, pool: 'forks' as const, server };

/** What a machine has once: addresses whose ports are free, users, networks, a program at its control group; and both processors. */
const ALONE = ['surroundings', 'tcp-option', 'memory-order'].map((name) => `test/${name}/**/*.test.ts`);
/** They compute, or wait for their minute to be over: three files at a time. */
const ENDURANCE = ['fuzz', 'model', 'soak'].map((name) => `test/${name}/**/*.test.ts`);
/** The same suite over everything, which also holds when several Nodes run it at a time. */
const COMPLIANCE = ['test/compliance/!(versions).test.ts'];
/** A minute each, whatever the machine: begun last, they would be all that runs at the end. */
class SoaksFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => (moduleId.includes('/test/soak/') ? 0 : 1);
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}
const NOT_OURS = ['**/dist/**', '**/node_modules/**', 'test/guest/**'];

const projects = [
  {
    test: {
      name: 'packages',
      include: ['packages/*/test/**/*.test.ts', 'bench/test/**/*.test.ts'],
      pool: 'forks' as const,
      // On two processors the default is one.
      maxWorkers: 2,
      server,
      ...watchdogs,
      sequence: { groupOrder: 0 },
    },
  },
  {
    test: {
      name: 'test',
      include: ['test/**/*.test.ts'],
      exclude: [...NOT_OURS, ...ALONE, ...COMPLIANCE, ...ENDURANCE],
      ...patient,
      // Several real processes each, which wait for each other half of the time.
      maxWorkers: 2,
      ...watchdogs,
      sequence: { groupOrder: 1 },
    },
  },
  {
    test: {
      name: 'alone',
      include: ALONE,
      ...patient,
      fileParallelism: false,
      ...watchdogs,
      sequence: { groupOrder: 2 },
    },
  },
  {
    test: {
      name: 'compliance',
      include: COMPLIANCE,
      ...patient,
      maxWorkers: 2,
      ...watchdogs,
      sequence: { groupOrder: 3 },
    },
  },
  {
    test: {
      name: 'endurance',
      include: ENDURANCE,
      ...patient,
      maxWorkers: 3,
      ...watchdogs,
      sequence: { groupOrder: 4 },
    },
  },
];

export default defineConfig({
  test: { ...watchdogs, sequence: { sequencer: SoaksFirst }, projects: process.env.SMC_TEST_GUEST ? guestProjects : projects },
});
