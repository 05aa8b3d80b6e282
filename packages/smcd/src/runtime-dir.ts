// runtime-dir.ts - the directory where loops on one host find each other, believed only when nobody else can tamper with it.

import { lstatSync, mkdirSync, type Stats } from 'node:fs';
import { isAbsolute } from 'node:path';

interface Candidate {
  readonly path: string;
  /** May be made, with mode 0700. */
  readonly make: boolean;
  /** May be a sticky directory of root, shared by all users. */
  readonly shared: boolean;
}

function candidates(uid: number): Candidate[] {
  const { SMC_RUNTIME_DIR: chosen, XDG_RUNTIME_DIR: xdg } = process.env;
  if (chosen !== undefined && chosen !== '') return [{ path: chosen, make: true, shared: true }];
  return [
    { path: '/run/smc', make: false, shared: true },
    // A relative one is to be ignored, says the specification of the variable.
    ...(xdg !== undefined && isAbsolute(xdg) ? [{ path: `${xdg}/smc`, make: true, shared: false }] : []),
    { path: `/tmp/smc-${uid}`, make: true, shared: false },
  ];
}

/** Why a directory is not believed, or undefined when it is. */
function distrust(path: string, found: Stats | undefined, uid: number, shared: boolean): string | undefined {
  if (found === undefined) return `${path} does not exist`;
  if (!found.isDirectory()) return `${path} is not a directory`;
  if (found.uid === uid && (found.mode & 0o077) === 0) return undefined;
  if (shared && found.uid === 0 && (found.mode & 0o1002) === 0o1002) return undefined;
  return `${path} has owner ${found.uid} and mode ${(found.mode & 0o7777).toString(8)}; it must be yours with mode 700`;
}

/** Mostly it is there: making it first would cost an exception in most processes. */
function lookOrMake(path: string, make: boolean): Stats | undefined {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found !== undefined || !make) return found;
  try {
    mkdirSync(path, { mode: 0o700, recursive: false });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  return lstatSync(path, { throwIfNoEntry: false });
}

/** The first directory that can be believed, or why there is none. */
export function findRuntimeDir(): { path: string } | { refused: string } {
  const uid = process.getuid?.() ?? -1;
  const { SMC_RUNTIME_DIR: chosen = '' } = process.env;
  if (chosen !== '' && !isAbsolute(chosen)) {
    return { refused: `SMC_RUNTIME_DIR must be absolute: '${chosen}' is another directory for every working directory` };
  }
  const refused: string[] = [];
  for (const { path, make, shared } of candidates(uid)) {
    try {
      const reason = distrust(path, lookOrMake(path, make), uid, shared);
      if (reason === undefined) return { path };
      refused.push(reason);
    } catch (error) {
      refused.push(`${path}: ${(error as NodeJS.ErrnoException).code ?? error}`);
    }
  }
  return { refused: refused.join('; ') };
}
