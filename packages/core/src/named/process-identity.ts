// process-identity.ts - which process, exactly: its id and when it started, so that a process that got the id of a dead one is
// not taken for it.

import { execFileSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';

export interface ProcessIdentity {
  readonly pid: number;
  /** When it started, in the system's own unit; 0 where that cannot be told. */
  readonly start: number;
}

/**
 * Looks for a process: when it started, 0 when that cannot be told, undefined when there is none that runs. One that was killed
 * and whose parent has not asked for its end does not run.
 */
export function startOf(pid: number): number | undefined {
  if (!exists(pid)) return undefined;
  return process.platform === 'linux' ? fromProc(pid) : fromPs(pid);
}

/**
 * Does this process still run? Costs a system call, and on Linux the reading of a file (20 us). Elsewhere asking for the start takes a
 * process of its own, so it is compared only if `thorough`: without, a process that got the id of one that died since the last
 * look would be taken for it.
 */
export function runs({ pid, start }: ProcessIdentity, thorough = false): boolean {
  const now = thorough || process.platform === 'linux' ? startOf(pid) : exists(pid) ? 0 : undefined;
  return now !== undefined && (now === 0 || start === 0 || now === start);
}

let self: ProcessIdentity | undefined;

export function thisProcess(): ProcessIdentity {
  self ??= { pid: process.pid, start: startOf(process.pid) ?? 0 };
  return self;
}

/** The PID namespace (Linux): ids of processes mean something within one only. 0 where there is none. */
export function pidNamespace(): number {
  try {
    return Number(/\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? 0) | 0;
  } catch {
    return 0;
  }
}

function exists(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Field 22 of /proc/PID/stat, clock ticks since the system started; field 3 is its state. Proc(5). */
function fromProc(pid: number): number | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The second field is the command in parentheses, and may hold any character.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : Number(fields[19]);
  } catch (error) {
    // It has ended meanwhile. What may not be read is only known to exist.
    return ['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '') ? undefined : 0;
  }
}

/** Seconds since 1970, by ps of macOS, the BSDs and Linux. */
export function fromPs(pid: number): number | undefined {
  try {
    const options = { encoding: 'utf8', env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' }, stdio: 'pipe' } as const;
    const [state = '', ...start] = execFileSync('ps', ['-o', 'state=', '-o', 'lstart=', '-p', String(pid)], options)
      .trim()
      .split(/\s+/);
    return state.startsWith('Z') ? undefined : Date.parse(`${start.join(' ')} UTC`) / 1000 || 0;
  } catch {
    return undefined;
  }
}
