// port.ts - the small interface every measured transport is put behind.

import type { EventEmitter } from 'node:events';
import type { Opening } from '../lanes.js';

/**
 * One end of a connection, as far as the benchmark uses a net.Socket: which is one already. Events: 'data' (Uint8Array),
 * 'drain', 'error', 'close'.
 */
export interface Port extends EventEmitter {
  /** False: stop and go on at 'drain'. */
  write(chunk: Uint8Array): boolean;
  destroy(): unknown;
  readonly writableHighWaterMark?: number;
  /** Bytes given to write() that the port may still read, when it is not the high water mark that says so. */
  readonly retained?: number;
}

/** Where a listener can be reached; what it is depends on the transport. */
export type Address = string | number;

export interface Listener {
  readonly address: Address;
  close(): void;
}

export interface Transport {
  /** Loads what connect() needs, so that the first connection of a process is not the loading of a module. */
  prepare?(): Promise<unknown>;
  /** Calls back with every accepted connection. @throws MeasureError `unavailable`, with the reason. */
  listen(opening: Opening, onConnection: (port: Port) => void): Promise<Listener>;
  /** A connection on which this end may send. @throws MeasureError `unavailable`, with the reason. */
  connect(opening: Opening, address: Address): Promise<Port>;
}
