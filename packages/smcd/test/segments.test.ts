// segments.test.ts - memory between processes: what is sealed and checked, what a mapping shows, and when it is gone.

import { closeSync, ftruncateSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it, onTestFinished } from 'vitest';
import { addon, describeNative, E, mappings, noPython, temporaryDirectory, turns, until } from './support.js';

const PAGE = 4096;
const temporaryPath = temporaryDirectory();

/** A segment of ours; its descriptor is closed when the test ends. */
function segment(bytes: number): number {
  const fd = addon.createSegment(bytes);
  expect(fd).toBeGreaterThanOrEqual(0);
  onTestFinished(() => void addon.closeDescriptor(fd));
  return fd;
}

function map(fd: number, bytes: number): ArrayBuffer {
  const buffer = addon.mapSegment(fd, bytes);
  if (typeof buffer === 'number') throw new Error(`not mapped: ${buffer}`);
  return buffer;
}

/** A memfd with these seals, made by another program, opened through /proc. */
async function foreignMemfd(bytes: number, seals: string): Promise<number> {
  const program = [
    'import fcntl, os, sys',
    "fd = os.memfd_create('foreign', os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)",
    `os.ftruncate(fd, ${bytes})`,
    `seals = ${seals}`,
    'seals and fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)',
    'print(fd, flush=True)',
    'sys.stdin.read()',
  ].join('\n');
  const child = spawn('python3', ['-c', program], { stdio: ['pipe', 'pipe', 'inherit'] });
  const line = await new Promise<string>((resolve) => child.stdout.once('data', (text: Buffer) => resolve(text.toString())));
  const fd = openSync(`/proc/${child.pid}/fd/${line.trim()}`, 'r+');
  child.stdin.end();
  onTestFinished(() => closeSync(fd));
  return fd;
}

describeNative('a segment', () => {
  it('is sealed: nobody can change its size', () => {
    const fd = segment(2 * PAGE);
    expect(addon.checkSegment(fd, 2 * PAGE)).toBe(0);
    expect(() => ftruncateSync(fd, PAGE)).toThrow(expect.objectContaining({ code: 'EPERM' }));
    expect(() => ftruncateSync(fd, 3 * PAGE)).toThrow(expect.objectContaining({ code: 'EPERM' }));
  });

  it.each([0, PAGE, 2 * PAGE - 1, 2 * PAGE + 1, 2 ** 40])('of two pages is not taken for one of %d bytes', (bytes) => {
    expect(addon.checkSegment(segment(2 * PAGE), bytes)).toBe(-E.MSGSIZE);
  });

  it('is not any other kind of file', () => {
    const file = join(temporaryPath, 'file');
    writeFileSync(file, Buffer.alloc(PAGE));
    for (const path of [file, '/dev/zero', '/proc/self/stat', temporaryPath]) {
      const fd = openSync(path, 'r');
      expect([-E.BADF, -E.PERM], path).toContain(addon.checkSegment(fd, PAGE));
      closeSync(fd);
    }
    expect(addon.checkSegment(99_999, PAGE)).toBe(-E.BADF);
    expect(addon.checkSegment(-1, PAGE)).toBe(-E.BADF);
    rmSync(file);
  });

  it('is not a file of a tmpfs, which its owner could truncate', (ctx) => {
    const path = `/dev/shm/smcd-test-${process.pid}`;
    try {
      writeFileSync(path, Buffer.alloc(PAGE));
    } catch {
      ctx.skip('no /dev/shm to write to');
    }
    const fd = openSync(path, 'r+');
    rmSync(path);
    expect(addon.checkSegment(fd, PAGE)).toBe(-E.PERM);
    closeSync(fd);
  });

  for (const [what, seals, expected] of [
    ['without seals', '0', -E.PERM],
    ['that can grow', 'fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL', -E.PERM],
    ['that can shrink', 'fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL', -E.PERM],
    ['that can be sealed further', 'fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW', -E.PERM],
    ['that cannot be written', 'fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL | fcntl.F_SEAL_WRITE', -E.PERM],
    ['that cannot be written any more', 'fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL | 0x10', -E.PERM],
    ['with exactly our seals', 'fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL', 0],
  ] as const) {
    it(`is ${expected === 0 ? '' : 'not '}a memfd ${what}`, async (ctx) => {
      if (noPython !== undefined) ctx.skip(noPython);
      expect(addon.checkSegment(await foreignMemfd(PAGE, seals), PAGE)).toBe(expected);
    });
  }
});

describeNative('a mapping', () => {
  it('shows the same bytes through every descriptor and twice in a row', () => {
    const fd = segment(4 * PAGE);
    const [one, two] = [new Uint8Array(map(fd, 4 * PAGE)), new Uint8Array(map(fd, 4 * PAGE))];
    const mirror = addon.mirror(one.buffer as ArrayBuffer, PAGE, 2 * PAGE) as ArrayBuffer;
    const twice = new Uint8Array(mirror);
    expect(twice.length).toBe(4 * PAGE);
    for (const [from, at] of [
      [one, PAGE],
      [two, 3 * PAGE - 1],
      [one, 2 * PAGE],
    ] as const) {
      from[at] = 1 + (at % 250);
      expect([one[at], two[at], twice[at - PAGE], twice[at + PAGE]]).toEqual(Array(4).fill(1 + (at % 250)));
    }
    twice[3 * PAGE] = 77;
    expect([one[2 * PAGE], twice[PAGE]]).toEqual([77, 77]);
    for (const buffer of [mirror, one.buffer, two.buffer]) expect(addon.unmap(buffer as ArrayBuffer)).toBe(0);
  });

  it('leaves views of length 0 behind when it is unmapped, and can be unmapped once', () => {
    const buffer = map(segment(PAGE), PAGE);
    const views = [new Uint8Array(buffer), new Int32Array(buffer, 64, 4), new DataView(buffer), Buffer.from(buffer)];
    expect(addon.unmap(buffer)).toBe(0);
    expect(buffer.byteLength).toBe(0);
    expect((views[0] as Uint8Array).length).toBe(0);
    expect((views[1] as Int32Array).length).toBe(0);
    expect((views[3] as Buffer).length).toBe(0);
    expect((views[0] as Uint8Array)[0]).toBeUndefined();
    expect(() => Atomics.load(views[1] as Int32Array, 0)).toThrow(TypeError);
    expect(() => (views[2] as DataView).getUint8(0)).toThrow(TypeError);
    expect(addon.unmap(buffer)).toBe(-E.INVAL);
  });

  it('is nothing else: an ordinary ArrayBuffer is not unmapped', () => {
    const ordinary = new ArrayBuffer(PAGE);
    expect(addon.unmap(ordinary)).toBe(-E.INVAL);
    expect(ordinary.byteLength).toBe(PAGE);
  });

  it('of a part outlives that of the whole', () => {
    const buffer = map(segment(2 * PAGE), 2 * PAGE);
    new Uint8Array(buffer)[PAGE] = 5;
    const part = addon.mirror(buffer, PAGE, PAGE) as ArrayBuffer;
    addon.unmap(buffer);
    expect(new Uint8Array(part)[PAGE]).toBe(5);
    addon.unmap(part);
  });

  it.each([
    [1, PAGE],
    [0, 1],
    [0, 0],
    [PAGE, 2 * PAGE],
    [3 * PAGE, PAGE],
    [0, 3 * PAGE],
  ])('is not made twice from %d, %d bytes long, out of two pages', (offset, length) => {
    const buffer = map(segment(2 * PAGE), 2 * PAGE);
    expect(addon.mirror(buffer, offset, length)).toBe(-E.INVAL);
    addon.unmap(buffer);
  });

  it('that the hub watches is not unmapped', () => {
    const [own, peer] = [map(segment(PAGE), PAGE), map(segment(PAGE), PAGE)];
    const hub = new addon.Hub(new Int32Array(8192), () => {});
    expect(hub.attach(own, new ArrayBuffer(PAGE))).toBe(-E.INVAL);
    const index = hub.attach(own, peer);
    expect(index).toBe(0);
    expect([addon.unmap(own), addon.unmap(peer)]).toEqual([-E.BUSY, -E.BUSY]);
    expect([own.byteLength, peer.byteLength]).toEqual([PAGE, PAGE]);
    expect(hub.detach(index)).toBe(0);
    expect(hub.detach(index)).toBe(-E.INVAL);
    expect([addon.unmap(own), addon.unmap(peer)]).toEqual([0, 0]);
    hub.close();
  });

  it('that is forgotten is unmapped with its memory', async () => {
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc') as () => void;
    const before = mappings().length;
    const fd = segment(PAGE);
    (() => {
      for (let i = 0; i < 20; i++) map(fd, PAGE);
    })();
    await until(async () => {
      gc();
      await turns(2);
      return mappings().length <= before;
    });
  });
});
