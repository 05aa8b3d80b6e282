// rdma.ts - what the kernel says of the RDMA device and of what processes have of it: the evidence that RDMA carried something.

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { DEVICE } from './place.js';

const portOf = (device: string): string => `/sys/class/infiniband/${device}/ports/1`;
const PORT = portOf(DEVICE);

/** Packets that a device has sent. */
export function packetsSent(device = DEVICE): number {
  return Number(readFileSync(`${portOf(device)}/hw_counters/sent_pkts`, 'utf8'));
}

/** Packets that went another way than was wished: sent again, refused, timed out. */
export function packetsInTrouble(): Record<string, number> {
  const names = readdirSync(`${PORT}/hw_counters`).filter((name) => /retr|nak|rnr|error|duplicate|out_of_seq/i.test(name));
  return Object.fromEntries(names.map((name) => [name, Number(readFileSync(`${PORT}/hw_counters/${name}`, 'utf8'))]));
}

/**
 * How many queue pairs, memory regions, completion queues, protection domains and contexts a process has. The kernel notes the thread that
 * made each: with us a thread for control verbs.
 */
export function resourcesOf(pid: number): Record<'qp' | 'mr' | 'cq' | 'pd' | 'ctx', number> {
  const threads = new Set(readdirSync(`/proc/${pid}/task`));
  const count = (kind: string): number => {
    const shown = execFileSync('rdma', ['resource', 'show', kind], { encoding: 'utf8' });
    return shown.split('\n').filter((line) => threads.has(/ pid (\d+) /.exec(line)?.[1] ?? '')).length;
  };
  return { qp: count('qp'), mr: count('mr'), cq: count('cq'), pd: count('pd'), ctx: count('ctx') };
}
