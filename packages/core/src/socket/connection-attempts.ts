// connection-attempts.ts - a connect() that may end on a ring, over the addresses of its host: one at a time in node's order with node's
// events, TCP first and then the handshake.

import net from 'node:net';
import { systemError } from '../errors.js';
import { refusesTcp, type ResolvedOptions } from '../options.js';
import { complete, descriptorOf, withoutPublishing } from '../tcp/handle.js';
import type { Endpoint } from '../transport/backend.js';
import { type Decline, decline, type TransportName } from '../transport/decline.js';
import { endpointOf, foldAddress } from '../transport/endpoint.js';
import type { NormalizedConnect } from './arguments.js';
import { ClcClientHandshake } from './clc-client.js';
import { type ClcPeer, clcPeer, usable } from './clc-peer.js';
import { choosesSource, declinesOf, notFound, refusal } from './client-declines.js';
import { type Attempt, ClientRendezvous, type Outcome } from './client-rendezvous.js';
import type { Socket } from './socket.js';
import { control } from './socket-state.js';

type Connect = NormalizedConnect['options'];

const NOTHING = Buffer.alloc(0);

/** Every transport of ours with a listener at this endpoint: the server takes the one it prefers. */
export function findAttempts(own: ResolvedOptions, options: Connect, to: Endpoint): Attempt[] {
  if (choosesSource(options)) return [];
  return usable(own).flatMap((backend) => {
    const attempt = backend.attempt(to, own);
    return attempt === undefined ? [] : [{ name: backend.name, attempt }];
  });
}

/** One connect() that may end on a ring, over the addresses of its host. */
export class ConnectionAttempts {
  readonly #socket: Socket;
  readonly #options: Connect;
  readonly #own: ResolvedOptions;
  readonly #addresses: Endpoint[];
  readonly #errors: Error[] = [];
  readonly #several: boolean;
  #first: readonly Attempt[];
  /** Transports by which the server of the current address may be met. */
  #found: readonly TransportName[] = [];
  /** How it gets known whether that server speaks CLC, if it does. */
  #peer: ClcPeer | undefined;
  readonly #tried: string[] = [];

  constructor(socket: Socket, options: Connect, own: ResolvedOptions, addresses: Endpoint[], first: readonly Attempt[]) {
    this.#first = first;
    this.#socket = socket;
    this.#options = options;
    this.#own = own;
    this.#addresses = addresses;
    this.#several = addresses.length > 1;
  }

  next(): void {
    const to = this.#addresses.shift();
    if (to === undefined) return void this.#socket.destroy(this.#error());
    const found = this.#first.length > 0 ? this.#first : findAttempts(this.#own, this.#options, to);
    this.#first = [];
    this.#found = found.map(({ name }) => name);
    let timer: NodeJS.Timeout | undefined;
    const abandon = () => {
      clearTimeout(timer);
      for (const { attempt } of found) attempt.abandon('other');
    };
    // With a server of ours on this host there is nothing to ask.
    this.#peer = found.length === 0 || this.#own.discovery === 'inline' ? clcPeer(this.#own, to) : undefined;
    const asking = found.length === 0 ? this.#peer?.asks?.ask(to) : undefined;
    const fd = asking ?? found.find(({ attempt }) => attempt.fd !== undefined)?.attempt.fd;
    // manualStart: a descriptor that is not connected yet must not be read.
    const adopted = { fd, manualStart: true, readable: true, writable: true, allowHalfOpen: true } as net.SocketConstructorOpts;
    const inner = new net.Socket(complete(fd === undefined ? { allowHalfOpen: true } : adopted));
    control.setInner(this.#socket, inner);
    if (this.#options.noDelay) inner.setNoDelay(true);
    if (this.#options.keepAlive) inner.setKeepAlive(true, this.#options.keepAliveInitialDelay);
    const next = (error: Error) => {
      abandon();
      inner.off('error', failed);
      inner.destroy();
      this.#errors.push(error);
      if (!this.#socket.destroyed) this.next();
    };
    const failed = (error: Error) => {
      // Of a source that cannot be had node:net tells as of no attempt.
      if ((error as NodeJS.ErrnoException).syscall !== 'bind') {
        this.#socket.emit('connectionAttemptFailed', to.address, to.port, to.family, error);
      }
      next(error);
    };
    control.setAbort(this.#socket, abandon);
    inner.once('error', failed);
    if (this.#several) {
      this.#tried.push(`${to.address}:${to.port}`);
      Object.assign(this.#socket, { autoSelectFamilyAttemptedAddresses: this.#tried });
      this.#socket.emit('connectionAttempt', to.address, to.port, to.family);
      // Its listener may have had enough.
      if (this.#socket.destroyed) {
        abandon();
        return void inner.destroy();
      }
    } else {
      // In the tick before that in which node:net connects.
      process.nextTick(() => {
        if (!this.#socket.destroyed) this.#socket.emit('connectionAttempt', to.address, to.port, to.family);
      });
    }
    // The last one may take as long as it takes.
    if (this.#addresses.length > 0) timer = setTimeout(() => next(this.#late(to)), this.#patience);
    const { localAddress, localPort } = this.#options;
    const target = { host: to.address, port: to.port, family: to.family, localAddress, localPort } as net.TcpNetConnectOpts;
    withoutPublishing(() => inner.connect(target));
    // Two ticks from now connect(2) has been called, so the source is known; the server can accept only in a later turn.
    process.nextTick(() => {
      const { address, port } = inner.address() as net.AddressInfo;
      if (port === undefined) return;
      for (const { attempt } of found) attempt.connecting({ address: foldAddress(address), port, family: to.family });
    });
    inner.once('connect', () => {
      inner.off('error', failed);
      clearTimeout(timer);
      if (found.length === 0) return this.#byClc(inner, undefined, asking !== undefined);
      const handshake = new ClientRendezvous(found, inner, this.#own, (outcome) =>
        control.inScope(this.#socket, () => {
          if (outcome.kind === 'tcp' && outcome.unspoken) this.#byClc(inner, outcome, false);
          else this.#settle(inner, outcome);
        }),
      );
      control.setAbort(this.#socket, () => handshake.abort());
      handshake.start();
    });
  }

  /** Milliseconds an address has before the next one is tried. */
  get #patience(): number {
    const { autoSelectFamilyAttemptTimeout: given } = this.#options;
    return given == null ? net.getDefaultAutoSelectFamilyAttemptTimeout() : Math.max(given, 10);
  }

  #late({ address, port, family }: Endpoint): Error {
    this.#socket.emit('connectionAttemptTimeout', address, port, family);
    const error = systemError('ETIMEDOUT', 'connect');
    return Object.assign(error, { address, port, message: `${error.message} ${address}:${port}` });
  }

  /** No offer has come (`before` says why): the server may speak CLC nevertheless. `asked`: the client has asked it. */
  #byClc(inner: net.Socket, before: Extract<Outcome, { kind: 'tcp' }> | undefined, asked: boolean): void {
    const peer = this.#peer;
    // Without one this is the way of every connection that ends on TCP: no call to the kernel for its names.
    if (peer === undefined || (peer.asks !== undefined && !asked)) return this.#settle(inner, before);
    const { name, clc, asks } = peer;
    const known = before?.declines ?? [];
    const plain = (why: Decline) => this.#settle(inner, { kind: 'tcp', declines: [...known, why], rest: before?.rest ?? NOTHING });
    if (asks !== undefined && !asks.agreed(descriptorOf(inner))) return plain(decline(name, 'peer', 'peer-not-smc'));
    const local = endpointOf(inner.localAddress, inner.localPort);
    const remote = endpointOf(inner.remoteAddress, inner.remotePort);
    if (local === undefined || remote === undefined) return this.#settle(inner, before);
    const handshake = new ClcClientHandshake(name, clc, { local, remote }, asks !== undefined, inner, this.#own, (outcome) => {
      const all = outcome.kind === 'tcp' ? { ...outcome, declines: [...known, ...outcome.declines] } : outcome;
      control.inScope(this.#socket, () => this.#settle(inner, all, known));
    });
    control.setAbort(this.#socket, () => handshake.abort());
    inner.resume();
    handshake.start();
  }

  /** `before`: why a ring was not had by other transports. */
  #settle(inner: net.Socket, outcome: Outcome | undefined, before: readonly Decline[] = []): void {
    const socket = this.#socket;
    if (outcome?.kind === 'error') return void socket.destroy(outcome.error);
    const ring = outcome?.kind === 'ring';
    const known = outcome?.kind === 'tcp' ? outcome.declines : before;
    const declines = declinesOf(this.#own, (backend) => {
      const { name } = backend;
      if (ring && name === outcome.channel.transport) return 'usable';
      const why = known.find(({ transport }) => transport === name);
      if (why !== undefined) return why;
      const offered = this.#found.includes(name) || (this.#peer?.name === name && this.#peer.asks === undefined);
      return ring && offered ? decline(name, 'peer', 'not-preferred') : notFound(backend, this.#options);
    });
    control.setDeclines(socket, declines);
    if (ring) control.toRing(socket, inner, outcome.channel);
    else {
      if (refusesTcp(this.#own)) return void socket.destroy(refusal(declines));
      control.toTcp(socket, inner, outcome?.rest ?? NOTHING);
    }
    established(socket, ring ? outcome.channel.transport : 'tcp', ring ? NOTHING : (outcome?.rest ?? NOTHING));
  }

  #error(): Error {
    const [first] = this.#errors;
    if (!this.#several || this.#errors.length === 1) return first as Error;
    return Object.assign(new AggregateError(this.#errors), { code: (first as NodeJS.ErrnoException).code });
  }
}

/** The events of a connected client socket, in node's order. */
function established(socket: Socket, transport: TransportName, first: Buffer): void {
  control.setConnecting(socket, false);
  socket.emit('transport', transport);
  socket.emit('connect');
  socket.emit('ready');
  // A server that spoke before we could: its bytes come after 'connect', whoever listens already.
  if (first.length > 0 && !socket.destroyed) socket.push(first);
  if (!socket.destroyed && !socket.isPaused()) socket.read(0);
}
