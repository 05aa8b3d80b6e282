// tcp.test.ts - the compliance suite over tcp, by choice: our sockets without a ring are net.Socket.

import { compliance } from './compliance.js';
import { only } from './ours.js';

compliance(only('tcp'));
