// http.ts - node:http with keep-alive over a lane: plain listen() for TCP and Unix sockets, and for this library the
// two lines its users write: createConnection in the Agent, 'connection' emitted on the http server.

import http from 'node:http';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import { now, percentiles } from '../clock.js';
import type { Lane, Opening } from '../lanes.js';
import type { HttpLoad } from '../pair/commands.js';
import { samples } from '../pair/connections.js';
import type { Handlers } from '../pair/control.js';
import { anyAddress, listening, target } from '../transports/net.js';
import type { Address } from '../transports/port.js';
import { library, smcConnect, smcOptions } from '../transports/smc.js';
import { type Ask, HTTP_CLIENTS, type HttpClient, httpClients } from './http-clients.js';
import { attempt, chosen, type Context, inRounds } from './context.js';

const BODY = Buffer.alloc(100, 'x');
export const HTTP_CONNECTIONS = [1, 10, 50] as const;

const isPlain = ({ lane }: Opening) => lane.transport === 'uds' || (lane.mode === 'stream' && lane.transport === 'tcp');

async function httpListen({ opening }: { opening: Opening }): Promise<Address> {
  const server = http.createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/plain', 'content-length': BODY.length });
    response.end(BODY);
  });
  if (isPlain(opening)) return listening(server, anyAddress(opening.lane.transport === 'uds'));
  const lib = await library();
  // The options http.Server gives the net.Server that it is.
  const listener = lib.createServer({ ...smcOptions(opening), allowHalfOpen: true, noDelay: true }, (socket) =>
    server.emit('connection', socket),
  );
  return listening(listener, anyAddress(false));
}

interface Load {
  opening: Opening;
  address: Address;
  connections: number;
  client: HttpClient;
  ms: number;
}

/** One request loop per connection: each waits for its response and asks again. */
async function httpLoad({ opening, address, connections, client, ms }: Load): Promise<HttpLoad> {
  const lib = isPlain(opening) ? undefined : await library();
  const open = (): Duplex =>
    lib === undefined ? net.connect({ ...target(address), noDelay: true } as net.NetConnectOpts) : smcConnect(lib, opening, address);
  const clients = httpClients(client, connections, open, BODY.length);
  let count = 0;
  let deadline = 0;
  const loop = async (ask: Ask) => {
    for (let begin = now(); begin < deadline && count < samples.length; ) {
      await ask();
      const end = now();
      samples[count++] = end - begin;
      begin = end;
    }
  };
  const loops = async (duration: number) => {
    count = 0;
    const begin = now();
    deadline = begin + duration * 1000;
    await Promise.all(clients.asks.map(loop));
    return count / ((now() - begin) / 1e6);
  };
  try {
    await loops(ms / 3);
    const requests_per_s = await loops(ms);
    return { ...percentiles(samples, count), requests_per_s };
  } finally {
    clients.close();
  }
}

export const httpCommands = { httpListen, httpLoad } satisfies Partial<Handlers>;

export async function httpCase(context: Context): Promise<void> {
  const { plan, pairs, recorder } = context;
  const lanes = ['tcp/stream', 'uds/stream', 'smcd/stream', 'smcd/stream-off'].flatMap((key) => chosen(context, key) ?? []);
  const addresses = new Map<Lane, Address>();
  await inRounds(context, 'http', plan.httpRounds, async (round) => {
    for (const client of HTTP_CLIENTS) {
      for (const connections of HTTP_CONNECTIONS) {
        for (const lane of lanes) await attempt(context, 'http', lane, () => one(round, lane, client, connections));
      }
    }
  });

  async function one(round: number, lane: Lane, client: HttpClient, connections: number): Promise<void> {
    const opening: Opening = { lane, bytes: 64 };
    const pair = pairs.of(lane);
    try {
      const address = addresses.get(lane) ?? (await pair.server.call('httpListen', { opening }));
      addresses.set(lane, address);
      const load = await pair.client.call('httpLoad', { opening, address, connections, client, ms: plan.httpMs }, plan.httpMs);
      const { p50_us, p99_us, requests_per_s } = load;
      const of = { case: 'http', transport: lane.transport, mode: lane.mode, bytes: BODY.length, connections, client } as const;
      recorder.add(round, { ...of, p50_us, p99_us, msgs_per_s: requests_per_s, budget_ms: plan.httpMs });
    } catch (error) {
      await pairs.drop(lane);
      throw error;
    }
  }
}
