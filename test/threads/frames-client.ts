// frames-client.ts - a worker that connects by SMC-D and sends frames whose elements are all their number.

import { workerData } from 'node:worker_threads';
import { connect } from '@smcjs/core';
import { frames } from '@smcjs/core/channel';

const socket = connect({ port: workerData as number, host: '127.0.0.1', transports: ['smcd'], fallback: 'error' });
socket.on('connect', async () => {
  const doubles = frames(socket, Float64Array);
  for (let i = 0; i < 500; i++) {
    if (!(await doubles.writable(300))) throw new Error('the peer has closed');
    const frame = doubles.reserve(300);
    frame?.view.fill(i);
    frame?.commit();
  }
  socket.resume().end();
});
