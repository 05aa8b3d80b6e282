// json.ts - all figures of a run, for programs.

import { laneOf, busyPollOf } from '../lanes.js';
import type { Found } from '../run.js';
import { judge } from '../targets.js';

/**
 * Times in microseconds, rates per second, GB = 10^9 bytes. `results` are medians over the rounds; `ratios` are how many
 * times better than TCP, a Unix socket or what else a case is compared with, computed per round, then their median. A lane that was not measured is in
 * `absent` with its reason.
 */
export function jsonReport(found: Found): object {
  const { machine, floor, recorder, special } = found;
  const isOurs = (transport: string, mode: string) =>
    ['smcd', 'worker'].includes(transport) && { busy_poll: busyPollOf(laneOf(transport, mode)) };
  return {
    machine,
    floor,
    results: recorder.results().map((result) => ({ ...result, ...isOurs(result.transport, result.mode) })),
    ratios: recorder.ratios(),
    special,
    targets: judge(found),
    absent: recorder.absences.map(({ case: name, lane, failure, reason }) => ({
      case: name,
      transport: lane.transport,
      mode: lane.mode,
      failure,
      reason,
    })),
  };
}
