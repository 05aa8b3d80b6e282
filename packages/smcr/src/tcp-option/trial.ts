// trial.ts - does the TCP option work for this process? A connection of it to itself says so.

import { closeSync } from 'node:fs';
import net from 'node:net';
import { beforeListen, descriptorOf } from '@smcjs/core/backend';
import { type OptionAnswer, TcpOption } from './tcp-option.js';

export interface Trial {
  /** What each end of the connection learned: 'agreed', unless this process' cgroup is not set up ('unseen'). */
  readonly client: OptionAnswer;
  readonly server: OptionAnswer;
}

/** @throws SetupError as {@link TcpOption} */
export async function tryOption(): Promise<Trial> {
  const option = new TcpOption();
  const server = net.createServer();
  try {
    beforeListen(server, (fd) => option.ask(fd));
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
    const accepted = new Promise<net.Socket>((resolve) => server.once('connection', resolve));
    const client = await connected(option, (server.address() as net.AddressInfo).port);
    const other = await accepted;
    const trial = { client: option.answer(descriptorOf(client)), server: option.answer(descriptorOf(other)) };
    client.destroy();
    other.destroy();
    return trial;
  } finally {
    server.close();
    option.close();
  }
}

function connected(option: TcpOption, port: number): Promise<net.Socket> {
  const fd = option.socket(4);
  try {
    option.ask(fd);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  const socket = new net.Socket({ fd, manualStart: true } as net.SocketConstructorOpts);
  return new Promise((resolve, reject) => socket.once('error', reject).connect(port, '127.0.0.1', () => resolve(socket)));
}
