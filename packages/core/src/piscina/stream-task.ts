// stream-task.ts - a pool task that has a worker channel to whoever runs it.

import type { MessagePort } from 'node:worker_threads';
import { expectOptions, expectPool } from '../given.js';
import type { BusyPoll } from '../options.js';
import { type ChannelEnd, type ChannelEndOptions, open } from '../worker/channel-end.js';
import { createChannel, type WorkerChannelOptions, type WorkerPort } from '../worker/port.js';

/** Options of `run` that are handed on as they are. */
export interface TaskRunOptions {
  transferList?: MessagePort[];
  filename?: string;
  name?: string;
  signal?: AbortSignal;
}

/** What is needed of a pool: a Piscina, with whatever options it was made. */
export interface TaskPool {
  run(task: unknown, options?: TaskRunOptions): Promise<unknown>;
  readonly options?: { readonly maxThreads?: number };
}

export interface StreamTaskOptions extends ChannelEndOptions, WorkerChannelOptions {
  /** Of the worker file and its export, when not those of the pool. */
  filename?: string;
  name?: string;
  /** As of `pool.run`: takes the task out of the queue, or terminates the worker that runs it. */
  signal?: AbortSignal;
}

export interface StreamTask<R> {
  /** This thread's end of the channel. What is sent before the task starts waits in the ring. */
  readonly end: ChannelEnd;
  /** As of `pool.run`: the value the task returns, or its error. An error nobody waits for here is still `ECONNRESET` of {@link end}. */
  readonly done: Promise<R>;
}

/** What a worker function of `serveChannel` is given by the pool. */
export interface StreamTaskMessage<D> {
  readonly port: WorkerPort;
  readonly data: D;
  /** How the worker polls, where its file does not say. */
  readonly busyPoll?: BusyPoll;
}

/**
 * Runs a task of a pool with a worker channel to it. The worker file exports {@link serveChannel} or `serveFrames`.
 * `data` is cloned, as a task is. When the task returns, `end` gets 'end' after everything that was sent; when it throws or
 * its worker dies, or it is never run, 'error' with `ECONNRESET`, and `done` tells why. Destroying `end` ends what the
 * task receives.
 * @throws SmcError `ERR_SMC_INVALID_OPTION`
 */
export function streamTask<R = unknown>(pool: TaskPool, data: unknown, options: StreamTaskOptions = {}): StreamTask<R> {
  expectPool(pool, 'streamTask');
  expectOptions(options, 'streamTask');
  const { end, done } = startTask<R>(pool, data, options);
  return { end, done };
}

/** A task whose owner wants to know whether a worker has it. */
export interface StartedTask<R> extends StreamTask<R> {
  handed(): boolean;
  /** No worker is to get it any more: its turn in the pool's queue is an error, and nothing else. */
  withdraw(): void;
}

/** @param workerBusyPoll how the worker polls, where its file does not say */
export function startTask<R>(pool: TaskPool, data: unknown, options: StreamTaskOptions, workerBusyPoll?: BusyPoll): StartedTask<R> {
  const { ringSize, filename, name, signal, ...endOptions } = options;
  const { port1, port2 } = createChannel(ringSize === undefined ? {} : { ringSize });
  const end = open(port1, endOptions);
  let handed = false;
  const message: StreamTaskMessage<unknown> = {
    // Read when the task is posted to a worker, and not before.
    get port() {
      handed = true;
      return port2;
    },
    data,
    ...(workerBusyPoll === undefined ? {} : { busyPoll: workerBusyPoll }),
  };
  const run: TaskRunOptions = { transferList: [port2.bell] };
  if (filename !== undefined) run.filename = filename;
  if (name !== undefined) run.name = name;
  if (signal !== undefined) run.signal = signal;
  const done = pool.run(message, run) as Promise<R>;
  // A port that was not transferred is still here, and nobody will open it.
  const withdraw = (): void => {
    if (!handed) port2.bell.close();
  };
  done.catch(() => port2.bell.close());
  return { end, done, handed: () => handed, withdraw };
}
