// lib.ts - what every peer process needs: its arguments, its voice, and the implementation it is to use.

import { readdirSync, readFileSync, readlinkSync, writeSync } from 'node:fs';
import type net from 'node:net';
import { createInterface } from 'node:readline';
import type { SmcOptions } from '@smcjs/core';

/** Which implementation a side uses, and with which options. */
export interface SideArgs {
  readonly module: 'node:net' | '@smcjs/core';
  readonly options: SmcOptions;
}

export interface PeerApi {
  connect(options: net.TcpNetConnectOpts & SmcOptions): net.Socket;
  createServer(options: net.ServerOpts & SmcOptions): net.Server;
}

export function args<T>(): T {
  return JSON.parse(process.argv[2] as string) as T;
}

/** Says one thing, at once: it has left this process when the call returns, whatever happens next. */
export function report(is: string, details: object = {}): void {
  const line = Buffer.from(`${JSON.stringify({ is, ...details })}\n`);
  for (let written = 0; written < line.length; ) written += writeSync(1, line, written);
}

export async function load(side: SideArgs): Promise<PeerApi> {
  return side.module === 'node:net' ? import('node:net') : ((await import('@smcjs/core')) as unknown as PeerApi);
}

/** Commands from the test, one JSON object per line. Holds the process until `done` is called. */
export function commands<T>(run: (command: T) => void): () => void {
  const lines = createInterface({ input: process.stdin });
  lines.on('line', (line) => run(JSON.parse(line) as T));
  return () => {
    lines.close();
    process.stdin.destroy();
  };
}

export function transportOf(socket: net.Socket): string {
  return (socket as { transport?: string }).transport ?? 'plain';
}

export function declinesOf(socket: net.Socket): unknown {
  return (socket as { declines?: unknown }).declines;
}

export interface Holdings {
  /** What each open descriptor is, sorted. */
  readonly descriptors: string[];
  /** Lines of /proc/self/maps that are mappings of a memfd. */
  readonly mappings: string[];
}

/** What this process holds of the kernel's. */
export function holdings(): Holdings {
  const descriptors: string[] = [];
  for (const fd of readdirSync('/proc/self/fd')) {
    try {
      descriptors.push(readlinkSync(`/proc/self/fd/${fd}`).replace(/\d{3,}/g, 'N'));
    } catch {
      // The directory's own descriptor is closed by now.
    }
  }
  const maps = readFileSync('/proc/self/maps', 'utf8').split('\n');
  return { descriptors: descriptors.sort(), mappings: maps.filter((line) => line.includes('memfd:')) };
}
