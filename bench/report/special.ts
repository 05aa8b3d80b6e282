// special.ts - the figures of cases that are not "a transport at a size".

import type { Mode, TransportName } from '../lanes.js';

interface Of {
  transport: TransportName;
  mode: Mode;
}

/** Our Socket on plain TCP against node:net: medians of interleaved pairs; 1 is "no difference", less is worse. */
export interface Fallback {
  pairs: number;
  roundtrip_ratio: number;
  throughput_ratio: number;
  connects_ratio: number;
}

/** A process with ping-pong traffic (loaded) or without: lateness of a 1 ms timer, a plain TCP echo within the process. */
export interface Polite extends Of {
  timer_p99_us: number;
  timer_p99_us_loaded: number;
  echo_p99_us: number;
  echo_p99_us_loaded: number;
}

/** CPU milliseconds per 10 seconds of each process while nothing is sent. */
export interface Idle extends Of {
  connections: number;
  server_cpu_ms: number;
  client_cpu_ms: number;
}

/** Connections that all carry traffic in turn. */
export interface Many extends Of {
  connections: number;
  cpu_us_per_message: number;
  msgs_per_s: number;
  /** Descriptors that the connections and the listener added to each process. */
  server_descriptors: number;
  client_descriptors: number;
  /** Private memory of both processes and shared memory, added by opening the connections, per connection. */
  bytes_per_connection: number;
}

export interface Special {
  fallback?: Fallback;
  polite?: Polite[];
  idle?: Idle[];
  many?: Many[];
}
