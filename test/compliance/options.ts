// options.ts - the setters and options of a socket, and what wrong ones give.

import { connect as tcpConnect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { collect, errorOf, event, record, turns } from '../support/events.js';
import { accept, createServer, dial, listen, listening, open, transportOf, type TransportCase } from './transport-case.js';

const code = (value: string): unknown => expect.objectContaining({ code: value });

export function options(t: TransportCase): void {
  describe('options', () => {
    it('has setters that can be chained, before and after connecting', async () => {
      const { port } = await listening(t);
      const socket = new t.client.api.Socket({ ...t.client.options });
      const chain = (): unknown =>
        socket.setNoDelay().setNoDelay(false).setKeepAlive(true, 1000).setKeepAlive(false).setTimeout(0).ref().unref().ref();
      expect(chain()).toBe(socket);
      socket.connect({ port, host: '127.0.0.1' });
      expect(chain()).toBe(socket);
      await event(socket, 'connect');
      expect(transportOf(socket)).toBe(t.client.transport);
      expect(chain()).toBe(socket);
      expect(socket.pause().resume().setEncoding('utf8')).toBe(socket);
      socket.destroy();
      expect(chain()).toBe(socket);
    });

    it('takes noDelay and keepAlive as options of both sides', async () => {
      const tuned = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 1000 };
      const { client, accepted } = await open(t, { client: tuned, server: tuned });
      client.end('tuned');
      expect((await collect(accepted)).toString()).toBe('tuned');
    });

    it('passes the options of the streams on', async () => {
      const { client } = await open(t, { client: { highWaterMark: 12_345 } as never });
      expect([client.readableHighWaterMark, client.writableHighWaterMark]).toEqual([12_345, 12_345]);
    });

    it('hands allowHalfOpen and highWaterMark of the server to what it accepts', async () => {
      const { accepted } = await open(t, { server: { allowHalfOpen: true, highWaterMark: 9999 } });
      expect([accepted.allowHalfOpen, accepted.readableHighWaterMark]).toEqual([true, 9999]);
      const { accepted: other } = await open(t);
      expect(other.allowHalfOpen).toBe(false);
    });

    it('ignores what is set after it closed', async () => {
      const { client, accepted } = await open(t);
      accepted.resume();
      client.destroy();
      await event(client, 'close');
      client.setNoDelay(true).setKeepAlive(true).ref().unref();
    });
  });

  describe('wrong options', () => {
    it('throw at once with the codes of node:net', () => {
      const make = (options: object): unknown => t.client.api.connect({ ...t.client.options, ...options } as never);
      expect(() => make({ port: 65_536 })).toThrow(code('ERR_SOCKET_BAD_PORT'));
      expect(() => make({ port: -1 })).toThrow(code('ERR_SOCKET_BAD_PORT'));
      expect(() => make({ port: 'abc' })).toThrow(code('ERR_SOCKET_BAD_PORT'));
      expect(() => make({ port: {} })).toThrow(code('ERR_INVALID_ARG_TYPE'));
      expect(() => make({})).toThrow(code('ERR_MISSING_ARGS'));
      expect(() => make({ port: 1, lookup: 'x' })).toThrow(code('ERR_INVALID_ARG_TYPE'));
      expect(() => make({ port: 1, localAddress: 'nowhere' })).toThrow(code('ERR_INVALID_IP_ADDRESS'));
      expect(() => make({ port: 1, host: '127.0.0.1', localPort: 'x' })).toThrow(code('ERR_INVALID_ARG_TYPE'));
      expect(() => make({ path: 5 })).toThrow(code('ERR_INVALID_ARG_TYPE'));
    });

    it('throw at once from listen() too', () => {
      const server = createServer(t);
      expect(() => server.listen(70_000)).toThrow(code('ERR_SOCKET_BAD_PORT'));
      expect(() => server.listen({} as never)).toThrow(code('ERR_INVALID_ARG_VALUE'));
    });

    it('throw from the setters', async () => {
      const { client } = await open(t);
      expect(() => client.setTimeout('soon' as never)).toThrow(code('ERR_INVALID_ARG_TYPE'));
      expect(() => client.setTimeout(-1)).toThrow(code('ERR_OUT_OF_RANGE'));
      expect(() => client.setTimeout(1, 'x' as never)).toThrow(code('ERR_INVALID_ARG_TYPE'));
      expect(() => client.setEncoding('nope' as never)).toThrow(code('ERR_UNKNOWN_ENCODING'));
    });

    it('of this library name themselves', () => {
      if (t.client.transport === undefined) return;
      const wrong = [
        { transports: [] },
        { transports: ['udp'] },
        { transports: ['tcp', 'tcp'] },
        { fallback: 'maybe' },
        { busyPoll: 'yes' },
      ];
      for (const options of [
        ...wrong,
        { busyPoll: -1 },
        { discoveryWait: -1 },
        { handshakeTimeout: 0 },
        { ringSize: 1000 },
        { ringSize: 2 ** 30 },
      ]) {
        const name = Object.keys(options)[0] as string;
        for (const attempt of [
          () => t.client.api.connect({ port: 1, ...options } as never),
          () => new t.client.api.Socket(options as never),
          () => t.client.api.createServer(options as never),
        ]) {
          expect(attempt, JSON.stringify(options)).toThrow(code('ERR_SMC_INVALID_OPTION'));
          expect(attempt).toThrow(name);
        }
      }
    });
  });

  describe('an AbortSignal', () => {
    it('that is aborted already is reported by a new socket', async () => {
      const socket = new t.client.api.Socket({ ...t.client.options, signal: AbortSignal.abort() });
      const closing = event(socket, 'close');
      expect(await errorOf(socket)).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR' });
      await closing;
    });

    it('that is aborted already is reported by connect()', async () => {
      // What happens after the error differs from what one would guess (node:net connects all the same): not asserted.
      const { server, port } = await listening(t);
      server.on('connection', (socket) => socket.on('error', () => {}).resume());
      expect((await errorOf(dial(t, port, { signal: AbortSignal.abort() }))).name).toBe('AbortError');
    });

    it('stops connecting', async () => {
      const { server, port } = await listening(t);
      server.on('connection', (socket) => socket.on('error', () => {}).resume());
      const controller = new AbortController();
      const client = dial(t, port, { signal: controller.signal });
      const seen = record(client, ['connect', 'close']);
      const failing = errorOf(client);
      const closing = event(client, 'close');
      controller.abort();
      expect(await failing).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR' });
      await closing;
      expect(seen).toEqual(['close true']);
    });

    it('destroys a connected socket', async () => {
      const controller = new AbortController();
      const { client, accepted } = await open(t, { client: { signal: controller.signal } });
      const peer = record(accepted);
      accepted.resume();
      const failing = errorOf(client);
      controller.abort();
      expect((await failing).name).toBe('AbortError');
      await event(accepted, 'close');
      expect(peer).toEqual(['end', 'finish', 'close false']);
    });

    it('closes a server', async () => {
      const controller = new AbortController();
      const server = createServer(t);
      server.listen({ port: 0, host: '127.0.0.1', signal: controller.signal });
      await event(server, 'listening');
      controller.abort();
      await event(server, 'close');
      expect(server.listening).toBe(false);
    });
  });

  describe('the overloads of connect()', () => {
    it('take a port and a host, or a port alone', async () => {
      const server = createServer(t);
      server.on('connection', (socket) => socket.end('hi'));
      const port = await listen(server, 'localhost');
      for (const args of [[port, 'localhost'], [port], [String(port), 'localhost']] as [number, string?][]) {
        const socket = new t.client.api.Socket({ ...t.client.options });
        const receiving = collect(socket);
        await new Promise<void>((resolve) => void socket.connect(...(args as [number, string]), resolve));
        expect((await receiving).toString()).toBe('hi');
      }
    });

    it('take what createConnection() takes', async () => {
      const { server, port } = await listening(t);
      server.on('connection', (socket) => socket.end('hi'));
      const socket = t.client.api.createConnection(port, '127.0.0.1');
      expect((await collect(socket)).toString()).toBe('hi');
    });

    it('serve a stranger that uses node:net as well', async () => {
      // It says nothing before it is accepted: that takes as long as the server waits for a handshake.
      const { server, port } = await listening(t, { fallback: 'tcp', handshakeTimeout: 2000 });
      const accepting = accept(server);
      const stranger = tcpConnect(port, '127.0.0.1');
      const accepted = await accepting;
      expect([undefined, 'tcp']).toContain(transportOf(accepted));
      stranger.end('hello');
      expect((await collect(accepted)).toString()).toBe('hello');
      await turns();
      stranger.destroy();
    });
  });
}
