// registry.test.ts - names in the runtime directory: who listens where, who is alive, and what the dead leave.

import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Endpoint, ListenEndpoint } from '@smcjs/core/backend';
import { beforeEach, expect, it, onTestFinished } from 'vitest';
import type { Addon } from '../dist/addon.js';
import { Registry } from '../dist/registry.js';
import { addon, type Child, child, describeNative, descriptors, E } from './support.js';

let path: string;
let directory: number;
let registry: Registry;

beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), 'smcd-test-'));
  directory = addon.openDirectory(path);
  registry = new Registry(addon, directory, path);
  return () => {
    addon.closeDescriptor(directory);
    rmSync(path, { recursive: true, force: true });
  };
});

const v4 = (address: string, port = 80): Endpoint => ({ address, port, family: 4 });
const v6 = (address: string, port = 80): Endpoint => ({ address, port, family: 6 });
const listens = (endpoint: Endpoint, dual = false): ListenEndpoint => ({ ...endpoint, dual });

/** Marks it; the mark ends with the test. */
function mark(endpoint: Endpoint, dual = false): number {
  const fd = registry.mark(listens(endpoint, dual));
  expect(fd).toBeGreaterThanOrEqual(0);
  onTestFinished(() => void addon.closeDescriptor(fd));
  return fd;
}

/** What is in the directory, by kind. */
const names = (kind: string): string[] => readdirSync(path).filter((name) => name.startsWith(`${kind}-`));
const newInstance = (): string => randomBytes(16).toString('hex');
const newTuple = (): Buffer => randomBytes(36);

async function peer(args: { instance?: string; marks?: ListenEndpoint[]; tuples?: string[]; listener?: boolean }): Promise<Child> {
  const other = child('registry-peer', { path, instance: newInstance(), ...args });
  const { entered, fds, links } = await other.next();
  if (args.listener !== false) expect(entered).toMatchObject({ listener: expect.any(Number) });
  for (const fd of fds as number[]) expect(fd).toBeGreaterThanOrEqual(0);
  for (const rc of links as number[]) expect(rc).toBe(0);
  return other;
}

async function kill(other: Child): Promise<void> {
  other.process.kill('SIGKILL');
  await other.exit;
}

describeNative('a marker', () => {
  it('of one address is seen by connections to that address and port, and by no others', () => {
    mark(v4('127.0.0.1'));
    expect(registry.marks(v4('127.0.0.1'))).toBe(true);
    for (const other of [v4('127.0.0.2'), v4('127.0.0.1', 81), v4('0.0.0.1'), v4('255.255.255.255'), v6('::1'), v6('::7f00:1')]) {
      expect(registry.marks(other), `${other.address} ${other.port}`).toBe(false);
    }
  });

  it('of all IPv4 addresses is seen by every IPv4 connection', () => {
    mark(v4('0.0.0.0'));
    for (const to of [v4('127.0.0.1'), v4('10.1.2.3'), v4('255.255.255.254')]) expect(registry.marks(to), to.address).toBe(true);
    expect(registry.marks(v6('::1'))).toBe(false);
  });

  it('of all IPv6 addresses is seen by IPv6 connections, and by IPv4 ones if it is dual', () => {
    mark(v6('::'));
    expect([registry.marks(v6('::1')), registry.marks(v6('fe80::1%eth0')), registry.marks(v4('127.0.0.1'))]).toEqual([true, true, false]);
    mark(v6('::', 81), true);
    expect([registry.marks(v6('::1', 81)), registry.marks(v4('127.0.0.1', 81))]).toEqual([true, true]);
  });

  it('of an IPv6 address is seen however the address is written', () => {
    mark(v6('2001:db8::1'));
    for (const form of ['2001:db8::1', '2001:0db8:0:0:0:0:0:1', '2001:DB8::0001', '2001:db8::1%lo'])
      expect(registry.marks(v6(form)), form).toBe(true);
    expect(registry.marks(v6('2001:db8::2'))).toBe(false);
    expect(registry.marks(v4('32.1.13.184'))).toBe(false);
  });

  it('tells of a port, whatever the address', () => {
    expect(registry.marksPort(80)).toBe(false);
    mark(v4('10.0.0.1'));
    mark(v6('::1', 65_535));
    expect([80, 81, 65_535].map((port) => registry.marksPort(port))).toEqual([true, false, true]);
  });

  it('lasts as long as its descriptor', () => {
    const fd = registry.mark(listens(v4('127.0.0.1')));
    expect(registry.marks(v4('127.0.0.1'))).toBe(true);
    addon.closeDescriptor(fd);
    expect([registry.marks(v4('127.0.0.1')), registry.marksPort(80)]).toEqual([false, false]);
  });

  it('of two listeners lasts as long as either', () => {
    const [one, two] = [registry.mark(listens(v4('127.0.0.1'))), registry.mark(listens(v4('127.0.0.1')))];
    addon.closeDescriptor(one);
    expect(registry.marks(v4('127.0.0.1'))).toBe(true);
    addon.closeDescriptor(two);
    expect(registry.marks(v4('127.0.0.1'))).toBe(false);
  });

  it('of another process is seen, and not believed any more when that was killed', async () => {
    const other = await peer({ marks: [listens(v4('127.0.0.1')), listens(v6('::', 81), true)] });
    expect([registry.marks(v4('127.0.0.1')), registry.marks(v4('1.2.3.4', 81)), registry.marksPort(80)]).toEqual([true, true, true]);
    await kill(other);
    expect([registry.marks(v4('127.0.0.1')), registry.marks(v4('1.2.3.4', 81)), registry.marksPort(80)]).toEqual([false, false, false]);
    expect(names('m')).toHaveLength(2);
    registry.sweep();
    expect(names('m')).toEqual([]);
  });

  it('survives a sweep while anybody listens', async () => {
    await peer({ marks: [listens(v4('127.0.0.1'))] });
    mark(v6('::1', 81));
    registry.sweep();
    expect([registry.marks(v4('127.0.0.1')), registry.marks(v6('::1', 81))]).toEqual([true, true]);
  });

  it('is made anew when it is swept between being opened and locked', () => {
    let sweeps = 2;
    const swept = {
      ...addon,
      lockMarker(fd: number, offset: number): number {
        if (sweeps-- > 0) registry.sweep();
        return addon.lockMarker(fd, offset);
      },
    } as Addon;
    const fd = new Registry(swept, directory, path).mark(listens(v4('127.0.0.1')));
    expect(fd).toBeGreaterThanOrEqual(0);
    expect(sweeps).toBeLessThan(0);
    expect(registry.marks(v4('127.0.0.1'))).toBe(true);
    addon.closeDescriptor(fd);
  });

  it('gives up, without a descriptor, when it is swept every time', () => {
    const before = descriptors();
    const swept = {
      ...addon,
      lockMarker(fd: number, offset: number): number {
        registry.sweep();
        return addon.lockMarker(fd, offset);
      },
    } as Addon;
    expect(new Registry(swept, directory, path).mark(listens(v4('127.0.0.1')))).toBe(-E.AGAIN);
    expect(descriptors()).toEqual(before);
  });

  it('is no symbolic link', () => {
    const fd = mark(v4('127.0.0.1'));
    const [name] = names('m') as [string];
    expect(fd).toBeGreaterThanOrEqual(0);
    addon.unlink(directory, name);
    const target = join(path, 'target');
    writeFileSync(target, '');
    symlinkSync(target, join(path, name));
    expect(registry.mark(listens(v4('127.0.0.1')))).toBeLessThan(0);
    expect(registry.marksPort(80)).toBe(false);
  });
});

describeNative('the names of a loop', () => {
  it('are two while it lives, and none when it has left', async () => {
    const instance = newInstance();
    const other = await peer({ instance });
    expect([names('e'), names('l')]).toEqual([[`e-${instance}`], [`l-${instance}`]]);
    registry.sweep();
    expect([names('e'), names('l')]).toEqual([[`e-${instance}`], [`l-${instance}`]]);
    other.say({});
    await other.next();
    expect(readdirSync(path)).toEqual([]);
  });

  it('are both there when another loop sweeps while they are made', () => {
    const instance = newInstance();
    let sweeps = 1;
    const swept = {
      ...addon,
      lockMarker(fd: number, offset: number): number {
        if (sweeps-- > 0) registry.sweep();
        return addon.lockMarker(fd, offset);
      },
    } as Addon;
    const entered = new Registry(swept, directory, path).enter(instance) as { life: number; listener: number };
    // Without the locked file nobody would know that the listener is a dead loop's, once it is.
    expect([names('e'), names('l')]).toEqual([[`e-${instance}`], [`l-${instance}`]]);
    for (const open of Object.values(entered)) addon.closeDescriptor(open);
  });

  it('refuse connections after it was killed, and are swept', async () => {
    const instance = newInstance();
    const tuple = newTuple();
    const other = await peer({ instance, tuples: [tuple.toString('hex')] });
    const link = registry.tupleName(tuple);
    for (const name of [`l-${instance}`, link]) {
      const fd = addon.connectUnix(directory, name);
      expect(fd).toBeGreaterThanOrEqual(0);
      addon.closeDescriptor(fd);
    }
    expect(registry.inode(link)).toBe(registry.inode(`l-${instance}`));
    await kill(other);
    expect([addon.connectUnix(directory, `l-${instance}`), addon.connectUnix(directory, link)]).toEqual([-E.CONNREFUSED, -E.CONNREFUSED]);
    registry.sweep();
    expect(readdirSync(path)).toEqual([]);
  });

  it('are swept without harm to those of the living', async () => {
    const [tuple, deadTuple] = [newTuple(), newTuple()];
    await peer({ tuples: [tuple.toString('hex')] });
    const dead = await peer({ tuples: [deadTuple.toString('hex')] });
    const before = readdirSync(path).length;
    await kill(dead);
    registry.sweep();
    expect(readdirSync(path)).toHaveLength(before - 3);
    expect(registry.inode(registry.tupleName(tuple))).toBeGreaterThan(0);
    expect(registry.inode(registry.tupleName(deadTuple))).toBe(-E.NOENT);
  });

  it('are not made twice', async () => {
    const instance = newInstance();
    await peer({ instance });
    const before = descriptors();
    expect(registry.enter(instance)).toBeLessThan(0);
    expect(descriptors()).toEqual(before);
  });

  it('of a connection are no files and no links', () => {
    const name = registry.tupleName(newTuple());
    writeFileSync(join(path, name), '');
    expect(registry.inode(name)).toBe(-E.PERM);
    rmSync(join(path, name));
    symlinkSync('/dev/log', join(path, name));
    expect(registry.inode(name)).toBe(-E.PERM);
    expect(registry.inode(registry.tupleName(newTuple()))).toBe(-E.NOENT);
  });

  it('fit a Unix socket address, however long the directory is', () => {
    const deep = join(path, 'd'.repeat(120));
    mkdirSync(deep);
    const inside = addon.openDirectory(deep);
    const registry = new Registry(addon, inside, deep);
    const entered = registry.enter('f'.repeat(32));
    expect(entered).toMatchObject({ listener: expect.any(Number) });
    const name = registry.tupleName(newTuple());
    expect(name.length).toBeLessThan(80);
    expect(registry.linkTuple('f'.repeat(32), name)).toBe(0);
    const fd = addon.connectUnix(inside, name);
    expect(fd).toBeGreaterThanOrEqual(0);
    const { life, listener } = entered as { life: number; listener: number };
    for (const open of [fd, life, listener, inside]) addon.closeDescriptor(open);
  });
});

describeNative('a runtime directory', () => {
  it('that is gone is no reason to fail', () => {
    rmSync(path, { recursive: true });
    expect(() => registry.sweep()).not.toThrow();
    expect([registry.marksPort(80), registry.marks(v4('127.0.0.1'))]).toEqual([false, false]);
    expect(registry.mark(listens(v4('127.0.0.1')))).toBe(-E.NOENT);
    expect(registry.enter(newInstance())).toBe(-E.NOENT);
  });

  it('is not opened through a symbolic link', () => {
    const link = `${path}-link`;
    symlinkSync(path, link);
    expect(addon.openDirectory(link)).toBeLessThan(0);
    rmSync(link);
  });
});
