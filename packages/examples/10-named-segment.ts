// 10-named-segment.ts - two processes that nobody has introduced to each other share a name, and through it memory: no port, no
// descriptor, no parent. Needs the package shm-typed-array.
//
//   node packages/examples/dist/10-named-segment.js                 starts both
//   node packages/examples/dist/10-named-segment.js sensor NAME     or each by itself, in any order
//   node packages/examples/dist/10-named-segment.js display NAME

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { batches, sendAll } from '@smcjs/core/channel';
import { attachNamed, createNamed, SmcError } from '@smcjs/core/named';

const READINGS = 100_000;

const [role, name = `example ${process.pid}`] = process.argv.slice(2);
try {
  if (role === 'sensor') await sensor();
  else if (role === 'display') await display();
  else await both();
} catch (error) {
  if (!(error instanceof SmcError)) throw error;
  console.log(`${error.code}: ${error.message}`);
  process.exitCode = error.code === 'ERR_SMC_NAMED_UNAVAILABLE' ? 0 : 1;
}

/** Creates the segment, and sends readings: a number and a temperature each. */
async function sensor(): Promise<void> {
  const end = createNamed(name);
  end.on('attach', () => console.log(`the display, process ${end.peerPid}, is there`));
  for (let first = 0; first < READINGS; first += 100) {
    const readings = Array.from({ length: 100 }, (_, i) => {
      const reading = Buffer.alloc(16);
      reading.writeDoubleLE(first + i, 0);
      reading.writeDoubleLE(20 + 5 * Math.sin((first + i) / 1000), 8);
      return reading;
    });
    await sendAll(end, readings); // waits while the ring is full, also for a display that has yet to come
  }
  end.end();
}

/** Attaches, however long before or after the sensor it starts. */
async function display(): Promise<void> {
  const end = await attachNamed(name, { wait: 60_000 });
  let count = 0;
  let warmest = 0;
  for await (const batch of batches(end)) {
    for (const reading of batch) {
      const view = new DataView(reading.buffer, reading.byteOffset);
      if (view.getFloat64(0, true) !== count++) throw new Error('a reading is missing');
      warmest = Math.max(warmest, view.getFloat64(8, true));
    }
  }
  console.log(`${count} readings of process ${end.peerPid}, the warmest ${warmest.toFixed(2)} degrees`);
  process.exitCode = count === READINGS ? 0 : 1;
}

async function both(): Promise<void> {
  const children = ['display', 'sensor'].map((one) => fork(fileURLToPath(import.meta.url), [one, name]));
  const codes = await Promise.all(children.map(async (child) => (await once(child, 'exit'))[0] as number | null));
  process.exitCode = codes.every((code) => code === 0) ? 0 : 1;
}
