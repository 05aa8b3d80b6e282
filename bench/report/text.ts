// text.ts - figures as text: numbers with a sensible number of digits, tables for the terminal.

/** Three significant digits, or whole numbers with separators when they are large. */
export function digits(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return '-';
  const size = Math.abs(value);
  if (size >= 1000) return Math.round(value).toLocaleString('en-US');
  if (size >= 100) return value.toFixed(0);
  if (size >= 10) return value.toFixed(1);
  return size >= 0.1 || size === 0 ? value.toFixed(2) : value.toPrecision(2);
}

/** A rate with its prefix: 12.3 M, 45.6 k. */
export function rate(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return '-';
  if (value >= 1e6) return `${digits(value / 1e6)} M`;
  return value >= 1e4 ? `${digits(value / 1e3)} k` : digits(value);
}

/** A round number on an axis. */
export const tickName = (value: number): string => (value >= 1e4 ? rate(value).replace('.0', '') : String(Number(value.toPrecision(3))));

export const ratio = (value: number | undefined): string => (value === undefined ? '' : `${digits(value)}x`);

export function byteName(bytes: number): string {
  if (bytes >= 1 << 20) return `${digits(bytes / (1 << 20)).replace(/\.0+$/, '')} MiB`;
  return bytes >= 1024 ? `${digits(bytes / 1024).replace(/\.0+$/, '')} KiB` : `${Math.round(bytes)} B`;
}

/** Columns padded to their widest cell; the first to the left, the others to the right. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((name, column) => Math.max(name.length, ...rows.map((row) => (row[column] ?? '').length)));
  const line = (cells: readonly string[]) =>
    widths
      .map((width, column) => (column === 0 ? (cells[column] ?? '').padEnd(width) : (cells[column] ?? '').padStart(width)))
      .join('  ')
      .trimEnd();
  return [line(header), widths.map((width) => '-'.repeat(width)).join('  '), ...rows.map(line)].join('\n');
}
