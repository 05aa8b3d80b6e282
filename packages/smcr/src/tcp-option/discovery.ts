// discovery.ts - how connect() and createServer() ask by the TCP option, on a machine where `smc setup` has been run.

import { closeSync, readdirSync, readFileSync } from 'node:fs';
import { type ClcDiscovery, type Decline, decline, type Endpoint } from '@smcjs/core/backend';
import { setUpDirectory } from './places.js';
import { TcpOption } from './tcp-option.js';

/** What was found out about the machine is believed for so long, milliseconds. */
const BELIEVED = 1000;

const isLoopback = ({ address }: Endpoint) => address.startsWith('127.') || address === '::1';

const DEVICES = '/sys/class/infiniband';

function isOverLoopback(device: string): boolean {
  try {
    return readFileSync(`${DEVICES}/${device}/ports/1/gid_attrs/ndevs/0`, 'utf8').trim() === 'lo';
  } catch {
    return false;
  }
}

/** Does an RDMA device lead to this host itself, as one in software on `lo`? Almost never. */
function overLoopback(): boolean {
  try {
    return readdirSync(DEVICES).some(isOverLoopback);
  } catch {
    return false;
  }
}

/** For the sockets of one event loop. Keeps one descriptor from the first socket that asks on. */
export class OptionDiscovery implements ClcDiscovery {
  #option: TcpOption | undefined;
  /** Why there is none. */
  #lacking = 'nothing is set up for the TCP option of SMC';
  #until = Number.NEGATIVE_INFINITY;
  #overLoopback = false;
  /** A socket that asked was not seen: what is set up may be another one by now. */
  #unseen = false;

  mayAsk(to: Endpoint): boolean {
    return this.#own() !== undefined && (this.#overLoopback || !isLoopback(to));
  }

  ask({ family }: Endpoint): number | undefined {
    const option = this.#own();
    if (option === undefined) return undefined;
    let fd = -1;
    try {
      fd = option.socket(family);
      option.ask(fd);
      return fd;
    } catch {
      if (fd >= 0) closeSync(fd);
      return undefined;
    }
  }

  answer(fd: number): void {
    try {
      this.#own()?.ask(fd);
    } catch {
      // Of a shared listener that listens already, or no TCP: answers() tells.
    }
  }

  answers(fd: number): Decline | undefined {
    const option = this.#own();
    if (option === undefined) return decline('smcr', 'local', 'unknown-peer', this.#lacking);
    if (fd < 0) return decline('smcr', 'local', 'unknown-peer', 'the server has no listening socket of its own');
    const answer = this.#ofSocket(option, fd);
    if (answer === 'offered') return undefined;
    const detail = answer === 'unseen' ? "`smc setup` was not run for this process' cgroup" : 'the listening socket cannot ask';
    return decline('smcr', 'local', 'unknown-peer', detail);
  }

  agreed(fd: number): boolean {
    return this.#option !== undefined && this.#ofSocket(this.#option, fd) === 'agreed';
  }

  #ofSocket(option: TcpOption, fd: number) {
    try {
      const answer = option.answer(fd);
      if (answer === 'unseen') this.#unseen = true;
      return answer;
    } catch {
      return 'none';
    }
  }

  #own(): TcpOption | undefined {
    const now = performance.now();
    if (now < this.#until || (this.#option !== undefined && !this.#unseen)) return this.#option;
    this.#until = now + BELIEVED;
    this.#unseen = false;
    try {
      // Cheaper than an error, where nobody has set up anything: almost everywhere.
      if (this.#option === undefined && setUpDirectory() === undefined) return undefined;
      if (this.#option === undefined) this.#option = new TcpOption();
      else this.#option.reopen();
      this.#overLoopback = overLoopback();
    } catch (error) {
      this.#lacking = (error as Error).message;
      if (setUpDirectory() === undefined) {
        this.#option?.close();
        this.#option = undefined;
      }
    }
    return this.#option;
  }
}
