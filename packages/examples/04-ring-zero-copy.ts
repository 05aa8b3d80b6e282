// 04-ring-zero-copy.ts - the other side of the same socket: numbers are computed in the memory that the peer reads, and
// added up there. No byte is copied and no Buffer is made per message.
//
//   node packages/examples/dist/04-ring-zero-copy.js

import type { AddressInfo } from 'node:net';
import { connect, createServer } from '@smcjs/core';
import { twoProcesses } from './support/two-processes.js';

const FRAMES = 2000;
const FLOATS = 4096;
const FRAME_BYTES = FLOATS * Float32Array.BYTES_PER_ELEMENT;

await twoProcesses(import.meta.url, { server, client });

/** Adds up everything, then answers with the sum on the stream side. */
function server(ready: (port: number) => void): void {
  const server = createServer({ allowHalfOpen: true }, async (socket) => {
    server.close();
    const { ring } = socket;
    if (ring === undefined) return void socket.resume().end(); // plain TCP: the client explains
    let sum = 0;
    // readable() is false when the client has ended and everything was read.
    while (await ring.readable()) {
      const view = ring.peek();
      if (view === undefined) continue;
      // The view is memory that the peer can still write: read each element once, keep no reference after release().
      const floats = new Float32Array(view.buffer, view.byteOffset, view.byteLength / Float32Array.BYTES_PER_ELEMENT);
      for (const value of floats) sum += value;
      ring.release(floats.byteLength);
    }
    socket.end(String(sum));
  });
  server.listen(0, '127.0.0.1', () => ready((server.address() as AddressInfo).port));
}

function client(port: number): void {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }, async () => {
    const { ring } = socket;
    if (ring === undefined) {
      console.log(`no ring: the transport is ${socket.transport}`);
      for (const { transport, reason, hint } of socket.declines) console.log(`  not ${transport}: ${reason}. ${hint}`);
      return void socket.resume().end();
    }
    const started = performance.now();
    for (let frame = 0; frame < FRAMES && (await ring.writable(FRAME_BYTES)); frame++) {
      const view = ring.reserve(FRAME_BYTES);
      if (view === undefined) throw new Error('writable() said there is room');
      new Float32Array(view.buffer, view.byteOffset, FLOATS).fill(frame % 7);
      ring.commit(FRAME_BYTES);
    }
    socket.end();
    socket.setEncoding('utf8').once('data', (sum) => {
      const seconds = (performance.now() - started) / 1000;
      const expected = Array.from({ length: FRAMES }, (_, frame) => (frame % 7) * FLOATS).reduce((a, b) => a + b);
      console.log(`${FRAMES} frames of ${FRAME_BYTES} bytes over ${socket.transport} in ${seconds.toFixed(3)} s`);
      console.log(`sum there ${sum}, expected ${expected}`);
      process.exitCode = Number(sum) === expected ? 0 : 1;
    });
  });
}
