// connecting.ts - what connect() does: to node:net untouched unless somebody at the address may speak SMC; else its addresses are
// looked up and tried.

import dns from 'node:dns';
import net from 'node:net';
import { systemError } from '../errors.js';
import { refusesTcp, type ResolvedOptions } from '../options.js';
import { CONNECT_PUBLISHES, hasHandle, publishClient, revive, withoutPublishing } from '../tcp/handle.js';
import type { Endpoint } from '../transport/backend.js';
import { usableBackend } from '../transport/backends.js';
import { type Decline, decline } from '../transport/decline.js';
import { foldAddress } from '../transport/endpoint.js';
import { CANDIDATES, type CandidateName } from '../transport/select.js';
import { type NormalizedConnect, normalizeConnect } from './arguments.js';
import { clcPeer, usable } from './clc-peer.js';
import { choosesSource, nobody, outOfReach, refusal } from './client-declines.js';
import { ConnectionAttempts, findAttempts } from './connection-attempts.js';
import type { Socket } from './socket.js';
import { control } from './socket-state.js';

type Plain = (...args: unknown[]) => Socket;
type Connect = NormalizedConnect['options'];

const FAMILIES: Readonly<Record<string, 0 | 4 | 6 | undefined>> = { 0: 0, 4: 4, 6: 6, IPv4: 4, IPv6: 6, undefined: undefined };

const OUT_OF_REACH = CANDIDATES.map(outOfReach);
const NOT_WANTED = CANDIDATES.map((name) => decline(name, 'local', 'configuration'));

/** Connects `socket`; `plain` is connect() of net.Socket. */
export function connectSocket(socket: Socket, args: readonly unknown[], plain: Plain): Socket {
  const { options, callback } = normalizeConnect(args);
  if (isTaken(socket)) return again(socket, options, callback);
  const own = control.addOptions(socket, options);
  if (own.transports.length === 1 && own.transports[0] === 'tcp') {
    plain(...args);
    return settlePlain(socket, own, NOT_WANTED);
  }
  const port = Number(options.port);
  const forNode =
    Boolean(options.path) ||
    !(Number.isInteger(port) && port > 0 && port < 65536) ||
    hasHandle(socket) ||
    // What is wrong with these node:net says best.
    (Boolean(options.host) && typeof options.host !== 'string') ||
    (options.localAddress !== undefined && net.isIP(options.localAddress) === 0) ||
    !(String(options.family) in FAMILIES) ||
    (options.localPort !== undefined && !Number.isInteger(options.localPort)) ||
    (options.autoSelectFamily != null && typeof options.autoSelectFamily !== 'boolean') ||
    (options.autoSelectFamilyAttemptTimeout != null &&
      !(Number.isInteger(options.autoSelectFamilyAttemptTimeout) && options.autoSelectFamilyAttemptTimeout > 0)) ||
    (options as { blockList?: unknown }).blockList !== undefined ||
    (options.lookup != null && typeof options.lookup !== 'function');
  const toPlain = (declines: readonly Decline[]) => {
    plain(...args);
    return settlePlain(socket, own, declines);
  };
  if (forNode) return toPlain(OUT_OF_REACH);
  const host = options.host || 'localhost';
  const family = ipFamily(host);
  if (family !== 0) {
    // The attempt itself tells whether anybody is there.
    const to = endpoint({ address: host, family }, port);
    const attempts = findAttempts(own, options, to);
    // An IPv6 socket that speaks IPv4 stays one.
    if (attempts.length === 0 && (to.address !== host || clcPeer(own, to) === undefined)) return toPlain(nobody(own, options));
    begin(socket, options, callback);
    new ConnectionAttempts(socket, options, own, [to], attempts).next();
    return socket;
  }
  const candidates = own.transports.filter((name): name is CandidateName => name !== 'tcp').map((name) => usableBackend(name));
  if (!candidates.some((found) => !('reason' in found) && found.mayListen(port, own))) return toPlain(nobody(own, options));
  begin(socket, options, callback);
  lookUp(socket, options, own, port, plain);
  return socket;
}

/** Is it connecting or connected without a handle, which would answer for itself? */
const isTaken = (socket: Socket): boolean =>
  !socket.destroyed && (control.phase(socket) === 'ring' || control.phase(socket) === 'undecided');

/**
 * A second connect() of a socket that is not closed. As over a native handle: one that is connected stays so, whatever the address, and
 * says so; for one that is connecting it is an error.
 */
function again(socket: Socket, options: Connect, callback: (() => void) | undefined): Socket {
  if (callback !== undefined) socket.once('connect', callback);
  if (control.phase(socket) === 'undecided') {
    const { port } = options;
    const address = options.host || 'localhost';
    const error = systemError('EALREADY', 'connect');
    error.message += ` ${address}:${port}`;
    process.nextTick(() => socket.destroy(Object.assign(error, { address, port })));
    return socket;
  }
  control.setConnecting(socket, true);
  process.nextTick(() => {
    if (socket.destroyed) return;
    control.setConnecting(socket, false);
    control.inScope(socket, () => {
      socket.emit('connect');
      socket.emit('ready');
    });
  });
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

/** Resolves the name, then goes through the addresses. */
function lookUp(socket: Socket, options: Connect, own: ResolvedOptions, port: number, plain: Plain): void {
  const host = options.host || 'localhost';
  const lookup = options.lookup ?? dns.lookup;
  const family = FAMILIES[String(options.family)];
  const all = !family && !options.localAddress && (options.autoSelectFamily ?? net.getDefaultAutoSelectFamily());
  const hints = options.hints || (family ? 0 : dns.ADDRCONFIG);
  lookup(host, { family, hints, ...(all ? { all } : {}) } as dns.LookupOptions, (error, found: unknown, foundFamily?: number) => {
    if (socket.destroyed || !socket.connecting) return;
    if (error) {
      socket.emit('lookup', error, undefined, undefined, host);
      return void socket.destroy(error);
    }
    const addresses = Array.isArray(found)
      ? alternating(found as dns.LookupAddress[])
      : [{ address: found as string, family: foundFamily ?? net.isIP(found as string) }];
    tryAddresses(addresses);
  });

  function tryAddresses(addresses: readonly dns.LookupAddress[]): void {
    const endpoints = addresses.map((address) => endpoint(address, port));
    // With one address the attempt itself tells; with several, one that may be meant decides for all.
    const [only] = endpoints;
    const first = endpoints.length === 1 && only !== undefined ? findAttempts(own, options, only) : [];
    // What is no address is an error, which node:net knows.
    const strange =
      addresses.length === 0 || addresses.some(({ address, family }) => net.isIP(address) === 0 || (family !== 4 && family !== 6));
    const alone = first.length === 0 && !endpoints.some((to) => clcPeer(own, to) !== undefined);
    if (strange) for (const { attempt } of first) attempt.abandon('other');
    if (strange || (alone && (endpoints.length === 1 || choosesSource(options) || !endpoints.some((to) => mayListen(own, to))))) {
      // Nobody there: node:net connects as if we had not been here; the name is not looked up again.
      const replay = ((_host: string, { all: every }: dns.LookupOptions, done: (...result: unknown[]) => void) =>
        every === true ? done(null, addresses) : done(null, addresses[0]?.address, addresses[0]?.family)) as net.LookupFunction;
      control.setConnecting(socket, false);
      const replayed = { lookup: replay, ...options };
      replayed.lookup = replay;
      withoutPublishing(() => plain(replayed));
      settlePlain(socket, own, nobody(own, options));
      return;
    }
    for (const { address, family } of addresses) {
      socket.emit('lookup', null, address, family, host);
      if (socket.connecting) continue;
      for (const { attempt } of first) attempt.abandon('other');
      return;
    }
    new ConnectionAttempts(socket, options, own, endpoints, first).next();
  }
}

/** The families in turns, that of the first address first, and each address once: the order in which node:net tries them. */
function alternating(addresses: readonly dns.LookupAddress[]): dns.LookupAddress[] {
  const once = addresses.filter(({ address }, at) => addresses.findIndex((other) => other.address === address) === at);
  const preferred = once.filter(({ family }) => family === once[0]?.family);
  const others = once.filter(({ family }) => family !== once[0]?.family);
  return Array.from({ length: Math.max(preferred.length, others.length) }, (_, i) => [preferred[i], others[i]])
    .flat()
    .filter((address) => address !== undefined);
}

/** As net.isIP; the usual IPv4 address without a pattern, which takes long to compile when first used. */
const ipFamily = (host: string): number => (isIPv4(host) ? 4 : host.includes(':') ? net.isIP(host) : 0);

function isIPv4(host: string): boolean {
  const parts = host.split('.');
  return parts.length === 4 && parts.every((part) => String(Number(part)) === part && Number(part) >= 0 && Number(part) <= 255);
}

const endpoint = ({ address, family }: dns.LookupAddress, port: number): Endpoint => {
  const folded = foldAddress(address);
  return { address: folded, port, family: folded === address && family === 6 ? 6 : 4 };
};

const mayListen = (own: ResolvedOptions, to: Endpoint) => usable(own).some((backend) => backend.mayListen(to.port, own, to));
