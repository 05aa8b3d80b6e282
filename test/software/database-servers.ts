// database-servers.ts - real database servers from the distribution, each an instance of its own: temporary directory, free
// port, and a user that is not root where the program refuses root. Nothing of the machine's own instances is touched.

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { event } from '../support/events.js';

interface Account {
  readonly uid: number;
  readonly gid: number;
}

interface Plan {
  /** The program, or why it cannot be run here. */
  find(): { path: string; as: Account | undefined } | string;
  /** Commands that run to their end before the server, in order. */
  prepare(path: string, directory: string): string[][];
  serve(path: string, directory: string, port: number): string[];
  readonly stop: NodeJS.Signals;
}

export interface RunningDatabase {
  readonly port: number;
  stop(): Promise<void>;
}

/** SQL the server runs before it takes connections: one statement a line, or only the first is run. */
const MARIADB_ACCOUNT = [
  'CREATE DATABASE smc;',
  "CREATE USER smc@'127.0.0.1' IDENTIFIED BY 'smc';",
  "GRANT ALL ON smc.* TO smc@'127.0.0.1';",
  '',
].join('\n');

const DIRECTORIES = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/usr/bin'];
const POSTGRES_VERSIONS = '/usr/lib/postgresql';

function inPath(command: string): string | undefined {
  return DIRECTORIES.map((directory) => join(directory, command)).find((path) => existsSync(path));
}

/** Whom to run `path` as: the caller, or if that is root the program's own account. */
function runnable(path: string | undefined, name: string, account: string | undefined): { path: string; as: Account | undefined } | string {
  if (path === undefined) return `${name} is not installed`;
  if (account === undefined || process.getuid?.() !== 0) return { path, as: undefined };
  const entry = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((line) => line.startsWith(`${account}:`));
  if (entry === undefined) return `${name} does not run as root and there is no account ${account}`;
  const [, , uid, gid] = entry.split(':').map(Number) as [number, number, number, number];
  return { path, as: { uid, gid } };
}

const PLANS: Readonly<Record<string, Plan>> = {
  redis: {
    find: () => runnable(inPath('redis-server'), 'redis-server', undefined),
    prepare: () => [],
    serve: (path, directory, port) => [path, '--port', `${port}`, '--bind', '127.0.0.1', '--dir', directory, '--save', ''],
    stop: 'SIGTERM',
  },
  PostgreSQL: {
    find() {
      const versions = existsSync(POSTGRES_VERSIONS) ? readdirSync(POSTGRES_VERSIONS).sort((a, b) => Number(b) - Number(a)) : [];
      const path = versions.map((version) => join(POSTGRES_VERSIONS, version, 'bin')).find((bin) => existsSync(join(bin, 'initdb')));
      return runnable(path, 'PostgreSQL', 'postgres');
    },
    prepare: (path, directory) => [
      [join(path, 'initdb'), '-D', join(directory, 'data'), '-U', 'smc', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'],
    ],
    serve: (path, directory, port) => {
      const settings = ['listen_addresses=127.0.0.1', `unix_socket_directories=${directory}`, 'fsync=off'];
      return [join(path, 'postgres'), '-D', join(directory, 'data'), '-p', `${port}`, ...settings.flatMap((setting) => ['-c', setting])];
    },
    stop: 'SIGINT',
  },
  MariaDB: {
    find: () => runnable(inPath('mariadbd'), 'mariadbd', 'mysql'),
    prepare: (_path, directory) => [
      [inPath('mariadb-install-db') ?? 'mariadb-install-db', '--no-defaults', `--datadir=${join(directory, 'data')}`, '--skip-test-db'],
    ],
    serve: (path, directory, port) => {
      const places = [
        `--datadir=${join(directory, 'data')}`,
        `--socket=${join(directory, 's')}`,
        `--init-file=${join(directory, 'account.sql')}`,
      ];
      return [
        path,
        '--no-defaults',
        ...places,
        `--port=${port}`,
        '--bind-address=127.0.0.1',
        '--skip-name-resolve',
        '--innodb-flush-log-at-trx-commit=0',
      ];
    },
    stop: 'SIGTERM',
  },
};

/** Why this database cannot be had here, if so. */
export function missing(name: string): string | undefined {
  const found = (PLANS[name] as Plan).find();
  return typeof found === 'string' ? found : undefined;
}

/** Starts an instance and resolves when it takes connections. */
export async function startDatabase(name: string): Promise<RunningDatabase> {
  const plan = PLANS[name] as Plan;
  const found = plan.find();
  if (typeof found === 'string') throw new Error(found);
  const directory = await mkdtemp(join(tmpdir(), 'smc-database-'));
  if (found.as) await chown(directory, found.as.uid, found.as.gid);
  await writeFile(join(directory, 'account.sql'), MARIADB_ACCOUNT, { mode: 0o644 });
  const start = ([program, ...rest]: string[]): { child: ChildProcess; said: () => string } => {
    let text = '';
    const child = spawn(program as string, rest, { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'], ...found.as });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (more: string) => {
        text += more;
      });
    }
    return { child, said: () => text };
  };
  for (const command of plan.prepare(found.path, directory)) {
    const { child, said } = start(command);
    const [code] = await event(child, 'close');
    if (code !== 0) throw new Error(`${command[0]} ended with ${code}\n${said()}`);
  }
  const port = await freePort();
  const { child, said } = start(plan.serve(found.path, directory, port));
  // Should this process end without stopping it.
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  const exited = event(child, 'close');
  await new Promise<void>((resolve, reject) => {
    const look = (): void => void (/ready (to accept|for) connections/i.test(said()) && resolve());
    child.stdout?.on('data', look);
    child.stderr?.on('data', look);
    exited.then(([code]) => reject(new Error(`${name} ended with ${code}\n${said()}`)));
  });
  return {
    port,
    async stop() {
      child.kill(plan.stop);
      await exited;
      process.off('exit', kill);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await event(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
