// kernel-agent.ts - a program on the kernel's SMC sockets that does what a test tells it, see kernel/smc_agent.py.

import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { onTestFinished } from 'vitest';
import { type Line, python, type SmcFallback, type SmcGroup, type SmcSocket, type SmcStats } from './kernel-smc.js';

const directory = join(import.meta.dirname, 'kernel');

/** From now on the TCP sockets of this process say that they speak SMC, and so do those of processes it starts. */
export function sayThatWeSpeakSmc(): void {
  execFileSync(python, [join(directory, 'tcp_option.py'), String(process.pid)]);
}

export interface KernelFacts {
  readonly stats: SmcStats;
  readonly groups: readonly SmcGroup[];
  readonly sockets: readonly SmcSocket[];
  readonly fallbacks: readonly SmcFallback[];
}

/** Killed when the test is finished. */
export class KernelAgent {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #waiting = new Map<number, { resolve: (line: Line) => void; reject: (error: Error) => void }>();
  #tag = 0;

  constructor() {
    this.#child = spawn(python, [join(directory, 'smc_agent.py')]);
    this.#child.stderr.pipe(process.stderr);
    this.#child.stdin.on('error', () => {});
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#answered(JSON.parse(line) as Line));
    this.#child.once('close', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the kernel agent has ended'));
      this.#waiting.clear();
    });
    onTestFinished(() => this.kill());
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  /** @throws Error with the text of the system's error. */
  do(what: string, args: Readonly<Record<string, unknown>>): Promise<Line> {
    const tag = ++this.#tag;
    this.#child.stdin.write(`${JSON.stringify({ tag, do: what, ...args })}\n`);
    const answer = new Promise<Line>((resolve, reject) => this.#waiting.set(tag, { resolve, reject }));
    // Whoever started it may wait for something else first.
    answer.catch(() => {});
    return answer;
  }

  /** What the kernel says of its SMC, as the functions of kernel-smc.ts, but quickly. */
  async facts(): Promise<KernelFacts> {
    return (await this.do('facts', {})) as unknown as KernelFacts;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  #answered(line: Line): void {
    const { tag, ...rest } = line;
    const waiting = this.#waiting.get(tag as number);
    this.#waiting.delete(tag as number);
    if ('error' in rest) waiting?.reject(new Error(String(rest.error)));
    else waiting?.resolve(rest);
  }
}
