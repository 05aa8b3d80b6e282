#!/usr/bin/env python3
"""smc_agent.py - a program on the kernel's SMC sockets (IPPROTO_SMC) that does what it is told: one command a line on stdin,
{"tag": 1, "do": "connect", ...}, answered by {"tag": 1, ...}, with "error" in it when it failed. Commands run side by side, each in
a thread of its own. Connections have names. Ends when stdin does.

    smc_agent.py            one such program; its first line is {"pid": 4711}
    smc_agent.py PATH       one for each connection to a Unix socket at PATH, which is its stdin and stdout; prints a line when it listens.
                            Forks are quick where loading Python takes a second. Ends when its own stdin does, the forks do not.

    listen name host port backlog kind         {"port": 5000}
    accept name listener                       {"peer": 41234}
    connect name host port source kind         {"local": 41234}; source is an address
    send name bytes seed start                 bytes `start` on of the stream that belongs to seed
    trickle name bytes seed piece              the same, in pieces, each a message of its own
    receive name bytes seed start              reads so many and checks them: {"same": true, "bytes": 100}
    exchange name bytes seed theirs            both at once
    echo name                                  sends back what comes, until its end: {"bytes": 100}
    rounds name sizes count                    ping-pong: sends `count` messages of each size and waits for each to come back
    end name                                   reads to the end: {"bytes": 0}
    shutdown name; close name
    sleeps                                     {"count": 100}: times the process was put to sleep
    facts                                      what smc_info.py says, all of it: {"stats": {...}, "groups": [...], ...}

`tcp` instead of the kernel's SMC, and AF_SMC (family 43) instead of AF_INET with IPPROTO_SMC: "kind" of listen and connect.
"""

import errno
import json
import os
import resource
import select
import signal
import socket
import sys
import threading
import time
from array import array

import smc_info

SMC = {"smc": (socket.AF_INET, 256), "af_smc": (43, 0), "tcp": (socket.AF_INET, 0)}
CHUNK = 1 << 18
sockets = {}
writing = threading.Lock()


def tell(**what):
    with writing:
        print(json.dumps(what), flush=True)


def make(name, kind):
    family, protocol = SMC[kind]
    one = sockets[name] = socket.socket(family, socket.SOCK_STREAM, protocol)
    return one


def pattern(seed, start, length):
    """Counters of 4 bytes, little endian: every place of 64 MiB can be told from all others, and streams with seeds below 256."""
    base = seed << 24
    words = array("I", range(base + start // 4, base + (start + length + 3) // 4))
    return words.tobytes()[start % 4 : start % 4 + length]


def listen(name, host="127.0.0.1", port=0, backlog=128, kind="smc"):
    one = make(name, kind)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind((host, port))
    one.listen(backlog)
    return {"port": one.getsockname()[1]}


def accept(name, listener):
    sockets[name], (_, port) = sockets[listener].accept()
    return {"peer": port}


def connect(name, port, host="127.0.0.1", source=None, kind="smc"):
    one = make(name, kind)
    if source:
        one.bind((source, 0))
    one.connect((host, port))
    return {"local": one.getsockname()[1]}


def send(name, bytes, seed=0, start=0):
    at, end = start, start + bytes
    while at < end:
        length = min(CHUNK, end - at)
        sockets[name].sendall(pattern(seed, at, length))
        at += length
    return {"bytes": bytes}


def urgent(name, bytes, seed=0, piece=1000):
    """The last byte of each piece is urgent."""
    for at in range(0, bytes, piece):
        sockets[name].sendall(pattern(seed, at, min(piece, bytes - at)), socket.MSG_OOB)
    return {"bytes": bytes}


def trickle(name, bytes, seed=0, piece=50):
    one = sockets[name]
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for at in range(0, bytes, piece):
        one.sendall(pattern(seed, at, min(piece, bytes - at)))
        # Without a pause the kernel makes one message of several.
        time.sleep(0.01)
    return {"bytes": bytes}


def receive(name, bytes, seed=0, start=0):
    got = 0
    while got < bytes:
        data = sockets[name].recv(min(CHUNK, bytes - got))
        if not data:
            return {"bytes": got, "same": False}
        if data != pattern(seed, start + got, len(data)):
            return {"bytes": got, "same": False, "wrong": True}
        got += len(data)
    return {"bytes": got, "same": True}


def exchange(name, bytes, seed=0, theirs=0):
    """
    Of a broken connection the kernel tells one direction the reason, whichever asks first; the other gets EPIPE, or when it reads
    ENOTCONN as if there had never been one. The reason is what is told.
    """
    errors = []
    result = None

    def sending():
        try:
            send(name, bytes, seed)
        except OSError as error:
            errors.append(error)

    sender = threading.Thread(target=sending)
    sender.start()
    try:
        result = receive(name, bytes, theirs)
    except OSError as error:
        errors.append(error)
    sender.join()
    if errors:
        raise min(errors, key=lambda error: (error.errno == errno.ENOTCONN, error.errno == errno.EPIPE))
    return result


def echo(name):
    total = 0
    while data := sockets[name].recv(65536):
        sockets[name].sendall(data)
        total += len(data)
    return {"bytes": total}


def rounds(name, sizes, count):
    for size in sizes:
        for i in range(count):
            sockets[name].sendall(pattern(i % 256, 0, size))
            if not receive(name, size, i % 256)["same"]:
                return {"same": False, "size": size, "round": i}
    return {"same": True}


def end(name):
    total = 0
    while data := sockets[name].recv(65536):
        total += len(data)
    return {"bytes": total}


def shutdown(name):
    sockets[name].shutdown(socket.SHUT_WR)
    return {}


def close(name):
    sockets.pop(name).close()
    return {}


def sleeps():
    """Times this process was put to sleep and woken so far, threads that have ended included."""
    return {"count": resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw}


def facts():
    return {what: smc_info.COMMANDS[what]() for what in ("stats", "groups", "sockets", "fallbacks")}


def run(tag, do, arguments):
    try:
        tell(tag=tag, **globals()[do](**arguments))
    except OSError as error:
        tell(tag=tag, error=os.strerror(error.errno) if error.errno else str(error), errno=error.errno)


def agent():
    tell(pid=os.getpid())
    threading.stack_size(1 << 18)
    for line in sys.stdin:
        command = json.loads(line)
        threading.Thread(target=run, args=(command.pop("tag"), command.pop("do"), command), daemon=True).start()
    os._exit(0)


def fork_agents(path):
    # Nobody waits for the forks.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(128)
        tell(listens=path)
        while listener in select.select([listener, sys.stdin], [], [])[0]:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                for descriptor in (0, 1):
                    os.dup2(connection.fileno(), descriptor)
                connection.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                agent()
            connection.close()


if __name__ == "__main__":
    # Its sockets have the TCP option of the kernel, not that of tcp_option.py.
    with open("/sys/fs/cgroup/cgroup.procs", "w") as procs:
        procs.write(str(os.getpid()))
    if len(sys.argv) > 1:
        fork_agents(sys.argv[1])
    else:
        agent()
