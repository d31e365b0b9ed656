"""Says what is plotted, and makes the plots of what was measured. How shapes are drawn is `draw`'s."""

import dataclasses
import functools

from bench import show
from bench.results import numbers, reasons
from bench.servers import SERVERS
from bench.works import (ALL_HAVE_IT_MAX, BY_SLUG, CPU, DELIVERIES, JOIN, LIST, LIST_CHANNEL, MEMORY_EACH, MESSAGES, P50, P99,
                         P999, SERVING)

# What each plays in a picture; all others are peers.
ROLES = {"memory": "first", "disk": "second", "memory-two": "first", "disk-two": "second", "floor": "floor"}


@dataclasses.dataclass(frozen=True)
class Plot:
    """A name, the work in whose part of the report it stands (none: below the goals), what it says to those who do not see it,
    and what makes its picture of the measurements."""

    name: str
    slug: str | None
    alt: str
    picture: object

    def html(self, folder=""):
        """What shows it, as a page's colours are."""
        source = f'<source media="(prefers-color-scheme: dark)" srcset="{folder}{self.name}-dark.svg">'
        return f'<picture>{source}<img src="{folder}{self.name}.svg" alt="{self.alt}"></picture>'


def drawing():
    """`draw`, which needs matplotlib: that is here once `programs.install` has been."""
    try:
        from bench import draw
    except ModuleNotFoundError as error:
        raise SystemExit(f"the plots need {error.name}: apt-get install python3-matplotlib") from None
    return draw


def name(kind):
    return "floor (no server)" if kind == "floor" else SERVERS[kind].label


def better(column):
    return "more is better" if column.more_is_better else "less is better"


def in_order(work, record, column):
    """The servers of a work, the best in this column first, those that failed last."""
    found = {kind: numbers(record, kind, column) for kind in work.servers}
    sign = -1 if column.more_is_better else 1
    return sorted(work.servers, key=lambda kind: (not found[kind], sign * found[kind].median if found[kind] else 0))


def panel(record, column, kinds, title="", head=None, has_names=True):
    """A bar of each of these servers in a column."""
    draw, found = drawing(), [numbers(record, kind, column) for kind in kinds]
    values = [(one.median, *one.spread) if one else "failed" for one in found]
    rows = [draw.Bar(name(kind), ROLES.get(kind, "peer"), value) for kind, value in zip(kinds, values)]
    head = f"{head or column.label} ({better(column)})"
    return draw.Bars(head, rows, functools.partial(show.number, unit=column.unit), title, has_names)


def bars(slug, columns, results):
    """Each server's bar in each of these columns, the best of the first column on top."""
    work, record = BY_SLUG[slug], results.get(slug)
    if not record:
        return None
    kinds = in_order(work, record, columns[0])
    panels = [panel(record, column, kinds, has_names=number == 0) for number, column in enumerate(columns)]
    return drawing().Picture(work.title, how([record]), describe(record, columns[0], kinds), panels, len(panels))


def slower(results):
    """Where others are faster, each with all who were measured, linechat in memory and on the disk."""
    wanted = [("one-at-a-time", P50, "100 readers, one message at a time", "latency p50"),
              ("pairs", MESSAGES, "1,000 users in pairs", "messages a second"),
              ("crowd", ALL_HAVE_IT_MAX, "19,000 readers, one message at a time", "slowest message"),
              ("durable", MESSAGES, "Appending to the disk", "messages a second")]
    panels, said = [], []
    for slug, column, title, head in wanted:
        if slug in results:
            kinds = in_order(BY_SLUG[slug], results[slug], column)
            panels.append(panel(results[slug], column, kinds, title, head))
            said.append(f"{title}: {describe(results[slug], column, kinds)}")
    records = [results[slug] for slug, *_ in wanted if slug in results]
    return drawing().Picture("Where others are faster", how(records), "; ".join(said), panels, 2) if panels else None


def how(records):
    """When and where it was measured, and what the thin lines are."""
    rounds, machine = {record["rounds"] for record in records}, records[0]["machine"].split(",")[0]
    dates = sorted({record["date"] for record in records})
    when = f"{machine}, {dates[0]}" + (f" to {dates[-1]}" if len(dates) > 1 else "")
    if max(rounds) == 1:
        return f"One round. {when}"
    times = f"{min(rounds)}" + (f" to {max(rounds)}" if len(rounds) > 1 else "")
    return f"Medians of {times} rounds, thin lines from the lowest to the highest. {when}"


def describe(record, column, kinds):
    found = [(SERVERS[kind].label, numbers(record, kind, column)) for kind in kinds]
    said = [f"{label} {show.number(one.median, column.unit) if one else 'has none'}" for label, one in found]
    return f"{column.label}: " + ", ".join(said)


def open_loop(results):
    """Latencies of each server at the same rate, the lowest p99 on top."""
    work, record = BY_SLUG["open-loop"], results.get("open-loop")
    if not record:
        return None
    draw, columns = drawing(), [P50, P99, P999]
    kinds = in_order(work, record, P99)
    skipped = {kind for kind, *_ in reasons(record, "skipped")}

    def values(kind):
        found = [numbers(record, kind, column) for column in columns]
        if all(found):
            return tuple(one.median for one in found)
        return "cannot carry this rate" if kind in skipped else "failed"

    rows = [draw.Bar(name(kind), ROLES.get(kind, "peer"), values(kind)) for kind in kinds]
    panels = [draw.Spans(rows, ["latency p50", "p99", "p99.9"], functools.partial(show.number, unit="us"))]
    rounds = f"Medians of {record['rounds']} rounds. " if record["rounds"] > 1 else "One round. "
    about = f"Latency from when a message was due; further left is better. {rounds}{how([record]).rpartition('. ')[2]}"
    return draw.Picture(f"{work.title}: {record['rate']:,} messages a second", about, describe(record, P99, kinds), panels)


def growth(results):
    """What grows with what, in four small charts."""
    draw = drawing()
    wanted = [("growth-channel", "CPU per delivery", "us", [("memory", CPU), ("disk", CPU), ("redis", CPU), ("floor", CPU)]),
              ("growth-memory", "Memory per connection", "kib", [("memory", MEMORY_EACH), ("redis", MEMORY_EACH)]),
              ("growth-list", "LIST and JOIN of linechat, memory", "us",
               [("memory", LIST), ("memory", LIST_CHANNEL), ("memory", JOIN)]),
              ("growth-boot", "Boot after kill -9", "ms", [("disk", SERVING)])]
    panels, said = [], []
    for slug, head, unit, series in wanted:
        curves = curves_of(slug, series, results[slug]) if slug in results else []
        if curves:
            panels.append(draw.Curves(head, curves, functools.partial(show.number, unit=unit), BY_SLUG[slug].of_what,
                                      slug in ("growth-list", "growth-boot")))
            said += [f"{head}, {curve.name}: {show.number(curve.points[0][1], unit)} to {show.number(curve.points[-1][1], unit)}"
                     for curve in curves]
    if not panels:
        return None
    records = [results[slug] for slug, *_ in wanted if slug in results]
    return draw.Picture("Cost as it grows", "Both scales are logarithmic. " + how(records), "; ".join(said), panels, 2)


def curves_of(slug, series, record):
    """The curves that have points."""
    curves, is_commands = [], slug == "growth-list"
    for (kind, column), shade in zip(series, ["first", "second", "third", "floor"]):
        found = [(at, numbers(record, kind, column, at)) for at in BY_SLUG[slug].points]
        points = [(at, one.median) for at, one in found if one and one.median > 0]
        label, role = (column.label, shade) if is_commands else (name(kind), ROLES.get(kind, "other"))
        if points:
            curves.append(drawing().Curve(label, role, points))
    return curves


def of_bars(slug, columns, alt):
    return Plot(slug, slug, alt, functools.partial(bars, slug, columns))


def first_two(slug):
    return BY_SLUG[slug].columns[:2]


PLOTS = [
    Plot("slower", None, "Where others are faster: one message at a time on the disk, pairs on the disk, a crowd, and appending", slower),
    of_bars("channel-100", [DELIVERIES, CPU], "Deliveries a second and CPU per delivery in a channel of 100, of each server"),
    of_bars("channel-5000", [DELIVERIES, CPU], "Deliveries a second and CPU per delivery in a channel of 5,000, of each server"),
    of_bars("one-at-a-time", [P50, CPU], "Latency and CPU per delivery with one message at a time, of each server"),
    of_bars("pairs", first_two("pairs"), "Messages a second and CPU per message between 1,000 users in pairs, of each server"),
    of_bars("durable", first_two("durable"), "Messages a second that are on the disk, linechat and Redis Streams"),
    of_bars("durable-pairs", first_two("durable-pairs"),
            "Messages a second that are on the disk and read, linechat and Redis Streams"),
    of_bars("durable-channel", first_two("durable-channel"),
            "Deliveries a second in a channel of 100 readers, of linechat on disk, Redis Streams and NATS JetStream"),
    of_bars("idle", [MEMORY_EACH], "Memory of each of 10,000 idle connections, of each server"),
    of_bars("connect", first_two("connect"), "Connections a second that come and leave, and the CPU of each"),
    Plot("open-loop", "open-loop", "Latencies of each server at half of the best peer's rate", open_loop),
    of_bars("two-cores", [CPU], "CPU per delivery at the same rate, of linechat on one core and on two"),
    of_bars("crowd", first_two("crowd"), "How long until 19,000 connections have a message, of each server"),
    Plot("growth", "growth-channel", "Cost per delivery, memory per connection, LIST, JOIN and boot as their sizes grow", growth),
]


def draw_all(results):
    """Each plot's files, light and dark, by their names: the SVG, or None where its works were not measured."""
    drawn = {}
    for plot in PLOTS:
        picture = plot.picture(results)
        for theme in drawing().THEMES:
            drawn[f"{plot.name}{theme.suffix}.svg"] = picture.svg(theme) if picture else None
    return drawn
