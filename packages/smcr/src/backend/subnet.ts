// subnet.ts - addresses as GIDs, and whether two of them are in one subnet as far as this host knows.

import { BlockList, isIPv4, isIPv6 } from 'node:net';
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os';

/** Asking the system takes longer than the rest of a connect: what it said is believed for so long, milliseconds. */
const BELIEVED = 1000;
let asked = Number.NEGATIVE_INFINITY;
let answer: NodeJS.Dict<NetworkInterfaceInfo[]> = {};

function interfaces(): NodeJS.Dict<NetworkInterfaceInfo[]> {
  if (performance.now() > asked + BELIEVED) {
    answer = networkInterfaces();
    asked = performance.now();
  }
  return answer;
}

/** 16 bytes: IPv4 as ::ffff:a.b.c.d, which is how RoCEv2 names it. Undefined for what is no address. */
export function gidOfAddress(address: string): Uint8Array | undefined {
  if (isIPv4(address)) return Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...address.split('.').map(Number));
  const [plain = ''] = address.split('%');
  if (!isIPv6(plain)) return undefined;
  const [head = '', tail] = plain.split('::');
  const words = (part: string): number[] =>
    part === ''
      ? []
      : part.split(':').flatMap((word) => {
          if (!isIPv4(word)) return [Number.parseInt(word, 16)];
          const [a, b, c, d] = word.split('.').map(Number) as [number, number, number, number];
          return [a * 256 + b, c * 256 + d];
        });
  const first = words(head);
  const last = tail === undefined ? [] : words(tail);
  const all = [...first, ...Array.from({ length: 8 - first.length - last.length }, () => 0), ...last];
  return Uint8Array.from(all.flatMap((word) => [word >> 8, word & 0xff]));
}

/** The address a GID stands for, as text that {@link BlockList} takes. */
export function addressOfGid(gid: Uint8Array): { readonly address: string; readonly family: 'ipv4' | 'ipv6' } {
  const mapped = gid.subarray(0, 10).every((byte) => byte === 0) && gid[10] === 0xff && gid[11] === 0xff;
  if (mapped) return { address: gid.subarray(12).join('.'), family: 'ipv4' };
  const words = Array.from({ length: 8 }, (_, i) => (((gid[2 * i] as number) << 8) | (gid[2 * i + 1] as number)).toString(16));
  return { address: words.join(':'), family: 'ipv6' };
}

export const sameGid = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/**
 * Can the peer's GID be reached without a gateway, which is what both sides have to say (direct)? By the subnets of the interface that
 * has our address; true where the interface is not known.
 */
export function isDirect(own: Uint8Array, peer: Uint8Array): boolean {
  const [here, there] = [addressOfGid(own), addressOfGid(peer)];
  if (here.family !== there.family) return false;
  if (sameGid(own, peer)) return true;
  for (const addresses of Object.values(interfaces())) {
    for (const { address, cidr } of addresses ?? []) {
      const known = gidOfAddress(address);
      if (known === undefined || cidr === null || !sameGid(known, own)) continue;
      const subnet = new BlockList();
      subnet.addSubnet(address, Number(cidr.split('/')[1]), here.family);
      return subnet.check(there.address, there.family);
    }
  }
  return true;
}

/** Interfaces that have this address. */
export function interfacesOf(address: string): string[] {
  const wanted = gidOfAddress(address);
  if (wanted === undefined) return [];
  return Object.entries(interfaces()).flatMap(([name, addresses]) => {
    const has = (addresses ?? []).some((it) => {
      const gid = gidOfAddress(it.address);
      return gid !== undefined && sameGid(gid, wanted);
    });
    return has ? [name] : [];
  });
}
