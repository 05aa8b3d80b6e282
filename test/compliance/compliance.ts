// compliance.ts - the one description of what a net.Socket and a net.Server do, run against every transport and against
// node:net itself, which proves that the description is true.

import { describe, it } from 'vitest';
import { addressing } from './addressing.js';
import { context } from './context.js';
import { counting } from './counting.js';
import { data } from './data.js';
import { destroying } from './destroying.js';
import { ending } from './ending.js';
import { handingOver } from './handing-over.js';
import { httpOver } from './http.js';
import { layers } from './layers.js';
import { onread } from './onread.js';
import { options } from './options.js';
import { pressure } from './pressure.js';
import { processes } from './process.js';
import { reading } from './reading.js';
import { resetting } from './resetting.js';
import { robustness } from './robustness.js';
import { server } from './server.js';
import { states } from './states.js';
import { timing } from './timing.js';
import type { TransportCase } from './transport-case.js';
import { writing } from './writing.js';

const THEMES = [
  data,
  writing,
  reading,
  onread,
  pressure,
  ending,
  destroying,
  resetting,
  counting,
  states,
  options,
  timing,
  addressing,
  server,
  httpOver,
  layers,
  robustness,
  context,
  processes,
  handingOver,
];

export function compliance(t: TransportCase): void {
  describe(t.name, () => {
    for (const theme of THEMES) {
      const reason = theme === processes ? t.noProcesses : undefined;
      if (reason === undefined) theme(t);
      else it('a process', ({ skip }) => skip(reason));
    }
  });
}
