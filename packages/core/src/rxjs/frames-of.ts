// frames-of.ts - the typed frames of a connection, one object for all who subscribe: over a byte stream it has the bytes.

import type { TypedArray, TypedArrayConstructor } from '../frames/frame-format.js';
import { type FrameConnection, type FrameOptions, frames, type TypedFrames } from '../frames/typed-frames.js';

const known = new WeakMap<FrameConnection, Map<unknown, unknown>>();

/**
 * Options count the first time.
 * @throws SmcError `ERR_SMC_INVALID_OPTION`, as {@link frames}
 */
export function framesOf<T extends TypedArray>(
  end: FrameConnection,
  type: TypedArrayConstructor<T>,
  options: FrameOptions | undefined,
): TypedFrames<T> {
  const ofEnd = known.get(end) ?? new Map<unknown, unknown>();
  known.set(end, ofEnd);
  const found = (ofEnd.get(type) as TypedFrames<T> | undefined) ?? frames(end, type, options);
  ofEnd.set(type, found);
  return found;
}
