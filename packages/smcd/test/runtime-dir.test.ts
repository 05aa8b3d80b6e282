// runtime-dir.test.ts - which directory is believed: only one that nobody else can tamper with.

import { chmodSync, chownSync, existsSync, lstatSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findRuntimeDir } from '../dist/runtime-dir.js';

const NOBODY = 65_534;
const root = process.getuid?.() === 0;
const fallback = `/tmp/smc-${process.getuid?.()}`;

let base: string;
let saved: { readonly SMC_RUNTIME_DIR: string | undefined; readonly XDG_RUNTIME_DIR: string | undefined };

function set(name: 'SMC_RUNTIME_DIR' | 'XDG_RUNTIME_DIR', value: string | undefined): void {
  if (value === undefined) delete process.env[name];
  else process.env[name] = value;
}

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'smcd-test-'));
  saved = { SMC_RUNTIME_DIR: process.env.SMC_RUNTIME_DIR, XDG_RUNTIME_DIR: process.env.XDG_RUNTIME_DIR };
});

afterEach(() => {
  for (const name of ['SMC_RUNTIME_DIR', 'XDG_RUNTIME_DIR'] as const) set(name, saved[name]);
  rmSync(base, { recursive: true, force: true });
});

/** A directory with exactly this mode, whatever the umask. */
function directory(name: string, mode: number): string {
  const path = join(base, name);
  mkdirSync(path);
  chmodSync(path, mode);
  return path;
}

function chosen(path: string): ReturnType<typeof findRuntimeDir> {
  set('SMC_RUNTIME_DIR', path);
  return findRuntimeDir();
}

const refused = (...parts: string[]) => ({ refused: expect.stringMatching(new RegExp(parts.join('.*'))) as string });

describe('SMC_RUNTIME_DIR', () => {
  it('is made with mode 700 when it is not there', () => {
    const path = join(base, 'new');
    expect(chosen(path)).toEqual({ path });
    expect(lstatSync(path).mode & 0o7777).toBe(0o700);
    expect(chosen(path)).toEqual({ path });
  });

  it('is believed when it is ours with mode 700, or stricter', () => {
    for (const mode of [0o700, 0o500]) expect(chosen(directory(`mode-${mode}`, mode))).toMatchObject({ path: expect.any(String) });
  });

  it.each([0o755, 0o750, 0o701, 0o770, 0o777, 0o710])('is refused with mode %o', (mode) => {
    const path = directory('open', mode);
    expect(chosen(path)).toEqual(refused(path, 'mode', mode.toString(8)));
  });

  it('is refused when it is a symbolic link, even to a good one', () => {
    const path = join(base, 'link');
    symlinkSync(directory('good', 0o700), path);
    expect(chosen(path)).toEqual(refused(path, 'not a directory'));
  });

  it('is refused when it is a link to nothing', () => {
    const path = join(base, 'dangling');
    symlinkSync(join(base, 'nothing'), path);
    expect(chosen(path)).toEqual(refused(path));
    expect(existsSync(join(base, 'nothing'))).toBe(false);
  });

  it('is refused when it is a file', () => {
    const path = join(base, 'file');
    writeFileSync(path, '');
    expect(chosen(path)).toEqual(refused(path, 'not a directory'));
  });

  it('is refused when there can be nothing of that name', () => {
    const path = join(base, 'file', 'inside');
    writeFileSync(join(base, 'file'), '');
    expect(chosen(path)).toEqual(refused(path, 'ENOTDIR'));
    expect(chosen(join(base, 'x'.repeat(300)))).toEqual(refused('ENAMETOOLONG'));
  });

  it.each(['run', './run', '../run', 'a/b'])('is refused when it is relative, and not made: %s', (path) => {
    expect(chosen(path)).toEqual({ refused: expect.stringContaining('must be absolute') as string });
    expect(chosen(path)).toEqual(refused(`'${path}'`));
    expect(existsSync(path)).toBe(false);
  });

  it('is refused when it cannot be made', () => {
    const path = join(base, 'missing', 'deep');
    expect(chosen(path)).toEqual(refused(path, 'ENOENT'));
  });

  it('is the only candidate', () => {
    set('XDG_RUNTIME_DIR', base);
    expect(chosen(directory('open', 0o755))).toHaveProperty('refused');
    expect(existsSync(join(base, 'smc'))).toBe(false);
  });

  it("is refused when it is another user's", (ctx) => {
    if (!root) ctx.skip('only root can give a directory away');
    const path = directory('foreign', 0o700);
    chownSync(path, NOBODY, NOBODY);
    expect(chosen(path)).toEqual(refused(path, `owner ${NOBODY}`));
  });

  it("may be root's, shared and sticky", (ctx) => {
    if (!root) ctx.skip("only root can make root's directory");
    const path = directory('shared', 0o1777);
    expect(chosen(path)).toEqual({ path });
  });

  it("may not be another user's, shared and sticky", (ctx) => {
    if (!root) ctx.skip('only root can give a directory away');
    const path = directory('shared', 0o1777);
    chownSync(path, NOBODY, NOBODY);
    expect(chosen(path)).toEqual(refused(path, `owner ${NOBODY}`));
  });
});

describe('without SMC_RUNTIME_DIR', () => {
  beforeEach((ctx) => {
    set('SMC_RUNTIME_DIR', undefined);
    if (existsSync('/run/smc')) ctx.skip('this machine has a /run/smc, which comes first');
  });

  it('XDG_RUNTIME_DIR/smc is used, and made', () => {
    set('XDG_RUNTIME_DIR', base);
    expect(findRuntimeDir()).toEqual({ path: join(base, 'smc') });
    expect(lstatSync(join(base, 'smc')).mode & 0o7777).toBe(0o700);
  });

  it('a relative XDG_RUNTIME_DIR is ignored', () => {
    set('XDG_RUNTIME_DIR', 'run');
    expect(findRuntimeDir()).toEqual({ path: fallback });
    expect(existsSync('run')).toBe(false);
  });

  it("a directory per user is used when that cannot be believed; a shared one of root's is not", () => {
    set('XDG_RUNTIME_DIR', base);
    directory('smc', 0o1777);
    expect(findRuntimeDir()).toEqual({ path: fallback });
    expect(lstatSync(fallback).mode & 0o7777).toBe(0o700);
  });

  it.each([
    ['', 'an empty'],
    [undefined, 'no'],
  ])('a directory per user is used with %j, %s XDG_RUNTIME_DIR', (value, _what) => {
    set('XDG_RUNTIME_DIR', value);
    set('SMC_RUNTIME_DIR', '');
    expect(findRuntimeDir()).toEqual({ path: fallback });
  });
});
