// decline.ts - why a transport was not used: one table of reasons, one value per unused transport.
//
// Numbers are the peer diagnosis codes of SMC (RFC 7609 appendix, smcss(8)); ours, which the standard has no number
// for, are in the class 0x0a... A number goes over the wire in CLC Decline, the text and hint do not.

/** The transports, in the order a server prefers them unless told otherwise. */
export const TRANSPORT_NAMES = ['memory', 'smcd', 'smcr', 'tcp'] as const;
export type TransportName = (typeof TRANSPORT_NAMES)[number];

/** Who refused: this side, the peer, or neither (the situation does not allow it). */
export type DeclineSide = 'local' | 'peer' | 'path';

interface ReasonRow {
  readonly code: number;
  readonly text: string;
  readonly hint: string;
}

/** All reasons. The key is stable and what programs match; the text may be improved. */
export const REASONS = {
  'no-memory': {
    code: 0x01010000,
    text: 'memory for the ring could not be had',
    hint: 'raise the memory limit or lower ringSize (SMC_RING_SIZE)',
  },
  'timeout-confirm-link': {
    code: 0x02010000,
    text: 'the peer did not answer CONFIRM LINK in time',
    hint: 'check that the peer runs and that RDMA traffic passes',
  },
  'timeout-add-link': {
    code: 0x02020000,
    text: 'the peer did not answer ADD LINK in time',
    hint: 'check that the peer runs and that RDMA traffic passes',
  },
  configuration: { code: 0x03000000, text: 'excluded by configuration', hint: 'add it to the transports option (SMC_TRANSPORTS)' },
  'peer-not-smc': { code: 0x03010000, text: 'the peer does not speak SMC', hint: 'use this library, or a kernel with SMC, at both ends' },
  ipsec: { code: 0x03020000, text: 'the path is protected by IPsec, which SMC would bypass', hint: '' },
  'no-device': {
    code: 0x03030000,
    text: 'no device for SMC-D or SMC-R',
    hint: 'add an RDMA device (rdma link), or one in software: modprobe rdma_rxe; rdma link add rxe0 type rxe netdev eth0',
  },
  'no-smcd': { code: 0x03030001, text: 'SMC-D cannot be used here', hint: 'see detail; install @smcjs/smcd on Linux' },
  'no-smcr': { code: 0x03030002, text: 'SMC-R cannot be used here', hint: 'an RDMA device and libibverbs are needed' },
  'no-v2-extension': { code: 0x03030004, text: 'the Proposal has no version 2 part', hint: 'a newer SMC is needed at the client' },
  'no-ueid': { code: 0x03030008, text: 'the two sides have no EID in common', hint: 'configure the same UEID at both ends (smcr ueid)' },
  release: { code: 0x03030009, text: 'the Confirm repeats another release than was agreed', hint: 'please report it' },
  'max-conns': { code: 0x0303000a, text: 'the connections per link group cannot be agreed', hint: '16 to 255 are possible' },
  'max-links': { code: 0x0303000b, text: 'the links per link group cannot be agreed', hint: '1 or 2 are possible' },
  'modes-differ': {
    code: 0x03040000,
    text: 'the two sides have no transport in common',
    hint: 'compare the transports option of both sides',
  },
  eyecatchers: { code: 0x03050000, text: 'the peer wants eyecatchers in its memory', hint: 'it speaks an old form of SMC-R' },
  'socket-option': { code: 0x03060000, text: 'a socket option is in use that SMC does not have', hint: 'TCP fast open, for example' },
  subnet: { code: 0x03070000, text: 'the two ends are not in one subnet', hint: 'version 1 needs that; use version 2' },
  vlan: { code: 0x03080000, text: 'the VLAN of the connection could not be found', hint: '' },
  'no-active-link': { code: 0x030a0000, text: 'the link group has no active link', hint: 'connect again' },
  'no-server-link': { code: 0x030b0000, text: 'the link the server named is not known', hint: 'connect again' },
  version: { code: 0x030c0000, text: 'the versions of the two sides do not fit', hint: 'use the same major version at both ends' },
  'too-many-connections': { code: 0x030d0000, text: 'the link group has no free element', hint: 'close connections or raise the limit' },
  'no-route': { code: 0x030e0000, text: 'no route to the RDMA address of the peer', hint: 'both ends must be in one subnet' },
  'not-indirect': { code: 0x030f0000, text: 'the sides disagree whether a gateway is between them', hint: '' },
  'out-of-sync': { code: 0x04000000, text: 'the two sides disagree about their link group', hint: 'connect again' },
  'peer-declined': { code: 0x05000000, text: 'the peer declined', hint: "see the peer's own declines" },
  internal: { code: 0x09990000, text: 'an internal failure', hint: 'see detail; please report it' },
  rtoken: { code: 0x09990001, text: 'the memory of the peer could not be noted', hint: 'the link group has too many RMBs' },
  'ready-link': { code: 0x09990002, text: 'the queue pair could not be connected', hint: 'check the RDMA device and the network between' },
  'register-buffers': { code: 0x09990003, text: 'memory could not be registered', hint: 'raise the memory lock limit (ulimit -l)' },
  'not-installed': {
    code: 0x0a010000,
    text: 'the backend package is not installed',
    hint: 'install @smcjs/smcd (or @smcjs/smcr) beside @smcjs/core',
  },
  'no-addon': {
    code: 0x0a020000,
    text: 'the native addon could not be loaded',
    hint: 'detail lists every attempt; SMC_ADDON, for smcr SMC_VERBS_ADDON, names another file',
  },
  'unsupported-os': { code: 0x0a030000, text: 'this operating system is not supported', hint: 'Linux is needed' },
  'old-kernel': { code: 0x0a040000, text: 'the kernel lacks a needed feature', hint: 'Linux 5.6 or newer is needed' },
  permission: {
    code: 0x0a050000,
    text: 'the permission model or a sandbox forbids it',
    hint: 'run with --allow-addons and file access to the runtime directory; RDMA: let the process open /dev/infiniband/uverbs*',
  },
  'runtime-dir': {
    code: 0x0a060000,
    text: 'there is no runtime directory that can be trusted',
    hint: 'set SMC_RUNTIME_DIR to a directory of yours with mode 0700',
  },
  'no-marker': {
    code: 0x0a070000,
    text: 'nobody at that address and port speaks SMC',
    hint: 'the server must listen with this library on the same host',
  },
  'no-offer': {
    code: 0x0a080000,
    text: 'the listener did not offer SMC in time',
    hint: 'a plain listener shares the port, or the server is stopped; see discoveryWait',
  },
  'no-gid': {
    code: 0x0a150000,
    text: 'no RDMA port has a GID for the address of the connection',
    hint: 'connect by an address that the network interface of the RDMA device has (rdma link; ip addr)',
  },
  'unknown-peer': {
    code: 0x0a140000,
    text: 'it cannot be known whether the peer speaks SMC',
    hint: "run `smc setup` of @smcjs/smcr at both ends; or, where both use this library and the client speaks first, discovery: 'inline' (SMC_DISCOVERY)",
  },
  'foreign-user': {
    code: 0x0a090000,
    text: 'the peer runs as another user',
    hint: 'run both ends as the same user, or allow each the other (SMC_PEER_USERS), in one PID namespace',
  },
  'not-same-host': { code: 0x0a0a0000, text: 'the two ends are not on the same host or in the same event loop', hint: '' },
  'not-preferred': { code: 0x0a0b0000, text: 'a transport the server prefers was usable', hint: "order the server's transports option" },
  'node-internals': { code: 0x0a0c0000, text: 'this Node version lacks an internal the socket needs', hint: 'use Node 20, 22, 24 or 26' },
  timeout: { code: 0x0a0d0000, text: 'the handshake took too long', hint: 'is the peer stopped or overloaded?' },
  'peer-violation': {
    code: 0x0a0e0000,
    text: 'the peer broke the protocol of the handshake',
    hint: 'something else listens there, or the peer is hostile',
  },
  'no-library': {
    code: 0x0a100000,
    text: 'libibverbs cannot be used',
    hint: 'install libibverbs and its providers, version 32 or newer (Debian: libibverbs1 ibverbs-providers; others: rdma-core)',
  },
  'no-active-port': {
    code: 0x0a110000,
    text: 'no port of an RDMA device is active',
    hint: 'bring its network interface up (rdma link; ip link set NAME up) or connect the cable',
  },
  memlock: {
    code: 0x0a120000,
    text: 'the process may lock too little memory',
    hint: 'raise RLIMIT_MEMLOCK (ulimit -l, LimitMEMLOCK= of systemd, --ulimit memlock= of a container) or give CAP_IPC_LOCK',
  },
  'not-tcp': { code: 0x0a0f0000, text: 'not a TCP connection', hint: 'paths and pipes always use the operating system' },
  translated: {
    code: 0x0a130000,
    text: 'addresses are translated between the two ends',
    hint: 'connect to the address the server itself has',
  },
} as const satisfies Record<string, ReasonRow>;

export type DeclineReason = keyof typeof REASONS;

/** Why one transport was not used for one connection. Plain data: safe to log and to serialise. */
export interface Decline {
  readonly transport: TransportName;
  readonly side: DeclineSide;
  readonly reason: DeclineReason;
  /** Peer diagnosis code, see {@link REASONS}. */
  readonly code: number;
  /** One English line, with what was found. */
  readonly detail: string;
  /** What a person can do about it; empty when nothing is wrong. */
  readonly hint: string;
}

export function decline(transport: TransportName, side: DeclineSide, reason: DeclineReason, detail?: string): Decline {
  const row: ReasonRow = REASONS[reason];
  return { transport, side, reason, code: row.code, detail: detail ?? row.text, hint: row.hint };
}

const byCode = new Map<number, DeclineReason>(
  (Object.entries(REASONS) as [DeclineReason, ReasonRow][]).map(([reason, row]) => [row.code, reason]),
);

/** The reason a peer's diagnosis code stands for; unknown codes read as `peer-declined`. */
export function reasonOfCode(code: number): DeclineReason {
  return byCode.get(code) ?? 'peer-declined';
}

/** Nobody was found to speak this transport for a connection: what is said of it at the client and at the server. */
export function absent(transport: TransportName, end: 'client' | 'server'): Decline {
  if (transport === 'memory') return decline(transport, 'path', 'not-same-host', 'the two ends are not in the same event loop');
  // A server that could not know has said so when it began to listen.
  if (transport === 'smcr' && end === 'client') return decline(transport, 'path', 'unknown-peer');
  return end === 'client' ? decline(transport, 'path', 'no-marker') : decline(transport, 'peer', 'peer-not-smc');
}
