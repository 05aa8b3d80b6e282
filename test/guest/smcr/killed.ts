// killed.ts - a process of ours that connects to a port, moves bytes and waits to be killed. Prints 'ready'.
//
//   node killed.js PORT HOST OUR-ADDRESS DEVICE idle|busy

import { SmcrPeer } from './peer.js';

const [port, host = '127.0.0.1', localAddress = '127.0.0.1', device = 'rxe0', how] = process.argv.slice(2);
const peer = await SmcrPeer.open({ devices: [device] });
const stream = await peer.connect(Number(port), { host, localAddress });
await stream.exchange(1000, 1, 2);
if (how === 'busy') void stream.send(2 ** 30);
console.log('ready');
