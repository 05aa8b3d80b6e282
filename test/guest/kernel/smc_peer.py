#!/usr/bin/env python3
"""smc_peer.py - a peer whose SMC is the kernel's: an ordinary program on a socket of protocol IPPROTO_SMC. One JSON line each.

    smc_peer.py echo [PORT]          listens on 127.0.0.1, {"port": 5000}; echoes every connection to its end, then
                                     {"echoed": 100, "from": 41234}. Ends when stdin does.
    smc_peer.py client PORT BYTES    sends that many bytes while it reads, ends its sending side and checks the echo:
                                     {"local": 41234, "received": 100, "same": true}. Waits for a line on stdin before it ends
                                     its sending side when there is a third argument, after {"half": ...}.
"""

import json
import socket
import sys
import threading

IPPROTO_SMC = 256


def tell(**what):
    print(json.dumps(what), flush=True)


def smc_socket():
    return socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_SMC)


def pattern(length):
    """Bytes whose every place can be told from its neighbours: 4-byte counters."""
    return b"".join(i.to_bytes(4, "big") for i in range((length + 3) // 4))[:length]


def echo_one(connection, port):
    total = 0
    try:
        while data := connection.recv(65536):
            connection.sendall(data)
            total += len(data)
        connection.shutdown(socket.SHUT_WR)
        tell(echoed=total, **{"from": port})
    except OSError as error:
        tell(echoed=total, error=error.strerror, **{"from": port})
    finally:
        connection.close()


def echo(port="0"):
    listener = smc_socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", int(port)))
    listener.listen(64)
    tell(port=listener.getsockname()[1])

    def serve():
        while True:
            connection, (_, peer) = listener.accept()
            threading.Thread(target=echo_one, args=(connection, peer), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    sys.stdin.read()


def client(port, length, hold=None):
    connection = smc_socket()
    connection.connect(("127.0.0.1", int(port)))
    sent = pattern(int(length))
    got = bytearray()

    def read(until):
        while len(got) < until and (data := connection.recv(65536)):
            got.extend(data)

    sender = threading.Thread(target=connection.sendall, args=(sent,))
    sender.start()
    read(len(sent))
    sender.join()
    if hold is not None:
        tell(half=len(got), local=connection.getsockname()[1])
        sys.stdin.readline()
    connection.shutdown(socket.SHUT_WR)
    read(len(sent) + 1)
    tell(local=connection.getsockname()[1], received=len(got), same=bytes(got) == sent)
    connection.close()


if __name__ == "__main__":
    {"echo": echo, "client": client}[sys.argv[1]](*sys.argv[2:])
