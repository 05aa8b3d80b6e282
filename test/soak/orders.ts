// orders.ts - what one connection of the soak test has to do, how both ends know it, and what each end says afterwards.

export const KINDS = ['exchange', 'half', 'flow', 'pull', 'reset', 'brief', 'records', 'http'] as const;

/**
 * exchange: both send; half: the acceptor sends once the dialer has ended; flow: the dialer sends slowly and says what was
 * taken; pull: the acceptor does; reset: the dialer resets after the first bytes; brief: nothing but its head and its end;
 * records: over `socket.ring` where there is one; http: requests on one kept connection.
 */
export type Kind = (typeof KINDS)[number];

export interface Order {
  readonly id: number;
  readonly kind: Kind;
  readonly seed: number;
  readonly bytes: number;
}

/** How one end of a connection ended. */
export interface Outcome {
  readonly id: number;
  readonly role: 'dialer' | 'acceptor';
  readonly transport: string;
  readonly received: number;
  /** 'end', and the code of an error, in their order. */
  readonly seen: string[];
  /** What is wrong with the bytes, if anything. */
  readonly wrong?: string;
}

/** The ports of one process. */
export interface Ports {
  readonly stream: number;
  readonly records: number;
  readonly http: number;
}

export type StationCommand = { readonly do: 'dial'; readonly order: Order; readonly ports: Ports } | { readonly do: 'listen' };

export const HEAD_BYTES = 16;

/** The first bytes of a connection say which one it is. */
export function encodeHead({ id, kind, seed, bytes }: Order): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  [id, KINDS.indexOf(kind), seed, bytes].forEach((word, i) => void head.writeUInt32LE(word, 4 * i));
  return head;
}

export function decodeHead(head: Buffer): Order {
  const [id, kind, seed, bytes] = [0, 4, 8, 12].map((at) => head.readUInt32LE(at)) as [number, number, number, number];
  return { id, kind: KINDS[kind] as Kind, seed, bytes };
}

/** Payload bytes each end receives when nobody is killed; undefined where any number is right. */
export function expectedBytes({ kind, bytes }: Order, role: Outcome['role']): number | undefined {
  if (kind === 'reset') return undefined;
  if (kind === 'brief') return 0;
  const gets = { exchange: 'both', half: 'both', http: 'both', flow: 'acceptor', records: 'acceptor', pull: 'dialer' }[kind];
  return gets === 'both' || gets === role ? bytes : 0;
}
