// support.ts - what the tests of this package share: the addon, a runtime directory of their own, connected Unix sockets,
// other processes, and what this process holds of the kernel's.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, onTestFinished } from 'vitest';
import { type Addon, isDecline, loadAddon } from '../dist/addon.js';

const loaded = loadAddon();
const missing = isDecline(loaded) ? loaded.detail : undefined;

/** The addon, for tests within {@link describeNative}. */
export const addon = loaded as Addon;

/** A describe that is skipped, with the reason, where there is no addon. */
export function describeNative(name: string, tests: () => void): void {
  if (missing === undefined) describe(name, tests);
  else describe(name, { skip: true, meta: { reason: missing } } as object, tests);
}

/** The error numbers that are checked for; the addon gives them negated. */
export const E = { PERM: 1, NOENT: 2, BADF: 9, AGAIN: 11, BUSY: 16, INVAL: 22, MSGSIZE: 90, ADDRNOTAVAIL: 99, CONNREFUSED: 111 } as const;

/** A directory with mode 0700 that is gone after the file's tests. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'smcd-test-'));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

let names = 0;

/** Two ends of a Unix socket connection, as two loops would have them. */
export function unixPair(directory: number): [dialled: number, accepted: number] {
  const name = `pair-${names++}`;
  const listener = addon.listenUnix(directory, name);
  const dialled = addon.connectUnix(directory, name);
  let accepted = -1;
  const control = new addon.Control(listener, true, () => {});
  accepted = control.accept();
  control.close();
  addon.unlink(directory, name);
  if (dialled < 0 || accepted < 0) throw new Error(`no pair of Unix sockets: ${dialled} ${accepted}`);
  return [dialled, accepted];
}

/** What each open descriptor is, sorted; numbers replaced. */
export function descriptors(): string[] {
  const found: string[] = [];
  for (const fd of readdirSync('/proc/self/fd')) {
    try {
      found.push(readlinkSync(`/proc/self/fd/${fd}`).replace(/\d{3,}/g, 'N'));
    } catch {
      // The directory's own descriptor is closed by now.
    }
  }
  return found.sort();
}

/** Mappings of memfds, as /proc has them. */
export function mappings(pid: number | 'self' = 'self'): string[] {
  return readFileSync(`/proc/${pid}/maps`, 'utf8')
    .split('\n')
    .filter((line) => line.includes('/memfd:smc'));
}

export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise<void>((resolve) => void setTimeout(resolve, 2));
}

/** As many turns of the loop as anything under way in this process needs. */
export async function turns(count = 10): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise<void>((resolve) => void setTimeout(resolve, 1));
}

export interface Child {
  readonly process: ChildProcess;
  readonly pid: number;
  /** The next line it says, as JSON. Rejects when it ends without one. */
  next(): Promise<Record<string, unknown>>;
  say(command: object): void;
  readonly exit: Promise<void>;
}

/** Starts test/NAME.mjs with arguments as JSON; killed, at the latest, when the test ends. */
export function child(name: string, args: object, env: Readonly<Record<string, string>> = {}): Child {
  const script = fileURLToPath(new URL(`./${name}.mjs`, import.meta.url));
  const started = spawn(process.execPath, [script, JSON.stringify(args)], {
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  const waiting: (() => void)[] = [];
  let over = false;
  const wake = () => {
    for (const resume of waiting.splice(0)) resume();
  };
  createInterface({ input: started.stdout }).on('line', (line) => {
    lines.push(line);
    wake();
  });
  const exit = new Promise<void>((resolve) =>
    started.once('close', () => {
      over = true;
      wake();
      resolve();
    }),
  );
  onTestFinished(async () => {
    if (!over) started.kill('SIGKILL');
    await exit;
  });
  return {
    process: started,
    pid: started.pid as number,
    exit,
    say: (command) => void started.stdin.write(`${JSON.stringify(command)}\n`),
    next: async () => {
      while (lines.length === 0) {
        if (over) throw new Error(`${name} ended`);
        await new Promise<void>((resolve) => waiting.push(resolve));
      }
      return JSON.parse(lines.shift() as string) as Record<string, unknown>;
    },
  };
}

/** Why there is no Python here, or undefined: a few system calls can be made from nowhere else. */
export const noPython =
  spawnSync('python3', ['-c', 'import os, socket, fcntl; os.memfd_create; socket.send_fds']).status === 0
    ? undefined
    : 'no python3 with memfd_create and send_fds';
