// stall-guard.test.ts - a peer over RDMA does not notice that a loop stands still: its TEST LINKs are answered meanwhile, its messages
// go on arriving, more of them than there are receives, and the loop gets every one, in order.

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { type Message, Peer } from '../support/peer.js';
import { type Completion, completions, type End, loopbackGid, makeEnd, openRxe, receives, sends, toRts } from './connected.js';
import { STALL_SECONDS } from './lengths.js';
import { NUMBERED, SLOTS, type Stall, type Start, TEST_LINK } from './stalled.js';

const LLC = 44;
const SENT = 1000;

/** A raw peer of the process that stalls. */
class Tester {
  readonly peer: Peer;
  readonly #end: End;
  readonly #completed: Completion[] = [];
  #sent = 0;

  private constructor(peer: Peer, end: End) {
    this.peer = peer;
    this.#end = end;
  }

  static async make(guard = true): Promise<Tester> {
    const context = await openRxe();
    onTestFinished(() => context.close());
    const domain = await context.allocatePd();
    const end = await makeEnd(context, domain, { bytes: 1 << 16 });
    const peer = new Peer('../guest/stalled', {});
    const { number } = await peer.message('ready');
    await toRts(end.pair, number as number, await loopbackGid(context));
    peer.send({ do: 'start', peer: end.pair.number, guard } satisfies Start);
    await peer.message('started');
    return new Tester(peer, end);
  }

  /** Sends one message, and is back when the adapter at the other end has it. */
  async #send(bytes: Uint8Array): Promise<void> {
    const { pair, memory } = this.#end;
    memory.bytes.set(bytes, 0);
    pair.postSend(sends({ id: SENT, from: memory, length: bytes.length }), 1);
    expect(await this.#completion(SENT)).toMatchObject({ status: 0 });
  }

  async #completion(id: number): Promise<Completion> {
    for (;;) {
      const at = this.#completed.findIndex((one) => one.id === id);
      if (at >= 0) return this.#completed.splice(at, 1)[0] as Completion;
      this.#completed.push(...(await completions(this.#end.queue, 1)));
    }
  }

  async numbered(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      const message = Buffer.alloc(LLC);
      message[0] = NUMBERED;
      message.writeUInt32BE(this.#sent++, 4);
      await this.#send(message);
    }
  }

  /** TEST LINK and its answer, which must be its echo; to a question the guard says that nothing is said yet (llc/peer-question.ts). */
  async testLink(mark: number, asks = false): Promise<void> {
    const { pair, memory } = this.#end;
    const request = Buffer.alloc(LLC, mark);
    request.set([TEST_LINK, LLC, 0, 0]);
    if (asks) request.write('smcjs?\0\0\0', 4, 'latin1');
    pair.postReceive(receives(memory, 4096, 64, 1), 1);
    await this.#send(request);
    expect(await this.#completion(0)).toMatchObject({ status: 0, length: LLC });
    request[3] = 0x80;
    if (asks) request[12] = 4;
    expect(memory.bytes.subarray(4096, 4096 + LLC).equals(request)).toBe(true);
  }

  /** Resolves to what lets the loop go on: it stands still for the seconds at least, and until that is called. */
  async stalls(stall: Pick<Stall, 'where' | 'how' | 'seconds'>): Promise<() => Promise<void>> {
    const until = join(mkdtempSync(join(tmpdir(), 'smc-stall-')), 'over');
    this.peer.send({ do: 'stall', ...stall, until } satisfies Stall);
    if (stall.where === 'handler') {
      // The message must not overtake the command.
      await this.peer.message('will stall');
      await this.numbered(1);
    }
    await this.peer.message('stalls');
    return async () => {
      writeFileSync(until, '');
      await this.peer.message('over');
      rmSync(dirname(until), { recursive: true });
    };
  }

  async told(): Promise<Message> {
    this.peer.send({ do: 'tell' });
    return this.peer.message('told');
  }

  /** Every number once, in order. */
  get expected(): number[] {
    return Array.from({ length: this.#sent }, (_, i) => i);
  }
}

/** How often the guard's thread of a process was woken so far. */
function wakeups(pid: number): number {
  const read = (...names: string[]) => readFileSync(join(`/proc/${pid}/task`, ...names), 'utf8');
  const thread = readdirSync(`/proc/${pid}/task`).find((one) => read(one, 'comm').trim() === 'smcr-guard');
  if (thread === undefined) throw new Error('there is no guard');
  return Number(/^voluntary_ctxt_switches:\s+(\d+)$/m.exec(read(thread, 'status'))?.[1]);
}

it.each([
  // Two at a time: most of it is waiting, but not for two processors that are busy.
  [['elsewhere', 'busy'] as const, ['handler', 'wait'] as const],
  [['elsewhere', 'execSync'] as const, ['handler', 'busy'] as const],
])(
  'a loop that stands still for seconds in a callback (%s; another one: %s) loses nothing, and its peer notices nothing',
  async (...two) => {
    // Both to their end: what one leaves behind must not run beside the next test.
    for (const end of await Promise.allSettled(two.map(standsStill))) if (end.status === 'rejected') throw end.reason;
  },
);

async function standsStill([where, how]: readonly [Stall['where'], Stall['how']]): Promise<void> {
  const tester = await Tester.make();
  await tester.numbered(10);
  const proceed = await tester.stalls({ where, how, seconds: STALL_SECONDS });
  await tester.testLink(1);
  // More than four times as many as there are receives.
  await tester.numbered(200);
  await tester.testLink(2, true);
  await proceed();
  await tester.numbered(10);
  // Before the third, which the guard answers, too, when the loop is late because the other process is busy.
  const { stalls, answered, kept } = (await tester.told()).counters as { stalls: number; answered: number; kept: number };
  await tester.testLink(3);
  const told = await tester.told();
  expect(told.numbers).toEqual(tester.expected);
  expect(told.tests).toEqual({ answered: 3, open: 0 });
  expect(stalls).toBeGreaterThanOrEqual(1);
  expect(answered).toBe(2);
  expect(kept).toBeGreaterThanOrEqual(200);
}

it('without a guard the peer waits: receives run out and TEST LINK has no answer', async () => {
  const tester = await Tester.make(false);
  await tester.numbered(1);
  const proceed = await tester.stalls({ where: 'elsewhere', how: 'busy', seconds: 6 });
  await tester.numbered(SLOTS);
  let answered = false;
  tester.testLink(1).then(
    () => {
      answered = true;
    },
    () => {},
  );
  await new Promise((resolve) => setTimeout(resolve, 5000));
  expect(answered).toBe(false);
  await proceed();
});

it('does nothing for a loop that comes round, and sleeps', async () => {
  const tester = await Tester.make();
  for (let i = 0; i < 5; i++) {
    await tester.numbered(20);
    await tester.testLink(i);
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  // Long enough for the last look at the loop; from then on no timer runs.
  await new Promise((resolve) => setTimeout(resolve, 3000));
  const before = wakeups(tester.peer.pid);
  await new Promise((resolve) => setTimeout(resolve, 3000));
  expect(wakeups(tester.peer.pid)).toBe(before);
  const told = await tester.told();
  expect(told.numbers).toEqual(tester.expected);
  expect(told).toMatchObject({ tests: { answered: 5, open: 0 }, counters: { stalls: 0, answered: 0, kept: 0 } });
});

it('can be taken over again and again', async () => {
  const tester = await Tester.make();
  for (let i = 0; i < 4; i++) {
    const proceed = await tester.stalls({ where: i % 2 === 0 ? 'handler' : 'elsewhere', how: 'wait', seconds: 1 });
    await tester.testLink(i);
    await tester.numbered(60);
    await proceed();
    await tester.numbered(5);
  }
  const told = await tester.told();
  expect(told.numbers).toEqual(tester.expected);
  expect(told.tests).toEqual({ answered: 4, open: 0 });
});
