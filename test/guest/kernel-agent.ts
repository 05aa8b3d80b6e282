// kernel-agent.ts - a program on the kernel's SMC sockets that does what a test tells it, see kernel/smc_agent.py.

import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { onTestFinished } from 'vitest';
import { BARE, type Line, python, type SmcFallback, type SmcGroup, type SmcSocket, type SmcStats } from './kernel-smc.js';

const directory = join(import.meta.dirname, 'kernel');

/** From now on the TCP sockets of this process say that they speak SMC, and so do those of processes it starts. */
export function sayThatWeSpeakSmc(): void {
  execFileSync(python, [...BARE, join(directory, 'tcp_option.py'), String(process.pid)]);
}

export interface KernelFacts {
  readonly stats: SmcStats;
  readonly groups: readonly SmcGroup[];
  readonly sockets: readonly SmcSocket[];
  readonly fallbacks: readonly SmcFallback[];
}

/** The program that forks agents, and where: one for this process, at its first agent. */
let forks: Promise<string> | undefined;

async function startForks(): Promise<string> {
  const path = join(mkdtempSync(join(tmpdir(), 'smc-agents-')), 'socket');
  const child = spawn(python, [...BARE, join(directory, 'smc_agent.py'), path], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise<never>((_, reject) => child.once('close', () => reject(new Error('the program that forks agents has ended'))));
  ended.catch(() => {});
  await Promise.race([new Promise((resolve) => createInterface({ input: child.stdout }).once('line', resolve)), ended]);
  // It ends with this process, which it does not hold.
  for (const one of [child, child.stdin, child.stdout] as { unref(): void }[]) one.unref();
  return path;
}

/** Killed when the test is finished. */
export class KernelAgent {
  readonly #socket = new Socket();
  readonly #connecting: Promise<void>;
  readonly #waiting = new Map<number, { resolve: (line: Line) => void; reject: (error: Error) => void }>();
  #pid: number | undefined;
  #tag = 0;

  constructor() {
    const fail = (error: Error): void => {
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
    };
    this.#socket.on('error', () => {}).once('close', () => fail(new Error('the kernel agent has ended')));
    createInterface({ input: this.#socket }).on('line', (line) => this.#answered(JSON.parse(line) as Line));
    forks ??= startForks();
    this.#connecting = forks.then((path) => void (this.#socket.destroyed || this.#socket.connect(path)));
    this.#connecting.catch(fail);
    onTestFinished(() => this.kill());
  }

  /** @throws Error with the text of the system's error. */
  do(what: string, args: Readonly<Record<string, unknown>>): Promise<Line> {
    if (this.#socket.destroyed) return Promise.reject(new Error('the kernel agent has ended'));
    const tag = ++this.#tag;
    const answer = new Promise<Line>((resolve, reject) => this.#waiting.set(tag, { resolve, reject }));
    const command = `${JSON.stringify({ tag, do: what, ...args })}\n`;
    // At once, when it has answered something: the caller may be about to block its loop.
    if (this.#pid !== undefined) this.#socket.write(command);
    else
      this.#connecting.then(
        () => void this.#socket.write(command),
        () => {},
      );
    // Whoever started it may wait for something else first.
    answer.catch(() => {});
    return answer;
  }

  /** What the kernel says of its SMC, as the functions of kernel-smc.ts, but quickly. */
  async facts(): Promise<KernelFacts> {
    return (await this.do('facts', {})) as unknown as KernelFacts;
  }

  /** By SIGKILL, when it has answered something; it ends by itself otherwise. */
  kill(): void {
    try {
      if (this.#pid !== undefined && !this.#socket.destroyed) process.kill(this.#pid, 'SIGKILL');
    } catch (error) {
      // It has ended by itself, and the news of that is on its way.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
    this.#socket.destroy();
  }

  #answered({ tag, ...rest }: Line): void {
    if (tag === undefined) {
      this.#pid = rest.pid as number;
      return;
    }
    const waiting = this.#waiting.get(tag as number);
    this.#waiting.delete(tag as number);
    if ('error' in rest) waiting?.reject(new Error(String(rest.error)));
    else waiting?.resolve(rest);
  }
}
