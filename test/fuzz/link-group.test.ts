// link-group.test.ts - fuzzing a link group: LLC and CDC messages of a hostile peer, on any link, at any time. Whatever comes, nothing
// is thrown, what the group holds stays bounded, and only what was asked for is asked of the port.

import { readFileSync } from 'node:fs';
import { HEADER_BYTES, initialise, type RingMemory } from '@smcjs/core/backend';
import { describe, it } from 'vitest';
import { emptyCdc, readCdc } from '../../packages/smcr/dist/cdc/index.js';
import { type Element, type Link, type LinkEnd, LinkGroup, type LinkGroupPort } from '../../packages/smcr/dist/group/index.js';
import { FUZZ_TIMEOUT, type Fuzzing, fuzz } from './mutate.js';

const captured = JSON.parse(readFileSync(new URL('../../packages/smcr/test/vectors/linux.json', import.meta.url), 'utf8')) as {
  name: string;
  hex: string;
}[];
const SEEDS = captured.filter(({ name }) => /^(llc|cdc)/.test(name)).map(({ hex }) => Buffer.from(hex, 'hex'));
/** The same of version 1. */
const SEEDS_V1 = SEEDS.map((bytes) => {
  const first = Buffer.from(bytes.subarray(0, 44));
  if (first[0] !== 0xfe) first.set([(first[0] as number) - 0x20, 44, 0], 0);
  return first;
});
const end = (qpNumber: number): LinkEnd => ({ gid: new Uint8Array(16), mac: new Uint8Array(6), qpNumber, psn: qpNumber, mtu: 3 });
const KEY = { rkey: 0x3bc, address: 0xff43e41ec5300000n };

function ring(): RingMemory {
  const memory = { words: new Int32Array(HEADER_BYTES / 4), data: Buffer.alloc(0), capacity: 65536, mirrored: false };
  initialise(memory);
  return memory;
}

/** A group with one connection, and a port that does what it is asked for when `work` is called. */
function found(role: 'client' | 'server', version: 1 | 2) {
  const jobs: (() => void)[] = [];
  const alive = new Set<Link>();
  let qpNumber = 1;
  let over = 0;
  let sent = 0;
  const port: LinkGroupPort = {
    createLink: (link) => {
      alive.add(link);
      jobs.push(() => group.linkCreated(link, end(qpNumber++), new Map(group.elements.rmbs.all.map((rmb) => [rmb, KEY]))));
    },
    connectLink: (link) => void jobs.push(() => group.linkConnected(link)),
    activateLink: (link) => void jobs.push(() => group.linkActivated(link)),
    destroyLink: (link) => {
      if (!alive.delete(link)) throw new Error('a link is destroyed twice');
    },
    registerRmb: (rmb) => void jobs.push(() => group.rmbRegistered(rmb, new Map([...alive].map((link) => [link, KEY])), group.now)),
    releaseRmb: () => undefined,
    send: (link, message) => {
      sent++;
      if (!alive.has(link) || message.length < 44) throw new Error('it sends what cannot be sent');
    },
    transmit: () => undefined,
    drain: () => undefined,
    spareEnds: () => [{ gid: new Uint8Array(16), mac: new Uint8Array(6) }],
    reachable: () => undefined,
    established: () => undefined,
    failed: () => void over++,
    news: () => undefined,
    removed: () => undefined,
    ended: () => void over++,
  };
  const group = new LinkGroup({ role, version, peerId: new Uint8Array(8), maxConns: 16, maxLinks: 2, seed: 0, port });
  const work = (): void => {
    for (const job of jobs.splice(0)) job();
  };
  return { group, work, alive, overs: () => over, sent: () => sent };
}

function play({ next, note, random }: Fuzzing, version: 1 | 2): void {
  const role = random.integer(0, 1) === 0 ? 'client' : 'server';
  const { group, work, alive, overs, sent } = found(role, version);
  group.start(0, role === 'client' ? end(9) : undefined);
  for (let i = 0; i < 4; i++) work();
  if (role === 'server') group.confirmed(end(9), 0);
  for (let i = 0; i < 4; i++) work();
  group.elements.take(65536, 0, (element: Element | undefined) => {
    const link = group.links[0];
    if (element === undefined || link === undefined) return;
    const rtoken = group.rtoken(link, 0x320, 0xff43e41ec4320000n);
    if (rtoken === undefined) throw new Error('no rtoken');
    const options = { token: 1, peerToken: 2, tx: ring(), rx: ring(), peerRmbeSize: 65536 };
    group.add(options, link, element, { rtoken, index: 1, size: 65536 });
  });
  work();
  const cdc = emptyCdc();
  const steps = random.integer(1, 12);
  for (let step = 0; step < steps; step++) {
    const links = [...group.links];
    const link = links[random.integer(0, Math.max(0, links.length - 1))];
    if (link === undefined) break;
    const bytes = next();
    if (bytes[0] === 0xfe) {
      if (readCdc(bytes, 0, bytes.length, cdc)) group.receivedCdc(link, cdc, () => group.now);
    } else group.receivedLlc(link, bytes, group.now);
    if (random.integer(0, 3) > 0) work();
    if (random.integer(0, 5) === 0) group.tick(group.now + random.integer(0, 5000));
    if (random.integer(0, 20) === 0) group.linkFailed(link, group.now);
    if (group.links.length > 3) throw new Error('more links than there can be');
    if (group.rtokens.size > 255) throw new Error('more rtokens than there can be');
  }
  note(`${role} ${group.state} ${group.links.map(({ state }) => state)} ${group.flows.running} ${group.rtokens.size} ${sent()}`);
  const ended = group.state === 'ended';
  group.end(0);
  if (overs() !== 1) throw new Error(`it is over ${overs()} times`);
  if (alive.size > 0 || group.members.size > 0) throw new Error(`something is left after its end (${ended})`);
}

describe('fuzzing', () => {
  it.each([2, 1] as const)('a link group of version %i: it goes on or ends, in order', { timeout: FUZZ_TIMEOUT }, async (version) => {
    await fuzz(`link group ${version}`, version === 2 ? SEEDS : SEEDS_V1, (fuzzing) => play(fuzzing, version));
  });
});
