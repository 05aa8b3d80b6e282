// server.ts - the server: a net.Server whose connections move onto a ring when their client waits for one. It accepts
// plain clients on the same port; they see no difference and no wait.

import { AsyncResource } from 'node:async_hooks';
import diagnostics from 'node:diagnostics_channel';
import net from 'node:net';
import { refusesTcp, type ResolvedOptions, resolveOptions } from '../options.js';
import { type AcceptedHandle, adoptAccepted, beforeListen, descriptorOf, listeningDescriptor, replaceAccept } from '../tcp/handle.js';
import type { AcceptedConnection, ClcDiscovery, ClcServer, ListenEndpoint, Registration, ServerOffer } from '../transport/backend.js';
import { usableBackend } from '../transport/backends.js';
import { absent, type Decline, decline, TRANSPORT_NAMES } from '../transport/decline.js';
import type { ServerOptions } from './arguments.js';
import { ClcServerHandshake } from './clc-server.js';
import type { Outcome } from './client-rendezvous.js';
import { endpointOf } from '../transport/endpoint.js';
import { CANDIDATES, type CandidateName } from '../transport/select.js';
import { ServerRendezvous } from './server-rendezvous.js';
import { Socket } from './socket.js';
import { control } from './socket-state.js';

type ConnectionListener = (socket: Socket) => void;

/** An offer to the client of an accepted connection, or why there is none; without declines it is just a plain client. */
type Found =
  | { readonly name: CandidateName; readonly offer: ServerOffer }
  | { readonly offer: undefined; readonly declines: readonly Decline[] | undefined };
const PLAIN: Found = { offer: undefined, declines: undefined };
const NOTHING = Buffer.alloc(0);

/** Accepted sockets belong to nobody's asynchronous context, as in node:net. */
const root = new AsyncResource('SMC');

const serverSockets = diagnostics.channel('net.server.socket');

/** The listeners of net.Server, where those of 'connection' are given a {@link Socket}. */
interface AddListener<This> {
  (event: 'connection', listener: (socket: Socket) => void): This;
  (event: 'close' | 'listening', listener: () => void): This;
  (event: 'error', listener: (error: Error) => void): This;
  (event: 'drop', listener: (data?: net.DropArgument) => void): This;
  // biome-ignore lint/suspicious/noExplicitAny: as EventEmitter has it
  (event: string | symbol, listener: (...args: any[]) => void): This;
}

export interface Server {
  on: AddListener<this>;
  once: AddListener<this>;
  addListener: AddListener<this>;
  prependListener: AddListener<this>;
  prependOnceListener: AddListener<this>;
}

/**
 * A net.Server; sockets given to 'connection' are {@link Socket}s, with their transport known. Clients that use this library
 * can find it from 'listening' on, until close(). A plain client is given to 'connection' at once; one that waits for a ring
 * after the handshake, at most `discoveryWait` and `handshakeTimeout` later. With `fallback: 'error'` a connection that
 * ends on TCP is closed without 'connection', unless `transports` names 'tcp'.
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the base class has what the interface declares
export class Server extends net.Server {
  readonly #own: ResolvedOptions;
  readonly #socketOptions: { allowHalfOpen: boolean; highWaterMark?: number };
  readonly #pauseOnConnect: boolean;
  #ipv6Only = false;
  #registrations: Registration[] = [];
  #registered = new Set<CandidateName>();
  /** Context of listen(): that of 'connection'. */
  #scope = root;
  #declines: readonly Decline[] = [];
  /** The first bytes of a connection are looked at: `discovery` is 'inline', and this is no path. */
  #inline = false;
  /** Those whose client has asked for it, too. */
  #discovery: ClcDiscovery | undefined;
  /** @internal What a connection that was plain from the start has for its declines. */
  plainDeclines: readonly Decline[] = [];

  /** @throws SmcError `ERR_SMC_INVALID_OPTION` for an unusable option of ours, at once. */
  constructor(options?: ServerOptions | ConnectionListener, listener?: ConnectionListener) {
    const given = typeof options === 'function' ? {} : (options ?? {});
    const own = resolveOptions(given);
    super(given, (typeof options === 'function' ? options : listener) as ((socket: net.Socket) => void) | undefined);
    this.#own = own;
    const { allowHalfOpen = false, highWaterMark, pauseOnConnect = false } = given as net.ServerOpts;
    this.#socketOptions = { allowHalfOpen, ...(highWaterMark !== undefined ? { highWaterMark } : {}) };
    this.#pauseOnConnect = pauseOnConnect;
  }

  override emit(event: string | symbol, ...args: unknown[]): boolean {
    const [first] = args;
    // 'listening' is a promise that clients which connect from now on can find us.
    if (event === 'listening') this.#register();
    // A plain socket comes from node's own accept in unusual cases, from cluster, or from the user.
    if (event === 'connection' && first instanceof net.Socket && !(first instanceof Socket)) return this.#acceptSocket(first);
    return super.emit(event as string, ...args);
  }

  override listen(port?: number, hostname?: string, backlog?: number, listeningListener?: () => void): this;
  override listen(port?: number, hostname?: string, listeningListener?: () => void): this;
  override listen(port?: number, backlog?: number, listeningListener?: () => void): this;
  override listen(port?: number, listeningListener?: () => void): this;
  override listen(path: string, backlog?: number, listeningListener?: () => void): this;
  override listen(path: string, listeningListener?: () => void): this;
  override listen(options: net.ListenOptions, listeningListener?: () => void): this;
  override listen(handle: object, backlog?: number, listeningListener?: () => void): this;
  override listen(handle: object, listeningListener?: () => void): this;
  override listen(...args: unknown[]): this {
    const [options] = args;
    this.#ipv6Only = typeof options === 'object' && options !== null && (options as net.ListenOptions).ipv6Only === true;
    const discovery = this.listening ? undefined : discoveryOf(this.#own);
    if (discovery !== undefined) beforeListen(this, (fd) => discovery.answer(fd));
    return super.listen(...(args as [net.ListenOptions]));
  }

  override close(callback?: (error?: Error) => void): this {
    this.#unregister();
    return super.close(callback);
  }

  #register(): void {
    this.#scope = new AsyncResource('SMCSERVER');
    this.#unregister();
    replaceAccept(this, (handle) => this.#acceptHandle(handle));
    const endpoint = listenEndpoint(this.address(), this.#ipv6Only);
    this.#inline = this.#own.discovery === 'inline' && endpoint !== undefined;
    const discovery = endpoint === undefined ? undefined : discoveryOf(this.#own);
    this.#discovery = discovery?.answers(listeningDescriptor(this)) === undefined ? discovery : undefined;
    const declines: Decline[] = [];
    const wanted = candidatesOf(this.#own);
    for (const name of CANDIDATES) if (!wanted.includes(name)) declines.push(decline(name, 'local', 'configuration'));
    // In our order of preference: that is how an accepted connection is looked for.
    for (const name of wanted) {
      const found = usableBackend(name);
      const result =
        'reason' in found
          ? found
          : endpoint === undefined
            ? decline(name, 'path', 'not-tcp')
            : found.register(endpoint, this.#own, listeningDescriptor(this));
      if ('reason' in result) declines.push(result);
      else {
        this.#registrations.push(result);
        this.#registered.add(name);
      }
    }
    this.#declines = declines;
    this.plainDeclines = sorted([...declines, ...[...this.#registered].map((name) => absent(name, 'server'))]);
  }

  #unregister(): void {
    for (const registration of this.#registrations.splice(0)) registration.close();
    this.#registered.clear();
  }

  /** A connection was accepted. Plain clients go on at once, in this very call. */
  #acceptHandle(handle: AcceptedHandle): void {
    const found = this.#findOffer(handle);
    const clc = found.offer === undefined && this.#speaksClc(handle.fd);
    const undecided = found.offer !== undefined || clc;
    const socket = undecided ? new net.Socket(handle.options(true)) : new Socket(handle.options());
    adoptAccepted(this, socket);
    if (found.offer !== undefined) this.#meet(socket, found.name, found.offer);
    else if (clc) this.#listenForClc(this.#undecided(socket), socket, found.declines, NOTHING);
    else this.#plain(socket as Socket, found.declines);
  }

  #acceptSocket(accepted: net.Socket): boolean {
    const connection = {
      fd: descriptorOf(accepted),
      get local() {
        return endpointOf(accepted.localAddress, accepted.localPort);
      },
      get remote() {
        return endpointOf(accepted.remoteAddress, accepted.remotePort);
      },
    };
    const found = this.#findOffer(connection);
    if (found.offer !== undefined) return this.#meet(accepted, found.name, found.offer);
    if (this.#speaksClc(connection.fd)) return this.#listenForClc(this.#undecided(accepted), accepted, found.declines, NOTHING);
    return this.#plain(Object.setPrototypeOf(accepted, Socket.prototype) as Socket, found.declines);
  }

  /** May the first bytes of this connection be CLC? */
  #speaksClc(fd: number): boolean {
    return this.#inline || this.#discovery?.agreed(fd) === true;
  }

  /** The first transport by which the client of this connection can be met. */
  #findOffer(connection: AcceptedConnection): Found {
    if (this.#registered.size === 0) return PLAIN;
    const declines: Decline[] = [];
    let refused = false;
    for (const name of this.#registered) {
      const backend = usableBackend(name);
      const offer = 'reason' in backend ? backend : backend.offer(connection, this.#own);
      if (offer === undefined) declines.push(absent(name, 'server'));
      else if ('reason' in offer) refused = declines.push(offer) > 0;
      else return { name, offer };
    }
    return refused ? { offer: undefined, declines: sorted([...this.#declines, ...declines]) } : PLAIN;
  }

  /** The connection is TCP and was never anything else. Without `declines` it has the server's. */
  #plain(socket: Socket, declines: readonly Decline[] | undefined): boolean {
    if (refusesTcp(this.#own)) {
      socket.destroy();
      return true;
    }
    if (declines !== undefined) control.setDeclines(socket, declines);
    return this.#emitConnection(socket);
  }

  #emitConnection(socket: Socket): boolean {
    const heard = super.emit('connection', socket);
    if (serverSockets.hasSubscribers) serverSockets.publish({ socket });
    return heard;
  }

  /** The socket of a connection whose transport is to be settled. */
  #undecided(accepted: net.Socket): Socket {
    accepted.allowHalfOpen = true;
    const socket = new Socket(this.#socketOptions);
    control.setOptions(socket, this.#own);
    control.undecided(
      socket,
      undefined,
      root.runInAsyncScope(() => new AsyncResource('SMCSOCKET')),
    );
    control.setInner(socket, accepted);
    return socket;
  }

  #meet(accepted: net.Socket, name: CandidateName, offer: ServerOffer): boolean {
    const socket = this.#undecided(accepted);
    const others = this.#declines.concat([...this.#registered].filter((other) => other !== name).map((other) => absent(other, 'server')));
    const handshake = new ServerRendezvous(name, offer, accepted, this.#own, (outcome) => {
      // Who has not taken an offer may still send a Proposal.
      if (outcome.kind === 'tcp' && outcome.unspoken && this.#speaksClc(descriptorOf(accepted))) {
        this.#listenForClc(socket, accepted, [...others, ...outcome.declines], outcome.rest);
      } else this.#settle(socket, accepted, outcome, others);
    });
    control.setAbort(socket, () => handshake.abort());
    handshake.start();
    accepted.resume();
    return true;
  }

  /**
   * Looks whether the client begins with CLC. `declines`: why other transports are not used; absent for a
   * connection with which nothing has been tried. `first`: what has been read of it.
   */
  #listenForClc(socket: Socket, accepted: net.Socket, declines: readonly Decline[] | undefined, first: Buffer): boolean {
    const others = (declines ?? this.plainDeclines).filter(({ transport }) => transport !== 'smcr' && transport !== 'tcp');
    // What this side lacks says more than that the client did not begin with CLC.
    const lacking = this.#declines.find(({ transport }) => transport === 'smcr');
    const handshake = new ClcServerHandshake(
      'smcr',
      () => lacking ?? serveClc(accepted, this.#own),
      accepted,
      this.#own,
      (outcome) => {
        const plain = outcome.kind === 'tcp' && lacking !== undefined ? { ...outcome, declines: [lacking] } : outcome;
        this.#settle(socket, accepted, plain, others);
      },
    );
    control.setAbort(socket, () => handshake.abort());
    accepted.resume();
    handshake.start(first);
    return true;
  }

  #settle(socket: Socket, accepted: net.Socket, outcome: Outcome, others: readonly Decline[]): void {
    if (outcome.kind === 'error' || (outcome.kind === 'tcp' && refusesTcp(this.#own))) {
      // Nobody has seen this connection yet: it ends as one that was reset in the backlog.
      accepted.on('error', () => {});
      accepted.resetAndDestroy();
      return;
    }
    if (this.#pauseOnConnect) socket.pause();
    if (outcome.kind === 'ring') {
      control.setDeclines(socket, sorted([...others, decline('tcp', 'local', 'not-preferred')]));
      control.toRing(socket, accepted, outcome.channel, this.#pauseOnConnect);
    } else {
      control.setDeclines(socket, sorted([...others, ...outcome.declines]));
      control.toTcp(socket, accepted, outcome.rest);
    }
    if (outcome.kind === 'tcp' && outcome.rest.length > 0) socket.push(outcome.rest);
    this.#scope.runInAsyncScope(() => this.#emitConnection(socket));
    if (!socket.destroyed && !socket.isPaused()) socket.read(0);
  }
}

/** How clients can ask a server whether it speaks CLC, where there is a transport for it. */
function discoveryOf(own: ResolvedOptions): ClcDiscovery | undefined {
  if (!candidatesOf(own).includes('smcr')) return undefined;
  const backend = usableBackend('smcr');
  return 'reason' in backend ? undefined : backend.clc?.discovery;
}

/** What answers a Proposal: the transport, or why there is none. */
function serveClc(accepted: net.Socket, own: ResolvedOptions): ClcServer | Decline {
  const local = endpointOf(accepted.localAddress, accepted.localPort);
  const remote = endpointOf(accepted.remoteAddress, accepted.remotePort);
  const backend = usableBackend('smcr');
  if ('reason' in backend) return backend;
  if (local === undefined || remote === undefined || backend.clc === undefined) return decline('smcr', 'local', 'modes-differ');
  return backend.clc.server({ local, remote }, own);
}

const sorted = (declines: Decline[]): readonly Decline[] =>
  declines.sort((a, b) => TRANSPORT_NAMES.indexOf(a.transport) - TRANSPORT_NAMES.indexOf(b.transport));

/** What a server prefers to TCP, most preferred first: what comes behind TCP in its list can't be chosen. */
function candidatesOf({ transports }: ResolvedOptions): readonly CandidateName[] {
  const tcp = transports.indexOf('tcp');
  return (tcp < 0 ? transports : transports.slice(0, tcp)) as readonly CandidateName[];
}

/** Where a server listens, or undefined for paths. Node listens on `::` for both families unless told otherwise. */
function listenEndpoint(address: string | net.AddressInfo | null, ipv6Only: boolean): ListenEndpoint | undefined {
  if (address === null || typeof address === 'string') return undefined;
  const endpoint = endpointOf(address.address, address.port);
  return endpoint && { ...endpoint, dual: endpoint.address === '::' && !ipv6Only };
}
