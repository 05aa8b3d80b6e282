#!/usr/bin/env python3
"""settle.py - has the guest's kernel change its own code now, while one processor runs, instead of later (see boot.mjs).

What switches a "static key" of the kernel has its branches rewritten. Used here for the first time, or for good: what happens once
(the random numbers of TCP and UDP, over IPv4 and IPv6), and what counts its users (control groups with a quota).
"""

import os
import socket
import time

GROUPS = "/sys/fs/cgroup"


def connections():
    for family, address in [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]:
        with socket.socket(family) as server, socket.socket(family) as client:
            server.bind((address, 0))
            server.listen()
            client.connect(server.getsockname()[:2])
        with socket.socket(family, socket.SOCK_DGRAM) as server, socket.socket(family, socket.SOCK_DGRAM) as client:
            server.bind((address, 0))
            client.sendto(b"x", server.getsockname()[:2])


def quota():
    with open(f"{GROUPS}/cgroup.subtree_control", "w") as control:
        control.write("+cpu")
    os.mkdir(f"{GROUPS}/settled")
    with open(f"{GROUPS}/settled/cpu.max", "w") as limit:
        limit.write("50000 100000")


connections()
quota()
# Part of it is work that the kernel has put off.
time.sleep(0.2)
