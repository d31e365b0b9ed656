"""A2, A7, A8, A23: bytes that are no lines."""

import bz2
import gzip
import lzma
import random
import re
import socket
import time
import zlib

from attack import lab
from attack.table import row

IAC, DONT, DO, WONT, WILL, SB, SE, IP, EL = 255, 254, 253, 252, 251, 250, 240, 244, 248
LINE, FLOOD = 4096, 64 * 1024


def endless(client, piece, most):
    """Sends a piece again and again until the server closes. How much went out, and what it said."""
    sent = 0
    client.socket.settimeout(1)
    try:
        while sent < most:
            sent += client.socket.send(piece)
    except TimeoutError:
        # It reads slowly, and does not close.
        pass
    except ConnectionError:
        pass
    client.socket.settimeout(5)
    try:
        return sent, client.rest(), True
    except TimeoutError:
        return sent, bytes(client.buffer), False


@row("A2", "1 GiB without a line end")
def no_end(attack):
    most = attack.size(64, 1024) * lab.MIB
    with attack.server() as server, server.client("ana") as ana:
        ana.ok("PING")
        # Whatever the first such line costs once is not what each costs.
        with server.client() as first:
            endless(first, b"x" * 65536, lab.MIB)
        time.sleep(0.2)
        rss = server.rss()
        with server.client() as patient:
            patient.send(b"x" * (LINE + FLOOD))
            with server.client() as barrier:
                barrier.ok("PING")
            patient.send("\nPING here\n")
            answers = [patient.answer(), patient.answer()]
            attack.that("64 KiB too long, then an end", " / ".join(answer[:16] for answer in answers), "ERR TOO_LONG, then goes on",
                        answers[0].startswith("ERR TOO_LONG ") and answers[1] == "OK PING here")
        pieces = {"": b"x" * 65536, ", a Ctrl-C each 60 kB": b"x" * 60_000 + b"\x03", ", telnet's IP each 60 kB": b"x" * 60_000 + b"\xff\xf4"}
        for what, piece in pieces.items():
            with server.client() as client:
                sent, said, closed = endless(client, piece, most)
                attack.that(f"sent{what}", f"{sent / lab.MIB:.1f} MiB; {'closed' if closed else 'still open'}", "closed before its end",
                            closed and sent < most)
                errors = said.count(b"ERR ")
                attack.that(f"told{what}", f"{errors} ERR, {said.count(b'ERR TOO_LONG ')} of them TOO_LONG", "one ERR TOO_LONG",
                            errors == 1 and b"ERR TOO_LONG " in said)
        with server.client() as client:
            client.send(b"x" * (LINE + FLOOD + 1))
            # The end of its line never comes; without the close this would wait in vain.
            said = client.rest()
            attack.that("64 KiB too long and one byte more", said.decode(errors="replace")[:16], "ERR TOO_LONG, closed",
                        said.startswith(b"ERR TOO_LONG ") and said.count(b"\n") == 1)
        grown = max(0, server.rss() - rss) / lab.MIB
        attack.at_most("memory", grown, 1, "MiB")
        attack.well(server)


def telnet(rng, size):
    """Random telnet of this many bytes, without what ends the input or a line."""
    made = bytearray()
    while len(made) < size:
        kind = rng.random()
        if kind < 0.7:
            made += bytes([IAC, rng.choice([DO, DONT, WILL, WONT]), rng.randrange(256)])
        elif kind < 0.8:
            made += bytes([IAC, IP, IAC, DO, 6])
        elif kind < 0.9:
            made += bytes([IAC, rng.choice([241, 242, 243, 245, 246, 247, EL, 249])])
        else:
            made += bytes([IAC, SB]) + bytes(rng.randrange(240) for _ in range(rng.randrange(200))) + bytes([IAC, SE])
    return bytes(made)


@row("A7", "1 MiB of random IAC, split at every byte")
def telnet_noise(attack):
    rng = random.Random(7)
    with attack.server() as server:
        with server.client() as client:
            noise = telnet(rng, attack.size(96 * 1024, lab.MIB))
            for position in range(len(noise)):
                client.send(noise[position:position + 1])
            client.send(bytes([IAC, EL]) + b"\nPING still here\n")
            while b"still here" not in client.buffer:
                if not client.more():
                    raise lab.Broken(f"closed: {bytes(client.buffer[-100:])!r}")
            answered = bytes(client.buffer)
            answered, _, last = answered.rpartition(b"OK PING")
            attack.at_most(f"answers to {len(noise):,} bytes", len(answered), 768, "bytes")
            attack.that("the next command", (b"OK PING" + last).decode(errors="replace").strip(), "OK PING still here", last.rstrip() == b" still here")
        with server.client() as client:
            # An answer for each option and each of its two questions that has one.
            client.send(b"".join(bytes([IAC, verb, option]) for _ in range(3) for verb in (DO, WILL) for option in range(256)))
            client.send("PING\n")
            while b"OK PING" not in client.buffer:
                client.more()
            every = client.buffer.index(b"OK PING")
            attack.that("answers to every option three times", f"{every} bytes", "1 to 768 bytes", 0 < every <= 768)
        with server.client() as client:
            client.send(bytes([IAC, IP, IAC, DO, 6]) * 20_000 + b"\nPING\n")
            while b"OK PING" not in client.buffer:
                client.more()
            attack.at_most("answers to 20,000 interrupts with timing marks", client.buffer.index(b"OK PING"), 768, "bytes")
        wrong = 0
        for length in (0, 1, 255, 256, 257, 300, 5000):
            with server.client() as client:
                client.send("PING\n" + "")
                client.answer()
                # A subnegotiation that never ends: beyond 256 bytes it is text again.
                client.send(bytes([IAC, SB, 24]) + b"a" * length + (b"" if length > 256 else bytes([IAC, SE])) + b"\nPING after\n")
                answers = [client.answer()]
                while not answers[-1].startswith("OK"):
                    answers.append(client.answer())
                wrong += answers[-1] != "OK PING after" or len(answers) > 2
        attack.none_of("subnegotiations that swallowed the next command", wrong, 7)
        attack.well(server)


@row("A8", "NUL at every offset")
def nul(attack):
    with attack.server() as server, server.client("ana") as ana, server.client("bob") as bob:
        ana.ok("CREATE #room")
        bob.ok("JOIN #room")
        refused = tried = 0
        for line in (b"SAY #room hello", b"MSG @key-1 bob hello there", b"TOPIC #room on rust", b"NAME anna", b"CREATE #other"):
            for offset in range(len(line) + 1):
                for ending in (b"\n", b"\r\n"):
                    tried += 1
                    ana.send(line[:offset] + b"\0" + line[offset:] + ending + b"PING\n")
                    refused += ana.answer().startswith("ERR BAD_TEXT ")
                    ana.answer()
        attack.all_of("refused with BAD_TEXT", refused, tried)
        ana.send(b"PING one\r\0PING two\r\0SAY #room whole\r\0")
        answers = [ana.answer()[:11] for _ in range(3)]
        attack.that("CR NUL", " / ".join(answers), "ends a line", answers[:2] == ["OK PING one", "OK PING two"] and answers[2][:6] == "OK SAY")
        stored = bob.lines("HISTORY #room")[:-1] + bob.lines("INBOX")[:-1]
        attack.that("stored", f"{len(stored)} line, {sum(chr(0) in line for line in stored)} with NUL", "only the one that was whole",
                    len(stored) == 1 and stored[0].endswith(" whole"))
        attack.well(server)


def sendable(compress, bomb):
    """Compressed data, unharmed, that does not happen to end a connection's input."""
    for salt in range(100):
        data = compress(b"%d\n" % salt + bomb).replace(b"\xff", b"\xff\xff")
        if len(data) < 60_000 and not re.search(rb"[\n\x03\x08\x7f]\x04|\r\0\x04", data):
            return data
    raise lab.Broken("no such data")


@row("A23", "compressed input")
def compressed(attack):
    commands = b"SAY #room from a bomb\nMSG ana from a bomb\n" * 20_000
    zeros = b"\0" * (16 * lab.MIB)
    kinds = {"gzip": lambda data: gzip.compress(data, mtime=0), "zlib": zlib.compress, "bzip2": bz2.compress, "xz": lzma.compress,
             "deflate": lambda data: zlib.compress(data, wbits=-15)}
    with attack.server("--limit", "errors-in-a-row=none") as server, server.client("ana") as ana:
        ana.ok("CREATE #room")
        rss = server.rss()
        refused = executed = 0
        for compress in kinds.values():
            for bomb in (commands, zeros):
                with server.client() as client:
                    client.ok("JOIN #room")
                    client.send(sendable(compress, bomb) + b"\nPING\nQUIT\n")
                    client.socket.shutdown(socket.SHUT_WR)
                    answers = client.rest()
                    executed += answers.count(b"OK SAY") + answers.count(b"OK MSG")
                    refused += answers.count(b"ERR ") > 0 and b"OK PING" in answers
        attack.all_of("refused as text, and the next command done", refused, 2 * len(kinds))
        stored = len(ana.lines("HISTORY #room")) - 1 + len(ana.lines("INBOX")) - 1
        attack.none_of("executed or stored", executed + stored, 2 * len(kinds))
        with server.client() as client:
            # MCCP, versions 1 to 3.
            client.send(bytes(byte for option in (85, 86, 87) for byte in (IAC, DO, option, IAC, WILL, option)) + b"PING\n")
            while b"OK PING" not in client.buffer:
                client.more()
            said = bytes(client.buffer)
            agreed = sum(said.count(bytes([IAC, verb])) for verb in (WILL, DO))
            attack.none_of("telnet compressions agreed to", agreed, 6)
        attack.at_most("memory", max(0, server.rss() - rss) / lab.MIB, 8, "MiB")
        attack.well(server)
