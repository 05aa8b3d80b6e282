// two-processes.ts - runs an example as what it is about: a server process and a client process, one file for both.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export interface Roles {
  /** Listens, calls `ready` with the port, and lets the process end when its connections have ended. */
  server(ready: (port: number) => void): void | Promise<void>;
  /** Connects to that port of 127.0.0.1. */
  client(port: number): void | Promise<void>;
}

/** Call it with `import.meta.url`. The exit code is 0 when both processes ended with 0. */
export async function twoProcesses(url: string, roles: Roles): Promise<void> {
  const [role, port] = process.argv.slice(2);
  if (role === 'server') return roles.server((port) => process.send?.(port));
  if (role === 'client') return roles.client(Number(port));

  const file = fileURLToPath(url);
  const server = fork(file, ['server']);
  const serverEnd = exitCode(server);
  const listening = once(server, 'message').then(([message]) => message as number);
  const answer = await Promise.race([listening, serverEnd.then(() => undefined)]);
  const clientCode = answer === undefined ? 1 : await exitCode(fork(file, ['client', String(answer)]));
  // A server whose client failed may wait for ever.
  if (clientCode !== 0) server.kill();
  process.exitCode = clientCode || (await serverEnd);
}

async function exitCode(child: ChildProcess): Promise<number> {
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? 1;
}
