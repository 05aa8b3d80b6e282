// steps.mjs - how the scripts of this repository run commands and say what they do: one line per step, with its time.

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's top directory. */
export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/** The manifest of the repository. */
export const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));

/** Directory names of the packages that are published: packages with an entry that is not marked private. */
export const PUBLISHED = readdirSync(join(ROOT, 'packages')).filter((name) => {
  const directory = join(ROOT, 'packages', name);
  return existsSync(join(directory, 'src/index.ts')) && !JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')).private;
});

/** pnpm as this repository pins it, through npx: corepack is neither needed nor consulted. */
export const PNPM = ['npx', '-y', manifest.packageManager];

/** A step that failed: what was run, what it printed, what a person can do. */
export class StepError extends Error {
  constructor(message, { command = '', output = '', advice = '' } = {}) {
    super(message);
    this.name = 'StepError';
    this.command = command;
    this.output = output;
    this.advice = advice;
  }

  /** Everything a person needs, most telling last: long compiler output must not scroll the advice away. */
  report() {
    const indented = this.output.trimEnd().replace(/^/gm, '    ');
    return [
      ...(indented.trim() === '' ? [] : [indented]),
      `  ${this.message}`,
      ...(this.command === '' ? [] : [`  command: ${this.command}`]),
      ...(this.advice === '' ? [] : [`  what to do: ${this.advice}`]),
    ].join('\n');
  }
}

export const seconds = (ms) => (ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`);

/**
 * Runs one step of a set-up and prints its line. `work` resolves to a remark that replaces 'done', or to nothing.
 * With `quiet` only a failure is printed, by whoever catches it.
 */
export async function step(title, work, { quiet = false } = {}) {
  const started = performance.now();
  if (!quiet) process.stdout.write(`${title} ... `);
  try {
    const remark = (await work()) ?? 'done';
    if (!quiet) process.stdout.write(`${remark} (${seconds(performance.now() - started)})\n`);
  } catch (error) {
    if (!quiet) process.stdout.write(`FAILED (${seconds(performance.now() - started)})\n`);
    throw error;
  }
}

/** Runs a command to its end, returns what it printed; a failure is a StepError that carries all of it. */
export function run(command, args, { cwd = ROOT, env = process.env, advice = '' } = {}) {
  const shown = [command, ...args].map((word) => (/[\s'"]/.test(word) ? JSON.stringify(word) : word)).join(' ');
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    const chunks = [];
    child.stdout.on('data', (chunk) => chunks.push(chunk));
    child.stderr.on('data', (chunk) => chunks.push(chunk));
    const output = () => Buffer.concat(chunks).toString();
    const fail = (message) => reject(new StepError(message, { command: `(cd ${cwd} && ${shown})`, output: output(), advice }));
    child.once('error', (error) => fail(error.message));
    child.once('close', (code, signal) => (code === 0 ? resolve(output()) : fail(signal ? `killed by ${signal}` : `exit code ${code}`)));
  });
}

const ENDING = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/**
 * Like {@link run}, but the command has the terminal. Resolves to its exit code (128 for a signal). A signal to end goes
 * to the command and all it has started, which are a process group for that; this process then says what is to be said.
 */
export function runVisibly(command, args, { cwd = ROOT, env = process.env } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'inherit', 'inherit'], detached: true });
    const end = (signal) => child.exitCode === null && child.signalCode === null && process.kill(-child.pid, signal);
    for (const signal of ENDING) process.on(signal, end);
    child.once('error', reject);
    child.once('close', (code) => {
      for (const signal of ENDING) process.off(signal, end);
      resolve(code ?? 128);
    });
  });
}

/** SHA-256 over strings and files; a file's name and length are part of it, so nothing can move from one to the next. */
export function fingerprint(words, files) {
  const hash = createHash('sha256');
  for (const word of words) hash.update(`${word}\0`);
  for (const file of files) {
    const bytes = readFileSync(file);
    hash.update(`${file.slice(ROOT.length)}\0${bytes.length}\0`).update(bytes);
  }
  return hash.digest('hex');
}

/** What an earlier run left in .smc/ under this name; '' when there is nothing. */
export function readStamp(name) {
  try {
    return readFileSync(join(ROOT, '.smc', name), 'utf8');
  } catch {
    return '';
  }
}

export function writeStamp(name, value) {
  mkdirSync(join(ROOT, '.smc'), { recursive: true });
  writeFileSync(join(ROOT, '.smc', name), value);
}

/**
 * Runs `main` when the module at `url` is the program; a StepError is printed for people, anything else as it is.
 *
 * The Node versions that come as packages have a command `node`, which npm puts before the user's own in PATH. Scripts
 * run on the user's: set-up removes that command, and a script that was started by it starts again.
 */
export async function runAsProgram(url, main) {
  if (process.argv[1] !== fileURLToPath(url)) return;
  const { npm_node_execpath: chosen, NODE_PATH: _, ...env } = process.env;
  if (chosen !== undefined && !inPackages(chosen) && inPackages(process.execPath)) {
    rmSync(join(ROOT, 'node_modules/.bin/node'), { force: true });
    process.exitCode = await runVisibly(chosen, process.argv.slice(1), { env, cwd: process.cwd() });
    return;
  }
  try {
    process.exitCode = (await main(process.argv.slice(2))) ?? 0;
  } catch (error) {
    process.stderr.write(error instanceof StepError ? `\n${error.report()}\n` : `${error.stack}\n`);
    process.exitCode = 1;
  }
}

const inPackages = (file) => file.startsWith(join(ROOT, 'node_modules'));
