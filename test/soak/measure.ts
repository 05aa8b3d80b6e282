// measure.ts - what a living process holds, seen from outside, and names in the runtime directory that are nobody's.

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

export interface Sample {
  readonly descriptors: number;
  /** Mappings of memfds. */
  readonly mappings: number;
  /** Private memory, in bytes. */
  readonly memory: number;
}

export function sample(pid: number): Sample {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const kilobytes = [...rollup.matchAll(/^Private_\w+:\s+(\d+) kB$/gm)].reduce((sum, [, size]) => sum + Number(size), 0);
  return {
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    mappings: readFileSync(`/proc/${pid}/maps`, 'utf8').split('memfd:').length - 1,
    memory: kilobytes * 1024,
  };
}

/** May each of these grow from the second to the last quarter by a part and by so much? Younger samples are warming up. */
const TOLERANCE: Readonly<Record<keyof Sample, readonly [part: number, more: number]>> = {
  descriptors: [0.3, 12],
  mappings: [0.5, 24],
  memory: [0.3, 48 * 1024 * 1024],
};

/** Says what grew; empty when the process is as it was. */
export function growth(name: string, samples: readonly Sample[]): string[] {
  const quarter = Math.floor(samples.length / 4);
  const average = (what: keyof Sample, from: number): number =>
    samples.slice(from, from + quarter).reduce((sum, one) => sum + one[what], 0) / quarter;
  return (Object.keys(TOLERANCE) as (keyof Sample)[]).flatMap((what) => {
    const [before, after] = [average(what, quarter), average(what, samples.length - quarter)].map(Math.round) as [number, number];
    const [part, more] = TOLERANCE[what];
    console.log(`${name}: ${what} ${before} in the second quarter, ${after} in the last`);
    return after > before * (1 + part) + more ? [`${what} of ${name} grew from ${before} to ${after}`] : [];
  });
}

/** Names that no living process keeps; a marker is kept by a listener on its port. */
export function orphans(directory: string, ports: ReadonlySet<number>): string[] {
  const names = readdirSync(directory);
  const bound = readFileSync('/proc/net/unix', 'utf8');
  const living = names.filter((name) => name.startsWith('l-') && bound.includes(name));
  if (living.length === 0) throw new Error(`no listener of a living process among ${names.length} names`);
  const inodes = new Set(living.map((name) => statSync(join(directory, name)).ino));
  return names.filter((name) => {
    if (name.startsWith('l-')) return !living.includes(name);
    if (name.startsWith('e-')) return !living.includes(`l-${name.slice(2)}`);
    if (name.startsWith('m-')) return !ports.has(Number(name.slice(-5)));
    return !name.startsWith('c-') || !inodes.has(statSync(join(directory, name)).ino);
  });
}
