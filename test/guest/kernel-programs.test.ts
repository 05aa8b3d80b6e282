// kernel-programs.test.ts - unmodified programs, whose sockets are the kernel's SMC without their knowing, with our link groups.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { sayThatWeSpeakSmc } from './kernel-agent.js';
import { addUeid, python, smcStats } from './kernel-smc.js';
import { pattern } from './smcr/pattern.js';
import { SmcrPeer } from './smcr/peer.js';
import type { Stream } from './smcr/stream.js';

const MiB = 1 << 20;
const directory = mkdtempSync(join(tmpdir(), 'programs-'));
const preload = join(directory, 'smc_preload.so');
let ours: SmcrPeer;

beforeAll(async () => {
  execFileSync('gcc', ['-shared', '-fPIC', '-D_GNU_SOURCE', '-o', preload, join(import.meta.dirname, 'kernel/smc_preload.c'), '-ldl']);
  addUeid('SMCJS-TEST-EID');
  sayThatWeSpeakSmc();
  ours = await SmcrPeer.open();
});
afterAll(() => ours.close());

/** Over the kernel's SMC, outside of the cgroup of this process. */
function start(command: string, ...args: string[]): ChildProcess {
  const script = `echo $$ >/sys/fs/cgroup/cgroup.procs; export LD_PRELOAD=${preload}; exec "$@"`;
  const child = spawn('sh', ['-c', script, 'sh', command, ...args], { cwd: directory, stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

async function toTheEnd(stream: Stream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for (let chunk = await stream.read(); chunk !== undefined; chunk = await stream.read()) chunks.push(chunk);
  return Buffer.concat(chunks);
}

it("python's http.server serves us a file", async () => {
  const before = smcStats().smcr.serverV2;
  const file = pattern(7, 0, MiB);
  writeFileSync(join(directory, 'file'), file);
  start(python, '-m', 'http.server', '--bind', '127.0.0.1', '8123');
  let stream: Stream | undefined;
  while (stream === undefined) stream = await ours.connect(8123).catch(() => delay(200).then(() => undefined));
  await stream.write(Buffer.from('GET /file HTTP/1.0\r\n\r\n'));
  const answer = await toTheEnd(stream);
  const body = answer.indexOf('\r\n\r\n') + 4;
  expect(answer.subarray(0, body).toString()).toMatch(/^HTTP\/1.0 200 OK\r\n/);
  expect(answer.subarray(body).equals(file)).toBe(true);
  stream.close();
  await stream.removed;
  expect(smcStats().smcr.serverV2).toBe(before + 1);
});

it('curl gets a file from us', async () => {
  const before = smcStats().smcr.clientV2;
  const file = pattern(9, 0, MiB);
  let failed: Error | undefined;
  const serve = async (coming: Promise<Stream | Error>): Promise<void> => {
    const stream = await coming;
    if (stream instanceof Error) throw stream;
    let request = '';
    while (!request.includes('\r\n\r\n')) request += String(await stream.read());
    expect(request).toMatch(/^GET \/some HTTP\/1.1\r\n/);
    await stream.write(Buffer.from(`HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: ${file.length}\r\n\r\n`));
    await stream.write(file);
    stream.close();
    await stream.removed;
  };
  const { port, server } = await ours.listen((_client, stream) => void serve(stream).catch((error: Error) => (failed = error)));
  const curl = start('curl', '--silent', '--show-error', '--output', 'got', `http://127.0.0.1:${port}/some`);
  const code = await new Promise((resolve) => curl.once('close', resolve));
  server.close();
  expect([code, failed]).toEqual([0, undefined]);
  expect(readFileSync(join(directory, 'got')).equals(file)).toBe(true);
  expect(smcStats().smcr.clientV2).toBe(before + 1);
});
