// index.ts - CLC of SMC-R beyond the messages themselves: what is agreed and checked.

export * from './agreement.js';
export * from './answers.js';
