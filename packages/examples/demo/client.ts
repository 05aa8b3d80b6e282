// client.ts - the client process of the demonstration: which transport and why, a large file, HTTP.

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import http from 'node:http';
import { pipeline } from 'node:stream/promises';
import { connect, type TransportName } from '@smcjs/core';
import type { Ports } from './server.js';
import { clip, heading, table } from './text.js';

const host = '127.0.0.1';

/** Of the web server: rounds to warm up, rounds that count, requests in each. */
const WARM_ROUNDS = 4;
const ROUNDS = 5;
const REQUESTS = 500;

/** Goes through the three steps; the transport that was used goes to the parent. */
export async function visit({ echo, file, web }: Ports): Promise<void> {
  const transport = await showTransport(echo);
  await sendFile(file);
  await useHttp(web, transport);
  process.send?.({ transport });
}

async function showTransport(port: number): Promise<TransportName> {
  const socket = connect(port, host);
  await once(socket, 'connect');
  heading('1. Which transport two processes of this host agree on');
  table([
    ['transport', 'used', 'refused by', 'reason', ''],
    [String(socket.transport), 'yes', '', '', ''],
    ...socket.declines.map(({ transport, side, reason, detail }) => [transport, 'no', side, reason, clip(detail, 80)]),
  ]);
  if (socket.transport === 'tcp') {
    for (const { transport, hint } of socket.declines) if (hint !== '') console.log(`  to have ${transport}: ${hint}`);
  }
  socket.setEncoding('utf8').write('hello');
  const [answer] = (await once(socket, 'data')) as [string];
  console.log(`  sent 'hello' from process ${process.pid}, the echo is '${answer}'`);
  socket.end();
  return socket.transport as TransportName;
}

async function sendFile(port: number): Promise<void> {
  const file = process.execPath;
  const { size } = await stat(file);
  const socket = connect({ port, host, allowHalfOpen: true });
  const started = performance.now();
  await pipeline(createReadStream(file, { highWaterMark: 256 * 1024 }), socket);
  let there = '';
  for await (const text of socket.setEncoding('utf8')) there += text as string;
  const seconds = (performance.now() - started) / 1000;

  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  const here = hash.digest('hex');
  heading('2. A large file through the socket: the node binary itself');
  const megabytes = (size / 1e6).toFixed(1);
  console.log(`  ${file}, ${megabytes} MB, sent and hashed by the far side in ${seconds.toFixed(2)} s over ${socket.transport}`);
  table([
    ['SHA-256 here', here],
    ['SHA-256 there', there],
  ]);
  if (here !== there) throw new Error('the file arrived damaged');
  console.log('  the same');
}

async function useHttp(port: number, transport: TransportName): Promise<void> {
  heading('3. node:http over it, server and client, one kept-alive connection');
  const way = (name: TransportName) => ({ name, agent: keptAlive(name), took: [] as number[] });
  const ways = transport === 'tcp' ? [way('tcp')] : [way(transport), way('tcp')];
  // What is new runs slowly, so the first rounds do not count. The ways take turns, since machines change their pace.
  for (let round = 0; round < WARM_ROUNDS + ROUNDS; round++) {
    for (const { agent, took } of ways) {
      const started = performance.now();
      for (let i = 0; i < REQUESTS; i++) await get({ agent, host, port, path: '/' });
      if (round >= WARM_ROUNDS) took.push(((performance.now() - started) / REQUESTS) * 1000);
    }
  }
  for (const { name, agent, took } of ways) {
    console.log(`  GET / -> ${await get({ agent, host, port, path: '/' })}`);
    const median = took.sort((x, y) => x - y)[took.length >> 1] as number;
    console.log(`  requests one after the other over ${name}: ${median.toFixed(0)} us each`);
    agent.destroy();
  }
}

function keptAlive(transport: TransportName): http.Agent {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  agent.createConnection = (options) =>
    connect({ host: String(options.host), port: Number(options.port), transports: transport === 'tcp' ? ['tcp'] : [transport, 'tcp'] });
  return agent;
}

function get(options: http.RequestOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = http.get(options, (response) => {
      let text = `${response.statusCode}: `;
      response.setEncoding('utf8');
      response.on('data', (part) => {
        text += part;
      });
      response.on('end', () => resolve(text));
    });
    request.on('error', reject);
  });
}
