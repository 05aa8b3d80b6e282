// index.ts - one connection over RDMA: cursors, windows, close states.

export { type CloseEvent, type CloseState, CloseStates } from './close-state.js';
export { CLOSE_TIMEOUT, type ConnectionOptions, NEWS, SmcrConnection } from './connection.js';
export { MAX_WRITES, Transmission } from './transmission.js';
