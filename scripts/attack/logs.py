"""A25: whoever writes to the server writes nothing of their own to its log, and not much at all."""

import contextlib
import json
import re
import time

from attack import lab
from attack.disk import Original, spoil
from attack.doors import client_hello
from attack.table import row

# One event: when, how bad, and where from.
EVENT = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z +(TRACE|DEBUG|INFO|WARN|ERROR) [\w:]+: ")
MARK = "INJECTED"
DIRT = [f"\n{MARK}", f"\r\n2026-01-01T00:00:00.000000Z  INFO linechat::server: {MARK}", f"\x1b[2J{MARK}", f"\x1b]0;{MARK}\x07",
        f"\u009b31m{MARK}", f"\u2028{MARK}", f"\\n{MARK}", f"%0a{MARK}", f"\x00{MARK}", f"\x08\x08{MARK}"]


def annoy(port, source, seconds):
    """Everything that might be worth a line in a log, again and again, from one address. How often."""
    done, ends = 0, time.monotonic() + seconds
    hello = client_hello("injected.example")
    while time.monotonic() < ends:
        for dirt in DIRT:
            for command in (f"NAME {dirt}", f"LOGIN a{dirt} {dirt}pass", f"REGISTER {dirt} {dirt}", f"SAY #r{dirt} {dirt}", f"CREATE #{dirt} {dirt}",
                            f"PING {dirt}", dirt, f"TOPIC #x {dirt}"):
                with contextlib.suppress(OSError, lab.Broken), lab.Client(port, source=source) as client:
                    client.send(f"PING\n{command}\nQUIT\n")
                    done += 1
                    if done % 3 == 0:
                        # Gone without a word, and with a reset.
                        client.socket.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")
                    else:
                        client.rest()
        for data in (b"GET / HTTP/1.1\r\n\r\n", hello, b"\xff\xf4\xff\xfd\x06" * 50, b"x" * 80_000, b"half a li", b"ERR\n" * 30):
            with contextlib.suppress(OSError, lab.Broken), lab.Client(port, source=source) as client:
                client.send(data)
                done += 1
                if data != b"half a li":
                    client.socket.settimeout(3)
                    client.rest()
    return done


def crowd(port, source, count):
    """More connections of one address than it may have. How many were turned away."""
    lab.raise_descriptors()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(lab.Client(port, source=source)) for _ in range(count)]
        return sum(client.hello.startswith(b"ERR QUOTA ") for client in clients)


@row("A25", "LF and ESC into the log; floods of it")
def log(attack):
    seconds = attack.size(3, 30)
    for form in ("text", "json"):
        with attack.server("--log-format", form) as server:
            before, began = server.logged().count("\n"), time.monotonic()
            done = annoy(server.port, "127.70.0.1", seconds)
            turned_away = crowd(server.port, "127.70.0.1", 1_200)
            took = time.monotonic() - began
            lines = server.logged().splitlines()
            attack.at_most(f"{form}: lines a second for {done:,} annoyances and {turned_away} turned away", (len(lines) - before) / took, 10.0, "lines/s")
            attack.that(f"{form}: turned away", turned_away, "over 100", turned_away > 100)
            server.terminate()
            lines = server.log.read_bytes().split(b"\n")[:-1]
            events = sum(is_event(line, form) for line in lines)
            # A log that was never written to shows nothing: stopping is told at least.
            attack.all_of(f"{form}: lines of the log that are one event each", events, len(lines))
            spoiled = sum(bool(re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", line)) for line in lines)
            attack.none_of(f"{form}: lines with control characters", spoiled, len(lines))
            server.start()
            attack.well(server)
    damage(attack)


def damage(attack):
    """Messages are damaged while the server runs, and somebody reads them again and again."""
    reads = attack.size(300, 3_000)
    with lab.folder() as folder:
        original = Original(attack, folder, 50, 500, False)
        data = original.copy()
        with lab.Server(original.binary, data=data) as server:
            spoil(data, range(10, 40))
            before, began = server.logged().count("\n"), time.monotonic()
            with server.client() as ana:
                ana.ok(f"LOGIN ana {lab.PASSWORD}")
                told = 0
                for _ in range(reads):
                    page = ana.lines("HISTORY #room 1000")
                    told += any(line.startswith(("- GAP ", "* GAP ", "ERR ")) for line in page)
            # A second's worth is the least that there is a bound for.
            took, lines = max(1, time.monotonic() - began), server.logged().count("\n") - before
            attack.all_of("reads of damaged messages that were told of it", told, reads)
            attack.that(f"lines of the log for {reads:,} reads of 30 damaged messages", f"{lines:,} in {took:.1f} s", "1 to 10 a second",
                        1 <= lines <= 10 * took)
            attack.well(server)


def is_event(line, form):
    with contextlib.suppress(ValueError):
        text = line.decode()
        if form == "text":
            return bool(EVENT.match(text)) and text.count(MARK) <= 1
        event = json.loads(text)
        return {"timestamp", "level", "message"} <= set(event)
    return False
