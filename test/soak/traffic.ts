// traffic.ts - both ends of the soak test's connections: streams that are checked byte by byte, records, and http.

import http from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Socket as SmcSocket } from '@smcjs/core';
import { report, transportOf } from '../peers/lib.js';
import { payload, Random, Verifier } from '../support/random.js';
import { encodeHead, HEAD_BYTES, type Order, type Outcome } from './orders.js';

const MAX_CHUNK = 32 * 1024;
/** Pieces of a slow stream, and the time between two of them: a kill finds it in the middle. */
const SLOW_CHUNK = 4096;
const PACE_MS = 10;
const REQUESTS = 4;

type Role = Outcome['role'];
type Ring = NonNullable<SmcSocket['ring']>;

const seedOf = ({ seed }: Order, sender: Role): number => seed * 2 + (sender === 'dialer' ? 0 : 1);
const ringOf = (socket: Socket): Ring | undefined => (socket as unknown as SmcSocket).ring;

/** Notes how a connection ends and says so when it has closed. */
class Watch {
  readonly #verifier: Verifier;
  #wrong: string | undefined;

  constructor(socket: Socket, order: Order, role: Role) {
    this.#verifier = new Verifier(seedOf(order, role === 'dialer' ? 'acceptor' : 'dialer'));
    const seen: string[] = [];
    let transport = transportOf(socket);
    socket.on('connect', () => (transport = transportOf(socket)));
    socket.on('end', () => seen.push('end'));
    socket.on('error', (error: NodeJS.ErrnoException) => seen.push(error.code ?? error.message));
    socket.on('close', () => {
      const wrong = this.#wrong === undefined ? {} : { wrong: this.#wrong };
      report('outcome', { id: order.id, role, transport, received: this.#verifier.received, seen, ...wrong } satisfies Outcome);
    });
  }

  take(chunk: Uint8Array): void {
    try {
      this.#verifier.take(chunk);
    } catch (error) {
      this.#wrong ??= (error as Error).message;
    }
  }

  wrong(what: string): void {
    this.#wrong ??= what;
  }
}

/** Writes the stream of one side. Slow ones say what has been taken before they write more. */
async function send(socket: Socket, order: Order, role: Role, slowly: boolean): Promise<void> {
  const seed = seedOf(order, role);
  let taken = 0;
  for (const length of new Random(seed).lengths(order.bytes, slowly ? SLOW_CHUNK : MAX_CHUNK)) {
    const failed = await new Promise<unknown>((resolve) => socket.write(payload(seed, length, taken), resolve));
    if (failed) return;
    taken += length;
    if (!slowly) continue;
    report('taken', { id: order.id, taken });
    await delay(PACE_MS);
  }
}

/** The dialer's end of a stream. */
export function dialStream(socket: Socket, order: Order): void {
  const watch = new Watch(socket, order, 'dialer');
  const { kind } = order;
  socket.on('data', (chunk: Buffer) => {
    watch.take(chunk);
    if (kind === 'reset') socket.resetAndDestroy();
  });
  socket.write(encodeHead(order));
  if (kind === 'exchange' || kind === 'half' || kind === 'flow') {
    void send(socket, order, 'dialer', kind === 'flow').then(() => socket.end());
  } else if (kind === 'brief') socket.end();
  else if (kind === 'pull') socket.on('end', () => socket.end());
}

/** The acceptor's end; `first` is what came behind the head. */
export function acceptStream(socket: Socket, order: Order, first: Buffer): void {
  const watch = new Watch(socket, order, 'acceptor');
  watch.take(first);
  const { kind } = order;
  socket.on('data', (chunk: Buffer) => watch.take(chunk));
  if (kind === 'exchange' || kind === 'pull') {
    void send(socket, order, 'acceptor', kind === 'pull').then(() => socket.end());
  } else if (kind === 'reset') void send(socket, order, 'acceptor', false);
  else if (kind === 'half') socket.on('end', () => void send(socket, order, 'acceptor', false).then(() => socket.end()));
  else socket.on('end', () => socket.end());
}

/** Records from the dialer, if the connection has a ring; else the same bytes as a stream. */
export function dialRecords(socket: Socket, order: Order): void {
  socket.once('connect', () => {
    const ring = ringOf(socket);
    if (ring === undefined) return dialStream(socket, { ...order, kind: 'flow' });
    new Watch(socket, order, 'dialer');
    void sendRecords(ring, order).then(() => socket.end());
    void ring.readable(); // takes the reading side over: nothing comes but the end
  });
}

async function sendRecords(ring: Ring, order: Order): Promise<void> {
  const seed = seedOf(order, 'dialer');
  let sent = 0;
  const records = [encodeHead(order)];
  for (const length of new Random(seed).lengths(order.bytes, MAX_CHUNK / 4)) {
    records.push(payload(seed, length, sent));
    sent += length;
  }
  for (let at = 0; at < records.length; ) {
    at += ring.send(records, at);
    const next = records[at];
    if (next !== undefined && !(await ring.writable(next.length + 8))) return;
  }
}

export async function acceptRecords(socket: Socket, ring: Ring, decode: (head: Buffer) => Order): Promise<void> {
  let order: Order | undefined;
  let watch: Watch | undefined;
  let lengths: Generator<number> | undefined;
  socket.on('error', () => {}); // without a head nobody waits for it
  while (await ring.readable()) {
    ring.receive((bytes, offset, length) => {
      const record = Buffer.from(bytes.subarray(offset, offset + length));
      if (order === undefined) {
        if (record.length !== HEAD_BYTES) throw new Error(`a head of ${record.length} bytes`);
        order = decode(record);
        watch = new Watch(socket, order, 'acceptor');
        lengths = new Random(seedOf(order, 'dialer')).lengths(order.bytes, MAX_CHUNK / 4);
        return;
      }
      const expected = lengths?.next().value as number;
      if (expected !== length) watch?.wrong(`a record of ${length} bytes, not ${expected}`);
      watch?.take(record);
    });
  }
  socket.end();
}

/** Requests over one kept connection; the answer is the body. */
export async function request(order: Order, createConnection: () => Socket): Promise<void> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  let connections = 0;
  let transport = 'plain';
  (agent as unknown as { createConnection: () => Socket }).createConnection = () => {
    connections++;
    const socket = createConnection();
    socket.on('connect', () => (transport = transportOf(socket)));
    return socket;
  };
  const outcome = (received: number, seen: string[], wrong?: string): void =>
    report('outcome', { id: order.id, role: 'dialer', transport, received, seen, ...(wrong ? { wrong } : {}) } satisfies Outcome);
  let received = 0;
  try {
    for (let i = 0; i < REQUESTS; i++) {
      const end = Math.floor((order.bytes * (i + 1)) / REQUESTS);
      const body = payload(order.seed, end - received, received);
      const answer = await post(agent, body);
      if (answer.compare(body) !== 0) return outcome(received, [], `request ${i} got ${answer.length} other bytes`);
      received = end;
    }
    outcome(received, ['end'], connections === 1 ? undefined : `${connections} connections for ${REQUESTS} requests`);
  } catch (error) {
    outcome(received, [(error as NodeJS.ErrnoException).code ?? String(error)]);
  } finally {
    agent.destroy();
  }
}

function post(agent: http.Agent, body: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const outgoing = http.request({ agent, method: 'POST', host: '127.0.0.1', headers: { 'content-length': body.length } });
    outgoing.once('error', reject);
    outgoing.once('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', reject);
      response.on('end', () => resolve(Buffer.concat(chunks)));
    });
    outgoing.end(body);
  });
}
