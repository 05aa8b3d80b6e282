// server.ts - the server process of a cell: a listening server of the side, whose sockets are handed to the program.

import type { AddressInfo, Socket } from 'node:net';
import { args, commands, load, report, transportOf } from '../peers/lib.js';
import type { ServerArgs } from './exchange.js';
import { servers } from './servers.js';

const { program, side } = args<ServerArgs>();
const [api, inject] = await Promise.all([load(side), (servers[program] as () => Promise<(socket: Socket) => void>)()]);

const accepted: string[] = [];
const server = api.createServer({ ...side.options });
server.on('connection', (socket) => {
  accepted.push(transportOf(socket));
  inject(socket);
});
server.listen(0, '127.0.0.1', () => report('listening', { port: (server.address() as AddressInfo).port }));

commands(() => report('accepted', { transports: accepted }));
