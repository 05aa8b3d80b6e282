// html.ts - the report as one HTML page: plots, then every table. Self-contained, light or dark as the reader's system is.

import type { Found } from '../run.js';
import { judge } from '../targets.js';
import { dotsOf, escapeHtml, overview } from './plots.js';
import { type Table, tables } from './tables.js';
import { byteName, digits } from './text.js';

const STYLE = `
:root { color-scheme: light dark; --ink: #1c2330; --soft: #5d6675; --paper: #fff; --card: #f5f6f8; --line: #d9dde3;
  --tcp: #d9730d; --uds: #2e8b57; --ipc: #8a5cc2; --zeromq: #b03a48; --smcd: #1f6feb; --pass: #1a7f37; --fail: #c62828; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --soft: #9aa4b2; --paper: #12151b; --card: #1b2028; --line: #333b47;
  --tcp: #f0a04b; --uds: #5cc98a; --ipc: #b794f4; --zeromq: #f0808c; --smcd: #6cb0ff; --pass: #56d364; --fail: #ff7b72; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 64rem; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin: 0 0 .25rem; } h2 { font-size: 1.25rem; margin: 2.75rem 0 .5rem; } h3 { font-size: 1.02rem; margin: 1.75rem 0 .25rem; }
p { margin: .25rem 0 .75rem; color: var(--soft); max-width: 50rem; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: .75rem; margin: 1.25rem 0; }
dl div { background: var(--card); border-radius: .5rem; padding: .6rem .9rem; } dt { color: var(--soft); font-size: .85rem; } dd { margin: 0; font-variant-numeric: tabular-nums; }
dl .big dd { font-size: 1.35rem; font-weight: 600; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .9rem .3rem 0; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; vertical-align: top; }
th:first-child, td:first-child { text-align: left; } th { color: var(--soft); font-weight: 500; } table.words td { text-align: left; white-space: normal; }
tr.ours td:first-child { color: var(--smcd); font-weight: 600; } .pass { color: var(--pass); } .FAIL { color: var(--fail); font-weight: 600; }
figure { margin: 1.25rem 0; } figcaption { font-weight: 600; margin-bottom: .4rem; } figure > svg { width: 100%; max-width: 52rem; height: auto; background: var(--card); border-radius: .5rem; }
svg text { fill: var(--ink); font: 12.5px system-ui, sans-serif; } svg .tick { fill: var(--soft); font-size: 11.5px; } svg .value { font-weight: 600; }
.grid { stroke: var(--line); fill: none; } .line { fill: none; stroke: var(--c); stroke-width: 2; } .range { stroke: var(--c); stroke-width: 3; opacity: .4; fill: none; }
.mark { fill: var(--c); stroke: var(--c); stroke-width: 2; } .mark.hollow { fill: var(--paper); }
.t-tcp { --c: var(--tcp); } .t-uds { --c: var(--uds); } .t-ipc { --c: var(--ipc); } .t-zeromq { --c: var(--zeromq); } .t-smcd { --c: var(--smcd); }
.legend { display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; margin-bottom: .5rem; font-size: .9rem; } .legend span { display: inline-flex; align-items: center; gap: .35rem; }
`;

const cells = (row: readonly string[], tag: 'td' | 'th') => row.map((cell) => `<${tag}>${escapeHtml(cell)}</${tag}>`).join('');

function tableHtml({ title, note, header, rows }: Table): string {
  const words = header.includes('why') ? ' class="words"' : '';
  const body = rows
    .map((row) => `<tr${/smcd|our|^worker|mapFrames/.test(row[0] ?? '') ? ' class="ours"' : ''}>${cells(row, 'td')}</tr>`)
    .join('\n');
  return `<h3>${escapeHtml(title)}</h3>${note === '' ? '' : `<p>${escapeHtml(note)}</p>`}
<div class="scroll"><table${words}><thead><tr>${cells(header, 'th')}</tr></thead><tbody>
${body}
</tbody></table></div>`;
}

function goals(found: Found): string {
  const rows = judge(found).map(
    ({ goal, bound, value, unit, verdict }) =>
      `<tr>${cells([goal, `${bound} ${unit}`, `${digits(value)} ${unit}`], 'td')}<td class="${verdict}">${verdict}</td></tr>`,
  );
  return `<h2>Goals</h2><p>Round trips against TCP count only where waking a sleeping thread and back takes 30 us or more; elsewhere they are only printed.</p>
<div class="scroll"><table><thead><tr>${cells(['goal', 'bound', 'found', ''], 'th')}</tr></thead><tbody>
${rows.join('\n')}
</tbody></table></div>`;
}

function plots({ recorder }: Found): string {
  const results = recorder.results();
  const sizes = (name: string) => [...new Set(results.filter((row) => row.case === name).map((row) => row.bytes))];
  const of = (name: string, bytes: number) => results.filter((row) => row.case === name && row.bytes === bytes);
  const http = results.filter((row) => row.case === 'http');
  return [
    overview(recorder, 'roundtrip', 'p50_us', 'Round trip by message size, p50', 'us (less is better)'),
    overview(recorder, 'oneway', 'gb_per_s', 'One way by message size', 'GB/s (more is better)'),
    ...sizes('roundtrip').map((bytes) =>
      dotsOf(recorder, of('roundtrip', bytes), 'p50_us', `Round trip, ${byteName(bytes)}: p50, line to p99 (less is better)`),
    ),
    ...sizes('oneway').map((bytes) =>
      dotsOf(
        recorder,
        of('oneway', bytes),
        bytes < 4096 ? 'msgs_per_s' : 'gb_per_s',
        `One way, ${byteName(bytes)}: median, line over the rounds (more is better)`,
      ),
    ),
    ...[...new Set(http.map((row) => row.connections))].map((connections) => {
      const rows = http.filter((row) => row.connections === connections && row.client === 'light');
      return dotsOf(
        recorder,
        rows,
        'msgs_per_s',
        `HTTP keep-alive, connections: ${connections}, light client, requests/s (more is better)`,
      );
    }),
  ].join('\n');
}

const entry = ([name, value]: readonly [string, string], className = ''): string =>
  `<div${className}><dt>${escapeHtml(name)}</dt><dd>${escapeHtml(value)}</dd></div>`;

/** The whole page. */
export function htmlReport(found: Found): string {
  const { machine, floor } = found;
  const facts: [string, string][] = [
    ['processor', `${machine.cpu}, ${machine.cores} usable cores`],
    ['memory', `${machine.memory_gb} GB`],
    ['system', machine.kernel],
    ['Node.js', machine.node],
    ['library', machine.library],
    ['measured', machine.date],
  ];
  const floors: [string, string][] = [
    ['wake-up of a sleeping thread and back', `${digits(floor.wakeup_rtt_us)} us`],
    ['spin ring between threads, 64 B and back', floor.spin_rtt_us === undefined ? '-' : `${digits(floor.spin_rtt_us)} us`],
    ['64 KiB messages through it, both ends touch every line', `${digits(floor.transfer_gb_per_s)} GB/s`],
    ['copy of 1 MiB', `${digits(floor.memcpy_gb_per_s)} GB/s`],
  ];
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>SMC for Node.js, measured</title><style>${STYLE}</style></head><body>
<h1>SMC for Node.js, measured</h1>
<p>Between two processes or two threads, each transport once per round, medians over the rounds. Compare within this page: times hold for this machine and this hour.</p>
<dl>${facts.map((fact) => entry(fact)).join('')}</dl>
<h2>The machine's floor</h2>
<dl>${floors.map((fact) => entry(fact, ' class="big"')).join('')}</dl>
<h2>Plots</h2>
${plots(found)}
${goals(found)}
<h2>All figures</h2>
${tables(found).slice(1).map(tableHtml).join('\n')}
</body></html>
`;
}
