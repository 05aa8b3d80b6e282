// matrix.ts - which client is tried with which server over which sockets, what every cell must show, and the document of it.

import { readFileSync } from 'node:fs';
import type { SideArgs } from '../peers/lib.js';
import { cellsOf, table } from '../support/table.js';

export interface Column {
  readonly name: string;
  readonly transport: string;
  /** Sockets for a peer that is given the same sockets. */
  readonly side: SideArgs;
  /** Sockets for a peer that has sockets of its own, to which SMC is offered in vain. */
  readonly open: SideArgs;
}

const ours = (options: SideArgs['options']): SideArgs => ({ module: '@smcjs/core', options });
const plain: SideArgs = { module: 'node:net', options: {} };
const tcp = ours({ transports: ['tcp'] });

export const COLUMNS: readonly Column[] = [
  { name: 'node:net', transport: 'plain', side: plain, open: plain },
  { name: 'ours, tcp', transport: 'tcp', side: tcp, open: tcp },
  { name: 'ours, smcd', transport: 'smcd', side: ours({ transports: ['smcd'], fallback: 'error' }), open: ours({}) },
];

export interface Row {
  readonly client: string;
  readonly server: string;
  readonly clientDoor: string;
  readonly serverDoor: string;
  /** The end that cannot be given sockets: it has sockets of its own in every column. */
  readonly without?: 'client' | 'server';
  readonly database?: boolean;
}

const AGENT = '`agent.createConnection`';
const CREATE = '`createConnection` option';
const CONNECT = '`connect` option of `Agent`';
const EVENT = "`emit('connection', socket)`";
const FACTORY = `\`serverFactory\`, then ${EVENT}`;
const INJECTOR = '`createConnectionInjector`';
const ATTACHED = `attached to an http server: ${EVENT}`;

export const ROWS: readonly Row[] = [
  { client: 'node:http', server: 'node:http', clientDoor: AGENT, serverDoor: EVENT },
  { client: 'node:https', server: 'node:https', clientDoor: AGENT, serverDoor: EVENT },
  { client: 'undici', server: 'node:http', clientDoor: CONNECT, serverDoor: EVENT },
  { client: 'undici (TLS)', server: 'node:https', clientDoor: CONNECT, serverDoor: EVENT },
  { client: 'node:http', server: 'fastify', clientDoor: AGENT, serverDoor: FACTORY },
  { client: 'undici', server: 'fastify', clientDoor: CONNECT, serverDoor: FACTORY },
  { client: 'node:http2', server: 'node:http2', clientDoor: CREATE, serverDoor: EVENT },
  { client: 'node:http2 (TLS)', server: 'node:http2 (TLS)', clientDoor: CREATE, serverDoor: EVENT },
  { client: 'node:http2 (gRPC)', server: '@grpc/grpc-js', clientDoor: CREATE, serverDoor: INJECTOR },
  { client: '@grpc/grpc-js', server: '@grpc/grpc-js', clientDoor: 'none', serverDoor: INJECTOR, without: 'client' },
  { client: 'ws', server: 'ws', clientDoor: CREATE, serverDoor: ATTACHED },
  { client: 'socket.io-client', server: 'socket.io', clientDoor: '`agent` option', serverDoor: ATTACHED },
  { client: 'ioredis', server: 'redis', clientDoor: '`Connector` option', serverDoor: 'not Node', without: 'server', database: true },
  { client: 'pg', server: 'PostgreSQL', clientDoor: '`stream` option', serverDoor: 'not Node', without: 'server', database: true },
  { client: 'mysql2', server: 'MariaDB', clientDoor: '`stream` option', serverDoor: 'not Node', without: 'server', database: true },
];

/** What the two ends of a cell report. An end without a door reports nothing. */
export interface Cell {
  readonly client: string | undefined;
  readonly server: string | undefined;
}

/** What must come out: the column's transport, or TCP where one end has sockets of its own. */
export function expected({ without }: Row, { transport }: Column): Cell {
  const reached = without !== undefined && transport === 'smcd' ? 'tcp' : transport;
  return { client: without === 'client' ? undefined : reached, server: without === 'server' ? undefined : reached };
}

/** A cell in one word: both ends agree, or only one of them is ours to ask. */
export function text({ client, server }: Cell): string {
  if (client === undefined) return `${server} (server's end)`;
  if (server === undefined) return `${client} (client's end)`;
  return client === server ? client : `${client} / ${server}`;
}

export const nameOf = (row: Row): string => `${row.client} -> ${row.server}`;

const PACKAGES = ['@grpc/grpc-js', 'fastify', 'ioredis', 'mysql2', 'pg', 'socket.io', 'socket.io-client', 'undici', 'ws'];

/** The document. `cells` has the texts of every row, in the order of the columns. */
export function render(cells: ReadonlyMap<string, readonly string[]>): string {
  const version = (name: string): string =>
    (JSON.parse(readFileSync(new URL(`../../node_modules/${name}/package.json`, import.meta.url), 'utf8')) as { version: string }).version;
  const lines = ROWS.map((row) => [row.client, row.server, row.clientDoor, row.serverDoor, ...(cells.get(nameOf(row)) ?? [])]);
  return `# Software over these sockets

Written by \`SMC_WRITE_MATRIX=1 npm test -- test/software\`; without the variable the same test fails when a cell here is not
what it sees. Every cell is one client process and one server process with unmodified software, connected by the public door
that the software has for foreign sockets. Bodies of 1 byte to 1 MB, one after another and at once; every byte of every answer is
checked. A cell shows what \`socket.transport\` was at both ends, \`plain\` for a socket of \`node:net\`.

${table([['client', 'server', "client's door", "server's door", ...COLUMNS.map((column) => column.name)], ...lines])}

- \`ours, tcp\`: both ends with \`transports: ['tcp']\`. \`ours, smcd\`: both with \`transports: ['smcd']\` and \`fallback: 'error'\`;
  where one end has sockets of its own, the other has the default options: it offers SMC-D and ends on TCP.
- redis, PostgreSQL and MariaDB are the real servers: for a server that is not Node nothing changes.
- The client of \`@grpc/grpc-js\` has no door: its transport calls \`net.connect\` itself, no channel option takes a socket or a
  connect function, and what credentials do about connecting is behind a method that starts with an underscore. It reaches a
  server over these sockets by TCP. The server has a door, and serves a client that speaks gRPC over \`node:http2\` on every
  transport.
- \`Connector\` of ioredis, \`stream\` of pg and mysql2 and \`createConnectionInjector\` are in the public types of these packages,
  with little or no prose about them.
- TLS runs inside the ring as it does inside TCP.
- socket.io: once with long polling alone, once with the upgrade to WebSocket.

Versions tried last:

${table([['software', 'version'], ['Node', process.versions.node], ...PACKAGES.map((name) => [name, version(name)])])}
`;
}

/** The cells of a document that `render` wrote, by row. */
export function parse(document: string): Map<string, string[]> {
  const rows = cellsOf(document, 4 + COLUMNS.length);
  return new Map(rows.map(([client, server, , , ...cells]) => [`${client} -> ${server}`, cells]));
}
