// apart.ts - calls of somebody else's functions from between the steps of a link group.

/** Calls it. What it throws is thrown again when the steps at hand are done: an uncaught exception, as of an event listener. */
export function apart(call: () => void): void {
  try {
    call();
  } catch (error) {
    throwApart(error);
  }
}

export function throwApart(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
