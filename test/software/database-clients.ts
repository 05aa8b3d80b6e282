// database-clients.ts - the client programs of servers that are not Node. Bytes are stored by one statement and read by another.

import { type Dialer, exchange } from './exchange.js';

const same = (body: Buffer): Buffer => body;

export const databases: Readonly<Record<string, (dial: Dialer) => Promise<number>>> = {
  async ioredis(dial) {
    const { AbstractConnector, Redis } = await import('ioredis');
    class Connector extends AbstractConnector {
      constructor() {
        super(0);
      }

      override async connect(): Promise<ReturnType<Dialer['connect']>> {
        this.connecting = true;
        this.stream = dial.connect();
        return this.stream as ReturnType<Dialer['connect']>;
      }
    }
    const redis = new Redis({ Connector });
    let keys = 0;
    const exchanges = await exchange(async (body) => {
      const key = `key-${keys++}`;
      await redis.set(key, body);
      return (await redis.getBuffer(key)) as Buffer;
    }, same);
    await redis.quit();
    return exchanges;
  },

  async pg(dial) {
    const { Client } = (await import('pg')).default;
    const client = new Client({ stream: () => dial.socket(), host: '127.0.0.1', port: dial.port, user: 'smc', database: 'postgres' });
    await client.connect();
    await client.query('CREATE TEMPORARY TABLE bodies (id int PRIMARY KEY, body bytea)');
    let rows = 0;
    const exchanges = await exchange(async (body) => {
      const id = rows++;
      await client.query('INSERT INTO bodies VALUES ($1, $2)', [id, body]);
      const { rows: found } = await client.query<{ body: Buffer }>('SELECT body FROM bodies WHERE id = $1', [id]);
      return found[0]?.body as Buffer;
    }, same);
    await client.end();
    return exchanges;
  },

  async mysql2(dial) {
    const { createConnection } = await import('mysql2/promise');
    const connection = await createConnection({ stream: () => dial.connect(), user: 'smc', password: 'smc', database: 'smc' });
    await connection.query('CREATE TEMPORARY TABLE bodies (id int PRIMARY KEY, body longblob)');
    let rows = 0;
    const exchanges = await exchange(async (body) => {
      const id = rows++;
      await connection.execute('INSERT INTO bodies VALUES (?, ?)', [id, body]);
      const [found] = await connection.execute('SELECT body FROM bodies WHERE id = ?', [id]);
      return (found as { body: Buffer }[])[0]?.body as Buffer;
    }, same);
    await connection.end();
    return exchanges;
  },
};
