// kill.test.ts - kill -9 in mid-transfer: the survivor reads everything the dead side had been told was taken, then
// 'end' or ECONNRESET, and then nothing of the dead peer is left.

import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { EndpointArgs } from '../peers/endpoint.js';
import type { SideArgs } from '../peers/lib.js';
import { type Message, Peer } from '../support/peer.js';
import { Random } from '../support/random.js';

const SIDES: readonly { name: string; transport: string; side: SideArgs }[] = [
  { name: 'node:net', transport: 'plain', side: { module: 'node:net', options: {} } },
  { name: 'tcp', transport: 'tcp', side: { module: '@smcjs/core', options: { transports: ['tcp'] } } },
  { name: 'smcd', transport: 'smcd', side: { module: '@smcjs/core', options: { transports: ['smcd'], fallback: 'error' } } },
  { name: 'smcd, small ring', transport: 'smcd', side: { module: '@smcjs/core', options: { transports: ['smcd'], ringSize: 16_384 } } },
];

const last = (messages: readonly Message[], name: string): number => (messages.at(-1)?.[name] as number | undefined) ?? 0;
const of = (peer: Peer, is: string): Message[] => peer.unread.filter((message) => message.is === is);

function endpoint(side: SideArgs, args: Partial<EndpointArgs>): Peer {
  return new Peer('endpoint', { side, role: 'server', task: 'receive', seed: 1, port: 0, ...args } satisfies EndpointArgs);
}

/** A server with one task and a client with the other, connected on the transport. */
async function connected(
  side: SideArgs,
  transport: string,
  server: EndpointArgs['task'],
  client: EndpointArgs['task'],
): Promise<[Peer, Peer]> {
  const serving = endpoint(side, { task: server });
  const { port } = await serving.message('listening');
  const dialing = endpoint(side, { role: 'client', task: client, port: port as number });
  for (const peer of [serving, dialing]) expect((await peer.message('connected')).transport).toBe(transport);
  return [serving, dialing];
}

for (const { name, transport, side } of SIDES) {
  describe(`kill -9 over ${name}`, () => {
    for (const victim of ['client', 'server'] as const) {
      for (const after of [1, 20, 200]) {
        it(`of a sending ${victim}, after ${after} writes, loses nothing that was taken`, async () => {
          const [serving, dialing] = await connected(
            side,
            transport,
            victim === 'server' ? 'send' : 'receive',
            victim === 'client' ? 'send' : 'receive',
          );
          const [sender, receiver] = victim === 'server' ? [serving, dialing] : [dialing, serving];
          while (of(sender, 'taken').length < after) await delay(1);
          sender.kill('SIGKILL');
          await sender.exit;
          const closed = await receiver.message('closed');
          expect(closed.received).toBeGreaterThanOrEqual(last(of(sender, 'taken'), 'taken'));
          // What arrived was checked against the stream, byte by byte; a wrong one would have ended the receiver.
          expect(last(of(receiver, 'received'), 'received')).toBe(closed.received);
          expect([['end'], ['ECONNRESET'], ['end', 'EPIPE']]).toContainEqual(closed.seen);
          receiver.send({ do: 'close' });
          expect(await receiver.exit, receiver.errors).toEqual({ code: 0, signal: null });
        });
      }

      it(`of a receiving ${victim} gives the sender an error, and only that`, async () => {
        const [serving, dialing] = await connected(
          side,
          transport,
          victim === 'server' ? 'receive' : 'send',
          victim === 'client' ? 'receive' : 'send',
        );
        const [receiver, sender] = victim === 'server' ? [serving, dialing] : [dialing, serving];
        while (of(receiver, 'received').length < 5) await delay(1);
        receiver.kill('SIGKILL');
        const closed = await sender.message('closed');
        expect(['ECONNRESET', 'EPIPE']).toContain((closed.seen as string[]).at(-1));
        sender.send({ do: 'close' });
        expect(await sender.exit, sender.errors).toEqual({ code: 0, signal: null });
      });

      it(`of a ${victim} that reads nothing frees a sender that waits for room`, async () => {
        const [serving, dialing] = await connected(
          side,
          transport,
          victim === 'server' ? 'stall' : 'send',
          victim === 'client' ? 'stall' : 'send',
        );
        const [stalled, sender] = victim === 'server' ? [serving, dialing] : [dialing, serving];
        for (let taken = -1; taken !== of(sender, 'taken').length; await delay(200)) taken = of(sender, 'taken').length;
        stalled.kill('SIGKILL');
        const closed = await sender.message('closed');
        expect(['ECONNRESET', 'EPIPE']).toContain((closed.seen as string[]).at(-1));
        sender.send({ do: 'close' });
        expect(await sender.exit, sender.errors).toEqual({ code: 0, signal: null });
      });

      it(`of an idle ${victim} is an end of the connection`, async () => {
        const [serving, dialing] = await connected(side, transport, 'receive', 'receive');
        const [killed, survivor] = victim === 'server' ? [serving, dialing] : [dialing, serving];
        killed.kill('SIGKILL');
        const closed = await survivor.message('closed');
        expect([['end'], ['ECONNRESET']]).toContainEqual(closed.seen);
        survivor.send({ do: 'close' });
        expect(await survivor.exit, survivor.errors).toEqual({ code: 0, signal: null });
      });
    }

    it('of a client leaves the server able to take the next one', async () => {
      const serving = endpoint(side, { task: 'receive' });
      const { port } = await serving.message('listening');
      for (let round = 0; round < 3; round++) {
        const dialing = endpoint(side, { role: 'client', task: 'send', port: port as number });
        expect((await serving.message('connected')).transport).toBe(transport);
        await dialing.message('taken');
        dialing.kill('SIGKILL');
        await serving.message('closed');
      }
    });

    it('of a client at any moment of connecting leaves the server able to take the next one', async () => {
      const serving = endpoint(side, { task: 'receive' });
      const { port } = await serving.message('listening');
      const random = new Random(7);
      for (let i = 0; i < 12; i++) {
        const dialing = endpoint(side, { role: 'client', task: 'send', port: port as number });
        await dialing.message('started');
        await delay(random.integer(0, 12));
        dialing.kill('SIGKILL');
        await dialing.exit;
      }
      const dialing = endpoint(side, { role: 'client', task: 'send', seed: 1, port: port as number });
      expect((await dialing.message('connected')).transport).toBe(transport);
      await dialing.message('taken');
      while (of(serving, 'received').length === 0) await delay(1);
      dialing.kill('SIGKILL');
      serving.send({ do: 'close' });
      expect(await serving.exit, serving.errors).toEqual({ code: 0, signal: null });
    });

    it('of a server leaves the client able to go to the next one', async () => {
      const dialing = endpoint(side, { role: 'client', task: 'receive' });
      for (let round = 0; round < 3; round++) {
        const serving = endpoint(side, { task: 'send' });
        dialing.send({ do: 'dial', port: (await serving.message('listening')).port });
        expect((await dialing.message('connected')).transport).toBe(transport);
        await serving.message('taken');
        serving.kill('SIGKILL');
        await dialing.message('closed');
      }
    });
  });
}
