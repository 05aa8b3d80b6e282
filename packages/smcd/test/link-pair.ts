// link-pair.ts - two link groups that have each other as peer, in one process, and connections between them.

import { randomBytes } from 'node:crypto';
import { onTestFinished } from 'vitest';
import type { ChannelSink } from '@smcjs/core/backend';
import { Hub } from '../dist/hub.js';
import { LinkGroup } from '../dist/link-group.js';
import type { ElementName } from '../dist/messages.js';
import type { SmcdChannel } from '../dist/smcd-channel.js';
import { addon, temporaryDirectory, unixPair, until } from './support.js';

export const CAPACITY = 16_384;
export const uid = process.getuid?.() ?? -1;

export interface End {
  readonly channel: SmcdChannel;
  /** News so far, and whether the peer was lost. */
  news: number;
  lost: boolean;
  /** By a link group that was broken off, not by a peer that is gone. */
  broken: boolean | undefined;
  readonly text: () => string;
}

export interface LinkPair {
  readonly server: LinkGroup;
  readonly client: LinkGroup;
  readonly lost: { server: boolean; client: boolean };
  /** A connection, as the rendezvous would make it. */
  connect(): Promise<[server: End, client: End]>;
  /** The same, but the server opens its end when it is asked to. */
  connectLate(): Promise<[server: () => End, client: End]>;
  readonly names: Set<string>;
}

const directory = (() => {
  const path = temporaryDirectory();
  return () => addon.openDirectory(path);
})();

export function withDirectory<T>(use: (directory: number) => T): T {
  const fd = directory();
  try {
    return use(fd);
  } finally {
    addon.closeDescriptor(fd);
  }
}

export async function linkPair(): Promise<LinkPair> {
  const [dialled, accepted] = withDirectory(unixPair);
  const hub = new Hub(addon);
  const lost = { server: false, client: false };
  const opened = new Map<bigint, (end: End) => void>();
  const server = new LinkGroup(addon, hub, randomBytes(16), {
    onLost: () => {
      lost.server = true;
    },
  });
  const client: LinkGroup = new LinkGroup(addon, hub, randomBytes(16), {
    onOffer: (group, offer) => {
      const reservation = group.reserve(CAPACITY);
      const element = group.peerElement(offer.element);
      if (reservation === undefined || element === undefined) return group.refuse(offer.token);
      group.answer(offer.token, 0n, reservation);
      opened.get(offer.token)?.(watch(group.open(reservation, element, offer.slot)));
    },
    onDecline: () => {},
    onLost: () => {
      lost.client = true;
    },
  });
  onTestFinished(() => {
    server.end();
    client.end();
  });
  for (const [group, fd] of [
    [server, dialled],
    [client, accepted],
  ] as const) {
    if (group.start(fd, (peer) => peer === uid) !== true) throw new Error('no hello');
  }
  await until(() => server.peerInstance !== undefined && client.peerInstance !== undefined);
  const names = new Set<string>();
  const note = ({ segment, index }: ElementName) => names.add(`${segment} ${index}`);

  const connectLate = async (): Promise<[() => End, End]> => {
    const token = randomBytes(8).readBigUInt64LE();
    const reservation = server.reserve(CAPACITY);
    if (reservation === undefined) throw new Error('full');
    note(reservation.element.name);
    const theirs = new Promise<End>((resolve) => opened.set(token, resolve));
    const mine = new Promise<() => End>((resolve, reject) => {
      server.offer({ tuple: Buffer.alloc(36), syn: undefined }, token, reservation, (answer) => {
        const element = answer && server.peerElement(answer.element);
        if (element === undefined) return reject(new Error('refused'));
        server.settled(token);
        resolve(() => watch(server.open(reservation, element, answer?.slot as number)));
      });
    });
    return Promise.all([mine, theirs]);
  };
  const connect = async (): Promise<[End, End]> => {
    const [open, theirs] = await connectLate();
    return [open(), theirs];
  };
  return { server, client, lost, names, connect, connectLate };
}

function watch(channel: SmcdChannel): End {
  const end: End = {
    channel,
    news: 0,
    lost: false,
    broken: undefined,
    text: () => {
      const bytes = Buffer.alloc(channel.rx.available());
      channel.rx.copy(bytes, 0, bytes.length);
      channel.rx.release(bytes.length);
      return bytes.toString('latin1');
    },
  };
  channel.sink = {
    onNews: () => {
      end.news++;
    },
    onPeerLost: (broken) => {
      end.lost = true;
      end.broken = broken;
    },
  } satisfies ChannelSink;
  return end;
}

/** Publishes text on a channel and tells. */
export function send({ channel }: End, text: string): void {
  channel.tx.write(Buffer.from(text, 'latin1'));
  channel.tx.publish();
  channel.notify();
}

/** As RingStream does it. */
export function close({ channel }: End, closed: number): void {
  channel.tx.setState(closed);
  channel.notify();
  channel.close();
}
