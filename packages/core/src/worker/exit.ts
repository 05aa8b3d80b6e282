// exit.ts - a thread that ends in order tells the peers of its open ends, as the kernel closes the sockets of a process.

const closers = new Set<() => void>();
let hooked = false;

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
