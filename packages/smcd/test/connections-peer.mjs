// connections-peer.mjs - a server in another process: sends what it is told to, reads everything, says what it holds.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createServer } from '@smcjs/core';

const { options } = JSON.parse(process.argv[2]);
const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
const sockets = new Set();

const server = createServer(
  { transports: ['smcd'], fallback: 'error', discoveryWait: 60_000, handshakeTimeout: 600_000, ...options },
  (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    socket.resume();
  },
);
server.listen(0, '127.0.0.1', () => say({ port: server.address().port }));

function holdings() {
  const descriptors = readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`).replace(/\d{3,}/g, 'N')];
    } catch {
      return []; // the directory's own descriptor
    }
  });
  const mappings = readFileSync('/proc/self/maps', 'utf8')
    .split('\n')
    .filter((line) => line.includes('/memfd:smc'));
  return { descriptors: descriptors.sort(), mappings: mappings.length, sockets: sockets.size };
}

let rest = '';
process.stdin.on('data', (text) => {
  const lines = (rest + text).split('\n');
  rest = lines.pop();
  for (const line of lines) run(JSON.parse(line));
});

function run({ what, bytes }) {
  if (what === 'holdings') say(holdings());
  // Dies with the callback: what was taken by then has to arrive.
  if (what === 'send and die')
    for (const socket of sockets) socket.write(Buffer.alloc(bytes, 7), () => process.kill(process.pid, 'SIGKILL'));
  if (what === 'send') {
    for (const socket of sockets) socket.write(Buffer.alloc(bytes, 7));
    say({});
  }
}
