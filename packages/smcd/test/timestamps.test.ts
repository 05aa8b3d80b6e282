// timestamps.test.ts - what tells two TCP connections apart that look alike: the timestamp in the SYN, at both ends.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { addon, describeNative } from './support.js';

const descriptor = (socket: object): number => (socket as { _handle: { fd: number } })._handle.fd;
const apart = (one: number, other: number): number => Math.abs((one - other) | 0);
const off = readFileSync('/proc/sys/net/ipv4/tcp_timestamps', 'utf8').trim() !== '1' ? 'net.ipv4.tcp_timestamps is not 1' : undefined;

async function connection(host: string, save: boolean): Promise<{ client: number; accepted: number }> {
  const server = net.createServer().listen(0, host);
  await once(server, 'listening');
  if (save) expect(addon.saveSyn(descriptor(server))).toBe(0);
  const client = net.connect((server.address() as net.AddressInfo).port, host);
  const [accepted] = (await once(server, 'connection')) as [net.Socket];
  onTestFinished(() => {
    for (const socket of [client, accepted]) socket.destroy();
    server.close();
  });
  return { client: descriptor(client), accepted: descriptor(accepted) };
}

describeNative('the timestamp of a SYN', () => {
  it('is what the client itself would send, and is told once', async (ctx) => {
    if (off !== undefined) ctx.skip(off);
    for (const host of ['127.0.0.1', '::1']) {
      const { client, accepted } = await connection(host, true);
      const syn = addon.acceptedTimestamp(accepted);
      expect(syn).toBeGreaterThanOrEqual(0);
      expect(apart(addon.timestamp(client), syn)).toBeLessThan(65_536);
      expect(addon.acceptedTimestamp(accepted)).toBeLessThan(0);
    }
  });

  it('is of another clock for each pair of addresses', async (ctx) => {
    if (off !== undefined) ctx.skip(off);
    const seen = [];
    for (const host of ['127.0.0.1', '127.0.0.2', '127.0.0.3', '::1']) seen.push(addon.timestamp((await connection(host, true)).client));
    const [first = 0, ...others] = seen;
    // Two may meet by chance, one in 65,536; not three.
    expect(others.filter((other) => apart(first, other) > 65_536).length).toBeGreaterThan(1);
  });

  it('is not known where nobody asked for it, nor of what is no connection', async () => {
    const { accepted } = await connection('127.0.0.1', false);
    expect(addon.acceptedTimestamp(accepted)).toBeLessThan(0);
    expect([addon.saveSyn(-1), addon.acceptedTimestamp(-1), addon.timestamp(-1)]).toEqual([-9, -9, -9]);
  });
});
