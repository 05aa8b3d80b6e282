// segment-table.ts - the kernel's list of System V segments: whose they are and who has them mapped, before one is touched.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { SmcError } from '../errors.js';

/** What the kernel knows of a segment. */
export interface SegmentRow {
  readonly id: number;
  /** Belongs to the user of this process, and nobody else may open it. */
  readonly ours: boolean;
  readonly bytes: number;
  /** How many times it is mapped, by living processes: the kernel counts. */
  readonly attached: number;
  /** Process that made it; 0 when this process cannot see it. */
  readonly creator: number;
  /** When it was made, milliseconds since 1970, to the second; undefined where the list does not say. */
  readonly created: number | undefined;
}

/**
 * The segment with this key, or undefined.
 * @throws SmcError `ERR_SMC_NAMED_UNAVAILABLE` where segments cannot be listed
 */
export function findSegment(key: number): SegmentRow | undefined {
  try {
    if (process.platform === 'linux') return fromProc(readFileSync('/proc/sysvipc/shm', 'utf8'), key, process.geteuid?.() ?? -1);
    const options = { encoding: 'utf8', env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' }, stdio: 'pipe' } as const;
    return fromIpcs(execFileSync('ipcs', ['-m', '-b', '-o', '-p'], options), key, userInfo().username);
  } catch (cause) {
    throw new SmcError('ERR_SMC_NAMED_UNAVAILABLE', 'the System V segments of this system cannot be listed', { cause });
  }
}

type Row = Readonly<Record<string, string>>;

/** Rows of a table with its header: names of columns to values. */
function rows(header: string, lines: readonly string[]): Row[] {
  const names = header.trim().split(/\s+/);
  return lines.map((line) =>
    Object.fromEntries(
      line
        .trim()
        .split(/\s+/)
        .map((value, i) => [names[i] ?? '', value]),
    ),
  );
}

/** /proc/sysvipc/shm of Linux (ipc/shm.c, sysvipc_shm_proc_show). Keys are signed there, permissions octal. */
export function fromProc(text: string, key: number, uid: number): SegmentRow | undefined {
  const [header = '', ...lines] = text.trimEnd().split('\n');
  const row = rows(header, lines).find((row) => Number(row.key) === (key | 0));
  if (row === undefined) return undefined;
  const permissions = Number.parseInt(row.perms ?? '777', 8);
  return {
    id: Number(row.shmid),
    ours: Number(row.uid) === uid && Number(row.cuid) === uid && (permissions & 0o077) === 0,
    bytes: Number(row.size),
    attached: Number(row.nattch),
    creator: Number(row.cpid),
    created: Number(row.ctime) * 1000,
  };
}

/** `ipcs -m -b -o -p` of macOS and the BSDs: a line of column names, then one line of each segment, `m` first. */
export function fromIpcs(text: string, key: number, user: string): SegmentRow | undefined {
  const lines = text.split('\n');
  const header = lines.find((line) => /^T\s+ID\s+KEY\s/.test(line));
  if (header === undefined) throw new Error('ipcs has printed no table');
  const segments = lines.filter((line) => /^m\s/.test(line));
  const row = rows(header, segments).find((row) => Number(row.KEY) >>> 0 === key >>> 0);
  if (row === undefined) return undefined;
  const read = (name: string): number => {
    const value = Number(row[name]);
    if (!Number.isInteger(value)) throw new Error(`ipcs has printed no ${name}`);
    return value;
  };
  return {
    id: read('ID'),
    // As of ls, after two flags of its own: --rw-------
    ours: row.OWNER === user && (row.MODE ?? '').endsWith('rw-------'),
    bytes: read('SEGSZ'),
    attached: read('NATTCH'),
    creator: read('CPID'),
    created: undefined,
  };
}
