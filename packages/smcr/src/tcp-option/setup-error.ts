// setup-error.ts - errors of the TCP option: each with a code and with what a person can do about it.

import { getSystemErrorName } from 'node:util';
import { SmcError, type SmcErrorCode } from '@smcjs/core/backend';

const HINTS = {
  ERR_SMC_NOT_SET_UP: 'run `smc setup` once, as root (npx @smcjs/smcr setup)',
  ERR_SMC_SETUP_PRIVILEGE:
    'set up as root (CAP_BPF, CAP_NET_ADMIN, CAP_SYS_ADMIN); a container has to allow the system call bpf; ' +
    'to use it without privileges Linux 5.19 or newer is needed, or kernel.unprivileged_bpf_disabled=0',
  ERR_SMC_NO_CGROUP: 'mount -t cgroup2 none /sys/fs/cgroup, or name a directory of it by --cgroup',
  ERR_SMC_NO_BPFFS: 'mount -t bpf bpf /sys/fs/bpf, or name a directory on one by SMC_BPF_DIR',
  ERR_SMC_OLD_KERNEL: 'Linux 5.10 or newer is needed, with CONFIG_BPF_SYSCALL and CONFIG_CGROUP_BPF',
  ERR_SMC_NO_ADDON: 'the message lists every attempt; the package has the addon for Linux',
} as const satisfies Partial<Record<SmcErrorCode, string>>;

export type SetupErrorCode = keyof typeof HINTS;

/** What kept the TCP option from being set up or used. `hint` says what to do. */
export class SetupError extends SmcError {
  declare readonly code: SetupErrorCode;
  readonly hint: string;

  constructor(code: SetupErrorCode, message: string, options?: ErrorOptions) {
    super(code, message, options);
    this.name = 'SetupError';
    this.hint = HINTS[code];
  }
}

/** The result of a system call, or the error that a negative one stands for. */
export function checked(result: number, what: string, detail = ''): number {
  if (result >= 0) return result;
  const name = getSystemErrorName(result);
  throw new SetupError(CODE_OF[name] ?? 'ERR_SMC_OLD_KERNEL', `${what}: ${name}${detail === '' ? '' : `\n${detail}`}`);
}

/** The result of a call for one socket: what is wrong with the socket is an error shaped like node's own. */
export function checkedSocket(result: number, syscall: string): number {
  if (result >= 0) return result;
  const code = getSystemErrorName(result);
  if (code === 'EPERM' || code === 'EACCES') throw new SetupError('ERR_SMC_SETUP_PRIVILEGE', `${syscall}: ${code}`);
  throw Object.assign(new Error(`${code}: ${syscall}`), { code, errno: result, syscall });
}

/** A kernel that lacks a command, a type or a helper says EINVAL; one without bpf(2) ENOSYS. */
const CODE_OF: Readonly<Record<string, SetupErrorCode>> = {
  EPERM: 'ERR_SMC_SETUP_PRIVILEGE',
  EACCES: 'ERR_SMC_SETUP_PRIVILEGE',
  ENOENT: 'ERR_SMC_NOT_SET_UP',
  EBADF: 'ERR_SMC_NO_CGROUP',
};
