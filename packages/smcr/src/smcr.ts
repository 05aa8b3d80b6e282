// smcr.ts - the backend for RDMA between hosts. It says honestly why it is not used: this version finds out whether the
// machine has what SMC-R needs, and does not yet speak the protocol.

import { existsSync, readdirSync } from 'node:fs';
import { type Backend, type Decline, decline, type Registration } from '@smcjs/core/backend';

const DEVICES = '/sys/class/infiniband';

/** What is missing for SMC-R here, most basic first. */
function lacking(): Decline {
  const no = (detail: string) => decline('smcr', 'local', 'no-smcr', detail);
  if (process.platform !== 'linux') return decline('smcr', 'local', 'unsupported-os', `SMC-R needs Linux; this is ${process.platform}`);
  if (!existsSync(DEVICES)) return no('the kernel has no RDMA subsystem loaded');
  const devices = readdirSync(DEVICES);
  if (devices.length === 0) return no('there is no RDMA device');
  return no(`RDMA device ${devices.join(', ')} found, but this version of @smcjs/smcr does not drive it`);
}

class SmcrBackend implements Backend {
  readonly name = 'smcr';
  readonly #decline = lacking();

  probe(): Decline {
    return this.#decline;
  }

  register(): Registration | Decline {
    return this.#decline;
  }

  mayListen(): boolean {
    return false;
  }

  attempt(): undefined {
    return undefined;
  }

  offer(): undefined {
    return undefined;
  }
}

let backend: Backend | undefined;

/** The SMC-R backend of this event loop. @smcjs/core finds it by itself when the package is installed. */
export function smcr(): Backend {
  backend ??= new SmcrBackend();
  return backend;
}
