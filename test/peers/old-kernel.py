# old-kernel.py - starts a program for which the kernel is an old one: a seccomp filter answers one system call with an error.
#
#   old-kernel.py memfd_create|seals PROGRAM [ARGUMENT ...]

import ctypes
import os
import platform
import struct
import sys

NUMBERS = {"x86_64": (0xC000003E, 319, 72), "aarch64": (0xC00000B7, 279, 25)}
ENOSYS, EINVAL = 38, 22
F_ADD_SEALS = 1033

LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ERRNO = 0x7FFF0000, 0x00050000

architecture, memfd_create, fcntl = NUMBERS[platform.machine()]


def one(code, value, yes=0, no=0):
    return struct.pack("HBBI", code, yes, no, value)


# struct seccomp_data: the number at 0, the architecture at 4, the second argument at 24.
refused = {
    "memfd_create": [one(EQUAL, memfd_create, 0, 1), one(RETURN, ERRNO | ENOSYS)],
    "seals": [one(EQUAL, fcntl, 0, 3), one(LOAD, 24), one(EQUAL, F_ADD_SEALS, 0, 1), one(RETURN, ERRNO | EINVAL)],
}[sys.argv[1]]
head = [one(LOAD, 4), one(EQUAL, architecture, 1, 0), one(RETURN, ALLOW), one(LOAD, 0)]
code = b"".join([*head, *refused, one(RETURN, ALLOW)])

buffer = ctypes.create_string_buffer(code, len(code))
program = struct.pack("HxxxxxxQ", len(code) // 8, ctypes.addressof(buffer))
libc = ctypes.CDLL(None, use_errno=True)
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
    sys.exit("no_new_privs: " + os.strerror(ctypes.get_errno()))
if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0) != 0:
    sys.exit("seccomp: " + os.strerror(ctypes.get_errno()))
os.execv(sys.argv[2], sys.argv[2:])
