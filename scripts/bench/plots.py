"""Says what is plotted, and makes the plots of what was measured. How shapes are drawn is `svg`'s."""

import dataclasses
import functools

from bench import show, svg
from bench.results import numbers, reasons
from bench.servers import SERVERS
from bench.works import BY_SLUG, CPU, DELIVERIES, JOIN, LIST, LIST_CHANNEL, MEMORY_EACH, P50, P99, P999, SERVING

COLOURS = {"memory": "#0a5bd3", "disk": "#6ba4f4", "memory-two": "#0a5bd3", "disk-two": "#6ba4f4", "redis": "#c2352b",
           "floor": "none"}
PEER = "#a3acb6"
GROWTH_HEIGHT = 245


@dataclasses.dataclass(frozen=True)
class Plot:
    """A file, the work in whose part of the report it stands, what it says to those who do not see it, and how it is made."""

    file: str
    slug: str
    alt: str
    draw: object


def row(kind):
    server = SERVERS[kind]
    name = "floor (no server)" if kind == "floor" else server.label
    return name, COLOURS.get(kind, PEER) if kind != "redis" else PEER, server.is_ours


def better(column):
    return "more is better" if column.more_is_better else "less is better"


def bars(slug, columns, results):
    """Each server's bar in each of these columns, the best of the first column on top."""
    work, record = BY_SLUG[slug], results.get(slug)
    if not record:
        return None
    first = {kind: numbers(record, kind, columns[0]) for kind in work.servers}
    sign = -1 if columns[0].more_is_better else 1
    kinds = sorted(work.servers, key=lambda kind: (not first[kind], sign * first[kind].median if first[kind] else 0))

    def panel(column):
        found = [numbers(record, kind, column) for kind in kinds]
        values = [(one.median, *one.spread) if one else None for one in found]
        return f"{column.label} ({better(column)})", values, functools.partial(show.number, unit=column.unit)

    parts, end = svg.bars(72, [row(kind) for kind in kinds], [panel(column) for column in columns])
    return svg.document(end + 16, work.title, how(record), parts, describe(work, record, columns[0], kinds))


def how(record):
    rounds, machine = record["rounds"], record["machine"].split(",")[0]
    return f"Medians of {rounds} rounds, thin lines from the lowest to the highest. {machine}, {record['date']}" if rounds > 1 else \
        f"One round. {machine}, {record['date']}"


def describe(work, record, column, kinds):
    found = [(SERVERS[kind].label, numbers(record, kind, column)) for kind in kinds]
    said = [f"{name} {show.number(one.median, column.unit) if one else 'has none'}" for name, one in found]
    return f"{column.label}: " + ", ".join(said)


def open_loop(results):
    """Latencies of each server at the same rate, the lowest p99 on top."""
    work, record = BY_SLUG["open-loop"], results.get("open-loop")
    if not record:
        return None
    columns = [P50, P99, P999]
    found = {kind: [numbers(record, kind, column) for column in columns] for kind in work.servers}
    kinds = sorted(work.servers, key=lambda kind: (not found[kind][1], found[kind][1].median if found[kind][1] else 0))
    skipped = {kind for kind, *_ in reasons(record, "skipped")}

    def values(kind):
        if all(found[kind]):
            return [one.median for one in found[kind]]
        return "cannot carry this rate" if kind in skipped else "failed"

    parts, end = svg.spans(72, [(*row(kind), values(kind)) for kind in kinds], [column.label for column in columns],
                           functools.partial(show.number, unit="us"))
    title = f"{work.title}: {record['rate']:,} messages a second"
    return svg.document(end + 16, title, "Latency from when a message was due; further left is better. " + how(record), parts,
                        describe(work, record, P99, kinds))


def growth(results):
    """What grows with what, in four small charts."""
    panels = [("growth-channel", "CPU per delivery", [("memory", CPU), ("disk", CPU), ("redis", CPU), ("floor", CPU)], False),
              ("growth-memory", "Memory per connection", [("memory", MEMORY_EACH), ("redis", MEMORY_EACH)], False),
              ("growth-list", "LIST and JOIN, linechat", [("memory", LIST), ("memory", LIST_CHANNEL), ("memory", JOIN)], True),
              ("growth-boot", "Boot after kill -9, linechat", [("disk", SERVING)], True)]
    panels = [(slug, head, curves(slug, wanted, results), is_linear) for slug, head, wanted, is_linear in panels if slug in results]
    panels = [panel for panel in panels if panel[2]]
    if not panels:
        return None
    parts, width = [], (svg.WIDTH - 3 * svg.MARGIN) / 2
    for number, (slug, head, series, is_linear) in enumerate(panels):
        left = svg.MARGIN + number % 2 * (width + svg.MARGIN)
        top = 72 + number // 2 * GROWTH_HEIGHT
        unit = {"growth-memory": "kib"}.get(slug, "ms" if slug == "growth-boot" else "us")
        parts += svg.lines(left, top, width, GROWTH_HEIGHT, head, series, functools.partial(show.number, unit=unit),
                           BY_SLUG[slug].of_what, is_linear)
    height = 72 + (len(panels) + 1) // 2 * GROWTH_HEIGHT
    said = "; ".join(f"{head}, {name}: {show.plain(curve[0][1])} to {show.plain(curve[-1][1])}"
                     for _, head, series, _ in panels for name, _, _, curve in series)
    return svg.document(height, "Cost as it grows", "Both scales are logarithmic. " + how(results[panels[0][0]]), parts, said)


def curves(slug, wanted, results):
    """The series that have points."""
    shades = ["#0a5bd3", "#6ba4f4", "#8250df"]
    series = []
    for kind, column in wanted:
        found = [(at, numbers(results[slug], kind, column, at)) for at in BY_SLUG[slug].points]
        points = [(at, one.median) for at, one in found if one and one.median > 0]
        if slug == "growth-list":
            name, colour = column.label, shades[len(series) % len(shades)]
        else:
            name, colour = SERVERS[kind].label.replace("linechat, ", ""), COLOURS.get(kind, PEER)
        if points:
            series.append((name, svg.FAINT if colour == "none" else colour, "4 3" if kind == "floor" else "", points))
    return series


def of_bars(slug, columns, alt):
    return Plot(f"{slug}.svg", slug, alt, functools.partial(bars, slug, columns))


def first_two(slug):
    return BY_SLUG[slug].columns[:2]


PLOTS = [
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
    Plot("open-loop.svg", "open-loop", "Latencies of each server at half of the best peer's rate", open_loop),
    of_bars("two-cores", [CPU], "CPU per delivery at the same rate, of linechat on one core and on two"),
    of_bars("crowd", first_two("crowd"), "How long until 19,000 connections have a message, of each server"),
    Plot("growth.svg", "growth-channel", "Cost per delivery, memory per connection, LIST, JOIN and boot as their sizes grow", growth),
]


def draw_all(results):
    """The SVG of each plot by its file, of those whose works were measured."""
    drawn = {plot.file: plot.draw(results) for plot in PLOTS}
    return {file: picture for file, picture in drawn.items() if picture}
