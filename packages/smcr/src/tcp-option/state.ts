// state.ts - the word of a socket in the map of those that ask, see program.ts.

export const STATE = { none: 0, asked: 1, offered: 2, agreed: 3, alone: 4 } as const;
