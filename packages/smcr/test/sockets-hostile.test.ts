// sockets-hostile.test.ts - sockets whose peer sends what it must not: nonsense in CDC and LLC messages, and in the ring. The connection, or
// the link group, is reset with a code; nothing else is harmed.

import type { Socket } from '@smcjs/core';
import { afterEach, describe, expect, it } from 'vitest';
import { payload } from '../../../test/support/random.js';
import { OPCODE, SEND_WR } from '../src/verbs-provider.js';
import { collect, listen, LocalRdma, pair, until } from './simulated/sockets.js';
import type { SimulatedPair } from './simulated/queue-pair.js';

const rdma = new LocalRdma();
const CDC = 0xfe;

/** Undoes what {@link tampered} did. */
const undo: (() => void)[] = [];
afterEach(() => {
  for (const step of undo.splice(0)) step();
});

/** From now on each message that one side sends goes through `change`, until that returns true. */
function tampered(change: (message: Buffer) => boolean): void {
  let done = false;
  for (const one of rdma.context.pairs) {
    const target: SimulatedPair = one;
    const { postSend } = target;
    target.postSend = (requests, count) => {
      for (let i = 0; i < count && !done; i++) {
        const words = requests.subarray(i * SEND_WR.words, (i + 1) * SEND_WR.words);
        const message = words[SEND_WR.opcode] === OPCODE.send ? target.sourceOf(words) : undefined;
        if (message !== undefined) done = change(message);
      }
      return postSend.call(target, requests, count);
    };
    undo.push(() => void (target.postSend = postSend));
  }
}

const ended = (socket: Socket): Promise<string | undefined> =>
  new Promise((resolve) => {
    let code: string | undefined;
    socket.on('error', (error: NodeJS.ErrnoException) => (code = error.code));
    socket.once('close', () => {
      // What to do about it.
      if (code === 'ERR_SMC_PEER_VIOLATION') expect(socket.errored?.message).toContain('look for the error at the other end');
      resolve(code);
    });
    socket.resume();
  });

/** Two connections of one link group: `attacked` sends a byte, of which the CDC message is changed; the other one must not notice. */
async function attack(change: (message: Buffer) => void, wrong = ''): Promise<(string | undefined)[]> {
  const at = await listen();
  const [client, accepted] = await pair({}, at);
  const [other, otherAccepted] = await pair({}, at);
  otherAccepted.pipe(otherAccepted);
  const outcome = [ended(client), ended(accepted)];
  tampered((message) => {
    if (message[0] !== CDC) return false;
    change(message);
    return true;
  });
  client.write('x');
  const codes = await Promise.all(outcome);
  if (wrong !== '') expect(accepted.errored?.message).toContain(`the peer wrote an impossible ${wrong};`);
  other.end(payload(1, 50_000));
  expect((await collect(other)).equals(payload(1, 50_000))).toBe(true);
  return codes;
}

describe('a CDC message', () => {
  it.each<[string, (message: Buffer) => void]>([
    ['a producer cursor past the ring', (message) => message.writeUInt32BE(0x7fffffff, 12)],
    ['more bytes than the ring has', (message) => message.writeUInt16BE(9, 10)],
    ['a consumer cursor past what was sent', (message) => message.writeUInt32BE(5000, 20)],
    ['a consumer cursor outside of the ring', (message) => message.writeUInt32BE(0xffffffff, 20)],
    ['a producer cursor two turns ahead', (message) => message.writeUInt16BE(2, 10)],
    ['a consumer cursor two turns ahead', (message) => message.writeUInt16BE(2, 18)],
    ['a producer cursor half of all turns behind', (message) => message.writeUInt16BE(0x8000, 10)],
    [
      'every flag, every state and a cursor that cannot be',
      (message) => message.fill(0xff, 24, 26).fill(0, 24, 25).writeUInt32BE(0x7fffffff, 12),
    ],
  ])('with %s ends its connection, and no other', async (what, change) => {
    const wrong = what.includes('consumer') ? 'consumer cursor' : 'producer cursor';
    const [atClient, atServer] = await attack(change, wrong);
    expect(atServer).toBe('ERR_SMC_PEER_VIOLATION');
    expect(atClient).toBe('ECONNRESET');
  });

  it('that speaks of a message which never was ends its connection, and no other: bytes are missing', async () => {
    // A failover validation.
    const codes = await attack((message) => void message.fill(0x08, 24, 25).writeUInt16BE(999, 2));
    expect(codes).toEqual(['ECONNRESET', 'ECONNRESET']);
  });

  it('with every state at once is at most a reset', async () => {
    const codes = await attack((message) => void message.fill(0xff, 25, 26));
    expect(codes).toEqual(['ECONNRESET', 'ECONNRESET']);
  });

  it('with cursors that go back, flags that contradict each other and reserved bytes that are not 0 takes nothing back', async () => {
    const [client, accepted] = await pair();
    const received = collect(accepted);
    client.write('some bytes ');
    await until(() => accepted.bytesRead === 11);
    let changed = 0;
    tampered((message) => {
      if (message[0] !== CDC) return false;
      // Blocked, urgent and not yet, cursor wanted, and bits that mean nothing.
      message.fill(0xf7, 24, 25).fill(0x1f, 25, 26).fill(0xff, 26, 44);
      message.writeUInt32BE(changed++ === 0 ? 3 : 0, 12);
      return changed === 2;
    });
    client.write('more ');
    await until(() => changed === 1);
    client.write('and more ');
    await until(() => changed === 2);
    expect(accepted.bytesRead).toBe(11);
    client.end('to the end');
    expect((await received).toString()).toBe('some bytes more and more to the end');
  });

  it('of a connection that is not there, or too short, is nothing', async () => {
    const [client, accepted] = await pair();
    let changed = 0;
    tampered((message) => {
      if (message[0] !== CDC) return false;
      if (changed++ === 0) message.writeUInt32BE(0xdeadbeef, 4);
      else message[1] = 12;
      return changed === 2;
    });
    client.write('lost ');
    await until(() => changed === 1);
    client.write('too ');
    await until(() => changed === 2);
    client.end('and found');
    // Cursors are absolute: the next message tells of all bytes.
    expect((await collect(accepted)).toString()).toBe('lost too and found');
  });
});

describe('an LLC message', () => {
  it.each<[string, (message: Buffer) => void]>([
    ['of a length that cannot be', (message) => message.writeUInt16LE(7, 1)],
    ['of version 1 in a link group of version 2', (message) => message.set([0x03, 44])],
  ])('%s ends the link group: its connections are reset', async (_what, change) => {
    const [client, accepted] = await pair();
    const outcome = [ended(client), ended(accepted)];
    tampered((message) => {
      if (message[0] !== CDC) return false;
      // TEST LINK, version 2.
      message.fill(0);
      message[0] = 0x27;
      message.writeUInt16LE(44, 1);
      change(message);
      return true;
    });
    client.write('x');
    expect(await Promise.all(outcome)).toEqual(['ECONNRESET', 'ECONNRESET']);
    // What broke, and how to find out who sent it.
    for (const { errored } of [client, accepted]) {
      const cause = { message: expect.stringContaining('breaks the protocol (LLC)'), hint: expect.stringContaining('NODE_DEBUG=smcr') };
      expect(errored).toMatchObject({ code: 'ECONNRESET', cause });
    }
    const again = await pair();
    expect(again.map(({ transport }) => transport)).toEqual(['smcr', 'smcr']);
  });
});
