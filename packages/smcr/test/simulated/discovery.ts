// discovery.ts - what the TCP option tells, without the option: sockets that asked, and what each end learned.

import { closeSync } from 'node:fs';
import type { ClcDiscovery, Decline, Endpoint } from '@smcjs/core/backend';
import { addonOfOption } from '../../src/tcp-option/bpf.js';

export class SimulatedDiscovery implements ClcDiscovery {
  /** What an established connection has learned, at the end with this descriptor. */
  learned: (end: 'client' | 'server') => boolean = () => true;
  /** Descriptors cannot be had. */
  outOfDescriptors = false;
  asked = 0;
  /** Descriptors that were handed out. */
  readonly #asking = new Set<number>();

  mayAsk(): boolean {
    return true;
  }

  ask({ family }: Endpoint): number | undefined {
    this.asked++;
    const fd = addonOfOption().tcpSocket(family);
    if (this.outOfDescriptors) return void closeSync(fd);
    this.#asking.add(fd);
    return fd;
  }

  answer(): void {}

  answers(): Decline | undefined {
    return undefined;
  }

  agreed(fd: number): boolean {
    return this.learned(this.#asking.delete(fd) ? 'client' : 'server');
  }
}
