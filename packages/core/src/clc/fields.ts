// fields.ts - checked access to the fields of a CLC message: big-endian numbers, byte strings, blank-padded text.
// Every bound is checked here, so that no bytes and no values can raise anything but ERR_SMC_CLC.

import { SmcError } from '../errors.js';

/** EIDs and hostnames. */
export const TEXT_LENGTH = 32;
const BLANK = 0x20;

/** The error of a message that cannot be what it says it is. */
export function malformed(what: string, offset: number): SmcError {
  return new SmcError('ERR_SMC_CLC', `malformed CLC message: ${what} at offset ${offset}`);
}

/** The error of a value that has no place in a message. */
export function unencodable(what: string): SmcError {
  return new SmcError('ERR_SMC_CLC', `CLC message cannot be encoded: ${what}`);
}

/** Width of a number on the wire, in bytes. */
type Width = 1 | 2 | 3 | 4;

/** Reads a message. What it returns is copied: nothing keeps the bytes it was made of. */
export class FieldReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  uint(offset: number, width: Width): number {
    this.#mustHold(offset, width);
    let value = 0;
    for (let i = 0; i < width; i++) value = value * 256 + this.#view.getUint8(offset + i);
    return value;
  }

  uint64(offset: number): bigint {
    this.#mustHold(offset, 8);
    return this.#view.getBigUint64(offset);
  }

  bytes(offset: number, length: number): Uint8Array {
    this.#mustHold(offset, length);
    // Not slice(): on a Buffer that would be a view of the caller's memory.
    return new Uint8Array(this.#bytes.subarray(offset, offset + length));
  }

  /** The bytes, or undefined when all are zero. */
  bytesIfAny(offset: number, length: number): Uint8Array | undefined {
    const value = this.bytes(offset, length);
    return value.some((byte) => byte !== 0) ? value : undefined;
  }

  text(offset: number): string {
    this.#mustHold(offset, TEXT_LENGTH);
    let end = offset + TEXT_LENGTH;
    while (end > offset && this.#bytes[end - 1] === BLANK) end--;
    // Texts have a handful of characters: a loop is quicker than what makes a string of an array.
    let text = '';
    let any = 0;
    for (let at = offset; at < end; at++) {
      const byte = this.#bytes[at] as number;
      any |= byte;
      text += String.fromCharCode(byte);
    }
    return any === 0 ? '' : text;
  }

  #mustHold(offset: number, length: number): void {
    if (offset + length > this.#bytes.byteLength) throw malformed('the message ends inside a field', offset);
  }
}

/** Writes a message of a length known beforehand. Bytes nobody writes are zero, as reserved fields must be. */
export class FieldWriter {
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

  /** Blank-padded; '' is written as zeros, the form of "none". */
  text(offset: number, value: string, name: string): void {
    if (value.length > TEXT_LENGTH) throw unencodable(`${name} is longer than ${TEXT_LENGTH} characters`);
    if (value === '') return;
    this.message.fill(BLANK, offset, offset + TEXT_LENGTH);
    for (let i = 0; i < value.length; i++) {
      const code = value.charCodeAt(i);
      if (code > 0xff) throw unencodable(`${name} has a character of more than one byte`);
      this.message[offset + i] = code;
    }
  }
}

/** A number that shares its byte with others, or has a narrower range than its field. */
export function mustBeWithin(name: string, value: number, low: number, high: number): void {
  if (!Number.isInteger(value) || value < low || value > high) {
    throw unencodable(`${name} must be an integer from ${low} to ${high}, got ${value}`);
  }
}
