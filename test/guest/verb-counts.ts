// verb-counts.ts - what the kernel did with verbs, counted in the kernel by kprobes: work requests posted, CDC and LLC messages among them,
// completions reported. Neither rdma_rxe nor SMC has a counter of these.

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { onOneProcessor } from './processors.js';

const TRACING = '/sys/kernel/tracing';

/** What is counted, by the function that is called once for each. */
const FUNCTIONS = {
  /** Lists of work requests handed to a queue pair; of a program outside the kernel, doorbells. */
  posted: 'rxe_post_send',
  /** Messages of the kernel's SMC, which are work requests, too. What else it posts are RDMA WRITEs. */
  messages: 'smc_wr_tx_send',
  /** Completions of anybody: of what was sent and of what was received. */
  completions: 'rxe_cq_post',
} as const;

export type VerbCounts = Readonly<Record<keyof typeof FUNCTIONS, number>>;

/** Starts to count, for as long as the guest runs. */
export function countVerbs(): void {
  if (!existsSync(`${TRACING}/kprobe_events`)) execFileSync('mount', ['-t', 'tracefs', 'tracefs', TRACING]);
  onOneProcessor(() => {
    for (const [name, symbol] of Object.entries(FUNCTIONS)) {
      if (existsSync(`${TRACING}/events/smcjs/${name}`)) continue;
      writeFileSync(`${TRACING}/kprobe_events`, `p:smcjs/${name} ${symbol}\n`, { flag: 'a' });
      writeFileSync(`${TRACING}/events/smcjs/${name}/enable`, '1');
    }
  });
}

export function verbCounts(): VerbCounts {
  const counts: Record<string, number> = {};
  for (const line of readFileSync(`${TRACING}/kprobe_profile`, 'utf8').trim().split('\n')) {
    const [name, hits] = line.trim().split(/\s+/) as [string, string];
    counts[name] = Number(hits);
  }
  return counts as VerbCounts;
}
