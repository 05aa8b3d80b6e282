// smc.ts - this library: smcd, smcr, or its Socket on plain TCP (mode smc-fallback).

import type net from 'node:net';
import type { RingSurface, SmcOptions, Socket } from '@smcjs/core';
import { asMeasureError, MeasureError } from '../errors.js';
import { busyPollOf, type Opening, usageOf } from '../lanes.js';
import { anyAddress, connected, listening, target } from './net.js';
import type { Address, Port, Transport } from './port.js';

export type { RingSurface };
export type Library = typeof import('@smcjs/core');

const firstLine = (error: unknown) =>
  String((error as Error).message)
    .split('\n')[0]
    ?.replace(/ imported from .*/, '');

let loaded: Promise<Library> | undefined;

/**
 * Loaded once: each import() of a module that is there already costs about 60 us, a quarter of a connect.
 * @throws MeasureError `unavailable` when it is not built.
 */
export function library(): Promise<Library> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<Library> {
  try {
    return await import('@smcjs/core');
  } catch (error) {
    throw new MeasureError('unavailable', `@smcjs/core cannot be loaded: ${firstLine(error)}`);
  }
}

/** Everything by default, except that the lane says how to poll and a record must fit into half the ring. */
export function smcOptions({ lane, bytes }: Opening): SmcOptions {
  if (lane.mode === 'smc-fallback') return { transports: ['tcp'] };
  if (lane.transport === 'smcr') return { transports: ['smcr'], discovery: 'inline', busyPoll: busyPollOf(lane) };
  const large = usageOf(lane) === 'frames' || (usageOf(lane) === 'records' && bytes >= 128 * 1024);
  return { transports: ['smcd'], busyPoll: busyPollOf(lane), ...(large ? { ringSize: 4 << 20 } : {}) };
}

/** A client socket, still connecting. One that ends on TCP although the lane is not about that fails, with the reasons. */
export function smcConnect(lib: Library, opening: Opening, address: Address): Socket {
  const options = { ...target(address), noDelay: true } as net.NetConnectOpts;
  return lib.connect({ ...options, ...smcOptions(opening), ...(opening.lane.transport === 'tcp' ? {} : { fallback: 'error' }) });
}

/** The ring of a connection that has one. */
export function ringOf(port: Port): RingSurface {
  const { ring } = port as Port & Socket;
  if (ring === undefined) throw new MeasureError('unavailable', 'the connection has no ring');
  return ring;
}

export const smcTransport: Transport = {
  prepare: library,
  async listen(opening, onConnection) {
    const lib = await library();
    const server = lib.createServer({ noDelay: true, ...smcOptions(opening) }, onConnection);
    const address = await listening(server, anyAddress(false));
    return { address, close: () => server.close() };
  },
  async connect(opening, address) {
    const socket = smcConnect(await library(), opening, address);
    try {
      await connected(socket);
    } catch (error) {
      const reason = socket.declines.find((decline) => decline.transport === opening.lane.transport);
      if (reason === undefined) throw asMeasureError(error, 'unavailable');
      throw new MeasureError('unavailable', `${reason.detail} (${reason.reason}; ${reason.hint})`, { cause: error });
    }
    if (socket.transport !== opening.lane.transport) {
      throw new MeasureError('unavailable', `the connection uses ${socket.transport}, not ${opening.lane.transport}`);
    }
    return socket;
  },
};
