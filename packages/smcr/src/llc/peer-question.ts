// peer-question.ts - what a TEST LINK of ours may carry beside being one: does the peer still have this connection? An addition of this
// library in the 16 bytes of the sender's choice. Linux and others send them back as they are, which answers nothing; a peer of
// ours says what it knows.
//
//   +0  8  "smcjs?" and two zeros
//   +8  1  0 the question; 1 it is there; 2 its Confirm is still expected; 3 there is none; 4 not said yet: by the stall guard of an
//          adapter, whose loop will answer later (completions.cc)
//   +9  3  zeros
//   +12 4  the connection's alert token of who is asked

const MARK = Uint8Array.from('smcjs?\0\0', (character) => character.charCodeAt(0));

/** What the peer knows of the connection, or the question itself. */
export const KNOWN = { question: 0, there: 1, coming: 2, gone: 3, notYet: 4 } as const;

export interface PeerQuestion {
  /** One of {@link KNOWN}, or any byte if the peer says so. */
  readonly known: number;
  readonly token: number;
}

export function encodePeerQuestion({ known, token }: PeerQuestion): Uint8Array {
  const bytes = new Uint8Array(16);
  bytes.set(MARK);
  bytes[8] = known;
  new DataView(bytes.buffer).setUint32(12, token);
  return bytes;
}

/** Undefined when it is anything else. `userData`: 16 bytes. */
export function decodePeerQuestion(userData: Uint8Array): PeerQuestion | undefined {
  if (MARK.some((byte, i) => userData[i] !== byte)) return undefined;
  const view = new DataView(userData.buffer, userData.byteOffset, userData.length);
  return { known: view.getUint8(8), token: view.getUint32(12) };
}
