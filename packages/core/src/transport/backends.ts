// backends.ts - the backends of this process: the built-in one and those of the installed packages, found by name.

import type { Backend } from './backend.js';
import { type Decline, decline, type TransportName } from './decline.js';
import { memory } from '../memory/memory.js';
import { missingInternals } from '../tcp/handle.js';
import { found } from './found.js';

type Found = Backend | Decline;
type CandidateName = Exclude<TransportName, 'tcp'>;

const PACKAGES = { smcd: '@smcjs/smcd', smcr: '@smcjs/smcr' } as const;

found.set('memory', memory());

async function find(name: keyof typeof PACKAGES): Promise<Found> {
  try {
    const module: unknown = await import(PACKAGES[name]);
    return (
      (module as Record<string, () => Backend>)[name]?.() ??
      decline(name, 'local', 'not-installed', `${PACKAGES[name]} exports no ${name}()`)
    );
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ERR_MODULE_NOT_FOUND' && message.includes(`'${PACKAGES[name]}'`)) return decline(name, 'local', 'not-installed');
    return decline(name, 'local', 'internal', message);
  }
}

// Before anybody can connect: a connect() that had to wait for this would be slow, or miss a transport. Backend packages
// import @smcjs/core/backend, not this module, so nothing waits for itself.
const names = Object.keys(PACKAGES) as (keyof typeof PACKAGES)[];
const backends = await Promise.all(names.map(find));
for (const [i, name] of names.entries()) found.set(name, backends[i] as Found);

/** A backend that can be used in this process, or why it can't. */
export function usableBackend(name: CandidateName): Found {
  const backend = found.get(name) ?? decline(name, 'local', 'not-installed');
  if ('reason' in backend) return backend;
  return missingInternals(name) ?? backend.probe() ?? backend;
}

/**
 * Looks at every transport of this process without connecting: those that can be used, and a {@link Decline} for each
 * that can't.
 */
export function probe(): { usable: TransportName[]; declines: Decline[] } {
  const declines: Decline[] = [];
  const usable: TransportName[] = [];
  for (const name of found.keys()) {
    const backend = usableBackend(name);
    if ('reason' in backend) declines.push(backend);
    else usable.push(name);
  }
  return { usable: [...usable, 'tcp'], declines };
}
