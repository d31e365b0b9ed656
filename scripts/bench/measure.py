"""Measures a work: all servers, round after round, because machines drift.

A server that fails is an entry among the measurements, with the reason; so is one that was not tried.
"""

import datetime
import json
import os
import statistics
import subprocess
import sys
import time

from bench import programs as sources
from bench import show
from bench.servers import LOAD_CORE, SERVER_CORE, SERVERS, CannotStart, running
from bench.works import BY_SLUG, LATE, MESSAGES

LOAD_SECONDS = 240
FSYNCS = 200
FSYNC_BYTES = 4096
# What a load that gives way may be late.
LATE_US = 1000


class Failed(Exception):
    """A measurement that came to nothing; says why."""


class Bench:
    """The programs and options of a run, and where servers keep their data."""

    def __init__(self, options, programs, work_dir):
        self.options, self.programs, self.work_dir = options, programs, work_dir

    def work(self, work):
        """All measurements of a work."""
        record = {"date": datetime.date.today().isoformat(), "machine": sources.machine(), "versions": sources.versions(work.servers),
                  "rounds": self.options.rounds, "seconds": self.options.seconds, "load": os.getloadavg()[0], "runs": []}
        rate = None
        if work.half_of_best:
            record["closed_loop"] = self.rounds(BY_SLUG["channel-100"], [kind for kind in work.servers if SERVERS[kind].is_peer], 1)
            record["rate"] = rate = half_of_best(record["closed_loop"])
        if work.needs_fsync:
            record["fsync_us"] = []
        record["runs"] = self.rounds(work, work.servers, self.options.rounds, rate, record.get("closed_loop"), record.get("fsync_us"))
        return record

    def rounds(self, work, kinds, rounds, rate=None, closed_loop=None, fsync_us=None):
        runs = []
        for number in range(rounds):
            if fsync_us is not None:
                fsync_us.append(fsync(self.work_dir))
            for at in work.points:
                for kind in kinds:
                    run = {"server": kind, "round": number} | ({"at": at} if at is not None else {})
                    try:
                        too_slow = cannot_carry(rate, kind, closed_loop or [])
                        run |= {"skipped": too_slow} if too_slow else {"measured": self.one(work, kind, at, rate)}
                    except (Failed, CannotStart) as why:
                        run["failed"] = str(why)
                    runs.append(run)
                    tell(work, run)
        return runs

    def one(self, work, kind, at, rate):
        """One measurement."""
        arguments = [word.format(at=at, rate=rate) for word in work.arguments]
        seconds = ["--seconds", str(self.options.seconds)]
        if work.runs == "boot":
            # It starts the server itself.
            environment = {"LINECHAT_BOOT_MESSAGES": str(at), "TMPDIR": str(self.work_dir)}
            return self.run(SERVER_CORE, [self.programs["boot"], "--bench", *arguments], environment)
        with running(kind, self.programs, self.work_dir) as server:
            address = f"127.0.0.1:{server.port}"
            if work.runs == "growth":
                command = [self.programs["growth"], address, *arguments]
            else:
                words = adapted(kind, arguments)
                command = [*self.load(kind), words[0], address, *words[1:], *seconds, *server.trusted(), "--json", "--pid", str(server.pid())]
            try:
                return self.giving_way(command) if work.gives_way else self.run(LOAD_CORE, command)
            except Failed as why:
                time.sleep(0.1)
                raise Failed("; ".join(filter(None, [str(why), server.died()]))) from None

    def load(self, kind):
        dialect = SERVERS[kind].dialect
        return [self.programs["linechat"], "bench"] if dialect == "linechat" else [self.programs["peers"], dialect]

    def giving_way(self, command):
        """Runs a load that has its core only while the server leaves it alone."""
        measured = self.run(LOAD_CORE, ["chrt", "--idle", "0", *command])
        if measured[LATE.key] > LATE_US:
            # What is late comes together, is delivered together, and costs less than at the rate.
            late = show.number(measured[LATE.key], LATE.unit)
            raise Failed(f"the rate was not held: a tenth of the messages was sent {late} late or more")
        return measured

    def run(self, core, command, environment=None):
        """Runs a program pinned to a core; returns what it measured, which is the last line that it prints."""
        try:
            done = subprocess.run(["taskset", "-c", core, *command], capture_output=True, text=True, timeout=LOAD_SECONDS,
                                  env={**os.environ, "RUST_BACKTRACE": "0", **(environment or {})})
        except subprocess.TimeoutExpired:
            raise Failed(f"not done after {LOAD_SECONDS} s") from None
        if done.returncode != 0:
            said = [line.strip() for line in done.stderr.splitlines() if line.strip() and not line.startswith("note:")]
            raise Failed(" ".join(said).removeprefix("Error: ") or f"the load ended with {done.returncode}")
        return json.loads(done.stdout.splitlines()[-1])["measured"]


def adapted(kind, arguments):
    """The arguments of the load, so that the work is the same."""
    arguments = list(arguments)
    if kind in ("redis", "redis-tls", "stream-readers", "jetstream"):
        # A connection that reads does not send: in a channel the senders come on top, and in pairs everybody has two.
        at = arguments.index("--connections") + 1
        senders = int(arguments[arguments.index("--senders") + 1]) if "--senders" in arguments else 4
        users = int(arguments[at])
        arguments[at] = str({"fanout": users + senders - 1, "direct": 2 * users}.get(arguments[0], users))
    if kind == "floor":
        # The bytes that linechat writes for 64 bytes of text.
        arguments += ["--size", "122"]
    if kind == "streams":
        arguments += ["--size", "80"]
    return arguments


def half_of_best(runs):
    """Half of the messages a second of the best peer, rounded."""
    best = max((run["measured"][MESSAGES.key] for run in runs if "measured" in run), default=None)
    if best is None:
        raise SystemExit("no peer could be measured, so that there is no rate for the open loop")
    return round(best / 2)


def cannot_carry(rate, kind, closed_loop):
    """Why a peer is not tried: with a best below the rate it would only grow a queue until it fails, minutes later."""
    best = [run["measured"][MESSAGES.key] for run in closed_loop if run["server"] == kind and "measured" in run]
    return f"its best is {best[0]:,.0f} messages a second" if rate and best and best[0] < rate else ""


def fsync(directory):
    """How long this disk takes for a write of 4 KiB and an fdatasync: the median of many, in microseconds."""
    path = directory / "fsync"
    times = []
    with open(path, "wb", buffering=0) as file:
        for _ in range(FSYNCS):
            began = time.perf_counter()
            file.write(bytes(FSYNC_BYTES))
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - began) * 1e6)
    path.unlink()
    return statistics.median(times)


def tell(work, run):
    """A line for who waits."""
    where = f" {run['at']:,} {work.of_what}" if "at" in run else ""
    if "measured" in run:
        what = ", ".join(f"{column.label} {run['measured'].get(column.key, float('nan')):.6g}" for column in work.columns)
    else:
        what = f"FAILED: {run['failed']}" if "failed" in run else f"not tried: {run['skipped']}"
    print(f"{work.slug}{where} · round {run['round'] + 1} · {SERVERS[run['server']].label}: {what}", flush=True,
          file=sys.stderr if "failed" in run else sys.stdout)
