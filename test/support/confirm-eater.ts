// confirm-eater.ts - a TCP relay in front of a server that can lose a CLC Confirm, or keep it for a while: the client takes its connection
// for made, the server does not know of it. Behind a lost one both see TCP end.

import net, { type AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

const CONFIRM = 3;
/** Offsets in the CLC header (RFC 7609 appendix A.2). */
const TYPE = 4;
const LENGTH = 5;
const HEADER = 8;

export class ConfirmEater {
  readonly port: number;
  /** The next Confirm does not get through. */
  eats = false;
  /** Confirms that were lost. */
  eaten = 0;
  /** When set, what clients say from their Confirm on waits for it. */
  until: Promise<unknown> | undefined;

  private constructor(port: number) {
    this.port = port;
  }

  /** In front of the server on this port; closed when the test ends. */
  static async before(port: number, host = '127.0.0.1'): Promise<ConfirmEater> {
    const relay = net.createServer();
    onTestFinished(() => void relay.close());
    await new Promise<void>((resolve) => relay.listen(0, host, resolve));
    const eater = new ConfirmEater((relay.address() as AddressInfo).port);
    relay.on('connection', (client) => eater.#relay(client, net.connect(port, host)));
    return eater;
  }

  #relay(client: net.Socket, server: net.Socket): void {
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      from.on('error', () => to.destroy());
      from.on('close', () => to.destroy());
      onTestFinished(() => void from.destroy());
    }
    server.pipe(client);
    let waiting = Buffer.alloc(0);
    client.on('data', (chunk) => {
      waiting = Buffer.concat([waiting, chunk]);
      while (waiting.length >= HEADER && waiting.length >= waiting.readUInt16BE(LENGTH)) {
        const length = waiting.readUInt16BE(LENGTH);
        if (this.eats && waiting[TYPE] === CONFIRM) {
          this.eats = false;
          this.eaten++;
          server.destroy();
          return;
        }
        const message = waiting.subarray(0, length);
        if (waiting[TYPE] === CONFIRM && this.until !== undefined) void this.until.then(() => server.write(message));
        else server.write(message);
        waiting = waiting.subarray(length);
      }
    });
  }
}
