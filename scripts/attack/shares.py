"""A16, A17: one who takes all that there is, and one who is very busy."""

import contextlib
import itertools
import time

from attack import lab
from attack.table import row

TEXT = 3_600
COMMANDS, LINE = 5_000, 4_096
CHANNELS, EACH, INBOX, INBOX_BYTES = 10_000, 50, 10_000, 16 * lab.MIB


def answers(client, commands, at_once=100):
    """Sends commands, many at a time; each one's answer."""
    for start in range(0, len(commands), at_once):
        batch = commands[start:start + at_once]
        client.send("".join(f"{command}\n" for command in batch))
        for _ in batch:
            yield client.answer()


def fill_channels(server, stack, sources):
    """Guests who create as many channels as they may, until nobody may any more. How many were created, and the refusals: of one
    who has enough, and of one who has none."""
    created, own, last = 0, "", ""
    for number in range(CHANNELS):
        client = stack.enter_context(server.client(f"n{number}", source=next(sources)))
        said = list(answers(client, [f"CREATE #c{number}-{at}" for at in range(EACH + 1)]))
        good = sum(answer.startswith("OK ") for answer in said)
        created += good
        own = own or said[-1]
        if good == 0:
            return created, own, said[0]
    return created, own, last


def fill_inbox(server, sources, target):
    """Strangers fill an inbox until nobody can any more. How many messages were taken, and the last refusal."""
    taken, empty, last = 0, 0, ""
    while empty < 3 and taken <= INBOX + 1_000:
        with server.client(source=next(sources)) as stranger:
            before = taken
            for answer in answers(stranger, [f"MSG {target} {'x' * TEXT}"] * 2_000, 16):
                if answer.startswith("OK "):
                    taken += 1
                else:
                    last = answer
                    break
            empty += taken == before
    return taken, last


def fill_history(server, stack, sources, count):
    """History in many channels, more than their tails hold."""
    for number in range(10):
        client = stack.enter_context(server.client(source=next(sources)))
        yield sum(answer.startswith("OK ") for answer in answers(client, [f"JOIN #c{number}-0"] + [f"SAY #c{number}-0 {'y' * 1_000}"] * count))


@row("A16", "names, channels and history to the caps (10,000 channels, 50 a user, inbox 10,000 or 16 MiB)")
def caps(attack):
    with attack.server("--limit", "commands-per-second=none", "--limit", "commands-per-address=none") as server, contextlib.ExitStack() as stack:
        sources = lab.addresses()
        ana = stack.enter_context(server.account("ana", source="127.40.0.1"))
        who = ana.ok("WHOAMI").split()[2]
        ana.close()
        created, own, last = fill_channels(server, stack, sources)
        attack.that("channels created", f"{created:,}", f"{CHANNELS:,}", created == CHANNELS)
        attack.that("one who is in 50", own[:80], "ERR QUOTA", own.startswith("ERR QUOTA CREATE "))
        attack.that("one who has none, when there are all", last[:80], "ERR QUOTA", last.startswith("ERR QUOTA CREATE "))
        names = [stack.enter_context(server.client(f"name{number}", source=f"127.41.{number // 250}.{number % 250 + 1}"))
                 for number in range(attack.size(300, 15_000))]
        attack.that("names taken", f"{len(names):,}", f"{attack.size(300, 15_000):,}", names[-1].ask("WHOAMI").startswith(f"OK WHOAMI name{len(names) - 1}:"))
        history = sum(fill_history(server, stack, sources, attack.size(500, 20_000)))
        attack.that("lines of history", f"{history:,}", "some", history > 0)
        # One address alone, with guest after guest; its victim's friend is still heard.
        alone, refusal = fill_inbox(server, itertools.repeat("127.42.0.1"), who)
        attack.that("one address takes of an inbox", f"{alone:,} messages, {alone * TEXT / lab.MIB:.1f} MiB", f"≤ {INBOX // 2:,}, and not all of 16 MiB",
                    0 < alone <= INBOX // 2 and (alone + 1) * TEXT <= INBOX_BYTES)
        attack.that("and then is told", refusal[:80], "ERR INBOX_FULL", refusal.startswith("ERR INBOX_FULL MSG your "))
        with server.client(source="127.40.0.2") as friend:
            attack.that("a friend's MSG", friend.ask(f"MSG {who} hello")[:6], "OK MSG", friend.ask(f"MSG {who} hi").startswith("OK MSG "))
        taken, refusal = fill_inbox(server, sources, who)
        taken += alone + 2
        attack.that("an inbox takes", f"{taken:,} messages, {taken * TEXT / lab.MIB:.1f} MiB", f"≤ {INBOX:,} and 16 MiB",
                    0 < taken <= INBOX and (taken - 2) * TEXT <= INBOX_BYTES)
        attack.that("and then says", refusal[:80], "ERR INBOX_FULL or QUOTA", refusal.startswith(("ERR INBOX_FULL MSG ", "ERR QUOTA MSG ")))
        attack.at_most("memory at its most", server.peak() / lab.MIB, 512, "MiB")
        with server.client(source="127.40.0.1") as back:
            answer = back.ok(f"LOGIN ana {lab.PASSWORD}")
            attack.that("its owner's unread", answer, f"{taken}", answer.endswith(f" {taken}"))
            back.ok("ACK *")
            with server.client(source="127.40.0.3") as friend:
                attack.that("after an ACK, another's MSG", friend.ask(f"MSG {who} hello")[:6], "OK MSG", friend.ask(f"MSG {who} hi").startswith("OK MSG "))
        attack.well(server)


def flood(stopping, port, count, piece, source):
    """Sends a line again and again, reading its answers. How many were sent, and how many answered OK."""
    client = lab.Client(port, source=source)
    client.ok("JOIN #room")
    sent = answered = 0
    while sent < count and not stopping.is_set():
        client.send(piece * 100)
        sent += 100
        for _ in range(100):
            answered += client.line().startswith(b"OK ")
    return sent, answered


def bytes_without_lines(stopping, port, source, data):
    """Sends bytes that make no line for as long as it may. How many MiB."""
    client = lab.Client(port, source=source)
    client.socket.settimeout(0.2)
    sent = 0
    while not stopping.is_set():
        with contextlib.suppress(TimeoutError):
            sent += client.socket.send(data)
    return sent / lab.MIB


def idle_load(stopping):
    """What the attacker's own processor time costs a machine of few cores, without a server."""
    number = 0
    while not stopping.is_set():
        number += 1
        if number % 20_000 == 0:
            time.sleep(0.002)


def measured(ana, load, seconds):
    """Another's PING and MSG beside a load: their p99 in ms."""
    me = ana.ok("WHOAMI").split()[2].rsplit(":", 1)[1]
    times, ends = [], time.monotonic() + seconds
    while time.monotonic() < ends and not any(one.is_done for one in load):
        times += lab.pings(ana, 0.1) + lab.pings(ana, 0.1, f"MSG {me} hi")
        ana.ok("ACK *")
    return lab.percentile(times, 0.99), len(times)


@row("A17", "one client sends 1,000,000 lines")
def busy(attack):
    count, seconds = attack.size(15_000, 1_000_000), attack.size(4, 400)
    with attack.server() as server, server.client("ana", source="127.50.0.1") as ana:
        ana.ok("CREATE #room")
        idle = lab.Beside(idle_load)
        before, _ = measured(ana, [], attack.size(3, 20))
        idle.result()
        load = lab.Beside(flood, server.port, count, b"MSG #room " + b"x" * 100 + b"\n", "127.50.0.2")
        during, samples = measured(ana, [load], seconds)
        sent, answered = load.result(60)
        attack.all_of("lines answered OK", answered, sent)
        attack.that("sent beside the other's commands", f"{sent:,} beside {samples:,}", f"≥ {count // 2:,}", sent >= count // 2 and samples > 50)
        attack.beside("the other's PING and MSG, p99", during, before, 5)
        # The same by bytes that never make a line: they are not free either.
        data = b"x" * 500 + b"\x08" * 500
        load = [lab.Beside(bytes_without_lines, server.port, f"127.51.0.{number + 1}", data * 64) for number in range(attack.size(4, 20))]
        cpu, began = server.cpu(), time.monotonic()
        during, _ = measured(ana, load, attack.size(2, 20))
        took = time.monotonic() - began
        cpu = (server.cpu() - cpu) / took
        mib = sum(one.result() for one in load)
        attack.beside(f"beside {len(load)} who send backspaces, p99", during, before, 5)
        # What lines of their full length would bring in this time, with a second's worth in advance and what the system buffers.
        most = len(load) * ((took + 1) * COMMANDS * LINE / lab.MIB + 8)
        attack.at_most(f"what {len(load)} of these may send in {took:.1f} s, with {cpu:.2f} cores", mib, most, "MiB")
        attack.well(server)
