// assembler.ts - BPF instructions to bytes, as many of them as the program beside it needs; no compiler is asked for.
//
//     +0 operation | +1 registers | +2 offset 16 | +4 immediate 32         8 bytes, in the byte order of the machine
//
// linux/bpf.h and the BPF instruction set (RFC 9669) have the numbers.

import { endianness } from 'node:os';

const LITTLE = endianness() === 'LE';

/** r1 to r5 are arguments and lost in calls, r6 to r9 stay, r10 is the top of the stack (512 bytes), results come in r0. */
export type Register = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10;

/** One instruction; a jump has the name of its target in `to`. */
export interface Instruction {
  readonly operation: number;
  readonly destination?: Register;
  readonly source?: Register;
  readonly offset?: number;
  readonly immediate?: number;
  readonly to?: string;
}

/** A place that jumps can name: `'name:'`. */
type Label = `${string}:`;

export type Line = Instruction | Label;

export const move = (destination: Register, source: Register): Instruction => ({ operation: 0xbf, destination, source });
export const set = (destination: Register, immediate: number): Instruction => ({ operation: 0xb7, destination, immediate });
export const add = (destination: Register, immediate: number): Instruction => ({ operation: 0x07, destination, immediate });
export const and = (destination: Register, immediate: number): Instruction => ({ operation: 0x57, destination, immediate });
export const or = (destination: Register, immediate: number): Instruction => ({ operation: 0x47, destination, immediate });

/** destination = the 32-bit word, or the pointer, at source + offset. */
export const loadWord = (destination: Register, source: Register, offset: number): Instruction => ({
  ...{ operation: 0x61, destination, source, offset },
});
export const loadPointer = (destination: Register, source: Register, offset: number): Instruction => ({
  ...{ operation: 0x79, destination, source, offset },
});

/** The word, or the byte, at destination + offset = immediate. */
export const storeWord = (destination: Register, offset: number, immediate: number): Instruction => ({
  ...{ operation: 0x62, destination, offset, immediate },
});
export const storeByte = (destination: Register, offset: number, immediate: number): Instruction => ({
  ...{ operation: 0x72, destination, offset, immediate },
});

export const jump = (to: string): Instruction => ({ operation: 0x05, to });
export const jumpIfEqual = (destination: Register, immediate: number, to: string): Instruction => ({
  ...{ operation: 0x15, destination, immediate, to },
});
export const jumpUnlessEqual = (destination: Register, immediate: number, to: string): Instruction => ({
  ...{ operation: 0x55, destination, immediate, to },
});
/** Signed. */
export const jumpIfGreater = (destination: Register, immediate: number, to: string): Instruction => ({
  ...{ operation: 0x65, destination, immediate, to },
});

/** r0 = the helper function of that number, of r1 to r5. */
export const call = (helper: number): Instruction => ({ operation: 0x85, immediate: helper });
export const exit: Instruction = { operation: 0x95 };

/** destination = the map with that descriptor. The one instruction that takes two places. */
export const loadMap = (destination: Register, fd: number): Line[] => [
  { operation: 0x18, destination, source: 1, immediate: fd },
  { operation: 0 },
];

/**
 * The program as the kernel takes it.
 *
 * @throws Error for a jump to a name that is not there: a mistake in the program, not in its use
 */
export function assemble(lines: readonly Line[]): Uint8Array {
  const places = new Map<string, number>();
  const instructions: Instruction[] = [];
  for (const line of lines) {
    if (typeof line === 'string') places.set(line.slice(0, -1), instructions.length);
    else instructions.push(line);
  }
  const view = new DataView(new ArrayBuffer(8 * instructions.length));
  instructions.forEach(({ operation, destination = 0, source = 0, offset = 0, immediate = 0, to }, index) => {
    const place = to === undefined ? undefined : places.get(to);
    if (to !== undefined && place === undefined) throw new Error(`no place is named ${to}`);
    view.setUint8(8 * index, operation);
    // Two bit fields, whose order is that of the bytes.
    view.setUint8(8 * index + 1, LITTLE ? destination | (source << 4) : (destination << 4) | source);
    // A jump counts from the instruction behind it.
    view.setInt16(8 * index + 2, place === undefined ? offset : place - index - 1, LITTLE);
    view.setInt32(8 * index + 4, immediate, LITTLE);
  });
  return new Uint8Array(view.buffer);
}
