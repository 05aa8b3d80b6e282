// smc-probe.test.ts - the program `smc-probe`: what it says of this machine and of a connection, and how it ends.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createServer, probe, REASONS } from '@smcjs/core';
import { describe, expect, it, onTestFinished } from 'vitest';

const program = join(import.meta.dirname, '../../packages/core/bin/smc-probe.mjs');

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...args], { env: { ...process.env, ...env } }, (error, out, err) =>
      resolve({ code: error === null ? 0 : (error.code as number), out, err }),
    );
  });
}

async function listening(server: net.Server): Promise<number> {
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

describe('smc-probe', () => {
  it('says which transports there are, and why others are not', async () => {
    const { usable, declines } = probe();
    const { code, out, err } = await run([]);
    expect([code, err]).toEqual([0, '']);
    const lines = out.split('\n');
    expect(lines[0]).toBe(`here: ${usable.join(', ')}`);
    for (const { transport, reason, hint } of declines) {
      const at = lines.findIndex((line) => line.startsWith(`not ${transport}: ${reason}, `));
      expect(lines[at + 1]).toBe(`  what to do: ${hint}`);
    }
    expect(JSON.parse((await run(['--json'])).out)).toEqual({ usable, declines });
  });

  it('looks with the options of the environment, as a connection does', async () => {
    const here = probe().usable.filter((name) => name === 'memory' || name === 'smcd');
    const { usable, declines } = JSON.parse((await run(['--json'], { SMC_TRANSPORTS: 'memory,smcd' })).out) as ReturnType<typeof probe>;
    expect(usable).toEqual([...here, 'tcp']);
    expect(declines.find(({ transport }) => transport === 'smcr')).toMatchObject({
      side: 'local',
      reason: 'configuration',
      code: 0x03000000,
      detail: 'SMC_TRANSPORTS (memory,smcd) does not have smcr',
      hint: expect.stringContaining('SMC_TRANSPORTS') as string,
    });
    const { out } = await run([], { SMC_TRANSPORTS: 'tcp' });
    expect(out).toMatch(/^here: tcp\n/);
    for (const name of ['memory', 'smcd', 'smcr']) expect(out).toMatch(new RegExp(`^not ${name}: configuration, local \\(`, 'm'));
    const strict = await run([], { SMC_TRANSPORTS: 'memory', SMC_FALLBACK: 'error' });
    expect(strict.out).toMatch(/^here: memory\n/);
    expect(strict.out).toContain('not tcp: configuration, local (SMC_FALLBACK is error, and SMC_TRANSPORTS does not name tcp)');
    expect((await run([], { SMC_TRANSPORTS: 'memory,tcp', SMC_FALLBACK: 'error' })).out).toMatch(/^here: memory, tcp\n/);
    const directory = await run([], { SMC_RUNTIME_DIR: 'relative' });
    if (here.includes('smcd')) expect(directory.out).toMatch(/^not smcd: runtime-dir, local \(SMC_RUNTIME_DIR must be absolute: /m);
  });

  it('says what another operating system cannot have', async () => {
    const elsewhere = "data:text/javascript,Object.defineProperty(process,'platform',{value:'freebsd'})";
    const { code, out } = await run(['--json'], { NODE_OPTIONS: `--import "${elsewhere}"` });
    const { usable, declines } = JSON.parse(out) as ReturnType<typeof probe>;
    expect([code, usable]).toEqual([0, ['memory', 'tcp']]);
    const { code: number, hint } = REASONS['unsupported-os'];
    const one = { side: 'local', reason: 'unsupported-os', code: number, hint, detail: expect.stringContaining('freebsd') as string };
    expect(declines).toEqual([
      { transport: 'smcd', ...one },
      { transport: 'smcr', ...one },
    ]);
  });

  it('names a variable that no connection takes', async () => {
    for (const args of [[], ['--json'], ['127.0.0.1:7000']]) {
      for (const [name, value] of [
        ['SMC_TRANSPORTS', 'smcd;tcp'],
        ['SMC_RING_SIZE', '100000'],
      ] as const) {
        const { code, out, err } = await run(args, { [name]: value });
        expect([code, out]).toEqual([2, '']);
        expect(err).toMatch(new RegExp(`^smc-probe: environment variable ${name} must be .*${value}`));
      }
    }
  });

  it('says what a connection to a server of ours is', async () => {
    const bytes: number[] = [];
    const port = await listening(createServer((socket) => void socket.on('data', (chunk) => bytes.push(chunk.length))));
    const transport = probe().usable.includes('smcd') ? 'smcd' : 'tcp';
    const { code, out } = await run([`127.0.0.1:${port}`]);
    expect(code).toBe(0);
    expect(out).toMatch(new RegExp(`^127\\.0\\.0\\.1:${port}: ${transport}, after [\\d.]+ ms$`, 'm'));
    const json = await run(['--json', String(port)]);
    expect(JSON.parse(json.out)).toMatchObject({ address: `localhost:${port}`, transport, declines: expect.any(Array) as unknown });
    expect(bytes).toEqual([]);
  });

  it('shows with NODE_DEBUG what the two ends tell each other', async (context) => {
    if (!probe().usable.includes('smcd')) context.skip('smcd cannot be used here');
    const port = await listening(createServer((socket) => void socket.resume()));
    const { code, err } = await run([`127.0.0.1:${port}`], { NODE_DEBUG: 'smcd' });
    expect(code).toBe(0);
    const told = [...err.matchAll(/^SMCD \d+: link group [0-9a-f]+ (sends|gets) (\w+): /gm)].map(
      ([, direction, type]) => `${direction} ${type}`,
    );
    expect(told).toEqual(
      expect.arrayContaining(['sends hello', 'gets hello', 'gets segment', 'gets offer', 'sends segment', 'sends answer']),
    );
  });

  it('says why a connection to a plain server is TCP', async () => {
    const port = await listening(net.createServer((socket) => void socket.resume()));
    const { code, out } = await run([`127.0.0.1:${port}`], { SMC_TRANSPORTS: 'smcd,tcp' });
    expect(code).toBe(0);
    expect(out).toMatch(new RegExp(`^127\\.0\\.0\\.1:${port}: tcp, after`, 'm'));
    expect(out).toMatch(/^not smcd: \S+, (path|local) \(.+\)$/m);
  });

  it('ends with 1 where nobody listens, and where an option does not allow what there is', async () => {
    const server = net.createServer();
    const port = await listening(server);
    const refused = await run([`127.0.0.1:${port}`], { SMC_TRANSPORTS: 'smcd', SMC_FALLBACK: 'error' });
    expect(refused).toMatchObject({ code: 1, out: `here: ${probe().usable.includes('smcd') ? 'smcd' : 'none'}\n` });
    expect(refused.err).toContain('ERR_SMC_FALLBACK');
    expect(refused.err).toMatch(/^not smcd: \S+, (path|local) \(.+\)$/m);
    const json = await run(['--json', `127.0.0.1:${port}`], { SMC_TRANSPORTS: 'smcd', SMC_FALLBACK: 'error' });
    expect(json).toMatchObject({ code: 1, err: '' });
    const found = JSON.parse(json.out) as { error: { code: string }; declines: { transport: string; reason: string }[] };
    expect(found.error.code).toBe('ERR_SMC_FALLBACK');
    expect(found.declines.map(({ transport }) => transport)).toContain('smcd');
    await new Promise((resolve) => server.close(resolve));
    expect(await run([`127.0.0.1:${port}`])).toMatchObject({ code: 1, err: expect.stringContaining('ECONNREFUSED') as string });
  });

  it('gives up on a host that says nothing', async () => {
    // The kernel drops what would be one connection more than may wait to be accepted.
    const full = `
import socket, sys
server = socket.create_server(("127.0.0.1", 0), backlog=0)
waiting = [socket.socket() for _ in range(8)]
for one in waiting:
    one.setblocking(False)
    one.connect_ex(server.getsockname())
print(server.getsockname()[1], flush=True)
sys.stdin.read()`;
    const python = spawn('python3', ['-c', full], { stdio: ['pipe', 'pipe', 'inherit'] });
    onTestFinished(() => void python.kill());
    const [port] = (await once(python.stdout, 'data')) as [Buffer];
    const { code, err } = await run(['--timeout', '0.5', `127.0.0.1:${Number(port)}`]);
    expect([code, err]).toEqual([1, `127.0.0.1:${Number(port)}: connect ETIMEDOUT\n`]);
  });

  const wrong: [args: string[], named: string][] = [
    [['x'], "'x' is no [HOST:]PORT: it ends with the number of a port"],
    [['host:'], "'host:' is no [HOST:]PORT: it ends with"],
    [['host:0'], "'host:0' is no [HOST:]PORT: a port is a number from 1 to 65535"],
    [['65536'], "'65536' is no [HOST:]PORT: a port is a number"],
    [['host:123456'], "'host:123456' is no [HOST:]PORT: a port is a number"],
    [['::1:7000'], "'::1:7000' is no [HOST:]PORT: an IPv6 address stands in brackets"],
    [['1', '2'], "'2': one [HOST:]PORT at most, and there is '1'"],
    [['--what'], "Unknown option '--what'"],
    [['--json=1'], "'--json' does not take an argument"],
    [['--timeout', 'x', '1'], "--timeout 'x': a number of seconds"],
    [['--timeout=0', '1'], "--timeout '0': a number of seconds"],
    [['--timeout=9999999', '1'], "--timeout '9999999': a number of seconds"],
    [['--timeout', '7000'], '--timeout 7000: the [HOST:]PORT is missing'],
    [['--json', '--timeout', '7000'], '--timeout 7000: the [HOST:]PORT is missing'],
    [['1', '--timeout'], '--timeout'],
  ];
  for (const [args, named] of wrong) {
    it(`names what it does not understand: ${args.join(' ')}`, async () => {
      const { code, out, err } = await run(args);
      expect([code, out]).toEqual([2, '']);
      const [first, , ...usage] = err.split('\n');
      expect(first).toMatch(/^smc-probe: /);
      expect(first).toContain(named);
      expect(usage.join('\n')).toMatch(/^usage: smc-probe/);
    });
  }

  it('explains itself', async () => {
    expect(await run(['--help'])).toMatchObject({ code: 0, out: expect.stringContaining('usage: smc-probe') as string });
  });
});
