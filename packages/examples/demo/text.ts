// text.ts - how the demonstration writes: headings, columns, a progress bar where there is a terminal.

const bold = (text: string): string => (process.stdout.isTTY ? `\x1b[1m${text}\x1b[22m` : text);

export function heading(text: string): void {
  console.log(`\n${bold(text)}`);
}

/** Rows in columns; a column is right-aligned when `right` has its index. */
export function table(rows: readonly (readonly string[])[], right: readonly number[] = []): void {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  for (const row of rows) {
    const cells = row.map((cell, column) => {
      const width = widths[column] ?? 0;
      return right.includes(column) ? cell.padStart(width) : cell.padEnd(width);
    });
    console.log(`  ${cells.join('  ').trimEnd()}`);
  }
}

/** The beginning of a text that is too long for its column. */
export function clip(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 3)}...`;
}

const WIDTH = 30;

/** A bar that is redrawn in place on a terminal; one line per step elsewhere. */
export class Progress {
  readonly #total: number;
  #done = 0;

  constructor(total: number) {
    this.#total = total;
  }

  /** The next step begins. */
  begin(what: string): void {
    const filled = Math.round((this.#done / this.#total) * WIDTH);
    this.#done++;
    if (process.stdout.isTTY) process.stdout.write(`\r\x1b[K  [${'#'.repeat(filled)}${'.'.repeat(WIDTH - filled)}] ${what}`);
    else console.log(`  ${String(this.#done).padStart(2)}/${this.#total} ${what}`);
  }

  end(): void {
    if (process.stdout.isTTY) process.stdout.write('\r\x1b[K');
  }
}
