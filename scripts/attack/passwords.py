"""A14, A15: passwords that are guessed, and what the time of an answer tells."""

import math
import random
import statistics
import time

from attack import lab
from attack.table import row

# What hashing one password takes (19 MiB, as OWASP recommends), and what else the memory may grow by meanwhile.
HASH_MIB, OTHER_MIB = 19, 12


def guess(stopping, port, count, connections, sources, names, password="wrong"):
    """Guesses passwords over connections of their own addresses, one after another on each. How many were hashed, how many were
    refused without, and whatever else was answered."""
    clients = [lab.Client(port, source=sources[number % len(sources)]) for number in range(connections)]
    hashed = refused = 0
    other, open_, left = [], list(clients), count
    while left > 0 and open_ and not stopping.is_set():
        batch = open_[:left]
        for at, client in enumerate(batch):
            client.send(f"LOGIN {names[(left - at) % len(names)]} {password} {left - at}\n")
        left -= len(batch)
        for client in batch:
            answer = client.answer()
            hashed += answer.startswith("ERR LOGIN_FAILED ")
            refused += answer.startswith("ERR RATE_LIMITED ") and "retry-ms=" in answer
            if not answer.startswith(("ERR LOGIN_FAILED ", "ERR RATE_LIMITED ")):
                other.append(answer)
    return hashed, refused, other, count - left


@row("A14", "1,000 passwords over 50 connections")
def guessed(attack):
    with attack.server() as server, server.client("eve", source="127.9.9.9") as watch:
        server.account("ana", source="127.20.0.1").close()
        with server.client(source="127.20.0.1") as owner:
            owner.ok(f"LOGIN ana {lab.PASSWORD}")
        began = time.monotonic()
        load = lab.Beside(guess, server.port, 1_000, 50, ["127.20.0.2"], ["ana"])
        times = []
        while not load.is_done:
            times += lab.pings(watch, 0.2)
        hashed, refused, other, tried = load.result()
        minutes = 1 + (time.monotonic() - began) / 60
        attack.that("of one account and address, hashed", f"{hashed} of {tried:,} in {(minutes - 1) * 60:.1f} s", "1 to 3 a minute",
                    1 <= hashed <= 3 * minutes)
        attack.that("the others", f"{refused:,} RATE_LIMITED, {len(other)} otherwise {' '.join(other[:1])[:80]}", "RATE_LIMITED with retry-ms",
                    refused == tried - hashed and not other)
        # From many addresses for many names, so that nothing but the turn of each keeps them apart.
        server.forget_peak()
        before, count = server.peak(), attack.size(150, 1_000)
        sources = [f"127.21.0.{number + 1}" for number in range(50)]
        names = ["ana"] + [f"ana{number}" for number in range(200)]
        load = lab.Beside(guess, server.port, count, 50, sources, names)
        while not load.is_done:
            times += lab.pings(watch, 0.2)
        hashed, refused, other, tried = load.result(240)
        grown = (server.peak() - before) / lab.MIB
        attack.at_most(f"{hashed} of {tried:,} hashed from 50 addresses: memory, so hashes at once", grown, 2.0 * HASH_MIB + OTHER_MIB, "MiB")
        attack.that("hashed and refused, all in all", f"{hashed + refused:,} of {tried:,} {other[:1]}", "all, and some hashed",
                    hashed + refused == tried and hashed > 0)
        attack.soon("another's PING, p99", lab.percentile(times, 0.99), 50, "ms")
        # While strangers guess at her account from everywhere, its owner comes in, at her first try.
        load = lab.Beside(guess, server.port, attack.size(200, 2_000), 50, [f"127.22.0.{number + 1}" for number in range(200)], ["ana"])
        time.sleep(0.2)
        began = time.monotonic()
        with server.client(source="127.20.0.1") as owner:
            answer = owner.ask(f"LOGIN ana {lab.PASSWORD}")
        attack.that("its owner's LOGIN meanwhile", f"{answer[:18]} after {time.monotonic() - began:.2f} s", "OK LOGIN", answer.startswith("OK LOGIN ana:"))
        hashed, refused, other, tried = load.result(240)
        attack.that("guesses at her account from 50 other addresses, hashed", f"{hashed} of {tried:,}", "shown only", True)
        attack.well(server)


def welch(one, other):
    """Welch's t of two samples."""
    variance = statistics.variance(one) / len(one) + statistics.variance(other) / len(other)
    return (statistics.mean(one) - statistics.mean(other)) / math.sqrt(variance)


@row("A15", "timing of known against unknown accounts, 2,000 each")
def timing(attack):
    count, rng = attack.size(60, 2_000), random.Random(15)
    with attack.server(*lab.password_limits(attack.binary), "--limit", "errors-in-a-row=none") as server:
        known = [f"known{number}" for number in range(10)]
        for name in known:
            server.account(name).close()
        unknown = [f"other{number}" for number in range(10)]
        order = [True, False] * count
        rng.shuffle(order)
        times, failed, texts = {True: [], False: []}, 0, set()
        with server.client() as eve:
            for name in known[:2] + unknown[:2]:
                eve.ask(f"LOGIN {name} long and wrong")
            for is_known in order:
                name = rng.choice(known if is_known else unknown)
                began = time.perf_counter()
                answer = eve.ask(f"LOGIN {name} long and wrong")
                times[is_known].append((time.perf_counter() - began) * 1000)
                failed += answer.startswith("ERR LOGIN_FAILED ")
                texts.add(answer.replace(name, "NAME"))
            attack.all_of("answered LOGIN_FAILED", failed, 2 * count)
            attack.that("texts of the answers", len(texts), "1: the same for both", len(texts) == 1)
            means = [statistics.mean(times[which]) for which in (True, False)]
            # Otherwise nobody hashed anything, and there was nothing to tell apart.
            attack.that("time of an answer, known and unknown", f"{means[0]:.2f} and {means[1]:.2f} ms", "over 3 ms: a hash", min(means) > 3)
            t = welch(times[True], times[False])
            attack.that(f"Welch's t of {count:,} each", f"{t:.2f}", "-4.5 to 4.5" + ("" if attack.full else ", short form"), abs(t) < 4.5)
            attack.that("and the right password", eve.ask(f"LOGIN known1 {lab.PASSWORD}")[:8], "OK LOGIN", eve.ask("WHOAMI").endswith(" account"))
        attack.well(server)
