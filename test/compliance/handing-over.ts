// handing-over.ts - a socket as what a child process is given: over TCP it moves there, over a ring that is refused.

import { type ChildProcess, fork, spawn } from 'node:child_process';
import type net from 'node:net';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { collect, event } from '../support/events.js';
import { open, type TransportCase } from './transport-case.js';

const isRing = ({ transport }: { transport: string | undefined }): boolean => transport !== undefined && transport !== 'tcp';
const refused = expect.objectContaining({ code: 'ERR_SMC_RING_SOCKET' });

function recipient(): ChildProcess {
  const child = fork(fileURLToPath(new URL('../dist/peers/recipient.js', import.meta.url)));
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

export function handingOver(t: TransportCase): void {
  describe('handing a socket over', () => {
    it('to a child process by send() moves it, or throws over a ring and sends nothing', async () => {
      const { client, accepted } = await open(t);
      const child = recipient();
      if (isRing(t.server)) {
        expect(() => child.send({ say: 'never' }, accepted)).toThrowError(refused);
        // It is as it was.
        accepted.end('still here');
        expect((await collect(client)).toString()).toBe('still here');
        child.send({ say: 'nothing came before this' });
        expect(await event(child, 'message')).toEqual([{ missing: true }, undefined]);
      } else {
        child.send({ say: 'from another process' }, accepted);
        expect((await collect(client)).toString()).toBe('from another process');
      }
    });

    it('to its parent by process.send() moves it, or throws over a ring', async ({ skip }) => {
      if (t.noProcesses !== undefined) skip(t.noProcesses);
      const child = recipient();
      const side = ({ module, options }: TransportCase['client']) => ({ module, options });
      child.send({ client: side(t.client), server: side(t.server) });
      const [message, socket] = (await event(child, 'message')) as [object, net.Socket | undefined];
      if (isRing(t.client)) expect([message, socket]).toEqual([{ refused: 'ERR_SMC_RING_SOCKET' }, undefined]);
      else {
        expect(message).toEqual({ sent: true });
        expect((await collect(socket as net.Socket)).toString()).toBe('to the parent');
      }
    });

    it('to a child process as stdio works, or throws over a ring', async () => {
      const { client, accepted } = await open(t);
      const start = (): ChildProcess => spawn(process.execPath, ['-p', '6 * 7'], { stdio: ['ignore', accepted, 'inherit'] });
      if (isRing(t.server)) {
        expect(start).toThrowError(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }));
        return;
      }
      const child = start();
      accepted.destroy();
      expect((await collect(client)).toString()).toBe('42\n');
      if (child.exitCode === null && child.signalCode === null) await event(child, 'exit');
    });
  });
}
