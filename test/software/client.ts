// client.ts - the client process of a cell: one program, given sockets of the side. It must end by itself when it is done.

import { args, report } from '../peers/lib.js';
import { type ClientArgs, type Dialer, dialer } from './exchange.js';
import { databases } from './database-clients.js';
import { web } from './web-clients.js';

const { program, side, port } = args<ClientArgs>();
const dial = await dialer(side, port);
const run = { ...web, ...databases }[program] as (dial: Dialer) => Promise<number>;
const exchanges = await run(dial);
report('done', { exchanges, transports: dial.transports });
