// attacker.ts - a hostile peer: as a client and as a server it goes through the handshake up to a step, and misbehaves there.
// What it does follows from the seed alone; how far it comes, from the time it has.

import { randomBytes } from 'node:crypto';
import { closeSync, ftruncateSync, openSync, unlinkSync } from 'node:fs';
import net from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { acceptConfirmOf, DECISION, decide, encode, proposalOf } from '@smcjs/core/backend';
import { args, report } from '../peers/lib.js';
import { Random } from '../support/random.js';
import { assault, WAYS, type Way } from './assault.js';
import { mutate } from './lies.js';
import { addon, dialBack, dialRaw, type RawLink, RawTcp, registry, RING_BYTES, SEGMENT_ELEMENTS } from './raw.js';

export interface AttackerArgs {
  readonly role: 'client' | 'server';
  /** The victim's, for a client. */
  readonly ports: readonly number[];
  readonly seed: number;
  readonly seconds: number;
  readonly ways: readonly Way[];
  readonly plans: readonly Plan[];
}

/** Where it misbehaves. */
export type Plan = 'assault' | 'lies' | 'descriptors' | 'silence' | 'deafness' | 'flood';

const AT_ONCE = 6;
const ASSAULT_MS = 400;
const { role, ports, seed, seconds, ways, plans } = args<AttackerArgs>();
const counts: Record<string, number> = {};
const count = (what: string): void => void (counts[what] = (counts[what] ?? 0) + 1);
const token = (): bigint => randomBytes(8).readBigUInt64LE();

/** Descriptors that are no sealed memory of the right size; closed after the call. */
function withWrongDescriptor(random: Random, bytes: number, use: (fd: number) => void): void {
  const path = `/dev/shm/smc-hostile-${process.pid}-${random.integer(0, 2 ** 31)}`;
  const what = random.integer(0, 4);
  const fd = what === 0 ? addon.createSegment(bytes * 2) : what === 1 ? openSync('/dev/zero', 'r+') : openSync(path, 'w+');
  if (what >= 2) unlinkSync(path);
  // Shared memory, but unsealed: whole, truncated before, truncated while the victim looks.
  if (what >= 2) ftruncateSync(fd, what === 3 ? 4096 : bytes);
  use(fd);
  if (what === 4) ftruncateSync(fd, 0);
  closeSync(fd);
}

async function attackDescriptors(random: Random, link: RawLink): Promise<void> {
  if (random.integer(0, 1) === 0) {
    withWrongDescriptor(random, 4096, (fd) => link.hello(fd));
  } else {
    link.hello();
    const bytes = 4096 + SEGMENT_ELEMENTS * RING_BYTES;
    withWrongDescriptor(random, bytes, (fd) =>
      link.send({ type: 'segment', id: 0, elements: SEGMENT_ELEMENTS, capacity: RING_BYTES }, [fd]),
    );
  }
  await delay(20);
}

/** Fills the Unix socket for as long as it takes anything, and reads nothing meanwhile. */
function deafen(random: Random, link: RawLink): void {
  link.hello();
  const bell = random.integer(0, 1) === 0;
  for (let i = 0; i < 2000; i++) if (link.send(bell ? Uint8Array.of(0) : { type: 'refuse', offered: BigInt(i) }) !== 0) break;
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
}

/** As much payload as TCP takes, from somebody who has not claimed what he was offered. */
async function flood(tcp: RawTcp): Promise<void> {
  const chunk = Buffer.alloc(256 * 1024, 'payload');
  for (let i = 0; i < 200 && !tcp.over; i++) {
    await new Promise<void>((resolve) => void tcp.socket.write(chunk, () => resolve()));
  }
}

async function asClient(random: Random, plan: Plan, port: number): Promise<void> {
  const { tcp, link: dialled, close } = dialRaw(port);
  try {
    const link = await dialled;
    if (link === undefined) return count('not dialled');
    if (plan === 'descriptors') return await attackDescriptors(random, link);
    if (plan === 'deafness') return deafen(random, link);
    if (plan === 'silence' && random.integer(0, 2) === 0) return await delay(700);
    link.hello();
    if (plan === 'flood') return await flood(tcp);
    const offer = await link.hear('offer');
    const theirs = offer && link.segments.get(offer.element);
    if (offer === undefined || theirs === undefined) return count('no offer');
    if (plan === 'silence' && random.integer(0, 1) === 0) return await delay(700);
    const ours = link.own.allocate(RING_BYTES);
    if (ours === undefined) throw new Error('no memory');
    decide(theirs.memory.words, DECISION.offered, DECISION.claimed);
    const mine = token();
    link.send({ type: 'answer', offered: offer.token, token: mine, slot: 0, element: ours.name });
    if (plan === 'silence') return await delay(1500);
    const lieIn = plan === 'lies' ? random.integer(0, 1) : -1;
    const proposal = encode(proposalOf(link.instance));
    tcp.socket.write(lieIn === 0 ? mutate(proposal, random) : proposal);
    if (!(await tcp.answered())) return count('no Accept');
    decide(theirs.memory.words, DECISION.claimed, DECISION.ring);
    const confirm = encode(acceptConfirmOf('confirm', { instance: link.instance, token: mine, capacity: RING_BYTES, linkId: 1 }));
    tcp.socket.write(lieIn === 1 ? mutate(confirm, random) : confirm);
    if (plan === 'lies') return void (await delay(50));
    const way = ways[random.integer(0, ways.length - 1)] as Way;
    count(way);
    const rings = link.rings(theirs, ours, offer.slot);
    await assault(rings, link.page as ArrayBuffer, way, random, ASSAULT_MS, () => tcp.over || link.gone);
  } finally {
    close();
  }
}

async function asServer(random: Random, plan: Plan, socket: net.Socket): Promise<void> {
  const tcp = new RawTcp(socket);
  const back = dialBack(socket);
  if (back === undefined) return count('no name');
  const { link, tuple } = back;
  try {
    if (plan === 'descriptors') return await attackDescriptors(random, link);
    if (plan === 'deafness') return deafen(random, link);
    if (plan === 'silence' && random.integer(0, 1) === 0) return await delay(700);
    link.hello();
    if ((await link.hear('hello')) === undefined) return count('no hello');
    const ours = link.own.allocate(RING_BYTES);
    if (ours === undefined) throw new Error('no memory');
    const mine = token();
    link.send({ type: 'offer', tuple, token: mine, slot: 0, element: ours.name, syn: undefined });
    const answer = await link.hear('answer');
    const theirs = answer && link.segments.get(answer.element);
    if (answer === undefined || theirs === undefined || !(await tcp.answered())) return count('no claim');
    if (plan === 'silence') return await delay(1500);
    const accept = encode(acceptConfirmOf('accept', { instance: link.instance, token: mine, capacity: RING_BYTES, linkId: 1 }));
    tcp.received = Buffer.alloc(0);
    socket.write(plan === 'lies' ? mutate(accept, random) : accept);
    if (plan === 'flood') return await flood(tcp); // behind an Accept nothing may come
    if (plan === 'lies') return void (await delay(50));
    if (!(await tcp.answered())) return count('no Confirm');
    const way = ways[random.integer(0, ways.length - 1)] as Way;
    count(way);
    const rings = link.rings(theirs, ours, answer.slot);
    await assault(rings, link.page as ArrayBuffer, way, random, ASSAULT_MS, () => tcp.over || link.gone);
  } finally {
    socket.destroy();
    link.close();
  }
}

const random = new Random(seed);
const plan = (): Plan => {
  const next = plans[random.integer(0, plans.length - 1)] as Plan;
  count(next);
  return next;
};
const end = Date.now() + seconds * 1000;

async function clients(): Promise<void> {
  while (Date.now() < end) {
    const own = new Random(random.integer(0, 2 ** 31));
    await asClient(own, plan(), ports[own.integer(0, ports.length - 1)] as number);
  }
}

/** One port after the other: who was not served well is not asked again for a while. */
async function servers(): Promise<void> {
  while (Date.now() < end) {
    const own = new Random(random.integer(0, 2 ** 31));
    const next = plan();
    const served = new Promise<void>((resolve) => {
      const server = net.createServer((socket) => {
        server.close();
        void asServer(own, next, socket).then(resolve);
      });
      server.listen(0, '127.0.0.1', () => {
        const { port } = server.address() as net.AddressInfo;
        const marker = registry.mark({ address: '127.0.0.1', port, family: 4, dual: false });
        server.once('close', () => addon.closeDescriptor(marker));
        report('serving', { port });
      });
    });
    await Promise.race([served, delay(5000)]);
  }
}

if (ways.some((way) => !WAYS.includes(way))) throw new Error('an unknown way');
await Promise.all(Array.from({ length: AT_ONCE }, role === 'client' ? clients : servers));
report('done', { counts });
process.exit(0);
