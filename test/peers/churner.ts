// churner.ts - a client that opens and closes connections at a rate, and the server for it, which echoes. Both say what
// they hold after a collection of garbage.

import type { AddressInfo, Socket } from 'node:net';
import type { Decline } from '@smcjs/core';
import { args, commands, declinesOf, holdings, load, report, type SideArgs, transportOf } from './lib.js';

export interface ChurnerArgs {
  readonly side: SideArgs;
  readonly role: 'client' | 'server';
  readonly port: number;
}

export type ChurnerCommand =
  /** Opens so many connections a second, for so many seconds, as well as it can; says what became of them. */
  { readonly do: 'churn'; readonly rate: number; readonly seconds: number } | { readonly do: 'hold' | 'leave' };

/** What a process holds; memory in bytes. */
export interface Held {
  readonly descriptors: number;
  readonly mappings: number;
  readonly rss: number;
  readonly heap: number;
}

const PAYLOAD = Buffer.alloc(100, 'x');
const TICK_MS = 10;
/** At once: fewer than a backlog holds, however late a loaded machine is. */
const MOST = 300;
const { side, role, port } = args<ChurnerArgs>();
const api = await load(side);

/** One connection: sends, reads its echo, closes. What became of it. */
function one(way: number): Promise<string> {
  const socket: Socket = api.connect({ ...side.options, port, host: '127.0.0.1' });
  let received = 0;
  let outcome = '';
  socket.on('connect', () => {
    outcome = transportOf(socket);
    if (outcome === 'tcp')
      outcome += `, ${((declinesOf(socket) ?? []) as Decline[]).find(({ transport }) => transport === 'smcd')?.reason}`;
    // Closed in turn by an end after everything was echoed, by an end at once, and by a reset.
    if (way === 0) socket.write(PAYLOAD);
    else if (way === 1) socket.end(PAYLOAD);
    else socket.destroy();
  });
  socket.on('data', (chunk) => {
    received += chunk.length;
    if (way === 0 && received === PAYLOAD.length) socket.end();
  });
  socket.on('error', (error: NodeJS.ErrnoException) => {
    outcome += ` ${error.code}`;
  });
  return new Promise((resolve) => {
    socket.on('close', () => resolve(way < 2 && received !== PAYLOAD.length ? `${outcome}, ${received} bytes` : outcome));
  });
}

async function churn(rate: number, seconds: number): Promise<void> {
  const outcomes: Promise<string>[] = [];
  const start = performance.now();
  let open = 0;
  for (let due = 0; due < rate * seconds; ) {
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    due = Math.min(rate * seconds, Math.floor(((performance.now() - start) / 1000) * rate));
    // Late ticks are made up for little by little: this is a rate, not a burst.
    for (let i = 0; i < (3 * rate * TICK_MS) / 1000 && outcomes.length < due && open < MOST; i++) {
      open++;
      outcomes.push(one(outcomes.length % 3).finally(() => open--));
    }
    due = outcomes.length;
  }
  const counts: Record<string, number> = {};
  for (const outcome of await Promise.all(outcomes)) counts[outcome] = (counts[outcome] ?? 0) + 1;
  report('churned', { counts, seconds: (performance.now() - start) / 1000 });
}

function held(): Held {
  globalThis.gc?.();
  const { descriptors, mappings } = holdings();
  const { rss, heapUsed } = process.memoryUsage();
  return { descriptors: descriptors.length, mappings: mappings.length, rss, heap: heapUsed };
}

const done = commands<ChurnerCommand>((command) => {
  if (command.do === 'churn') void churn(command.rate, command.seconds);
  else if (command.do === 'hold') report('held', held());
  else {
    server?.close();
    done();
  }
});

const server = role === 'server' ? api.createServer({ ...side.options }) : undefined;
server?.on('connection', (socket) => socket.on('error', () => {}).pipe(socket));
server?.listen(port, '127.0.0.1', () => report('listening', { port: (server.address() as AddressInfo).port }));
