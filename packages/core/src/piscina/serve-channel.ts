// serve-channel.ts - the worker file's side of a task with a channel.

import { finished } from 'node:stream/promises';
import { SmcError } from '../errors.js';
import { expectFunction, expectOptions } from '../given.js';
import { type ChannelEnd, type ChannelEndOptions, open } from '../worker/channel-end.js';
import type { StreamTaskMessage } from './stream-task.js';

/** Computes with what comes over `end`; what it returns is the result of the task. */
export type ChannelHandler<D, R> = (end: ChannelEnd, data: D) => R | Promise<R>;

/**
 * A worker function for tasks that {@link streamTask} runs:
 *
 *     export default serveChannel(async (end, data) => { for await (const batch of batches(end)) ... });
 *
 * The end belongs to the handler until it returns; `allowHalfOpen` is on, so it can answer what has ended. Then everything
 * written is sent and the end closed; as on a socket, bytes it has not read make that a reset. When the handler throws, the
 * channel is reset after what was sent, and the error is the task's. Errors of the channel are heard: the handler learns of
 * them by what it waits for.
 * @throws SmcError `ERR_SMC_INVALID_OPTION`; `ERR_SMC_INVALID_PORT` (rejects) for a task that another helper or `pool.run` itself has run.
 */
export function serveChannel<D = unknown, R = unknown>(
  handler: ChannelHandler<D, R>,
  options: ChannelEndOptions = {},
): (task: unknown) => Promise<R> {
  expectFunction(handler, 'serveChannel', 'handler');
  expectOptions(options, 'serveChannel');
  return async (task) => {
    const { port, data, busyPoll } = messageOf<D>(task);
    const end = open(port, { allowHalfOpen: true, ...(busyPoll === undefined ? {} : { busyPoll }), ...options });
    end.on('error', () => {});
    try {
      const result = await handler(end, data);
      // Piscina blocks the thread once the task is over: nothing may be left to a later turn of the loop.
      await allSent(end);
      end.destroy();
      return result;
    } catch (error) {
      end.resetAndDestroy();
      throw error;
    }
  };
}

function messageOf<D>(task: unknown): StreamTaskMessage<D> {
  if (typeof task === 'object' && task !== null && 'port' in task && 'data' in task) return task as StreamTaskMessage<D>;
  throw new SmcError('ERR_SMC_INVALID_PORT', 'this worker function is run by streamTask() or mapFrames(), not by pool.run()');
}

/** Resolves when the stream side has put all it had into the ring. Nobody there to take it is no error of the task. */
async function allSent(end: ChannelEnd): Promise<void> {
  if (end.destroyed) return;
  end.end();
  await finished(end, { readable: false }).catch(() => {});
}
