// matrix.ts - the compliance suite as a table: what is expected, over which outcome, on which versions of Node it holds.

import { cellsOf, table } from '../support/table.js';

/** One test of a run under one version, as vitest's JSON reporter tells it. */
export interface Outcome {
  /** Case, theme. */
  readonly ancestorTitles: readonly string[];
  readonly title: string;
  readonly status: string;
}

/** Cases of the suite by their name, in the order of the columns, and what a column means. */
export const CASES = [
  ['node:net', 'net', 'node:net at both ends: the reference, which proves that the expectations are true'],
  ['tcp', 'tcp', 'TCP from the start, by choice'],
  ['smcd declined by a server that allows TCP alone', 'declined', 'one side wanted SMC-D, the other did not: TCP'],
  ['ours to plain', 'to plain', 'a client of ours at a server of node:net'],
  ['plain to ours', 'from plain', 'a client of node:net at a server of ours'],
  ['memory', 'memory', 'a ring within one event loop'],
  ['smcd', 'smcd', 'a ring in shared memory'],
] as const;

/** Expectation by "theme: title"; for each case the versions on which it passed. */
type Seen = ReadonlyMap<string, readonly (readonly number[])[]>;

export function seenIn(runs: ReadonlyMap<number, readonly Outcome[]>): Seen {
  const seen = new Map<string, number[][]>();
  for (const [version, outcomes] of runs) {
    for (const { ancestorTitles, title, status } of outcomes) {
      const at = CASES.findIndex(([name]) => name === ancestorTitles[0]);
      if (at < 0) continue;
      const row = [...ancestorTitles.slice(1), title].join(': ').replaceAll('|', '\\|');
      const cells = seen.get(row) ?? CASES.map(() => []);
      seen.set(row, cells);
      if (status === 'passed') cells[at]?.push(version);
    }
  }
  return seen;
}

export function render(seen: Seen, versions: readonly { readonly major: number; readonly full: string }[]): string {
  const all = versions.map(({ major }) => major).join(' ');
  const cell = (passed: readonly number[]): string => (passed.join(' ') === all ? 'yes' : passed.join(' ') || '-');
  const rows = [...seen].map(([name, cells]) => [name, ...cells.map(cell)]);
  return `# What is expected of a socket, and where it holds

Written by \`SMC_WRITE_MATRIX=1 npm test -- test/compliance\`; without the variable a test fails when a row here is not what
it sees. Every row is a test of \`test/compliance\`, run with the same code over every column. "yes": on Node
${versions.map(({ full }) => full).join(', ')}.

SMC-R needs a device, so it has no column: the same rows hold over it in \`packages/smcr/test/compliance.test.ts\` (simulated devices; without
the tests that need several processes) and in \`test/guest/compliance.test.ts\` (rdma_rxe, Node 20).

${table([['column', 'meaning'], ...CASES.map(([, column, meaning]) => [column, meaning])])}

${table([['expectation', ...CASES.map(([, column]) => column)], ...rows])}
`;
}

/** The expectations of a document that {@link render} wrote, and whether each holds in every column. */
export function documented(document: string): Map<string, boolean> {
  return new Map(cellsOf(document, 1 + CASES.length).map(([name, ...cells]) => [name as string, cells.every((cell) => cell === 'yes')]));
}
