// memlock.test.ts - a process that may lock too little memory: its connections are TCP, with the reason at its socket, its code at the
// other end, and bytes both ways. The other end is a process of ours without the limit, or the kernel's SMC; each in both roles.

import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type Decline, type Server, type Socket, type SmcOptions } from '@smcjs/core';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { type Message, Peer } from '../support/peer.js';
import { KernelAgent } from './kernel-agent.js';
import type { SmcSocket } from './kernel-smc.js';
import type { LimitedArgs, LimitedCommand } from './limited-end.js';
import { connected, prepare, ROLES, type Role, UEID } from './smc-pair.js';
import { SmcStream } from './smc-stream.js';

const MiB = 1 << 20;
const BOTH = { transports: ['smcr', 'tcp'], fallback: 'tcp', ueids: [UEID], handshakeTimeout: 60_000 } as const satisfies SmcOptions;
const INLINE = { ...BOTH, discovery: 'inline' } as const satisfies SmcOptions;
const PEER_DECLINED = '0x05000000';
const NO_LIMIT = expect.stringContaining('ulimit -l') as string;
const MEMLOCK = { side: 'local', reason: 'memlock', code: 0x0a120000, hint: NO_LIMIT };
const REGISTER = { side: 'local', reason: 'register-buffers', code: 0x09990003, hint: NO_LIMIT };
/** What the client or server of ours at the other end says of that. */
const TOLD = { side: 'peer', reason: 'register-buffers', code: 0x09990003, hint: NO_LIMIT };

beforeAll(prepare);

/** The process that may lock `bytes`; `role` is its. */
class Limited {
  readonly #peer: Peer;
  readonly role: Role;

  constructor(role: Role, bytes: number, options: SmcOptions) {
    this.role = role;
    // Root may lock without a limit, by this capability.
    const limits = ['--bounding-set=-ipc_lock', '--inh-caps=-ipc_lock', 'prlimit', `--memlock=${bytes}:${bytes}`, process.execPath];
    const args: LimitedArgs = { role, options };
    this.#peer = new Peer('../guest/limited-end', args, { execPath: 'setpriv', execArgv: limits });
  }

  /** The port it listens on, as server. */
  async ready(): Promise<number> {
    return (await this.#peer.message('ready')).port as number;
  }

  connect(port: number): void {
    this.#peer.send({ do: 'connect', port } satisfies LimitedCommand);
  }

  async connected(): Promise<{ transport: string; smcr: Decline | undefined }> {
    const { transport, declines } = (await this.#peer.message('connected')) as Message & { transport: string; declines: Decline[] };
    return { transport, smcr: smcrOf(declines) };
  }
}

const smcrOf = (declines: readonly Decline[]): Decline | undefined => declines.find(({ transport }) => transport === 'smcr');

/** Connections of ours, in this process, with the one that is limited. */
class Ours {
  readonly #limited: Limited;
  readonly #options: SmcOptions;
  #server: Server | undefined;
  #port = 0;

  private constructor(limited: Limited, options: SmcOptions) {
    this.#limited = limited;
    this.#options = options;
  }

  static async open(limited: Limited, options: SmcOptions): Promise<Ours> {
    const ours = new Ours(limited, options);
    const port = await limited.ready();
    if (limited.role === 'server') ours.#port = port;
    else {
      const server = createServer({ ...options, allowHalfOpen: true });
      onTestFinished(() => void server.close());
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      ours.#port = (server.address() as AddressInfo).port;
      ours.#server = server as Server;
    }
    return ours;
  }

  async connect(): Promise<{ stream: SmcStream; theirs: { transport: string; smcr: Decline | undefined } }> {
    let stream: SmcStream;
    if (this.#server === undefined) stream = await connected(connect({ ...this.#options, port: this.#port, host: '127.0.0.1' } as never));
    else {
      const coming = once(this.#server, 'connection') as Promise<[Socket]>;
      this.#limited.connect(this.#port);
      stream = new SmcStream((await coming)[0]);
    }
    onTestFinished(() => stream.close());
    return { stream, theirs: await this.#limited.connected() };
  }
}

/** Connects the limited process with the kernel; what both say, after bytes have gone both ways. */
async function withKernel(limited: Limited): Promise<{ theirs: { transport: string; smcr: Decline | undefined }; kernel: SmcSocket[] }> {
  const agent = new KernelAgent();
  const port = await limited.ready();
  if (limited.role === 'server') await agent.do('connect', { name: 'c', port });
  else {
    const listener = await agent.do('listen', { name: 'l' });
    const accepting = agent.do('accept', { name: 'c', listener: 'l' });
    limited.connect(listener.port as number);
    await accepting;
  }
  const theirs = await limited.connected();
  expect(await agent.do('exchange', { name: 'c', bytes: 100_000, seed: 3, theirs: 3 })).toMatchObject({ same: true });
  const kernel = (await agent.facts()).sockets.filter(({ mode, state }) => mode === 'tcp' && state === 'active');
  await agent.do('close', { name: 'c' });
  return { theirs, kernel };
}

describe.each(ROLES)('a %s that may lock almost nothing', (role) => {
  const LITTLE = 64 << 10;

  it('is TCP with a process of ours', async () => {
    // A server of ours waits for the client, which says nothing.
    const options = role === 'client' ? { ...INLINE, handshakeTimeout: 2000 } : INLINE;
    const ours = await Ours.open(new Limited(role, LITTLE, INLINE), options);
    const { stream, theirs } = await ours.connect();
    expect(theirs).toMatchObject({ transport: 'tcp', smcr: MEMLOCK });
    expect(theirs.smcr?.detail).toContain(`${LITTLE} bytes may be locked`);
    expect(stream.socket.transport).toBe('tcp');
    // A limited client begins without CLC; a limited server answers the Proposal.
    const said = role === 'client' ? { side: 'peer', reason: 'peer-not-smc' } : { side: 'peer', reason: 'memlock', hint: NO_LIMIT };
    expect(smcrOf(stream.socket.declines)).toMatchObject(said);
    await stream.exchange(100_000, 3, 3);
  });

  it('is TCP with the kernel, which it does not tell that it speaks SMC', async () => {
    const { theirs, kernel } = await withKernel(new Limited(role, LITTLE, BOTH));
    expect(theirs).toMatchObject({ transport: 'tcp', smcr: MEMLOCK });
    expect(kernel).toMatchObject([{ reason: '0x03010000', peerDiagnosis: '0x00000000' }]);
  });
});

describe.each(ROLES)('a %s that may lock what a link needs, but not its ring', (role) => {
  const large = { ringSize: 4 * MiB };

  it('declines, and a process of ours is told', async () => {
    const ours = await Ours.open(new Limited(role, MiB, { ...INLINE, ...large }), INLINE);
    const { stream, theirs } = await ours.connect();
    expect(theirs).toMatchObject({ transport: 'tcp', smcr: REGISTER });
    expect(theirs.smcr?.detail).toMatch(/^memory could not be registered: .*ibv_reg_mr/);
    expect(stream.socket.transport).toBe('tcp');
    expect(smcrOf(stream.socket.declines)).toMatchObject(TOLD);
    await stream.exchange(100_000, 3, 3);
  });

  it('declines, and the kernel is told', async () => {
    const { theirs, kernel } = await withKernel(new Limited(role, MiB, { ...BOTH, ...large }));
    expect(theirs).toMatchObject({ transport: 'tcp', smcr: REGISTER });
    expect(kernel).toMatchObject([{ reason: PEER_DECLINED, peerDiagnosis: '0x09990003' }]);
  });

  it('declines where its send buffer, as large as the ring of the other end, is too much', async () => {
    const ours = await Ours.open(new Limited(role, MiB, INLINE), { ...INLINE, ...large });
    const { stream, theirs } = await ours.connect();
    expect(theirs).toMatchObject({ transport: 'tcp', smcr: REGISTER });
    expect(smcrOf(stream.socket.declines)).toMatchObject(TOLD);
    await stream.exchange(100_000, 3, 3);
  });
});

describe.each(ROLES)('a %s whose limit is reached by its connections', (role) => {
  it('declines the next, and those before go on', async () => {
    const ours = await Ours.open(new Limited(role, 2 * MiB, INLINE), INLINE);
    const before: SmcStream[] = [];
    let last = await ours.connect();
    for (; last.theirs.transport === 'smcr' && before.length < 100; last = await ours.connect()) before.push(last.stream);
    expect(before.length).toBeGreaterThan(0);
    expect(last.theirs).toMatchObject({ transport: 'tcp', smcr: REGISTER });
    expect(smcrOf(last.stream.socket.declines)).toMatchObject(TOLD);
    await last.stream.exchange(100_000, 3, 3);
    for (const stream of before) {
      expect(stream.socket.transport).toBe('smcr');
      await stream.exchange(20_000, 3, 3);
    }
  });
});
