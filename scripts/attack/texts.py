"""A9 to A12: text that is not what it seems: invalid UTF-8, control characters, lines within lines, look-alikes."""

import contextlib
import pathlib
import random
import re
import shutil
import socket
import subprocess
import tempfile
import threading

from attack import lab
from attack.table import row

# Without a pause and without an end: these rows are about what passes, and not about how fast.
UNPACED = ["--limit", "commands-per-second=none", "--limit", "commands-per-address=none", "--limit", "errors-in-a-row=none"]
# They end or edit a line or the input before it is text; telnet's own byte is doubled instead.
EDITING = {0x00, 0x03, 0x04, 0x08, 0x0A, 0x0D, 0x7F}
CONTROLS = [chr(code) for code in [*range(0x20), 0x7F, *range(0x80, 0xA0)] if code != 9]
DIRECTIONS = [chr(code) for code in [*range(0x2028, 0x202F), *range(0x2066, 0x206A)]]

# What a terminal would obey, and bytes that are no UTF-8.
OBEYED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\udc80-\udcff]")


def is_valid(data):
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def invalid():
    """Every two bytes that are no UTF-8 and reach the text, then overlongs, surrogates and what lies beyond Unicode."""
    for first in range(256):
        for second in range(256):
            pair = bytes([first, second])
            if not (EDITING & set(pair)) and not is_valid(pair):
                yield pair
    for code in range(0x80):
        yield bytes([0xC0 | code >> 6, 0x80 | code & 63])
        yield bytes([0xE0, 0x80 | code >> 6, 0x80 | code & 63])
        yield bytes([0xF0, 0x80, 0x80 | code >> 6, 0x80 | code & 63])
    for code in range(0xD800, 0xE000):
        yield bytes([0xE0 | code >> 12, 0x80 | code >> 6 & 63, 0x80 | code & 63])
    yield from (b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80", b"\xe2\x82", b"\xf0\x9f\x98")


def pipeline(client, commands, at_once=200):
    """Sends commands, many at a time. Each one's OK or ERR."""
    for start in range(0, len(commands), at_once):
        batch = commands[start:start + at_once]
        client.send(b"".join(batch))
        for _ in batch:
            line = client.line()
            while not line.startswith((b"OK ", b"ERR ")):
                line = client.line()
            yield line


@row("A9", "every invalid UTF-8 of two bytes, overlongs, surrogates")
def invalid_utf8(attack):
    with attack.server(*UNPACED) as server, server.client("ana") as ana, server.client("bob") as bob:
        ana.ok("CREATE #room")
        bob.ok("JOIN #room")
        ana.line()
        bad = [piece.replace(b"\xff", b"\xff\xff") for piece in invalid()]
        some = bad[::attack.size(50, 1)]
        fields = [(b"SAY #room a%sb", bad), (b"TOPIC #room a%sb", some), (b"NAME a%s", some), (b"CREATE #a%s", some),
                  (b"MSG @a%s bob hi", some), (b"MSG a%s hi", some), (b"PING %s", some), (b"X%s", some), (b"LOGIN a%s password", some)]
        tried = refused = spoiled = 0
        for form, pieces in fields:
            for answer in pipeline(bob, [form % piece + b"\n" for piece in pieces]):
                tried += 1
                refused += answer.startswith(b"ERR BAD_TEXT ")
                spoiled += not is_valid(answer)
        attack.all_of("refused with BAD_TEXT", refused, tried)
        ana.send("PING end\n")
        heard = []
        while not heard or heard[-1] != b"OK PING end":
            heard.append(ana.line())
        heard += [line.encode("latin1", "replace") for line in ana.lines("HISTORY #room 1000")]
        attack.none_of("invalid bytes sent", spoiled + sum(not is_valid(line) for line in heard), tried)
        attack.that("another heard", f"{len(heard) - 2} lines", "0: nothing was stored or told", len(heard) == 2)
        bob.ok("SAY #room \u00fcber \U0001f600")
        passed = ana.line().decode().endswith(" \u00fcber \U0001f600")
        attack.that("valid text beside it", "passes" if passed else "does not", "passes", passed)
        attack.well(server)


def commands_with(dirt, name):
    """That character in every field that there is; `name` is a name that is free."""
    return [f"NAME {name}{dirt}x", f"CREATE #{name}{dirt}x", f"JOIN #room{dirt}", f"SAY #room a{dirt}b", f"MSG bob a{dirt}b", f"MSG bo{dirt}b hi",
            f"TOPIC #room a{dirt}b", f"LEAVE #room gone{dirt}fishing", f"MSG @k{dirt}ey bob hi", f"CREATE #k{name} ke{dirt}y",
            f"JOIN #room ke{dirt}y", f"REGISTER {name}{dirt} long enough", f"LOGIN bob{dirt} long enough", f"PING a{dirt}b", f"HELP {dirt}",
            f"SY{dirt}A hi", f"{dirt}[31mred", f"ACK {dirt}", f"HISTORY #room {dirt}", f"CAPS {dirt}"]


def fake_server(lines):
    """A server that sends these lines to whoever connects and answers each command with them. Its port, and what ends it."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        with contextlib.suppress(OSError):
            while True:
                peer, _ = listener.accept()
                with peer, contextlib.suppress(OSError):
                    peer.settimeout(5)
                    peer.sendall(lines[0])
                    while data := peer.recv(4096):
                        for command in data.splitlines():
                            verb = command.split(b" ")[0]
                            # One that always told of more to read would be asked for it for ever.
                            ending = b"" if verb == b"INBOX" else b" \x1b[2J"
                            peer.sendall(b"".join(lines[1:]) + b"OK " + verb + b" 1 0" + ending + b"\n")
    threading.Thread(target=serve, daemon=True).start()
    return listener


def menu(binary, port, *arguments, typed=b""):
    command = [binary, "menu", f"127.0.0.1:{port}", *arguments]
    try:
        return subprocess.run(command, input=typed, capture_output=True, timeout=20, check=False)
    except subprocess.TimeoutExpired as late:
        return subprocess.CompletedProcess(command, 1, late.stdout or b"", late.stderr or b"")


def dirty(data):
    """The control characters in what a terminal would be given, and bytes that are no text."""
    return len(OBEYED.findall(data.decode(errors="surrogateescape")))


@row("A10", "every control character in every field: name, channel, text, topic, reason, key, version")
def controls(attack):
    with attack.server(*UNPACED, environment={"RUST_LOG": "debug"}) as server, tempfile.TemporaryDirectory() as home:
        with server.client("bob") as bob, server.client("eve") as eve:
            bob.ok("CREATE #room")
            eve.ok("JOIN #room")
            bob.line()
            received = pathlib.Path(home, "nc")
            netcat = next(filter(None, map(shutil.which, ("nc", "nc.openbsd", "nc.traditional", "ncat"))), None)
            if not netcat:
                raise lab.CannotRun("nc is missing: apt-get install netcat-openbsd")
            with received.open("wb") as output:
                nc = subprocess.Popen([netcat, "127.0.0.1", str(server.port)], stdin=subprocess.PIPE, stdout=output)
            try:
                nc.stdin.write(b"NAME listener\nJOIN #room\n")
                nc.stdin.flush()
                lab.until(lambda: b"OK JOIN" in received.read_bytes(), "nc has joined")
                passed, tried, answers = [], 0, []
                for dirt in CONTROLS + DIRECTIONS:
                    for number, command in enumerate(commands_with(dirt, f"n{tried}")):
                        line = command.encode()
                        if dirt in "\x00\x03\x04\x08\x0a\x0d\x7f" and (dirt != "\x04" or line.startswith(b"\x04")):
                            continue
                        tried += 1
                        eve.send(line + b"\n")
                        answers.append(eve.answer().encode())
                        passed += [command] if not answers[-1].startswith(b"ERR BAD_TEXT ") else []
                # Those that edit, too: they may make another line of it, but never pass.
                for dirt in "\x00\x03\x08\x0a\x0d\x7f":
                    for command in commands_with(dirt, "edited"):
                        if not command.startswith(("NAME", "LEAVE", "CREATE")):
                            tried += 1
                            eve.send(command.encode() + b"\n")
                # Ctrl-C drops what the last of them has left of a line.
                eve.send("\x03\nPING barrier\n")
                while (answer := eve.answer()) != "OK PING barrier":
                    answers.append(answer.encode())
                eve.ok("SAY #room the end")
                lab.until(lambda: b"the end" in received.read_bytes(), "nc hears the end")
            finally:
                nc.kill()
                nc.wait()
            attack.that("commands that were not refused with BAD_TEXT", f"{len(passed)} {passed[:2]!r}", f"0 in {tried:,}", not passed and tried > 500)
            attack.none_of("characters that reached nc", dirty(received.read_bytes()) + dirty(b"".join(answers)), tried)
            attack.that("nc's bytes", len(received.read_bytes()), "a conversation", b"* MSG" in received.read_bytes())
            seen = menu(server.binary, server.port, "-c", "JOIN #room", "-c", "HISTORY #room 1000", "-c", "CHANNELS", "-c", "LIST")
            attack.that("characters that reached the menu client", f"{dirty(seen.stdout + seen.stderr)} in {len(seen.stdout):,} bytes", "0",
                        dirty(seen.stdout + seen.stderr) == 0 and b"the end" in seen.stdout)
            attack.that("characters that reached the log", dirty(server.log.read_bytes()), "0", dirty(server.log.read_bytes()) == 0)
        every = "".join(CONTROLS).replace("\n", "").replace("\r", "").encode() + "".join(DIRECTIONS).encode() + b"\x9b\xff"
        time_, fields = b"2026-11-22T13:00:00.512Z", []
        for dirt in [every, b"\x1b[2J", b"\x1b]0;title\x07", "\u009b2J".encode(), b"\xff\xfb\x01"]:
            fields += [b"- MSG 1 %s #r%s a:1 a%sb\n" % (time_, dirt, dirt), b"- USER a%s:1 online %s\n" % (dirt, time_),
                       b"- CHANNEL #r%s 1 a%s:1 topic%s\n" % (dirt, dirt, dirt), b"* LEAVE #r a%s:1 %s reason%s\n" % (dirt, time_, dirt),
                       b"- HELP %s\n" % dirt, b"* MSG 2 %s a:1 b%s:2 %s\n" % (time_, dirt, dirt), b"%s\n" % dirt]
        with fake_server([b"* HELLO lin%schat/0.1.0 1 guest-1%s:1 hint%s\n" % (every, every, every), *fields]) as hostile:
            port = hostile.getsockname()[1]
            runs = [menu(server.binary, port, "-c", command) for command in ("LIST", "CHANNELS", "HELP", "PING", "HISTORY #r")]
            runs.append(menu(server.binary, port, "--show-protocol", "-c", "LIST"))
            runs.append(menu(server.binary, port, "--name", "ana", typed=b"1\n3\n5\nr\nhello\n#bye\n6\n"))
            shown = b"".join(run.stdout + run.stderr for run in runs)
            attack.that("from a hostile server, characters that the menu client shows", f"{dirty(shown)} in {len(shown):,} bytes", "0",
                        dirty(shown) == 0 and len(shown) > 100)
        attack.well(server)


WORDS = [b"PING", b"PING hello", b"SAY #room hi", b"MSG @key-%d bob hi", b"MSG bob hi", b"JOIN #room", b"JOIN #no", b"WHOAMI", b"TOPIC #room",
         b"ACK 1", b"NAME bob", b"SYA #room hi", b"HELP ACK", b"CAPS", b"LIST #no", b"HISTORY #room 1", b"INBOX 1", b"OK PING", b"* MSG 1", b"- MSG"]
SEPARATORS = [b"\n", b"\n", b"\n", b"\r\n", b"\r\0", b"\r", b" ", b"\r\r\n", b"\n\r", b"\x0b", b"\x0c", b"\x85", b"\xe2\x80\xa8", b"\x1e"]
# Not 0xFF, and nothing that edits: what these do to a line is the row of telnet.
NOISE = bytes(byte for byte in range(0x01, 0xFF) if byte not in EDITING)
ENDING = re.compile(rb"\n|\r\n|\r\0")


def smuggle(rng, lines):
    """Fuzzed bytes, and how many commands they are: lines with something other than spaces, up to an ending that counts."""
    made = bytearray()
    for _ in range(lines):
        kind = rng.random()
        if kind < 0.6:
            word = rng.choice(WORDS)
            made += word % rng.randrange(10**9) if b"%" in word else word
            made += rng.choice(SEPARATORS)
        elif kind < 0.9:
            made += bytes(rng.choices(NOISE, k=rng.randrange(1, 40))) + rng.choice(SEPARATORS)
        else:
            made += rng.choice(WORDS[:3]) + rng.choice(SEPARATORS) * 2 + b"PING\n"
        if rng.random() < 0.02:
            made += b"x" * rng.randrange(4000, 6000)
        made += b"\n" if rng.random() < 0.8 else b""
    made += b"\n"
    return bytes(made)


def commands_in(data):
    """How many commands the protocol's page says that there are."""
    return sum(bool(line.strip(b" ")) for line in ENDING.split(data))


@row("A11", "CR/LF smuggling, 1,000,000 fuzzed lines")
def smuggling(attack):
    rng, lines = random.Random(11), attack.size(40_000, 1_000_000)
    with attack.server(*UNPACED) as server, server.client("bob") as bob, server.client("eve") as eve:
        bob.ok("CREATE #room")
        eve.ok("JOIN #room")
        expected = answered = strange = 0
        counter = b"PING barrier-%d"
        while expected < lines:
            data = smuggle(rng, 500)
            expected += commands_in(data)
            # The barrier's ending says how to end its answer.
            last = counter % expected
            writing = threading.Thread(target=eve.send, args=(data + last + b"\n",))
            writing.start()
            while (line := eve.line()) != b"OK " + last:
                answered += line.startswith((b"OK ", b"ERR "))
                strange += not line.startswith((b"OK ", b"ERR ", b"- ", b"* ")) or not is_valid(line)
            writing.join()
        attack.that("commands sent and answers given", f"{expected:,} and {answered:,}", "equal", expected == answered and expected >= lines)
        attack.none_of("lines that are no lines of the protocol", strange, answered)
        tried = refused = 0
        bob.send("PING before\n")
        while bob.answer() != "OK PING before":
            pass
        for text in ("SAY #room a\rSAY #room smuggled", "MSG bob a\rMSG bob smuggled", "TOPIC #room a\rTOPIC #room smuggled", "NAME a\rNAME smuggled",
                     "PING\rPING smuggled", "SAY #room a\r\rSAY #room smuggled", "\rSAY #room smuggled"):
            tried += 1
            refused += eve.ask(text).startswith("ERR BAD_TEXT ") and eve.ask("PING one answer") == "OK PING one answer"
        attack.all_of("bare CRs refused, each with one answer", refused, tried)
        told = bob.lines("INBOX 1000") + bob.lines("HISTORY #room 1000") + bob.lines("LIST")
        attack.none_of("smuggled commands executed", sum("smuggled" in line for line in told), tried)
        attack.well(server)


LOOK_ALIKES = {"paul": ["pauI", "Paul", "PAUL", "p\u0430ul", "pau1", "paul\u0307"],
               "bill": ["biII", "bi11", "bilI", "b\u0456ll", "BILL"],
               "Bob": ["B0B", "B0b", "\u0412ob", "b\u043eb", "bob"]}
RESERVED = ["SERVER", "server", "OK", "ERR", "system", "root", "everyone", "operator", "guest-7", "Guest-7", "r00t", "0K"]
FOREIGN_DIGITS = ["\u0667up", "\u096dup", "\u09ed", "\uff17up"]


@row("A12", "bidi overrides, line separators, look-alike names")
def look_alikes(attack):
    with attack.server(*UNPACED, *lab.password_limits(attack.binary)) as server, server.client() as eve:
        owners = [server.account(name) for name in LOOK_ALIKES]
        owners[0].ok("CREATE #general")
        eve.ok("JOIN #general")
        refused = tried = 0
        for dirt in DIRECTIONS:
            for command in (f"NAME a{dirt}b", f"CREATE #a{dirt}b", f"SAY #general a{dirt}b", f"TOPIC #general {dirt}", f"PING {dirt}", f"MSG paul {dirt}"):
                tried += 1
                refused += eve.ask(command).startswith("ERR BAD_TEXT ")
        attack.all_of("commands with what turns the direction or ends a line, refused", refused, tried)
        got = []
        tried = 0
        for name, others in LOOK_ALIKES.items():
            for other in others:
                tried += 1
                answer = eve.ask(f"NAME {other}")
                # A name that no one may have at all is refused as well; nobody has it.
                good = answer.startswith(("ERR NAME_TAKEN ", "ERR BAD_NAME ")) if other.isascii() is False else answer.startswith("ERR NAME_TAKEN ")
                got += [] if good else [other]
        attack.that("look-alikes of accounts that could be taken", f"{len(got)} {' '.join(got)}", f"0 in {tried}", not got)
        got = [other for other in ("#generaI", "#genera1", "#GENERAL", "#gener\u0430l") if not eve.ask(f"CREATE {other}").startswith("ERR ")]
        attack.that("look-alikes of a channel that could be created", f"{len(got)} {' '.join(got)}", "0 in 4", not got)
        got = [other for other in RESERVED if not eve.ask(f"NAME {other}").startswith("ERR ")]
        attack.that("names of the server's that could be taken", f"{len(got)} {' '.join(got)}", f"0 in {len(RESERVED)}", not got)
        got = [other for other in FOREIGN_DIGITS if not eve.ask(f"NAME {other}").startswith("ERR ")]
        attack.that("names that begin with another script's digit", f"{len(got)} {' '.join(got)}", f"0 in {len(FOREIGN_DIGITS)}", not got)
        good = [name for name in ("pavel", "\u0418\u0432\u0430\u043d", "\u4e2d\u6587", "J\u00f6rg") if eve.ask(f"NAME {name}").startswith("OK ")]
        attack.all_of("honest names beside them that can be taken", len(good), 4)
        for owner in owners:
            owner.close()
        attack.well(server)
