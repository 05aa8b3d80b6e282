// named-hub.ts - looking at all named segments of this process: its event loop has nothing that could wake it for them.
//
// A turn: look, hand out the news there are, and say when the next turn is (poll-pace.ts): after the other events of the loop,
// or after a sleep. Ticks and promises run between any two turns. The hub keeps the loop alive for ends that are ref'd.

import { usableCores } from '../cores.js';
import { PollPace } from './poll-pace.js';
import type { BusyPoll } from '../options.js';

export interface NamedMember {
  readonly ref: boolean;
  readonly busyPoll: BusyPoll;
  /** Milliseconds of the longest sleep between two looks. */
  readonly pollInterval: number;
  /** Is there news? One load. */
  fresh(): boolean;
  /** Takes the news. Listeners may throw. */
  dispatch(): void;
  /** Looks after the peer, `now` in milliseconds. May close members. */
  watch(now: number): void;
}

/** Looks of one turn while there is no pause between turns, about 10 ns each: a turn of the loop costs 50 of them. */
const SLICE_LOOKS = 200;

export class NamedHub {
  turn = 0;
  readonly #cores = usableCores();
  readonly #pace = new PollPace();
  readonly #members = new Set<NamedMember>();
  #order: readonly NamedMember[] = [];
  #again = new Set<NamedMember>();
  #hot = false;
  #timer: NodeJS.Timeout | undefined;
  /** Milliseconds it was set to. */
  #sleeping = 0;
  #immediate: NodeJS.Immediate | undefined;

  /** Does it look without a pause just now? */
  get hot(): boolean {
    return this.#hot;
  }

  add(member: NamedMember): void {
    this.#members.add(member);
    this.changed();
    this.#pace.active(micros());
    this.#soon();
  }

  remove(member: NamedMember): void {
    this.#members.delete(member);
    this.#again.delete(member);
    this.changed();
  }

  /** The hub looks as eagerly as the most eager of its members wants; ref or mode of one has changed. */
  changed(): void {
    this.#order = [...this.#members];
    const fixed = Math.max(...this.#order.map(({ busyPoll }) => (typeof busyPoll === 'number' ? busyPoll : 0)), 0);
    const auto = this.#order.some(({ busyPoll }) => busyPoll === 'auto');
    const longest = Math.min(...this.#order.map(({ pollInterval }) => pollInterval));
    this.#pace.setMode(fixed > 0 ? fixed : auto ? 'auto' : 'off', this.#cores, longest);
    if (this.#order.length === 0) this.#stop();
    else if (this.#timer !== undefined) this.#sleep(1);
  }

  /** Something was told to the peer: an answer may come soon. */
  expect(): void {
    this.#pace.active(micros());
    if (!this.#hot) this.#soon();
  }

  /** Calls `dispatch` of this member in the next turn. */
  again(member: NamedMember): void {
    this.#again.add(member);
    this.#soon();
  }

  get #ref(): boolean {
    return this.#order.some((member) => member.ref);
  }

  /** A turn as soon as the other events of the loop have had theirs. */
  #soon(): void {
    if (this.#immediate !== undefined) return;
    // An immediate keeps the loop alive; one that is unref'd lets it sleep.
    // Nor may what is told again and again put off the look that is due.
    if (!this.#ref) return this.#timer !== undefined && this.#sleeping <= 1 ? undefined : this.#sleep(1);
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#immediate = setImmediate(this.#onTurn);
  }

  #sleep(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#onTurn, ms);
    this.#sleeping = ms;
    if (!this.#ref) this.#timer.unref();
  }

  #stop(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
    this.#timer = this.#immediate = undefined;
    this.#hot = false;
  }

  readonly #onTurn = (): void => {
    this.#timer = this.#immediate = undefined;
    this.turn++;
    try {
      this.#deliver();
    } finally {
      // Also when a listener has thrown: the others are told in the next turn.
      this.#schedule();
    }
  };

  #deliver(): void {
    const order = this.#order;
    const now = performance.now();
    for (const member of order) member.watch(now);
    if (this.#again.size > 0) {
      const again = [...this.#again];
      for (const member of again) {
        this.#again.delete(member);
        if (this.#members.has(member)) member.dispatch();
      }
    } else if (!this.#look(order)) return;
    for (const member of order) if (this.#members.has(member) && member.fresh()) member.dispatch();
    // Now, not before: what listeners took is not time spent on looking.
    this.#pace.active(micros());
  }

  /** Looks at all of them, for a while when there is no pause between turns anyway. */
  #look(order: readonly NamedMember[]): boolean {
    for (let looks = this.#hot ? SLICE_LOOKS : 1; looks > 0; looks -= order.length) {
      for (const member of order) if (this.#members.has(member) && member.fresh()) return true;
    }
    return false;
  }

  #schedule(): void {
    if (this.#order.length === 0 || this.#immediate !== undefined) return;
    const ms = this.#pace.next(micros());
    this.#hot = ms === 0 && this.#ref;
    if (ms === 0 || this.#again.size > 0) this.#soon();
    else this.#sleep(ms);
  }
}

const micros = (): number => performance.now() * 1000;

let hub: NamedHub | undefined;

/** The hub of this process. */
export function theNamedHub(): NamedHub {
  hub ??= new NamedHub();
  return hub;
}
