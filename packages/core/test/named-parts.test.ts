// named-parts.test.ts - what named segments are made of: the kernel's lists, processes and their starts, and when to look.

import { spawn, spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { PollPace } from '../dist/named/poll-pace.js';
import { fromPs, runs, startOf, thisProcess } from '../dist/named/process-identity.js';
import { capacityOf, segmentBytes, segmentKey } from '../dist/named/segment-layout.js';
import { fromIpcs, fromProc } from '../dist/named/segment-table.js';

describe('the list of segments', () => {
  it('is read as Linux writes it, keys above 2^31 included', () => {
    const text = `       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime                   rss                  swap
1522327281         20   600                  4108 24067 24068      1  1000  1000  1000  1000 1795288076          0 1795288070                     0                     0
-559038737         21   660                530140 24067 24067      2  1000  1000     0     0 1795288076          0 1795288076                  4096                     0
`;
    const row = { id: 20, ours: true, bytes: 4108, attached: 1, creator: 24067, created: 1795288070000 };
    expect(fromProc(text, 1522327281, 1000)).toEqual(row);
    expect(fromProc(text, 1522327281, 0)).toMatchObject({ ours: false });
    expect(fromProc(text, 0xdeadbeef, 1000)).toMatchObject({ id: 21, ours: false, bytes: 530140, attached: 2 });
    expect(fromProc(text, 7, 1000)).toBe(undefined);
  });

  it('is read as ipcs of macOS prints it', () => {
    const text = `IPC status from <running system> as of Sat Nov 21 19:05:01 CET 2026
T     ID     KEY        MODE       OWNER    GROUP NATTCH  SEGSZ  CPID  LPID
Shared Memory:
m  65536 0xdeadbeef --rw-------    alice    staff      2 530140  4711  4712
m  65537 0x0052e2c1 --rw-rw-rw-    alice    staff      0   4096  4711  4711

`;
    expect(fromIpcs(text, 0xdeadbeef, 'alice')).toEqual({
      id: 65536,
      ours: true,
      bytes: 530140,
      attached: 2,
      creator: 4711,
      created: undefined,
    });
    expect(fromIpcs(text, 0xdeadbeef, 'bob')).toMatchObject({ ours: false });
    expect(fromIpcs(text, 0x52e2c1, 'alice')).toMatchObject({ ours: false, attached: 0 });
    expect(fromIpcs(text, 1, 'alice')).toBe(undefined);
    expect(() => fromIpcs('ipcs: something else\n', 1, 'alice')).toThrow('no table');
  });

  it('tells our segments by their size alone', () => {
    for (const capacity of [16_384, 262_144, 67_108_864]) expect(capacityOf(segmentBytes(capacity))).toBe(capacity);
    for (const bytes of [0, 4096, 530_136, 530_144, 8192 + 2 * 16_384, segmentBytes(8192)]) expect(capacityOf(bytes)).toBe(undefined);
  });

  it('has a key for every name that is neither private nor refused by the package', () => {
    fc.assert(
      fc.property(fc.string(), (name) => {
        const key = segmentKey(name);
        expect(Number.isInteger(key) && key >= 1 && key <= 0xffff_fffe).toBe(true);
        expect(segmentKey(name)).toBe(key);
      }),
    );
  });
});

describe('a process', () => {
  it('runs, until it has ended, and is not another one with its id', () => {
    const self = thisProcess();
    expect(self.pid).toBe(process.pid);
    expect(runs(self)).toBe(true);
    if (process.platform === 'linux') expect(runs({ ...self, start: self.start + 1 })).toBe(false);
    expect(runs({ ...self, start: 0 })).toBe(true);
    const { pid } = spawnSync(process.execPath, ['-e', '']);
    expect([startOf(pid), runs({ pid, start: 1 })]).toEqual([undefined, false]);
  });

  it('started when ps says, where there is no other way to know', (context) => {
    if (spawnSync('ps', ['-V']).error !== undefined) context.skip('there is no ps');
    const start = fromPs(process.pid);
    expect(start).toBeGreaterThan(1_700_000_000);
    expect(start).toBeLessThan(Date.now() / 1000 + 60);
    const { pid } = spawnSync(process.execPath, ['-e', '']);
    expect(fromPs(pid)).toBe(undefined);
  });

  it('that was killed does not run, also before its parent has asked for its end', (context) => {
    context.skip(process.platform !== 'linux', 'only Linux tells it');
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
    const pid = child.pid as number;
    const start = startOf(pid) as number;
    expect(start).toBeGreaterThan(0);
    process.kill(pid, 'SIGKILL');
    // Without a turn of the loop nobody here asks.
    while (runs({ pid, start }));
    expect(startOf(pid)).toBe(undefined);
    expect(process.kill(pid, 0)).toBe(true);
  });
});

describe('the pace of looking', () => {
  /** Looks for news for so long after the last, each look taking 2 us: how many, and the microseconds spent without a pause. */
  function silence(pace: PollPace, from: number, micros: number): { looks: number; hot: number; slept: boolean } {
    let now = from;
    let looks = 0;
    let hot = 0;
    while (now < from + micros) {
      looks++;
      const ms = pace.next(now);
      if (ms === 0) hot += 2;
      now += ms === 0 ? 2 : ms * 1000;
    }
    return { looks, hot, slept: looks > hot / 2 };
  }

  it('is without a pause after news, for half a millisecond, then sleeps for an eighth of the silence, up to its longest', () => {
    const pace = new PollPace();
    pace.setMode('auto', 2, 20);
    pace.active(1_000_000);
    expect([pace.next(1_000_000), pace.next(1_000_400)]).toEqual([0, 0]);
    expect([501, 5_000, 40_000, 100_000, 160_000, 10_000_000].map((gap) => pace.next(1_000_000 + gap))).toEqual([1, 1, 5, 12, 20, 20]);
  });

  it('costs a silent connection 50 looks a second, and as many as its longest sleep says', () => {
    for (const [longest, most] of [
      [20, 620],
      [1000, 100],
    ] as const) {
      const pace = new PollPace();
      pace.setMode('auto', 2, longest);
      pace.active(0);
      const { looks, hot } = silence(pace, 0, 10_000_000);
      expect(hot).toBeLessThanOrEqual(502);
      expect(looks - hot / 2).toBeLessThan(most);
    }
  });

  it('spends at most a fifth of a core on looks after which it has to sleep all the same, whatever the traffic', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 2, max: 20_000 }), { minLength: 200, maxLength: 400 }), (gaps) => {
        const pace = new PollPace();
        pace.setMode('auto', 2, 20);
        let now = 0;
        let hot = 0;
        for (const gap of gaps) {
          pace.active(now);
          const spent = silence(pace, now, gap);
          if (spent.slept) hot += spent.hot;
          now += gap;
        }
        expect(hot).toBeLessThanOrEqual(0.2 * now + 20_500);
      }),
      { numRuns: 50 },
    );
  });

  it("never goes without a pause when 'off' or alone on its processor, and as long as it is told", () => {
    const pace = new PollPace();
    for (const [mode, cores] of [
      ['off', 2],
      ['auto', 1],
    ] as const) {
      pace.setMode(mode, cores, 20);
      pace.active(0);
      expect(pace.next(0)).toBe(1);
    }
    pace.setMode(5000, 1, 20);
    expect([pace.next(4999), pace.next(5001)]).toEqual([0, 1]);
  });
});
