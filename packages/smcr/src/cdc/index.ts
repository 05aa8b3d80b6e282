// index.ts - CDC: the cursors of a connection on the wire.

export * from './cursor.js';
export * from './message.js';
