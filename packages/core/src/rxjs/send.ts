// send.ts - records and frames into a connection, with back pressure where the source can be asked to wait.

import { SmcError } from '../errors.js';
import { kindOf, type TypedArray, type TypedArrayConstructor } from '../frames/frame-format.js';
import type { FrameConnection, FrameOptions } from '../frames/typed-frames.js';
import { expectConnection, expectDuplex } from '../given.js';
import { type RingConnection, ringOf } from '../messages/send-all.js';
import { framesOf } from './frames-of.js';
import { type Connection, type Sender, type SendOptions, sender } from './sending.js';

/**
 * Sends records over a connection with a ring and emits each when it is in the ring:
 *
 *     prices.pipe(map(encode), sendTo(end, { overflow: 'drop' })).subscribe(); // an Observable: waits, up to `buffer`
 *     sendTo(end)(readLines()).subscribe(); // an iterable or asynchronous iterable: asked for no more than there is room for
 *
 * The end of the source ends the connection; its error resets it, so that the peer gets `ECONNRESET`, and is the result's.
 * The result errors, and the source is left, with the connection's error, or `EPIPE` when either side closes before the source
 * has ended; with SmcError `ERR_SMC_BUFFER_FULL`; `ERR_SMC_RECORD_TOO_LARGE`; `ERR_SMC_FALLBACK` without a ring. These, and
 * unsubscribing, leave the connection as it is. Values that wait must not change.
 * @throws SmcError `ERR_SMC_INVALID_OPTION`
 */
export function sendTo(end: RingConnection & Connection, options: SendOptions = {}): Sender<Uint8Array> {
  expectConnection(end, 'sendTo');
  return sender<Uint8Array>('sendTo', end, options, () => {
    const ring = ringOf(end);
    const one: Uint8Array[] = [];
    return {
      send: (record) => {
        one[0] = record;
        return ring.send(one) === 1;
      },
      room: (record) => ring.writable(ring.roomFor(record.length)),
    };
  });
}

/** Typed arrays of one type, over whatever memory. */
type ElementsOf<T extends TypedArray> = ArrayLike<T[number]> & { readonly [Symbol.toStringTag]: T[typeof Symbol.toStringTag] };

/** The same for typed arrays, as frames, over any connection `frames` takes. Each is copied once, into the ring; `ERR_SMC_FRAME_TYPE` for one of another type. */
export function sendFramesTo<T extends TypedArray>(
  end: FrameConnection & Connection,
  type: TypedArrayConstructor<T>,
  options: SendOptions & FrameOptions = {},
): Sender<ElementsOf<T>> {
  expectDuplex(end, 'sendFramesTo');
  kindOf(type, 'sendFramesTo');
  return sender<ElementsOf<T>>('sendFramesTo', end, options, () => {
    const outgoing = framesOf(end, type, options);
    return {
      send: (elements) => {
        if (!(elements instanceof type)) throw new SmcError('ERR_SMC_FRAME_TYPE', `what is to be sent is no ${type.name}`);
        const frame = outgoing.reserve(elements.length);
        if (frame === undefined) return false;
        frame.view.set(elements as never);
        frame.commit();
        return true;
      },
      room: ({ length }) => outgoing.writable(length),
    };
  });
}
