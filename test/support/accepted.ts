// accepted.ts - the other end of a connection.

import type net from 'node:net';

/** The accepted end of a client's connection: several may be made at the same time. Call it before the client is connected. */
export function acceptedOf<S extends net.Socket>(server: net.Server, client: S): Promise<S> {
  return new Promise((resolve) => {
    const waiting: S[] = [];
    const look = () => {
      const found = client.localPort === undefined ? undefined : waiting.find(({ remotePort }) => remotePort === client.localPort);
      if (found === undefined) return void setTimeout(look, 1);
      server.off('connection', note);
      resolve(found);
    };
    const note = (socket: net.Socket) => void waiting.push(socket as S);
    server.on('connection', note);
    look();
  });
}

/** Everything a stream brings until its end. (Async iteration would destroy a socket that still sends.) */
export function everythingOf(socket: net.Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  return new Promise((resolve, reject) => socket.once('end', () => resolve(Buffer.concat(chunks))).once('error', reject));
}
