// frame-checks.ts - development mode: what a program does wrong with frames is found where it does it.

/** Where a frame was reserved or taken, for messages; undefined outside development mode. */
export type Place = string | undefined;

/** Development mode, unless an option says otherwise. */
export const DEVELOPMENT = process.env.NODE_ENV === 'development';

/** The stack of whoever called `entry`. */
export function placeOf(entry: (...args: never[]) => unknown): string {
  const holder: { stack?: string } = {};
  Error.captureStackTrace(holder, entry);
  return (holder.stack ?? '').split('\n').slice(1).join('\n');
}

export const at = (place: Place): string => (place === undefined ? '' : `; taken at\n${place}`);

/** Makes every view of private memory read as length 0 from now on. */
export function poison(buffer: ArrayBufferLike): void {
  if (buffer instanceof ArrayBuffer) structuredClone(buffer, { transfer: [buffer] });
}

interface Held {
  /** Ends the hold of a frame that nobody has any more; false when it was ended before. */
  drop(): boolean;
  readonly place: Place;
}

/** Frames that are collected without having been given back. Their place in the ring is freed, and the program told. */
const leaks = new FinalizationRegistry<Held>(({ drop, place }) => {
  if (!drop()) return;
  process.emitWarning(`a frame was dropped without commit or release${at(place)}`, { type: 'SmcFrameLeak', code: 'SMC_FRAME_LEAK' });
});

export function watch(frame: object, held: Held): void {
  leaks.register(frame, held);
}
