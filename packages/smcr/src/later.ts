// later.ts - from promises back to callbacks: what a program's handlers throw must be an exception, not a promise rejected.

/** Calls `done` with what the promise comes to, in a tick of its own. */
export function later<T>(result: Promise<T>, done: (result: T) => void, failed: (error: Error) => T): void {
  void result.catch((error: unknown) => failed(error as Error)).then((value) => process.nextTick(done, value));
}
