// news.ts - waiting for bytes that can be given up: a promise of a connection cannot, and would be kept until they come.

interface Readable {
  readable(): Promise<boolean>;
}

type Told = (more: boolean, error?: unknown) => void;

const all = new WeakMap<Readable, Set<Told>>();

/** Calls `told` once there may be bytes, or will be none, unless the returned function is called before. */
export function onNews(source: Readable, told: Told): () => void {
  let waiting = all.get(source);
  if (waiting === undefined) {
    const asked = new Set<Told>();
    all.set(source, asked);
    waiting = asked;
    const tell = (more: boolean, error?: unknown): void => {
      all.delete(source);
      for (const each of asked) each(more, error);
    };
    source.readable().then(tell, (error: unknown) => tell(false, error));
  }
  waiting.add(told);
  return () => waiting.delete(told);
}
