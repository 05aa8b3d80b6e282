// backends.ts - the backends of this process: the built-in one and those of the installed packages, found by name.

import type { Backend } from './backend.js';
import { refusesTcp, type ResolvedOptions, resolveOptions } from '../options.js';
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

/** A backend that can be used in this process, or why it can't; with `options`, which it has to be usable with. */
export function usableBackend(name: CandidateName, options?: ResolvedOptions): Found {
  const backend = found.get(name) ?? decline(name, 'local', 'not-installed');
  if ('reason' in backend) return backend;
  return missingInternals(name) ?? backend.probe(options) ?? backend;
}

/**
 * Looks at every transport of this process without connecting: those that can be used, and a {@link Decline} for each that can't.
 * Options are those of the environment (`SMC_TRANSPORTS` ...), as of a connection that is given none.
 * @throws SmcError `ERR_SMC_INVALID_OPTION` for a variable with an unusable value
 */
export function probe(): { usable: TransportName[]; declines: Decline[] } {
  const options = resolveOptions(undefined);
  const allowed = options.transports.join(',');
  const declines: Decline[] = [];
  const usable: TransportName[] = [];
  for (const name of found.keys()) {
    const backend = options.transports.includes(name)
      ? usableBackend(name, options)
      : decline(name, 'local', 'configuration', `SMC_TRANSPORTS (${allowed}) does not have ${name}`);
    if ('reason' in backend) declines.push(backend);
    else usable.push(name);
  }
  if (refusesTcp(options))
    declines.push(decline('tcp', 'local', 'configuration', 'SMC_FALLBACK is error, and SMC_TRANSPORTS does not name tcp'));
  else usable.push('tcp');
  return { usable, declines };
}
