// hostile-peer.test.ts - a process that dials a loop's Unix socket and says anything: its link group ends, no descriptor and
// no mapping is left of it, and the loop serves others as before.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeEach, expect, it } from 'vitest';
import { DOORBELL_BYTES } from '../dist/doorbell.js';
import { type ControlMessage, encode, INSTANCE_BYTES, PROTOCOL_VERSION, TUPLE_BYTES } from '../dist/messages.js';
import { type SmcdEnvironment, smcdEnvironment } from '../dist/smcd-environment.js';
import { RawPeer, withSegment } from './raw-peer.js';
import { stillServes } from './watched-server.js';
import { describeNative, descriptors, mappings, noPython, temporaryDirectory, turns, until } from './support.js';

fc.configureGlobal({ seed: Number(process.env.FC_SEED ?? 7609) });
const directory = temporaryDirectory();
process.env.SMC_RUNTIME_DIR = directory;

let environment: SmcdEnvironment;
beforeEach(async () => {
  environment = smcdEnvironment() as SmcdEnvironment;
  await stillServes();
});

const hello = (): ControlMessage => ({ type: 'hello', version: PROTOCOL_VERSION, instance: Buffer.alloc(INSTANCE_BYTES, 1), linkGroup: 1 });
const tuple = Buffer.alloc(TUPLE_BYTES, 2);
const element = { segment: 0, index: 0 };
const offer: ControlMessage = { type: 'offer', tuple, token: 1n, slot: 0, element, syn: undefined };
const answer: ControlMessage = { type: 'answer', offered: 1n, token: 1n, slot: 0, element };
const refuse: ControlMessage = { type: 'refuse', offered: 1n };
const decline: ControlMessage = { type: 'decline', tuple, diagnosis: 1 };
const announce = (changes: object = {}): ControlMessage => ({ type: 'segment', id: 0, elements: 4, capacity: 16_384, ...changes });
const SEGMENT_BYTES = 4096 + 4 * 16_384;

/** Sends with this file's descriptor. */
function withFile(path: string, send: (fd: number) => void): void {
  const fd = openSync(path, 'r');
  send(fd);
  closeSync(fd);
}

type Way = (peer: RawPeer) => void;
const ENDS: readonly (readonly [what: string, way: Way])[] = [
  ['an empty message with a descriptor', (peer) => withSegment(4096, (fd) => peer.send(new Uint8Array(0), [fd]))],
  ['one byte that is no doorbell', (peer) => peer.send(Uint8Array.of(1))],
  ['a doorbell with a descriptor', (peer) => withSegment(4096, (fd) => peer.send(Uint8Array.of(0), [fd]))],
  ['two zero bytes', (peer) => peer.send(new Uint8Array(2))],
  ['an unknown type', (peer) => peer.send(Uint8Array.of(7, 0, 0, 0))],
  ['the largest message', (peer) => peer.send(new Uint8Array(1024))],
  ['a message larger than that', (peer) => peer.send(new Uint8Array(1025).fill(1))],
  ['a very large message', (peer) => peer.send(Buffer.concat([encode(hello()), Buffer.alloc(60_000)]))],
  ['half a hello', (peer) => withSegment(DOORBELL_BYTES, (fd) => peer.send(encode(hello()).subarray(0, 14), [fd]))],
  ['a hello without a page', (peer) => peer.send(hello())],
  ['a hello with two pages', (peer) => withSegment(DOORBELL_BYTES, (fd) => peer.send(hello(), [fd, fd]))],
  ['a hello of another version', (peer) => peer.hello({ version: PROTOCOL_VERSION + 1 })],
  ['a hello with a page that says nothing', (peer) => peer.hello({ blank: true })],
  ['a hello with a page that is too large', (peer) => peer.hello({ bytes: 2 * DOORBELL_BYTES })],
  ['a hello with a file', (peer) => withFile('/proc/self/stat', (fd) => peer.send(hello(), [fd]))],
  ['a hello with a directory', (peer) => withFile(directory, (fd) => peer.send(hello(), [fd]))],
  ['a hello with a device', (peer) => withFile('/dev/zero', (fd) => peer.send(hello(), [fd]))],
  ...[announce(), offer, answer, refuse, decline].map(
    (message) => [`${message.type} before hello`, (peer: RawPeer) => void peer.send(message)] as const,
  ),
];

const AFTER_HELLO: readonly (readonly [what: string, way: Way])[] = [
  ['another hello', (peer) => peer.hello()],
  ['a segment without memory', (peer) => peer.send(announce())],
  ['a segment with two', (peer) => withSegment(SEGMENT_BYTES, (fd) => peer.send(announce(), [fd, fd]))],
  ['a segment of another size', (peer) => withSegment(SEGMENT_BYTES + 4096, (fd) => peer.send(announce(), [fd]))],
  ['a segment out of turn', (peer) => withSegment(SEGMENT_BYTES, (fd) => peer.send(announce({ id: 1 }), [fd]))],
  ['a segment without elements', (peer) => withSegment(SEGMENT_BYTES, (fd) => peer.send(announce({ elements: 0 }), [fd]))],
  [
    'a segment of impossible size',
    (peer) => withSegment(SEGMENT_BYTES, (fd) => peer.send(announce({ elements: 128, capacity: 2 ** 31 }), [fd])),
  ],
  ['a segment that is a file', (peer) => withFile('/proc/self/stat', (fd) => peer.send(announce(), [fd]))],
  ['an offer with a descriptor', (peer) => withSegment(4096, (fd) => peer.send(offer, [fd]))],
  ['an answer nobody waits for', (peer) => peer.send(answer)],
  ['nonsense', (peer) => peer.send(Buffer.from('nonsense'))],
  ['four descriptors and nonsense', (peer) => withSegment(4096, (fd) => peer.send(Buffer.from('x'), [fd, fd, fd, fd]))],
];

/** Runs it against the loop; afterwards everything is as it was. */
async function survives(run: () => Promise<void>): Promise<void> {
  await turns();
  const before = { descriptors: descriptors(), mappings: mappings().length };
  await run();
  await until(() => descriptors().length <= before.descriptors.length && mappings().length <= before.mappings);
  expect({ descriptors: descriptors(), mappings: mappings().length }).toEqual(before);
  await stillServes();
}

describeNative('a peer that says', () => {
  for (const [what, way] of ENDS) {
    it(`${what} is not listened to any more`, () =>
      survives(async () => {
        const peer = RawPeer.dial(environment);
        way(peer);
        await until(() => peer.gone);
        peer.close();
      }));
  }

  for (const [what, way] of AFTER_HELLO) {
    it(`${what}, after hello, is not listened to any more`, () =>
      survives(async () => {
        const peer = RawPeer.dial(environment);
        peer.hello();
        way(peer);
        await until(() => peer.gone);
        peer.close();
      }));
  }

  it('nothing, and goes, leaves nothing', () => survives(async () => RawPeer.dial(environment).close()));

  it('hello and goes leaves nothing', () =>
    survives(async () => {
      const peer = RawPeer.dial(environment);
      peer.hello();
      await until(() => peer.heard.length > 0);
      peer.close();
    }));

  it('segments and goes leaves nothing', () =>
    survives(async () => {
      const peer = RawPeer.dial(environment);
      peer.hello();
      for (let id = 0; id < 10; id++) withSegment(SEGMENT_BYTES, (fd) => peer.send(announce({ id }), [fd]));
      await turns();
      expect(peer.gone).toBe(false);
      peer.close();
    }));

  it('more segments than anybody needs is not listened to any more', () =>
    survives(async () => {
      const peer = RawPeer.dial(environment);
      peer.hello();
      for (let id = 0; id < 300 && !peer.gone; id++) {
        withSegment(SEGMENT_BYTES, (fd) => peer.send(announce({ id }), [fd]));
        if (id % 16 === 0) await turns(2);
      }
      await until(() => peer.gone);
      peer.close();
    }));
});

describeNative('a peer that may say so', () => {
  it('offers what nobody has asked for, and is refused', () =>
    survives(async () => {
      const peer = RawPeer.dial(environment);
      peer.hello();
      for (let token = 1n; token <= 50n; token++) peer.send({ ...offer, token } as ControlMessage);
      await until(() => peer.heard.filter(({ type }) => type === 'refuse').length === 50);
      expect(peer.gone).toBe(false);
      peer.close();
    }));

  it('declines and refuses what nobody has asked for, and is not heard', () =>
    survives(async () => {
      const peer = RawPeer.dial(environment);
      peer.hello();
      for (const message of [refuse, decline, refuse]) peer.send(message);
      await turns();
      expect(peer.gone).toBe(false);
      peer.close();
    }));

  it('rings and rings', () =>
    survives(async () => {
      const peer = RawPeer.dial(environment);
      peer.hello();
      for (let i = 0; i < 5000; i++) {
        peer.send(Uint8Array.of(0));
        if (i % 500 === 0) await turns(1);
      }
      await turns(50);
      expect(peer.gone).toBe(false);
      peer.close();
    }));
});

describeNative('more descriptors than fit a message', () => {
  for (const [what, bytes] of [
    ['nonsense', Buffer.alloc(2)],
    ['a hello', encode(hello())],
  ] as const) {
    it(`end the link group, and none of them stays: with ${what}`, async (ctx) => {
      if (noPython !== undefined) ctx.skip(noPython);
      await survives(() => flood(bytes));
    });
  }
});

/** Sends 200 descriptors at once; resolves when the loop has hung up. */
async function flood(bytes: Buffer): Promise<void> {
  const program = [
    'import os, socket, sys',
    's = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)',
    's.connect(sys.argv[1])',
    's.recv(1024)',
    "fds = [os.open('/dev/null', os.O_RDONLY) for _ in range(200)]",
    'socket.send_fds(s, [bytes.fromhex(sys.argv[2])], fds)',
    'print(len(s.recv(1024)))',
  ].join('\n');
  const child = spawn('python3', ['-c', program, join(directory, `l-${environment.name}`), bytes.toString('hex')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [answer] = (await once(child.stdout, 'data')) as [Buffer];
  expect(answer.toString().trim()).toBe('0');
  await once(child, 'close');
}

describeNative('any messages at all', () => {
  it('never harm the loop', () =>
    survives(async () => {
      const any = fc.oneof(
        fc.uint8Array({ maxLength: 80 }),
        fc
          .tuple(fc.integer({ min: 1, max: 6 }), fc.constantFrom(12, 16, 28, 32, 44, 60), fc.uint8Array({ minLength: 60, maxLength: 60 }))
          .map(([type, length, body]) => {
            const bytes = body.slice(0, length);
            bytes.set([type, 0, 0, 0]);
            return bytes;
          }),
      );
      const talks = fc.sample(fc.tuple(fc.boolean(), fc.array(fc.tuple(any, fc.nat(2)), { minLength: 1, maxLength: 6 })), 150);
      for (const [polite, messages] of talks) {
        const peer = RawPeer.dial(environment);
        if (polite) peer.hello();
        withSegment(SEGMENT_BYTES, (fd) => {
          for (const [message, count] of messages) peer.send(message, Array<number>(count).fill(fd));
        });
        await turns(1);
        peer.close();
      }
    }));
});
