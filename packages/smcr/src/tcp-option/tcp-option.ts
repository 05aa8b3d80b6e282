// tcp-option.ts - how a socket asks for the TCP option of SMC (RFC 7609 section 3.1) and learns whether the peer has it. Kernel SMC
// peers find each other by it; without privileges once `smc setup` has been run.
//
//     client   fd = option.socket(4)         server   option.ask(fd of the bound socket)
//              option.ask(fd)                         listen()
//              connect()                              accept()
//              option.answer(fd)                      option.answer(fd of the accepted socket)

import { closeSync } from 'node:fs';
import type { Addon } from '../verbs/addon.js';
import { addonOfOption, Bpf } from './bpf.js';
import { setUpDirectory, socketsIn } from './places.js';
import { checked, checkedSocket, SetupError } from './setup-error.js';
import { STATE } from './state.js';

/**
 * What is known of a TCP socket.
 *
 * - `'none'`: it has not asked, nor its listener.
 * - `'unseen'`: it has asked, and no program has taken notice: not yet connecting or listening, or its cgroup (that of the
 *   process when it made the socket) is not set up.
 * - `'offered'`: it listens with the option, or its SYN has it.
 * - `'agreed'`: established, and both ends have the option. Over such a connection CLC must be spoken.
 * - `'alone'`: established, and the peer does not have it: it speaks no SMC, and must not be sent CLC.
 */
export type OptionAnswer = 'none' | 'unseen' | 'offered' | 'agreed' | 'alone';

const ANSWERS: Readonly<Record<number, OptionAnswer>> = {
  [STATE.none]: 'none',
  [STATE.asked]: 'unseen',
  [STATE.offered]: 'offered',
  [STATE.agreed]: 'agreed',
  [STATE.alone]: 'alone',
};

const ENOENT = -2;
const EINVAL = -22;

/** The option, for sockets of this process. One descriptor, open until {@link close}; may be used by one event loop. */
export class TcpOption {
  readonly #addon: Addon;
  readonly #bpf: Bpf;
  #map: number;

  /** @throws SetupError ERR_SMC_NOT_SET_UP, ERR_SMC_SETUP_PRIVILEGE, ERR_SMC_NO_ADDON */
  constructor() {
    this.#addon = addonOfOption();
    this.#bpf = new Bpf(this.#addon);
    this.#map = this.#open();
  }

  #open(): number {
    const directory = setUpDirectory();
    if (directory === undefined) throw new SetupError('ERR_SMC_NOT_SET_UP', 'nothing is set up for the TCP option of SMC');
    const path = socketsIn(directory);
    const map = checked(this.#bpf.get(path), `opening ${path}`);
    // Reading a value writes as many bytes as the map says: it has to be the one we know.
    const info = this.#bpf.mapInfo(map);
    if (info !== undefined && this.#bpf.isSocketStorage(info)) return map;
    closeSync(map);
    throw new SetupError('ERR_SMC_NOT_SET_UP', `${path} is of another version of @smcjs/smcr`);
  }

  /** A TCP socket that can ask before it is connected: `new net.Socket({ fd, manualStart: true })` takes it. Non-blocking. */
  socket(family: 4 | 6): number {
    return checkedSocket(this.#addon.tcpSocket(family), 'socket');
  }

  /**
   * Has this TCP socket offer the option. Before connect(), or between bind() and listen(); sockets that a listener accepts
   * answer by themselves. Asking again does nothing.
   *
   * @throws SetupError ERR_SMC_SETUP_PRIVILEGE: the kernel lets unprivileged processes not use BPF at all (before Linux 5.19)
   * @throws an error with code EINVAL for a socket that listens already, EBADF or ENOTSOCK for what is no socket
   */
  ask(fd: number): void {
    const listening = checkedSocket(this.#addon.listening(fd), 'getsockopt');
    if (listening === 1) checkedSocket(EINVAL, 'asking for the TCP option of a socket that listens already');
    checkedSocket(this.#bpf.update(this.#map, fd, STATE.asked), 'bpf');
  }

  /** What is known now: final when a client's socket has emitted 'connect', and for an accepted one from the start. */
  answer(fd: number): OptionAnswer {
    const state = this.#bpf.lookup(this.#map, fd);
    return state === ENOENT ? 'none' : (ANSWERS[checkedSocket(state, 'bpf')] ?? 'none');
  }

  /** For sockets that stay `'unseen'` although they are established: uses what is set up now, if that was done anew. */
  reopen(): void {
    const map = this.#open();
    closeSync(this.#map);
    this.#map = map;
  }

  /** Sockets keep what they have. */
  close(): void {
    if (this.#map >= 0) closeSync(this.#map);
    this.#map = -1;
  }
}
