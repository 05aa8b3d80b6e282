// recipient.ts - is sent sockets by its parent and says something on each; or makes a connection and sends one end of it.

import type net from 'node:net';
import { load, type SideArgs } from './lib.js';

interface Order {
  readonly say?: string;
  readonly client?: SideArgs;
  readonly server?: SideArgs;
}

process.on('message', ({ say, client, server }: Order, socket?: net.Socket) => {
  if (say !== undefined) {
    if (socket) socket.end(say);
    else process.send?.({ missing: true });
  }
  if (client !== undefined && server !== undefined) void sendEnd(client, server);
});

/** Sends the client's end to the parent when the server has accepted the other. */
async function sendEnd(client: SideArgs, server: SideArgs): Promise<void> {
  const { connect } = await load(client);
  const { createServer } = await load(server);
  const listener = createServer(server.options).listen(0, '127.0.0.1', () => {
    const { port } = listener.address() as net.AddressInfo;
    const socket = connect({ port, host: '127.0.0.1', ...client.options });
    listener.once('connection', (accepted) => {
      accepted.end('to the parent');
      if (socket.connecting) socket.once('connect', () => send(socket));
      else send(socket);
    });
  });
}

function send(socket: net.Socket): void {
  try {
    process.send?.({ sent: true }, socket);
  } catch (error) {
    process.send?.({ refused: (error as NodeJS.ErrnoException).code });
  }
}
