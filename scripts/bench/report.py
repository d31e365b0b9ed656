"""Writes `peers.md`: the goals first, then each work with its machine, its table, and what failed."""

from bench import show
from bench.goals import judge
from bench.plots import PLOTS
from bench.results import Numbers, numbers, reasons
from bench.servers import SERVERS
from bench.works import WORKS

# The load average from which a reader has to know it. The benchmark alone leaves about one from the work before.
BUSY = 3

HEAD = """# linechat beside the servers people know

The same work on every server, by the same load, which checks what it receives: a message that is lost, doubled or out of order
fails the run. The server runs on one core, the load on another, over loopback, with 64-byte messages and flood control off.
**linechat, memory** is `--journal memory`, **linechat, disk** is `--journal disk`, where each message is on the disk before it
is answered and shown. The **floor** is no server: an epoll loop that writes the same bytes to the same connections and parses
nothing, which is what the kernel alone costs. The load never sleeps while it measures, so that no server has to wake it: clients
are on other machines, as a rule.

A number is the median of the rounds, in parentheses the lowest and the highest; a ratio is the median of the rounds' ratios.
All servers take turns within a round. Only ratios within one table mean anything: machines drift. Made by `scripts/bench-peers`; `peers.json` has every measurement.
"""


def label(kind):
    return f"**{SERVERS[kind].label}**" if SERVERS[kind].is_ours else SERVERS[kind].label


def cell(found, unit):
    if not found:
        return "-"
    low, high = found.spread
    spread = f" ({show.number(low, unit)} to {show.number(high, unit)})" if low < high else ""
    return show.number(found.median, unit) + spread


def row(cells):
    return "| " + " | ".join(cells) + " |"


def beside(work, record, base, kind):
    """What linechat is, beside this server, in words."""
    parts = []
    for column in [column for column in work.columns if column.versus][:2]:
        ratio = numbers(record, base, column).over(numbers(record, kind, column))
        if ratio:
            parts.append(f"{show.ratio(ratio[0])} x {column.versus}")
    return ", ".join(parts)


def servers_table(work, record):
    """Servers down, columns across."""
    base = next(kind for kind in work.servers if SERVERS[kind].is_ours)
    lines = [row(["server", *[column.label for column in work.columns], f"{SERVERS[base].label} has"]),
             "|---|" + "---:|" * len(work.columns) + "---|"]
    for kind in work.servers:
        cells = [cell(numbers(record, kind, column), column.unit) for column in work.columns]
        lines.append(row([label(kind), *cells, "" if kind == base else beside(work, record, base, kind)]))
    return lines


def growth_table(work, record):
    """Sizes down, servers and columns across."""
    heads = [(kind, column) for column in work.columns for kind in work.servers]
    lines = [row([work.of_what, *[f"{label(kind)}: {column.label}" for kind, column in heads]]), "|---:|" + "---:|" * len(heads)]
    for at in work.points:
        lines.append(row([f"{at:,}", *[cell(numbers(record, kind, column, at), column.unit) for kind, column in heads]]))
    return lines


def mark(met):
    return {True: "yes", False: "**no**", None: "?"}[met]


def measured_how(work, record):
    """When, where and what was measured."""
    rounds, seconds = record["rounds"], record["seconds"]
    how = f"{rounds} round{'s' if rounds != 1 else ''}"
    if work.runs == "load":
        how += f" of {show.plain(seconds) if seconds % 1 else int(seconds)} s"
    ours_first = sorted(record["versions"].items(), key=lambda item: item[0] != "linechat")
    versions = ", ".join(f"{name} {version}" for name, version in ours_first)
    lines = [f"{record['date']}, {how}, on {record['machine']}. {versions}."]
    if record.get("load", 0) >= BUSY:
        lines.append(f"Others were using the machine: its load average was {record['load']:.0f} before this began.")
    if "rate" in record:
        lines.append(f"The rate: {record['rate']:,} messages a second.")
    if "fsync_us" in record:
        times = Numbers(dict(enumerate(record["fsync_us"])))
        lines.append(f"An fsync of 4 KiB on this disk, measured in each round: {cell(times, 'us')}.")
    lines.append(f"Again: `scripts/bench-peers --work {work.slug} --rounds {rounds} --seconds {seconds:g}`.")
    return " ".join(lines)


def failed(record):
    """What failed or was not tried, one line each."""
    for kind, at, why, times in reasons(record):
        where = f" at {at:,}" if at is not None else ""
        yield f"- {SERVERS[kind].label} failed{where} in {times} of {record['rounds']} rounds: {why}"
    for kind, _, why, _ in reasons(record, "skipped"):
        yield f"- {SERVERS[kind].label} was not tried: {why}"


def pictures(slug):
    return [f"{plot.html()}\n" for plot in PLOTS if plot.slug == slug]


def section(work, record):
    shown = growth_table(work, record) if work.points != (None,) else servers_table(work, record)
    lines = [f"## {work.title}", "", work.about, "", *shown, ""]
    problems = list(failed(record))
    if problems:
        lines += [*problems, ""]
    lines += [*pictures(work.slug), measured_how(work, record), ""]
    return lines


def goals_table(results):
    lines = ["## Goals", "", row(["work", "goal", "measured", "met"]), "|---|---|---|---|"]
    for work in WORKS:
        for goal in work.goals:
            if work.slug in results:
                verdict = judge(goal, work, results[work.slug])
                lines.append(row([work.title, goal.text, verdict.measured, mark(verdict.met)]))
            else:
                lines.append(row([work.title, goal.text, "not measured", mark(None)]))
    return [*lines, ""]


def report(results):
    lines = [HEAD, *goals_table(results), *pictures(None)]
    for work in WORKS:
        if work.slug in results:
            lines += section(work, results[work.slug])
    return "\n".join(lines).rstrip() + "\n"
