// arguments.test.ts - the command line says what it does not understand.

import { describe, expect, it } from 'vitest';
import { CASES, DEFAULT_SIZES, parseArguments, UsageError } from '../arguments.js';
import { USUAL_LANES } from '../lanes.js';

describe('arguments', () => {
  it('measures everything by default', () => {
    const options = parseArguments([]);
    expect([options.cases, options.lanes, options.sizes]).toEqual([CASES, USUAL_LANES, DEFAULT_SIZES]);
  });

  it('takes lists, in either form of an option', () => {
    const options = parseArguments(['--only', 'http,roundtrip', '--transports=uds,smcd/ring', '--sizes', '1K,64,1M', '--rounds=3']);
    expect(options.cases).toEqual(['roundtrip', 'http']);
    expect(options.lanes.map(({ transport, mode }) => `${transport}/${mode}`)).toEqual(['uds/stream', 'smcd/ring']);
    expect(options.sizes).toEqual([64, 1024, 1 << 20]);
    expect(options.plan.rounds).toBe(3);
  });

  it.each([
    ['--what'],
    ['--only'],
    ['--only', 'nothing'],
    ['--transports', 'udp'],
    ['--sizes', '65'],
    ['--sizes', '64,x'],
    ['--rounds', '0'],
    ['--json', '--quick'],
    ['stray'],
    ['--quick=1'],
  ])('refuses %s %s', (...argv) => {
    expect(() => parseArguments(argv)).toThrow(UsageError);
  });
});
