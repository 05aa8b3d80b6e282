// servers.ts - the server programs: each is set up without listening and takes connected sockets by its documented door.

import http from 'node:http';
import type { Socket } from 'node:net';
import { collect } from '../support/events.js';
import { CERTIFICATE, KEY } from './certificate.js';
import { invert } from './exchange.js';

type Inject = (socket: Socket) => void;

const LIMIT = 4_000_000;
const tls = { key: KEY, cert: CERTIFICATE };

const answer: http.RequestListener = async (request, response) => {
  response.end(invert(await collect(request)));
};

/** The door of everything that is an http server: its 'connection' event. */
const byEvent =
  (server: { emit(name: 'connection', socket: Socket): boolean }): Inject =>
  (socket) =>
    void server.emit('connection', socket);

export const servers: Readonly<Record<string, () => Promise<Inject>>> = {
  'node:http': async () => byEvent(http.createServer(answer)),

  'node:https': async () => byEvent((await import('node:https')).createServer(tls, answer)),

  async 'node:http2'() {
    const server = (await import('node:http2')).createServer();
    server.on('stream', async (stream) => stream.end(invert(await collect(stream))));
    return byEvent(server);
  },

  async 'node:http2 (TLS)'() {
    const server = (await import('node:http2')).createSecureServer(tls);
    server.on('stream', async (stream) => stream.end(invert(await collect(stream))));
    return byEvent(server);
  },

  async ws() {
    const { WebSocketServer } = await import('ws');
    const server = http.createServer();
    new WebSocketServer({ server }).on('connection', (socket) => {
      socket.on('message', (message) => socket.send(invert(message as Buffer)));
    });
    return byEvent(server);
  },

  async fastify() {
    const { fastify } = await import('fastify');
    let server = http.createServer();
    const app = fastify({
      bodyLimit: LIMIT,
      serverFactory(handler) {
        server = http.createServer(handler);
        return server;
      },
    });
    app.addContentTypeParser('application/octet-stream', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
    app.post('/', async (request) => invert(request.body as Buffer));
    await app.ready();
    return byEvent(server);
  },

  async 'socket.io'() {
    const { Server } = await import('socket.io');
    const server = http.createServer();
    new Server(server, { maxHttpBufferSize: LIMIT }).on('connection', (socket) => {
      socket.on('invert', (body: Buffer, acknowledge: (answer: Buffer) => void) => acknowledge(invert(body)));
    });
    return byEvent(server);
  },

  async '@grpc/grpc-js'() {
    const { Server, ServerCredentials } = await import('@grpc/grpc-js');
    const asIs = (bytes: Buffer): Buffer => bytes;
    const codec = { requestSerialize: asIs, requestDeserialize: asIs, responseSerialize: asIs, responseDeserialize: asIs };
    const server = new Server();
    server.addService(
      { Invert: { path: '/test.Software/Invert', requestStream: false, responseStream: false, ...codec } },
      { Invert: (call: { request: Buffer }, done: (error: null, answer: Buffer) => void) => done(null, invert(call.request)) },
    );
    const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
    return (socket) => injector.injectConnection(socket);
  },
};
