// handing-over.ts - `send(message, socket)` between processes: a ring connection belongs to the event loop it was made in.
//
// node:child_process takes the native handle out of the socket it is given; a socket without one is left out of the message
// and nobody is told. Here that is an error. Only `send` is looked at: once per child, nothing per connection.

import type { ChildProcess } from 'node:child_process';
import { subscribe } from 'node:diagnostics_channel';
import { isMainThread } from 'node:worker_threads';
import { SmcError } from '../errors.js';

type Send = (this: unknown, message: unknown, handle?: unknown, ...rest: unknown[]) => boolean;

/**
 * From now on `send` of this process and of every child made later throws `ERR_SMC_RING_SOCKET` for a socket that
 * `isRing`. Called once per event loop.
 */
export function guardSend(isRing: (handle: unknown) => boolean): void {
  const guarded = (send: Send): Send =>
    function send_(message, handle, ...rest) {
      if (isRing(handle)) {
        throw new SmcError('ERR_SMC_RING_SOCKET', "a ring connection can't be sent to another process: connect with transports: ['tcp']");
      }
      return Reflect.apply(send, this, [message, handle, ...rest]);
    };
  // Node gives a child its `send` after it has told of the child, and only to children with a channel.
  subscribe('child_process', (told) => {
    const child = (told as { process: ChildProcess }).process;
    let send: Send | undefined;
    Object.defineProperty(child, 'send', {
      configurable: true,
      enumerable: true,
      get: () => send,
      set(given: Send | undefined) {
        send = given === undefined ? undefined : guarded(given);
      },
    });
  });
  // Not there to be looked at in a worker.
  if (isMainThread && process.send !== undefined) process.send = guarded(process.send as Send) as typeof process.send;
}
