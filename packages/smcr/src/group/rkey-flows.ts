// rkey-flows.ts - LLC CONFIRM RKEY and DELETE RKEY: telling the peer of a new RMB, and taking one back (RFC 7609 sections 4.5.2
// and 4.4.2). The peer's own are answered at once, whatever runs.

import { type ConfirmRkey, type ConfirmRkeyContinue, type DeleteRkey, LINKS_PER_CONFIRM_RKEY, type RkeyOnLink } from '../llc/index.js';
import type { Link } from './link.js';
import type { LinkGroup } from './link-group.js';
import { LLC_WAIT } from './llc-flows.js';
import type { Rmb } from './rmbs.js';
import type { Rtoken } from './rtokens.js';

/** Tells the peer of a new RMB on all links. `done(true)`: it may be named in CLC. */
export function confirmRkey(group: LinkGroup, rmb: Rmb, done: (confirmed: boolean) => void): void {
  const start = (): void => {
    const via = group.bestLink;
    const here = via === undefined ? undefined : rmb.rkeys.get(via);
    if (via === undefined || here === undefined) return finish(false);
    const others: RkeyOnLink[] = [];
    for (const link of group.links) {
      const there = rmb.rkeys.get(link);
      if (link !== via && link.state === 'active' && there !== undefined) others.push({ linkNumber: link.number, ...there });
    }
    // Never more than three links here, so no CONFIRM RKEY CONTINUE.
    others.length = Math.min(others.length, LINKS_PER_CONFIRM_RKEY);
    const { version } = group;
    const request = { type: 'confirm-rkey', version, response: false, negative: false, retry: false } as const;
    group.send(via, { ...request, ...here, remaining: others.length, others });
    group.expect('confirm-rkey', via, LLC_WAIT, (answer) => {
      // The link failed under it: the same over another one, if there is one.
      if (answer === undefined && via.state === 'down' && group.state === 'active') return start();
      finish(answer?.type === 'confirm-rkey' && !answer.negative);
    });
  };
  const finish = (confirmed: boolean): void => {
    group.flows.stop();
    done(confirmed);
  };
  group.flows.initiate('rkey', group.now, start, () => done(false));
}

/** Takes an RMB back; nothing of it is in use. `done` when the peer has agreed, or did not answer, which changes nothing here. */
export function deleteRkey(group: LinkGroup, rmb: Rmb, done: () => void): void {
  const finish = (): void => {
    group.flows.stop();
    done();
  };
  const start = (): void => {
    const via = group.bestLink;
    const here = via === undefined ? undefined : rmb.rkeys.get(via);
    if (via === undefined || here === undefined) return finish();
    group.send(via, { type: 'delete-rkey', version: group.version, response: false, rkeys: [here.rkey], negative: false, errors: 0 });
    group.expect('delete-rkey', via, LLC_WAIT, finish);
  };
  group.flows.initiate('rkey', group.now, start, done);
}

/** The peer has a new RMB. */
export function rkeyConfirmed(group: LinkGroup, link: Link, message: ConfirmRkey | ConfirmRkeyContinue): void {
  const token: Rtoken | undefined =
    message.type === 'confirm-rkey' ? group.rtokens.add(link, message.rkey, message.address) : group.lastConfirmed;
  for (const { linkNumber, rkey, address } of message.others) {
    const other = group.links.find(({ number }) => number === linkNumber);
    if (other !== undefined && other !== link) token?.set(other, { rkey, address });
  }
  group.lastConfirmed = token;
  group.send(link, { ...message, version: group.version, response: true, negative: token === undefined, retry: token === undefined });
}

/** The peer takes RMBs back. */
export function rkeyDeleted(group: LinkGroup, link: Link, message: DeleteRkey): void {
  let mask = 0;
  const unknown = message.rkeys.filter((rkey, i) => {
    const known = group.rtokens.delete(link, rkey);
    if (!known) mask |= 0x80 >> i;
    return !known;
  });
  group.send(link, {
    type: 'delete-rkey',
    version: group.version,
    response: true,
    // Version 2 gives back the unknown ones only; Linux leaves zeros in their places.
    rkeys: group.version === 1 ? message.rkeys : message.rkeys.map((_, i) => unknown[i] ?? 0),
    negative: unknown.length > 0,
    errors: group.version === 1 ? mask : unknown.length,
  });
}
