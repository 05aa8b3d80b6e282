// index.ts - the entry @smcjs/smcr/tcp-option: the TCP option of SMC, one socket at a time.

export { remove, type Status, setup, status } from './setup.js';
export { SetupError, type SetupErrorCode } from './setup-error.js';
export { type OptionAnswer, TcpOption } from './tcp-option.js';
