// kernel.mjs - the kernel of the test guest: Debian's image package, downloaded and unpacked, never installed, and an
// initramfs with the few modules that RDMA in software (rdma_rxe) and SMC need. Both are made once and kept in the user's
// cache directory ($XDG_CACHE_HOME/smcjs-guest), shared by every clone.

import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fingerprint, run, StepError } from '../steps.mjs';

const HERE = dirname(fileURLToPath(import.meta.url));
const PACKAGE = /^linux-image-6\.12\.[^-]*-amd64$/;

/** What the guest needs beyond the kernel proper. Without crc32_generic a device of rdma_rxe cannot be made (ENOENT). */
const MODULES = [
  ['crc32_generic', 'crc32c_generic', 'virtio_pci', 'virtio_net', '9p', '9pnet_virtio', 'overlay'],
  ['rdma_rxe', 'ib_uverbs', 'rdma_ucm', 'rdma_cm', 'smc', 'smc_diag', 'veth', 'bridge', 'sch_netem'],
].flat();

const cacheDirectory = () => join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'smcjs-guest');

/**
 * The guest's kernel and initramfs, made when they are not in the cache.
 *
 * @returns {Promise<{kernel: string, initramfs: string}>} paths of two files
 * @throws StepError when the image package cannot be had or unpacked
 */
export async function guestKernel() {
  const cache = cacheDirectory();
  const name = fingerprint(MODULES, [join(HERE, 'init')]).slice(0, 16);
  const found = join(cache, name);
  if (!existsSync(found)) {
    mkdirSync(cache, { recursive: true });
    const work = mkdtempSync(join(cache, 'new-'));
    try {
      await make(work);
      publish(join(work, 'result'), found);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  }
  return { kernel: join(found, 'vmlinuz'), initramfs: join(found, 'initramfs') };
}

/** Two that make it at the same time both have a complete one; the first to get there is kept. */
function publish(from, to) {
  try {
    renameSync(from, to);
  } catch (error) {
    if (!existsSync(to)) throw error;
  }
}

async function make(work) {
  const result = join(work, 'result');
  mkdirSync(result);
  const advice = 'the guest needs a Debian mirror (apt-get update), dpkg, kmod, xz-utils, cpio and busybox-static';
  // apt downloads as its own user, who cannot write here when root runs this: said aloud, it does it as root.
  await run('apt-get', ['download', '-qq', '-o', 'APT::Sandbox::User=root', newestImage()], { cwd: work, advice });
  const file = readdirSync(work).find((name) => name.endsWith('.deb'));
  await run('dpkg', ['-x', file, 'image'], { cwd: work, advice });
  const boot = join(work, 'image/boot');
  const kernel = readdirSync(boot).find((name) => name.startsWith('vmlinuz-'));
  copyFileSync(join(boot, kernel), join(result, 'vmlinuz'));
  await initramfs(work, kernel.slice('vmlinuz-'.length), join(result, 'initramfs'));
}

/** Debian keeps several versions at a time; the highest is asked for by its own name. */
function newestImage() {
  const names = execFileSync('apt-cache', ['pkgnames', 'linux-image-6.12.'], { encoding: 'utf8' }).split('\n');
  const [newest] = names.filter((name) => PACKAGE.test(name)).sort((a, b) => b.localeCompare(a, 'en', { numeric: true }));
  if (newest === undefined) {
    throw new StepError('no linux-image-6.12 package is known to apt', { advice: 'apt-get update, with a mirror of Debian 12 or 13' });
  }
  return newest;
}

async function initramfs(work, version, target) {
  const image = join(work, 'image');
  const root = join(work, 'initramfs');
  const modules = join(root, 'modules');
  mkdirSync(join(root, 'bin'), { recursive: true });
  mkdirSync(modules);
  const usr = existsSync(join(image, 'usr/lib/modules'));
  const base = usr ? join(image, 'usr') : image;
  await run('depmod', ['-b', base, version]);
  const order = [];
  for (const file of await moduleFiles(base, version)) {
    const name = basename(file).replace(/\.xz$/, '');
    const bytes = file.endsWith('.xz') ? execFileSync('xz', ['-dc', file], { maxBuffer: 1 << 28 }) : readFileSync(file);
    writeFileSync(join(modules, name), bytes);
    order.push(name);
  }
  writeFileSync(join(modules, 'order'), `${order.join('\n')}\n`);
  copyFileSync(join(HERE, 'init'), join(root, 'init'));
  chmodSync(join(root, 'init'), 0o755);
  copyFileSync(busybox(), join(root, 'bin/busybox'));
  await run('sh', ['-c', 'find . | cpio -o -H newc --quiet | gzip -9 >"$1"', 'sh', target], { cwd: root });
}

/** The modules with all they depend on, each once, in the order they are to be loaded. */
async function moduleFiles(base, version) {
  const files = new Set();
  for (const name of MODULES) {
    const shown = await run('modprobe', ['-d', base, '-S', version, '--show-depends', name]);
    for (const line of shown.split('\n')) {
      const [verb, file] = line.trim().split(/\s+/);
      if (verb === 'insmod') files.add(file);
    }
  }
  return files;
}

function busybox() {
  const found = ['/usr/bin/busybox', '/bin/busybox'].find((file) => existsSync(file));
  if (found === undefined) throw new StepError('there is no busybox', { advice: 'apt-get install busybox-static' });
  return found;
}
