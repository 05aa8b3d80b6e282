// index.ts - what is loaded when a connection may use SMC-R, and not before: most processes never need it.

export { SmcrClient } from './client.js';
export { SmcrEnvironment } from './environment.js';
export { SmcrServer } from './server.js';
