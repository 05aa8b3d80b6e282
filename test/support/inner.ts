// inner.ts - the TCP connection under one of our sockets, which a test may end while the ring goes on.

import type net from 'node:net';

export function innerOf(socket: net.Socket): net.Socket {
  const state = Object.getOwnPropertySymbols(socket).find(({ description }) => description === 'smc.state') as symbol;
  return (socket as unknown as Record<symbol, { inner: net.Socket }>)[state]?.inner as net.Socket;
}
