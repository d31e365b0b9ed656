"""Judges goals: what was measured, in words, and whether it is enough."""

import dataclasses

from bench import show
from bench.results import Numbers, numbers, reasons
from bench.servers import SERVERS

# A cost counts as flat while it grows by no more than what one round differs from the next.
FLAT = 1.1


@dataclasses.dataclass(frozen=True)
class Verdict:
    """`met` is None where it was not measured."""

    measured: str
    met: bool | None


def judge(goal, work, record):
    """The verdict on one goal."""
    if goal.growth:
        return growth(goal, work, record)
    ours = numbers(record, goal.ours, goal.column)
    if not ours:
        return nothing(goal, record)
    if goal.of is None:
        low, high = ours.spread
        spread = f" ({show.number(low, goal.column.unit)} to {show.number(high, goal.column.unit)})" if low < high else ""
        return Verdict(show.number(ours.median, goal.column.unit) + spread, within(goal, ours.median))
    name, theirs = compared_with(goal, work, record)
    ratio = ours.over(theirs) if theirs else None
    if ratio is None:
        return Verdict("not measured", None)
    middle, low, high = ratio
    spread = f" ({show.ratio(low)} to {show.ratio(high)})" if low < high else ""
    return Verdict(f"{show.ratio(middle)} x {name}{spread}", within(goal, middle))


def nothing(goal, record):
    """The verdict where linechat has no number: to fail is not to meet a goal."""
    has_failed = any(kind == goal.ours for kind, *_ in reasons(record))
    return Verdict("failed", False) if has_failed else Verdict("not measured", None)


def within(goal, value):
    return (goal.at_least is None or value >= goal.at_least) and (goal.at_most is None or value <= goal.at_most)


def compared_with(goal, work, record):
    """Whom a goal compares with, and its numbers."""
    if goal.of == "best peer":
        peers = {kind: numbers(record, kind, goal.column) for kind in work.servers if SERVERS[kind].is_peer}
        peers = {kind: found for kind, found in peers.items() if found}
        pick = max if goal.column.more_is_better else min
        best = pick(peers, key=lambda kind: peers[kind].median, default=None)
        return (SERVERS[best].label, peers[best]) if best else ("", None)
    theirs, name = numbers(record, goal.of, goal.column), SERVERS[goal.of].label
    if goal.of == "floor":
        name = "the floor"
    if goal.fsyncs:
        theirs = Numbers({number: value + goal.fsyncs * record["fsync_us"][number] for number, value in theirs.by_round.items()})
        name += f" and {goal.fsyncs} fsyncs" + (f", which is {show.number(theirs.median, goal.column.unit)}" if theirs else "")
    return name, theirs


def growth(goal, work, record):
    """Compares the largest size with the smallest, and tells the steepest step between: the two ends alone would hide it."""
    found = [(at, numbers(record, goal.ours, goal.column, at)) for at in work.points if at >= goal.since]
    # A cost of nothing is a clock that is too coarse, and no base for a ratio.
    if not all(each and each.median > 0 for _, each in found):
        return nothing(goal, record)
    points = [(at, each.median) for at, each in found]
    (first, small), (last, large) = points[0], points[-1]
    times = large / small
    allowed = FLAT if goal.growth == "flat" else FLAT * last / first
    steps = [(after / before, low, high) for (low, before), (high, after) in zip(points, points[1:])]
    step, low, high = max(steps, key=lambda step: step[0] if goal.growth == "flat" else step[0] * step[1] / step[2])
    steepest = f"steepest {show.ratio(step)} x from {low:,} to {high:,}"
    return Verdict(f"{show.ratio(times)} x from {first:,} to {last:,} {work.of_what}; {steepest}", times <= allowed)
