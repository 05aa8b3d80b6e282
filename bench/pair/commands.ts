// commands.ts - what the processes of a pair can be told to do: [arguments, result] of each command.

import type { HttpClient } from '../cases/http-clients.js';
import type { Percentiles } from '../clock.js';
import type { Opening } from '../lanes.js';
import type { Address } from '../transports/port.js';

/**
 * What a listening process does with a connection: answer every message with one of its size; send back what comes; check
 * everything and acknowledge the end; send one byte at once; nothing.
 */
export type Role = 'echo' | 'reflect' | 'sink' | 'greet' | 'hold';

export interface Sent {
  seconds: number;
  messages: number;
  /** CPU microseconds of the sending process. */
  cpu_us: number;
}

export interface Footprint {
  descriptors: number;
  /** Memory only this process uses, in bytes. */
  private_bytes: number;
}

export interface HttpLoad extends Percentiles {
  requests_per_s: number;
}

/** Of a process that polls: lateness of a 1 ms timer, and round trips of a plain TCP echo in the same process. */
export interface Politeness {
  timer_p99_us: number;
  echo_p99_us: number;
}

export interface Commands {
  listen: [{ opening: Opening; role: Role }, Address];
  /** Opens connections and keeps them, for messages unless it is to `hold` them only. */
  connect: [{ opening: Opening; address: Address; count: number; role?: 'hold' }, null];
  /** Waits until that many connections have been accepted: a client sees its connection before the server does. */
  accepted: [{ count: number }, null];
  /** Closes listener and connections. */
  close: [null, null];
  /** Round trips on the one connection, for that long. */
  ping: [{ ms: number }, Percentiles & { count: number }];
  /** One way on the one connection, for that long and until the acknowledgement. */
  send: [{ ms: number }, Sent];
  /** CPU microseconds used by the process so far. */
  cpu: [null, number];
  /** Connections one after the other, each closed again: microseconds until both ends may send. */
  connects: [{ opening: Opening; address: Address; ms: number; max: number }, Percentiles & { count: number; per_s: number }];
  httpListen: [{ opening: Opening }, Address];
  httpLoad: [{ opening: Opening; address: Address; connections: number; client: HttpClient; ms: number }, HttpLoad];
  /**
   * Round trips over all open connections in turn, for that long; and, for `lapMs` at most, until every ring has been written once: a
   * page of a ring costs a page fault on both sides when it is first written.
   */
  spread: [{ ms: number; window: number; lapMs: number }, { messages: number; cpu_us: number; seconds: number }];
  footprint: [null, Footprint];
  /** Collects garbage, so that nothing is left to do. */
  settle: [null, null];
  /** With `loaded`, the one open connection carries round trips meanwhile. */
  polite: [{ ms: number; loaded: boolean }, Politeness];
}
