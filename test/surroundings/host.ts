// host.ts - what these tests do to the host: forge a lock, be another user, make network namespaces. All of it belongs to
// processes that end with the test, hence nothing outlives even a test that was killed.

import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, onTestFinished } from 'vitest';
import { NODES } from '../memory-order/children.js';
import { event } from '../support/events.js';
import type { PeerOptions } from '../support/peer.js';

/** Why tests that need these commands cannot run, or undefined. */
export function commandMissing(...commands: string[]): string | undefined {
  const paths = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/sbin'];
  const missing = commands.filter((command) => !paths.some((path) => existsSync(join(path, command))));
  return missing.length > 0 ? `not installed: ${missing.join(', ')}` : undefined;
}

/** Why tests that only root can run cannot, or undefined. */
export const notRoot = (): string | undefined => (process.getuid?.() === 0 ? undefined : 'only root may do this');

/** A Node whose listen() has `reusePort`; undefined when none is installed. */
export const nodeWithReusePort = (): string | undefined =>
  NODES.find(({ name, missing }) => missing === undefined && Number(/\d+/.exec(name)?.[0]) >= 24)?.path;

/** In a describe: all its tests are skipped if there is a reason, and each says it. */
export function skipFor(reason: string | undefined): void {
  beforeEach((context) => context.skip(reason !== undefined, reason));
}

/** Runs lines of Python until the test has finished; resolves when they have printed something. */
async function python(script: string, argument: string): Promise<void> {
  const ending = 'print("ready", flush=True)\nsys.stdin.read()';
  const child = spawn('python3', ['-c', `import fcntl, socket, struct, sys\n${script}\n${ending}`, argument], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  await event(child.stdout, 'data');
}

/** Holds a shared lock (F_OFD_SETLK) on every byte of a marker, like listeners at every address. */
export const forge = (marker: string): Promise<void> =>
  python('file = open(sys.argv[1], "a+b")\nfcntl.fcntl(file, 37, struct.pack("hhqqi4x", fcntl.F_RDLCK, 0, 0, 0, 0))', marker);

/** Listens at this path as a loop of ours would, and never says a word. */
export const silent = (path: string): Promise<void> =>
  python('server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\nserver.bind(sys.argv[1])\nserver.listen()', path);

/** Runs a program to its end; what it wrote to stderr is the error if it fails. */
export function run(...[program, ...args]: [string, ...string[]]): void {
  const { status, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${error ?? stderr}`);
}

/** A runtime directory for all users, as /run/smc would be. */
export function sharedDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), 'smc-shared-'));
  chmodSync(path, 0o1777);
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Where a process of another user runs. */
export const asUser = (uid: number, env: Readonly<Record<string, string>>): PeerOptions => ({
  execPath: 'setpriv',
  execArgv: ['--reuid', `${uid}`, '--regid', `${uid}`, '--clear-groups', process.execPath],
  env,
});

/** A network namespace. It lives as long as a process in it, and that one as long as the test or until its input ends. */
export class NetworkNamespace {
  readonly #holder = spawn('unshare', ['--net', 'sh', '-c', 'ip link set lo up && echo up && exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });

  static async make(): Promise<NetworkNamespace> {
    const made = new NetworkNamespace();
    onTestFinished(() => void made.#holder.kill('SIGKILL'));
    await event(made.#holder.stdout, 'data');
    return made;
  }

  get pid(): number {
    return this.#holder.pid as number;
  }

  /** Where a process in this namespace runs. */
  get where(): PeerOptions {
    return { execPath: 'nsenter', execArgv: [`--net=/proc/${this.pid}/ns/net`, process.execPath] };
  }

  run(...command: [string, ...string[]]): void {
    run('nsenter', `--net=/proc/${this.pid}/ns/net`, ...command);
  }

  /** A file of /proc/net, as a process in this namespace sees it. */
  read(path: string): string {
    return readFileSync(path.replace('/proc/', `/proc/${this.pid}/`), 'utf8');
  }

  ip(command: string): void {
    this.run('ip', ...command.split(' '));
  }

  nft(...rules: string[]): void {
    for (const rule of rules) this.run('nft', rule);
  }
}
