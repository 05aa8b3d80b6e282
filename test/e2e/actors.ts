// actors.ts - two connected processes that do what a test tells them.

import { expect } from 'vitest';
import type { ActorArgs, ActorCommand } from '../peers/actor.js';
import type { SideArgs } from '../peers/lib.js';
import { Peer } from '../support/peer.js';

export interface Kind {
  readonly name: string;
  readonly transport: string;
  readonly side: SideArgs;
}

/** The reference, and ours. */
export const KINDS: readonly Kind[] = [
  { name: 'node:net', transport: 'plain', side: { module: 'node:net', options: {} } },
  { name: 'smcd', transport: 'smcd', side: { module: '@smcjs/core', options: { transports: ['smcd'], ringSize: 65_536 } } },
];

export class Actor extends Peer {
  tell(command: ActorCommand): void {
    this.send(command);
  }

  /** What happened to its connection so far, to the end. Sends what ends the process. */
  async story(): Promise<unknown[]> {
    for (const seen: unknown[] = []; ; ) {
      const { name } = await this.message('event');
      seen.push(name);
      if (String(name).startsWith('close')) {
        this.tell({ do: 'close' });
        expect(await this.exit, this.errors).toEqual({ code: 0, signal: null });
        return seen;
      }
    }
  }
}

/** A server and a client, connected on the transport of the kind. */
export async function actors(
  kind: Kind,
  options: { allowHalfOpen?: boolean } = {},
): Promise<{ server: Actor; client: Actor; port: number }> {
  const start = (args: Pick<ActorArgs, 'role' | 'port' | 'sends' | 'expects'>): Actor =>
    new Actor('actor', { side: kind.side, ...options, ...args } satisfies ActorArgs);
  const server = start({ role: 'server', port: 0, sends: 2, expects: 1 });
  const port = (await server.message('listening')).port as number;
  const client = start({ role: 'client', port, sends: 1, expects: 2 });
  for (const actor of [server, client]) expect((await actor.message('connected')).transport, actor.errors).toBe(kind.transport);
  return { server, client, port };
}
