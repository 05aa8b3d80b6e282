// refusal.ts - why a handshake cannot go on, from what the protocol or the device says.

import { type ClcRefusal, type Decline, decline, reasonOfCode } from '@smcjs/core/backend';

/** The Decline for a diagnosis code of ours, with what a verb that failed has said. */
export function declineOf(diagnosis: number, cause?: Error): Decline {
  const { code, syscall, message } = (cause ?? {}) as NodeJS.ErrnoException;
  // The limit of locked memory, or the device's own.
  const registering = syscall === 'ibv_reg_mr' && (code === 'ENOMEM' || code === 'EAGAIN');
  const reason = registering ? 'register-buffers' : reasonOfCode(diagnosis);
  return message === undefined
    ? decline('smcr', 'local', reason)
    : decline('smcr', 'local', reason, `${decline('smcr', 'local', reason).detail}: ${message}`);
}

export const declined = (diagnosis: number, cause?: Error): ClcRefusal => ({ why: declineOf(diagnosis, cause), how: 'decline' });

/** This side's last message is out. */
export const reset = (why: Decline): ClcRefusal => ({ why, how: 'reset' });

/** Is it a Decline, in place of what was asked for? */
export function isDecline<T extends object>(value: T | Decline): value is Decline {
  return 'reason' in value && 'hint' in value;
}

export function isRefusal<T extends object>(value: T | ClcRefusal): value is ClcRefusal {
  return 'how' in value && 'why' in value;
}
