// ipc.ts - the IPC channel of child_process with 'advanced' serialization. Its two ends are a process and its child,
// so listening here means starting the other process of the pair, on the descriptor its control connection came with.

import { type ChildProcess, fork } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { MeasureError } from '../errors.js';
import { agentPath, CHILD_CONTROL_FD, childFlags } from '../pair/control.js';
import type { Port, Transport } from './port.js';

/** Messages serialized but not yet written before write() says stop. */
const BACKLOG = 64;

class IpcPort extends EventEmitter implements Port {
  readonly retained = 0; // a message is serialized, that is copied, by send()
  readonly #process: ChildProcess | NodeJS.Process;
  #pending = 0;
  #blocked = false;

  constructor(process: ChildProcess | NodeJS.Process) {
    super();
    this.#process = process;
    process.on('message', (message) => this.emit('data', message as Uint8Array));
    process.on('disconnect', () => this.emit('close'));
  }

  write(chunk: Uint8Array): boolean {
    this.#pending++;
    const process = this.#process;
    if (process.send === undefined) throw new MeasureError('unavailable', 'this process has no IPC channel');
    // `send` returns false late; the callback (one function for all messages) tells what has left.
    process.send(chunk, undefined, undefined, this.#sent);
    this.#blocked ||= this.#pending >= BACKLOG || chunk.length >= 16384;
    return !this.#blocked;
  }

  destroy(): void {
    // The channel belongs to the two processes and ends with them.
  }

  readonly #sent = (error: Error | null): void => {
    this.#pending--;
    if (error !== null && error !== undefined) this.emit('error', error);
    else if (this.#blocked && this.#pending === 0) {
      this.#blocked = false;
      this.emit('drain');
    }
  };
}

let port: IpcPort | undefined;

export const ipcTransport: Transport = {
  async listen(_opening, onConnection) {
    if (port === undefined) {
      const child = fork(agentPath, ['client'], {
        serialization: 'advanced',
        execArgv: childFlags,
        stdio: ['ignore', 'inherit', 'inherit', CHILD_CONTROL_FD, 'ipc'],
      });
      port = new IpcPort(child);
    }
    port.removeAllListeners();
    onConnection(port);
    return { address: 'ipc', close: () => port?.removeAllListeners() };
  },
  async connect() {
    port ??= new IpcPort(process);
    port.removeAllListeners();
    return port;
  },
};
