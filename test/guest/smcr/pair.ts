// pair.ts - a connection between us and the kernel, in either role.

import { KernelAgent } from '../kernel-agent.js';
import type { SmcrPeer } from './peer.js';
import type { Stream } from './stream.js';

export const ROLES = ['client', 'server'] as const;
export type Role = (typeof ROLES)[number];

export interface Pair {
  readonly stream: Stream;
  readonly agent: KernelAgent;
  /** What the agent calls its end. */
  readonly name: string;
}

export interface Way {
  /** Our address and the kernel's; 127.0.0.1 unless told otherwise. */
  readonly ours?: string;
  readonly kernel?: string;
  readonly kind?: 'smc' | 'af_smc';
}

let names = 0;

/** Makes connections between us and one program on the kernel's SMC, over one listener. */
export class Meeting {
  readonly ours: SmcrPeer;
  readonly agent: KernelAgent;
  readonly role: Role;
  readonly #way: Way;
  #port = 0;
  #listener = '';
  /** By the client's port: connections come in any order. */
  readonly #coming = new Map<number, Promise<Stream | Error>>();
  readonly #accepted = new Map<number, string>();
  close: () => void = () => {};

  private constructor(ours: SmcrPeer, agent: KernelAgent, role: Role, way: Way) {
    this.ours = ours;
    this.agent = agent;
    this.role = role;
    this.#way = way;
  }

  /** `role` is ours. */
  static async open(ours: SmcrPeer, role: Role, way: Way = {}, agent: KernelAgent = new KernelAgent()): Promise<Meeting> {
    const meeting = new Meeting(ours, agent, role, way);
    if (role === 'client') {
      meeting.#listener = `l${++names}`;
      const { port } = await agent.do('listen', { name: meeting.#listener, host: way.kernel, kind: way.kind });
      meeting.#port = port as number;
    } else {
      const { port, server } = await ours.listen((client, stream) => meeting.#coming.set(client, stream), way.ours);
      meeting.#port = port;
      meeting.close = () => void server.close();
    }
    return meeting;
  }

  /** One connection. @throws Declined when it is TCP. */
  async connect(): Promise<Pair> {
    const { agent, ours } = this;
    const name = `c${++names}`;
    const { ours: our, kernel, kind } = this.#way;
    if (this.role === 'client') {
      const where = { ...(kernel === undefined ? {} : { host: kernel }), ...(our === undefined ? {} : { localAddress: our }) };
      const accepting = agent.do('accept', { name, listener: this.#listener });
      const stream = await ours.connect(this.#port, where);
      // Somebody's connection, which has one of the names.
      const { peer } = await accepting;
      this.#accepted.set(peer as number, name);
      const port = stream.tcp.localPort as number;
      while (!this.#accepted.has(port)) await new Promise((resolve) => setTimeout(resolve, 5));
      return { stream, agent, name: this.#accepted.get(port) as string };
    }
    const { local } = await agent.do('connect', { name, port: this.#port, host: our, source: kernel, kind });
    const stream = await this.#coming.get(local as number);
    this.#coming.delete(local as number);
    if (stream === undefined || stream instanceof Error) throw stream ?? new Error('nobody came');
    return { stream, agent, name };
  }
}

/** A single connection. */
export async function pair(ours: SmcrPeer, role: Role, way: Way = {}): Promise<Pair> {
  const meeting = await Meeting.open(ours, role, way);
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
  await stream.removed;
}
