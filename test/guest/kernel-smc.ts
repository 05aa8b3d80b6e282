// kernel-smc.ts - the kernel's own SMC in tests: programs on its sockets, and what it says of its connections.

import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

const directory = join(import.meta.dirname, 'kernel');
/** The system's own before a version manager's: those take long to start on emulated processors. */
export const python = existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3';
/** Python without looking for packages and settings, half of the time it takes to start. */
export const BARE = ['-E', '-S'] as const;

function info<T>(...args: string[]): T {
  return JSON.parse(execFileSync(python, [...BARE, join(directory, 'smc_info.py'), ...args], { encoding: 'utf8' })) as T;
}

export interface SmcStats {
  readonly smcr: Readonly<Record<'clientV1' | 'clientV2' | 'serverV1' | 'serverV2' | 'receivedBytes' | 'sentBytes', number>>;
  readonly clientErrors: number;
  readonly serverErrors: number;
}

export interface SmcGroup {
  readonly role: 'client' | 'server';
  readonly connections: number;
  readonly ueid: string;
  readonly links: readonly { device: string; gid: string; peerGid: string }[];
}

/** A reason why connections were not SMC, as smcss(8) lists them. */
export interface SmcFallback {
  readonly reason: string;
  readonly count: number;
  readonly role: string;
}

export interface SmcSocket {
  readonly localPort: number;
  readonly peerPort: number;
  readonly mode: 'smcr' | 'tcp' | 'smcd';
  readonly state: string | number;
  /** Why it is TCP, and what the peer's Decline said, as in smcss(8). */
  readonly reason: string;
  readonly peerDiagnosis: string;
}

/** Both ends need one user EID in common; the kernel keeps at most four. */
export const addUeid = (name: string) => info('ueid', name);
export const removeUeids = () => info('no-ueids');
export const smcUeids = () => info<string[]>('ueids');
export const smcStats = () => info<SmcStats>('stats');
export const smcFallbacks = () => info<SmcFallback[]>('fallbacks');
export const smcGroups = () => info<SmcGroup[]>('groups');
/** Which device the kernel takes for a connection, where there are several: one with the name of the connection's interface. */
export const addPnetids = (...each: readonly (readonly [name: string, kind: 'eth' | 'ib', device: string])[]) =>
  info('pnetid', ...each.flat());
export const removePnetids = () => info('no-pnetids');
export const smcSockets = () => info<SmcSocket[]>('sockets');

export type Line = Readonly<Record<string, string | number | boolean>>;

/** A program on the kernel's SMC sockets, see kernel/smc_peer.py. Killed when the test is finished. */
export class KernelPeer {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;

  constructor(...args: string[]) {
    this.#child = spawn(python, [...BARE, join(directory, 'smc_peer.py'), ...args]);
    this.#child.stderr.pipe(process.stderr);
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
    onTestFinished(() => void this.#child.kill('SIGKILL'));
  }

  /** Its next line. @throws Error when it has ended instead. */
  async line(): Promise<Line> {
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error('the kernel peer has ended');
    return JSON.parse(value) as Line;
  }

  /** Lets a program go on that waits for a line. */
  proceed(): void {
    this.#child.stdin.write('\n');
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}
