#!/usr/bin/env python3
"""capture.py - what crosses lo: every SYN and SYN-ACK, with how often the TCP option of SMC is in it, and every other segment that has
it. One JSON line each, after a line that says that it captures."""

import json
import socket
import struct

OPTION = bytes.fromhex("fe06e2d4c3d9")
ETH_P_ALL, IPV4, IPV6, TCP = 3, 0x0800, 0x86DD, 6
OUTGOING = 4


def segment(packet, protocol):
    """The TCP header, or None."""
    if protocol == IPV4 and packet[9] == TCP:
        return packet[(packet[0] & 15) * 4 :]
    if protocol == IPV6 and packet[6] == TCP:
        return packet[40:]
    return None


def options(tcp):
    """(kind, bytes) of each."""
    data = tcp[20 : (tcp[12] >> 4) * 4]
    while data and data[0] != 0:
        length = 1 if data[0] == 1 else data[1]
        if length == 0:
            break
        yield data[0], data[:length]
        data = data[length:]


def main():
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 23)
    wire.bind(("lo", ETH_P_ALL))
    print("captures", flush=True)
    while True:
        packet, (_, protocol, kind, *_) = wire.recvfrom(65536)
        tcp = segment(packet, protocol)
        # What goes out on lo also comes in.
        if tcp is None or kind == OUTGOING:
            continue
        source, destination = struct.unpack_from("!HH", tcp)
        flags = tcp[13]
        times = sum(1 for _, one in options(tcp) if one == OPTION)
        name = "other" if not flags & 2 else "syn-ack" if flags & 16 else "syn"
        if name != "other" or times:
            print(json.dumps({"source": source, "destination": destination, "kind": name, "times": times}), flush=True)


main()
