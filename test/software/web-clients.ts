// web-clients.ts - the client programs whose servers are Node too: each is given its sockets by its documented door.

import http from 'node:http';
import tls from 'node:tls';
import { collect, event } from '../support/events.js';
import { CERTIFICATE, HOST } from './certificate.js';
import { type Dialer, exchange } from './exchange.js';

const headers = { 'content-type': 'application/octet-stream' };

const secure = (dial: Dialer, ALPNProtocols: string[]): tls.TLSSocket =>
  tls.connect({ socket: dial.connect(), ca: CERTIFICATE, servername: HOST, ALPNProtocols });

function agentOf<T extends http.Agent>(agent: T, connect: () => tls.TLSSocket | ReturnType<Dialer['connect']>): T {
  return Object.assign(agent, { createConnection: connect });
}

async function overAgent(request: typeof http.request, options: http.RequestOptions): Promise<number> {
  const exchanges = await exchange(async (body) => {
    const asking = request({ host: HOST, method: 'POST', headers, ...options });
    const answered = new Promise<http.IncomingMessage>((resolve, reject) => asking.on('response', resolve).on('error', reject));
    asking.end(body);
    return collect(await answered);
  });
  (options.agent as http.Agent).destroy();
  return exchanges;
}

/** undici against `origin`; its `connect` option makes the sockets. */
async function undici(origin: string, connect: () => ReturnType<Dialer['connect']>, connected: string): Promise<number> {
  const { Agent, request } = await import('undici');
  const dispatcher = new Agent({
    connections: 2,
    connect(_options, callback) {
      const socket = connect();
      socket.once('error', (error) => callback(error, null));
      socket.once(connected, () => callback(null, socket));
    },
  });
  const exchanges = await exchange(async (body) => {
    const { body: answer } = await request(origin, { dispatcher, method: 'POST', headers, body });
    return Buffer.from(await answer.arrayBuffer());
  });
  await dispatcher.close();
  return exchanges;
}

async function http2(origin: string, connect: () => ReturnType<Dialer['connect']>): Promise<number> {
  const session = (await import('node:http2')).connect(origin, { createConnection: connect });
  const failed = new Promise<never>((_, reject) => session.once('error', reject));
  const exchanges = await exchange((body) => {
    const stream = session.request({ ':method': 'POST' });
    stream.end(body);
    return Promise.race([collect(stream), failed]);
  });
  session.close();
  return exchanges;
}

/** A unary gRPC call spelled out over http2: a message is a zero byte, its length and its bytes; the status is a trailer. */
async function grpcByHand(dial: Dialer): Promise<number> {
  const session = (await import('node:http2')).connect('http://smc.test', { createConnection: () => dial.connect() });
  const failed = new Promise<never>((_, reject) => session.once('error', reject));
  const exchanges = await exchange(async (body) => {
    const stream = session.request({
      ':method': 'POST',
      ':path': '/test.Software/Invert',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    const trailers = event(stream, 'trailers');
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(body.length, 1);
    stream.end(Buffer.concat([prefix, body]));
    const answer = await Promise.race([collect(stream), failed]);
    const [{ 'grpc-status': status }] = (await trailers) as [Record<string, string>];
    if (status !== '0' || answer.readUInt32BE(1) !== answer.length - 5) throw new Error(`gRPC status ${status}`);
    return answer.subarray(5);
  });
  session.close();
  return exchanges;
}

async function socketIo(agent: http.Agent, transports: string[]): Promise<number> {
  const { io } = await import('socket.io-client');
  // The types know only what a browser takes; in Node the option is an http.Agent.
  const socket = io('http://smc.test', { agent: agent as unknown as boolean, transports, reconnection: false });
  const failed = new Promise<never>((_, reject) => socket.once('connect_error', reject));
  await Promise.race([new Promise<void>((resolve) => void socket.once('connect', resolve)), failed]);
  const { engine } = socket.io;
  if (transports.includes('websocket') && engine.transport.name !== 'websocket') {
    await new Promise((resolve) => engine.once('upgrade', resolve));
  }
  const exchanges = await exchange(async (body) => (await socket.emitWithAck('invert', body)) as Buffer);
  socket.disconnect();
  return exchanges;
}

export const web: Readonly<Record<string, (dial: Dialer) => Promise<number>>> = {
  'node:http': (dial) => overAgent(http.request, { agent: agentOf(new http.Agent({ keepAlive: true }), () => dial.connect()) }),

  async 'node:https'(dial) {
    const https = await import('node:https');
    return overAgent(https.request, { agent: agentOf(new https.Agent({ keepAlive: true }), () => secure(dial, ['http/1.1'])) });
  },

  undici: (dial) => undici('http://smc.test', () => dial.connect(), 'connect'),
  'undici (TLS)': (dial) => undici('https://smc.test', () => secure(dial, ['http/1.1']), 'secureConnect'),
  'node:http2': (dial) => http2('http://smc.test', () => dial.connect()),
  'node:http2 (TLS)': (dial) => http2('https://smc.test', () => secure(dial, ['h2'])),
  'node:http2 (gRPC)': grpcByHand,

  async ws(dial) {
    const { WebSocket } = await import('ws');
    const socket = new WebSocket('ws://smc.test', { createConnection: (() => dial.connect()) as never });
    const failed = new Promise<never>((_, reject) => socket.once('error', reject));
    await Promise.race([event(socket, 'open'), failed]);
    // Answers come in the order of the questions.
    const waiting: ((answer: Buffer) => void)[] = [];
    socket.on('message', (answer) => waiting.shift()?.(answer as Buffer));
    const exchanges = await exchange((body) => {
      const answered = new Promise<Buffer>((resolve) => void waiting.push(resolve));
      socket.send(body);
      return Promise.race([answered, failed]);
    });
    socket.close();
    return exchanges;
  },

  async 'socket.io-client'(dial) {
    const agent = agentOf(new http.Agent({ keepAlive: true }), () => dial.connect());
    const exchanges = (await socketIo(agent, ['polling'])) + (await socketIo(agent, ['polling', 'websocket']));
    agent.destroy();
    return exchanges;
  },

  /** Has no door: it makes its own sockets, whatever the side. */
  async '@grpc/grpc-js'(dial) {
    const { Client, credentials } = await import('@grpc/grpc-js');
    const client = new Client(`127.0.0.1:${dial.port}`, credentials.createInsecure());
    const asIs = (bytes: Buffer): Buffer => bytes;
    const exchanges = await exchange(
      (body) =>
        new Promise((resolve, reject) => {
          client.makeUnaryRequest('/test.Software/Invert', asIs, asIs, body, (error, answer) => {
            if (error) reject(error);
            else resolve(answer as Buffer);
          });
        }),
    );
    client.close();
    return exchanges;
  },
};
