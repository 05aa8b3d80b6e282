// plots.ts - the plots of the HTML report: SVG as text, coloured by the page's style sheet, readable without it.

import { type Lane, laneKey, laneOf } from '../lanes.js';
import type { Metric, Recorder, Result } from './results.js';
import { byteName, digits, rate, tickName } from './text.js';

export const escapeHtml = (text: string): string => text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);

/** Positions on a logarithmic axis that spans the values, in whole decades or thirds of them. */
class LogScale {
  readonly ticks: readonly number[];
  readonly #low: number;
  readonly #factor: number;
  readonly #from: number;

  constructor(values: readonly number[], from: number, to: number) {
    const steps = [1, 2, 5];
    const ladder = Array.from({ length: 60 }, (_, index) => 10 ** (Math.floor(index / 3) - 8) * (steps[index % 3] as number));
    const [least, most] = [Math.min(...values), Math.max(...values)];
    const low = Math.max(...ladder.filter((tick) => tick <= least));
    const high = ladder.find((tick) => tick > most) ?? most * 2;
    this.#low = Math.log10(low);
    this.#from = from;
    this.#factor = (to - from) / (Math.log10(high) - this.#low);
    const inside = ladder.filter((tick) => tick >= low && tick <= high);
    const decades = inside.filter((tick) => Math.abs(Math.log10(tick) - Math.round(Math.log10(tick))) < 1e-9);
    this.ticks = decades.length >= 3 ? decades : inside;
  }

  at(value: number): number {
    return this.#from + (Math.log10(value) - this.#low) * this.#factor;
  }
}

/** One colour per transport; usage and polling by shape and filling. */
const classOf = (lane: Lane) =>
  `t-${lane.transport}${lane.mode.endsWith('-off') || lane.mode === 'nagle' || lane.mode === 'smc-fallback' ? ' hollow' : ''}`;

function marker(lane: Lane, x: number, y: number): string {
  const shape = lane.mode.startsWith('ring')
    ? `<path d="M${x} ${y - 6}l6 6-6 6-6-6z"/>`
    : lane.mode.startsWith('records')
      ? `<rect x="${x - 4.5}" y="${y - 4.5}" width="9" height="9"/>`
      : `<circle cx="${x}" cy="${y}" r="5"/>`;
  return `<g class="mark ${classOf(lane)}">${shape}</g>`;
}

const text = (x: number, y: number, content: string, options = ''): string =>
  `<text x="${x}" y="${y}" ${options}>${escapeHtml(content)}</text>`;

/** One dot per row on a logarithmic axis; a line from `from` to `to` of each. */
export function dots(title: string, unit: string, rows: readonly { lane: Lane; value: number; from: number; to: number }[]): string {
  const [left, width, line] = [190, 640, 24];
  const height = rows.length * line + 34;
  const scale = new LogScale(
    rows.flatMap((row) => [row.value, row.from, row.to]),
    left,
    width - 90,
  );
  const grid = scale.ticks.map((tick) => {
    const x = scale.at(tick).toFixed(1);
    return `<path class="grid" d="M${x} 6V${height - 26}"/>${text(Number(x), height - 10, tickName(tick), 'class="tick" text-anchor="middle"')}`;
  });
  const marks = rows.map(({ lane, value, from, to }, index) => {
    const y = 18 + index * line;
    const bar = `<path class="range ${classOf(lane)}" d="M${scale.at(from).toFixed(1)} ${y}H${scale.at(to).toFixed(1)}"/>`;
    const value_ = text(width - 4, y + 4, unit === '/s' ? rate(value) : `${digits(value)} ${unit}`, 'class="value" text-anchor="end"');
    return text(left - 12, y + 4, lane.label, 'text-anchor="end"') + bar + marker(lane, Number(scale.at(value).toFixed(1)), y) + value_;
  });
  return `<figure><figcaption>${escapeHtml(title)}</figcaption><svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeHtml(title)}">${grid.join('')}${marks.join('')}</svg></figure>`;
}

/** A line per lane over the message sizes, both axes logarithmic. */
export function lines(
  title: string,
  unit: string,
  series: readonly { lane: Lane; points: readonly { bytes: number; value: number }[] }[],
): string {
  const [left, width, height, bottom] = [64, 820, 380, 40];
  const points = series.flatMap((of) => of.points);
  const sizes = [...new Set(points.map(({ bytes }) => bytes))].sort((a, b) => a - b);
  if (sizes.length < 2) return '';
  const [smallest, largest] = [Math.log2(sizes[0] as number), Math.log2(sizes.at(-1) as number)];
  const x = (bytes: number) => left + 16 + ((Math.log2(bytes) - smallest) / (largest - smallest)) * (width - left - 36);
  const y = new LogScale(
    points.map(({ value }) => value),
    height - bottom,
    12,
  );
  const grid = y.ticks.map((tick) => {
    const at = y.at(tick).toFixed(1);
    return `<path class="grid" d="M${left} ${at}H${width - 8}"/>${text(left - 8, Number(at) + 4, tickName(tick), 'class="tick" text-anchor="end"')}`;
  });
  const names = sizes.map((bytes) => text(x(bytes), height - 16, byteName(bytes), 'class="tick" text-anchor="middle"'));
  const drawn = series.map(({ lane, points: of }) => {
    const path = of.map(({ bytes, value }, index) => `${index === 0 ? 'M' : 'L'}${x(bytes).toFixed(1)} ${y.at(value).toFixed(1)}`).join('');
    return `<path class="line ${classOf(lane)}" d="${path}"/>${of.map(({ bytes, value }) => marker(lane, Number(x(bytes).toFixed(1)), Number(y.at(value).toFixed(1)))).join('')}`;
  });
  const legend = series.map(
    ({ lane }) => `<span><svg viewBox="0 0 16 16" width="16" height="16">${marker(lane, 8, 8)}</svg>${escapeHtml(lane.label)}</span>`,
  );
  return `<figure><figcaption>${escapeHtml(title)}, ${escapeHtml(unit)}</figcaption><div class="legend">${legend.join('')}</div><svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeHtml(title)}">${grid.join('')}${names.join('')}${drawn.join('')}</svg></figure>`;
}

/** The overview of a case: its default lanes over all sizes. */
export function overview(recorder: Recorder, name: 'roundtrip' | 'oneway', metric: Metric, title: string, unit: string): string {
  const series = new Map<string, { lane: Lane; points: { bytes: number; value: number }[] }>();
  for (const row of recorder.results()) {
    const value = row[metric];
    const lane = laneOf(row.transport, row.mode);
    if (row.case !== name || value === undefined || lane.mode.endsWith('-off') || lane.mode === 'smc-fallback' || lane.mode === 'nagle')
      continue;
    const of = series.get(laneKey(lane)) ?? { lane, points: [] };
    series.set(laneKey(lane), of);
    of.points.push({ bytes: row.bytes, value });
  }
  return lines(title, unit, [...series.values()]);
}

/** Dots of all rows of one table: a line to the 99th percentile for times, over the rounds for rates. */
export function dotsOf(recorder: Recorder, rows: readonly Result[], metric: 'p50_us' | 'gb_per_s' | 'msgs_per_s', title: string): string {
  const unit = { p50_us: 'us', gb_per_s: 'GB/s', msgs_per_s: '/s' }[metric];
  const drawn = rows.flatMap((row) => {
    const value = row[metric];
    if (value === undefined) return [];
    const rounds = [...recorder.rounds(row, metric).values()];
    const [from, to] = metric === 'p50_us' ? [value, Math.max(value, row.p99_us ?? value)] : [Math.min(...rounds), Math.max(...rounds)];
    return [{ lane: laneOf(row.transport, row.mode), value, from, to }];
  });
  return drawn.length === 0 ? '' : dots(title, unit, drawn);
}
