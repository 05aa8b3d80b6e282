// grid.test.ts - four worker threads in each of two processes, every one connected with every one of the other process:
// a connection wakes and harms nobody but its own two loops.

import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { GridArgs, GridCommand } from '../peers/grid.js';
import { type Message, Peer } from '../support/peer.js';

const WORKERS = [0, 1, 2, 3];
const CONNECTIONS = 10;
const ROUNDS = 5000;
const options = { transports: ['smcd'], fallback: 'error', busyPoll: 'off', ringSize: 65_536 } as const;

class Grid extends Peer {
  /** The threads of the workers, as the kernel numbers them. */
  readonly threads: number[] = [];

  tell(command: GridCommand): void {
    this.send(command);
  }

  /** One message of this kind from each of these workers, in their order. */
  async each(is: string, workers: readonly number[]): Promise<Message[]> {
    const all: Message[] = [];
    for (const _ of workers) all.push(await this.message(is));
    return all.sort((a, b) => Number(a.worker) - Number(b.worker));
  }

  async ready(): Promise<Message[]> {
    const all = await this.each('ready', WORKERS);
    this.threads.push(...all.map(({ thread }) => Number(thread)));
    return all;
  }

  /** How often each worker's thread has slept, as the kernel counts: asking does not wake it. */
  sleeps(): number[] {
    return this.threads.map((thread) => {
      const status = readFileSync(`/proc/${this.pid}/task/${thread}/status`, 'utf8');
      return Number(/^voluntary_ctxt_switches:\s*(\d+)/m.exec(status)?.[1]);
    });
  }

  /** Connections that have ended so far, by worker; what each saw. */
  ends(): Map<number, unknown[]> {
    const ends = new Map<number, unknown[]>();
    for (const { is, worker, seen } of this.unread) {
      if (is === 'closed') ends.set(Number(worker), [...(ends.get(Number(worker)) ?? []), ...(seen as unknown[]).slice(0, 1)]);
    }
    return ends;
  }
}

const grid = (ports: readonly number[]): Grid =>
  new Grid('grid', { workers: WORKERS.length, options, ports, connections: CONNECTIONS } satisfies GridArgs);

async function connected(): Promise<{ server: Grid; client: Grid }> {
  const server = grid([]);
  const ports = (await server.ready()).map(({ port }) => Number(port));
  const client = grid(ports);
  const all = WORKERS.length * CONNECTIONS;
  expect((await client.ready()).map(({ transports }) => transports)).toEqual(WORKERS.map(() => Array(all).fill('smcd')));
  expect((await server.each('accepted', Array(WORKERS.length * all).fill(0))).map(({ transport }) => transport)).not.toContain('tcp');
  return { server, client };
}

/** Every one of these workers exchanges on all its connections, each of which carries all of it. */
async function exchangesWholly(client: Grid, workers: readonly number[], links: number): Promise<void> {
  for (const worker of workers) client.tell({ do: 'exchange', worker, rounds: 3, bytes: 30_000 });
  const all = await client.each('exchanged', workers);
  expect(all.map(({ worker, links, whole }) => ({ worker, links, whole }))).toEqual(
    workers.map((worker) => ({ worker, links, whole: links })),
  );
}

async function leave(...grids: readonly Grid[]): Promise<void> {
  for (const each of grids) {
    each.tell({ do: 'leave' });
    expect(await each.exit, each.errors).toEqual({ code: 0, signal: null });
    expect(each.unread.filter(({ is }) => is === 'failed')).toEqual([]);
  }
}

describe('worker threads of two processes, all connected with all', () => {
  it('carry everything, and traffic of one pair wakes nobody else', async () => {
    const { server, client } = await connected();
    await exchangesWholly(client, WORKERS, WORKERS.length * CONNECTIONS);
    for (const [from, to] of [
      [0, 0],
      [1, 3],
    ] as const) {
      // What the traffic before has left to do, such as collecting garbage.
      await delay(300);
      const before = { client: client.sleeps(), server: server.sleeps() };
      client.tell({ do: 'exchange', worker: from, to, rounds: ROUNDS, bytes: 64, one: true });
      expect(await client.message('exchanged')).toMatchObject({ worker: from, links: 1, whole: 1 });
      const slept = (name: 'client' | 'server', now: readonly number[]) => now.map((count, i) => count - (before[name][i] as number));
      const [mine, others] = [slept('client', client.sleeps()), slept('server', server.sleeps())];
      console.log(`${ROUNDS} round trips from ${from} to ${to}: clients slept ${mine.join(', ')} times, servers ${others.join(', ')}`);
      // The counters tell what they are to tell: who waits for each message sleeps before it, but for the scheduler's luck.
      for (const busy of [mine[from], others[to]]) expect(busy).toBeGreaterThan(ROUNDS / 10);
      const idle = [...mine.filter((_, i) => i !== from), ...others.filter((_, i) => i !== to)];
      for (const count of idle) expect(count).toBeLessThan(ROUNDS / 100);
    }
    await leave(client, server);
  });

  it('lose with a worker that is terminated in mid-traffic its own connections, and no other', async () => {
    const { server, client } = await connected();
    const ALL = WORKERS.length * CONNECTIONS;
    for (const worker of WORKERS) client.tell({ do: 'exchange', worker, rounds: 60, bytes: 20_000 });
    await delay(100);
    client.tell({ do: 'terminate', worker: 1 });
    await client.message('terminated');
    const rest = [0, 2, 3];
    const all = await client.each('exchanged', rest);
    expect(all.map(({ whole }) => whole)).toEqual(rest.map(() => ALL));
    // Each worker of the other process had ten connections with it.
    while ([...server.ends().values()].flat().length < ALL) await delay(5);
    for (const worker of WORKERS) {
      const seen = server.ends().get(worker) ?? [];
      expect(seen.length).toBe(CONNECTIONS);
      for (const end of seen) expect(['end', 'ECONNRESET', 'EPIPE']).toContain(end);
    }
    expect(client.ends().size).toBe(0);
    await exchangesWholly(client, rest, ALL);

    // And the other way round: one that listens.
    for (const worker of rest) client.tell({ do: 'exchange', worker, rounds: 60, bytes: 20_000 });
    await delay(100);
    server.tell({ do: 'terminate', worker: 2 });
    await server.message('terminated');
    const after = await client.each('exchanged', rest);
    expect(after.every(({ whole }) => Number(whole) >= ALL - CONNECTIONS)).toBe(true);
    while ([...client.ends().values()].flat().length < rest.length * CONNECTIONS) await delay(5);
    for (const worker of rest) expect(client.ends().get(worker)?.length).toBe(CONNECTIONS);
    for (const end of [...client.ends().values()].flat()) expect(['end', 'ECONNRESET', 'EPIPE']).toContain(end);
    await exchangesWholly(client, rest, ALL - CONNECTIONS);
    await leave(client, server);
  });
});
