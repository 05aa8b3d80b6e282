// setup.ts - what `smc setup` does: the program is loaded, attached to a cgroup and pinned, so that it stays when this process
// ends and others can ask through its map. Needs privileges; using it does not.

import { chmodSync, closeSync, existsSync, mkdirSync, openSync, readdirSync, rmdirSync, unlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Addon } from '../verbs/addon.js';
import { addonOfOption, Bpf } from './bpf.js';
import * as places from './places.js';
import { optionProgram, PROGRAM_NAME } from './program.js';
import { checked, SetupError } from './setup-error.js';

/** What is set up: where, and for which cgroups; `path` is undefined for one that is gone or cannot be seen from here. */
export interface Status {
  readonly directory: string;
  readonly cgroups: readonly { readonly number: bigint; readonly path: string | undefined }[];
}

/** What is set up on this machine; undefined when nothing is, or this process may not look. */
export function status(): Status | undefined {
  const directory = places.setUpDirectory();
  if (directory === undefined) return undefined;
  const numbers = places.linkedCgroups(directory);
  const paths = places.cgroupPaths(numbers);
  return { directory, cgroups: numbers.map((number) => ({ number, path: paths.get(number) })) };
}

/**
 * Makes the TCP option available to the sockets of a cgroup and of all below it. Once it is, does nothing; a program of another
 * version of this package is replaced. Several cgroups can be set up one after the other. Lasts until the machine is restarted.
 *
 * @param cgroup a directory of the cgroup file system, version 2; by default its top: all processes
 * @throws SetupError ERR_SMC_SETUP_PRIVILEGE, ERR_SMC_NO_CGROUP, ERR_SMC_NO_BPFFS, ERR_SMC_OLD_KERNEL, ERR_SMC_NO_ADDON
 */
export function setup(cgroup: string = places.cgroupRoot()): Status {
  const addon = addonOfOption();
  if (!places.isCgroup2(cgroup)) throw new SetupError('ERR_SMC_NO_CGROUP', `${cgroup} is no cgroup of version 2`);
  const bpf = new Bpf(addon);
  const { directory, mount } = places.directoryToSetUp();
  makeDirectory(addon, directory, mount);
  if (existsSync(places.programIn(directory)) && !isCurrent(bpf, directory)) removePins(directory);
  if (!existsSync(places.programIn(directory))) pinProgram(bpf, directory);
  const link = places.linkIn(directory, places.cgroupNumber(cgroup));
  if (!existsSync(link)) pinLink(bpf, directory, cgroup, link);
  return status() as Status;
}

/** Undoes everything that {@link setup} did, for all cgroups: no socket gets the option any more. False when nothing was there. */
export function remove(): boolean {
  const addon = addonOfOption();
  const found = places.directories().filter((directory) => places.isBpfFs(directory) && pinsIn(directory).length > 0);
  for (const directory of found) removePins(directory);
  for (const directory of places.directories()) removeDirectory(addon, directory);
  return found.length > 0;
}

const pinsIn = (directory: string) => readdirSync(directory).filter((name) => /^(sockets|program|link-\d+)$/.test(name));

function makeDirectory(addon: Addon, directory: string, mount: boolean): void {
  attempt(`${directory} cannot be made`, () => mkdirSync(directory, { recursive: true, mode: 0o755 }));
  if (!mount) return;
  const rc = addon.mountBpf(directory);
  if (rc < 0 && rc !== -1) throw new SetupError('ERR_SMC_NO_BPFFS', `no BPF file system can be mounted at ${directory} (errno ${-rc})`);
  checked(rc, `mounting a BPF file system at ${directory}`);
}

function isCurrent(bpf: Bpf, directory: string): boolean {
  return using(checked(bpf.get(places.programIn(directory)), 'opening the pinned program'), (fd) => bpf.programName(fd) === PROGRAM_NAME);
}

/** The map is pinned last: what processes look for is there when all is. */
function pinProgram(bpf: Bpf, directory: string): void {
  using(checked(bpf.loadIntegerType(), 'describing the map (BTF)'), (type) =>
    using(checked(bpf.createSocketStorage('smc_sockets', type), 'making the map of sockets'), (map) => {
      const { fd, log } = bpf.loadSockOps(PROGRAM_NAME, optionProgram(map));
      using(checked(fd, 'loading the program', log), (program) => {
        pin(bpf, program, places.programIn(directory), 0o600);
        pin(bpf, map, places.socketsIn(directory), 0o666);
      });
    }),
  );
}

function pinLink(bpf: Bpf, directory: string, cgroup: string, path: string): void {
  using(checked(bpf.get(places.programIn(directory)), 'opening the pinned program'), (program) =>
    using(openSync(cgroup, 'r'), (at) =>
      using(checked(bpf.attach(program, at), `attaching the program to ${cgroup}`), (link) => pin(bpf, link, path, 0o600)),
    ),
  );
}

function pin(bpf: Bpf, fd: number, path: string, mode: number): void {
  checked(bpf.pin(fd, path), `pinning ${path}`);
  chmodSync(path, mode);
}

/** Links first: nothing runs that is half removed. */
function removePins(directory: string): void {
  const names = pinsIn(directory).sort();
  for (const name of names) attempt(`${join(directory, name)} cannot be removed`, () => unlinkSync(join(directory, name)));
}

function removeDirectory(addon: Addon, directory: string): void {
  if (directory === places.OWN_MOUNT && places.isBpfFs(directory)) checked(addon.unmount(directory), `unmounting ${directory}`);
  try {
    rmdirSync(directory);
    if (directory === places.OWN_MOUNT) rmdirSync(dirname(directory));
  } catch {
    // Never made, or somebody has put something else there.
  }
}

function using<T>(fd: number, body: (fd: number) => T): T {
  try {
    return body(fd);
  } finally {
    closeSync(fd);
  }
}

function attempt(what: string, body: () => void): void {
  try {
    body();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EPERM' && code !== 'EACCES' && code !== 'EROFS') throw error;
    throw new SetupError('ERR_SMC_SETUP_PRIVILEGE', `${what}: ${code}`, { cause: error });
  }
}
