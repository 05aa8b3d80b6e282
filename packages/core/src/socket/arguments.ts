// arguments.ts - the arguments of connect() and createServer(): node:net's overloads, and our options out of them.

import type net from 'node:net';
import type { SmcOptions } from '../options.js';

/** Options of `new Socket()`. */
export type SocketOptions = net.SocketConstructorOpts & SmcOptions;
/** Options of `connect()`. */
export type ConnectOptions = net.NetConnectOpts & SmcOptions;
/** Options of `createServer()`. */
export type ServerOptions = net.ServerOpts & SmcOptions;

export interface NormalizedConnect {
  readonly options: ConnectOptions & Partial<net.TcpNetConnectOpts & net.IpcNetConnectOpts>;
  readonly callback: (() => void) | undefined;
}

/** The overloads of net.connect: (options[, cb]), (port[, host][, cb]), (path[, cb]). */
export function normalizeConnect(args: readonly unknown[]): NormalizedConnect {
  const [first, second] = args;
  const last = args[args.length - 1];
  const callback = typeof last === 'function' ? (last as () => void) : undefined;
  if (typeof first === 'object' && first !== null) return { options: first as ConnectOptions, callback };
  if (typeof first === 'string' && !isPort(first)) return { options: { path: first } as ConnectOptions, callback };
  const host = typeof second === 'string' ? { host: second } : {};
  return { options: { port: first as number, ...host } as ConnectOptions, callback };
}

const isPort = (text: string) => text.trim() !== '' && Number.isInteger(Number(text)) && Number(text) >= 0;
