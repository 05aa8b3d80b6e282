// thread-link.ts - how one thread of a pair hands the other what connects them.

import { type MessagePort, receiveMessageOnPort, type TransferListItem, workerData } from 'node:worker_threads';
import { MeasureError } from '../errors.js';
import type { ThreadData } from '../pair/thread-pair.js';

const link = (): MessagePort => (workerData as ThreadData).link;

export function give(what: unknown, transfer: TransferListItem[] = []): void {
  link().postMessage(what, transfer);
}

/** What the other thread gave: it has, before this one is told to connect. */
export function given<T>(): T {
  const received = receiveMessageOnPort(link());
  if (received === undefined) throw new MeasureError('failed', 'the other thread has given nothing');
  return received.message as T;
}
