// arguments.ts - the command line of the benchmark.

import { LANES, type Lane, laneKey, TRANSPORTS, USUAL_LANES } from './lanes.js';
import { FULL, GUEST, type Plan, QUICK } from './plan.js';

export const CASES = [
  'roundtrip',
  'oneway',
  'connect',
  'http',
  'fallback',
  'polite',
  'idle',
  'many',
  'onecore',
  'threads',
  'frames',
  'pool',
] as const;
export type CaseOption = (typeof CASES)[number];

export const DEFAULT_SIZES: readonly number[] = [64, 1024, 16_384, 65_536, 1_048_576];
const LARGEST = 16 << 20;

export interface Options {
  help: boolean;
  quick: boolean;
  targets: boolean;
  json: string | undefined;
  cases: readonly CaseOption[];
  lanes: readonly Lane[];
  sizes: readonly number[];
  plan: Plan;
}

export const HELP = `Measures this library side by side with what else connects two Node.js processes.

  npm run bench -- [options]

  --quick              a short run: within 90 seconds on two slow cores
  --only CASE,...      ${CASES.join(', ')}
  --transports T,...   ${TRANSPORTS.join(', ')}; or transport/mode:
                       ${LANES.map(laneKey).join(', ')}
  --sizes N,...        bytes per message, multiples of 64, or with K or M (default ${DEFAULT_SIZES.map(sizeName).join(',')})
  --rounds N           rounds of round trips, one-way traffic, threads, frames and pools (default ${FULL.rounds} and ${FULL.threadsRounds}, quick
                       ${QUICK.rounds} and ${QUICK.threadsRounds}, or fewer when time is up)
  --targets            compare with the goals
  --json FILE          write all figures
  --guest              in a virtual machine with an RDMA device in software: transports smcr, smc-kernel and tcp; emulated
                       processors, so ratios mean something and times do not
  --help

A report for the browser is written to bench/results/report.html. Exit code: 0; 1 when a transport broke or delivered
wrong data; 2 for arguments that cannot be used.
`;

/** Something is wrong with the arguments; the message says what would be right. */
export class UsageError extends Error {}

export function sizeName(bytes: number): string {
  if (bytes >= 1 << 20 && bytes % (1 << 20) === 0) return `${bytes >> 20}M`;
  if (bytes >= 1024 && bytes % 1024 === 0) return `${bytes >> 10}K`;
  return String(bytes);
}

const FLAGS = ['--help', '--quick', '--targets', '--guest'];
const VALUES = ['--only', '--transports', '--sizes', '--rounds', '--json'];

/** @throws UsageError */
export function parseArguments(argv: readonly string[]): Options {
  const given = new Map<string, string>();
  for (let i = 0; i < argv.length; i++) {
    const [name, inline] = split(argv[i] as string);
    if (FLAGS.includes(name) && inline === undefined) given.set(name, '');
    else if (VALUES.includes(name)) {
      const value = inline ?? argv[++i];
      if (value === undefined || value === '' || value.startsWith('--')) throw new UsageError(`${name} needs a value`);
      given.set(name, value);
    } else throw new UsageError(`unknown argument ${argv[i]}; there are ${[...FLAGS, ...VALUES].join(', ')}`);
  }
  const quick = given.has('--quick');
  const plan = quick ? QUICK : given.has('--guest') ? GUEST : FULL;
  return {
    help: given.has('--help'),
    quick,
    targets: given.has('--targets'),
    json: given.get('--json'),
    cases: list(given.get('--only'), CASES, (text) => pickCase(text)),
    lanes: list(given.get('--transports'), LANES, pickLanes, USUAL_LANES),
    sizes: list(given.get('--sizes'), DEFAULT_SIZES, (text) => [parseSize(text)]),
    plan: { ...plan, ...parseRounds(given.get('--rounds')) },
  };
}

function split(argument: string): [string, string | undefined] {
  const equals = argument.indexOf('=');
  return argument.startsWith('--') && equals > 0 ? [argument.slice(0, equals), argument.slice(equals + 1)] : [argument, undefined];
}

/** The chosen values in the order of the list, each once. */
function list<T>(text: string | undefined, all: readonly T[], pick: (text: string) => readonly T[], usual = all): readonly T[] {
  if (text === undefined) return usual;
  const picked = new Set(text.split(',').flatMap((item) => pick(item.trim())));
  return [...all.filter((value) => picked.has(value)), ...[...picked].filter((value) => !all.includes(value))];
}

function pickCase(text: string): CaseOption[] {
  const found = CASES.filter((name) => name === text);
  if (found.length === 0) throw new UsageError(`--only ${text}: there are ${CASES.join(', ')}`);
  return found;
}

function pickLanes(text: string): Lane[] {
  const found = LANES.filter((lane) => lane.transport === text || laneKey(lane) === text);
  if (found.length === 0)
    throw new UsageError(`--transports ${text}: there are ${TRANSPORTS.join(', ')}, or one of ${LANES.map(laneKey).join(', ')}`);
  return found;
}

function parseSize(text: string): number {
  const match = /^(\d+)([km]?)$/i.exec(text);
  const unit = { '': 1, k: 1024, m: 1 << 20 }[match?.[2]?.toLowerCase() ?? ''] ?? 1;
  const bytes = Number(match?.[1]) * unit;
  if (!(bytes >= 64 && bytes <= LARGEST && bytes % 64 === 0))
    throw new UsageError(`--sizes ${text}: a multiple of 64 up to ${sizeName(LARGEST)}`);
  return bytes;
}

function parseRounds(text: string | undefined): Partial<Plan> {
  if (text === undefined) return {};
  if (!/^\d+$/.test(text) || Number(text) < 1 || Number(text) > 1000) throw new UsageError(`--rounds ${text}: a number from 1 to 1000`);
  return { rounds: Number(text), threadsRounds: Number(text) };
}
