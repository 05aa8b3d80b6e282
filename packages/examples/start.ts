// start.ts - the demonstration, started by `npm start`: a server process, a client process, and what lies between them.
// Everything ends by itself; the exit code is 0 when all of it worked.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { visit } from './demo/client.js';
import { compare } from './demo/comparison.js';
import { type Ports, serve } from './demo/server.js';

const [role, argument] = process.argv.slice(2);
if (role === 'server') await serve();
else if (role === 'client') await visit(JSON.parse(argument as string) as Ports);
else await demonstrate();

async function demonstrate(): Promise<void> {
  console.log(`SMC for Node.js on node ${process.version}, ${process.platform} ${process.arch}`);
  const file = fileURLToPath(import.meta.url);
  const server = fork(file, ['server']);
  try {
    const ports = await told<Ports>(server, 'the server');
    const client = fork(file, ['client', JSON.stringify(ports)]);
    const { transport } = await told<{ transport: string }>(client, 'the client');
    await compare(transport);
  } finally {
    if (server.connected) server.disconnect();
  }
}

/** The message of a child process. @throws Error when it ends without one; its own words are on stderr already. */
async function told<T>(child: ChildProcess, name: string): Promise<T> {
  const ended = once(child, 'exit').then(([code, signal]) => {
    throw new Error(`${name} ended with ${signal ?? `exit code ${code}`}`);
  });
  const message = once(child, 'message').then(([message]) => message as T);
  ended.catch(() => {}); // it ends at some time in any case
  return Promise.race([message, ended]);
}
