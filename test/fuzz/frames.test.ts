// frames.test.ts - fuzzing what reads typed frames: from a ring whose memory somebody hostile changes, and from a byte stream.

import { PassThrough } from 'node:stream';
import { HEADER_BYTES, RingConsumer, type RingMemory, RingProducer, WORD } from '@smcjs/core/backend';
import { frames } from '@smcjs/core/channel';
import { describe, it } from 'vitest';
import type { FrameLink } from '../../packages/core/dist/frames/frame-link.js';
import { FrameReader } from '../../packages/core/dist/frames/frame-reader.js';
import { FUZZ_TIMEOUT, fuzz } from './mutate.js';

const DECLARED = ['ERR_SMC_FRAME_TYPE', 'ERR_SMC_RING_MISUSE', 'ERR_SMC_PEER_VIOLATION', 'ERR_SMC_RECORD_TOO_LARGE', 'ECONNRESET'];
const MARK = 0x5346 << 16;

/** A frame of doubles, then one with padding and one of another kind, a filler, and a record. */
const SEEDS = [
  Int32Array.of(20, MARK | 9, 1, 2, 3, 4, 12, MARK | (4 << 8) | 9, 0, 0),
  Int32Array.of(12, MARK | 8, 1, 2, -1, 0, 0, 0),
  Int32Array.of(8, 1, 2, 0, 20, MARK | 9, 0, 0, 0, 0),
].map((words) => new Uint8Array(words.buffer));

function hostile(capacity: number): RingMemory {
  const buffer = new SharedArrayBuffer(HEADER_BYTES + capacity);
  return {
    words: new Int32Array(buffer, 0, HEADER_BYTES / 4),
    data: Buffer.from(buffer, HEADER_BYTES, capacity),
    capacity,
    mirrored: false,
  };
}

function linkOver(memory: RingMemory): FrameLink & { violated: string | undefined } {
  const rx = new RingConsumer(memory);
  return {
    rx,
    tx: new RingProducer(hostile(64)),
    sendable: true,
    receivable: true,
    violated: undefined,
    sent() {},
    taken: () => void rx.publish(),
    violation(what) {
      this.violated = what;
    },
  };
}

/** What this throws, if it may. */
function outcome(run: () => string): string {
  try {
    return run();
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === undefined || !DECLARED.includes(code)) throw error;
    return code;
  }
}

describe('fuzzing', () => {
  it('the reader of frames in memory that changes between calls', { timeout: FUZZ_TIMEOUT }, async () => {
    const memory = hostile(1024);
    let link = linkOver(memory);
    let reader = new FrameReader(link, Float64Array, false);
    await fuzz('frames', SEEDS, ({ next, note, random }) => {
      const { rx } = link;
      const bytes = next();
      const at = random.integer(0, 3) === 0 ? random.integer(0, 1023) : rx.offset;
      bytes.copy(memory.data, at, 0, Math.min(bytes.length, 1024 - at));
      const cursors = [rx.cursor + random.integer(0, 1024), rx.cursor + 8 * random.integer(0, 128), random.integer(0, 2 ** 32 - 1)];
      memory.words[WORD.producerCursor] = cursors[random.integer(0, 9)] ?? (cursors[1] as number);
      const before = rx.cursor;
      if ((rx.offset & 7) === 0 && reader.framesAhead() > 1024 / 8) throw new Error('more frames than fit');
      const seen = outcome(() => {
        const frame = reader.take();
        if (frame === undefined) return `none ${link.violated}`;
        const { view } = frame;
        const begin = view.byteOffset - memory.data.byteOffset;
        if (begin % 8 !== 0 || begin < 8 || begin + view.byteLength > 1024)
          throw new Error(`a view of ${view.byteLength} bytes at ${begin}`);
        frame.release();
        return `frame of ${Math.min(view.length, 5)}`;
      });
      note(seen);
      const moved = (rx.cursor - before) >>> 0;
      if (moved > 1024) throw new Error(`${moved} bytes taken`);
      if (link.violated === undefined && !rx.violated && (rx.offset & 7) === 0 && seen !== 'ERR_SMC_FRAME_TYPE') return;
      link = linkOver(memory);
      // Near the end of the ring a frame may be too long that is not elsewhere.
      const from = random.integer(0, 1) === 0 ? 0 : 8 * random.integer(100, 127);
      memory.words[WORD.producerCursor] = from;
      link.rx.available();
      link.rx.advance(from);
      reader = new FrameReader(link, Float64Array, false);
    });
  });

  it('the reader of frames from a byte stream, cut anywhere', { timeout: FUZZ_TIMEOUT }, async () => {
    const open = new Set<Promise<unknown>>();
    await fuzz('frames from a stream', SEEDS, ({ next, note, random }) => {
      const stream = new PassThrough();
      const bytes = Buffer.from(next());
      stream.on('error', ({ code }: NodeJS.ErrnoException) => {
        if (code === undefined || !DECLARED.includes(code)) throw new Error(`an error with code ${code}`);
      });
      const doubles = frames(stream, Float64Array, { ringSize: 256, checks: false });
      for (let at = 0; at < bytes.length; ) {
        const to = Math.min(bytes.length, at + random.integer(1, 64));
        stream.write(bytes.subarray(at, to));
        at = to;
      }
      stream.end();
      let count = 0;
      const all = async (): Promise<void> => {
        for await (const { view } of doubles)
          if (view.byteLength > 120) throw new Error(`a view of ${view.byteLength} bytes`);
          else count++;
      };
      const done = all()
        .then(
          () => note(`${count}, then its end`),
          (error) =>
            note(
              `${count}, then ${outcome(() => {
                throw error;
              })}`,
            ),
        )
        .finally(() => open.delete(done));
      open.add(done);
    });
    await Promise.all(open);
  });
});
