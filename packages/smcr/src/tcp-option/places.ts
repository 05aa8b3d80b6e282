// places.ts - where things are that outlive a process: the directory of the pins, and cgroups.
//
//     <directory>/sockets          the map in which a socket asks; every process may open it
//     <directory>/program          the program; root's
//     <directory>/link-<cgroup>    the program in that cgroup, by the cgroup's number; removing it detaches; root's

import { existsSync, readdirSync, readFileSync, statfsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { SetupError } from './setup-error.js';

const BPF_FS = 0xcafe4a11;
const CGROUP2_FS = 0x63677270;
const OF_THE_SYSTEM = '/sys/fs/bpf';
/** Where systemd mounts it, only root may look into /sys/fs/bpf: then `smc setup` mounts another one here. */
export const OWN_MOUNT = '/run/smcjs/bpf';

export const isBpfFs = (path: string): boolean => isOn(path, BPF_FS);
export const isCgroup2 = (path: string): boolean => isOn(path, CGROUP2_FS);

function isOn(path: string, type: number): boolean {
  try {
    return statfsSync(path).type >>> 0 === type;
  } catch {
    return false;
  }
}

export const socketsIn = (directory: string) => join(directory, 'sockets');
export const programIn = (directory: string) => join(directory, 'program');
export const linkIn = (directory: string, cgroup: bigint) => join(directory, `link-${cgroup}`);

/** Directories that may have pins: `SMC_BPF_DIR` alone if set. */
export function directories(): readonly string[] {
  const own = process.env.SMC_BPF_DIR;
  return own !== undefined && own !== '' ? [own] : [join(OF_THE_SYSTEM, 'smcjs'), OWN_MOUNT];
}

/** The directory that has been set up; undefined when none has, or this process may not look. */
export const setUpDirectory = (): string | undefined => directories().find((directory) => existsSync(socketsIn(directory)));

/** Where `smc setup` is to pin: `mount` when a file system has to be mounted there first. */
export function directoryToSetUp(): { directory: string; mount: boolean } {
  const [first = '', own] = directories();
  if (own === undefined) {
    if (!isBpfFs(dirname(first)) && !isBpfFs(first)) throw new SetupError('ERR_SMC_NO_BPFFS', `${first} is on no BPF file system`);
    return { directory: first, mount: false };
  }
  const forAll = isBpfFs(OF_THE_SYSTEM) && (statSync(OF_THE_SYSTEM).mode & 0o001) !== 0;
  return forAll ? { directory: first, mount: false } : { directory: own, mount: !isBpfFs(own) };
}

/** Numbers of the cgroups that are set up, by the names of their links. */
export function linkedCgroups(directory: string): bigint[] {
  const numbers = readdirSync(directory).map((name) => /^link-(\d+)$/.exec(name)?.[1]);
  return numbers.filter((number) => number !== undefined).map(BigInt);
}

/** Where the cgroups of version 2 are mounted. */
export function cgroupRoot(): string {
  // 30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  const found = lines.map((line) => /^\S+ \S+ \S+ \S+ (\S+) .* - cgroup2 /.exec(line)?.[1]).find((path) => path !== undefined);
  if (found === undefined) throw new SetupError('ERR_SMC_NO_CGROUP', 'no cgroup file system of version 2 is mounted');
  return found;
}

/** A directory's number among cgroups. */
export const cgroupNumber = (path: string): bigint => statSync(path, { bigint: true }).ino;

/** Directories of these cgroups; a number whose cgroup is gone, or cannot be seen from here, is left out. */
export function cgroupPaths(numbers: readonly bigint[]): Map<bigint, string> {
  const found = new Map<bigint, string>();
  const look = (path: string): void => {
    try {
      const number = cgroupNumber(path);
      if (numbers.includes(number)) found.set(number, path);
      for (const entry of readdirSync(path, { withFileTypes: true })) if (entry.isDirectory()) look(join(path, entry.name));
    } catch {
      // Gone in this moment, or not for us to look into.
    }
  };
  look(cgroupRoot());
  return found;
}
