// sockets-two-links.test.ts - sockets whose link group has two links, one of which dies while a connection is made.

import { once } from 'node:events';
import { connect } from '@smcjs/core';
import { expect, it, onTestFinished } from 'vitest';
import { ConfirmEater } from '../../../test/support/confirm-eater.js';
import { payload } from '../../../test/support/random.js';
import { gidOfAddress } from '../src/backend/subnet.js';
import { collect, INLINE, listen, LocalRdma, pair, until } from './simulated/sockets.js';

const rdma = new LocalRdma('127.0.0.2');
const second = gidOfAddress('127.0.0.2') as Uint8Array;

it('while a port is down, new connections are of the same group', async () => {
  const [device] = rdma.others;
  for (const options of [{}, { rdmaDevices: ['sim0', 'sim1'] }]) {
    const at = await listen(options);
    const [client, accepted] = await pair({ client: options }, at);
    await until(() => client.stats().links === 2 && accepted.stats().links === 2);
    device?.setPort('down');
    onTestFinished(() => device?.setPort('active'));
    await until(() => client.stats().links === 1 && accepted.stats().links === 1);
    const working = () => [...rdma.context.pairs].filter(({ state }) => state === 'rts').length;
    expect(working()).toBe(2);
    const [later] = await pair({ client: options }, at);
    expect(later.transport).toBe('smcr');
    expect(working()).toBe(2);
    device?.setPort('active');
    await until(() => client.stats().links === 2 && accepted.stats().links === 2);
  }
});

it('when a device was lost and is opened anew, new connections have a group with both', async () => {
  const at = await listen();
  const [client, accepted] = await pair({}, at);
  await until(() => client.stats().links === 2 && accepted.stats().links === 2);
  rdma.others[0]?.onAsyncEvent?.({ type: 'device-fatal' });
  await until(() => client.stats().links === 1 && accepted.stats().links === 1);
  // Something has changed, so all devices are looked at.
  rdma.context.setPort('active');
  const [later, its] = await pair({}, at);
  await until(() => later.stats().links === 2 && its.stats().links === 2);
  expect([client.stats().links, accepted.stats().links]).toEqual([1, 1]);
});

it('a server whose link has died since its Accept says so over the other one', async () => {
  const at = await listen();
  const [client, accepted] = await pair({}, at);
  accepted.pipe(accepted);
  await until(() => client.stats().links === 2 && accepted.stats().links === 2);
  const relay = await ConfirmEater.before(at.port);
  let release = (): void => {};
  relay.until = new Promise<void>((resolve) => (release = resolve));
  const late = connect({ ...INLINE, port: relay.port, host: '127.0.0.1' });
  const died = once(late, 'error') as Promise<[NodeJS.ErrnoException]>;
  await once(late, 'connect');
  expect(late.transport).toBe('smcr');
  // The new connection is on the second link, which has none yet.
  rdma.fabric.cut(second);
  onTestFinished(() => rdma.fabric.mend(second));
  late.write('never read');
  await until(() => client.stats().links === 1 && accepted.stats().links === 1);
  release();
  late.resume();
  expect((await died)[0].code).toBe('ECONNRESET');
  const received = collect(client);
  client.end(payload(1, 50_000));
  expect((await received).equals(payload(1, 50_000))).toBe(true);
});
