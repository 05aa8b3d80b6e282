// sockets-ending.test.ts - how connections over SMC-R end: in order, by halves, with unread bytes, and when a link, the TCP connection or
// the link group goes.

import { once } from 'node:events';
import type net from 'node:net';
import { connect } from '@smcjs/core';
import { afterEach, describe, expect, it } from 'vitest';
import { ConfirmEater } from '../../../test/support/confirm-eater.js';
import { innerOf } from '../../../test/support/inner.js';
import { payload } from '../../../test/support/random.js';
import { OPCODE, SEND_WR, STATUS } from '../src/verbs-provider.js';
import { clcRelay } from './simulated/clc-relay.js';
import type { SimulatedPair } from './simulated/queue-pair.js';
import { collect, INLINE, listen, LocalRdma, pair, until } from './simulated/sockets.js';

const rdma = new LocalRdma();

// A link group that is dying would be out of sync for the next connection.
afterEach(async () => {
  await until(() => !rdma.isCut || rdma.context.pairs.size === 0);
  rdma.mend();
});

const closed = (socket: net.Socket): Promise<unknown> =>
  socket.closed ? Promise.resolve() : new Promise((resolve) => socket.once('close', resolve));
const errorOf = (socket: net.Socket): Promise<NodeJS.ErrnoException> => new Promise((resolve) => socket.once('error', resolve));

describe('an end', () => {
  it('of one direction leaves the other open', async () => {
    const [client, accepted] = await pair({ client: { allowHalfOpen: true }, server: { allowHalfOpen: true } });
    client.end('question');
    expect((await collect(accepted)).toString()).toBe('question');
    accepted.end('answer');
    expect((await collect(client)).toString()).toBe('answer');
  });

  it('comes behind everything written, when the peer reads late', async () => {
    const [client, accepted] = await pair({ client: { ringSize: 16384 }, server: { ringSize: 16384 } });
    const bytes = payload(3, 200_000);
    client.end(bytes);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect((await collect(accepted)).equals(bytes)).toBe(true);
  });

  it('with unread bytes is a reset for the peer', async () => {
    const [client, accepted] = await pair({ server: { pauseOnConnect: true } });
    client.write('never read');
    await new Promise((resolve) => setTimeout(resolve, 30));
    const error = errorOf(client);
    client.resume();
    accepted.destroy();
    expect((await error).code).toBe('ECONNRESET');
  });

  it('by resetAndDestroy is one, too', async () => {
    const [client, accepted] = await pair();
    const error = errorOf(client);
    client.resume();
    accepted.resetAndDestroy();
    // The peer did it: no link is to blame.
    expect([(await error).code, (await error).cause]).toEqual(['ECONNRESET', undefined]);
  });
});

describe('a link that dies', () => {
  it('resets both ends, and leaves nothing', async () => {
    const at = await listen();
    const [client, accepted] = await pair({}, at);
    const errors = Promise.all([errorOf(client), errorOf(accepted)]);
    client.resume();
    accepted.resume();
    rdma.cut();
    client.write('into the void');
    // The other end hears of it by its own test of the link: the TCP connection ends with the first.
    expect((await errors).map(({ code }) => code)).toEqual(['ECONNRESET', 'ECONNRESET']);
    await Promise.all([closed(client), closed(accepted)]);
    await until(() => rdma.context.pairs.size === 0 && rdma.context.memory.registered === 0);
  });

  it('leaves what had arrived to be read', async () => {
    const [client, accepted] = await pair({ server: { pauseOnConnect: true } });
    client.write('had arrived');
    await new Promise((resolve) => setTimeout(resolve, 30));
    rdma.cut();
    client.write('x');
    client.on('error', () => {});
    client.resume();
    await closed(client);
    const error = errorOf(accepted);
    const chunks: Buffer[] = [];
    accepted.on('data', (chunk: Buffer) => chunks.push(chunk)).resume();
    expect((await error).code).toBe('ECONNRESET');
    expect(Buffer.concat(chunks).toString()).toBe('had arrived');
    await until(() => rdma.context.memory.registered === 0);
  });

  it('does not disturb who has closed in order', async () => {
    const at = await listen({ pauseOnConnect: true });
    const [client, accepted] = await pair({}, at);
    const [other, otherAccepted] = await pair({}, at);
    otherAccepted.on('error', () => {});
    client.end('all there is');
    client.destroySoon();
    await closed(client);
    await new Promise((resolve) => setTimeout(resolve, 30));
    const died = errorOf(other);
    rdma.cut();
    other.resume().write('into the void');
    await died;
    const received = collect(accepted);
    accepted.resume();
    expect((await received).toString()).toBe('all there is');
  });
});

describe('the error of a connection whose link died', () => {
  const HINT = { hint: expect.stringMatching(/^connect again; .*rdma link/) };

  async function dying(die: () => void): Promise<NodeJS.ErrnoException[]> {
    const [client, accepted] = await pair();
    const errors = Promise.all([errorOf(client), errorOf(accepted)]);
    client.resume();
    accepted.resume();
    die();
    client.write('into the void');
    const both = await errors;
    await Promise.all([closed(client), closed(accepted)]);
    await until(() => rdma.context.pairs.size === 0);
    return both;
  }

  it.each<[string, number, RegExp]>([
    ['a queue pair in error', STATUS.general, /general error of the adapter/],
    ['a fatal error', STATUS.fatal, /fatal error of the adapter/],
    ['an access that is not allowed', STATUS.remoteAccess, /remote access error/],
    ['a status that nobody knows', 77, /work completion status 77/],
    ['nothing but flushed requests', STATUS.flushed, /the queue pair went to the error state/],
  ])('is ECONNRESET and says why and what to do: %s', async (_what, status, text) => {
    const errors = await dying(() => {
      // With the next request, which completes with it; everything else is flushed.
      rdma.fabric.onRequest = () => {
        rdma.fabric.onRequest = undefined;
        for (const one of rdma.context.pairs) one.fail(status);
      };
    });
    for (const error of errors) {
      expect(error).toMatchObject({ code: 'ECONNRESET', errno: -104, cause: HINT });
      expect((error.cause as Error).message).toMatch(/^the last RDMA link to the peer failed: /);
    }
    expect(errors.some(({ cause }) => text.test((cause as Error).message))).toBe(true);
  });

  it('is that too where nobody answers any more', async () => {
    const errors = await dying(() => rdma.cut());
    for (const error of errors) expect(error).toMatchObject({ code: 'ECONNRESET', cause: HINT });
    expect(errors.map(({ cause }) => (cause as Error).message)).toContainEqual(expect.stringContaining('retry counter exceeded'));
  });
});

describe('the loss of the TCP connection', () => {
  it('is a suspicion that the peer disproves: the connection goes on', async () => {
    const [client, accepted] = await pair();
    accepted.pipe(accepted);
    innerOf(client).destroy();
    await new Promise((resolve) => setTimeout(resolve, 600));
    client.write('still here');
    const [answer] = (await once(client, 'data')) as [Buffer];
    expect(answer.toString()).toBe('still here');
    client.end();
    expect((await collect(client)).length).toBe(0);
  });
});

describe('a connection that the server does not have', () => {
  /** First bytes of what is sent from now on: CDC, or the type of an LLC message. */
  const typesSent = (): number[] => {
    const types: number[] = [];
    for (const one of rdma.context.pairs as Set<SimulatedPair>) {
      const { postSend } = one;
      one.postSend = (requests, count) => {
        for (let i = 0; i < count; i++) {
          const words = requests.subarray(i * SEND_WR.words, (i + 1) * SEND_WR.words);
          if (words[SEND_WR.opcode] === OPCODE.send) types.push(one.sourceOf(words)?.[0] as number);
        }
        return postSend.call(one, requests, count);
      };
    }
    return types;
  };
  const CDC = 0xfe;
  const TEST_LINK = 0x27;

  it('for it failed behind its Accept: it says so over the link, and the link group goes on', async () => {
    const at = await listen();
    const [first, accepted] = await pair({}, at);
    accepted.pipe(accepted);
    const types = typesSent();
    // One that the server has before its Accept, the client's own, and none as large as the client's element.
    rdma.context.sendBuffersLeft = 2;
    const client = connect({ ...INLINE, ringSize: 1 << 17, port: at.port, host: '127.0.0.1' });
    const died = errorOf(client);
    await once(client, 'connect');
    expect(client.transport).toBe('smcr');
    client.resume();
    expect((await died).code).toBe('ECONNRESET');
    rdma.context.sendBuffersLeft = Number.POSITIVE_INFINITY;
    expect(types).toContain(CDC);
    expect(types).not.toContain(TEST_LINK);
    first.end('goes on');
    expect((await collect(first)).toString()).toBe('goes on');
  });

  it('for its Confirm was lost: asked, it says so, and the link group goes on', async () => {
    const at = await listen();
    const eater = await ConfirmEater.before(at.port);
    const [first, accepted] = await pair({}, at);
    accepted.pipe(accepted);
    const types = typesSent();
    eater.eats = true;
    const client = connect({ ...INLINE, port: eater.port, host: '127.0.0.1' });
    const died = errorOf(client);
    await once(client, 'connect');
    expect(client.transport).toBe('smcr');
    client.resume();
    expect((await died).code).toBe('ECONNRESET');
    expect(eater.eaten).toBe(1);
    expect(types).toContain(TEST_LINK);
    first.end('goes on');
    expect((await collect(first)).toString()).toBe('goes on');
  });

  it('for its Confirm comes from another queue pair than that of the link, and the link group goes on', async () => {
    const at = await listen();
    const [first, accepted] = await pair({}, at);
    accepted.pipe(accepted);
    const port = await clcRelay(at.port, (message) =>
      message.type === 'confirm' && message.path === 'smcr' ? { ...message, qpNumber: message.qpNumber ^ 1 } : message,
    );
    let connections = 0;
    at.server.on('connection', () => connections++);
    const client = connect({ ...INLINE, port, host: '127.0.0.1' });
    const died = errorOf(client);
    await once(client, 'connect');
    expect(client.transport).toBe('smcr');
    client.resume();
    expect((await died).code).toBe('ECONNRESET');
    expect(connections).toBe(0);
    first.end('goes on');
    expect((await collect(first)).toString()).toBe('goes on');
  });

  it('for it has no memory left to send from: it says so in place of its Accept, and TCP goes on', async () => {
    // Of a size that no earlier connection has left a buffer of.
    const ringSize = 1 << 19;
    const at = await listen({ ringSize });
    const [first, second] = await pair({ client: { ringSize } }, at);
    second.pipe(second);
    rdma.context.sendBuffersLeft = 0;
    const ends = await pair({ client: { ringSize } }, at);
    rdma.context.sendBuffersLeft = Number.POSITIVE_INFINITY;
    expect(ends.map(({ declines }) => declines.find(({ transport }) => transport === 'smcr'))).toMatchObject([
      { side: 'peer', reason: 'register-buffers', code: 0x09990003 },
      { side: 'local', reason: 'register-buffers', hint: expect.stringContaining('ulimit -l') as string },
    ]);
    ends[0].end('over TCP');
    expect((await collect(ends[1])).toString()).toBe('over TCP');
    first.end('goes on');
    expect((await collect(first)).toString()).toBe('goes on');
  });
});

describe('memory that a program still looks at', () => {
  it('stays when the link group is over', async () => {
    const [client, accepted] = await pair();
    client.write('peeked');
    await accepted.ring?.readable();
    const view = accepted.ring?.peek() as Uint8Array;
    accepted.on('error', () => {});
    client.on('error', () => {});
    rdma.cut();
    client.write('x');
    client.resume();
    await closed(client);
    expect(Buffer.from(view).toString()).toBe('peeked');
    accepted.destroy();
    await until(() => rdma.context.memory.registered === 0);
    expect(view.length).toBe(0);
  });
});
