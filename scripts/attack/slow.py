"""A1, A3, A6: peers that are slow, deaf or gone."""

import contextlib
import ctypes
import os
import selectors
import shutil
import socket
import subprocess
import time

from attack import lab
from attack.table import row

CLONE_NEWNET = 0x40000000
SYS_PIDFD_GETFD = 438
TCP_USER_TIMEOUT = 18
# What seeing an end may take, among thousands of connections.
SEEING = 0.5


def drip(stopping, port, count, seconds):
    """Connections that send a byte a second. When each was closed, in seconds after its line began, and what it was told."""
    lab.raise_descriptors()
    polls, sources, began, ended, told = selectors.DefaultSelector(), lab.addresses(), {}, [], 0
    source = ""
    for number in range(count):
        source = next(sources) if number % 500 == 0 else source
        client = lab.Client(port, source=source)
        client.send("M")
        began[client] = time.monotonic()
        polls.register(client.socket, selectors.EVENT_READ, client)
    next_byte, ends = time.monotonic() + 1, time.monotonic() + seconds
    while began and time.monotonic() < ends:
        for key, _ in polls.select(0.05):
            client = key.data
            with contextlib.suppress(ConnectionError):
                if client.more():
                    continue
            ended.append(time.monotonic() - began.pop(client))
            told += b"ERR TIMEOUT " in client.buffer
            polls.unregister(client.socket)
            client.close()
        if time.monotonic() >= next_byte:
            next_byte += 1
            for client in began:
                with contextlib.suppress(OSError):
                    client.send("S")
    return ended, told


@row("A1", "slowloris: 2,000 connections at 1 byte/s")
def slowloris(attack):
    count, half_line = attack.size(200, 2000), attack.size(2, 30)
    # The default is 30 s. Nobody waits so long in the short form.
    options = [] if attack.full else ["--limit", f"half-line-seconds={half_line}"]
    with attack.server(*options) as server, server.client("ana", source="127.9.9.9") as ana:
        load = lab.Beside(drip, server.port, count, half_line + 20)
        times = []
        while not load.is_done:
            times += lab.pings(ana, 0.5)
        ended, told = load.result()
        attack.all_of("closed", len(ended), count)
        attack.all_of("told ERR TIMEOUT", told, count)
        bound = half_line + (SEEING if attack.full else 3)
        attack.that("the last one, after its line began", f"{max(ended, default=0):.2f} s",
                    f"≤ {half_line} s, and {bound - half_line:g} s to see it", 0 < max(ended, default=0) <= bound)
        attack.soon("another's PING, p99", lab.percentile(times, 0.99), 50, "ms")
        attack.well(server)


def talk(stopping, port, channel, rate, size):
    """Says lines in a channel at a rate, each with the time at which it was sent. How many were answered OK."""
    client = lab.Client(port, source="127.8.8.8")
    client.ok("NAME talker")
    client.ok(f"JOIN {channel}")
    sent = answered = 0
    begins, filler = time.monotonic(), "x" * size
    while not stopping.is_set():
        due = min(int((time.monotonic() - begins) * rate), sent + 50)
        batch = [f"SAY {channel} n{number} {time.monotonic_ns()} {filler}\n" for number in range(sent, due)]
        client.send("".join(batch))
        sent = due
        for _ in batch:
            answered += client.answer().startswith("OK ")
        time.sleep(0.002)
    client.ok("QUIT")
    return answered


def listen(stopping, port, channel, name):
    """Hears a channel. The time each line took, in ms, and the numbers that were heard."""
    client = lab.Client(port, source="127.8.8.9")
    client.ok(f"NAME {name}")
    client.ok(f"JOIN {channel}")
    times, numbers = [], []
    while True:
        line = client.line()
        if line.startswith(b"* LEAVE ") and b" talker:" in line or line.startswith(b"* BYE"):
            return times, numbers
        if line.startswith(b"* MSG "):
            number, sent = line.split(b" ")[6:8]
            times.append((time.monotonic_ns() - int(sent)) / 1e6)
            numbers.append(int(number[1:]))


def heard(port, channel, rate, size, seconds, count):
    """What some listeners heard of a talker. Their times, how many lines were OK'd, and how many of these anybody missed."""
    listeners = [lab.Beside(listen, port, channel, f"ear{number}") for number in range(count)]
    with lab.Client(port, source="127.8.8.10") as someone:
        someone.ok(f"JOIN {channel}")
        lab.until(lambda: sum(" ear" in line for line in someone.lines(f"LIST {channel}")) == count, "the listeners join")
        someone.ok("QUIT")
    talker = lab.Beside(talk, port, channel, rate, size)
    time.sleep(seconds)
    said = talker.result()
    times, missed = [], 0
    for listener in listeners:
        took, numbers = listener.result()
        times += took
        missed += sum(number != expected for number, expected in zip(numbers, range(said))) + abs(said - len(numbers))
    return times, said, missed


@row("A3", "500 members who never read, in a channel of 1,000 messages/s")
def deaf(attack):
    count, rate, seconds, size = attack.size(100, 500), attack.size(300, 1000), attack.size(3, 20), 200
    # Departures are how the listeners know the end.
    with attack.server("--limit", "announce-members=2000") as server, server.client("olga") as owner:
        owner.ok("CREATE #room")
        owner.ok("TOPIC #room deaf")
        before, _, _ = heard(server.port, "#room", rate, size, seconds, 3)
        with contextlib.ExitStack() as stack:
            sources = lab.addresses()
            members = [stack.enter_context(lab.Client(server.port, source=next(sources), receive=4096)) for _ in range(count)]
            for member in members:
                member.ok("JOIN #room")
            rss = server.rss()
            times, said, missed = heard(server.port, "#room", rate, size, seconds, 3)
            grown = max(0, server.rss() - rss) / count / 1024
            attack.at_most(f"memory for each of {count}", grown, 256, "KiB")
            attack.beside("the others' lines, p99", lab.percentile(times, 0.99), lab.percentile(before, 0.99), 10)
            attack.none_of("lines that another lost or had out of order", missed, 3 * said)
            attack.that("lines said beside them", said, f"≥ {rate * seconds // 2}", said >= rate * seconds // 2)
            # Whoever stops reading for good is closed at last; nobody is before their time.
            attack.well(server)


def server_sockets(pid, port):
    """The sockets of a process on this port, duplicated into this one."""
    libc = ctypes.CDLL(None, use_errno=True)
    there = os.pidfd_open(pid)
    found = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:"):
                mine = libc.syscall(SYS_PIDFD_GETFD, there, int(name), 0)
                if mine < 0:
                    raise lab.CannotRun(f"a server's sockets cannot be looked at: {os.strerror(ctypes.get_errno())}")
                with contextlib.suppress(OSError):
                    one = socket.socket(fileno=mine)
                    if one.family == socket.AF_INET and one.getsockname()[1] == port and one.getpeername():
                        found.append(one)
    os.close(there)
    return found


def would_notice(one):
    """In how many seconds TCP gives up: a silent peer, and one that our bytes are on the way to."""
    if not one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE):
        return float("inf")
    keepalive = [one.getsockopt(socket.IPPROTO_TCP, getattr(socket, f"TCP_KEEP{what}")) for what in ("IDLE", "INTVL", "CNT")]
    unacknowledged = one.getsockopt(socket.IPPROTO_TCP, TCP_USER_TIMEOUT) / 1000 or float("inf")
    return max(keepalive[0] + keepalive[1] * keepalive[2], unacknowledged)


@row("A6", "peers that vanish without FIN")
def vanished(attack):
    gone = "127.77.0.2"
    if attack.full:
        # A network of its own, in which an address can vanish with whoever has it.
        if not shutil.which("ip") or ctypes.CDLL(None).unshare(CLONE_NEWNET) != 0:
            raise lab.CannotRun("a network namespace takes root and iproute2")
        gone = "10.77.0.2"
        for command in ("link set lo up", f"addr add {gone}/32 dev lo"):
            subprocess.run(["ip", *command.split()], check=True)
    with attack.server() as server, server.client("ana") as ana, contextlib.ExitStack() as stack:
        ana.ok("CREATE #room")
        silent = [stack.enter_context(server.client(source=gone)) for _ in range(20)]
        for client in silent[:10]:
            client.ok("JOIN #room")
        sockets = [stack.enter_context(one) for one in server_sockets(server.pid, server.port)]
        attack.all_of("connections that TCP watches", sum(would_notice(one) < float("inf") for one in sockets), 21)
        attack.at_most("by their options, noticed after", max(map(would_notice, sockets), default=float("inf")), 120.0, "s")
        # The server's own descriptors must be the only ones when it closes.
        for one in sockets:
            one.close()
        if attack.full:
            subprocess.run(["ip", "addr", "del", f"{gone}/32", "dev", "lo"], check=True)
            began = time.monotonic()
            ana.ok("SAY #room bytes that nobody acknowledges")
            lab.until(lambda: ana.lines("LIST")[-1] == "OK LIST 1" or time.sleep(0.5), "they are gone", 200)
            attack.at_most("20 that vanished, 10 of them with bytes on the way: gone after", time.monotonic() - began, 120.0, "s")
        attack.well(server)
