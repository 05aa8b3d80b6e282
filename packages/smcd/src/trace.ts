// trace.ts - NODE_DEBUG=smcd: what link groups tell each other over their Unix sockets and how they end, a line each on stderr.

import { debuglog } from 'node:util';
import type { ControlMessage } from './messages.js';

const log = debuglog('smcd');

const shown = (value: unknown): string => {
  if (Buffer.isBuffer(value)) return value.toString('hex');
  if (typeof value === 'bigint') return value.toString(16);
  return typeof value === 'object' ? Object.values(value ?? {}).join('/') : String(value);
};

/** Offers and answers with their tokens, tuples and elements. */
export function traceMessage(linkGroup: number, direction: 'sends' | 'gets', { type, ...rest }: ControlMessage): void {
  if (!log.enabled) return;
  const fields = Object.entries(rest).map(([name, value]) => `${name} ${shown(value)}`);
  log('link group %s %s %s: %s', linkGroup.toString(16), direction, type, fields.join(', '));
}

export function traceLinkGroup(linkGroup: number, event: string): void {
  if (log.enabled) log('link group %s %s', linkGroup.toString(16), event);
}
