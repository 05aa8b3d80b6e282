// @smcjs/smcd - shared memory between processes of one host, for @smcjs/core.

export { smcd } from './smcd.js';
