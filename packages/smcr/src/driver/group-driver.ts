// group-driver.ts - does the I/O of one link group over RDMA verbs: the LinkGroupPort that is not simulated.
//
// Completions are handled when the completion channel has an event, all of them, before the queue is armed again; or, while the owner
// polls (`awake`), whenever it looks. Work on one link
// waits for the control verbs of that link, which take place on the provider's own thread; data goes on meanwhile.

import {
  type Link,
  LinkGroup,
  type LinkGroupOptions,
  type LinkGroupPort,
  LLC_WAIT,
  type Member,
  type Rkey,
  type Rmb,
  type SpareEnd,
  suspect,
} from '../group/index.js';
import type { AsyncEvent, VerbsContext } from '../verbs-provider.js';
import { Arrivals } from './arrivals.js';
import { AwakeClock } from './awake-clock.js';
import type { Clock } from './clock.js';
import { Completions } from './completions.js';
import type { LinkEntry } from './device-queue.js';
import { GroupMemory } from './group-memory.js';
import { Loss } from './loss.js';
import { activateEntry, connectEntry, createEntry, destroyEntry } from './link-maker.js';
import { type LinkPath, LinkPaths } from './link-paths.js';
import { type GroupEvents, Owner } from './owner.js';
import type { SharedMemory } from './shared-memory.js';
import { traceLinks, traceLlc } from './trace.js';
import { Transmitter } from './transmitter.js';

export interface GroupDriverOptions extends Omit<LinkGroupOptions, 'port'> {
  /** Ways out of this host, best first; at least one. */
  readonly paths: readonly LinkPath[];
  readonly clock: Clock;
  /** 24 random bits: initial PSNs. */
  readonly randomPsn: () => number;
  readonly events: GroupEvents;
}

/** Timers of a group are in seconds, so it is looked at so often, milliseconds. */
const TICK = 250;
/** While a link is taken down. */
const LOOK_AGAIN = 5;

export class GroupDriver implements LinkGroupPort {
  readonly group: LinkGroup;
  readonly #paths: LinkPaths;
  readonly #clock: AwakeClock;
  readonly #randomPsn: () => number;
  readonly #owner: Owner;
  readonly #longMessages: boolean;
  /** How its completion queues are looked at: the owner may poll them. */
  readonly completions = new Completions({
    completion: (entry, completions, at) => this.#arrivals.completed(entry, completions, at),
    broken: (link, error) => {
      if (error !== undefined) this.lastError = error;
      this.#fail(link);
    },
    settled: () => this.#tellFailed(),
    waking: () => this.#owner.waking(),
    woken: () => this.#owner.woken(),
    waits: () => this.#waits(),
  });
  readonly #entries = new Map<Link, LinkEntry>();
  readonly #memory = new GroupMemory();
  readonly #transmitter = new Transmitter(this.#memory);
  readonly #arrivals: Arrivals;
  /** Why a verb failed, the last time one did. */
  lastError: Error | undefined;
  /** Why links failed, and the group ended. */
  readonly loss = new Loss();
  readonly #failed = new Set<Link>();
  /** What is being made or taken down. */
  readonly #work = new Set<Promise<void>>();
  #cancelTick: () => void;

  constructor(options: GroupDriverOptions) {
    this.#paths = new LinkPaths(options.paths);
    this.#clock = new AwakeClock(options.clock);
    this.#randomPsn = options.randomPsn;
    this.#owner = new Owner(options.events);
    this.#longMessages = options.maxLinks > 1;
    this.group = new LinkGroup({ ...options, port: this });
    this.#arrivals = new Arrivals(this.group, this.completions, this.#clock, {
      sent: (entry, slot) => this.#sent(entry, slot),
      failed: (link, status) => {
        this.loss.completed(link, status);
        this.#fail(link);
      },
    });
    this.#cancelTick = this.#clock.beat(TICK, () => this.#tick());
  }

  get now(): number {
    return this.#clock.now();
  }

  /** The bytes of an element of ours. Detached when the group is over. */
  elementBytes(rmb: Rmb, index: number): Buffer {
    return this.#memory.bytesOf(rmb, index);
  }

  /** A send buffer for a connection that is going to be: give it to {@link bind} or to {@link releaseBuffer}. */
  sendBuffer(length: number): Promise<SharedMemory> {
    return this.#memory.addBuffer(length);
  }

  releaseBuffer(buffer: SharedMemory): void {
    this.#memory.releaseBuffer(buffer);
  }

  /**
   * The connection sends from this buffer, until it is removed. What the peer has sent already is told in a microtask: be ready for
   * `news` by then.
   */
  bind(member: Member, buffer: SharedMemory): void {
    this.#memory.bind(member, buffer);
    queueMicrotask(() => this.group.welcome(member, this.now));
  }

  /** Nothing that was sent is underway. */
  get isIdle(): boolean {
    return [...this.#entries.values()].every(({ queue }) => queue.isIdle);
  }

  /** Memory of a connection, looked at by its owner: it stays until the function returned is called, whatever becomes of the group. */
  useMemory(rmb: Rmb, buffer: SharedMemory): () => void {
    const uses = [this.#memory.use(rmb), buffer.use()];
    return () => {
      for (const end of uses) end();
    };
  }

  /** A device told something by itself: what it means for the links of this group. Whoever opened the device passes it on. */
  deviceEvent(context: VerbsContext, event: AsyncEvent): void {
    traceLinks(this.group, `device event ${event.type}`);
    if (this.#paths.note(context, event)) this.group.pathUp(this.now);
    for (const [link, { queue, closing }] of [...this.#entries]) {
      const meant = !closing && this.#paths.isHitBy(link, queue.pair.number, context, event);
      if (!meant) continue;
      this.loss.told(link, event.type);
      this.group.linkFailed(link, this.now);
    }
  }

  /** The TCP connection beside it ended without a close, `ended`: by FIN. Is the peer still there, and has it the connection? */
  suspect(member: Member, ended: boolean): void {
    suspect(this.group, member, this.now, ended);
  }

  /** Resolved when every link is down and everything is released. The group has ended. However often it is called. */
  finished(): Promise<void> {
    this.#finished ??= this.#finish();
    return this.#finished;
  }
  #finished: Promise<void> | undefined;

  async #finish(): Promise<void> {
    while (this.#work.size > 0) await Promise.allSettled(this.#work);
    await this.completions.destroy();
    await this.#memory.release();
  }

  // LinkGroupPort: links.

  createLink(link: Link): void {
    this.#try(link, async () => {
      const others = this.group.links.filter((it) => it !== link && it.state !== 'down');
      const path = this.#paths.choose(link, others);
      const device = await this.completions.device(path);
      const entry = await createEntry(link, path, device, this.#longMessages);
      this.#entries.set(link, entry);
      await this.#memory.addDevice(path.pd);
      if (link.state === 'down') return this.destroyLink(link, false);
      const own = { gid: path.gid.gid, mac: path.gid.mac, qpNumber: entry.queue.pair.number, psn: this.#randomPsn(), mtu: path.mtu };
      this.group.linkCreated(link, own, this.#memory.rkeysOn(path.pd));
    });
  }

  spareEnds(): readonly SpareEnd[] {
    return this.#paths.spare(this.group.links);
  }

  connectLink(link: Link): void {
    this.#try(link, async () => {
      await connectEntry(this.#entry(link), this.#paths.of(link) as LinkPath);
      this.group.linkConnected(link);
    });
  }

  activateLink(link: Link): void {
    this.#try(link, async () => {
      await activateEntry(this.#entry(link), this.group.version);
      this.group.linkActivated(link);
    });
  }

  destroyLink(link: Link, flush: boolean): void {
    const entry = this.#entries.get(link);
    this.#transmitter.forgetLink(link);
    if (entry === undefined || entry.closing) return;
    entry.closing = true;
    this.#transmitter.hold();
    this.#track(this.#destroy(entry, flush));
  }

  // LinkGroupPort: memory.

  registerRmb(rmb: Rmb): void {
    const register = async (): Promise<void> => {
      await this.#memory.addRmb(rmb);
      const rkeys = new Map<Link, Rkey>();
      for (const [link, { queue }] of this.#entries) {
        const rkey = this.#memory.rkeyOf(rmb, queue.pd);
        if (rkey !== undefined) rkeys.set(link, rkey);
      }
      if (!rmb.deleted) this.group.rmbRegistered(rmb, rkeys, this.now);
    };
    this.#track(
      register().catch((error: unknown) => {
        this.lastError = error as Error;
        this.group.rmbRegistered(rmb, undefined, this.now);
      }),
    );
  }

  releaseRmb(rmb: Rmb): void {
    // When the group is over, the links go first: see finished().
    if (this.group.state !== 'ended') this.#memory.releaseRmb(rmb);
  }

  // LinkGroupPort: messages.

  send(link: Link, message: Uint8Array): void {
    const entry = this.#entries.get(link);
    traceLlc('sends', this.group, link, message);
    if (entry === undefined || entry.closing) return;
    if (!entry.queue.send(message)) this.#fail(link);
    else this.#posted(entry);
  }

  transmit(member: Member): void {
    const entry = this.#entries.get(member.link);
    if (entry === undefined || entry.closing) return;
    this.#transmitter.transmit(member, entry);
    this.#posted(entry);
  }

  /** A writer waits for room in the send buffer: somebody has to hear of completions. */
  waitsForRoom(member: Member): void {
    if (this.#transmitter.waits.update(member)) this.completions.wait();
  }

  drain(except: Link): void {
    this.completions.look(this.#entries.get(except)?.device);
  }

  // LinkGroupPort: news.

  reachable(link: Link): void {
    this.#owner.reachable(link);
  }

  established(): void {
    this.#owner.established();
  }

  failed(diagnosis: number): void {
    this.#cancelTick();
    this.#owner.failed(diagnosis);
  }

  news(member: Member, bits: number): void {
    this.#owner.news(member, bits);
  }

  removed(member: Member): void {
    this.#transmitter.forget(member);
    // Over a broken link something may still be posted from it: see finished().
    this.#memory.unbind(member, this.group.state !== 'ended');
    this.#owner.removed(member);
  }

  ended(reason: number): void {
    this.loss.reason = reason;
    this.#cancelTick();
    this.#owner.ended(reason);
  }

  #tick(): void {
    // What has come in time counts, also when the loop was busy: first completions, then time-outs.
    this.completions.look();
    this.group.tick(this.now);
    if (this.group.state !== 'ended') this.#cancelTick = this.#clock.beat(TICK, () => this.#tick());
  }

  #entry(link: Link): LinkEntry {
    const entry = this.#entries.get(link);
    if (entry === undefined) throw new Error(`link ${link.number} is gone`);
    return entry;
  }

  /** Runs steps of a link; what fails is the link's failure. */
  #try(link: Link, steps: () => Promise<void>): void {
    this.#track(
      steps().catch((error: unknown) => {
        this.lastError = error as Error;
        this.group.linkFailed(link, this.now);
      }),
    );
  }

  #track(work: Promise<void>): void {
    const tracked = work.finally(() => this.#work.delete(tracked));
    this.#work.add(tracked);
  }

  /** A link is of no use any more. The group hears of it when everything that completed has been handled, never within a call of its own. */
  #fail(link: Link): void {
    this.#failed.add(link);
    if (this.completions.depth === 0) queueMicrotask(() => this.#tellFailed());
  }

  #tellFailed(): void {
    // What had arrived on a failed link counts, and what was acknowledged need not be repeated.
    if (this.completions.depth > 0 || this.#failed.size === 0) return;
    const failed = [...this.#failed];
    this.#failed.clear();
    for (const link of failed) {
      traceLinks(this.group, `link ${link.number} failed`);
      this.group.linkFailed(link, this.now);
    }
  }

  #sent(entry: LinkEntry, slot: number): void {
    const member = entry.queue.sent(slot);
    if (entry.closing) return;
    if (member !== undefined && member.link === entry.link) {
      this.group.completed(member);
      this.#transmitter.waits.update(member);
    }
    this.#serve(entry);
  }

  #serve(entry: LinkEntry): void {
    this.#transmitter.serve(entry);
    this.#posted(entry);
  }

  /** Asked at each wake-up. */
  #waits(): boolean {
    if (this.#transmitter.waits.any) return true;
    for (const { queue } of this.#entries.values()) if (!queue.hasSlot) return true;
    return false;
  }

  /** Something was posted: does somebody wait for it to complete? */
  #posted({ link, queue }: LinkEntry): void {
    if (queue.broken) this.#fail(link);
    if (this.#transmitter.waits.any || !queue.hasSlot) this.completions.wait();
  }

  async #destroy(entry: LinkEntry, flush: boolean): Promise<void> {
    if (flush) await this.#until(entry, () => entry.queue.isIdle);
    await entry.queue.pair.toError().catch(ignore);
    if (this.#transmitter.release()) for (const other of this.#entries.values()) this.#serve(other);
    // Receives that completed before count, and some may show only now.
    await this.#until(entry, () => entry.queue.isFlushed);
    this.#entries.delete(entry.link);
    await destroyEntry(entry).catch(ignore);
  }

  /** Handles completions until it is so, or it took too long. */
  #until({ device }: LinkEntry, done: () => boolean): Promise<void> {
    const end = this.now + LLC_WAIT;
    return new Promise((resolve) => {
      const look = (): void => {
        this.completions.poll(device);
        if (done() || device.broken || this.now >= end) resolve();
        else this.#clock.after(LOOK_AGAIN, look);
      };
      look();
    });
  }
}

function ignore(): void {
  // A device that is gone fails everything that takes it down.
}
