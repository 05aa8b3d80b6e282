// sockets.ts - sockets of this library over simulated RDMA devices: both ends in this process, addresses of the loopback interface.

import type { AddressInfo } from 'node:net';
import type net from 'node:net';
import { connect, createServer, type Socket, type SmcOptions } from '@smcjs/core';
import { useBackend } from '@smcjs/core/backend';
import { onTestFinished } from 'vitest';
import { acceptedOf } from '../../../../test/support/accepted.js';
import { gidOfAddress } from '../../src/backend/subnet.js';
import { SmcrBackend } from '../../src/smcr.js';
import type { VerbsDevice } from '../../src/verbs-provider.js';
import { SimulatedDiscovery } from './discovery.js';
import { Fabric } from './fabric.js';
import { HostMemory } from './memory.js';
import { SimulatedContext } from './provider.js';
import { RealTime } from './real-time.js';

/** 127.0.0.1 */
export const LOOPBACK = gidOfAddress('127.0.0.1') as Uint8Array;

/** The RDMA of this process, and what its device has in use. */
export class LocalRdma {
  readonly fabric = new Fabric(new RealTime(), { seed: 1, latency: [0.001, 0.002] });
  readonly context: SimulatedContext;
  /** For the further addresses, as they were opened first. */
  readonly others: readonly SimulatedContext[];
  readonly backend: SmcrBackend;

  /** Used by connections whose discovery is 'auto'. */
  readonly discovery = new SimulatedDiscovery();
  isCut = false;

  /** With a device for 127.0.0.1, and one for each further address. */
  constructor(...further: string[]) {
    const memory = new HostMemory(1, () => this.fabric.time.promise(0));
    const [context, ...others] = ['127.0.0.1', ...further].map((address, i) => {
      const made = () => new SimulatedContext(device, this.fabric, memory, gidOfAddress(address) as Uint8Array);
      const open = async () => opened.shift() ?? made();
      const device: VerbsDevice = { name: `sim${i}`, nodeGuid: `${i}`.padStart(16, '0'), open };
      const first: SimulatedContext = made();
      const opened = [first];
      return first;
    });
    this.context = context as SimulatedContext;
    this.others = others;
    const devices = [this.context, ...others].map(({ device }) => device);
    const provider = { name: 'simulated', probe: () => undefined, devices: async () => devices };
    this.backend = new SmcrBackend(provider, () => undefined, this.discovery);
    useBackend(this.backend);
  }

  /** RDMA does not get through any more; TCP does. */
  cut(): void {
    this.isCut = true;
    this.fabric.cut(LOOPBACK);
  }

  mend(): void {
    this.isCut = false;
    this.fabric.mend(LOOPBACK);
  }
}

export const INLINE = { transports: ['smcr', 'tcp'], discovery: 'inline' } as const satisfies SmcOptions;

export interface PairOptions {
  readonly client?: SmcOptions & net.SocketConstructorOpts;
  readonly server?: SmcOptions & net.ServerOpts;
}

export async function listen(options: SmcOptions & net.ServerOpts = {}): Promise<{ server: net.Server; port: number }> {
  const server = createServer({ ...INLINE, ...options });
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, port: (server.address() as AddressInfo).port };
}

/** Two connected sockets, whatever the transport. */
export async function pair(
  options: PairOptions = {},
  at?: { server: net.Server; port: number },
): Promise<[client: Socket, accepted: Socket]> {
  const { server, port } = at ?? (await listen(options.server));
  server.setMaxListeners(0);
  const client = connect({ ...INLINE, port, host: '127.0.0.1', ...options.client } as never);
  const accepting = acceptedOf(server, client);
  onTestFinished(() => void client.destroy());
  await new Promise<void>((resolve, reject) => client.once('connect', resolve).once('error', reject));
  client.removeAllListeners('error');
  const accepted = await accepting;
  onTestFinished(() => void accepted.destroy());
  return [client, accepted];
}

/** Resolves when the condition holds. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise<void>((resolve) => void setTimeout(resolve, 1));
}

export { everythingOf as collect } from '../../../../test/support/accepted.js';
