// kernel-programs.test.ts - unmodified programs, whose sockets are the kernel's SMC without their knowing, with node:http over our sockets.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { connect, createServer, type Socket } from '@smcjs/core';
import { beforeAll, expect, it, onTestFinished } from 'vitest';
import { python, smcStats } from './kernel-smc.js';
import { prepare, SMCR } from './smc-pair.js';
import { pattern } from './smcr/pattern.js';

const MiB = 1 << 20;
const directory = mkdtempSync(join(tmpdir(), 'programs-'));
const preload = join(directory, 'smc_preload.so');

beforeAll(() => {
  const source = join(import.meta.dirname, '../../scripts/guest/smc_preload.c');
  execFileSync('cc', ['-shared', '-fPIC', '-D_GNU_SOURCE', '-o', preload, source, '-ldl']);
  prepare();
});

/** Over the kernel's SMC. */
function start(command: string, ...args: string[]): ChildProcess {
  const child = spawn(command, args, {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, LD_PRELOAD: preload },
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

/** The body, or undefined while nobody listens. */
function get(port: number, path: string): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    const createConnection = () => connect({ ...SMCR, port, host: '127.0.0.1' } as never) as Socket;
    const request = http.get({ path, createConnection }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => resolve(Buffer.concat(chunks)));
    });
    request.on('error', (error: NodeJS.ErrnoException) => (error.code === 'ECONNREFUSED' ? resolve(undefined) : reject(error)));
  });
}

it("python's http.server serves us a file", async () => {
  const before = smcStats().smcr.serverV2;
  const file = pattern(7, 0, MiB);
  writeFileSync(join(directory, 'file'), file);
  start(python, '-m', 'http.server', '--bind', '127.0.0.1', '8123');
  let body = await get(8123, '/file');
  while (body === undefined) body = await delay(200).then(() => get(8123, '/file'));
  expect(body.equals(file)).toBe(true);
  expect(smcStats().smcr.serverV2).toBe(before + 1);
});

it('curl gets a file from us', async () => {
  const before = smcStats().smcr.clientV2;
  const file = pattern(9, 0, MiB);
  const requests: unknown[] = [];
  const web = http.createServer((request, response) => {
    requests.push([request.url, (request.socket as Socket).transport]);
    response.end(file);
  });
  const server = createServer(SMCR, (socket) => web.emit('connection', socket));
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const curl = start('curl', '--silent', '--show-error', '--output', 'got', `http://127.0.0.1:${port}/some`);
  expect(await new Promise((resolve) => curl.once('close', resolve))).toBe(0);
  expect(requests).toEqual([['/some', 'smcr']]);
  expect(readFileSync(join(directory, 'got')).equals(file)).toBe(true);
  expect(smcStats().smcr.clientV2).toBe(before + 1);
});
