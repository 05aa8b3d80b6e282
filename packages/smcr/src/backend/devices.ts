// devices.ts - the RDMA devices of this loop, opened when first needed, and which of their ports and GIDs a TCP connection uses.
//
// As Linux: the RoCEv2 GID that is the connection's own address, IPv4-mapped; else one of the interface that has the address. What was
// found is kept until a device says that it has changed, or nothing fits.

import { type Decline, decline } from '@smcjs/core/backend';
import type { AsyncEvent, VerbsContext, VerbsGid, VerbsPort, VerbsProvider } from '../verbs-provider.js';
import { noneNamed } from '../verbs/readiness.js';
import { addressOfGid, gidOfAddress, interfacesOf, sameGid } from './subnet.js';

/** One way out of this host. */
export interface Way {
  readonly context: VerbsContext;
  readonly port: VerbsPort;
  readonly gid: VerbsGid;
}

/** Stands for every device; no name of one. */
const ALL = '';

/** What did not fit is not looked for again within this time, milliseconds. */
const LOOK_AGAIN = 1000;

interface Device {
  readonly name: string;
  readonly context: VerbsContext;
  ports: readonly VerbsPort[] | undefined;
}

export class Devices {
  readonly #provider: VerbsProvider;
  readonly #onEvent: (context: VerbsContext, event: AsyncEvent) => void;
  #devices: Device[] = [];
  /** Names of all there are. */
  #there: readonly string[] = [];
  /** Names of those that anybody wanted so far. */
  readonly #wanted = new Set<string>();
  /** Link groups by the device they use. */
  readonly #users = new Map<VerbsContext, number>();
  #looking: Promise<void> | undefined;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #error: Error | undefined;

  constructor(provider: VerbsProvider, onEvent: (context: VerbsContext, event: AsyncEvent) => void) {
    this.#provider = provider;
    this.#onEvent = onEvent;
  }

  /**
   * Ways out for a connection with this address of ours, best first, over different devices; or why there is none. `names`: of the devices
   * that may be used; none: all. Others are not even opened: a driver may not let go of a device that somebody has open.
   */
  async ways(address: string, names: readonly string[]): Promise<readonly Way[] | Decline> {
    const fresh = (names.length === 0 ? [ALL] : names).filter((name) => !this.#wanted.has(name));
    for (const name of fresh) this.#wanted.add(name);
    if (fresh.length > 0) await this.#looking;
    if (fresh.length > 0 || this.#devices.some(({ ports }) => ports === undefined)) await this.#look();
    let ways = this.#waysNow(address, names);
    if (ways.length === 0 && performance.now() > this.#lookedAt + LOOK_AGAIN) {
      for (const device of this.#devices) device.ports = undefined;
      await this.#look();
      ways = this.#waysNow(address, names);
    }
    return ways.length > 0 ? ways : this.#lacking(address, names);
  }

  #look(): Promise<void> {
    this.#looking ??= this.#open().finally(() => {
      this.#looking = undefined;
      this.#lookedAt = performance.now();
    });
    return this.#looking;
  }

  async #open(): Promise<void> {
    this.#error = undefined;
    try {
      const all = await this.#provider.devices();
      this.#there = all.map(({ name }) => name);
      for (const found of all) {
        if (!this.#wanted.has(ALL) && !this.#wanted.has(found.name)) continue;
        if (this.#devices.some(({ name }) => name === found.name)) continue;
        const context = await found.open();
        const device: Device = { name: found.name, context, ports: undefined };
        context.onAsyncEvent = (event) => this.#changed(device, event);
        this.#devices.push(device);
      }
    } catch (error) {
      this.#error = error as Error;
    }
    for (const device of [...this.#devices]) {
      if (device.ports !== undefined) continue;
      try {
        const numbers = Array.from({ length: device.context.portCount }, (_, i) => i + 1);
        device.ports = await Promise.all(numbers.map((number) => device.context.queryPort(number)));
      } catch (error) {
        this.#error = error as Error;
        this.#drop(device);
      }
    }
  }

  #changed(device: Device, event: AsyncEvent): void {
    this.#onEvent(device.context, event);
    if (event.type === 'device-fatal') this.#drop(device);
    else if ('port' in event) device.ports = undefined;
  }

  /** A link group begins (+1) or has ended (-1) to use a device; one that is gone is closed by the last. */
  count(context: VerbsContext, change: 1 | -1): void {
    this.#users.set(context, (this.#users.get(context) ?? 0) + change);
    this.#closeUnused(context);
  }

  /** It is gone. What still uses it hears of that by itself; a device of the same name that comes back is another one. */
  #drop(device: Device): void {
    this.#devices = this.#devices.filter((other) => other !== device);
    this.#closeUnused(device.context);
  }

  #closeUnused(context: VerbsContext): void {
    if ((this.#users.get(context) ?? 0) > 0 || this.#devices.some((device) => device.context === context)) return;
    this.#users.delete(context);
    void context.close().catch(() => {});
  }

  #named(names: readonly string[]): readonly Device[] {
    return names.length === 0 ? this.#devices : this.#devices.filter(({ name }) => names.includes(name));
  }

  #waysNow(address: string, names: readonly string[]): Way[] {
    const own = gidOfAddress(address);
    if (own === undefined) return [];
    const { family } = addressOfGid(own);
    const all = this.#named(names).flatMap(({ context, ports }) =>
      (ports ?? [])
        .filter(({ state, linkLayer }) => state === 'active' && linkLayer === 'ethernet')
        .flatMap((port) => port.gids.filter((gid) => gid.type === 'rocev2').map((gid) => ({ context, port, gid }))),
    );
    const first = all.find(({ gid }) => sameGid(gid.gid, own)) ?? ofInterface(all, address, family);
    if (first === undefined) return [];
    const ways = [first];
    // A further link crosses another device.
    for (const way of all) {
      if (ways.every(({ context }) => context !== way.context) && addressOfGid(way.gid.gid).family === family) ways.push(way);
    }
    return ways;
  }

  #lacking(address: string, names: readonly string[]): Decline {
    const devices = this.#named(names);
    if (!this.#there.some((name) => names.length === 0 || names.includes(name)) && this.#there.length > 0) {
      return decline('smcr', 'local', 'no-device', noneNamed(names, this.#there.join(', ')));
    }
    if (devices.length === 0) {
      return decline(
        'smcr',
        'local',
        'no-device',
        this.#error === undefined ? 'there is no RDMA device' : `no device can be opened: ${this.#error.message}`,
      );
    }
    const ports = devices.flatMap(({ name, ports: known }) => (known ?? []).map((port) => ({ name: `${name}/${port.number}`, port })));
    if (!ports.some(({ port }) => port.state === 'active')) {
      return decline('smcr', 'local', 'no-active-port', ports.map(({ name, port }) => `${name} is ${port.state}`).join(', '));
    }
    const known = ports.flatMap(({ name, port }) =>
      port.gids.filter((gid) => gid.type === 'rocev2').map(({ gid }) => `${name} ${addressOfGid(gid).address}`),
    );
    const there = known.length === 0 ? 'none at all' : known.slice(0, 8).join(', ');
    return decline('smcr', 'local', 'no-gid', `no active port has a RoCEv2 GID for ${address}; there are: ${there}`);
  }
}

/** A way over an interface that has this address under another name. */
function ofInterface(ways: readonly Way[], address: string, family: string): Way | undefined {
  const names = interfacesOf(address);
  return ways.find(({ gid }) => names.includes(gid.networkInterface ?? '') && addressOfGid(gid.gid).family === family);
}
