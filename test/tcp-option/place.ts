// place.ts - where these tests happen: a cgroup of their own, and mount and network namespaces that are gone with the test. Nothing
// of the machine itself is set up.

import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { onTestFinished } from 'vitest';
import { event } from '../support/events.js';
import { Peer, type PeerOptions } from '../support/peer.js';
import { commandMissing, notRoot } from '../surroundings/host.js';

const SMC = join(import.meta.dirname, '../../packages/smcr/bin/smc.mjs');
const CAPTURE = join(import.meta.dirname, 'capture.py');
/** A user that owns nothing here. */
const NOBODY = 65_533;

const CGROUPS = /^\S+ \S+ \S+ \S+ (\S+) .* - cgroup2 /m.exec(readFileSync('/proc/self/mountinfo', 'utf8'))?.[1];

const CAP_NET_ADMIN = 1n << 12n;
const CAP_SYS_ADMIN = 1n << 21n;

/** Why none of this can be tried, or undefined. */
export const noPlace = (): string | undefined =>
  notRoot() ?? commandMissing('unshare', 'nsenter', 'setpriv', 'ip', 'python3', 'sysctl', 'mount') ?? lacking();

function lacking(): string | undefined {
  if (CGROUPS === undefined) return 'no cgroup file system of version 2 is mounted';
  try {
    accessSync(CGROUPS, constants.W_OK);
  } catch {
    return `${CGROUPS} is read-only`;
  }
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'}`);
  if ((effective & CAP_NET_ADMIN) === 0n || (effective & CAP_SYS_ADMIN) === 0n) return 'CAP_NET_ADMIN and CAP_SYS_ADMIN are needed';
  if (!existsSync('/proc/sys/kernel/unprivileged_bpf_disabled')) return 'this kernel has no BPF';
  return undefined;
}

/** What the program `smc` said. */
export interface Said {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** A packet with the SYN flag, or one of an established connection that has our option nevertheless. */
export interface Packet {
  readonly source: number;
  readonly destination: number;
  readonly kind: 'syn' | 'syn-ack' | 'other';
  /** How often the option is in it. */
  readonly times: number;
}

export interface As {
  /** Outside the cgroup that is set up. */
  readonly outside?: boolean;
  readonly unprivileged?: boolean;
  /** Another Node than this one. */
  readonly node?: string;
  readonly env?: Readonly<Record<string, string>>;
}

let places = 0;

export class Place {
  readonly cgroup = join(CGROUPS as string, `smcjs-test-${process.pid}-${++places}`);
  readonly #holder: ChildProcessByStdio<Writable, Readable, null>;
  readonly #packets: Packet[] = [];

  private constructor(bpfMode: string) {
    const inside = [
      'ip link set lo up',
      // A BPF file system and a /run of its own: what is pinned or made there is nobody else's.
      `mount -t bpf -o mode=${bpfMode} bpf /sys/fs/bpf`,
      'mount -t tmpfs tmpfs /run',
      'echo up',
      'exec cat',
    ];
    const args = ['--net', '--mount', '--propagation', 'private', 'sh', '-c', inside.join(' && ')];
    this.#holder = spawn('unshare', args, { stdio: ['pipe', 'pipe', 'inherit'] });
  }

  /** `bpfMode`: who may look into /sys/fs/bpf; where systemd mounts it, root alone. */
  static async make(bpfMode: '0700' | '0755' = '0700'): Promise<Place> {
    const place = new Place(bpfMode);
    mkdirSync(place.cgroup);
    onTestFinished(async () => {
      // Links go with their last pin, and that with the namespace; the cgroup when its last process is reaped.
      place.#holder.kill('SIGKILL');
      while (existsSync(place.cgroup)) {
        try {
          rmdirSync(place.cgroup);
        } catch {
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      }
    });
    await event(place.#holder.stdout, 'data');
    await place.#capture();
    return place;
  }

  /** How a program is started there: a shell joins the cgroup, then the namespaces, then the user. */
  #command({ outside = false, unprivileged = false }: As): [string, string[]] {
    const join = outside ? '' : `echo $$ >${this.cgroup}/cgroup.procs && `;
    const user = unprivileged ? ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'] : [];
    const { pid } = this.#holder;
    const enter = ['nsenter', `--net=/proc/${pid}/ns/net`, `--mount=/proc/${pid}/ns/mnt`, ...user];
    return ['sh', ['-c', `${join}exec "$@"`, 'sh', ...enter]];
  }

  run(as: As, ...command: string[]): Said {
    const [program, args] = this.#command(as);
    const { status, stdout, stderr } = spawnSync(program, [...args, ...command], { encoding: 'utf8', env: { ...process.env, ...as.env } });
    return { code: status, out: stdout, err: stderr };
  }

  smc(...args: string[]): Said {
    return this.smcAs({}, ...args);
  }

  smcAs(as: As, ...args: string[]): Said {
    return this.run(as, process.execPath, SMC, ...args);
  }

  /** Sets up for the cgroup. */
  setUp(): void {
    const { code, err } = this.smc('setup', '--cgroup', this.cgroup);
    if (code !== 0) throw new Error(err);
  }

  async teller(as: As = {}): Promise<Peer> {
    const [execPath, execArgv] = this.#command(as);
    const options: PeerOptions = { execPath, execArgv: [...execArgv, as.node ?? process.execPath], env: as.env ?? {} };
    const peer = new Peer('../tcp-option/teller', {}, options);
    await peer.message('ready');
    return peer;
  }

  async #capture(): Promise<void> {
    const child = spawn('nsenter', [`--net=/proc/${this.#holder.pid}/ns/net`, 'python3', CAPTURE], { stdio: ['pipe', 'pipe', 'inherit'] });
    onTestFinished(() => void child.kill('SIGKILL'));
    const lines = createInterface({ input: child.stdout });
    const ready = event(lines, 'line');
    await ready;
    lines.on('line', (line) => void this.#packets.push(JSON.parse(line) as Packet));
  }

  /**
   * SYN and SYN-ACK of the connection between those ports, as they crossed the wire; resolves when both are there. Two connections
   * to different ports may come from the same one.
   */
  async handshake(from: number, to: number): Promise<{ syn: number; synAck: number; others: number }> {
    for (;;) {
      const mine = this.#packets.filter(
        ({ source, destination }) => (source === from && destination === to) || (source === to && destination === from),
      );
      const syn = mine.find(({ kind }) => kind === 'syn');
      const synAck = mine.find(({ kind }) => kind === 'syn-ack');
      if (syn !== undefined && synAck !== undefined) {
        return { syn: syn.times, synAck: synAck.times, others: mine.filter(({ kind }) => kind === 'other').length };
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}
