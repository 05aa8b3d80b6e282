// exit.ts - a thread that ends in order tells the peers of its open ends, as the kernel closes the sockets of a process.

const closers = new Set<() => void>();
let hooked = false;
const firstClosers = new Set<() => void>();
let hookedFirst = false;

/** Runs `close` when the thread emits 'exit', where nobody may be called back any more, unless the returned function is called before. */
export function atExit(close: () => void): () => void {
  if (!hooked) {
    hooked = true;
    process.on('exit', () => {
      for (const close of closers) close();
    });
  }
  closers.add(close);
  return () => closers.delete(close);
}

/**
 * As {@link atExit}, the last to ask first, and before those who listen to 'exit' already: one of them may take the memory away.
 */
export function firstAtExit(close: () => void): () => void {
  if (!hookedFirst) {
    hookedFirst = true;
    process.prependListener('exit', () => {
      for (const close of [...firstClosers].reverse()) close();
    });
  }
  firstClosers.add(close);
  return () => firstClosers.delete(close);
}
