// accept-confirm.ts - CLC Accept and Confirm, the two answers: how to reach the sender's ring (RFC 7609 appendix A.3,
// SMC-D and version 2 by SMCv2.1). Both have one layout per path; the end of the first-contact extension differs.
//
//   SMC-R                                            SMC-D
//   +8   8  peer id                                  +8   8  GID
//   +16 16  GID of the link                          +16  8  DMB token
//   +32  6  MAC                                      +24  1  DMBE index
//   +38  3  QP number                                +25  1  bits 7-4 DMBE size code
//   +41  4  RMB rkey                                 +26  2  reserved
//   +45  1  RMBE index, from 1                       +28  4  link id
//   +46  4  alert token                              +32 12  version 1: reserved, then the trailer
//   +50  1  bits 7-4 RMBE size code, 3-0 QP MTU      +32  2  version 2: CHID
//   +51  1  reserved                                 +34 32  EID
//   +52  8  RMB address                              +66  8  second half of an emulated device's GID
//   +60  1  reserved                                 +74     [first-contact extension] trailer
//   +61  3  initial PSN
//   +64     version 1: trailer
//   +64 32  version 2: EID
//   +96  8  reserved
//   +104    [first-contact extension] trailer
//
// In the header's last byte: bits 1-0 the path (0 SMC-R, 1 SMC-D), 0x08 first contact.

import { type FieldReader, type FieldWriter, malformed, mustBeWithin, unencodable } from './fields.js';
import { firstContactLength, getFirstContact, putFirstContact } from './first-contact.js';
import { type ClcHeader, FLAG, TRAILER_LENGTH, writeFrame } from './header.js';
import type { ClcAcceptConfirm, ClcAcceptConfirmD, ClcAcceptConfirmR } from './messages.js';

/** Where the trailer or the first-contact extension starts. */
const END = { smcr: { 1: 64, 2: 104 }, smcd: { 1: 44, 2: 74 } } as const;
const PATH_CODES = { smcr: 0, smcd: 1 } as const;

export function encodeAcceptConfirm(message: ClcAcceptConfirm): Uint8Array {
  const { type, path, version, firstContact, firstContactExtension: extension } = message;
  if ((version === 2 && firstContact) !== (extension !== undefined)) {
    throw unencodable('firstContactExtension goes with firstContact in version 2');
  }
  if (version === 1 && message.eid !== '') throw unencodable('eid needs version 2');
  const extensionAt = END[path][version];
  const end = extensionAt + (extension === undefined ? 0 : firstContactLength(type, path, extension));
  const flags = PATH_CODES[path] | (firstContact ? FLAG : 0);
  const out = writeFrame(type, path, version, end + TRAILER_LENGTH, flags);
  if (message.path === 'smcr') putR(out, message);
  else putD(out, message);
  if (extension !== undefined) putFirstContact(out, extensionAt, type, path, extension);
  return out.message;
}

export function decodeAcceptConfirm(header: ClcHeader, fields: FieldReader, type: 'accept' | 'confirm'): ClcAcceptConfirm {
  const { path, version, flags, length } = header;
  if ((flags & 3) !== PATH_CODES[path]) throw malformed(`type ${flags & 3} under the eyecatcher of ${path}`, 7);
  const firstContact = (flags & FLAG) !== 0;
  const extensionAt = END[path][version];
  const extension = version === 2 && firstContact ? getFirstContact(fields, extensionAt, type, path) : undefined;
  const end = extensionAt + (extension === undefined ? 0 : firstContactLength(type, path, extension));
  if (end + TRAILER_LENGTH !== length) throw malformed(`length ${length} of parts that take ${end + TRAILER_LENGTH}`, 5);

  const firstContactExtension = extension === undefined ? {} : { firstContactExtension: extension };
  return path === 'smcr'
    ? { type, path, version, firstContact, ...getR(fields, version), ...firstContactExtension }
    : { type, path, version, firstContact, ...getD(fields, version), ...firstContactExtension };
}

/** The fields of one path, without those both have. */
type Body<M extends ClcAcceptConfirm> = Omit<M, 'type' | 'path' | 'version' | 'firstContact' | 'firstContactExtension'>;

function putR(out: FieldWriter, message: ClcAcceptConfirmR): void {
  out.bytes(8, 8, message.peerId, 'peerId');
  out.bytes(16, 16, message.gid, 'gid');
  out.bytes(32, 6, message.mac, 'mac');
  out.uint(38, 3, message.qpNumber, 'qpNumber');
  out.uint(41, 4, message.rkey, 'rkey');
  mustBeWithin('rmbeIndex', message.rmbeIndex, 1, 255);
  out.uint(45, 1, message.rmbeIndex, 'rmbeIndex');
  mustBeWithin('alertToken', message.alertToken, 1, 0xffffffff);
  out.uint(46, 4, message.alertToken, 'alertToken');
  mustBeWithin('rmbeSizeCode', message.rmbeSizeCode, 0, 15);
  mustBeWithin('qpMtu', message.qpMtu, 1, 5);
  out.uint(50, 1, (message.rmbeSizeCode << 4) | message.qpMtu, 'rmbeSizeCode');
  out.uint64(52, message.rmbAddress, 'rmbAddress');
  out.uint(61, 3, message.psn, 'psn');
  if (message.version === 2) out.text(64, message.eid, 'eid');
}

function getR(fields: FieldReader, version: 1 | 2): Body<ClcAcceptConfirmR> {
  const rmbeIndex = fields.uint(45, 1);
  if (rmbeIndex === 0) throw malformed('RMBE index 0', 45);
  const alertToken = fields.uint(46, 4);
  if (alertToken === 0) throw malformed('alert token 0', 46);
  const sizeAndMtu = fields.uint(50, 1);
  const qpMtu = sizeAndMtu & 0x0f;
  if (qpMtu < 1 || qpMtu > 5) throw malformed(`QP MTU code ${qpMtu}`, 50);
  return {
    peerId: fields.bytes(8, 8),
    gid: fields.bytes(16, 16),
    mac: fields.bytes(32, 6),
    qpNumber: fields.uint(38, 3),
    rkey: fields.uint(41, 4),
    rmbeIndex,
    alertToken,
    rmbeSizeCode: sizeAndMtu >> 4,
    qpMtu,
    rmbAddress: fields.uint64(52),
    psn: fields.uint(61, 3),
    eid: version === 1 ? '' : fields.text(64),
  };
}

function putD(out: FieldWriter, message: ClcAcceptConfirmD): void {
  out.uint64(8, message.gid, 'gid');
  out.uint64(16, message.token, 'token');
  out.uint(24, 1, message.dmbeIndex, 'dmbeIndex');
  mustBeWithin('dmbeSizeCode', message.dmbeSizeCode, 0, 15);
  out.uint(25, 1, message.dmbeSizeCode << 4, 'dmbeSizeCode');
  out.uint(28, 4, message.linkId, 'linkId');
  if (message.version === 1) {
    if (message.chid !== 0 || message.gidExt !== 0n) throw unencodable('chid and gidExt need version 2');
    return;
  }
  out.uint(32, 2, message.chid, 'chid');
  out.text(34, message.eid, 'eid');
  out.uint64(66, message.gidExt, 'gidExt');
}

function getD(fields: FieldReader, version: 1 | 2): Body<ClcAcceptConfirmD> {
  return {
    gid: fields.uint64(8),
    token: fields.uint64(16),
    dmbeIndex: fields.uint(24, 1),
    dmbeSizeCode: fields.uint(25, 1) >> 4,
    linkId: fields.uint(28, 4),
    chid: version === 1 ? 0 : fields.uint(32, 2),
    eid: version === 1 ? '' : fields.text(34),
    gidExt: version === 1 ? 0n : fields.uint64(66),
  };
}
