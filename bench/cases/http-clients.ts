// http-clients.ts - the two clients HTTP is measured with. `agent`: http.request with a keep-alive http.Agent, as
// programs use it; it costs more CPU than the server does. `light`: a load generator in the manner of wrk, one fixed
// request over a raw socket, so that what is seen is the server and the transport.

import http from 'node:http';
import type { Duplex } from 'node:stream';
import { MeasureError } from '../errors.js';

export type HttpClient = 'agent' | 'light';
export const HTTP_CLIENTS: readonly HttpClient[] = ['agent', 'light'];

/** One connection's worth of a client: asks once, settles when the whole response is there. */
export type Ask = () => Promise<void>;

export interface Clients {
  readonly asks: readonly Ask[];
  close(): void;
}

/** @param open makes a socket that may still be connecting; `body` is the length every response must have */
export function httpClients(kind: HttpClient, connections: number, open: () => Duplex, body: number): Clients {
  return kind === 'agent' ? agentClients(connections, open, body) : lightClients(connections, open, body);
}

const wrongBody = (length: number) => new MeasureError('mismatch', `an HTTP response with a body of ${length} bytes`);

function agentClients(connections: number, open: () => Duplex, body: number): Clients {
  const agent = new http.Agent({ keepAlive: true, maxSockets: connections });
  agent.createConnection = open;
  const ask: Ask = () =>
    new Promise((resolve, reject) => {
      const request = http.request({ agent, host: '127.0.0.1', path: '/' }, (response) => {
        let length = 0;
        response.on('data', (chunk: Buffer) => {
          length += chunk.length;
        });
        response.on('end', () => (length === body ? resolve() : reject(wrongBody(length))));
        response.on('error', reject);
      });
      request.on('error', reject);
      request.end();
    });
  return { asks: Array<Ask>(connections).fill(ask), close: () => agent.destroy() };
}

const REQUEST = Buffer.from('GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n');
const OK = Buffer.from('HTTP/1.1 200');

function lightClients(connections: number, open: () => Duplex, body: number): Clients {
  const sockets = Array.from({ length: connections }, open);
  const asks = sockets.map((socket): Ask => {
    let full = 0; // length of a response: known from the first one, the same for all
    let head = Buffer.alloc(0); // of the first one, as far as it has arrived
    let got = 0;
    let settle: { resolve: () => void; reject: (error: Error) => void } | undefined;
    socket.on('data', (chunk: Buffer) => {
      if (got === 0 && chunk.length >= OK.length && OK.compare(chunk, 0, OK.length) !== 0) {
        return settle?.reject(new MeasureError('mismatch', `an HTTP response that begins with ${chunk.toString('latin1', 0, 20)}`));
      }
      if (full === 0) {
        head = Buffer.concat([head, chunk]);
        const end = head.indexOf('\r\n\r\n');
        if (end >= 0) full = end + 4 + body;
      }
      got += chunk.length;
      if (full === 0 || got < full) return;
      if (got > full) return settle?.reject(wrongBody(got - full + body));
      got = 0;
      settle?.resolve();
    });
    socket.on('error', (error) => settle?.reject(error));
    socket.on('close', () => settle?.reject(new MeasureError('failed', 'the HTTP server closed the connection')));
    return () =>
      new Promise((resolve, reject) => {
        settle = { resolve, reject };
        socket.write(REQUEST);
      });
  });
  return { asks, close: () => sockets.forEach((socket) => void socket.destroy()) };
}
