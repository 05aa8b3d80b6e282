// control.ts - how the benchmark talks to the two processes of a pair: lines of JSON over a descriptor of its own, so
// that nothing but measured bytes travels on a measured connection, and nothing at all travels during a measurement.

import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { asMeasureError, type Failure, MeasureError } from '../errors.js';
import type { Commands } from './commands.js';

/** Descriptor of a process's control connection, and of the one it passes to a child (IPC only). */
export const CONTROL_FD = 3;
export const CHILD_CONTROL_FD = 4;

export const agentPath = fileURLToPath(new URL('./agent.js', import.meta.url));
/**
 * Memory figures are taken after a collection; and V8 collects by itself some seconds after a process has become idle, 10
 * to 40 ms of CPU at a moment of its own choice, whatever the process has open: not while idleness is measured.
 */
export const childFlags = ['--expose-gc', '--no-memory-reducer'];

/** Directory of this run, for socket paths; removed at its end. */
export const DIRECTORY_VARIABLE = 'SMC_BENCH_DIR';
export function runDirectory(): string {
  const directory = process.env[DIRECTORY_VARIABLE];
  if (directory === undefined) throw new Error(`${DIRECTORY_VARIABLE} is not set`);
  return directory;
}

type Line =
  | { id: number; command: keyof Commands; args: unknown }
  | { id: number; result: unknown }
  /** id 0: not the answer to a command. */
  | { id: number; failure: Failure; message: string };

/** Calls back with every line of JSON that arrives. */
function readLines(stream: Duplex, onLine: (line: Line) => void): void {
  let text = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    const lines = (text + chunk).split('\n');
    text = lines.pop() as string;
    for (const line of lines) onLine(JSON.parse(line) as Line);
  });
}

/** One process of a pair, as the benchmark sees it. */
export class Remote {
  readonly #stream: Duplex;
  readonly #calls = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  #next = 1;
  #gone: MeasureError | undefined;

  /** @param onFailure something broke that is not the answer to a command */
  constructor(stream: Duplex, onFailure: (error: MeasureError) => void) {
    this.#stream = stream;
    readLines(stream, (line) => {
      if ('failure' in line && line.id === 0) return onFailure(new MeasureError(line.failure, line.message));
      const call = this.#calls.get(line.id);
      this.#calls.delete(line.id);
      if ('failure' in line) call?.reject(new MeasureError(line.failure, line.message));
      else if ('result' in line) call?.resolve(line.result as never);
    });
    const lost = () => this.fail(new MeasureError('failed', 'the measured process ended unexpectedly'));
    stream.on('error', lost);
    stream.on('close', lost);
  }

  /** Fails what is under way and everything after it. */
  fail(error: MeasureError): void {
    this.#gone ??= error;
    for (const call of this.#calls.values()) call.reject(error);
    this.#calls.clear();
  }

  /**
   * Runs a command in the other process.
   * @param expectedMs how long it should take; it is given generously more, then the call fails
   */
  call<K extends keyof Commands>(command: K, args: Commands[K][0], expectedMs = 0): Promise<Commands[K][1]> {
    return new Promise((resolve, reject) => {
      if (this.#gone !== undefined) return reject(this.#gone);
      const id = this.#next++;
      const limit = 10_000 + 5 * expectedMs;
      const timer = setTimeout(() => {
        this.fail(new MeasureError('failed', `no answer to '${command}' within ${limit / 1000} s`));
      }, limit);
      const settle =
        <T>(then: (value: T) => void) =>
        (value: T) => {
          clearTimeout(timer);
          then(value);
        };
      this.#calls.set(id, { resolve: settle(resolve) as (value: never) => void, reject: settle(reject) });
      this.#stream.write(`${JSON.stringify({ id, command, args } satisfies Line)}\n`);
    });
  }
}

export type Handlers = { [K in keyof Commands]: (args: Commands[K][0]) => Commands[K][1] | Promise<Commands[K][1]> };

/** The other end: answers commands in order of arrival. Returns how to report what no command asked for. */
export function answer(stream: Duplex, handlers: Partial<Handlers>): (error: unknown) => void {
  const reply = (line: Line) => stream.write(`${JSON.stringify(line)}\n`);
  const refuse = (id: number) => (error: unknown) => {
    const { failure, message } = asMeasureError(error);
    reply({ id, failure, message });
  };
  readLines(stream, (line) => {
    if (!('command' in line)) return;
    const handler = handlers[line.command] as ((args: unknown) => unknown) | undefined;
    if (handler === undefined) return refuse(line.id)(new MeasureError('failed', `no '${line.command}' in a thread`));
    Promise.resolve(line.args)
      .then(handler)
      .then((result) => reply({ id: line.id, result: result ?? null }), refuse(line.id));
  });
  return refuse(0);
}
