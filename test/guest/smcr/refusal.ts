// refusal.ts - connections that do not become SMC-R: the handshake up to the Decline, and the proof that TCP goes on.

import { connect as tcpConnect } from 'node:net';
import { type ClcMessage, type ClcProposal, encode } from '@smcjs/core/backend';
import type { KernelAgent } from '../kernel-agent.js';
import type { SmcSocket } from '../kernel-smc.js';
import { ClcSocket } from './clc-socket.js';
import { pattern } from './pattern.js';

let names = 0;

export interface Refused {
  readonly agent: KernelAgent;
  readonly name: string;
  readonly socket: ClcSocket;
}

/** Sends a Proposal, or the bytes of one, to a program on the kernel's SMC, and gives its answer. */
export async function propose(
  agent: KernelAgent,
  proposal: ClcProposal | Uint8Array,
): Promise<Refused & { answer: ClcMessage; accepting: Promise<unknown> }> {
  const { port } = await agent.do('listen', { name: `rl${++names}` });
  const name = `r${names}`;
  const accepting = agent.do('accept', { name, listener: `rl${names}` });
  const tcp = tcpConnect(port as number, '127.0.0.1');
  await new Promise((resolve, reject) => tcp.once('connect', resolve).once('error', reject));
  const socket = new ClcSocket(tcp);
  tcp.write(proposal instanceof Uint8Array ? proposal : encode(proposal));
  return { agent, name, socket, answer: await socket.next(), accepting };
}

/** Bytes go both ways over TCP; gives the kernel's account of its end, and closes both. */
export async function goesOnOverTcp({ agent, name, socket }: Refused): Promise<SmcSocket> {
  const tcp = socket.release();
  const exchanged = agent.do('exchange', { name, bytes: 1000, seed: 2, theirs: 1 });
  tcp.write(pattern(1, 0, 1000));
  let got = Buffer.alloc(0);
  tcp.on('data', (bytes) => (got = Buffer.concat([got, bytes])));
  tcp.resume();
  const line = await exchanged;
  while (got.length < 1000 && !tcp.destroyed) await new Promise((resolve) => setTimeout(resolve, 5));
  if (line.same !== true || !got.equals(pattern(2, 0, 1000))) throw new Error('TCP does not work');
  const { sockets } = await agent.facts();
  const found = sockets.filter(({ mode, state }) => mode === 'tcp' && state === 'active');
  await agent.do('close', { name });
  tcp.destroy();
  if (found.length !== 1) throw new Error(`${found.length} TCP sockets: ${JSON.stringify(sockets)}`);
  return found[0] as SmcSocket;
}
