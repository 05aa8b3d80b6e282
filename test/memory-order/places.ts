// places.ts - the inside of the packages that has no export of its own, for tests as they are and for the compiled files that
// other processes run.

export const ROOT = new URL(import.meta.url.includes('/test/dist/') ? '../../../' : '../../', import.meta.url);

type Segments = typeof import('../../packages/smcd/dist/segment.js');
type AddonModule = typeof import('../../packages/smcd/dist/addon.js');

export const segments = (): Promise<Segments> => import(new URL('packages/smcd/dist/segment.js', ROOT).href) as Promise<Segments>;

type Records = typeof import('../../packages/core/dist/ring/records.js');
export const recordsOf = (): Promise<Records> => import(new URL('packages/core/dist/ring/records.js', ROOT).href) as Promise<Records>;

/** The addon, or why there is none. */
export async function addon(): Promise<import('../../packages/smcd/dist/addon.js').Addon | string> {
  const { isDecline, loadAddon } = (await import(new URL('packages/smcd/dist/addon.js', ROOT).href)) as AddonModule;
  const loaded = loadAddon();
  return isDecline(loaded) ? loaded.detail : loaded;
}

/**
 * For a loop that waits for another process without going to sleep: throws when that takes longer than anything here can,
 * so that nobody spins for ever whose test was cut short.
 */
export function patience(milliseconds: number): () => void {
  const end = Date.now() + milliseconds + 60_000;
  let spins = 0;
  return () => {
    if ((++spins & 0xffff) === 0 && Date.now() > end) throw new Error('the other side does not go on');
  };
}
