// errors.ts - every error this library raises itself, in one table. Match errors by `code`, never by text.

import type { Decline } from './transport/decline.js';

/** Codes of this library and what they mean. POSIX situations keep their POSIX code (`ECONNRESET`, `EPIPE`). */
export const ERROR_CODES = {
  ERR_SMC_INVALID_OPTION: 'an argument, an option or its environment variable is missing or has an unusable value',
  ERR_SMC_FALLBACK: "no allowed transport could be used and `fallback` is 'error'",
  ERR_SMC_PEER_VIOLATION: 'the peer broke the protocol (cursor, record length, state or message); the connection is reset',
  ERR_SMC_RECORD_TOO_LARGE: 'a record is larger than half the ring',
  ERR_SMC_RING_MISUSE:
    'no bytes or no number of bytes given to a ring; more committed or released than reserved or peeked; stream and ring mixed',
  ERR_SMC_RING_SOCKET: 'a ring connection was given to `send` of a child process or of this one: it belongs to its event loop',
  ERR_SMC_CLC: 'a CLC message is malformed',
  ERR_SMC_LLC: 'an LLC message is malformed',
  ERR_SMC_INVALID_PORT: 'the value is no port of a worker channel',
  ERR_SMC_PORT_IN_USE: 'this end of a worker channel is open already',
  ERR_SMC_FRAME_TYPE: 'what comes next is no frame, or one of another element type; it stays in the ring',
  ERR_SMC_FRAME_MISUSE: 'a frame was used after its commit or release, or the one before it is still held',
  ERR_SMC_BUFFER_FULL: 'values came faster than the connection took them, and as many as may wait are waiting',
  ERR_SMC_NAMED_UNAVAILABLE: 'named segments cannot be used here: package, thread, system or memory; the message says which',
  ERR_SMC_NAME_IN_USE: 'this end of a named segment belongs to another process, or this process has the name open already',
  ERR_SMC_NAME_NOT_FOUND: 'nobody created a named segment of this name in the time allowed',
  ERR_SMC_SEGMENT_INVALID:
    "the memory under this name is not a usable named segment: another program's or user's, damaged, of another version, or removed",
  ERR_SMC_TASK_ENDED: 'the task of a worker pool ended without an answer to what it was given',
  ERR_SMC_NOT_SET_UP: '`smc setup` has not been run on this machine, or was undone',
  ERR_SMC_SETUP_PRIVILEGE: 'the kernel refuses the TCP option of SMC to this process',
  ERR_SMC_NO_CGROUP: 'there is no cgroup (version 2) to set up for',
  ERR_SMC_NO_BPFFS: 'there is no BPF file system to keep the program in',
  ERR_SMC_OLD_KERNEL: 'the kernel is too old for the TCP option of SMC',
  ERR_SMC_NO_ADDON: 'the native addon of a package could not be loaded',
} as const;

export type SmcErrorCode = keyof typeof ERROR_CODES;

/** An error raised by this library. `declines` is set when no transport was left (`ERR_SMC_FALLBACK`). */
export class SmcError extends Error {
  readonly code: SmcErrorCode;
  declines?: readonly Decline[];

  constructor(code: SmcErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'SmcError';
    this.code = code;
  }
}

/** An error with a POSIX code, shaped like those node:net emits. */
export function systemError(
  code: 'EALREADY' | 'ECANCELED' | 'ECONNRESET' | 'EPIPE' | 'ETIMEDOUT',
  syscall: string,
  cause?: Error,
): NodeJS.ErrnoException {
  const errno = { EALREADY: -114, ECANCELED: -125, ECONNRESET: -104, EPIPE: -32, ETIMEDOUT: -110 }[code];
  const error = cause === undefined ? new Error(`${syscall} ${code}`) : new Error(`${syscall} ${code}`, { cause });
  return Object.assign(error, { code, errno, syscall });
}
