// liveness.ts - a process with both ends of a worker channel, to see when it ends: its argument says what it does with them.

import { Worker } from 'node:worker_threads';
import { createChannel, open } from '@smcjs/core/channel';
import type { Order } from './partner.js';

const [way] = process.argv.slice(2);
const { port1, port2 } = createChannel();
const ways: Record<string, () => void> = {
  /** Nobody has anything to do, but the ends are open. */
  open: () => void [open(port1), open(port2).unref()],
  unref: () => void [open(port1).unref(), open(port2).unref()],
  'unref and ref': () => void [open(port1).unref().ref(), open(port2).unref()],
  destroyed: () =>
    void [
      open(port1).destroy(),
      open(port2)
        .on('error', () => {})
        .resume(),
    ],
  'ended both ways': () => {
    for (const port of [port1, port2]) open(port).resume().end('bye');
  },
  /** Messages go to and fro for ever, between ends that do not keep the loop alive. */
  'unref and busy': () => {
    const [here, there] = [open(port1, { busyPoll: 200 }).unref(), open(port2).unref()];
    here.on('data', (chunk) => here.write(chunk));
    there.on('data', (chunk) => there.write(chunk));
    here.write('x');
  },
  'awaiting, unref': () => {
    open(port2).unref();
    const end = open(port1).unref();
    void (async () => {
      await end.ring.readable();
      console.log('told');
    })();
  },
  /** The last thing alive is an end whose news are still to come, from a worker. */
  'waiting for a worker': () => {
    const order: Order = { port: port2, role: 'exits', seed: 1 };
    const worker = new Worker(new URL('./partner.js', import.meta.url), { workerData: order, transferList: [port2.bell] });
    worker.unref();
    const end = open(port1);
    let bytes = 0;
    end.on('data', (chunk: Buffer) => (bytes += chunk.length));
    end.on('end', () => console.log(`received ${bytes}`));
  },
  'unref does not stop polling others': () => {
    open(port1).unref();
    const end = open(port2);
    setTimeout(() => end.destroy(), 50);
  },
};
ways[way as string]?.();
process.on('exit', () => console.log('exit'));
