// smcr.ts - the backend for RDMA between hosts. It says honestly why it is not used: this version finds out whether the
// machine has what SMC-R needs, and does not yet speak the protocol.

import { type Backend, type Decline, decline, type Registration } from '@smcjs/core/backend';
import { ibverbs } from './verbs/ibverbs.js';
import { lackingForSmcr } from './verbs/readiness.js';

function lacking(): Decline {
  const ready = 'an RDMA device is ready, but this version of @smcjs/smcr does not speak SMC-R over it';
  return lackingForSmcr(ibverbs()) ?? decline('smcr', 'local', 'no-smcr', ready);
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
