// two-networks.ts - two networks between "us" and "the kernel", in one guest: frames really travel, and each network can fail alone.
//
//   us      rxa0 on a0 10.0.0.1 ==== veth ==== a1 10.0.0.2 on rxa1    the kernel
//           rxb0 on b0 10.0.0.3 ==== veth ==== b1 10.0.0.4 on rxb1
//
// TCP between these addresses stays on lo. The kernel takes rxa1 and rxb1, in this order, because they and lo have one PNET id.

import { execFileSync, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { addPnetids, removePnetids } from './kernel-smc.js';

/** Interfaces, with the last number of their addresses and the PNET id; `rx` and the name is the device. */
export const PLACES = [
  ['a0', 1, 'OURS'],
  ['a1', 2, 'KERNELS'],
  ['b0', 3, 'OURS'],
  ['b1', 4, 'KERNELS'],
] as const;

export const OURS = { devices: ['rxa0', 'rxb0'], address: '10.0.0.1' } as const;
export const KERNELS = { devices: ['rxa1', 'rxb1'], address: '10.0.0.2' } as const;

export function run(...command: [string, ...string[]]): void {
  execFileSync(command[0], command.slice(1), { stdio: ['ignore', 'ignore', 'inherit'] });
}

/** One shell for all of them: to start a process takes long on emulated processors. */
function shell(...commands: string[]): void {
  run('sh', '-ec', commands.join('\n'));
}

const names = PLACES.map(([name]) => name);
/** Both ends of a cable; or one, of which the other is in a bridge that all share: every device reaches every other, and fails alone. */
const CABLES = {
  apart: ['ip link add a0 type veth peer name a1', 'ip link add b0 type veth peer name b1'],
  joined: [
    // It would answer for every address of this host.
    'ip link add bridged up arp off type bridge',
    ...names.flatMap((name) => [`ip link add ${name} type veth peer name ${name}-far`, `ip link set ${name}-far master bridged up`]),
  ],
} as const;

export function makeNetworks(how: keyof typeof CABLES = 'apart'): void {
  shell(
    ...CABLES[how],
    ...['all', ...names].map((name) => `sysctl -qw net.ipv4.conf.${name}.accept_local=1 net.ipv4.conf.${name}.rp_filter=0`),
    ...PLACES.flatMap(([name, host]) => [
      // Each interface answers for its own address only.
      `sysctl -qw net.ipv4.conf.${name}.arp_ignore=1 net.ipv6.conf.${name}.disable_ipv6=1`,
      `ip address add 10.0.0.${host}/24 dev ${name}`,
      `ip link set ${name} up`,
    ]),
    // An RDMA device on each.
    ...names.map((name) => `rdma link add rx${name} type rxe netdev ${name}`),
  );
  addPnetids(...PLACES.map(([name, , network]) => [network, 'ib', `rx${name}`] as const), ['KERNELS', 'eth', 'lo']);
}

/**
 * Removes them when this process has ended: rdma_rxe takes no device away that a program has open, and we keep link groups for later
 * connections. The next file waits for that (setup.ts).
 */
export function removeNetworks(): void {
  removePnetids();
  // With one end of a cable the other goes.
  const remove = [...names, 'bridged'].map((name) => `[ ! -e /sys/class/net/${name} ] || ip link del ${name}`);
  const script = [`while kill -0 ${process.pid}; do sleep 0.1; done`, ...remove].join('\n');
  spawn('sh', ['-c', script], { detached: true, stdio: 'ignore' }).unref();
}

/** The two networks, by the first letter of their interfaces. */
export const NETWORKS = ['a', 'b'] as const;
export type Network = (typeof NETWORKS)[number];

/** Packets that the devices on either side of each network have sent, in the order of {@link NETWORKS}. */
export function packetsOver(): readonly [number, number] {
  const sent = (device: string) => Number(readFileSync(`/sys/class/infiniband/${device}/ports/1/hw_counters/sent_pkts`, 'utf8'));
  return NETWORKS.map((network) => sent(`rx${network}0`) + sent(`rx${network}1`)) as [number, number];
}

const interfaceFailure = (name: string, side: 0 | 1) => ({
  name,
  fail: (network: Network = 'a') => run('ip', 'link', 'set', `${network}${side}`, 'down'),
  mend: (network: Network = 'a') => run('ip', 'link', 'set', `${network}${side}`, 'up'),
});

/**
 * How a network can fail, and be mended: its interface here or at the other end goes down, or packets get lost without a word. Only in
 * the first two cases the devices tell of it, and of its return.
 */
export const FAILURES = {
  ours: interfaceFailure('our interface goes down', 0),
  theirs: interfaceFailure("the other's interface goes down", 1),
  lost: {
    name: 'loss of every packet',
    fail: (network: Network = 'a') => {
      for (const side of [0, 1]) run('tc', 'qdisc', 'add', 'dev', `${network}${side}`, 'root', 'netem', 'loss', '100%');
    },
    mend: (network: Network = 'a') => {
      for (const side of [0, 1]) run('tc', 'qdisc', 'del', 'dev', `${network}${side}`, 'root');
    },
  },
} as const;
