// http.ts - http over sockets of the case: the server by its 'connection' event, the client by an agent.

import http from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { collect, event, until } from '../support/events.js';
import { payload } from '../support/random.js';
import { createServer, listen, transportOf, type TransportCase } from './transport-case.js';

interface Web {
  readonly port: number;
  readonly agent: http.Agent;
  /** Sockets the server side has accepted. */
  readonly sockets: Socket[];
}

/** An http server on a server of the case, and a keep-alive agent that connects by the case. */
async function web(t: TransportCase, handler: http.RequestListener, upgrade?: (socket: Socket, head: Buffer) => void): Promise<Web> {
  const web = http.createServer(handler);
  if (upgrade) web.on('upgrade', (_request, socket, head) => upgrade(socket as Socket, head));
  const server = createServer(t);
  const sockets: Socket[] = [];
  server.on('connection', (socket) => {
    sockets.push(socket);
    web.emit('connection', socket);
  });
  const port = await listen(server);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
  const connections = agent as unknown as { createConnection: (options: object) => Socket };
  connections.createConnection = (options) => t.client.api.connect({ ...options, ...t.client.options } as never);
  onTestFinished(() => {
    agent.destroy();
    for (const socket of sockets) socket.destroy();
  });
  return { port, agent, sockets };
}

interface Answer {
  readonly status: number | undefined;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
  readonly reused: boolean;
}

async function ask(w: Web, options: http.RequestOptions = {}, body?: Buffer | Buffer[]): Promise<Answer> {
  const request = http.request({ host: '127.0.0.1', port: w.port, agent: w.agent, ...options });
  if (Array.isArray(body)) {
    for (const part of body) request.write(part);
    request.end();
  } else request.end(body);
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => request.on('response', resolve).on('error', reject));
  return { status: response.statusCode, headers: response.headers, body: await collect(response), reused: request.reusedSocket };
}

export function httpOver(t: TransportCase): void {
  describe('http', () => {
    it('answers requests', async () => {
      const w = await web(t, (request, response) => response.end(`you asked for ${request.url}`));
      const answer = await ask(w, { path: '/this' });
      expect([answer.status, answer.body.toString()]).toEqual([200, 'you asked for /this']);
      expect(transportOf(w.sockets[0] as Socket)).toBe(t.server.transport);
    });

    it('keeps connections alive and uses them again', async () => {
      const w = await web(t, (request, response) => response.end(request.url));
      for (let i = 0; i < 30; i++) {
        const answer = await ask(w, { path: `/${i}` });
        expect([answer.body.toString(), answer.reused]).toEqual([`/${i}`, i > 0]);
      }
      expect(w.sockets.length).toBe(1);
    });

    it('serves several requests at once with bodies both ways', async () => {
      const w = await web(t, async (request, response) => response.end(await collect(request)));
      const bodies = Array.from({ length: 16 }, (_, i) => payload(i, 1 + i * 40_000));
      const answers = await Promise.all(bodies.map((body) => ask(w, { method: 'POST' }, body)));
      expect(answers.map((answer, i) => answer.body.equals(bodies[i] as Buffer))).toEqual(bodies.map(() => true));
      expect(w.sockets.length).toBeLessThanOrEqual(4);
    });

    it('carries chunked bodies both ways', async () => {
      const w = await web(t, (request, response) => void request.pipe(response));
      const parts = Array.from({ length: 40 }, (_, i) => payload(i, 1 + i * 997));
      const answer = await ask(w, { method: 'POST' }, parts);
      expect(answer.headers['transfer-encoding']).toBe('chunked');
      expect(answer.body.equals(Buffer.concat(parts))).toBe(true);
    });

    it('holds a large response back until it is read', async () => {
      const body = payload(5, 3_000_000);
      const w = await web(t, (_request, response) => response.end(body));
      const request = http.get({ host: '127.0.0.1', port: w.port, agent: w.agent });
      const [response] = (await event(request, 'response')) as [http.IncomingMessage];
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        response.pause();
        setImmediate(() => response.resume());
      });
      await event(response, 'end');
      expect(Buffer.concat(chunks).equals(body)).toBe(true);
    });

    it('asks before it sends with Expect: 100-continue', async () => {
      const w = await web(t, async (request, response) => response.end(await collect(request)));
      const request = http.request({
        host: '127.0.0.1',
        port: w.port,
        agent: w.agent,
        method: 'POST',
        headers: { expect: '100-continue', 'content-length': 4 },
      });
      request.flushHeaders();
      await event(request, 'continue');
      request.end('body');
      const [response] = (await event(request, 'response')) as [http.IncomingMessage];
      expect((await collect(response)).toString()).toBe('body');
    });

    it('hands the socket over on upgrade, with what came behind the headers', async () => {
      const w = await web(
        t,
        (_request, response) => response.end(),
        (socket, head) => {
          socket.removeAllListeners();
          socket.setTimeout(0);
          socket.setNoDelay();
          socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
          if (head.length > 0) socket.unshift(head);
          socket.pipe(socket);
        },
      );
      const request = http.request({
        host: '127.0.0.1',
        port: w.port,
        agent: w.agent,
        headers: { connection: 'Upgrade', upgrade: 'echo' },
      });
      request.end();
      const [, socket, head] = (await event(request, 'upgrade')) as [unknown, Socket, Buffer];
      if (head.length > 0) socket.unshift(head);
      socket.end('after the upgrade');
      expect((await collect(socket)).toString()).toBe('after the upgrade');
    });

    it('reports a server that goes away in the middle', async () => {
      const w = await web(t, (request, response) => {
        response.writeHead(200, { 'content-length': 100 });
        response.write('only this', () => request.socket.destroy());
      });
      const request = http.get({ host: '127.0.0.1', port: w.port, agent: w.agent });
      const [response] = (await event(request, 'response')) as [http.IncomingMessage];
      const failing = event(response, 'error');
      response.resume();
      expect(((await failing)[0] as NodeJS.ErrnoException).code).toBe('ECONNRESET');
      expect(response.complete).toBe(false);
    });

    it('notices a client that gives up', async () => {
      let asked = false;
      let aborted = false;
      const w = await web(t, (request, response) => {
        asked = true;
        request.on('error', () => {});
        response.on('close', () => {
          aborted = !response.writableFinished;
        });
      });
      const request = http.get({ host: '127.0.0.1', port: w.port, agent: w.agent }).on('error', () => {});
      await until(() => asked);
      request.destroy();
      await until(() => aborted);
    });

    it('closes a connection that asks for it', async () => {
      const w = await web(t, (_request, response) => response.end('bye'));
      const answer = await ask(w, { headers: { connection: 'close' } });
      expect(answer.body.toString()).toBe('bye');
      await until(() => (w.sockets[0] as Socket).destroyed);
    });

    it('times out a silent request by its socket', async () => {
      const w = await web(t, () => {});
      const request = http.get({ host: '127.0.0.1', port: w.port, agent: w.agent, timeout: 50 });
      await event(request, 'timeout');
      request.on('error', () => {}).destroy();
    });

    it('tells the handler the addresses of the connection', async () => {
      const w = await web(t, ({ socket }, response) => response.end(`${socket.remoteAddress} ${socket.localPort}`));
      expect((await ask(w)).body.toString()).toBe(`127.0.0.1 ${w.port}`);
    });

    it('works under a listening http server of node:http too', async () => {
      const plain = http.createServer((_request, response) => response.end('plain'));
      plain.listen(0, '127.0.0.1');
      await event(plain, 'listening');
      const { port } = plain.address() as AddressInfo;
      const answer = await ask(
        { port, agent: new http.Agent(), sockets: [] },
        {
          createConnection: () => t.client.api.connect({ port, host: '127.0.0.1', ...t.client.options, transports: ['tcp'] }),
        },
      );
      expect(answer.body.toString()).toBe('plain');
      plain.closeAllConnections();
      await new Promise((resolve) => plain.close(resolve));
    });
  });
}
