// pair.ts - the two processes between which a lane is measured: a server and a client, both fresh, both idle unless told.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import type { MeasureError } from '../errors.js';
import { type Lane, laneKey } from '../lanes.js';
import { agentPath, childFlags, DIRECTORY_VARIABLE, Remote } from './control.js';
import { kernelSmc } from './kernel-smc.js';
import { ThreadPair } from './thread-pair.js';

export interface PairOptions {
  /** Let both processes run on this one CPU only (taskset). */
  readonly cpu?: number;
}

let directory: string | undefined;
const running = new Set<ChildProcess>();

/** The directory for this run's sockets. The library's runtime directory is in it too: a run meets nobody else's. */
function runDirectory(): string {
  if (directory === undefined) {
    const made = mkdtempSync(join(tmpdir(), 'smc-bench-'));
    directory = made;
    process.once('exit', () => {
      for (const child of running) child.kill('SIGKILL');
      rmSync(made, { recursive: true, force: true });
    });
  }
  return directory;
}

function start(lane: Lane, role: 'server' | 'client', controls: number, { cpu }: PairOptions): ChildProcess {
  const command = [process.execPath, ...childFlags, agentPath, role];
  if (cpu !== undefined) command.unshift('taskset', '-c', String(cpu));
  const child = spawn(command[0] as string, command.slice(1), {
    stdio: ['ignore', 'inherit', 'inherit', ...Array<'pipe'>(controls).fill('pipe')],
    env: {
      ...process.env,
      [DIRECTORY_VARIABLE]: runDirectory(),
      SMC_RUNTIME_DIR: runDirectory(),
      ...(lane.transport === 'smc-kernel' ? { LD_PRELOAD: kernelSmc(runDirectory()) } : {}),
    },
  });
  running.add(child);
  child.once('exit', () => running.delete(child));
  child.once('error', () => running.delete(child)); // the control connection closes and says so
  return child;
}

/** Both ends of what is measured, wherever they are. */
export interface Ends {
  readonly lane: Lane;
  readonly server: Remote;
  readonly client: Remote;
  stop(): Promise<void>;
}

export class Pair implements Ends {
  readonly lane: Lane;
  readonly server: Remote;
  client: Remote;
  readonly #options: PairOptions;
  #processes: ChildProcess[];

  constructor(lane: Lane, options: PairOptions = {}) {
    this.lane = lane;
    this.#options = options;
    // The two ends of an IPC channel are a process and its child: there the server starts the client.
    const ipc = lane.transport === 'ipc';
    const server = start(lane, 'server', ipc ? 2 : 1, options);
    const client = ipc ? server : start(lane, 'client', 1, options);
    this.#processes = ipc ? [server] : [server, client];
    this.server = this.#remote(server, 3);
    this.client = this.#remote(client, ipc ? 4 : 3);
  }

  /** Process ids, server first. */
  get pids(): number[] {
    return this.#processes.flatMap(({ pid }) => pid ?? []);
  }

  /** Whatever breaks on one side ends what is under way on both. */
  #remote(child: ChildProcess, fd: number): Remote {
    return new Remote(child.stdio[fd] as Duplex, (error: MeasureError) => {
      this.server.fail(error);
      this.client.fail(error);
    });
  }

  /** Ends the client and starts a new one, which has never connected to anything. Not for IPC. */
  async renewClient(): Promise<void> {
    const [server, client] = this.#processes as [ChildProcess, ChildProcess];
    await end(client);
    const fresh = start(this.lane, 'client', 1, this.#options);
    this.#processes = [server, fresh];
    this.client = this.#remote(fresh, 3);
  }

  /** Ends both processes and waits until they are gone. */
  async stop(): Promise<void> {
    await Promise.all(this.#processes.map(end));
  }
}

/** An agent ends when its control connection does; one that does not is killed. */
function end(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return resolve();
    const timer = setTimeout(() => child.kill('SIGKILL'), 1000);
    child.once('exit', () => {
      clearTimeout(timer);
      resolve();
    });
    for (const stream of child.stdio.slice(3)) (stream as Duplex | null)?.destroy();
  });
}

/** Pairs that are kept between measurements, one per lane, so that every round measures warm code. */
export class Pairs {
  readonly #pairs = new Map<string, Ends>();

  of(lane: Lane): Ends {
    const pair = this.#pairs.get(laneKey(lane)) ?? (lane.between === 'threads' ? new ThreadPair(lane) : new Pair(lane));
    this.#pairs.set(laneKey(lane), pair);
    return pair;
  }

  /** Ends a lane's pair; the next use starts a new one. */
  async drop(lane: Lane): Promise<void> {
    const pair = this.#pairs.get(laneKey(lane));
    this.#pairs.delete(laneKey(lane));
    await pair?.stop();
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#pairs.values()].map((pair) => pair.stop()));
    this.#pairs.clear();
  }
}
