// program.ts - the BPF program that puts the TCP option of SMC on SYN and SYN-ACK and looks whether the peer's has it, for
// sockets that ask, and for no other (RFC 7609 section 3.1: kind 254, length 6, 0xe2d4c3d9).
//
// It is a sockops program (linux/bpf.h, struct bpf_sock_ops), called for the sockets of a cgroup at a few points of a TCP connection.
// A socket asks by a word of its own in the map `sockets` (BPF_MAP_TYPE_SK_STORAGE), which a process can write for its
// own descriptors and no others:
//
//     | state     | who writes it, when                                        | accepted sockets start with a copy of   |
//     | --------- | ---------------------------------------------------------- | their listener's word (BPF_F_CLONE)     |
//     | asked   1 | the process, before connect() or listen()                  |
//     | offered 2 | the program, in connect() or listen()                      |
//     | agreed  3 | the program, before the connection is told as established: the peer's SYN or SYN-ACK had the option
//     | alone   4 | the program, likewise: it had not                          |
//
// Callbacks for headers are switched on for sockets that asked, and off again once they are established: nobody else pays for
// them, and established connections do not. SYN cookies keep no SYN: no option then, as in the kernel's own SMC.

import * as bpf from './assembler.js';
import { assemble, call, jump, jumpIfEqual, jumpIfGreater, jumpUnlessEqual, type Line, loadMap, loadWord, move, set } from './assembler.js';
import { STATE } from './state.js';

/** Changes with the program or the meaning of its map: part of the program's name in the kernel. */
export const PROGRAM_NAME = 'smc_option_1';

/** Offsets in struct bpf_sock_ops. */
const CONTEXT = { op: 0, args: 4, callbackFlags: 84, socket: 184, tcpFlags: 212 } as const;

/** What the program is called for (enum in linux/bpf.h). */
const OP = { connect: 3, activeEstablished: 4, passiveEstablished: 5, listen: 11, optionsLength: 14, writeOptions: 15 } as const;

const HELPER = { setsockopt: 49, setCallbackFlags: 59, socketStorage: 107, loadOption: 142, storeOption: 143, reserveOption: 144 } as const;

const WRITE_OPTIONS_FLAG = 1 << 6;
/** args[0] while the header of a SYN-ACK with a SYN cookie is made. */
const WITH_COOKIE = 2;
/** For `loadOption`: search the SYN that was received, not the packet at hand. */
const OF_THE_SYN = 1;
const TCP_SYN = 0x02;
const TCP_ACK = 0x10;
const SOL_TCP = 6;
const TCP_SAVE_SYN = 27;

/** The option: kind, length, and the experiment's number, which is "SMCR" in EBCDIC. */
export const OPTION = [0xfe, 0x06, 0xe2, 0xd4, 0xc3, 0xd9] as const;
/** Where it lies on the stack; also what `loadOption` searches for, and then overwrites with the same bytes. */
const OPTION_PLACE = -8;
const VALUE_PLACE = -16;

const STACK = 10;

/** r0 = length of the option if it is there, else negative. `where` as in `loadOption`. */
const searchOption = (where: number): Line[] => [
  move(1, 6),
  move(2, STACK),
  bpf.add(2, OPTION_PLACE),
  set(3, OPTION.length),
  set(4, where),
  call(HELPER.loadOption),
];

/** Leaves r0 = 0 when it worked. */
const changeCallbackFlags = (change: Line): Line[] => [
  loadWord(2, 6, CONTEXT.callbackFlags),
  change,
  move(1, 6),
  call(HELPER.setCallbackFlags),
];

/** r6: context, r7: op, r8: the socket's word. */
const program = (sockets: number): Line[] => [
  move(6, 1),
  loadWord(7, 6, CONTEXT.op),
  ...OPTION.map((byte, index) => bpf.storeByte(STACK, OPTION_PLACE + index, byte)),
  jumpIfEqual(7, OP.connect, 'word'),
  jumpIfEqual(7, OP.listen, 'word'),
  jumpIfEqual(7, OP.activeEstablished, 'word'),
  jumpIfEqual(7, OP.passiveEstablished, 'word'),
  jumpIfEqual(7, OP.optionsLength, 'header'),
  jumpUnlessEqual(7, OP.writeOptions, 'done'),

  // A header is made, first its length, then its bytes: only SYN and SYN-ACK are of interest.
  'header:',
  loadWord(1, 6, CONTEXT.tcpFlags),
  move(2, 1),
  bpf.and(2, TCP_SYN),
  jumpIfEqual(2, 0, 'done'),
  bpf.and(1, TCP_ACK),
  jumpIfEqual(1, 0, 'word'),

  // SYN-ACK: there is no full socket yet, but callbacks come for listeners that asked only. An answer to a SYN that has it.
  loadWord(1, 6, CONTEXT.args),
  jumpIfEqual(1, WITH_COOKIE, 'done'),
  ...searchOption(OF_THE_SYN),
  jumpIfGreater(0, 0, 'put'),
  jump('done'),

  'word:',
  bpf.loadPointer(2, 6, CONTEXT.socket),
  jumpIfEqual(2, 0, 'done'),
  ...loadMap(1, sockets),
  set(3, 0),
  set(4, 0),
  call(HELPER.socketStorage),
  jumpIfEqual(0, 0, 'done'),
  move(8, 0),
  loadWord(1, 8, 0),
  jumpIfEqual(7, OP.connect, 'connecting'),
  jumpIfEqual(7, OP.listen, 'listening'),
  jumpUnlessEqual(1, STATE.offered, 'done'),
  jumpIfEqual(7, OP.activeEstablished, 'active'),
  jumpIfEqual(7, OP.passiveEstablished, 'passive'),

  'put:',
  jumpIfEqual(7, OP.writeOptions, 'write'),
  move(1, 6),
  set(2, OPTION.length),
  set(3, 0),
  call(HELPER.reserveOption),
  jump('done'),
  'write:',
  move(1, 6),
  move(2, STACK),
  bpf.add(2, OPTION_PLACE),
  set(3, OPTION.length),
  set(4, 0),
  call(HELPER.storeOption),
  jump('done'),

  // The SYN of each connection is kept until it is established: that is where the option is looked for.
  'listening:',
  jumpIfEqual(1, STATE.none, 'done'),
  bpf.storeWord(STACK, VALUE_PLACE, 1),
  move(1, 6),
  set(2, SOL_TCP),
  set(3, TCP_SAVE_SYN),
  move(4, STACK),
  bpf.add(4, VALUE_PLACE),
  set(5, 4),
  call(HELPER.setsockopt),
  jumpUnlessEqual(0, 0, 'done'),
  jump('offer'),
  'connecting:',
  jumpIfEqual(1, STATE.none, 'done'),
  'offer:',
  ...changeCallbackFlags(bpf.or(2, WRITE_OPTIONS_FLAG)),
  jumpUnlessEqual(0, 0, 'done'),
  bpf.storeWord(8, 0, STATE.offered),
  jump('done'),

  // Established: the SYN-ACK is at hand, or the SYN is saved.
  'active:',
  ...searchOption(0),
  jump('answer'),
  'passive:',
  ...searchOption(OF_THE_SYN),
  'answer:',
  jumpIfGreater(0, 0, 'agreed'),
  bpf.storeWord(8, 0, STATE.alone),
  jump('quiet'),
  'agreed:',
  bpf.storeWord(8, 0, STATE.agreed),
  'quiet:',
  ...changeCallbackFlags(bpf.and(2, ~WRITE_OPTIONS_FLAG)),

  // Never 0: that would say no to others' programs.
  'done:',
  set(0, 1),
  bpf.exit,
];

/** The instructions, for the map with this descriptor. */
export const optionProgram = (sockets: number): Uint8Array => assemble(program(sockets));
