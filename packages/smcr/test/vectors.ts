// vectors.ts - messages captured from Linux 6.12 speaking SMC-R over RoCE: CLC from TCP, LLC and CDC from SENDs.

import { readFileSync } from 'node:fs';

export interface Vector {
  readonly name: string;
  readonly length: number;
  readonly hex: string;
}

export const VECTORS = JSON.parse(readFileSync(new URL('vectors/linux.json', import.meta.url), 'utf8')) as readonly Vector[];

export const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replace(/#.*$/gm, '').replace(/\s+/g, ''), 'hex'));
export const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

export function vector(name: string): Uint8Array {
  const found = VECTORS.find((it) => it.name === name);
  if (found === undefined) throw new Error(`no vector ${name}`);
  return hex(found.hex);
}
