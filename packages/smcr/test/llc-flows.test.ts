// llc-flows.test.ts - which LLC exchanges wait for which (RFC 7609 section 3.5.5.3).

import { describe, expect, it } from 'vitest';
import { LlcFlows, TURN_WAIT } from '../src/group/llc-flows.js';

function recorded(): {
  flows: LlcFlows;
  log: string[];
  want: (type: 'rkey' | 'add-link' | 'delete-link', name: string, now?: number) => void;
} {
  const flows = new LlcFlows();
  const log: string[] = [];
  return {
    flows,
    log,
    want: (type, name, now = 0) =>
      flows.initiate(
        type,
        now,
        () => log.push(name),
        () => log.push(`${name} expired`),
      ),
  };
}

describe('LLC exchanges', () => {
  it('of this side run one at a time, in the order they were wanted', () => {
    const { flows, log, want } = recorded();
    want('rkey', 'a');
    want('add-link', 'b');
    want('rkey', 'c');
    expect([log, flows.running]).toEqual([['a'], 'rkey']);
    flows.stop();
    expect([log, flows.running]).toEqual([['a', 'b'], 'add-link']);
    flows.stop();
    flows.stop();
    expect([log, flows.running]).toEqual([['a', 'b', 'c'], undefined]);
  });

  it('fail when they get no turn for 20 s', () => {
    const { flows, log, want } = recorded();
    want('add-link', 'a');
    want('rkey', 'b', 5);
    expect(flows.deadline).toBe(5 + TURN_WAIT);
    flows.tick(4 + TURN_WAIT);
    expect(log).toEqual(['a']);
    flows.tick(5 + TURN_WAIT);
    flows.stop();
    expect(log).toEqual(['a', 'b expired']);
  });

  it('that the peer asks for wait, too, but only one of each type', () => {
    const { flows, log, want } = recorded();
    want('rkey', 'a');
    for (const name of ['b', 'c']) flows.accept('add-link', 0, () => log.push(name));
    flows.accept('delete-link', 0, () => log.push('d'));
    for (let i = 0; i < 4; i++) flows.stop();
    expect(log).toEqual(['a', 'b', 'd']);
  });

  it('end with the group: what waits is told, and nothing starts', () => {
    const { flows, log, want } = recorded();
    want('rkey', 'a');
    want('rkey', 'b');
    flows.clear();
    flows.stop();
    expect([log, flows.running]).toEqual([['a', 'b expired'], undefined]);
  });
});
