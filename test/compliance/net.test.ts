// net.test.ts - the reference: whatever the suite says must hold for node:net.

import net from 'node:net';
import { compliance } from './compliance.js';
import type { Side } from './transport-case.js';

const plain: Side = { api: net, module: 'node:net', options: {}, transport: undefined };

// Linux lets the receive buffer of a loopback connection grow to the third number of tcp_rmem, 32 MiB here; the send buffer takes 4.
compliance({ name: 'node:net', client: plain, server: plain, capacity: 40 * 1024 * 1024 });
