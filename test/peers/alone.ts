// alone.ts - a process with both ends of a connection in it, which ends by itself or does not: ref() and unref().

import type { AddressInfo, Socket } from 'node:net';
import { args, holdings, load, report, type SideArgs, transportOf } from './lib.js';

export interface AloneArgs {
  readonly client: SideArgs;
  readonly server: SideArgs;
  readonly scenario: Scenario;
  /** Connections in turn between two looks at what is held; 200 unless told. */
  readonly turns?: number;
}

interface Ends {
  readonly server: import('node:net').Server;
  readonly client: Socket;
  readonly accepted: Socket;
}

const { client: clientSide, server: serverSide, scenario, turns = 200 } = args<AloneArgs>();

async function open(before?: (client: Socket) => void): Promise<Ends> {
  const server = (await load(serverSide)).createServer({ ...serverSide.options });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const accepting = new Promise<Socket>((resolve) => void server.once('connection', resolve));
  const { port } = server.address() as AddressInfo;
  const client = (await load(clientSide)).connect({ port, host: '127.0.0.1', ...clientSide.options });
  before?.(client);
  await new Promise((resolve) => client.once('connect', resolve));
  const accepted = await accepting;
  report('connected', { client: transportOf(client), accepted: transportOf(accepted) });
  return { server, client, accepted };
}

/** Fires only in a process that something else keeps alive. */
function onceAlive(then: () => void): void {
  setTimeout(() => {
    report('alive');
    then();
  }, 200).unref();
}

const scenarios = {
  async everythingClosed() {
    const { server, client, accepted } = await open();
    accepted.resume();
    client.resume();
    client.end('x');
    server.close();
  },
  async everythingDestroyed() {
    const { server, client, accepted } = await open();
    client.destroy();
    accepted.destroy();
    server.close();
  },
  async everythingUnreferenced() {
    const { server, client, accepted } = await open();
    for (const each of [server, client, accepted]) each.unref();
  },
  async unreferencedBeforeConnecting() {
    const { server, accepted } = await open((client) => client.unref());
    server.unref();
    accepted.unref();
  },
  async serverHolds() {
    const { server, client, accepted } = await open();
    client.unref();
    accepted.unref();
    onceAlive(() => server.unref());
  },
  async clientHolds() {
    const { server, client, accepted } = await open();
    server.unref();
    accepted.unref();
    onceAlive(() => client.unref());
  },
  async acceptedHolds() {
    const { server, client, accepted } = await open();
    server.unref();
    client.unref();
    onceAlive(() => accepted.destroy());
  },
  async referencedAgain() {
    const { server, client, accepted } = await open((socket) => socket.unref().ref());
    server.unref();
    accepted.unref();
    client.unref().ref();
    onceAlive(() => client.destroy());
  },
  async unreferencedStillCarries() {
    const { server, client, accepted } = await open();
    for (const each of [server, client, accepted]) each.unref();
    const holding = setTimeout(() => {}, 600_000);
    accepted.once('data', (chunk) => {
      report('data', { text: chunk.toString() });
      clearTimeout(holding);
    });
    client.write('carried');
  },
  async pausedIsNotHeldByItsData() {
    const { server, client, accepted } = await open();
    accepted.pause();
    client.write(Buffer.alloc(1000));
    for (const each of [server, client, accepted]) each.unref();
  },
  async listenerThrows() {
    const first = await open();
    const second = await open();
    process.once('uncaughtException', (error) => {
      report('caught', { message: error.message });
      first.accepted.on('data', (chunk) => report('data', { text: `first ${chunk}` }));
      setImmediate(() => {
        first.client.end('two');
        second.client.end('two');
      });
    });
    first.accepted.once('data', () => {
      throw new Error('thrown by a listener');
    });
    second.accepted.on('data', (chunk) => report('data', { text: `second ${chunk}` }));
    for (const { server, client } of [first, second]) {
      client.resume();
      client.write('one');
      server.close();
    }
  },
  /** Connections one after the other; what the process holds after some and after many. */
  async manyInTurn() {
    const server = (await load(serverSide)).createServer({ ...serverSide.options });
    server.on('connection', (socket) => socket.pipe(socket));
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const { connect } = await load(clientSide);
    for (let i = 1; i <= 3 * turns; i++) {
      const client = connect({ port, host: '127.0.0.1', ...clientSide.options });
      client.end(Buffer.alloc(1 + i * 100)).resume();
      await new Promise((resolve) => client.once('close', resolve));
      if (i % turns === 0) {
        // The accepted side may close a little later.
        for (let open = 1; open > 0; await new Promise((resolve) => void setImmediate(resolve))) {
          open = await new Promise((resolve) => server.getConnections((_error, count) => resolve(count)));
        }
        const { descriptors, mappings } = holdings();
        report('held', { descriptors, mappings: mappings.length });
      }
    }
    server.close();
  },
  async serverAlone() {
    const server = (await load(serverSide)).createServer({ ...serverSide.options });
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    onceAlive(() => server.close());
  },
  async nothingStarted() {
    (await load(serverSide)).createServer({ ...serverSide.options });
    report('created');
  },
};

export type Scenario = keyof typeof scenarios;

await scenarios[scenario]();
