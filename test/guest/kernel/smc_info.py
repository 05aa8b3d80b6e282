#!/usr/bin/env python3
"""smc_info.py - what the kernel's SMC says of itself, as JSON, by its generic netlink family (linux/smc.h) and by sock_diag
(linux/smc_diag.h). "The echo worked" proves nothing: the kernel falls back to TCP silently.

    smc_info.py ueid NAME      adds a user EID, unless it is there: without one there is no SMC-Rv2
    smc_info.py ueids          all user EIDs
    smc_info.py no-ueids       removes them
    smc_info.py pnetid NAME eth|ib DEVICE ...  the device is in the physical network of this name; any number of the three
    smc_info.py no-pnetids     forgets all of those
    smc_info.py stats          counters since boot: {"smcr": {"clientV2": 1, ...}, "clientErrors": 0, "serverErrors": 0}
    smc_info.py fallbacks      why connections fell back to TCP: [{"reason": "0x03010000", "count": 1, "role": "server"}]
    smc_info.py groups         link groups: [{"id": ..., "role": "client", "connections": 1, "links": [...]}]
    smc_info.py sockets        SMC sockets: [{"localPort": 5000, "peerPort": 41234, "mode": "smcr", "state": "active",
                               "reason": "0x00000000", "peerDiagnosis": "0x00000000"}]
"""

import json
import socket
import struct
import sys

NETLINK_SOCK_DIAG, NETLINK_GENERIC = 4, 16
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 1, 4, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
AF_SMC = 43


class Netlink:
    """One netlink socket; a request gives the payloads of all its answers."""

    def __init__(self, protocol):
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
        self.socket.bind((0, 0))

    def ask(self, kind, payload, flags=0):
        self.socket.send(struct.pack("=IHHII", 16 + len(payload), kind, NLM_F_REQUEST | NLM_F_ACK | flags, 1, 0) + payload)
        answers = []
        while True:
            data = self.socket.recv(1 << 18)
            while len(data) >= 16:
                length, answer, *_ = struct.unpack_from("=IHHII", data)
                body, data = data[16:length], data[(length + 3) & ~3 :]
                if answer == NLMSG_ERROR:
                    error = -struct.unpack_from("=i", body)[0]
                    if error:
                        raise OSError(error, "netlink")
                    return answers
                if answer == NLMSG_DONE:
                    return answers
                answers.append(body)


def attributes(data):
    """{type: bytes}; of several of one type the last."""
    found = {}
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        if length < 4:
            break
        found[kind & 0x3FFF] = data[4:length]
        data = data[(length + 3) & ~3 :]
    return found


def attribute(kind, value):
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def number(value, default=0):
    return default if value is None else int.from_bytes(value, sys.byteorder)


def text(value):
    return (value or b"").rstrip(b"\0 ").decode()


class Smc(Netlink):
    """A family of generic netlink."""

    def __init__(self, family=b"SMC_GEN_NETLINK\0"):
        super().__init__(NETLINK_GENERIC)
        # Command 3 of the controller (family 16) finds a family; attribute 2 is the name, attribute 1 the answer.
        answer = self.ask(16, struct.pack("=BBH", 3, 1, 0) + attribute(2, family))[0]
        self.family = number(attributes(answer[4:])[1])

    def command(self, command, payload=b"", dump=False):
        answers = self.ask(self.family, struct.pack("=BBH", command, 1, 0) + payload, NLM_F_DUMP if dump else 0)
        return [attributes(answer[4:]) for answer in answers]


def add_ueid(name):
    if name not in ueids():
        Smc().command(10, attribute(1, name.encode().ljust(32) + b"\0"))
    return name


def remove_ueids():
    Smc().command(12)


def add_pnetids(*words):
    family = Smc(b"SMC_PNETID\0")
    for name, kind, device in zip(words[::3], words[1::3], words[2::3]):
        names = attribute(1, name.encode() + b"\0") + attribute(2 if kind == "eth" else 3, device.encode() + b"\0")
        family.command(2, names + (b"" if kind == "eth" else attribute(4, b"\1")))


def remove_pnetids():
    Smc(b"SMC_PNETID\0").command(4)


def ueids():
    return [text(one[1]) for one in Smc().command(9, dump=True) if 1 in one]


def stats():
    (answer,) = Smc().command(7, dump=True)
    found = attributes(answer[7])
    names = {7: "clientV1", 8: "clientV2", 9: "serverV1", 10: "serverV2", 16: "receivedBytes", 17: "sentBytes"}
    smcr = attributes(found.get(2, b""))
    return {
        "smcr": {name: number(smcr.get(kind)) for kind, name in names.items()},
        "clientErrors": number(found.get(3)),
        "serverErrors": number(found.get(4)),
    }


def fallbacks():
    result = []
    for answer in Smc().command(8, dump=True):
        one = attributes(answer.get(8, b""))
        role = "server" if number(one.get(1)) else "client"
        if number(one.get(5)):
            result.append({"reason": f"0x{number(one.get(4)):08x}", "count": number(one.get(5)), "role": role})
    return result


def groups():
    # Link groups and their links come in turn: a group, then its links.
    result = []
    for answer in Smc().command(3, dump=True):
        if 2 in answer:
            group = attributes(answer[2])
            v2 = attributes(group.get(7, b""))
            result.append(
                {
                    "id": number(group.get(1)),
                    "role": "client" if number(group.get(2)) == 0 else "server",
                    "type": number(group.get(3)),
                    "connections": number(group.get(6)),
                    "ueid": text(v2.get(3)),
                    "links": [],
                }
            )
        if 3 in answer and result:
            link = attributes(answer[3])
            names = {2: "device", 4: "gid", 5: "peerGid"}
            result[-1]["links"].append({name: text(link.get(kind)) for kind, name in names.items()})
    return result


def sockets():
    modes = {0: "smcr", 1: "tcp", 2: "smcd"}
    states = {1: "active", 2: "init", 7: "closed", 10: "listen", 20: "peerclosewait1", 21: "peerclosewait2"}
    states |= {22: "appclosewait1", 23: "appclosewait2", 24: "appfinclosewait", 25: "peerfinclosewait", 26: "peerabortwait", 27: "processabort"}
    request = struct.pack("=B2xB48x", AF_SMC, 0)
    result = []
    for answer in Netlink(NETLINK_SOCK_DIAG).ask(20, request, NLM_F_DUMP):
        _, state, mode, _ = struct.unpack_from("=4B", answer)
        source, destination = struct.unpack_from("!HH", answer, 4)
        # Behind struct smc_diag_msg; attribute 5: why it is TCP, and what the peer's Decline said.
        reason, diagnosis = struct.unpack("=II", attributes(answer[64:]).get(5, bytes(8)))
        # The kernel leaves the addresses out for sockets of IPPROTO_SMC.
        one = {"localPort": source, "peerPort": destination, "mode": modes[mode], "state": states.get(state, state)}
        result.append(one | {"reason": f"0x{reason:08x}", "peerDiagnosis": f"0x{diagnosis:08x}"})
    return result


COMMANDS = {"ueid": add_ueid, "ueids": ueids, "no-ueids": remove_ueids, "pnetid": add_pnetids, "no-pnetids": remove_pnetids}
COMMANDS |= {"stats": stats, "fallbacks": fallbacks, "groups": groups, "sockets": sockets}


if __name__ == "__main__":
    print(json.dumps(COMMANDS[sys.argv[1]](*sys.argv[2:])))
