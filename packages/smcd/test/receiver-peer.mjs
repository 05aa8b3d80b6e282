// receiver-peer.mjs - a client that has one peer only: it is kept from its loop while that dies, then reads what there is.

import { connect } from '@smcjs/core';

const { port, way } = JSON.parse(process.argv[2]);
const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
let received = 0;

const onread = {
  buffer: Buffer.alloc(65_536),
  callback(length) {
    received += length;
    return true;
  },
};
const options = { port, host: '127.0.0.1', transports: ['smcd'], fallback: 'error', discoveryWait: 60_000, ringSize: 4_194_304 };
const socket = connect(way === 'onread' ? { ...options, onread } : options);
// 'end' is told after the last byte, whatever the way.
socket.on('end', () => say({ received }));
socket.on('error', (error) => say({ received, error: error.code }));
socket.on('connect', () => {
  const { ring } = socket;
  const take = () => {
    for (let view = ring.peek(1_000_000); view !== undefined; view = ring.peek(1_000_000)) {
      received += view.length;
      ring.release(view.length);
    }
  };
  const count = (chunk) => {
    received += chunk.length;
  };
  if (way === "'data'") socket.on('data', count);
  if (way === 'socket.ring') ring.onreadable = take;
  if (way.endsWith('later')) {
    if (way.startsWith('socket.ring')) ring.peek(1);
    else socket.pause();
    setTimeout(() => {
      if (way.startsWith('socket.ring')) ring.onreadable = take;
      else socket.on('data', count).resume();
    }, 700);
  }
  say({});
});
process.stdin.on('data', () => {
  // From a timer: what happens meanwhile is met by the loop's descriptors first, the end before the news.
  setTimeout(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 400), 1);
});
