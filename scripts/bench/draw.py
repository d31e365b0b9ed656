"""Draws charts with matplotlib, on a light and on a dark ground: bars, spans and curves.

Knows shapes, scales and colours, and nothing of servers: who calls says which role each plays. What it draws depends on what it
is given and nothing else, no date and no chance, and its text stays text.
"""

import dataclasses
import io
import logging
import math
import re

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

# Lengths are in pixels, of which matplotlib's inch has 72 here.
INCH = 72
WIDTH = 860
MARGIN = 20
HEAD = 74
ROW = 26
BAR = 0.66
# What a character of a name takes, by its weight, and what lies between names and bars.
CHARACTER = {"normal": 6.9, "bold": 7.9}
NAME_GAP = 10
# What stands behind the longest bar, and before a curve.
VALUES, SCALE = 70, 54
# Lines of heads and legends.
LINE = 22
CURVES = 150
# Panels keep this between them.
APART = 24
# A bar so many times as long as the next one is cut, or nobody could tell the others apart.
CUT = 3
CUT_GAP, CUT_TAIL = 6, 16

SETTINGS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "linechat",
    # DejaVu comes with matplotlib, so that all machines lay the text out alike; it is wider than what others have.
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Helvetica", "Arial"],
}


@dataclasses.dataclass(frozen=True)
class Theme:
    """The colours of a ground. The palette is Okabe and Ito's, which the colour-blind can tell apart: blues are linechat's alone,
    who is beside it is grey, or vermilion among curves."""

    suffix: str
    ground: str
    ink: str
    faint: str
    grid: str
    roles: dict


LIGHT = Theme("", "#ffffff", "#1f2328", "#59636e", "#dfe4e9",
              {"first": "#0072b2", "second": "#56b4e9", "third": "#009e73", "other": "#d55e00", "peer": "#a1a9b3",
               "floor": "#59636e"})
DARK = Theme("-dark", "#0d1117", "#e6edf3", "#9198a1", "#2d333b",
             {"first": "#56b4e9", "second": "#1f78b4", "third": "#2bbd91", "other": "#e8743b", "peer": "#616b77",
              "floor": "#9198a1"})
THEMES = [LIGHT, DARK]
MARKERS = {"first": "o", "second": "s", "third": "^", "other": "D", "floor": ""}


@dataclasses.dataclass(frozen=True)
class Bar:
    """A row: its name, its role, and (middle, low, high), or why there is none."""

    name: str
    role: str
    value: object

    @property
    def weight(self):
        return "bold" if self.role in ("first", "second") else "normal"


@dataclasses.dataclass(frozen=True)
class Bars:
    """A panel of bars: what they are lengths of, its title if it has its own, and the names of the rows unless the panel beside it
    has them."""

    head: str
    rows: list
    show: object
    title: str = ""
    has_names: bool = True

    @property
    def margin(self):
        return margin(self.rows) if self.has_names else 0

    @property
    def height(self):
        return (2 if self.title else 1) * LINE + len(self.rows) * ROW

    def draw(self, figure, left, top, indent, width, theme):
        write_title(figure, left, top, self.title, theme)
        head = self.height - len(self.rows) * ROW
        axes = panel(figure, left + indent, top + head, width, len(self.rows) * ROW)
        axes.set_ylim(len(self.rows) - 0.5, -0.5)
        write(axes, (0, 1), (0, 8), self.head, theme.faint, 12, xycoords="axes fraction")
        axes.spines["left"].set(visible=True, color=theme.faint)
        *_, second, longest = [0, 0, *sorted(row.value[2] for row in self.rows if isinstance(row.value, tuple))]
        is_cut = second > 0 and longest > CUT * second
        end = width - VALUES
        pixel = ((1.25 * second if is_cut else longest) or 1) / end
        axes.set_xlim(0, width * pixel)
        for at, row in enumerate(self.rows):
            if self.has_names:
                write(axes, (0, at), (-NAME_GAP, -4), row.name, theme.ink, 12.5, row.weight, "right")
            if not isinstance(row.value, tuple):
                write(axes, (0, at), (6, -4), row.value, theme.faint, 12)
                continue
            middle, low, high = row.value
            if high > end * pixel * 1.001:
                # The gap says that the bar goes on.
                bar(axes, at, 0, (end - CUT_TAIL - CUT_GAP) * pixel, row.role, theme)
                bar(axes, at, (end - CUT_TAIL) * pixel, CUT_TAIL * pixel, row.role, theme)
                high = end * pixel
            else:
                bar(axes, at, 0, max(middle, pixel), row.role, theme)
                if high > low:
                    axes.plot([low, high], [at, at], color=theme.ink, linewidth=1.3, clip_on=False)
            write(axes, (high, at), (6, -4), self.show(middle), theme.ink, 12, row.weight)


@dataclasses.dataclass(frozen=True)
class Spans:
    """Several numbers of each row on one logarithmic scale. `names` are what the numbers are called."""

    rows: list
    names: list
    show: object

    @property
    def margin(self):
        return margin(self.rows)

    @property
    def height(self):
        return 2 * LINE + len(self.rows) * ROW

    def draw(self, figure, left, top, indent, width, theme):
        axes = panel(figure, left + indent, top + LINE, width - MARGIN, len(self.rows) * ROW)
        axes.set_ylim(len(self.rows) - 0.5, -0.5)
        every = [value for row in self.rows if isinstance(row.value, tuple) for value in row.value]
        if every:
            ticks = decades(min(every), max(every))
            logarithmic(axes.xaxis, ticks, [whole(self.show(tick)) for tick in ticks], theme)
            axes.grid(axis="x", color=theme.grid, linewidth=1)
        sizes = [7 + 2.5 * number for number in range(len(self.names))]
        for at, row in enumerate(self.rows):
            write(axes, (0, at), (-NAME_GAP, -4), row.name, theme.ink, 12.5, row.weight, "right", ("axes fraction", "data"))
            if not isinstance(row.value, tuple):
                write(axes, (0, at), (6, -4), row.value, theme.faint, 12, xycoords=("axes fraction", "data"))
                continue
            colour, dash = theme.roles[row.role], dashes(row.role)
            axes.plot([row.value[0], row.value[-1]], [at, at], dash, color=colour, linewidth=2)
            for value, mark, size in zip(row.value, "od^", sizes):
                axes.plot([value], [at], mark, color=colour, markersize=size, markeredgecolor=theme.ground, zorder=3)
        marks = [Line2D([], [], linestyle="", marker=mark, color=theme.faint, markersize=size) for mark, size in zip("od^", sizes)]
        legend(axes, marks, self.names, theme, LINE + 4)


@dataclasses.dataclass(frozen=True)
class Curve:
    """A name, a role and points (size, value)."""

    name: str
    role: str
    points: list


@dataclasses.dataclass(frozen=True)
class Curves:
    """Curves over sizes, both scales logarithmic. With `has_guide`, also what linear growth would be from the first point."""

    head: str
    curves: list
    show: object
    of_what: str
    has_guide: bool = False
    margin = SCALE
    height = 5 * LINE + CURVES

    def draw(self, figure, left, top, indent, width, theme):
        write_title(figure, left, top, self.head, theme)
        axes = panel(figure, left + indent, top + 3 * LINE + 4, width - MARGIN, CURVES)
        points = [point for curve in self.curves for point in curve.points]
        sizes = sorted({size for size, _ in points})
        ticks = decades(min(value for _, value in points), max(value for _, value in points))
        logarithmic(axes.yaxis, ticks, [whole(self.show(tick)) for tick in ticks], theme)
        logarithmic(axes.xaxis, sizes, [short(size) for size in sizes], theme)
        axes.grid(axis="y", color=theme.grid, linewidth=1)
        axes.set_xlabel(self.of_what, color=theme.faint, fontsize=11)
        for curve in self.curves:
            colour, dash = theme.roles[curve.role], dashes(curve.role)
            axes.plot(*zip(*curve.points), dash, marker=MARKERS[curve.role], color=colour, linewidth=2, markersize=5.5,
                      label=curve.name, clip_on=False, zorder=3)
        if self.has_guide:
            (start, value), end = self.curves[0].points[0], sizes[-1]
            # As far as the scale goes.
            end = min(end, start * ticks[-1] / value)
            axes.plot([start, end], [value, value * end / start], ":", color=theme.faint, linewidth=1.3, label="linear growth")
        legend(axes, *axes.get_legend_handles_labels(), theme, 2 * LINE + 4)


@dataclasses.dataclass(frozen=True)
class Picture:
    """A title, what is to be known of it, panels in rows of so many, and a description for those who do not see it."""

    title: str
    subtitle: str
    description: str
    panels: list
    across: int = 1

    def svg(self, theme):
        """The picture on this ground."""
        rows = [self.panels[at : at + self.across] for at in range(0, len(self.panels), self.across)]
        heights = [max(one.height for one in row) for row in rows]
        height = HEAD + sum(heights) + (len(rows) - 1) * APART + MARGIN
        # findfont warns of each font that is for other machines.
        logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
        with matplotlib.rc_context():
            # What a user has set for other pictures is nothing to these.
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(SETTINGS)
            figure = Figure(figsize=(WIDTH / INCH, height / INCH), dpi=INCH, facecolor=theme.ground)
            figure.text(MARGIN / WIDTH, 1 - 30 / height, self.title, color=theme.ink, fontsize=16, weight="bold")
            figure.text(MARGIN / WIDTH, 1 - 50 / height, self.subtitle, color=theme.faint, fontsize=11.5)
            columns = [self.panels[at :: self.across] for at in range(self.across)]
            indents = [max((one.margin for one in column), default=0) for column in columns]
            width = (WIDTH - 2 * MARGIN - (self.across - 1) * APART - sum(indents)) / self.across
            top = HEAD
            for row, tallest in zip(rows, heights):
                left = MARGIN
                for one, indent in zip(row, indents):
                    one.draw(figure, left, top, indent, width, theme)
                    left += indent + width + APART
                top += tallest + APART
            file = io.StringIO()
            about = {"Title": self.title, "Description": self.description, "Date": None}
            FigureCanvasSVG(figure).print_svg(file, metadata=about)
        return file.getvalue()


def panel(figure, left, top, width, height):
    """Bare axes at this place."""
    whole_width, whole_height = figure.get_size_inches() * INCH
    box = [left / whole_width, 1 - (top + height) / whole_height, width / whole_width, height / whole_height]
    axes = figure.add_axes(box, facecolor="none")
    axes.spines[:].set_visible(False)
    axes.set_xticks([])
    axes.set_yticks([])
    return axes


def margin(rows):
    """What the names of rows take."""
    return max(len(row.name) * CHARACTER[row.weight] for row in rows) + NAME_GAP


def write_title(figure, left, top, words, theme):
    """The title of a panel, if it has one."""
    if words:
        width, height = figure.get_size_inches() * INCH
        figure.text(left / width, 1 - (top + 12) / height, words, color=theme.ink, fontsize=13, weight="bold")


def write(axes, where, offset, words, colour, size, weight="normal", align="left", xycoords="data"):
    """Words so many pixels from a place in the axes."""
    axes.annotate(words, xy=where, xytext=offset, xycoords=xycoords, textcoords="offset points", color=colour, fontsize=size,
                  weight=weight, ha=align, annotation_clip=False)


def bar(axes, at, left, width, role, theme):
    if role == "floor":
        look = {"facecolor": "none", "edgecolor": theme.faint, "linestyle": (0, (3, 2)), "linewidth": 1}
    else:
        look = {"facecolor": theme.roles[role]}
    axes.barh(at, width, height=BAR, left=left, clip_on=False, **look)


def dashes(role):
    return "--" if role == "floor" else "-"


def legend(axes, handles, names, theme, above):
    """What is what, so far above the axes."""
    place = (0, 1 + above / (axes.get_position().height * axes.figure.get_figheight() * INCH))
    axes.legend(handles, names, loc="upper left", bbox_to_anchor=place, ncol=2 if len(names) == 4 else 3, fontsize=11,
                frameon=False, labelcolor=theme.ink, borderaxespad=0, borderpad=0, columnspacing=1.4, handlelength=2.2, handletextpad=0.6)


def logarithmic(axis, ticks, labels, theme):
    """A logarithmic axis between the first tick and the last."""
    getattr(axis.axes, f"set_{axis.axis_name}scale")("log")
    axis.set_minor_locator(NullLocator())
    axis.set_ticks(ticks, labels, color=theme.faint, fontsize=11)
    getattr(axis.axes, f"set_{axis.axis_name}lim")(ticks[0], ticks[-1])
    axis.set_tick_params(labelleft=True, labelbottom=True, length=0, pad=8)


def decades(low, high):
    """The powers of ten around a span, no fewer than two."""
    first = math.floor(math.log10(low))
    return [10.0**power for power in range(first, max(math.ceil(math.log10(high)), first + 1) + 1)]


def whole(shown):
    """A power of ten without the zeros that say how exact it is."""
    return re.sub(r"\.0+(?= )|(\.\d*?)0+(?= )", r"\1", shown)


def short(size):
    for unit, letter in ((1_000_000, "M"), (1000, "k")):
        if size >= unit:
            return f"{size / unit:g}{letter}"
    return f"{size:g}"
