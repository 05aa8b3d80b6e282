// software.test.ts - unmodified software over sockets of node:net and over ours: client and server in two processes, every
// answer checked, every transport as expected, and docs/software.md as seen here.

import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addon } from '../memory-order/places.js';
import { Peer } from '../support/peer.js';
import { missing, type RunningDatabase, startDatabase } from './database-servers.js';
import { type Cell, COLUMNS, type Column, expected, nameOf, parse, render, ROWS, type Row, text } from './matrix.js';

const DOCUMENT = new URL('../../docs/software.md', import.meta.url);
const WRITE = process.env.SMC_WRITE_MATRIX === '1';

const native = await addon();
const seen = new Map<string, string[]>();
const skipped: string[] = [];

/** What all sockets of one end were; fails when they differ or there was none. */
function one(transports: unknown): string {
  const different = [...new Set(transports as string[])];
  expect(different).toHaveLength(1);
  return different[0] as string;
}

async function run(row: Row, column: Column, database: RunningDatabase | undefined): Promise<Cell> {
  const side = row.without === undefined ? column.side : column.open;
  const server = database ? undefined : new Peer('../software/server', { program: row.server, side });
  const port = database?.port ?? (await server?.message('listening'))?.port;
  const client = new Peer('../software/client', { program: row.client, side, port });
  const done = await client.message('done');
  expect(done.exchanges).toBeGreaterThan(0);
  expect(await client.exit, client.errors).toEqual({ code: 0, signal: null });
  server?.send({});
  const accepted = (await server?.message('accepted'))?.transports;
  if (row.without === 'client') expect(done.transports).toEqual([]);
  return {
    client: row.without === 'client' ? undefined : one(done.transports),
    server: row.without === 'server' ? undefined : one(accepted),
  };
}

for (const row of ROWS) {
  describe(nameOf(row), () => {
    const absent = row.database ? missing(row.server) : undefined;
    let database: RunningDatabase | undefined;
    beforeAll(async () => {
      if (row.database && absent === undefined) database = await startDatabase(row.server);
    });
    afterAll(() => database?.stop());

    for (const [i, column] of COLUMNS.entries()) {
      it(`exchanges the right bytes over ${column.name}`, async (ctx) => {
        const reason = absent ?? (column.transport === 'smcd' && typeof native === 'string' ? native : undefined);
        if (reason !== undefined) {
          skipped.push(`${nameOf(row)} over ${column.name}: ${reason}`);
          console.log(`skipped: ${skipped.at(-1)}`);
          ctx.skip(reason);
        }
        const cell = await run(row, column, database);
        expect(cell).toEqual(expected(row, column));
        const cells = seen.get(nameOf(row)) ?? [];
        cells[i] = text(cell);
        seen.set(nameOf(row), cells);
      });
    }
  });
}

describe('docs/software.md', () => {
  it('has the cells that were seen', () => {
    if (WRITE) {
      // A cell that was not seen must not be claimed.
      expect(skipped).toEqual([]);
      for (const row of ROWS) expect(Object.keys(seen.get(nameOf(row)) ?? []), nameOf(row)).toHaveLength(COLUMNS.length);
      writeFileSync(DOCUMENT, render(seen));
    }
    const documented = parse(readFileSync(DOCUMENT, 'utf8'));
    expect([...documented.keys()]).toEqual(ROWS.map(nameOf));
    for (const [name, cells] of seen) {
      for (const [i, cell] of cells.entries()) {
        if (cell !== undefined) expect(documented.get(name)?.[i], `${name} over ${COLUMNS[i]?.name}`).toBe(cell);
      }
    }
  });
});
