// waking.test.ts - two processes that sleep between messages wake each other, every time, however they poll.

import type { BusyPoll } from '@smcjs/core';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { actors, type Kind, KINDS } from './actors.js';

const smcd = KINDS.find((kind) => kind.name === 'smcd') as Kind;
const POLLS: readonly BusyPoll[] = ['off', 'auto', 0, 20, 1000];

const polling = (busyPoll: BusyPoll): Kind => ({ ...smcd, side: { ...smcd.side, options: { ...smcd.side.options, busyPoll } } });

describe('two processes that sleep', () => {
  for (const busyPoll of POLLS) {
    it(`lose no wake-up in ping-pong with pauses, busyPoll ${busyPoll}`, async () => {
      const { server, client } = await actors(polling(busyPoll));
      server.tell({ do: 'echo' });
      await server.message('echoing');
      for (const [rounds, pause] of [
        [2000, 0],
        [150, 5],
      ] as const) {
        client.tell({ do: 'play', rounds, pause });
        await client.message('played');
      }
      client.tell({ do: 'end' });
      await Promise.all([client.story(), server.story()]);
    });

    it(`wake a writer that waits for room, busyPoll ${busyPoll}`, async () => {
      const { server, client } = await actors(polling(busyPoll));
      for (let round = 1; round <= 10; round++) {
        server.tell({ do: 'pause' });
        client.tell({ do: 'send', bytes: 500_000, chunk: 20_000 });
        await delay(20);
        server.tell({ do: 'await', bytes: round * 500_000 });
        server.tell({ do: 'resume' });
        await Promise.all([client.message('sent'), server.message('arrived')]);
      }
      client.tell({ do: 'end' });
      await Promise.all([client.story(), server.story()]);
    });
  }

  it('have their immediates run before the answers to what they sent', async () => {
    const { server, client } = await actors(polling(1000));
    server.tell({ do: 'echo' });
    await server.message('echoing');
    client.tell({ do: 'play', rounds: 5000, pause: 0, immediate: true });
    expect((await client.message('played')).overtaken).toBe(0);
    client.tell({ do: 'end' });
    await Promise.all([client.story(), server.story()]);
  });

  it('lose no wake-up in a turn that also begins to watch a descriptor', async () => {
    const { server, client } = await actors(polling('off'));
    server.tell({ do: 'echo', after: 5 });
    await server.message('echoing');
    client.tell({ do: 'play', rounds: 20, pause: 0, watch: true });
    await client.message('played');
    client.tell({ do: 'end' });
    await Promise.all([client.story(), server.story()]);
  });

  it('keep every byte when one of them is stopped and continued in the middle', async () => {
    const { server, client } = await actors(smcd);
    const total = 100_000_000;
    for (const actor of [server, client]) actor.tell({ do: 'await', bytes: total });
    for (const actor of [server, client]) actor.tell({ do: 'send', bytes: total, chunk: 60_000 });
    for (const actor of [server, client, server]) {
      actor.kill('SIGSTOP');
      await delay(100);
      actor.kill('SIGCONT');
      await delay(30);
    }
    for (const actor of [server, client]) await Promise.all([actor.message('sent'), actor.message('arrived')]);
    client.tell({ do: 'end' });
    expect(await Promise.all([client.story(), server.story()])).toEqual([
      ['end', 'close false'],
      ['end', 'close false'],
    ]);
  });
});
