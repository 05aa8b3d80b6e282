// owner.ts - tells the owner of a link group what happens. Exceptions of its callbacks are its own: they come out as uncaught ones, as
// those of event listeners do, and never get between the steps of the group.

import { apart, type Link, type LinkGroupPort, type Member, throwApart } from '../group/index.js';

/** What the owner of the group hears of: see LinkGroupPort. */
export interface GroupEvents extends Pick<LinkGroupPort, 'reachable' | 'established' | 'failed' | 'news' | 'removed' | 'ended'> {
  /** The completion channel has woken the loop: {@link news} may come until {@link woken}. */
  waking?(): void;
  /** What completed has been handled. The owner may say that it polls from now on. */
  woken?(): void;
}

export class Owner implements GroupEvents {
  readonly #events: GroupEvents;

  constructor(events: GroupEvents) {
    this.#events = events;
  }

  reachable(link: Link): void {
    apart(() => this.#events.reachable(link));
  }

  established(): void {
    apart(() => this.#events.established());
  }

  failed(diagnosis: number): void {
    apart(() => this.#events.failed(diagnosis));
  }

  /** Once per message: without a closure. */
  news(member: Member, bits: number): void {
    try {
      this.#events.news(member, bits);
    } catch (error) {
      throwApart(error);
    }
  }

  waking(): void {
    try {
      this.#events.waking?.();
    } catch (error) {
      throwApart(error);
    }
  }

  /** Once per wake-up: without a closure. */
  woken(): void {
    try {
      this.#events.woken?.();
    } catch (error) {
      throwApart(error);
    }
  }

  removed(member: Member): void {
    apart(() => this.#events.removed(member));
  }

  ended(reason: number): void {
    apart(() => this.#events.ended(reason));
  }
}
