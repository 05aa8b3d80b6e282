// worker-channel.ts - a connection between two threads of one process: the Channel that a stream and a ring surface use.

import type { MessagePort } from 'node:worker_threads';
import type { BusyPoll } from '../options.js';
import { RingConsumer } from '../ring/consumer.js';
import { CONN_STATE } from '../ring/layout.js';
import { RingProducer } from '../ring/producer.js';
import type { ChannelCounters, ChannelSink } from '../transport/channel.js';
import { Bell } from './bell.js';
import { type HubMember, theHub } from './hub.js';
import type { ClaimedPort } from './port.js';
import type { EndChannel } from './ring-end.js';

/** To fill so many takes long enough for the hub to look at the clock. */
const MUCH_BYTES = 64 * 1024;

export class WorkerChannel implements EndChannel, HubMember {
  readonly transport = 'memory';
  readonly rx: RingConsumer;
  readonly tx: RingProducer;
  readonly counters: ChannelCounters = { doorbells: 0, notifications: 0 };
  sink: ChannelSink | undefined;
  polled = false;
  ref = true;
  busyPoll: BusyPoll;

  readonly #hub = theHub();
  readonly #bell: Bell;
  readonly #port: MessagePort;
  #open = true;
  /** The cursor when the hub was last told that much was sent. */
  #expected = 0;

  onLost: (() => void) | undefined;

  constructor({ rx, tx, bell }: ClaimedPort, busyPoll: BusyPoll) {
    this.rx = new RingConsumer(rx);
    this.tx = new RingProducer(tx);
    this.busyPoll = busyPoll;
    this.#port = bell;
    this.#bell = new Bell(rx.words, tx.words, bell);
    // A port that has lost its other end before it was opened may have said so already.
    if (!this.#bell.peerThere()) setImmediate(() => this.#lost());
    bell.on('message', () => this.#hub.woken(this));
    bell.on('close', () => this.#lost());
    this.#hub.add(this);
  }

  get turn(): number {
    return this.#hub.turn;
  }

  get hot(): boolean {
    return this.#hub.hot;
  }

  notify(published = false): void {
    this.counters.notifications++;
    if (this.#bell.tell(published)) this.counters.doorbells++;
    if (!this.#open) return;
    const { cursor } = this.tx;
    const much = (cursor - this.#expected) >>> 0 >= MUCH_BYTES;
    if (much) this.#expected = cursor;
    this.#hub.expect(this, much);
  }

  again(): void {
    if (this.#open) this.#hub.again(this);
  }

  setBusyPoll(mode: BusyPoll): void {
    this.busyPoll = mode;
    if (this.#open) this.#hub.modesChanged();
  }

  /** As ref() and unref() of a socket: whether the loop stays alive for this end. */
  setRef(ref: boolean): void {
    this.ref = ref;
    if (!this.#open) return;
    if (ref) this.#port.ref();
    else this.#port.unref();
  }

  fresh(): boolean {
    return this.#bell.fresh();
  }

  dispatch(): void {
    this.#bell.take();
    this.sink?.onNews();
  }

  sleep(): boolean {
    return this.#bell.sleep();
  }

  awake(): void {
    this.#bell.awake();
  }

  /** The thread ends with this end open: the peer is told, as the kernel would tell it, and nobody is called back. */
  leave(): void {
    if (!this.#open) return;
    const unread = (this.rx.state() & CONN_STATE.closed) === 0 && this.rx.available() > 0;
    this.tx.publish();
    this.tx.setState(CONN_STATE.closed | CONN_STATE.sendingDone | (unread ? CONN_STATE.abnormal : 0));
    this.#bell.tell();
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.sink = undefined;
    this.#hub.remove(this);
    this.#port.close();
  }

  #lost(): void {
    if (this.#open) this.onLost?.();
  }
}
