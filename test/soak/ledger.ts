// ledger.ts - what was ordered, what each end said of it, and whether that is right for processes that may have been killed.

import { expectedBytes, type Order, type Outcome } from './orders.js';

/** What one process of the test is to the ledger. */
export interface Party {
  readonly name: string;
  /** Declines everything but TCP. */
  readonly plain: boolean;
  killed: boolean;
}

interface Entry {
  readonly order: Order;
  readonly dialer: Party;
  readonly acceptor: Party;
  readonly outcomes: Partial<Record<Outcome['role'], Outcome>>;
  /** Bytes a slow sender has said were taken. */
  taken: number;
}

/** How a connection may end whose other end was killed. */
const DEATHS = ['end', 'ECONNRESET', 'EPIPE'];

export class Ledger {
  readonly #open = new Map<number, Entry>();
  /** What was wrong, in words. */
  readonly problems: string[] = [];
  /** Settled connections by kind, transport and how they ended. */
  readonly counts = new Map<string, number>();

  add(order: Order, dialer: Party, acceptor: Party): void {
    this.#open.set(order.id, { order, dialer, acceptor, outcomes: {}, taken: 0 });
  }

  taken(id: number, bytes: number): void {
    const entry = this.#open.get(id);
    if (entry !== undefined) entry.taken = bytes;
  }

  outcome(outcome: Outcome): void {
    const entry = this.#open.get(outcome.id);
    if (entry === undefined) return;
    entry.outcomes[outcome.role] = outcome;
    if (outcome.wrong !== undefined) this.#problem(entry, outcome.wrong);
    if (entry.dialer.killed || entry.acceptor.killed) return; // judged when all that was said has been read
    if (entry.outcomes.dialer !== undefined && (entry.outcomes.acceptor !== undefined || entry.order.kind === 'http')) this.#judge(entry);
  }

  /** Connections of this process that have not ended. */
  openOf(party: Party): number {
    let count = 0;
    for (const { dialer, acceptor } of this.#open.values()) if (dialer === party || acceptor === party) count++;
    return count;
  }

  /** Ends that a living process has still to tell about. */
  awaited(): string[] {
    return [...this.#open.values()].flatMap((entry) => {
      const { order, dialer, acceptor, outcomes } = entry;
      const missing: string[] = [];
      if (!dialer.killed && outcomes.dialer === undefined) missing.push('dialer');
      // A killed dialer may never have got as far as an accepted connection, unless something was taken.
      const due = !dialer.killed || (order.kind === 'flow' && entry.taken > 0);
      // A dialer that has failed to connect to somebody alive would be a problem of its own.
      if (!acceptor.killed && order.kind !== 'http' && outcomes.acceptor === undefined && due) missing.push('acceptor');
      return missing.map((role) => `${role} of ${describe(entry)}`);
    });
  }

  /** Judges what is left: connections one end of which was killed. Everything the dead have said must have been read. */
  settle(): void {
    for (const entry of [...this.#open.values()]) this.#judge(entry);
  }

  #judge(entry: Entry): void {
    const { order, dialer, acceptor, outcomes, taken } = entry;
    this.#open.delete(order.id);
    for (const role of ['dialer', 'acceptor'] as const) {
      const outcome = outcomes[role];
      if (outcome === undefined) continue;
      const other = role === 'dialer' ? acceptor : dialer;
      const self = role === 'dialer' ? dialer : acceptor;
      this.#count(`${order.kind} ${outcome.transport} ${other.killed ? 'killed' : outcome.seen.join(' ')}`);
      if (self.killed) continue; // its last words; what matters is what the survivor saw
      if (outcome.transport === 'smcd' && (self.plain || other.plain)) this.#problem(entry, `${role} on smcd with a process that declines`);
      const problem = other.killed ? killedProblem(entry, role, outcome, taken) : cleanProblem(order, role, outcome);
      if (problem !== undefined) this.#problem(entry, `${role}: ${problem}`);
    }
  }

  #count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  #problem(entry: Entry, what: string): void {
    this.problems.push(`${describe(entry)}: ${what}`);
  }
}

function describe({ order, dialer, acceptor, outcomes }: Entry): string {
  const parties = [dialer, acceptor].map(({ name, killed }) => `${name}${killed ? ' (killed)' : ''}`);
  return `${order.kind} ${order.id} from ${parties.join(' to ')}, ${order.bytes} bytes, ${JSON.stringify(outcomes)}`;
}

function cleanProblem(order: Order, role: Outcome['role'], { received, seen }: Outcome): string | undefined {
  const expected = expectedBytes(order, role);
  if (expected !== undefined && received !== expected) return `${received} bytes, not ${expected}`;
  const ends = order.kind === 'reset' ? (role === 'dialer' ? '' : 'ECONNRESET') : 'end';
  return seen.join(' ') === ends ? undefined : `ended with "${seen.join(' ')}", not "${ends}"`;
}

function killedProblem({ order }: Entry, role: Outcome['role'], { received, seen, transport }: Outcome, taken: number): string | undefined {
  const sender = { flow: 'dialer', pull: 'acceptor' }[order.kind as string];
  if (sender !== undefined && sender !== role && received < taken) return `${received} bytes, but the killed sender had ${taken} taken`;
  // Who dials a dead process is refused; that is no connection.
  const allowed = transport === 'none' || role === 'dialer' ? [...DEATHS, 'ECONNREFUSED'] : DEATHS;
  const odd = seen.filter((event) => !allowed.includes(event));
  if (odd.length > 0) return `ended with ${odd.join(' ')}`;
  return seen.length === 0 && order.kind !== 'reset' ? 'closed without a word' : undefined;
}
