// smcr-channel.ts - one connection of a link group, as its socket sees it: our element of an RMB to read, a registered send buffer to
// write. What is stored in the rings' headers goes to the peer by `notify`, see connection/connection.ts.

import { type BusyPoll, type Channel, type ChannelCounters, type ChannelSink, CONN_STATE, WORD, words } from '@smcjs/core/backend';
import type { RingMemory } from '@smcjs/core/backend';
import { NEWS } from '../connection/index.js';
import type { GroupDriver } from '../driver/index.js';
import type { Member } from '../group/index.js';
import type { Hub } from './hub.js';
import { ReportingConsumer } from './reporting-consumer.js';
import { WaitingProducer } from './waiting-producer.js';

export class SmcrChannel implements Channel {
  readonly transport = 'smcr';
  readonly rx: ReportingConsumer;
  readonly tx: WaitingProducer;
  /** Nothing changes in our memory without a completion being handled: looking at the ring in a row finds nothing. */
  readonly hot = false;
  sink: ChannelSink | undefined;
  readonly member: Member;

  readonly #driver: GroupDriver;
  readonly #hub: Hub;
  readonly #send: RingMemory;
  /** Ends the use of the rings' memory. */
  readonly #endUse: () => void;
  #busyPoll: BusyPoll = 'off';
  #told = false;
  #closed = false;
  /** The link group has nothing more to do with it. */
  #removed = false;

  constructor(hub: Hub, driver: GroupDriver, member: Member, send: RingMemory, receive: RingMemory, endUse: () => void) {
    this.#hub = hub;
    this.#driver = driver;
    this.member = member;
    this.#send = send;
    this.#endUse = endUse;
    this.tx = new WaitingProducer(send, () => driver.waitsForRoom(member));
    this.rx = new ReportingConsumer(receive, member.connection);
  }

  get turn(): number {
    return this.#hub.turn;
  }

  get counters(): ChannelCounters {
    const { messages, writes } = this.member.connection;
    const links = this.#driver.group.links.filter(({ state }) => state === 'active').length;
    return { doorbells: this.#driver.completions.wakeUps, notifications: messages, rdmaWrites: writes, links };
  }

  notify(): void {
    if (this.#removed) return;
    this.#hub.sent();
    this.#driver.transmit(this.member);
  }

  again(): void {
    this.#tell(true);
  }

  setBusyPoll(mode: BusyPoll): void {
    if (this.#closed) return;
    this.#hub.countBusyPoll(this.#busyPoll, -1);
    this.#busyPoll = mode;
    this.#hub.countBusyPoll(mode, 1);
  }

  /** What the peer has aborted by itself needs no other reason. */
  get lost(): Error | undefined {
    return (this.member.connection.closing.received & CONN_STATE.abnormal) === 0 ? this.#driver.loss.error : undefined;
  }

  get violation(): string | undefined {
    return this.member.connection.violation;
  }

  readonly suspect = (ended: boolean): void => {
    if (!this.#removed) this.#driver.suspect(this.member, ended);
  };

  /** From the link group, see NEWS. Room is news to who waits for it. */
  onNews(bits: number): void {
    if (this.#closed) return;
    if ((bits & NEWS.violation) !== 0) this.rx.violated = true;
    if ((bits & ~NEWS.room) !== 0 || words.load(this.#send.words, WORD.writeBlocked) !== 0) this.#tell(false);
  }

  /** From the hub. What a user's handler throws must not keep others from their news. */
  deliver(): void {
    this.#told = false;
    if (this.#closed) return;
    try {
      this.sink?.onNews();
    } catch (error) {
      process.nextTick(() => {
        throw error;
      });
    }
  }

  /** The link group has removed the connection: both sides are done with it, or it is lost. */
  onRemoved(): void {
    this.#removed = true;
  }

  /** Is there anything that the peer had no room for? */
  get lingers(): boolean {
    const { send, closing } = this.member.connection;
    return !this.#removed && !closing.receivedAnyClose && send.sent !== words.load(this.#send.words, WORD.producerCursor);
  }

  close(): void {
    if (this.#closed) return;
    this.setBusyPoll('off');
    this.#closed = true;
    this.sink = undefined;
    this.#endUse();
    if (this.lingers) this.#hub.linger(this);
  }

  /** The handshake or the loop ends: the peer is told, without anybody here being told. */
  abandon(abnormal: boolean): void {
    if (this.#closed) return;
    this.tx.publish();
    this.tx.setState(CONN_STATE.closed | CONN_STATE.sendingDone | (abnormal ? CONN_STATE.abnormal : 0));
    if (!this.#removed) this.#driver.transmit(this.member);
    this.close();
  }

  /** Tells of news once, when the driver is done, or in the next turn when `later`. */
  #tell(later: boolean): void {
    if (this.#told) return;
    this.#told = true;
    if (later) this.#hub.again(this);
    else this.#hub.tell(this);
  }
}
