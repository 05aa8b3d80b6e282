// two-processes.ts - runs an example as what it is about: a server process and a client process, one file for both. They may be on two
// hosts, each started by itself:
//
//   node EXAMPLE.js server ADDRESS PORT        on one
//   node EXAMPLE.js client PORT ADDRESS        on the other

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export interface Roles {
  /** Listens at this address, calls `ready` with the port, and lets the process end when its connections have ended. */
  server(ready: (port: number) => void, address: string, port: number): void | Promise<void>;
  /** Connects to that port of this host. */
  client(port: number, host: string): void | Promise<void>;
}

/** Call it with `import.meta.url`. The exit code is 0 when both processes ended with 0. */
export async function twoProcesses(url: string, roles: Roles): Promise<void> {
  const [role, ...where] = process.argv.slice(2);
  if (role === 'server') {
    const [address = '127.0.0.1', port = '0'] = where;
    const ready = (port: number) => (process.send ? process.send(port) : console.log(`listening at ${address}, port ${port}`));
    return roles.server((port) => void ready(port), address, Number(port));
  }
  if (role === 'client') return roles.client(Number(where[0]), where[1] ?? '127.0.0.1');

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
