// boot.mjs - runs one command in a guest under QEMU's software emulation (no KVM), whose root is this machine's own root
// file system, writable in memory: real libibverbs over rdma_rxe and the kernel's own SMC, on machines that have neither.
// The guest has no network device: nothing leaves it.

import { spawn } from 'node:child_process';
import { accessSync, constants, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { ROOT } from '../steps.mjs';
import { guestKernel } from './kernel.mjs';

/** command -> Debian package that has it. What runs inside is the host's, too: rdma and ip are iproute2's. */
export const GUEST_PACKAGES = {
  'qemu-system-x86_64': 'qemu-system-x86',
  busybox: 'busybox-static',
  cpio: 'cpio',
  modprobe: 'kmod',
  xz: 'xz-utils',
  rdma: 'iproute2',
  python3: 'python3',
  'apt-get': 'apt',
};

/**
 * A running kernel rewrites branches of its own code ("static keys"), with a breakpoint in place for the time between. Emulated
 * processors that run at the same time may come to a breakpoint that has been taken back already, and the kernel panics ("Oops: int3"):
 * with QEMU 7.2 within a second when a key is switched again and again, with 10.0 within 30. So the guest boots with one processor
 * (`maxcpus`), what is known to switch keys is done (settle.py), then the other one comes. With the last two options nothing is
 * rewritten when it does. The loops in a jiffy (`lpj`), which it would take 2 s to count, are those of 2.5 GHz.
 */
const PROCESSORS = 2;
const KERNEL_OPTIONS = 'console=ttyS0 quiet panic=1 tsc=reliable maxcpus=1 lpj=10000000 noreplace-smp no_ipi_broadcast=1';

/** The system's own, where there is one: others are found by a shell script that takes seconds here. */
export const PYTHON = existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3';

/** Why no guest can run here; undefined when one can. The kernel may still have to be downloaded. */
export function guestLacks() {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    return `the guest needs Linux on x64; this is ${process.platform} on ${process.arch}`;
  const missing = Object.keys(GUEST_PACKAGES).filter((command) => !inPath(command));
  if (missing.length > 0) return `not installed: ${missing.map((command) => GUEST_PACKAGES[command]).join(', ')} (apt-get install ...)`;
  if (!existsSync('/etc/libibverbs.d/rxe.driver')) return 'not installed: ibverbs-providers (apt-get install ...)';
  return undefined;
}

function inPath(command) {
  const directories = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return directories.some((directory) => {
    try {
      accessSync(join(directory, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/**
 * Boots a guest, runs a command as root in it and powers it off.
 *
 * @param {readonly string[]} command with its arguments; paths mean the same as outside
 * @param {object} [options]
 * @param {Record<string, string>} [options.env] added to a bare environment
 * @param {string} [options.cwd] the repository's top by default
 * @param {readonly (readonly string[])[]} [options.prepare] commands that run before it, while there is one processor
 * @param {boolean} [options.rxe] makes the RDMA device rxe0 on lo first (default true); GID index 1 is ::ffff:127.0.0.1
 * @param {number} [options.timeout] seconds until the guest is killed (default 120)
 * @param {number} [options.memory] MiB (default 2048)
 * @param {(chunk: string) => void} [options.onOutput] gets the console's output as it comes
 * @returns {Promise<{code: number | undefined, output: string}>} the command's exit code, undefined when it did not come to its
 *   end (time-out, panic); everything it and the kernel wrote to the console. The command finds `/run/guest` shared:
 *   files it leaves there whose names are given in `options.results` come back as text in `files`.
 */
export async function runInGuest(command, options = {}) {
  const { timeout = 120, memory = 2048, onOutput, results = [] } = options;
  const { kernel, initramfs } = await guestKernel();
  const shared = mkdtempSync(join(tmpdir(), 'smc-guest-'));
  try {
    writeFileSync(join(shared, 'job'), job(command, options));
    const output = await qemu({ kernel, initramfs, shared, timeout, memory, onOutput });
    const code = read(join(shared, 'code'));
    const files = Object.fromEntries(results.map((name) => [name, read(join(shared, name))]));
    return { code: code === undefined ? undefined : Number(code), output, files };
  } finally {
    rmSync(shared, { recursive: true, force: true });
  }
}

function read(file) {
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}

const quote = (word) => `'${word.replaceAll("'", "'\\''")}'`;

function job(command, { env = {}, cwd = ROOT, rxe = true, prepare = [] }) {
  const line = (words) => words.map(quote).join(' ');
  const all = { PATH: `${process.env.PATH}:/usr/sbin:/usr/bin:/sbin:/bin`, HOME: '/root', LANG: 'C.UTF-8', TERM: 'dumb', ...env };
  return [
    "# written by boot.mjs; runs as the guest's process 1",
    'fail() { echo "guest: $1"; busybox poweroff -f; }',
    ...Object.entries(all).map(([name, value]) => `export ${name}=${quote(value)}`),
    // The console is a serial line: no carriage returns, no echo.
    'exec </dev/null >/dev/ttyS0 2>&1',
    'busybox stty -F /dev/ttyS0 raw -echo',
    'ip link set lo up',
    ...(rxe ? ['rdma link add rxe0 type rxe netdev lo'] : []),
    `cd ${quote(cwd)}`,
    ...[[PYTHON, '-I', '-S', join(ROOT, 'scripts/guest/settle.py')], ...prepare].map((words) => `${line(words)} || fail 'not prepared'`),
    'for processor in /sys/devices/system/cpu/cpu[1-9]*; do echo 1 >$processor/online || fail "no $processor"; done',
    // Process 1 has to take in what others leave behind: the command is its child, and setsid gives it a session.
    `setsid ${line(command)} &`,
    'wait $!',
    'echo $? >/run/guest/code',
    'sync',
    'busybox poweroff -f',
    '',
  ].join('\n');
}

function qemu({ kernel, initramfs, shared, timeout, memory, onOutput }) {
  const share = (id, path, more) => [
    ...['-fsdev', `local,id=${id},path=${path},security_model=none,multidevs=remap${more}`],
    ...['-device', `virtio-9p-pci,fsdev=${id},mount_tag=${id}`],
  ];
  // Wide registers, and copying by `rep movsb`, are slow where instructions are emulated one by one: without them the suite is an
  // eighth shorter.
  const processor = 'max,-avx,-avx2,-erms,-fsrm,-la57';
  const args = [
    ...['-accel', 'tcg,thread=multi', '-cpu', processor, '-smp', String(PROCESSORS), '-m', String(memory)],
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-serial', 'stdio', '-no-reboot'],
    ...['-kernel', kernel, '-initrd', initramfs, '-append', KERNEL_OPTIONS],
    ...share('host', '/', ',readonly=on'),
    ...share('out', shared, ''),
  ];
  // timeout(1) ends the guest even when this process is gone.
  const child = spawn('timeout', ['--signal=KILL', String(timeout), 'qemu-system-x86_64', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  // SIGTERM, which timeout(1) passes on; SIGKILL would leave the guest behind.
  const end = () => child.kill('SIGTERM');
  const interrupted = () => {
    end();
    process.exit(1);
  };
  const signals = ['SIGTERM', 'SIGINT', 'SIGHUP'];
  process.once('exit', end);
  for (const signal of signals) process.once(signal, interrupted);
  return new Promise((resolve, reject) => {
    let output = '';
    const take = (chunk) => {
      output += chunk;
      onOutput?.(chunk);
    };
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', take);
    child.once('error', reject);
    child.once('close', () => {
      process.off('exit', end);
      for (const signal of signals) process.off(signal, interrupted);
      resolve(output);
    });
  });
}
