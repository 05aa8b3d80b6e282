// loss.ts - why the connections of a link group were lost, for the people who have to do something about it.

import type { Link } from '../group/index.js';
import { DELETE_REASON } from '../llc/index.js';
import { STATUS } from '../verbs-provider.js';

/** Names as in ibv_wc_status_str(3), and what they mean here. */
const STATUS_TEXT: Readonly<Record<number, string>> = {
  [STATUS.localProtection]: 'local protection error',
  [STATUS.flushed]: 'the queue pair went to the error state',
  [STATUS.remoteInvalidRequest]: 'remote invalid request error: the peer has no room for such a message',
  [STATUS.remoteAccess]: 'remote access error: the peer does not allow what was written, or its key is wrong',
  [STATUS.remoteOperation]: 'the adapter of the peer reports an error',
  [STATUS.retryExceeded]: 'transport retry counter exceeded: the adapter of the peer does not answer',
  [STATUS.rnrRetryExceeded]: 'receiver-not-ready retry counter exceeded: the peer takes no messages',
  [STATUS.fatal]: 'fatal error of the adapter',
  [STATUS.general]: 'general error of the adapter',
};

const HINTS = {
  path: 'connect again; look at the RDMA ports and the network of both hosts: rdma link, rdma statistic, dmesg',
  protocol: 'connect again; if it happens again, set NODE_DEBUG=smcr at both ends to see who sent what',
} as const;

/** Why a connection was lost. It is the `cause` of the socket's error. */
export interface LossError extends Error {
  readonly hint: string;
}

export class Loss {
  /** Of DELETE LINK, when the group has ended. */
  reason: number | undefined;
  /** The link that failed last. */
  #link: Link | undefined;
  #detail: string | undefined;
  #follows = false;

  /** A completion with an error. What is flushed follows from something else, which is told first, or later, or not. */
  completed(link: Link, status: number): void {
    const follows = status === STATUS.flushed;
    if (link === this.#link && (follows || !this.#follows)) return;
    this.#note(link, STATUS_TEXT[status] ?? `work completion status ${status}`, follows);
  }

  /** The device itself has told. */
  told(link: Link, event: string): void {
    this.#note(link, `the device reports ${event}`, false);
  }

  #note(link: Link, detail: string, follows: boolean): void {
    this.#link = link;
    this.#detail = detail;
    this.#follows = follows;
  }

  /** Undefined while the group lives, and when somebody has ended it in order. */
  get error(): LossError | undefined {
    if (this.reason === DELETE_REASON.lostPath) {
      const detail = this.#detail ?? 'the peer did not answer TEST LINK, or gave it up';
      return lossError(`the last RDMA link to the peer failed: ${detail}`, HINTS.path);
    }
    if (this.reason === DELETE_REASON.protocolViolation) {
      return lossError('the link group was ended for a message that breaks the protocol (LLC)', HINTS.protocol);
    }
    return undefined;
  }
}

function lossError(text: string, hint: string): LossError {
  return Object.assign(new Error(text), { hint });
}
