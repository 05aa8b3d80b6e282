// connecting.ts - what connect() does: to node:net untouched unless somebody at the address speaks SMC; else one address
// at a time in node's order, with node's events, TCP first and then the handshake.

import dns from 'node:dns';
import net from 'node:net';
import { SmcError } from '../errors.js';
import { refusesTcp, type ResolvedOptions } from '../options.js';
import { CONNECT_PUBLISHES, complete, hasHandle, publishClient, revive, withoutPublishing } from '../tcp/handle.js';
import type { Backend, ClcTransport, Endpoint } from '../transport/backend.js';
import { usableBackend } from '../transport/backends.js';
import { absent, type Decline, decline, type TransportName } from '../transport/decline.js';
import { endpointOf, foldAddress } from '../transport/endpoint.js';
import { type Candidate, type CandidateName, select } from '../transport/select.js';
import { type NormalizedConnect, normalizeConnect } from './arguments.js';
import { ClcClientHandshake } from './clc-client.js';
import { type Attempt, ClientRendezvous, type Outcome } from './client-rendezvous.js';
import type { Socket } from './socket.js';
import { control } from './socket-state.js';

type Plain = (...args: unknown[]) => Socket;
type Connect = NormalizedConnect['options'];

const CANDIDATES: readonly CandidateName[] = ['memory', 'smcd', 'smcr'];

const OUT_OF_REACH = CANDIDATES.map((name) =>
  decline(name, 'path', 'not-tcp', 'a path, a descriptor, a chosen source or a block list: node:net connects it'),
);
const NOTHING = Buffer.alloc(0);
const NOT_WANTED = CANDIDATES.map((name) => decline(name, 'local', 'configuration'));

/** Connects `socket`; `plain` is connect() of net.Socket. */
export function connectSocket(socket: Socket, args: readonly unknown[], plain: Plain): Socket {
  const { options, callback } = normalizeConnect(args);
  const own = control.addOptions(socket, options);
  if (own.transports.length === 1 && own.transports[0] === 'tcp') {
    plain(...args);
    return settlePlain(socket, own, NOT_WANTED);
  }
  const port = Number(options.port);
  const outOfReach =
    Boolean(options.path) ||
    !(port > 0 && port < 65536) ||
    hasHandle(socket) ||
    options.localAddress !== undefined ||
    options.localPort !== undefined ||
    (options as { blockList?: unknown }).blockList !== undefined ||
    (options.lookup != null && typeof options.lookup !== 'function');
  const toPlain = (declines: readonly Decline[]) => {
    plain(...args);
    return settlePlain(socket, own, declines);
  };
  if (outOfReach) return toPlain(OUT_OF_REACH);
  const host = options.host ?? 'localhost';
  const family = ipFamily(host);
  if (family !== 0) {
    // The attempt itself tells whether anybody is there.
    const to = endpoint({ address: host, family }, port);
    const attempts = findAttempts(own, to);
    if (attempts.length === 0 && inlineTransport(own) === undefined) return toPlain(nobody(own));
    begin(socket, options, callback);
    new Connecting(socket, options, own, [to], attempts).next();
    return socket;
  }
  const candidates = own.transports.filter((name): name is CandidateName => name !== 'tcp').map((name) => usableBackend(name));
  if (!candidates.some((found) => !('reason' in found) && found.mayListen(port, own))) return toPlain(nobody(own));
  begin(socket, options, callback);
  lookUp(socket, options, own, port, plain);
  return socket;
}

/** connect() of net as far as it goes without a handle. */
function begin(socket: Socket, options: Connect, callback: (() => void) | undefined): void {
  revive(socket);
  control.undecided(socket, options);
  if (CONNECT_PUBLISHES) publishClient(socket);
  control.setConnecting(socket, true);
  if (callback !== undefined) socket.once('connect', callback);
  if (options.noDelay !== undefined) socket.setNoDelay(options.noDelay);
  if (options.keepAlive !== undefined) socket.setKeepAlive(options.keepAlive, options.keepAliveInitialDelay);
  socket._unrefTimer();
}

/** A {@link Decline} for each transport but TCP, when none is used. */
function declinesOf(own: ResolvedOptions, usable: (backend: Backend) => Candidate): readonly Decline[] {
  const candidates: Partial<Record<CandidateName, Candidate>> = {};
  for (const name of CANDIDATES) {
    if (!own.transports.includes(name)) continue;
    const found = usableBackend(name);
    candidates[name] = 'reason' in found ? found : usable(found);
  }
  // Where TCP is used nevertheless, it is no transport that was declined.
  const chosen = Object.values(candidates).includes('usable');
  const { declines } = select({ order: own.transports, allowed: own.transports, candidates });
  return chosen ? declines : declines.filter(({ transport }) => transport !== 'tcp');
}

/** Nobody at the address speaks any of them. */
const nobody = (own: ResolvedOptions) => declinesOf(own, (backend) => absent(backend.name, 'client'));

function settlePlain(socket: Socket, own: ResolvedOptions, declines: readonly Decline[]): Socket {
  control.setDeclines(socket, declines);
  const refused = refusesTcp(own) ? refusal(declines) : undefined;
  if (refused !== undefined) process.nextTick(() => socket.destroy(refused));
  else socket.prependOnceListener('connect', tellTcp);
  return socket;
}

function tellTcp(this: Socket): void {
  this.emit('transport', 'tcp');
}

/** TCP is all that is left and not good enough. */
function refusal(declines: readonly Decline[]): SmcError {
  const reasons = declines.map(({ transport, detail }) => `${transport}: ${detail}`).join('; ');
  const error = new SmcError('ERR_SMC_FALLBACK', `only TCP is left (${reasons})`);
  error.declines = declines;
  return error;
}

/** Resolves the name, then goes through the addresses. */
function lookUp(socket: Socket, options: Connect, own: ResolvedOptions, port: number, plain: Plain): void {
  const host = options.host ?? 'localhost';
  const lookup = options.lookup ?? dns.lookup;
  const all = options.autoSelectFamily ?? net.getDefaultAutoSelectFamily();
  const hints = options.hints !== undefined ? { hints: options.hints } : {};
  lookup(host, { family: options.family ?? 0, all, ...hints } as dns.LookupOptions, (error, found: unknown, foundFamily?: number) => {
    if (socket.destroyed || !socket.connecting) return;
    if (error) {
      socket.emit('lookup', error, undefined, undefined, host);
      return void socket.destroy(error);
    }
    const addresses = Array.isArray(found)
      ? (found as dns.LookupAddress[])
      : [{ address: found as string, family: foundFamily ?? net.isIP(found as string) }];
    tryAddresses(addresses);
  });

  function tryAddresses(addresses: readonly dns.LookupAddress[]): void {
    const endpoints = addresses.map((address) => endpoint(address, port));
    // With one address the attempt itself tells; with several, one that may be meant decides for all.
    const [only] = endpoints;
    const first = endpoints.length === 1 && only !== undefined ? findAttempts(own, only) : [];
    const alone = first.length === 0 && inlineTransport(own) === undefined;
    if (alone && (endpoints.length === 1 || !endpoints.some((to) => mayListen(own, to)))) {
      // Nobody there: node:net connects as if we had not been here; the name is not looked up again.
      const replay = ((_host: string, { all: every }: dns.LookupOptions, done: (...result: unknown[]) => void) =>
        every === true ? done(null, addresses) : done(null, addresses[0]?.address, addresses[0]?.family)) as net.LookupFunction;
      control.setConnecting(socket, false);
      const replayed = { lookup: replay, ...options };
      replayed.lookup = replay;
      withoutPublishing(() => plain(replayed));
      settlePlain(socket, own, nobody(own));
      return;
    }
    for (const { address, family } of addresses) socket.emit('lookup', null, address, family, host);
    new Connecting(socket, options, own, endpoints, first).next();
  }
}

/** As net.isIP; the usual IPv4 address without its pattern, which takes milliseconds to compile when first used. */
const ipFamily = (host: string): number =>
  /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/.test(host) ? 4 : host.includes(':') ? net.isIP(host) : 0;

const endpoint = ({ address, family }: dns.LookupAddress, port: number): Endpoint => {
  const folded = foldAddress(address);
  return { address: folded, port, family: folded === address && family === 6 ? 6 : 4 };
};

function usable(own: ResolvedOptions): Backend[] {
  return own.transports.flatMap((name) => {
    const found = name === 'tcp' ? undefined : usableBackend(name);
    return found === undefined || 'reason' in found ? [] : [found];
  });
}

const mayListen = (own: ResolvedOptions, to: Endpoint) => usable(own).some((backend) => backend.mayListen(to.port, own, to));

/** The transport by which a server is met that is told to speak CLC: our first bytes will be. */
function inlineTransport(own: ResolvedOptions): { readonly name: TransportName; readonly clc: ClcTransport } | undefined {
  if (own.discovery !== 'inline') return undefined;
  for (const { name, clc } of usable(own)) if (clc !== undefined) return { name, clc };
  return undefined;
}

/** Every transport of ours with a listener at this endpoint: the server takes the one it prefers. */
function findAttempts(own: ResolvedOptions, to: Endpoint): Attempt[] {
  return usable(own).flatMap((backend) => {
    const attempt = backend.attempt(to, own);
    return attempt === undefined ? [] : [{ name: backend.name, attempt }];
  });
}

/** One connect() that may end on a ring, over the addresses of its host. */
class Connecting {
  readonly #socket: Socket;
  readonly #options: Connect;
  readonly #own: ResolvedOptions;
  readonly #addresses: Endpoint[];
  readonly #errors: Error[] = [];
  readonly #several: boolean;
  #first: readonly Attempt[];
  /** Transports by which the server of the current address may be met. */
  #found: readonly TransportName[] = [];
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
    const found = this.#first.length > 0 ? this.#first : findAttempts(this.#own, to);
    this.#first = [];
    this.#found = found.map(({ name }) => name);
    const abandon = () => {
      for (const { attempt } of found) attempt.abandon('other');
    };
    const fd = found.find(({ attempt }) => attempt.fd !== undefined)?.attempt.fd;
    // manualStart: a descriptor that is not connected yet must not be read.
    const adopted = { fd, manualStart: true, readable: true, writable: true, allowHalfOpen: true } as net.SocketConstructorOpts;
    const inner = new net.Socket(complete(fd === undefined ? { allowHalfOpen: true } : adopted));
    control.setInner(this.#socket, inner);
    if (this.#options.noDelay) inner.setNoDelay(true);
    if (this.#options.keepAlive) inner.setKeepAlive(true, this.#options.keepAliveInitialDelay);
    const failed = (error: Error) => {
      abandon();
      inner.destroy();
      this.#errors.push(error);
      if (this.#several) this.#socket.emit('connectionAttemptFailed', to.address, to.port, to.family, error);
      if (!this.#socket.destroyed) this.next();
    };
    control.setAbort(this.#socket, abandon);
    inner.once('error', failed);
    if (this.#several) {
      this.#tried.push(`${to.address}:${to.port}`);
      Object.assign(this.#socket, { autoSelectFamilyAttemptedAddresses: this.#tried });
      this.#socket.emit('connectionAttempt', to.address, to.port, to.family);
    }
    withoutPublishing(() => inner.connect({ host: to.address, port: to.port, family: to.family }));
    // Two ticks from now connect(2) has been called, so the source is known; the server can accept only in a later turn.
    process.nextTick(() => {
      const { address, port } = inner.address() as net.AddressInfo;
      if (port === undefined) return;
      for (const { attempt } of found) attempt.connecting({ address: foldAddress(address), port, family: to.family });
    });
    inner.once('connect', () => {
      inner.off('error', failed);
      if (found.length === 0) return this.#inline(inner, undefined);
      const handshake = new ClientRendezvous(found, inner, this.#own, (outcome) =>
        control.inScope(this.#socket, () => {
          if (outcome.kind === 'tcp' && outcome.unspoken) this.#inline(inner, outcome);
          else this.#settle(inner, outcome);
        }),
      );
      control.setAbort(this.#socket, () => handshake.abort());
      handshake.start();
    });
  }

  /** No offer has come (`before` says why): the server may have been told to look for a Proposal. */
  #inline(inner: net.Socket, before: Extract<Outcome, { kind: 'tcp' }> | undefined): void {
    const transport = inlineTransport(this.#own);
    // Without one this is the way of every connection that ends on TCP: no call to the kernel for its names.
    if (transport === undefined) return this.#settle(inner, before);
    const local = endpointOf(inner.localAddress, inner.localPort);
    const remote = endpointOf(inner.remoteAddress, inner.remotePort);
    if (local === undefined || remote === undefined) return this.#settle(inner, before);
    const { name, clc } = transport;
    const known = before?.declines ?? [];
    const handshake = new ClcClientHandshake(name, clc, { local, remote }, inner, this.#own, (outcome) => {
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
    const declines = declinesOf(this.#own, ({ name }) => {
      if (ring && name === outcome.channel.transport) return 'usable';
      const why = known.find(({ transport }) => transport === name);
      if (why !== undefined) return why;
      const offered = this.#found.includes(name) || inlineTransport(this.#own)?.name === name;
      return ring && offered ? decline(name, 'peer', 'not-preferred') : absent(name, 'client');
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
