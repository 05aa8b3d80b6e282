// setup.mjs - from a fresh clone to something that runs: packages, addons, compiled TypeScript. Quick when done before.
//
// Needs Node 20 or newer with npm, and for the addons make, python3 and g++. Nothing is fetched from outside but
// packages from the registry npm is configured for.

import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ADDONS, buildAddon } from './build-addon.mjs';
import { fingerprint, manifest, PNPM, readStamp, ROOT, run, runAsProgram, step, StepError, writeStamp } from './steps.mjs';

/**
 * Does all that is needed before anything of this repository can run.
 *
 * An addon that cannot be built is not fatal: everything works without it, over TCP, and says so.
 *
 * @returns whether the addons are there
 * @throws StepError naming the command that failed and what to do
 */
export async function setup({ quiet = false } = {}) {
  checkNode();
  await step('Packages', installPackages, { quiet });
  const addon = await tryAddons({ quiet });
  await step('TypeScript', compile, { quiet });
  return { addon };
}

function checkNode() {
  if (Number(process.versions.node.split('.')[0]) >= 20) return;
  throw new StepError(`Node ${process.versions.node} is too old`, { advice: `install Node ${manifest.engines.node}` });
}

async function installPackages() {
  try {
    return await installUnlessDone();
  } finally {
    // It is the `node` of a package with another Node version (tests use that by its path), and it would hide the user's.
    rmSync(join(ROOT, 'node_modules/.bin/node'), { force: true });
  }
}

async function installUnlessDone() {
  const packages = readdirSync(join(ROOT, 'packages')).map((name) => join(ROOT, 'packages', name, 'package.json'));
  const files = ['package.json', 'pnpm-lock.yaml', 'pnpm-workspace.yaml'].map((name) => join(ROOT, name));
  const wanted = fingerprint([process.platform, process.arch], [...files, ...packages.filter((file) => existsSync(file)).sort()]);
  if (existsSync(join(ROOT, 'node_modules/.modules.yaml')) && readStamp('packages') === wanted) return 'unchanged';
  const [command, ...args] = [...PNPM, 'install', '--frozen-lockfile'];
  // CI=true: pnpm must not ask anybody whether it may replace node_modules.
  const env = { ...process.env, CI: 'true' };
  const advice =
    'see that the registry can be reached (npm config get registry; npm ping); ' +
    `if pnpm-lock.yaml is out of date, run ${PNPM.join(' ')} install and commit it`;
  await run(command, args, { env, advice });
  writeStamp('packages', wanted);
  return undefined;
}

/** Whether all addons are there. */
async function tryAddons({ quiet }) {
  let all = true;
  for (const name of ADDONS) {
    try {
      await step(`Addon of ${name}`, () => buildAddon(name), { quiet });
    } catch (error) {
      if (!(error instanceof StepError)) throw error;
      process.stdout.write(`${error.report()}\n  Going on without the addon: ${name} will be declined with the reason 'no-addon'.\n`);
      all = false;
    }
  }
  return all;
}

async function compile() {
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  await run(process.execPath, [tsc, '-b'], { advice: 'fix the errors above; npx tsc -b shows them again' });
}

await runAsProgram(import.meta.url, async () => {
  await setup();
});
