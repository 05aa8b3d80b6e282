// exchange.ts - what is asked and answered in every cell, and the sockets a program is given to do it over.

import type net from 'node:net';
import { payload } from '../support/random.js';
import { load, type SideArgs, transportOf } from '../peers/lib.js';

/** Bytes of the bodies asked with one after another, then all at once: from one byte to several times the ring. */
const SIZES = [1, 1000, 70_000, 1_000_000];

/** What a server answers: every bit turned around, so that an answer cannot be taken for what was sent. */
export function invert(body: Buffer): Buffer {
  const answer = Buffer.allocUnsafe(body.length);
  for (let i = 0; i < body.length; i++) answer[i] = ~(body[i] as number);
  return answer;
}

/** Asks with every size in turn and then with all at once; throws when an answer is not what follows from the question. */
export async function exchange(ask: (body: Buffer) => Promise<Buffer>, answerTo: (body: Buffer) => Buffer = invert): Promise<number> {
  let exchanges = 0;
  const check = async (size: number): Promise<void> => {
    const body = payload(exchanges++, size);
    const answer = await ask(body);
    if (!answer.equals(answerTo(body))) throw new Error(`the answer to ${size} bytes is wrong (${answer.length} bytes)`);
  };
  for (const size of SIZES) await check(size);
  await Promise.all(SIZES.map(check));
  return exchanges;
}

/** Makes the sockets of a client and writes down what each of them became. */
export class Dialer {
  readonly #api: Pick<typeof net, 'connect' | 'Socket'>;
  readonly #side: SideArgs;
  readonly port: number;
  /** One entry for each socket that connected. */
  readonly transports: string[] = [];

  constructor(api: Pick<typeof net, 'connect' | 'Socket'>, side: SideArgs, port: number) {
    this.#api = api;
    this.#side = side;
    this.port = port;
  }

  /** A socket on its way to the server. */
  connect(): net.Socket {
    return this.#watch(this.#api.connect({ ...this.#side.options, host: '127.0.0.1', port: this.port }));
  }

  /** A socket that the program itself will connect. */
  socket(): net.Socket {
    return this.#watch(new this.#api.Socket(this.#side.options as net.SocketConstructorOpts));
  }

  #watch(socket: net.Socket): net.Socket {
    return socket.once('connect', () => void this.transports.push(transportOf(socket)));
  }
}

export async function dialer(side: SideArgs, port: number): Promise<Dialer> {
  return new Dialer((await load(side)) as unknown as typeof net, side, port);
}

/** What server processes are told. */
export interface ServerArgs {
  readonly program: string;
  readonly side: SideArgs;
}

/** What client processes are told. */
export interface ClientArgs extends ServerArgs {
  readonly port: number;
}
