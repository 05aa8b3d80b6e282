// clock.ts - time for what does I/O: the real one, or a virtual one in tests.

export interface Clock {
  /** Milliseconds, never going back. */
  now(): number;
  /** Calls back once after so many milliseconds; the function returned forgets it. */
  after(milliseconds: number, call: () => void): () => void;
}

/** The loop's own time. Timers do not keep the loop alive. */
export const loopClock: Clock = {
  now: () => performance.now(),
  after: (milliseconds, call) => {
    const timer = setTimeout(call, milliseconds).unref();
    return () => clearTimeout(timer);
  },
};
