// build-addon.mjs - compiles the native addons of @smcjs/smcd and @smcjs/smcr with node-gyp and puts them where the loaders
// look.
//
//   node scripts/build-addon.mjs                        packages/<name>/prebuilds/<platform>-<arch>[-musl]/<name>.node
//   node scripts/build-addon.mjs --asan|--tsan|--ubsan  build/<sanitizer>/<name>.node, for tests (SMC_ADDON and
//                                                       SMC_VERBS_ADDON name them)
//
// The sources are copied to build/<variant>/<name>/ and compiled there: variants do not disturb each other, and the package
// directory holds nothing but what is published. Node-API is stable, so one binary serves every Node version.

import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fingerprint, readStamp, ROOT, run, runAsProgram, step, StepError, writeStamp } from './steps.mjs';

/** The packages with an addon, which has the name of its package. */
export const ADDONS = ['smcd', 'smcr'];
const SANITIZERS = { asan: 'address', tsan: 'thread', ubsan: 'undefined' };
const require = createRequire(import.meta.url);

/** The directory under prebuilds/ for this machine. glibc tells its version in the process report, musl does not. */
export function prebuildName() {
  const musl = process.platform === 'linux' && process.report.getReport().header.glibcVersionRuntime === undefined;
  return `${process.platform}-${process.arch}${musl ? '-musl' : ''}`;
}

const nativeDirectory = (name) => join(ROOT, 'packages', name, 'native');

/** Where the addon of a package and variant ('release' or a sanitizer) ends up. */
export function addonPath(name, variant = 'release') {
  return join(ROOT, variant === 'release' ? `packages/${name}/prebuilds/${prebuildName()}` : `build/${variant}`, `${name}.node`);
}

/** Headers that are on this machine already: those of the running node, else of a node that came as a package. */
function nodeDirectory() {
  const packages = ['node-22', 'node-24', 'node-26'].map((name) => join(ROOT, 'node_modules', name));
  return [dirname(dirname(process.execPath)), ...packages].find((prefix) => existsSync(join(prefix, 'include/node/node_api.h')));
}

/**
 * Builds the addon of a package unless nothing it is made of has changed. Resolves to a remark for the step's line.
 *
 * @throws StepError when it cannot be built; an addon of older sources is then removed, for it would not fit the
 * TypeScript beside it.
 */
export async function buildAddon(name, variant = 'release') {
  const target = addonPath(name, variant);
  const stamp = `addon-${name}-${variant}`;
  const wanted = fingerprint([process.platform, process.arch, process.versions.modules], nativeFiles(name));
  if (existsSync(target) && readStamp(stamp) === wanted) return 'unchanged';
  try {
    copyFileAtomically(await compile(name, variant), target);
  } catch (error) {
    rmSync(target, { force: true });
    throw error;
  }
  writeStamp(stamp, wanted);
  return relative(ROOT, target);
}

async function compile(name, variant) {
  const directory = join(ROOT, 'build', variant, name);
  mkdirSync(directory, { recursive: true });
  rmSync(join(directory, 'src'), { recursive: true, force: true });
  // Time stamps are kept, so make recompiles only what changed.
  cpSync(nativeDirectory(name), directory, { recursive: true, preserveTimestamps: true });
  const headers = nodeDirectory();
  const variables = {
    node_addon_api: dirname(require.resolve('node-addon-api/package.json')),
    sanitizer: SANITIZERS[variant] ?? '',
  };
  const definitions = Object.entries(variables).map(([name, value]) => `-D${name}=${value}`);
  await nodeGyp(directory, ['configure', ...(headers === undefined ? [] : [`--nodedir=${headers}`]), '--', ...definitions]);
  await nodeGyp(directory, ['build']);
  return join(directory, 'build/Release', `${name}.node`);
}

async function nodeGyp(directory, args) {
  const advice = 'install make, python3 and g++ 10 or newer (Debian: apt-get install make python3 g++), or fix the error above';
  try {
    await run(process.execPath, [require.resolve('node-gyp/bin/node-gyp.js'), '--loglevel=warn', ...args], { cwd: directory, advice });
  } catch (error) {
    // What node-gyp tells about itself would bury the compiler's words.
    error.output = error.output?.replace(/^gyp ERR! (stack|System|command|cwd|node -v|node-gyp -v|not ok|find Python(?! ?You)).*\n?/gm, '');
    throw error;
  }
}

function nativeFiles(name) {
  const entries = readdirSync(nativeDirectory(name), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}

/** A process may have the old file mapped: it keeps that, and nobody ever sees half a file. */
function copyFileAtomically(from, to) {
  mkdirSync(dirname(to), { recursive: true });
  const temporary = `${to}.${process.pid}`;
  copyFileSync(from, temporary);
  renameSync(temporary, to);
}

await runAsProgram(import.meta.url, async (args) => {
  const variant = args.length === 0 ? 'release' : args[0].replace(/^--/, '');
  if (variant !== 'release' && !(variant in SANITIZERS)) {
    throw new StepError(`unknown option ${args[0]}`, { advice: 'use --asan, --tsan or --ubsan' });
  }
  for (const name of ADDONS) await step(`Addon of ${name} (${variant})`, () => buildAddon(name, variant));
});
