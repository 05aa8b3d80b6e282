// llc-flows.ts - which LLC exchanges may run at the same time in one link group (RFC 7609 section 3.5.5.3, as in Linux).
//
//   wanted here \ running here     none    rkey    add-link / delete-link
//   rkey                           starts  waits   waits
//   add-link, delete-link          starts  waits   waits
//
// One exchange at a time is ours to wait for answers in: what this side asks, and for the client also what the server starts with
// ADD LINK and DELETE LINK. The peer's CONFIRM RKEY and DELETE RKEY are answered at once and never wait. A request of ours that
// found no turn for 20 s fails.

export type FlowType = 'rkey' | 'add-link' | 'delete-link';

/** An answer must come within this, milliseconds. */
export const LLC_WAIT = 2000;
/** So long a request waits for its turn. */
export const TURN_WAIT = 10 * LLC_WAIT;

interface Waiting {
  readonly type: FlowType;
  readonly start: () => void;
  readonly expired: () => void;
  readonly deadline: number;
}

export class LlcFlows {
  #running: FlowType | undefined;
  #waiting: Waiting[] = [];

  get running(): FlowType | undefined {
    return this.#running;
  }

  /** Runs `start` now or when it is its turn; `expired` if that takes too long or the group ends. End it by {@link stop}. */
  initiate(type: FlowType, now: number, start: () => void, expired: () => void): void {
    if (this.#running === undefined) {
      this.#running = type;
      start();
    } else {
      this.#waiting.push({ type, start, expired, deadline: now + TURN_WAIT });
    }
  }

  /** The same for what the peer asks. One at a time of each type: a second one is dropped, as Linux does. */
  accept(type: FlowType, now: number, start: () => void): void {
    if (this.#running === type || this.#waiting.some((it) => it.type === type)) return;
    this.initiate(type, now, start, () => undefined);
  }

  /** A flow goes on as one of another type: ADD LINK that ends with the deletion of the link it replaced. */
  become(type: FlowType): void {
    this.#running = type;
  }

  /** The running flow is over: the next has its turn. */
  stop(): void {
    this.#running = undefined;
    const next = this.#waiting.shift();
    if (next === undefined) return;
    this.#running = next.type;
    next.start();
  }

  tick(now: number): void {
    const late = this.#waiting.filter(({ deadline }) => deadline <= now);
    if (late.length === 0) return;
    this.#waiting = this.#waiting.filter(({ deadline }) => deadline > now);
    for (const { expired } of late) expired();
  }

  get deadline(): number {
    return this.#waiting.reduce((least, { deadline }) => Math.min(least, deadline), Number.POSITIVE_INFINITY);
  }

  /** The link group ends: nothing runs any more. */
  clear(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#running = undefined;
    for (const { expired } of waiting) expired();
  }
}
