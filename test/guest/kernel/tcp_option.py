#!/usr/bin/env python3
"""tcp_option.py PID... - from now on, TCP sockets that these processes make say that they speak SMC (RFC 7609 section 3.1).

Puts the processes into a cgroup with a BPF program (sockops) that adds the TCP option, kind 254 with "SMCR" in EBCDIC, to a SYN, and to
the SYN-ACK when the SYN had it. Only needed here: an AF_SMC peer falls back to TCP without it. Needs root.
"""

import ctypes
import os
import struct
import sys

CGROUP = "/sys/fs/cgroup/smc-option"
OPTION = bytes.fromhex("fe06e2d4c3d9")
SYS_BPF, PROG_LOAD, PROG_ATTACH, SOCK_OPS, CGROUP_SOCK_OPS = 321, 5, 8, 13, 3

# Members of struct bpf_sock_ops, operations and helpers (linux/bpf.h).
OP, TCP_FLAGS = 0, 212
TCP_CONNECT, TCP_LISTEN, OPTION_LENGTH, WRITE_OPTION = 3, 11, 14, 15
FLAGS_SET, LOAD_OPTION, STORE_OPTION, RESERVE_OPTION = 59, 142, 143, 144
WANTS_WRITE, FROM_SYN, SYN, ACK = 0x40, 1, 2, 0x10


class Program:
    def __init__(self):
        self.code, self.labels, self.jumps = [], {}, []

    def put(self, code, dst=0, src=0, off=0, imm=0):
        self.code.append([code, dst | src << 4, off, imm])

    def copy(self, dst, src):
        self.put(0xBF, dst, src)

    def set(self, dst, imm):
        self.put(0xB7, dst, imm=imm)

    def load(self, dst, src, off):
        self.put(0x61, dst, src, off)

    def call(self, helper):
        self.put(0x85, imm=helper)

    def jump(self, label, code=0x05, dst=0, imm=0):
        self.jumps.append((len(self.code), label))
        self.put(code, dst, imm=imm)

    def if_equal(self, dst, imm, label):
        self.jump(label, 0x15, dst, imm)

    def if_negative(self, dst, label):
        self.jump(label, 0xC5, dst)

    def label(self, name):
        self.labels[name] = len(self.code)

    def without(self, dst, src, bits, label):
        self.copy(dst, src)
        self.put(0x57, dst, imm=bits)
        self.if_equal(dst, 0, label)

    def option(self, at):
        low, high = struct.unpack("<ii", OPTION.ljust(8, b"\0"))
        self.put(0x18, 1, imm=low)
        self.put(0, imm=high)
        self.put(0x7B, 10, 1, at)

    def stack(self, dst, at):
        self.copy(dst, 10)
        self.put(0x07, dst, imm=at)

    def bytes(self):
        for at, label in self.jumps:
            self.code[at][2] = self.labels[label] - at - 1
        return b"".join(struct.pack("<BBhi", *one) for one in self.code)


def program():
    p = Program()
    p.copy(6, 1)
    p.load(7, 6, OP)
    for operation, label in [(TCP_CONNECT, "ask"), (TCP_LISTEN, "ask"), (OPTION_LENGTH, "syn"), (WRITE_OPTION, "syn")]:
        p.if_equal(7, operation, label)
    p.jump("out")
    p.label("ask")
    p.copy(1, 6)
    p.set(2, WANTS_WRITE)
    p.call(FLAGS_SET)
    p.jump("out")
    p.label("syn")
    p.load(8, 6, TCP_FLAGS)
    p.without(1, 8, SYN, "out")
    p.option(-8)
    p.without(1, 8, ACK, "put")
    # A SYN-ACK: what did the SYN have?
    p.option(-16)
    p.copy(1, 6)
    p.stack(2, -16)
    p.set(3, 8)
    p.set(4, FROM_SYN)
    p.call(LOAD_OPTION)
    p.if_negative(0, "out")
    p.label("put")
    p.copy(1, 6)
    p.if_equal(7, WRITE_OPTION, "store")
    p.set(2, len(OPTION))
    p.set(3, 0)
    p.call(RESERVE_OPTION)
    p.jump("out")
    p.label("store")
    p.stack(2, -8)
    p.set(3, len(OPTION))
    p.set(4, 0)
    p.call(STORE_OPTION)
    p.label("out")
    p.set(0, 1)
    p.put(0x95)
    return p.bytes()


def bpf(command, attributes):
    libc = ctypes.CDLL(None, use_errno=True)
    result = libc.syscall(SYS_BPF, command, attributes, len(attributes))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def attach():
    code, licence, log = program(), ctypes.create_string_buffer(b"Apache-2.0"), ctypes.create_string_buffer(1 << 16)
    text = ctypes.create_string_buffer(code, len(code))
    load = struct.pack(
        "=IIQQIIQII16sII",
        *(SOCK_OPS, len(code) // 8, ctypes.addressof(text), ctypes.addressof(licence)),
        *(1, len(log), ctypes.addressof(log), 0, 0, b"smc_option", 0, CGROUP_SOCK_OPS),
    )
    try:
        loaded = bpf(PROG_LOAD, load)
    except OSError as error:
        raise SystemExit(f"{error}\n{log.value.decode()}")
    os.mkdir(CGROUP)
    bpf(PROG_ATTACH, struct.pack("=IIII", os.open(CGROUP, os.O_RDONLY), loaded, CGROUP_SOCK_OPS, 0))


if __name__ == "__main__":
    if not os.path.exists(CGROUP):
        attach()
    for pid in sys.argv[1:]:
        with open(f"{CGROUP}/cgroup.procs", "w") as procs:
            procs.write(pid)
