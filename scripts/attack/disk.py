"""A18 to A21: a disk that is full, a clock that jumps, a store that is damaged or cut."""

import contextlib
import os
import pathlib
import re
import shutil
import struct
import subprocess
import time

from attack import lab
from attack.table import row

HERE = pathlib.Path(__file__).resolve().parent
TEN_YEARS = 10 * 365 * 86_400
NEWCOMERS = 4_200
DATABASE, LOG = "journal.db", "journal.db-wal"
# SQLite's write-ahead log: a header, then frames of a header and a page each.
LOG_HEADER, FRAME_HEADER = 32, 24


@contextlib.contextmanager
def small_disk(mib):
    """A file system of this size that only this attack has."""
    with lab.folder() as folder:
        command = ["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=700", "linechat-attack", folder]
        if not shutil.which("mount") or subprocess.run(command, capture_output=True, check=False).returncode != 0:
            raise lab.CannotRun("mounting a small disk takes root")
        try:
            yield pathlib.Path(folder)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=False)


def fill(path):
    """Takes all the room that is left."""
    with path.open("ab", buffering=0) as file:
        for size in (65_536, 4_096, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"\0" * size)


@row("A18", "disk full (16 MiB tmpfs)")
def full_disk(attack):
    with small_disk(16) as disk, attack.server(*lab.password_limits(attack.binary), data=str(disk / "data")) as server:
        ana, bob = server.account("ana"), server.client("bob")
        ana.ok("CREATE #room")
        bob.ok("JOIN #room")
        stored = [bob.ok(f"MSG ana number {number}").split()[2] for number in range(10)]
        said, refusal = 0, ""
        for number in range(100_000):
            if number == 300:
                # Something else takes all the room that is left.
                fill(disk / "filled")
            answer = bob.ask(f"SAY #room {'x' * 3_000}")
            if not answer.startswith("OK "):
                refusal = answer
                break
            said += 1
        attack.that(f"after {said:,} messages", refusal[:60], "ERR STORE_FULL", refusal.startswith("ERR STORE_FULL SAY ") and said > 10)
        answers = {bob.ask(command).split()[1] for command in ("SAY #room more", "MSG ana more") for _ in range(200)}
        attack.that("200 tries each of SAY and MSG", " ".join(sorted(answers)), "STORE_FULL", answers == {"STORE_FULL"})
        ana.send("PING here\n")
        while ana.line() != b"OK PING here":
            pass
        works = [ana.lines("INBOX")[-1] == "OK INBOX 10 0", ana.lines("HISTORY #room 50")[-1] == "OK HISTORY 50"]
        works += [ana.ask(f"ACK {seq}") == f"OK ACK {seq}" for seq in stored[:5]]
        attack.all_of("INBOX, HISTORY and five ACKs that work", sum(works), 7)
        (disk / "filled").unlink()
        began = time.monotonic()
        with server.client("carl") as carl:
            lab.until(lambda: carl.ask("MSG ana there is room").startswith("OK ") or time.sleep(0.05), "there is room")
        attack.at_most("sending again after there was room", time.monotonic() - began, 5.0, "s")
        server.kill()
        server.start()
        with server.client() as back:
            answer = back.ok(f"LOGIN ana {lab.PASSWORD}")
            attack.that("unread after kill -9 and a start", answer.rsplit(" ", 1)[1], "6: five of ten, and the last", answer.endswith(" 6"))
        attack.well(server)
        ana.close()
        bob.close()
    nothing_left(attack)


def nothing_left(attack):
    """The server has filled the disk itself, and then something else takes even what was set aside: whoever only reads gets in."""
    with small_disk(16) as disk, attack.server(*lab.password_limits(attack.binary), data=str(disk / "data")) as server:
        with server.account("ana") as ana, server.client() as bob:
            seqs = [bob.ok(f"MSG ana {number}").split()[2] for number in range(200)]
            bob.ok("CREATE #room")
            lab.until(lambda: bob.ask(f"SAY #room {'x' * 3_000}").startswith("ERR STORE_FULL "), "the disk is full")
            fill(disk / "filled")
            # What room there is left within the store's own files goes too.
            for _ in range(200):
                bob.ask("SAY #room x")
            marks = sum(ana.ask(f"ACK {seq}").startswith("OK ") for seq in seqs)
        attack.that("ACKs that still find room", f"{marks} of {len(seqs)}", "shown only", True)
        greeted = 0
        for number in range(NEWCOMERS):
            with contextlib.suppress(OSError, lab.Broken), server.client(source=f"127.60.{number // 250}.{number % 250 + 1}") as newcomer:
                greeted += newcomer.hello.startswith(b"* HELLO ")
        attack.all_of("newcomers let in when nothing at all is left", greeted, NEWCOMERS)
        read = "refused"
        with contextlib.suppress(OSError, lab.Broken), server.client() as phone:
            read = phone.ask(f"LOGIN ana {lab.PASSWORD}")[:8] + ", " + phone.lines("INBOX")[-1][:8]
        attack.that("and an account's LOGIN and INBOX", read, "OK LOGIN, OK INBOX", read == "OK LOGIN, OK INBOX")
        attack.that("the server", "runs" if server.process.poll() is None else "ended", "runs", server.process.poll() is None)


def clock_shim(folder):
    """A library that moves the clock, and the file that says by how much."""
    compiler = shutil.which("cc")
    if not compiler:
        raise lab.CannotRun("cc is missing: apt-get install build-essential")
    library, moved = pathlib.Path(folder, "clock.so"), pathlib.Path(folder, "moved")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, HERE / "clock.c"], check=True, capture_output=True)
    moved.write_bytes(struct.pack("q", 0))
    return {"LD_PRELOAD": str(library), "LINECHAT_CLOCK": str(moved)}, moved


def year(answer):
    return int(re.search(r" (\d{4})-\d\d-\d\dT", answer)[1])


@row("A19", "clock ±10 years")
def clock(attack):
    with lab.folder() as folder:
        environment, moved = clock_shim(folder)
        # Ten years are more than what is kept: a clock that is believed at once would delete it all.
        with attack.server("--limit", "keep-days=3000", environment=environment) as server:
            def set_clock(seconds):
                # In place: the server has it mapped.
                with moved.open("r+b") as file:
                    file.write(struct.pack("q", seconds))

            seqs, years, lines = [], set(), 0
            ana, bob = server.account("ana"), server.account("bob")
            ana.ok("CREATE #room")
            bob.ok("JOIN #room")
            with server.client() as passer:
                passer.ok("CREATE #empty")
            first = bob.ok("MSG @order-1 ana two pizzas")
            seqs.append(int(first.split()[2]))
            for restart in (False, True):
                for shift in (0, TEN_YEARS, -TEN_YEARS, 0):
                    set_clock(shift)
                    if restart:
                        ana.close()
                        bob.close()
                        server.terminate()
                        server.start()
                        ana, bob = server.client(), server.client()
                        ana.ok(f"LOGIN ana {lab.PASSWORD}")
                        bob.ok(f"LOGIN bob {lab.PASSWORD}")
                    for command in ("SAY #room hello", "MSG ana hello"):
                        answer = bob.ok(command)
                        seqs.append(int(answer.split()[2]))
                        years.add(year(answer))
                    lines += 1
                    # What the sweeper would take, it would take by now.
                    time.sleep(attack.size(0.3, 65))
            now = time.gmtime().tm_year
            attack.that("years on messages", " ".join(map(str, sorted(years))), "three: the clock did jump",
                        len(years) == 3 and min(years) <= now - 9 and max(years) >= now + 9)
            attack.that("seqs", f"{seqs[0]} to {seqs[-1]}", "rise", all(one < two for one, two in zip(seqs, seqs[1:])))
            attack.that("unread", ana.lines("INBOX")[-1], f"all {lines + 1}", ana.lines("INBOX")[-1] == f"OK INBOX {lines + 1} 0")
            history = ana.lines("HISTORY #room")
            attack.that("history", history[-1], f"all {lines}", history[-1] == f"OK HISTORY {lines}")
            attack.that("a key used ten years ago", bob.ask("MSG @order-1 ana two pizzas").rsplit(" ", 1)[1], "dup",
                        bob.ask("MSG @order-1 ana two pizzas") == first + " dup")
            attack.that("an empty channel, which lasts an hour", "is there" if "#empty" in str(ana.lines("CHANNELS")) else "is gone", "is there",
                        "#empty" in str(ana.lines("CHANNELS")))
            attack.that("people connected all the time", ana.ask("WHOAMI"), "are still who they were", ana.ask("WHOAMI").startswith("OK WHOAMI ana:"))
            attack.well(server)


class Original:
    """A store that a kill -9 has left, and what was OK'd into it, in its order."""

    TEXT = "{}, a text of which every byte counts {}"

    def __init__(self, attack, folder, messages, filler, small):
        self.folder, self.binary = folder, attack.binary
        with attack.server(data=f"{folder}/whole") as server, server.account("ana") as ana:
            ana.ok("CREATE #room")
            self.texts = [self.TEXT.format(number, "x" * filler) for number in range(messages)]
            for text in self.texts:
                ana.ok(f"SAY #room {text}")
            server.kill()
            if small:
                return
            # Started and stopped once more, all of it is in the database and not in its log.
            server.start()
            server.terminate()

    def copy(self):
        """A copy to harm."""
        to = f"{self.folder}/harmed"
        shutil.rmtree(to, ignore_errors=True)
        os.mkdir(to, 0o700)
        for name in (DATABASE, LOG):
            if os.path.exists(f"{self.folder}/whole/{name}"):
                shutil.copyfile(f"{self.folder}/whole/{name}", f"{to}/{name}")
        return to

    def read(self, data):
        """What a server says of a harmed store: None where it refuses to start, or the texts that Ana is shown."""
        try:
            with lab.Server(self.binary, data=data) as server, server.client() as ana:
                answer = ana.ask(f"LOGIN ana {lab.PASSWORD}")
                if not answer.startswith("OK LOGIN "):
                    return "no account", []
                found, before = [], ""
                for _ in range(20):
                    page = ana.lines(f"HISTORY #room 1000{before}")
                    messages = [line for line in page if line.startswith("- MSG ")]
                    found = [line.split(" ", 6)[6] for line in messages] + found
                    if not messages or not page[-1].startswith("OK "):
                        return ("" if page[-1].startswith("OK ") else page[-1]), found
                    before = f" before {messages[0].split(' ')[2]}"
                return "", found
        except (lab.Broken, ConnectionError) as why:
            return str(why) or "refused", []


@row("A20", "each byte of a 1 MiB store flipped")
def flipped(attack):
    with lab.folder() as folder:
        original = Original(attack, folder, attack.size(100, 280), 3_400, False)
        size = os.path.getsize(f"{folder}/whole/{DATABASE}")
        whole = original.read(original.copy())
        attack.that("the whole store", f"{len(whole[1])} texts in {size / lab.MIB:.2f} MiB", "all texts", whole == ("", original.texts))
        # Starting a real server for each of a million bytes would take a day. Every page is hit in its head, its pointers and
        # its cells; tests/store flips every byte of a store in one process.
        count, known = attack.size(60, 4_000), set(original.texts)
        step = size // count | 1
        wrong = refused = partly = harmless = 0
        for number in range(count):
            at = (number * step + number % 97) % size if number % 4 else number * 4096 % size + number % 100
            data = original.copy()
            with open(f"{data}/{DATABASE}", "r+b") as file:
                file.seek(at)
                byte = file.read(1)[0]
                file.seek(at)
                file.write(bytes([byte ^ 1 << number % 8]))
            why, texts = original.read(data)
            wrong += sum(text not in known for text in texts) + (len(set(texts)) < len(texts)) + (texts != sorted(texts, key=original.texts.index) if set(texts) <= known else 1)
            whole = texts == original.texts
            refused, partly, harmless = refused + (not texts), partly + (bool(texts) and not whole), harmless + whole
            if not whole and not why:
                # It has to say that something is missing: GAP, or an error.
                with lab.Server(original.binary, data=data) as server, server.client() as ana:
                    ana.ask(f"LOGIN ana {lab.PASSWORD}")
                    wrong += "GAP" not in str(ana.lines("HISTORY #room 1000"))
        attack.none_of("flips with a wrong text, or with one missing and nothing said", wrong, count)
        attack.that("found at the start or by an ERR, shown in part, harmless", f"{refused:,}, {partly:,}, {harmless:,}", "all flips, some found",
                    refused + partly + harmless == count and refused + partly > 0)
        damaged_meanwhile(attack, original)


def spoil(data, which):
    """Changes the texts of these messages in the file, as a bad disk would, under whoever has it open."""
    path = pathlib.Path(data, DATABASE)
    whole = path.read_bytes()
    with path.open("r+b") as file:
        for number in which:
            at = whole.index(Original.TEXT.format(number, "").encode())
            file.seek(at)
            file.write(b"#")


def damaged_meanwhile(attack, original):
    """A message is damaged while the server runs: nobody is shown it, and everybody the others."""
    data = original.copy()
    with lab.Server(original.binary, data=data) as server:
        # Nothing of it is in a reader's memory yet.
        spoil(data, [len(original.texts) // 2])
        with server.client() as ana:
            ana.ok(f"LOGIN ana {lab.PASSWORD}")
            page = ana.lines("HISTORY #room 1000")
        texts = [line.split(" ", 6)[6] for line in page if line.startswith("- MSG ")]
        told = any(line.startswith(("- GAP ", "* GAP ", "ERR ")) for line in page)
        attack.that("one damaged while it runs", "said" if told else "not said", "said", told)
        attack.that("the others, shown beside it", f"{len(texts)} of {len(original.texts) - 1}", "all, and no other",
                    texts == original.texts[:len(original.texts) // 2] + original.texts[len(original.texts) // 2 + 1:])
        attack.well(server)


@row("A21", "the store cut at every byte")
def cut(attack):
    with lab.folder() as folder:
        original = Original(attack, folder, attack.size(12, 20), 40, True)
        size, page = os.path.getsize(f"{folder}/whole/{LOG}"), 4_096
        whole = original.read(original.copy())
        attack.that("the whole store", f"{len(whole[1])} texts, a log of {size:,} bytes", "all texts", whole == ("", original.texts))
        ends = range(LOG_HEADER, size + 1, FRAME_HEADER + page)
        # Whatever is decided by a frame is decided at its edges; between them the full form goes in small steps.
        cuts = {at + near for at in ends for near in (-1, 0, 1, FRAME_HEADER)} | set(range(0, size, attack.size(1_999, 61)))
        cuts = sorted(at for at in cuts if 0 <= at <= size)
        cuts = cuts[::max(1, len(cuts) // attack.size(60, 10_000))] + [size]
        wrong, lengths, most = 0, set(), 0
        for at in cuts:
            data = original.copy()
            os.truncate(f"{data}/{LOG}", at)
            why, texts = original.read(data)
            is_prefix = texts == original.texts[:len(texts)]
            # A longer log never holds less.
            wrong += not is_prefix or len(texts) < most or bool(why and why != "no account" and "no such channel" not in why and texts)
            most = max(most, len(texts))
            lengths.add(len(texts))
        attack.none_of("cuts that left something else than a prefix", wrong, len(cuts))
        attack.that("prefixes seen", f"{len(lengths)} different ones, the longest {most}", "many, the longest is all",
                    len(lengths) > len(original.texts) // 2 and most == len(original.texts))
