// room.ts - a full ring as a model: the writer says that it waits and looks again, the reader gives room back and looks
// whether somebody waits. RingStream and RingSurface on one side, RingConsumer.publish on the other; how news travel is
// the doorbell's model, here they arrive.

import type { Model, Step } from './explore.js';
import { drains, load, type Memory, memory, type Order, store } from './tso.js';

export interface RoomRules {
  /** How the consumer cursor and `write blocked` are stored. */
  readonly consumer: Order;
  readonly blocked: Order;
  /** Having said that it waits the writer looks at the cursor again. */
  readonly lookAgain: boolean;
  /** What is written is published before the writer waits. */
  readonly publishFirst: boolean;
  /** The reader stores its cursor before it looks whether the writer waits. */
  readonly releaseFirst: boolean;
}

export const ROOM_RULES: RoomRules = { consumer: 'ordered', blocked: 'ordered', lookAgain: true, publishFirst: true, releaseFirst: true };

export interface RoomCase {
  readonly capacity: number;
  readonly total: number;
  /** Bytes the writer needs at once: 1 for a stream, a reservation's length for `socket.ring`. */
  readonly wanted: number;
  /** A stream takes its word back when everything is written, `socket.ring` with every piece of news. */
  readonly unblocks: 'at the end' | 'on news';
}

const WRITER = 0;
const READER = 1;

interface Writer {
  readonly at: 'write' | 'look' | 'full' | 'tell' | 'block' | 'again' | 'wait' | 'unblock' | 'end' | 'done';
  readonly written: number;
  readonly published: number;
  readonly known: number; // consumer cursor as last seen
}

interface Reader {
  readonly at: 'wait' | 'look' | 'release' | 'waiting?' | 'tell';
  readonly read: number;
}

interface State {
  readonly memory: Memory;
  readonly news: { readonly writer: boolean; readonly reader: boolean };
  readonly writer: Writer;
  readonly reader: Reader;
}

export function room(rules: RoomRules, { capacity, total, wanted, unblocks }: RoomCase): Model<State> {
  return {
    start: {
      memory: memory({ producer: 0, consumer: 0, blocked: 0 }, 2),
      news: { writer: false, reader: false },
      writer: { at: 'write', written: 0, published: 0, known: 0 },
      reader: { at: 'wait', read: 0 },
    },
    steps: (state) => [
      ...drains(state.memory).map(({ label, memory: drained }) => ({ label, to: { ...state, memory: drained } })),
      ...writerSteps(state),
      ...readerSteps(state),
    ],
    wrong: ({ writer, reader }) => {
      if (writer.written - reader.read > capacity) return 'unread bytes are overwritten';
      return reader.read > writer.published ? 'bytes are read that were not published' : undefined;
    },
    stuck: ({ writer, reader }) => {
      if (reader.read === total && writer.at === 'done') return undefined;
      return `the writer waits at ${writer.at} with ${writer.written - reader.read} of ${capacity} bytes in the ring`;
    },
  };

  function writerSteps(state: State): Step<State>[] {
    const { memory: at, writer } = state;
    const next = (label: string, change: Partial<Writer>, news = state.news): Step<State>[] => [
      { label: `writer ${label}`, to: { ...state, news, writer: { ...writer, ...change } } },
    ];
    const put = (label: string, change: Partial<Writer>, stored: Memory | undefined): Step<State>[] =>
      stored === undefined ? [] : [{ label: `writer ${label}`, to: { ...state, memory: stored, writer: { ...writer, ...change } } }];
    const free = (known: number) => capacity - (writer.written - known);
    switch (writer.at) {
      case 'write':
        if (writer.written === total) return next('has written everything', { at: 'end' });
        if (free(writer.known) < wanted) return next('knows of no room', { at: 'look' });
        return [
          ...next('writes', { written: writer.written + wanted }),
          // Whether it publishes at once depends on the load; it may.
          ...next('writes, to publish', { written: writer.written + wanted, at: 'full' }),
        ];
      case 'look': {
        const known = load(at, WRITER, 'consumer');
        return next(`sees ${known} read`, { known, at: free(known) >= wanted ? 'write' : rules.publishFirst ? 'full' : 'block' });
      }
      case 'full':
        if (writer.published === writer.written) return next('has published', { at: free(writer.known) >= wanted ? 'write' : 'block' });
        return put('publishes', { at: 'tell', published: writer.written }, store(at, WRITER, 'producer', writer.written, 'ordered'));
      case 'tell':
        return next(
          'tells',
          { at: writer.written === total ? 'end' : free(writer.known) >= wanted ? 'write' : 'block' },
          { ...state.news, reader: true },
        );
      case 'block':
        return put('says that it waits', { at: rules.lookAgain ? 'again' : 'wait' }, store(at, WRITER, 'blocked', 1, rules.blocked));
      case 'again': {
        const known = load(at, WRITER, 'consumer');
        return next(`sees ${known} read`, { known, at: free(known) >= wanted ? 'write' : 'wait' });
      }
      case 'wait':
        return state.news.writer
          ? next('has news', { at: unblocks === 'on news' ? 'unblock' : 'write' }, { ...state.news, writer: false })
          : [];
      case 'unblock':
        return put('waits no more', { at: 'write' }, store(at, WRITER, 'blocked', 0, rules.blocked));
      case 'end':
        if (writer.published < writer.written) return next('has bytes to publish', { at: 'full' });
        return put('is done', { at: 'done' }, store(at, WRITER, 'blocked', 0, 'ordered'));
      case 'done':
        return [];
    }
  }

  function readerSteps(state: State): Step<State>[] {
    const { memory: at, reader } = state;
    const next = (label: string, change: Partial<Reader>, news = state.news): Step<State>[] => [
      { label: `reader ${label}`, to: { ...state, news, reader: { ...reader, ...change } } },
    ];
    const release = (then: Reader['at']): Step<State>[] => {
      const stored = store(at, READER, 'consumer', reader.read, rules.consumer);
      return stored === undefined ? [] : [{ label: 'reader releases', to: { ...state, memory: stored, reader: { ...reader, at: then } } }];
    };
    switch (reader.at) {
      case 'wait':
        return state.news.reader ? next('has news', { at: 'look' }, { ...state.news, reader: false }) : [];
      case 'look': {
        const available = load(at, READER, 'producer') - reader.read;
        if (available === 0) return next('sees nothing', { at: 'wait' });
        const then = rules.releaseFirst ? 'release' : 'waiting?';
        return Array.from({ length: available }, (_, i) => next(`reads ${i + 1}`, { at: then, read: reader.read + i + 1 })).flat();
      }
      case 'release':
        return release(rules.releaseFirst ? 'waiting?' : 'look');
      case 'waiting?': {
        const quiet = rules.releaseFirst ? 'look' : 'release';
        return load(at, READER, 'blocked') !== 0 ? next('sees the writer wait', { at: 'tell' }) : next('sees nobody wait', { at: quiet });
      }
      case 'tell':
        return next('tells', { at: rules.releaseFirst ? 'look' : 'release' }, { ...state.news, writer: true });
    }
  }
}
