// real-time.ts - the simulated fabric on the loop's own time: for sockets, whose timers are real.

import { VirtualTime } from './virtual-time.js';

/** What happens within a millisecond happens in the next turn of the loop, in the order it was asked for. */
export class RealTime extends VirtualTime {
  override now(): number {
    return performance.now();
  }

  override after(milliseconds: number, call: () => void): () => void {
    if (milliseconds >= 1) {
      const timer = setTimeout(call, milliseconds).unref();
      return () => clearTimeout(timer);
    }
    let forgotten = false;
    setImmediate(() => {
      if (!forgotten) call();
    });
    return () => {
      forgotten = true;
    };
  }

  override promise(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      this.after(milliseconds, resolve);
    });
  }
}
