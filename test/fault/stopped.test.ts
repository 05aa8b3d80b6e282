// stopped.test.ts - a peer that does not answer: the client goes on over TCP, and nothing is lost or misplaced later.

import { connect } from '@smcjs/core';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { EndpointArgs } from '../peers/endpoint.js';
import { event } from '../support/events.js';
import { Peer } from '../support/peer.js';
import { payload } from '../support/random.js';

const server = (): Peer =>
  new Peer('endpoint', {
    side: { module: '@smcjs/core', options: {} },
    role: 'server',
    task: 'receive',
    seed: 5,
    port: 0,
  } satisfies EndpointArgs);

describe('a server that is stopped', () => {
  it('does not keep a client from connecting over TCP, and receives everything when it continues', async () => {
    const peer = server();
    const port = (await peer.message('listening')).port as number;
    peer.kill('SIGSTOP');
    const client = connect({ port, host: '127.0.0.1', discoveryWait: 50, transports: ['smcd', 'tcp'] });
    onTestFinished(() => void client.destroy());
    client.write(payload(5, 1000));
    await event(client, 'connect');
    expect(client.transport).toBe('tcp');
    expect(client.declines.find((decline) => decline.transport === 'smcd')?.reason).toBe('no-offer');
    client.end(payload(5, 50_000, 1000));
    peer.kill('SIGCONT');
    expect((await peer.message('connected')).transport).toBe('tcp');
    expect(await peer.message('closed')).toMatchObject({ received: 51_000, seen: ['end'] });
  });

  it('is used over shared memory again by a client that comes later', async () => {
    const peer = server();
    const port = (await peer.message('listening')).port as number;
    const later = server();
    const other = (await later.message('listening')).port as number;
    peer.kill('SIGSTOP');
    const first = connect({ port, host: '127.0.0.1', discoveryWait: 0 });
    onTestFinished(() => void first.destroy());
    await event(first, 'connect');
    peer.kill('SIGCONT');
    // Another listener is not distrusted for what the first did.
    const second = connect({ port: other, host: '127.0.0.1', transports: ['smcd'] });
    onTestFinished(() => void second.destroy());
    await event(second, 'connect');
    expect([first.transport, second.transport]).toEqual(['tcp', 'smcd']);
  });

  it('that is killed while a client waits for it gives the client an error or a connection that ends', async () => {
    const peer = server();
    const port = (await peer.message('listening')).port as number;
    peer.kill('SIGSTOP');
    const client = connect({ port, host: '127.0.0.1', discoveryWait: 60_000 });
    const outcomes: string[] = [];
    client.on('error', (error: NodeJS.ErrnoException) => outcomes.push(error.code ?? error.message));
    client.on('end', () => outcomes.push('end'));
    const closed = event(client, 'close');
    client.resume();
    // The kernel has accepted: the client is in the middle of finding out.
    await new Promise((resolve) => setTimeout(resolve, 100));
    peer.kill('SIGKILL');
    await closed;
    expect([['end'], ['ECONNRESET']]).toContainEqual(outcomes);
  });
});
