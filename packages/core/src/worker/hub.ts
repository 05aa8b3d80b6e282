// hub.ts - waiting for other threads, one per event loop: looks at the rings of awake ends while news are likely, then has
// them sleep until their bell rings.
//
// A round: look for a slice of about 2 us; news are dispatched, then ticks and promises have their turn, then the next round.
// Rounds without news, and 50 us of rounds with them, end in a turn of the loop, so that timers and other sockets wait no
// longer than that. Only ends that are ref'd poll from turn to turn: an immediate keeps the loop alive.

import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { usableCores } from '../cores.js';
import type { BusyPoll } from '../options.js';
import { PollWindow } from './poll-window.js';

/** An open end, as its loop sees it. */
export interface HubMember {
  /** Does it keep the loop alive? */
  readonly ref: boolean;
  readonly busyPoll: BusyPoll;
  /** Looked at by the hub, and not asleep. The hub's to change. */
  polled: boolean;
  /** Is there news? One load. */
  fresh(): boolean;
  /** Takes the news. Listeners may throw. */
  dispatch(): void;
  /** Goes to sleep; false when there are news after all. */
  sleep(): boolean;
  awake(): void;
}

/** Looks of one slice over all awake ends, about 10 ns each. */
const SLICE_LOOKS = 200;
/** Dispatches go on so long without a turn of the loop. */
const TURN_MICROS = 50;

/** Who tells many times in a turn looks at the clock the first time and every so often: that costs 60 ns, and 16 bytes before Node 22. */
const TOLD_PER_LOOK = 32;

/** A promise costs a tenth of queueMicrotask(), which makes an asynchronous resource. */
const RESOLVED = Promise.resolve();

const micros = () => performance.now() * 1000;

export class Hub {
  /** Changes with every turn of the loop and every dispatch. */
  turn = 0;
  readonly #cores = usableCores();
  readonly #window = new PollWindow();
  /** All open ends; those that are awake; those that asked to be called again. */
  readonly #members = new Set<HubMember>();
  readonly #polled: HubMember[] = [];
  #again: HubMember[] = [];
  #immediate: NodeJS.Immediate | undefined;
  /** A round is on its way through ticks and promises. */
  #inRound = false;
  #turnBegan = 0;
  /** The turn in which a clock was last looked at by who told, and how often was told since. */
  #expected = -1;
  #unlooked = 0;
  #posted = false;
  #self: { readonly here: MessagePort; readonly there: MessagePort } | undefined;

  /** Is this loop polling, on a processor of its own? */
  get hot(): boolean {
    return this.#window.micros > 0;
  }

  add(member: HubMember): void {
    this.#members.add(member);
    this.modesChanged();
    this.#wake(member);
    this.#turnSoon();
  }

  remove(member: HubMember): void {
    this.#members.delete(member);
    const at = this.#polled.indexOf(member);
    if (at >= 0) this.#polled.splice(at, 1);
    member.polled = false;
    this.modesChanged();
    if (this.#members.size > 0) return;
    this.#self?.here.close();
    this.#self = undefined;
    this.#posted = false;
  }

  /** The loop polls as the most eager of its ends wants. */
  modesChanged(): void {
    let fixed = 0;
    let auto = false;
    for (const { busyPoll } of this.#members) {
      if (typeof busyPoll === 'number') fixed = Math.max(fixed, busyPoll);
      else if (busyPoll === 'auto') auto = this.#cores > 1;
    }
    this.#window.setMode(fixed, auto);
  }

  /** This end has told its peer something, perhaps after it has sent `much`: an answer may come soon. */
  expect(member: HubMember, much: boolean): void {
    if (member.polled) return;
    if (much || this.#expected !== this.turn || ++this.#unlooked === TOLD_PER_LOOK) {
      this.#expected = this.turn;
      this.#unlooked = 0;
      this.#window.active(micros());
    }
    if (this.#window.micros === 0 || !member.ref) return;
    this.#wake(member);
    this.#turnSoon();
  }

  /** The bell of this end has rung. */
  woken(member: HubMember): void {
    if (!this.#members.has(member)) return;
    this.#turnBegan = micros();
    this.#window.woken(this.#turnBegan);
    this.#wake(member);
    this.#round();
  }

  /** Calls `dispatch` of this end from the next turn. */
  again(member: HubMember): void {
    this.#again.push(member);
    this.#turnSoon();
  }

  #wake(member: HubMember): void {
    if (member.polled) return;
    member.polled = true;
    member.awake();
    this.#polled.push(member);
  }

  /** Another turn of the loop, without blocking before it. */
  #turnSoon(): void {
    if (this.#immediate !== undefined) return;
    if (this.#polled.some((member) => member.ref) || this.#again.some((member) => member.ref)) {
      this.#immediate = setImmediate(this.#onImmediate);
      return;
    }
    // An immediate would keep the loop alive, one that is unref'd lets it block: so a message to ourselves.
    if (this.#self === undefined) {
      const { port1, port2 } = new MessageChannel();
      port1.on('message', this.#onMessage).unref();
      this.#self = { here: port1, there: port2 };
    }
    if (this.#posted) return;
    this.#posted = true;
    this.#self.there.postMessage(0);
  }

  readonly #onImmediate = (): void => {
    this.#immediate = undefined;
    this.#onTurn();
  };

  readonly #onMessage = (): void => {
    this.#posted = false;
    this.#onTurn();
  };

  #onTurn(): void {
    this.turn++;
    this.#turnBegan = micros();
    const again = this.#again;
    if (again.length === 0) return this.#round();
    this.#again = [];
    this.#each(again, (member) => member.dispatch());
    this.#roundLater();
  }

  /**
   * The next round, when ticks and promises have run: who awaits one event after the other must miss none. After ticks come
   * promises, and what they have caused; the tick they leave runs when all of them are at rest.
   */
  #roundLater(): void {
    this.#inRound = true;
    process.nextTick(this.#afterTicks);
  }

  readonly #afterTicks = () => void RESOLVED.then(this.#afterPromises);
  readonly #afterPromises = () => process.nextTick(this.#nextRound);
  readonly #nextRound = () => {
    this.#inRound = false;
    this.#round();
  };

  #round(): void {
    if (this.#inRound || this.#polled.length === 0) return;
    if (!this.#look()) {
      const now = micros();
      const polling = this.hot && this.#polled.some((member) => member.ref);
      if (polling && this.#window.open(now)) return this.#turnSoon();
      if (polling) this.#window.slept(now);
      this.#sleep();
      // Those that are left have had news in the last moment.
      if (this.#polled.length === 0) return;
    }
    this.#dispatch();
  }

  #look(): boolean {
    const polled = this.#polled;
    const { length } = polled;
    // Who does not poll looks once: on a shared processor a slice is taken from whom it waits for.
    for (let looks = this.hot ? SLICE_LOOKS : 1; looks > 0; looks -= length) {
      for (let i = 0; i < length; i++) if ((polled[i] as HubMember).fresh()) return true;
    }
    return false;
  }

  /** Tells everyone who has news, once. */
  #dispatch(): void {
    this.turn++;
    if (this.#polled.length === 1) {
      this.#each(this.#polled, (member) => member.dispatch());
    } else {
      this.#each(
        this.#polled.filter((member) => member.fresh()),
        (member) => member.dispatch(),
      );
    }
    const now = micros();
    this.#window.active(now);
    if (now - this.#turnBegan > TURN_MICROS) return this.#turnSoon();
    if (!this.hot) {
      // Without polling it lies down before ticks and promises run: what comes meanwhile rings, once.
      this.#sleep();
      if (this.#polled.length === 0) return;
    }
    this.#roundLater();
  }

  /** All are called, also when one of them throws; then what they have to say is still in their rings. */
  #each(members: readonly HubMember[], call: (member: HubMember) => void): void {
    let at = 0;
    const first = members[0];
    try {
      if (members.length === 1 && first !== undefined) return call(first);
      for (; at < members.length; at++) call(members[at] as HubMember);
    } catch (error) {
      for (const member of members.slice(at)) this.#again.push(member);
      this.#turnSoon();
      throw error;
    }
  }

  /** Those without news, that is. */
  #sleep(): void {
    const polled = this.#polled;
    for (let i = polled.length - 1; i >= 0; i--) {
      const member = polled[i] as HubMember;
      if (!member.sleep()) continue;
      member.polled = false;
      polled.splice(i, 1);
    }
  }
}

let hub: Hub | undefined;

/** The hub of this event loop. */
export function theHub(): Hub {
  hub ??= new Hub();
  return hub;
}
