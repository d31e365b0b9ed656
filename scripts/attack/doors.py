"""A4, A5, A13, A22, A24: who comes in, who is turned away, and how everybody leaves."""

import contextlib
import os
import pathlib
import random
import re
import shutil
import socket
import ssl
import subprocess
import time

from attack import lab
from attack.table import row

HALF = 10_000
METHODS = ("GET", "POST", "PUT", "HEAD", "OPTIONS", "TRACE", "PATCH", "DELETE", "CONNECT")


def dial(stopping, port, sources, seconds):
    """Connects from each of these addresses, and stays. How many were let in, and for each of the others how long it took until
    it was closed, in ms, and whether it was told why."""
    lab.raise_descriptors()
    kept, closed, told, failed = [], [], 0, 0
    begins = time.monotonic()
    for number, source in enumerate(sources):
        wait = begins + seconds * number / len(sources) - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        began = time.perf_counter()
        try:
            client = lab.Client(port, source=source, greeted=False)
            client.more()
            if client.buffer.startswith(b"* HELLO "):
                kept.append(client)
                continue
            said = client.rest()
            closed.append((time.perf_counter() - began) * 1000)
            told += said.startswith(b"ERR QUOTA ")
            client.close()
        except OSError:
            failed += 1
    # The connections stay until everybody has dialled.
    stopping.wait(lab.PATIENCE * 4)
    return len(kept), closed, told, failed


def chat(stopping, port):
    """One says lines, another hears them. How many were OK'd, and how many of these the other missed."""
    with lab.Client(port, source="127.200.1.1") as ana, lab.Client(port, source="127.200.1.2") as bob:
        ana.ok("CREATE #steady")
        bob.ok("JOIN #steady")
        said = missed = 0
        while not stopping.is_set() or said < 20:
            ana.ok(f"SAY #steady n{said}")
            said += 1
            time.sleep(0.005)
        bob.send("PING end\n")
        heard = []
        while (line := bob.line()) != b"OK PING end":
            heard += [line.rsplit(b" ", 1)[1]] if line.startswith(b"* MSG ") else []
        missed = sum(line != b"n%d" % number for number, line in enumerate(heard)) + abs(said - len(heard))
        return said, missed


@row("A4", "20,000 connects in 10 s from many loopback addresses")
def connects(attack):
    # The short form goes over the limit of an address, the full one over the limit in all as well.
    count, seconds = attack.size(2_000, 20_000), attack.size(2, 10)
    sources = lab.addresses()
    if attack.full:
        each = [next(sources) for _ in range(25)]
        dialled = [each[number % 25] for number in range(count)]
        admitted = 16_384
    else:
        one, others = next(sources), [next(sources) for _ in range(5)]
        dialled = [one] * 1_500 + [others[number % 5] for number in range(count - 1_500)]
        admitted = 1_024 + count - 1_500
    with attack.server() as server:
        talk = lab.Beside(chat, server.port)
        lab.until(lambda: len(server.logged()) >= 0 and talk.process.is_alive(), "they talk")
        with server.client() as watch:
            lab.until(lambda: watch.lines("CHANNELS")[-1] == "OK CHANNELS 1", "they talk")
            # Those who talk, and who watches, are there already.
            admitted -= 3 if attack.full else 0
            halves = [lab.Beside(dial, server.port, dialled[number::2], seconds) for number in (0, 1)]
            lab.until(lambda: count_online(server) >= admitted or any(half.is_done for half in halves), "all have dialled", 120)
            time.sleep(attack.size(1, 2))
            results = [half.result(180) for half in halves]
            said, missed = talk.result(60)
        kept, closed = sum(result[0] for result in results), [ms for result in results for ms in result[1]]
        told, failed = sum(result[2] for result in results), sum(result[3] for result in results)
        attack.that("let in, turned away, failed", f"{kept:,}, {len(closed):,}, {failed:,}", f"{admitted:,}, {count - admitted:,}, 0",
                    (kept, len(closed), failed) == (admitted, count - admitted, 0))
        attack.all_of("turned away with ERR QUOTA", told, len(closed))
        attack.soon("closed after the connect, p99", lab.percentile(closed or [float("inf")], 0.99), 10, "ms")
        attack.that("the last of them", f"{max(closed, default=0):.1f} ms", "shown only", True)
        attack.none_of("lines lost by those who were there", missed, said)
        lab.until(lambda: count_online(server) < 100, "they have left")
        attack.well(server)


def count_online(server):
    """Sockets of the server, which costs it nothing."""
    return len(os.listdir(f"/proc/{server.pid}/fd"))


@row("A5", "out of file descriptors (nofile 256, 1,000 dials)")
def no_descriptors(attack):
    seconds = attack.size(3, 10)
    with attack.server(nofile=256) as server, server.client("ana") as ana, contextlib.ExitStack() as stack:
        ana.ok("CREATE #room")
        dials = []
        for number in range(1_000):
            one = stack.enter_context(socket.socket())
            one.setblocking(False)
            one.bind((f"127.3.{number // 250}.{number % 250 + 1}", 0))
            with contextlib.suppress(BlockingIOError):
                one.connect(("127.0.0.1", server.port))
            dials.append(one)
        lab.until(lambda: count_online(server) >= 240 or time.sleep(0.05), "the descriptors are used up", 10)
        time.sleep(0.5)
        cpu, logged, began = server.cpu(), server.logged().count("\n"), time.monotonic()
        stored = sum(ana.ask(f"SAY #room line {number}").startswith("OK ") and not time.sleep(0.1) for number in range(seconds * 5))
        time.sleep(max(0, began + seconds - time.monotonic()))
        took = time.monotonic() - began
        used = count_online(server)
        attack.that("descriptors in use", used, "240 to 256", 240 <= used <= 256)
        attack.at_most("processor", (server.cpu() - cpu) / took * 100, 10.0, "%")
        # One of them belongs to the edge of the time that was looked at.
        attack.at_most("lines of the log a second", max(0, server.logged().count("\n") - logged - 1) / took, 2.0, "lines/s")
        attack.all_of("messages stored meanwhile", stored, seconds * 5)
        history = ana.lines("HISTORY #room 1000")
        attack.all_of("and read back from it", len(history) - 1, stored)
        for one in dials:
            one.close()
        began = time.monotonic()
        with server.client("late", source="127.200.1.3") as late:
            attack.soon("accepting again after the release", time.monotonic() - began, 1, "s")
            late.ok("MSG ana hello")
        attack.well(server)


def framings(method, body):
    """A page's request as browsers send it, in the three framings of HTTP."""
    head = "Host: localhost:12000\r\nOrigin: http://evil.example\r\nContent-Type: text/plain\r\n"
    yield f"{method} / HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n{body}"
    yield f"{method} / HTTP/1.1\r\n{head}Transfer-Encoding: chunked\r\n\r\n{len(body):x}\r\n{body}\r\n0\r\n\r\n"
    yield f"{method} / HTTP/1.0\n\n{body}"


def client_hello(name):
    """What a TLS client sends first."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


@row("A13", "a web page that POSTs to the port: 9 methods, 3 framings, MSG in the body; a TLS ClientHello")
def web(attack):
    body = "MSG ana from a page\r\nSAY #room from a page\nCREATE #page\nMSG 1000 from a page\r\n" * 20
    tries = [request.encode() for method in METHODS for request in framings(method, body)]
    hello = client_hello("MSG-ana-x.example")
    tries += [hello, hello + b"\n" + body.encode(), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + body.encode()]
    rng = random.Random(13)
    with attack.server() as server, server.client("ana") as ana:
        ana.ok("CREATE #room")
        closed = told = executed = 0
        for data in tries:
            for cut in {0, 1, rng.randrange(1, len(data)), len(data) - 1}:
                with server.client() as page:
                    with contextlib.suppress(ConnectionError):
                        page.send(data[:cut])
                        page.send(data[cut:])
                    answers = page.rest()
                    closed += 1
                    told += answers.startswith(b"ERR BAD_SYNTAX - ") and answers.count(b"\n") == 1
                    executed += answers.count(b"OK ")
        tried = closed
        attack.all_of("closed after one ERR BAD_SYNTAX", told, tried)
        ana.send("PING quiet\n")
        heard = [ana.line()]
        stored = len(ana.lines("INBOX")) - 1 + len(ana.lines("HISTORY #room")) - 1 + len(ana.lines("CHANNELS")) - 2
        attack.none_of("executed", executed + (heard != [b"OK PING quiet"]), tried)
        attack.none_of("stored", stored, tried)
        # The same body where it belongs is executed: otherwise nothing was shown.
        with server.client("eve") as eve:
            eve.ok("PING")
            attack.that("the same line from a person", eve.ask("MSG ana from a page")[:6], "OK MSG", eve.ask("MSG ana again").startswith("OK MSG"))
        attack.well(server)


def say_until_closed(stopping, port, number):
    """Says numbered lines, many at once, until the connection is closed. Sent, answered, the numbers that were OK'd, and how it
    ended."""
    client = lab.Client(port, source=f"127.201.1.{number + 1}")
    client.ok("JOIN #room")
    sent, answers = 0, []
    ended = "a reset"
    try:
        while True:
            client.send("".join(f"SAY #room s{number}-{sent + extra} x\n" for extra in range(20)))
            sent += 20
            for _ in range(20):
                answers.append(client.answer())
    except lab.Broken:
        ended = "closed"
    except ConnectionError:
        with contextlib.suppress(lab.Broken, ConnectionError):
            while True:
                answers.append(client.answer())
    stored = [f"s{number}-{at}" for at, answer in enumerate(answers) if answer.startswith("OK ")]
    strange = [answer for answer in answers if not answer.startswith(("OK SAY ", "ERR SHUTTING_DOWN ", "ERR UNSURE "))]
    return sent, len(answers), stored, strange, ended


@row("A22", "SIGTERM with 5,000 connections")
def terminated(attack):
    count, senders = attack.size(500, 5_000), attack.size(4, 8)
    with attack.server() as server, contextlib.ExitStack() as stack:
        owner = stack.enter_context(server.account("olga"))
        owner.ok("CREATE #room")
        sources = lab.addresses()
        each = [next(sources) for _ in range(1 + count // 500)]
        silent = [stack.enter_context(server.client(source=each[number % len(each)])) for number in range(count)]
        deaf = stack.enter_context(server.client(source="127.202.1.1", receive=2048))
        deaf.ok("JOIN #room")
        talkers = [lab.Beside(say_until_closed, server.port, number) for number in range(senders)]
        # The owner hears them for a while; the deaf one gets behind.
        for _ in range(2_000):
            owner.line()
        with contextlib.suppress(BlockingIOError, TimeoutError):
            deaf.socket.settimeout(0.5)
            deaf.socket.sendall(b"HISTORY #room 1000\n" * 3_000)
        try:
            took = server.terminate(lab.PATIENCE)
        except subprocess.TimeoutExpired:
            raise lab.Broken(f"it has not ended after {lab.PATIENCE} s") from None
        # A process that others keep from the processor ends later, too.
        bound = 5 if attack.full else 7
        attack.that(f"ended, with {count:,} silent ones and a deaf one", f"{took:.2f} s", "≤ 5 s" if attack.full else "≤ 7 s, short form; the row's: 5",
                    took <= bound)
        attack.that("its exit code", server.process.returncode, "0", server.process.returncode == 0)
        told = closed = 0
        for client in silent:
            said = client.rest()
            closed += 1
            told += said.startswith(b"* SHUTDOWN ") and said.count(b"\n") == 1
        attack.all_of("silent ones told * SHUTDOWN and closed", told, closed)
        results = [talker.result() for talker in talkers]
        strange = [answer for result in results for answer in result[3]]
        attack.that("commands answered of those sent, then closed", f"{sum(result[1] for result in results):,} of {sum(result[0] for result in results):,}",
                    "answered in order, or closed", not strange and all(result[1] for result in results))
        server.start()
        with server.client() as back:
            back.ok(f"LOGIN olga {lab.PASSWORD}")
            kept, before = set(), ""
            while (page := back.lines(f"HISTORY #room 1000{before}"))[:-1]:
                kept |= {line.split(" ")[6] for line in page[:-1]}
                before = f" before {page[0].split(' ')[2]}"
        stored = [name for result in results for name in result[2]]
        attack.none_of("OK'd messages that are missing after the restart", len(set(stored) - kept), len(stored))
        attack.well(server)


def certificate(binary, folder):
    """A certificate and its key: the server's own, or openssl's."""
    made = subprocess.run([binary, "tls", "self-signed", "--out", folder], capture_output=True, check=False)
    if made.returncode != 0:
        if not shutil.which("openssl"):
            raise lab.CannotRun("openssl is missing: apt-get install openssl")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{folder}/key.pem", "-out",
                        f"{folder}/cert.pem", "-subj", "/CN=localhost", "-days", "2"], check=True, capture_output=True)
    return ["--tls-cert", f"{folder}/cert.pem", "--tls-key", f"{folder}/key.pem"]


@row("A24", "TLS downgrade")
def downgrade(attack):
    probe = subprocess.run([attack.binary, "serve", "--help"], capture_output=True, text=True, check=True).stdout
    there = "--tls-listen" in probe and "--plain-passwords" in probe
    attack.that("--tls-listen and --plain-passwords", "there" if there else "not there", "there", there)
    if not there:
        return
    with lab.folder() as folder:
        options = ["--tls-listen", "127.0.0.1:0", *certificate(attack.binary, folder), "--plain-passwords", "refuse"]
        with attack.server(*options) as server:
            ports = server.listening()
            tls_port = next(port for port in ports if port != server.port)
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

            def encrypted():
                client = lab.Client(tls_port, greeted=False)
                client.socket = context.wrap_socket(client.socket)
                client.line()
                return client

            with encrypted() as ana, server.client("plain") as plain:
                attack.that("REGISTER over TLS", ana.ask(f"REGISTER ana {lab.PASSWORD}")[:11], "OK REGISTER", ana.ask("WHOAMI").endswith(" account"))
                words = [plain.ask(word)[:19] for word in ("STARTTLS", "AUTH TLS", "TLS", "UPGRADE tls")]
                attack.that("STARTTLS and its like", ", ".join(sorted(set(words))), "ERR UNKNOWN_COMMAND", set(words) == {"ERR UNKNOWN_COMMAND"})
                cpu = server.cpu()
                server.forget_peak()
                before, answers = server.peak(), []
                for number in range(100):
                    source = f"127.30.1.{number % 50 + 1}"
                    with server.client(source=source) as eve:
                        answers += [eve.ask(f"LOGIN ana {lab.PASSWORD}"), eve.ask(f"REGISTER r{number} {lab.PASSWORD}")]
                refused = sum(answer.startswith("ERR ") and not answer.startswith("ERR LOGIN_FAILED") for answer in answers)
                attack.all_of("plain passwords refused", refused, 200)
                attack.that("how", re.sub(r"\d+", "N", answers[0])[:90], "not RATE_LIMITED", not any("RATE_LIMITED" in answer for answer in answers))
                # A hash takes 19 MiB, and tens of milliseconds.
                attack.at_most("memory meanwhile: nothing was hashed", (server.peak() - before) / lab.MIB, 12.0, "MiB")
                attack.that("processor for 200 of them", f"{server.cpu() - cpu:.2f} s", "shown only", True)
                with encrypted() as phone:
                    attack.that("the same password over TLS", phone.ask(f"LOGIN ana {lab.PASSWORD}")[:8], "OK LOGIN", phone.ask("WHOAMI").startswith("OK WHOAMI ana:"))
                ana.ok("CREATE #room")
                with lab.Client(tls_port, greeted=False) as page:
                    with contextlib.suppress(ConnectionError):
                        page.send("NAME evil\nMSG ana hello\nCREATE #evil\n" * 50)
                    said = page.rest()
                attack.that("plain lines to the TLS port", f"closed, {said.count(b'OK ')} executed", "closed, 0 executed",
                            b"OK " not in said and b"HELLO" not in said and len(ana.lines("INBOX")) == 1 and len(ana.lines("CHANNELS")) == 2)
            attack.well(server)
