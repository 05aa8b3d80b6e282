// killed.ts - a process of ours that connects to a port, moves bytes and waits to be killed. Prints 'ready'.
//
//   node killed.js PORT HOST OUR-ADDRESS DEVICE UEID idle|busy

import { connect } from '@smcjs/core';
import { SmcStream } from '../smc-stream.js';

const [port, host, localAddress, device = '', ueid = '', how] = process.argv.slice(2);
const options = { transports: ['smcr'], fallback: 'error', ueids: [ueid], handshakeTimeout: 60_000, rdmaDevices: [device] };
const socket = connect({ ...options, port: Number(port), host, localAddress } as never);
await new Promise((resolve) => socket.once('connect', resolve));
const stream = new SmcStream(socket);
await stream.exchange(1000, 1, 2);
if (how === 'busy') void stream.send(2 ** 30).catch(() => {});
console.log('ready');
