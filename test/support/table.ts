// table.ts - Markdown tables of the documents that tests write.

/** The rows, the first one as heading, in columns as wide as they need to be. */
export function table(rows: readonly (readonly string[])[]): string {
  const [first] = rows as [readonly string[]];
  const widths = first.map((_, i) => Math.max(...rows.map((row) => (row[i] ?? '').length)));
  const line = (row: readonly string[]): string => `| ${widths.map((width, i) => (row[i] ?? '').padEnd(width)).join(' | ')} |`;
  return [line(first), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...rows.slice(1).map(line)].join('\n');
}

/** The cells of every row of `document` that has so many, headings left out. */
export function cellsOf(document: string, columns: number): string[][] {
  return document
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) =>
      line
        .split('|')
        .map((cell) => cell.trim())
        .slice(1, -1),
    )
    .filter((cells) => cells.length === columns)
    .slice(2);
}
