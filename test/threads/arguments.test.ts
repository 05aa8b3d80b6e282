// arguments.test.ts - calls of frames, records and channels with something missing or wrong: an error that says what.

import { batches, type ChannelEnd, createChannel, FanIn, frames, sendAll } from '@smcjs/core/channel';
import { describe, expect, it } from 'vitest';
import { refusal } from '../support/refusal.js';
import { both } from './pair.js';

const none = undefined as never;

describe('an argument that is missing or wrong is named at once', () => {
  const wrong: [what: string, call: (end: ChannelEnd) => unknown, words: string[]][] = [
    ['frames without a type', (end) => frames(end, none), ['frames: type', 'undefined']],
    ['frames of what is no class of typed arrays', (end) => frames(end, Array as never), ['frames: type', 'Float32Array', 'Array']],
    ['frames of a name', (end) => frames(end, 'Float32Array' as never), ['frames: type', "'Float32Array'"]],
    ['frames of an array', (end) => frames(end, new Float32Array(4) as never), ['frames: type']],
    ['frames over nothing', () => frames(none, Float32Array), ['frames: end', 'undefined']],
    ['frames over no connection', () => frames({} as never, Float32Array), ['frames: end', 'connection', '{}']],
    ['frames over a port', () => frames(createChannel().port1 as never, Float32Array), ['frames: end']],
    ['frames with null for options', (end) => frames(end, Float32Array, null as never), ['frames: options', 'null']],
    ['frames with checks that are neither', (end) => frames(end, Float32Array, { checks: 'no' as never }), ['frames: checks', "'no'"]],
    ['batches of nothing', () => batches(none), ['batches: end', 'undefined']],
    ['batches of no connection', () => batches({} as never), ['batches: end', '{}']],
    ['batches of no records', (end) => batches(end, 0), ['batches: limit', '0']],
    ['batches with no number', (end) => batches(end, '9' as never), ['batches: limit', "'9'"]],
    ['a fan-in of one', (end) => new FanIn(5 as never).add(end), ['FanIn: ends', '5']],
    ['a fan-in of no connections', () => new FanIn([{} as never]), ['FanIn.add: end', '{}']],
    ['a fan-in without a handler', (end) => new FanIn([end]).receive(none), ['FanIn.receive: handler', 'undefined']],
    ['send without records', (end) => end.ring.send(none), ['send: records', 'undefined']],
    ['a channel with null for options', () => createChannel(null as never), ['createChannel: options', 'null']],
  ];

  for (const [what, call, words] of wrong) {
    it(what, () => {
      const [end] = both();
      expect(() => call(end)).toThrow(refusal(...words));
    });
  }

  it('receive without a handler, which takes no record', () => {
    const [here, there] = both();
    here.ring.send([Buffer.from('kept')]);
    expect(() => there.ring.receive(none)).toThrow(refusal('receive: handler', 'undefined'));
    const texts: string[] = [];
    there.ring.receive((bytes, offset, length) => void texts.push(Buffer.from(bytes.subarray(offset, offset + length)).toString()));
    expect(texts).toEqual(['kept']);
  });

  it('sendAll, which rejects, as with all it says', async () => {
    const [end] = both();
    await expect(sendAll(none, [])).rejects.toThrow(refusal('sendAll: end', 'undefined'));
    await expect(sendAll({} as never, [])).rejects.toThrow(refusal('sendAll: end'));
    await expect(sendAll(end, none)).rejects.toThrow(refusal('sendAll: records', 'undefined'));
    await expect(sendAll(end, Buffer.from('one') as never)).rejects.toThrow(refusal('sendAll: records'));
  });

  it('and a connection of which frames() refused the type is as before', async () => {
    const [here, there] = both();
    expect(() => frames(there, none)).toThrow(refusal('type'));
    here.end('plain');
    const texts: Buffer[] = [];
    for await (const chunk of there) texts.push(chunk as Buffer);
    expect(Buffer.concat(texts).toString()).toBe('plain');
  });
});
