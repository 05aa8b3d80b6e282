// pack-check.mjs - proves what a user gets: packs what is published, installs the tarballs with npm into an empty
// project on a PATH without compiler, make and python, and echoes bytes between two processes over SMC-D there.

import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { PNPM, PUBLISHED, ROOT, run, runAsProgram, step, StepError } from './steps.mjs';

/** What the project of a user could look like: one program, run once as server and once as client. */
const PROGRAM = `
import { connect, createServer } from '@smcjs/core';
import { createChannel, open } from '@smcjs/core/channel';

const [role, port] = process.argv.slice(2);
if (role === 'server') {
  const server = createServer((socket) => {
    socket.pipe(socket);
    socket.on('close', () => server.close());
  });
  server.listen(0, '127.0.0.1', () => console.log(server.address().port));
} else {
  const sent = Buffer.alloc(1_000_000, 'smc over shared memory ');
  const received = [];
  const socket = connect(Number(port), '127.0.0.1', () => socket.end(sent));
  socket.on('data', (chunk) => received.push(chunk));
  socket.on('end', () => {
    const threads = open(createChannel().port1).destroy().transport;
    const same = Buffer.concat(received).equals(sent);
    console.log(JSON.stringify({ transport: socket.transport, declines: socket.declines, same, threads }));
  });
}
`;

/** Every entry of @smcjs/core: 'loads', or the package it misses, which is one the user chooses. */
const ENTRIES = `
const found = {};
for (const entry of ['', '/channel', '/worker', '/named', '/rxjs', '/backend']) {
  try {
    await import('@smcjs/core' + entry);
    found['.' + entry] = 'loads';
  } catch (error) {
    found['.' + entry] = error.message.match(/Cannot find package '(.*?)'/)?.[1] ?? error.message;
  }
}
console.log(JSON.stringify(found));
`;

/**
 * Packs, installs, runs. Resolves to what the client saw: {transport, declines, same, threads, files, entries, usage, usable, alone}, where
 * files are the names in each tarball, entries says which entries of core load where nothing else is installed, usage is what `smc`
 * says, usable what `smc-probe` has found, and alone what is seen where core is installed without the others: {transport, declines, same,
 * threads, probe}.
 */
export async function packCheck({ quiet = false } = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'smc-pack-'));
  try {
    const result = { files: {} };
    const tarballs = [];
    for (const name of PUBLISHED) {
      await step(`Packing @smcjs/${name}`, async () => void tarballs.push(await pack(name, directory)), { quiet });
    }
    for (const { name, file } of tarballs) result.files[name] = contents(file);
    const project = join(directory, 'project');
    const env = bareEnvironment(directory);
    const files = tarballs.map((tarball) => tarball.file);
    await step('Installing the tarballs', () => install(project, files, env), { quiet });
    await step('Entries', async () => void (result.entries = await entries(project, env)), { quiet });
    await step('The program smc', async () => void (result.usage = await usage(project, env)), { quiet });
    await step('The program smc-probe', async () => void (result.usable = (await probe(project, env)).usable), { quiet });
    await step('Two processes', async () => void Object.assign(result, await talk(project, env)), { quiet });
    const alone = join(directory, 'alone');
    const core = tarballs.filter(({ name }) => name === 'core').map(({ file }) => file);
    await step('Installing core alone', () => install(alone, core, env), { quiet });
    const two = async () => void (result.alone = { ...(await talk(alone, env)), probe: await probe(alone, env) });
    await step('Two processes with core alone', two, { quiet });
    return result;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** `pnpm pack`, whose prepack script builds what belongs into the tarball. */
async function pack(name, directory) {
  const target = join(directory, name);
  mkdirSync(target);
  const [command, ...args] = [...PNPM, 'pack', '--pack-destination', target];
  await run(command, args, { cwd: join(ROOT, 'packages', name) });
  return { name, file: join(target, readdirSync(target)[0]) };
}

function contents(file) {
  const names = execFileSync('tar', ['-tzf', file], { encoding: 'utf8' }).trim().split('\n');
  return names.map((name) => name.replace(/^package\//, ''));
}

/** Nothing but node and a shell can be found: an installation that compiles would fail. */
function bareEnvironment(directory) {
  const bin = join(directory, 'bin');
  mkdirSync(bin);
  symlinkSync(process.execPath, join(bin, 'node'));
  symlinkSync('/bin/sh', join(bin, 'sh'));
  // What npm and pnpm tell their scripts would reach the npm that is started here.
  const kept = Object.entries(process.env).filter(([name]) => !/^(npm_|PNPM_|NODE_PATH$|NODE_OPTIONS$|VITEST)/.test(name));
  return { ...Object.fromEntries(kept), PATH: bin };
}

async function install(project, files, env) {
  mkdirSync(project);
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'project', private: true, type: 'module' }));
  const args = [npmProgram(), 'install', '--no-audit', '--no-fund', '--prefer-offline', ...files];
  const advice = 'the tarballs must install without compiling and without other packages';
  await run(process.execPath, args, { cwd: project, env, advice });
  writeFileSync(join(project, 'program.mjs'), PROGRAM);
}

/** npm's own program file; run by node directly, so that PATH can be bare. */
function npmProgram() {
  for (const directory of (process.env.PATH ?? '').split(delimiter)) {
    try {
      return realpathSync(join(directory, 'npm'));
    } catch {
      // not in this directory
    }
  }
  throw new StepError('npm is not in PATH');
}

async function entries(project, env) {
  return JSON.parse(await run(process.execPath, ['--input-type=module', '--eval', ENTRIES], { cwd: project, env }));
}

async function usage(project, env) {
  return run(process.execPath, ['node_modules/.bin/smc', '--help'], { cwd: project, env });
}

async function probe(project, env) {
  return JSON.parse(await run(process.execPath, ['node_modules/.bin/smc-probe', '--json'], { cwd: project, env }));
}

async function talk(project, env) {
  const runtime = join(project, 'runtime');
  mkdirSync(runtime, { mode: 0o700 });
  const options = { cwd: project, env: { ...env, SMC_RUNTIME_DIR: runtime } };
  const server = spawn(process.execPath, ['program.mjs', 'server'], { ...options, stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const port = await new Promise((resolve, reject) => {
      server.stdout.once('data', (line) => resolve(String(line).trim()));
      server.once('exit', (code) => reject(new StepError(`the server ended with exit code ${code}`)));
    });
    return JSON.parse(await run(process.execPath, ['program.mjs', 'client', port], options));
  } finally {
    server.kill();
  }
}

await runAsProgram(import.meta.url, async () => {
  const { transport, declines, same } = await packCheck();
  console.log(`transport ${transport}, bytes ${same ? 'echoed' : 'NOT the same'}`);
  for (const { transport: name, reason, detail } of declines) console.log(`  ${name}: ${reason} (${detail})`);
  return transport === 'smcd' && same ? 0 : 1;
});
