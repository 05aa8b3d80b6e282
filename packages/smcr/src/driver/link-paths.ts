// link-paths.ts - the ways out of this host that a link group may use: which of them work, and which link takes which.

import type { Link, SpareEnd } from '../group/index.js';
import type { AsyncEvent, MtuCode, ProtectionDomain, VerbsContext, VerbsGid } from '../verbs-provider.js';

/** One way out of this host: a port of an opened device, with one of its GIDs. */
export interface LinkPath {
  readonly context: VerbsContext;
  readonly pd: ProtectionDomain;
  readonly port: number;
  readonly gid: VerbsGid;
  readonly mtu: MtuCode;
}

export class LinkPaths {
  readonly #paths: readonly LinkPath[];
  readonly #of = new WeakMap<Link, LinkPath>();
  /** Whose port has said that it does not work. */
  readonly #down = new Set<LinkPath>();

  /** Best first; at least one. */
  constructor(paths: readonly LinkPath[]) {
    this.#paths = paths;
  }

  of(link: Link): LinkPath | undefined {
    return this.#of.get(link);
  }

  /**
   * The way for a new link beside these: a device that none of them uses, or else the first, so that one end of the new link is where
   * another is. @throws Error when both would be: the same ends twice protect from nothing (Linux rejects such a link, too).
   */
  choose(link: Link, others: readonly Link[]): LinkPath {
    const path = this.#unused(others)[0] ?? this.#shared(link, others);
    if (path === undefined) throw new Error('no path for another link');
    this.#of.set(link, path);
    return path;
  }

  /** Ends that none of these links uses. */
  spare(links: readonly Link[]): readonly SpareEnd[] {
    return this.#unused(links).map(({ gid }) => ({ gid: gid.gid, mac: gid.mac }));
  }

  /** What a device told. True: a port works again. */
  note(context: VerbsContext, event: AsyncEvent): boolean {
    let back = false;
    for (const path of this.#paths) {
      if (path.context !== context) continue;
      if (event.type === 'device-fatal' || (event.type === 'port-error' && event.port === path.port)) this.#down.add(path);
      else if (event.type === 'port-active' && event.port === path.port && this.#down.delete(path)) back = true;
    }
    return back;
  }

  /** Does this event of a device mean the end of the link, whose queue pair has this number? */
  isHitBy(link: Link, qpNumber: number, context: VerbsContext, event: AsyncEvent): boolean {
    const path = this.#of.get(link);
    if (path?.context !== context) return false;
    if ('qpNumber' in event) return event.type !== 'path-migrated' && event.qpNumber === qpNumber;
    return event.type === 'device-fatal' || event.type === 'cq-error' || (event.type === 'port-error' && event.port === path.port);
  }

  get #working(): readonly LinkPath[] {
    return this.#paths.filter((path) => !this.#down.has(path));
  }

  #unused(links: readonly Link[]): LinkPath[] {
    return this.#working.filter((path) => links.every((link) => this.#of.get(link)?.gid !== path.gid));
  }

  #shared({ peer }: Link, others: readonly Link[]): LinkPath | undefined {
    const known = others.some((other) => peer !== undefined && other.peer !== undefined && Buffer.compare(other.peer.gid, peer.gid) === 0);
    return known ? undefined : this.#working[0];
  }
}
