// ism-gid.ts - GIDs of ISM devices in a Proposal. An emulated device has a GID of 128 bits and takes two entries in a
// row with its CHID: the first 64 bits, then the last. Emulated devices are known by their CHID.

import { SmcError } from '../errors.js';
import { unencodable } from './fields.js';
import type { ClcIsmGid } from './messages.js';

/** CHIDs from here on belong to emulated ISM devices. */
export const EMULATED_CHID_MIN = 0xff00;

/** An ISM device: `gidExt` is the last 64 bits of an emulated device's GID, 0 for any other. */
export interface IsmDevice {
  readonly gid: bigint;
  readonly gidExt: bigint;
  readonly chid: number;
}

/** The entries that name these devices, in order. At most 8 entries fit a Proposal. */
export function ismGidEntries(devices: readonly IsmDevice[]): ClcIsmGid[] {
  return devices.flatMap(({ gid, gidExt, chid }) => {
    if (chid >= EMULATED_CHID_MIN)
      return [
        { gid, chid },
        { gid: gidExt, chid },
      ];
    if (gidExt !== 0n) throw unencodable(`gidExt of a device that is not emulated (CHID ${chid})`);
    return [{ gid, chid }];
  });
}

/**
 * The devices that entries name.
 *
 * @throws SmcError `ERR_SMC_CLC` when an emulated device's first entry has no second one.
 */
export function ismDevices(entries: readonly ClcIsmGid[]): IsmDevice[] {
  const devices: IsmDevice[] = [];
  for (let i = 0; i < entries.length; i++) {
    const { gid, chid } = entries[i] as ClcIsmGid;
    if (chid < EMULATED_CHID_MIN) {
      devices.push({ gid, gidExt: 0n, chid });
      continue;
    }
    i++;
    const second = entries[i];
    if (second?.chid !== chid) {
      throw new SmcError('ERR_SMC_CLC', `malformed CLC Proposal: ISM entry ${i - 1} is half the GID of an emulated device`);
    }
    devices.push({ gid, gidExt: second.gid, chid });
  }
  return devices;
}
