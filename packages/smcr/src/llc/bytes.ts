// bytes.ts - checked access to the fields of an LLC message. Every bound is checked here, so that no bytes can raise anything
// but ERR_SMC_LLC. Numbers are big-endian but for the two that Linux writes in its own byte order (see header.ts).

import { SmcError } from '@smcjs/core/backend';

/** The error of a message that cannot be what it says it is. */
export function malformed(what: string, offset: number): SmcError {
  return new SmcError('ERR_SMC_LLC', `malformed LLC message: ${what} at offset ${offset}`);
}

/** The error of a value that has no place in a message. */
export function unencodable(what: string): SmcError {
  return new SmcError('ERR_SMC_LLC', `LLC message cannot be encoded: ${what}`);
}

type Width = 1 | 2 | 3 | 4;

/** Reads a message. What it returns is copied: nothing keeps the bytes it was made of. */
export class LlcReader {
  readonly length: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.length = bytes.byteLength;
  }

  uint(offset: number, width: Width): number {
    this.#mustHold(offset, width);
    let value = 0;
    for (let i = 0; i < width; i++) value = value * 256 + this.#view.getUint8(offset + i);
    return value;
  }

  uint16(offset: number, littleEndian: boolean): number {
    this.#mustHold(offset, 2);
    return this.#view.getUint16(offset, littleEndian);
  }

  uint64(offset: number): bigint {
    this.#mustHold(offset, 8);
    return this.#view.getBigUint64(offset);
  }

  bytes(offset: number, length: number): Uint8Array {
    this.#mustHold(offset, length);
    return new Uint8Array(this.#bytes.subarray(offset, offset + length));
  }

  #mustHold(offset: number, length: number): void {
    if (offset + length > this.length) throw malformed('the message ends inside a field', offset);
  }
}

/** Writes a message of a length known beforehand. Bytes nobody writes are zero, as reserved fields must be. */
export class LlcWriter {
  readonly message: Uint8Array;
  readonly #view: DataView;

  constructor(length: number) {
    this.message = new Uint8Array(length);
    this.#view = new DataView(this.message.buffer);
  }

  uint(offset: number, width: Width, value: number, name: string): void {
    mustBeWithin(name, value, 0, 256 ** width - 1);
    for (let i = width - 1, rest = value; i >= 0; i--, rest = Math.floor(rest / 256)) {
      this.#view.setUint8(offset + i, rest % 256);
    }
  }

  uint16(offset: number, value: number, littleEndian: boolean, name: string): void {
    mustBeWithin(name, value, 0, 0xffff);
    this.#view.setUint16(offset, value, littleEndian);
  }

  uint64(offset: number, value: bigint, name: string): void {
    if (typeof value !== 'bigint' || BigInt.asUintN(64, value) !== value) {
      throw unencodable(`${name} must be a bigint of 64 bits without sign`);
    }
    this.#view.setBigUint64(offset, value);
  }

  bytes(offset: number, length: number, value: Uint8Array, name: string): void {
    if (value.length !== length) throw unencodable(`${name} must be ${length} bytes, got ${value.length}`);
    this.message.set(value, offset);
  }
}

export function mustBeWithin(name: string, value: number, low: number, high: number): void {
  if (!Number.isInteger(value) || value < low || value > high) {
    throw unencodable(`${name} must be an integer from ${low} to ${high}, got ${value}`);
  }
}
