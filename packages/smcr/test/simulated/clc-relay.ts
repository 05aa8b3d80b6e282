// clc-relay.ts - a TCP relay in front of a server that changes CLC messages on their way; RDMA goes past it.

import net, { type AddressInfo } from 'node:net';
import { type ClcMessage, decode, encode, startsLikeClc } from '@smcjs/core/backend';
import { onTestFinished } from 'vitest';

/** Offset in the CLC header, and its length (RFC 7609 appendix A.2). */
const LENGTH = 5;
const HEADER = 8;

/** What becomes of a message; what is not a message of this library is given as bytes. */
export type Change = (message: ClcMessage, bytes: Buffer) => ClcMessage | Uint8Array;

/** Listens in front of the server on this port of 127.0.0.1; gives its own port. Closed when the test ends. */
export async function clcRelay(port: number, change: Change): Promise<number> {
  const relay = net.createServer({ allowHalfOpen: true });
  onTestFinished(() => void relay.close());
  relay.on('connection', (client) => {
    const server = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    pass(client, server, change);
    pass(server, client, change);
  });
  await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve));
  return (relay.address() as AddressInfo).port;
}

function pass(from: net.Socket, to: net.Socket, change: Change): void {
  let waiting = Buffer.alloc(0);
  from.on('data', (chunk) => {
    waiting = Buffer.concat([waiting, chunk]);
    while (startsLikeClc(waiting) === 'yes' && waiting.length >= HEADER && waiting.length >= waiting.readUInt16BE(LENGTH)) {
      const message = waiting.subarray(0, waiting.readUInt16BE(LENGTH));
      waiting = waiting.subarray(message.length);
      const changed = change(decode(message), message);
      to.write(changed instanceof Uint8Array ? changed : encode(changed));
    }
    // Payload: what begins a message waits for the rest of it.
    if (startsLikeClc(waiting) !== 'no') return;
    to.write(waiting);
    waiting = Buffer.alloc(0);
  });
  from.on('end', () => to.end());
  // A reset is passed on as one.
  from.on('error', () => void to.resetAndDestroy());
  onTestFinished(() => void from.destroy());
}
