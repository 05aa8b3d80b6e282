// polite.ts - what busy polling does to the rest of its process: how late a 1 ms timer is, and how long a plain TCP echo
// within the same process takes, with ping-pong traffic and without.

import net from 'node:net';
import { median, now, percentiles, sleep } from '../clock.js';
import type { Opening } from '../lanes.js';
import { samples, theTalker } from '../pair/connections.js';
import { Stopwatch } from '../talkers/stopwatch.js';
import type { Politeness } from '../pair/commands.js';
import type { Handlers } from '../pair/control.js';
import { Pair } from '../pair/pair.js';
import { anyAddress, connected, listening, target } from '../transports/net.js';
import type { Polite } from '../report/special.js';
import { attempt, chosen, type Context, inRounds } from './context.js';

/** Lateness of a timer of 1 ms, set again each time, until `deadline`. */
function timerLateness(deadline: number): Promise<number> {
  const late = new Float64Array(1 << 16);
  let count = 0;
  return new Promise((resolve) => {
    const arm = () => {
      const due = now() + 1000;
      setTimeout(() => {
        const at = now();
        late[count++] = Math.max(0, at - due);
        if (at >= deadline || count === late.length) resolve(percentiles(late, count).p99_us);
        else arm();
      }, 1);
    };
    arm();
  });
}

/** Round trips of 64 bytes between two plain TCP sockets of this process, one every 2 ms, until `deadline`. */
async function echoRoundTrips(deadline: number): Promise<number> {
  const server = net.createServer({ noDelay: true }, (socket) => socket.on('data', (chunk) => socket.write(chunk)));
  const address = await listening(server, anyAddress(false));
  const socket = await connected(net.connect({ ...target(address), noDelay: true } as net.NetConnectOpts));
  const trips = new Float64Array(1 << 16);
  const message = Buffer.alloc(64);
  let count = 0;
  while (now() < deadline && count < trips.length) {
    const begin = now();
    const answered = new Promise((resolve) => socket.once('data', resolve));
    socket.write(message);
    await answered;
    trips[count++] = now() - begin;
    await sleep(2);
  }
  socket.destroy();
  server.close();
  return percentiles(trips, count).p99_us;
}

export const politeCommands = {
  async polite({ ms, loaded }) {
    const deadline = now() + ms * 1000;
    const traffic = loaded ? theTalker().ping(new Stopwatch(ms, samples)) : undefined;
    const [timer_p99_us, echo_p99_us] = await Promise.all([timerLateness(deadline), echoRoundTrips(deadline), traffic]);
    return { timer_p99_us, echo_p99_us };
  },
} satisfies Partial<Handlers>;

export async function politeCase(context: Context): Promise<void> {
  const { plan, special } = context;
  const found: Polite[] = [];
  for (const lane of ['tcp/stream', 'smcd/stream'].flatMap((key) => chosen(context, key) ?? [])) {
    await attempt(context, 'polite', lane, async () => {
      const pair = new Pair(lane);
      try {
        const opening: Opening = { lane, bytes: 64 };
        const address = await pair.server.call('listen', { opening, role: 'echo' });
        await pair.client.call('connect', { opening, address, count: 1 });
        const polite = (loaded: boolean, ms: number) => pair.client.call('polite', { ms, loaded }, ms);
        await polite(true, plan.politeMs / 4); // the code gets warm
        const unloaded: Politeness[] = [];
        const loaded: Politeness[] = [];
        await inRounds(context, `polite, ${lane.label}`, plan.politeRounds, async () => {
          unloaded.push(await polite(false, plan.politeMs));
          loaded.push(await polite(true, plan.politeMs));
        });
        const of = (rounds: Politeness[], figure: keyof Politeness) => median(rounds.map((round) => round[figure]));
        found.push({
          transport: lane.transport,
          mode: lane.mode,
          timer_p99_us: of(unloaded, 'timer_p99_us'),
          timer_p99_us_loaded: of(loaded, 'timer_p99_us'),
          echo_p99_us: of(unloaded, 'echo_p99_us'),
          echo_p99_us_loaded: of(loaded, 'echo_p99_us'),
        });
      } finally {
        await pair.stop();
      }
    });
  }
  special.polite = found;
}
