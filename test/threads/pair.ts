// pair.ts - worker channels for tests: to a real worker, and within this thread.

import { Worker } from 'node:worker_threads';
import { type ChannelEnd, type ChannelEndOptions, createChannel, open, type WorkerPort } from '@smcjs/core/channel';
import { onTestFinished } from 'vitest';
import type { Order } from './partner.js';

const partner = new URL('../dist/threads/partner.js', import.meta.url);

/** A worker that has this port; terminated, at the latest, when the test ends. */
export function start(port: WorkerPort, role: Order['role'], given: Partial<Order> = {}): Worker {
  const worker = new Worker(partner, { workerData: { ...given, role, port }, transferList: [port.bell] });
  onTestFinished(() => void worker.terminate());
  return worker;
}

/** A worker in this role and our end of the channel to it. */
export function withWorker(
  role: Order['role'],
  given: Partial<Order> = {},
  { ringSize = 16_384, ...options }: ChannelEndOptions & { ringSize?: number } = {},
): { end: ChannelEnd; worker: Worker } {
  const { port1, port2 } = createChannel({ ringSize });
  const worker = start(port2, role, given);
  return { end: opened(port1, options), worker };
}

export function opened(port: WorkerPort, options?: ChannelEndOptions): ChannelEnd {
  const end = open(port, options);
  // Workers are terminated when a test ends; whoever wants to see the error listens, too.
  end.on('error', () => {});
  onTestFinished(() => void end.destroy());
  return end;
}

/** Both ends in this thread. */
export function both(ringSize = 16_384, options?: ChannelEndOptions): [ChannelEnd, ChannelEnd] {
  const { port1, port2 } = createChannel({ ringSize });
  return [opened(port1, options), opened(port2, options)];
}

/** The code of what this throws or rejects with. */
export async function codeOf(run: () => unknown): Promise<string | undefined> {
  try {
    await run();
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
  return undefined;
}
