// smc-pair.ts - connections between our sockets and the kernel's SMC, in either role: connect() and createServer() find the kernel, and it
// finds them, by the TCP option.

import type { AddressInfo } from 'node:net';
import { connect, createServer, type Server, type Socket, type SmcOptions } from '@smcjs/core';
import { setup } from '@smcjs/smcr/tcp-option';
import { onTestFinished } from 'vitest';
import { KernelAgent } from './kernel-agent.js';
import { addUeid } from './kernel-smc.js';
import { ADDRESS } from './place.js';
import { SmcStream } from './smc-stream.js';

export const UEID = 'SMCJS-TEST-EID';
/** Emulated processors: what takes milliseconds elsewhere may take seconds. */
export const SMCR = { transports: ['smcr'], fallback: 'error', ueids: [UEID], handshakeTimeout: 60_000 } as const satisfies SmcOptions;

export const ROLES = ['client', 'server'] as const;
export type Role = (typeof ROLES)[number];

/** What has to be done once on a machine, and at its kernel. */
export function prepare(): void {
  addUeid(UEID);
  setup();
}

export interface Pair {
  readonly stream: SmcStream;
  readonly agent: KernelAgent;
  /** What the agent calls its end. */
  readonly name: string;
}

export interface Way {
  /** Our address and the kernel's; that of place.ts unless told otherwise. */
  readonly ours?: string;
  readonly kernel?: string;
  readonly options?: SmcOptions;
  /** The kernel's sockets are plain TCP. */
  readonly kind?: 'smc' | 'tcp';
}

let names = 0;

/** Resolves when it is connected. @throws Error of the socket */
export function connected(socket: Socket): Promise<SmcStream> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject).once('connect', () => {
      socket.off('error', reject);
      resolve(new SmcStream(socket));
    });
  });
}

/** Makes connections between us and one program on the kernel's SMC, over one listener. */
export class Meeting {
  readonly agent: KernelAgent;
  readonly role: Role;
  readonly #way: Way;
  #port = 0;
  #listener = '';
  #server: Server | undefined;
  /** Our ends by the client's port, and the agent's names: connections come in any order. */
  readonly #coming = new Map<number, SmcStream>();
  readonly #accepted = new Map<number, string>();

  private constructor(agent: KernelAgent, role: Role, way: Way) {
    this.agent = agent;
    this.role = role;
    this.#way = way;
  }

  /** `role` is ours. */
  static async open(role: Role, way: Way = {}, agent: KernelAgent = new KernelAgent()): Promise<Meeting> {
    const meeting = new Meeting(agent, role, way);
    if (role === 'client') {
      meeting.#listener = `l${++names}`;
      const { port } = await agent.do('listen', { name: meeting.#listener, host: way.kernel ?? ADDRESS, kind: way.kind });
      meeting.#port = port as number;
      return meeting;
    }
    const server = createServer({ ...SMCR, allowHalfOpen: true, ...way.options }, (socket) => {
      meeting.#coming.set(socket.remotePort as number, new SmcStream(socket as Socket));
    });
    onTestFinished(() => void server.close());
    await new Promise<void>((resolve) => server.listen({ port: 0, host: way.ours ?? ADDRESS, backlog: 1024 }, resolve));
    meeting.#port = (server.address() as AddressInfo).port;
    meeting.#server = server as Server;
    return meeting;
  }

  /** No more connections. */
  close(): void {
    this.#server?.close();
  }

  /** One connection. @throws Error `ERR_SMC_FALLBACK` when it is TCP, and we are the client. */
  async connect(): Promise<Pair> {
    const { agent } = this;
    const name = `c${++names}`;
    const { ours, kernel, options, kind } = this.#way;
    if (this.role === 'server') {
      const { local } = await agent.do('connect', { name, port: this.#port, host: ours ?? ADDRESS, source: kernel, kind });
      while (!this.#coming.has(local as number)) await new Promise((resolve) => setTimeout(resolve, 5));
      const stream = this.#coming.get(local as number) as SmcStream;
      this.#coming.delete(local as number);
      return { stream, agent, name };
    }
    const accepting = agent.do('accept', { name, listener: this.#listener });
    const where = { port: this.#port, host: kernel ?? ADDRESS, ...(ours === undefined ? {} : { localAddress: ours }) };
    const stream = await connected(connect({ ...SMCR, allowHalfOpen: true, ...options, ...where } as never));
    // Somebody's connection, which has one of the names.
    const { peer } = await accepting;
    this.#accepted.set(peer as number, name);
    const port = stream.socket.localPort as number;
    while (!this.#accepted.has(port)) await new Promise((resolve) => setTimeout(resolve, 5));
    return { stream, agent, name: this.#accepted.get(port) as string };
  }
}

/** A single connection. */
export async function pair(role: Role, way: Way = {}): Promise<Pair> {
  const meeting = await Meeting.open(role, way);
  try {
    return await meeting.connect();
  } finally {
    meeting.close();
  }
}

/** Both close in order. */
export async function closeBoth({ stream, agent, name }: Pair): Promise<void> {
  stream.close();
  await agent.do('close', { name });
  await stream.closed;
}
