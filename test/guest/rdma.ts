// rdma.ts - what the kernel says of the RDMA device and of what processes have of it: the evidence that RDMA carried something.

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

const PORT = '/sys/class/infiniband/rxe0/ports/1';

/** Packets that rxe0 has sent. */
export function packetsSent(): number {
  return Number(readFileSync(`${PORT}/hw_counters/sent_pkts`, 'utf8'));
}

/** Packets that went another way than was wished: sent again, refused, timed out. */
export function packetsInTrouble(): Record<string, number> {
  const names = readdirSync(`${PORT}/hw_counters`).filter((name) => /retr|nak|rnr|error|duplicate|out_of_seq/i.test(name));
  return Object.fromEntries(names.map((name) => [name, Number(readFileSync(`${PORT}/hw_counters/${name}`, 'utf8'))]));
}

/** How many queue pairs, memory regions, completion queues, protection domains and contexts a process has. */
export function resourcesOf(pid: number): Record<string, number> {
  return Object.fromEntries(
    ['qp', 'mr', 'cq', 'pd', 'ctx'].map((kind) => {
      const all = JSON.parse(execFileSync('rdma', ['-j', 'resource', 'show', kind], { encoding: 'utf8' }) || '[]') as { pid?: number }[];
      return [kind, all.filter((one) => one.pid === pid).length];
    }),
  );
}
