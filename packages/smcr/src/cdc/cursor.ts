// cursor.ts - a cursor as CDC carries it: a position in an RMBE and how often it went around (RFC 7609 section 4.3).
//
// Our rings count bytes with free-running 32-bit numbers. With elements above 64 KiB those wrap earlier than 16 bits of wraps, so
// the two forms cannot be computed from each other: each side of a connection keeps both and moves them together.

/** The received cursor stands behind what was known, or can never be. */
export const CURSOR_OLD = -1;
export const CURSOR_IMPOSSIBLE = -2;

/** Allocates nothing after construction. */
export class Cursor {
  /** 16 bits. */
  wrap = 0;
  /** 0 to size - 1. No byte is lost to an eyecatcher: the first data byte is at offset 0. */
  offset = 0;
  readonly size: number;

  constructor(size: number) {
    this.size = size;
  }

  /** Forwards by `length` bytes, at most {@link size}. */
  advance(length: number): void {
    // Without a branch that is first taken when the element wraps: what was compiled by then would be thrown away.
    const offset = this.offset + length;
    const turns = offset < this.size ? 0 : 1;
    this.offset = offset - turns * this.size;
    this.wrap = (this.wrap + turns) & 0xffff;
  }

  /** Back by `length` bytes, at most {@link size}. */
  retreat(length: number): void {
    this.offset -= length;
    if (this.offset >= 0) return;
    this.offset += this.size;
    this.wrap = (this.wrap - 1) & 0xffff;
  }

  /**
   * Bytes from here to a cursor the peer sent, {@link CURSOR_OLD} when it stands behind this one (an older message; ignored) or
   * {@link CURSOR_IMPOSSIBLE} when no older or newer message of an honest peer can have it.
   */
  distanceTo(wrap: number, offset: number): number {
    if (offset >= this.size) return CURSOR_IMPOSSIBLE;
    const turns = ((wrap - this.wrap) << 16) >> 16;
    if (turns === 0) return offset >= this.offset ? offset - this.offset : CURSOR_OLD;
    // More than the size was never underway, so a newer cursor is one turn ahead at most, and not past this one.
    if (turns === 1) return offset <= this.offset ? this.size - this.offset + offset : CURSOR_IMPOSSIBLE;
    return turns === -1 ? CURSOR_OLD : CURSOR_IMPOSSIBLE;
  }
}
