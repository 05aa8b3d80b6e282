// thread-pair.ts - the two worker threads between which a lane is measured, with the commands of a pair of processes.

import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { asMeasureError, type MeasureError } from '../errors.js';
import type { Lane } from '../lanes.js';
import { Remote } from './control.js';
import type { Ends } from './pair.js';
import { PortStream } from './port-stream.js';

/** What a thread of a pair is started with. */
export interface ThreadData {
  /** Commands come over it. */
  readonly control: MessagePort;
  /** To the other thread: how what connects the two is handed over. */
  readonly link: MessagePort;
}

export class ThreadPair implements Ends {
  readonly lane: Lane;
  readonly server: Remote;
  readonly client: Remote;
  readonly #workers: Worker[] = [];

  constructor(lane: Lane) {
    this.lane = lane;
    const { port1, port2 } = new MessageChannel();
    this.server = this.#start(port1);
    this.client = this.#start(port2);
  }

  #start(link: MessagePort): Remote {
    const { port1: here, port2: control } = new MessageChannel();
    const data: ThreadData = { control, link };
    const worker = new Worker(new URL('./thread-agent.js', import.meta.url), { workerData: data, transferList: [control, link] });
    this.#workers.push(worker);
    const fail = (error: MeasureError) => {
      this.server.fail(error);
      this.client.fail(error);
    };
    worker.on('error', (error) => fail(asMeasureError(error)));
    return new Remote(new PortStream(here), fail);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}
