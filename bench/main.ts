// main.ts - the benchmark's program: arguments in, tables out.

import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { HELP, type Options, parseArguments, UsageError } from './arguments.js';
import { MeasureError } from './errors.js';
import { htmlReport } from './report/html.js';
import { jsonReport } from './report/json.js';
import { tables } from './report/tables.js';
import { digits, table } from './report/text.js';
import { type Found, run } from './run.js';
import { judge } from './targets.js';

const RESULTS = fileURLToPath(new URL('../results/', import.meta.url));

function options(): Options {
  try {
    return parseArguments(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`bench: ${error.message}`);
    process.exit(2);
  }
}

function print(found: Found, chosen: Options): void {
  const { machine } = found;
  console.log(
    `\n${machine.library}, Node ${machine.node}, ${machine.cpu}, ${machine.cores} cores, ${machine.memory_gb} GB, ${machine.kernel}, ${machine.date}`,
  );
  let said = '';
  for (const { title, note, header, rows } of tables(found)) {
    console.log(`\n${title}${note === '' || note === said ? '' : `\n  ${note}`}\n\n${table(header, rows)}`);
    said = note;
  }
  if (!chosen.targets) return;
  const rows = judge(found).map(({ goal, bound, value, unit, verdict }) => [
    goal,
    `${bound} ${unit}`.trim(),
    `${digits(value)} ${unit}`.trim(),
    verdict,
  ]);
  console.log(`\nGoals\n\n${table(['goal', 'bound', 'found', 'verdict'], rows)}`);
}

async function main(): Promise<void> {
  const chosen = options();
  if (chosen.help) {
    console.log(HELP);
    return;
  }
  const begin = Date.now();
  const found = await run(chosen, process.argv.slice(2), (text) =>
    console.error(`[${((Date.now() - begin) / 1000).toFixed(0).padStart(4)} s] ${text}`),
  );
  print(found, chosen);
  mkdirSync(RESULTS, { recursive: true });
  const page = `${RESULTS}report.html`;
  writeFileSync(page, htmlReport(found));
  if (chosen.json !== undefined) writeFileSync(chosen.json, `${JSON.stringify(jsonReport(found), null, 2)}\n`);
  console.log(`\nReport: ${page}${chosen.json === undefined ? '' : `\nFigures: ${chosen.json}`}`);
  if (found.recorder.absences.some(({ failure }) => failure === 'failed')) process.exitCode = 1;
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1)); // processes end at 'exit'

try {
  await main();
} catch (error) {
  console.error(`bench: ${error instanceof MeasureError ? error.message : error instanceof Error ? error.stack : String(error)}`);
  process.exit(1);
}
