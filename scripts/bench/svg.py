"""Draws charts as SVG: bars, spans and lines. Text stays text, and a white ground keeps them legible on a dark page.

Knows shapes and scales, and nothing of servers: who calls says the colours.
"""

import math
import re
from xml.sax.saxutils import escape

FONT = "system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif"
INK, FAINT, GRID = "#1f2328", "#59636e", "#e4e8ec"
WIDTH = 860
MARGIN = 20
LABELS = 165
VALUES = 62
ROW = 27
BAR = 17
# A bar so many times as long as the next one is cut, or nobody could tell the others apart.
CUT = 3


def fixed(value):
    return f"{value:.1f}".rstrip("0").rstrip(".")


def text(x, y, words, size=12, anchor="start", fill=INK, weight="400"):
    bold = f' font-weight="{weight}"' if weight != "400" else ""
    where = f' text-anchor="{anchor}"' if anchor != "start" else ""
    return f'<text x="{fixed(x)}" y="{fixed(y)}" font-size="{size}"{where} fill="{fill}"{bold}>{escape(words)}</text>'


def line(x1, y1, x2, y2, stroke=GRID, width=1, dash=""):
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    ends = f'x1="{fixed(x1)}" y1="{fixed(y1)}" x2="{fixed(x2)}" y2="{fixed(y2)}"'
    return f'<line {ends} stroke="{stroke}" stroke-width="{width}"{dashes}/>'


def bar(x, y, width, colour):
    outline = f' stroke="{FAINT}" stroke-dasharray="3 2"' if colour == "none" else ""
    return f'<rect x="{fixed(x)}" y="{fixed(y)}" width="{fixed(max(width, 1))}" height="{BAR}" rx="2" fill="{colour}"{outline}/>'


def dot(x, y, colour, radius=4):
    return f'<circle cx="{fixed(x)}" cy="{fixed(y)}" r="{radius}" fill="{colour}"/>'


def document(height, title, subtitle, parts, description):
    """A whole picture with its title. The description is for those who do not see it."""
    head = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {fixed(height)}" width="{WIDTH}" '
            f'height="{fixed(height)}" font-family="{FONT}" role="img">',
            f"<title>{escape(title)}</title>", f"<desc>{escape(description)}</desc>",
            f'<rect width="{WIDTH}" height="{fixed(height)}" rx="6" fill="#ffffff"/>',
            text(MARGIN, 30, title, 16, weight="600"), text(MARGIN, 49, subtitle, 12, fill=FAINT)]
    return "\n".join([*head, *parts, "</svg>"]) + "\n"


def bars(top, rows, panels):
    """Bars side by side under shared names. Rows are (name, colour, is bold); a panel is (head, values, show), where a value is
    (middle, low, high) or None. Returns the parts and where they end."""
    parts, width = [], (WIDTH - 2 * MARGIN - LABELS) / len(panels)
    for index, (name, _, is_bold) in enumerate(rows):
        y = top + 24 + index * ROW
        parts.append(text(MARGIN + LABELS - 12, y + BAR - 4, name, 13, "end", weight="600" if is_bold else "400"))
    for number, (head, values, show) in enumerate(panels):
        left = MARGIN + LABELS + number * width
        *_, second, longest = [0, 0, *sorted(value[2] for value in values if value)]
        is_cut = second > 0 and longest > CUT * second
        end = width - VALUES - 18
        scale = end / ((1.25 * second if is_cut else longest) or 1)
        parts.append(text(left, top + 10, head, 12, fill=FAINT))
        parts.append(line(left, top + 18, left, top + 24 + len(rows) * ROW - 4, FAINT))
        for index, ((_, colour, is_bold), value) in enumerate(zip(rows, values)):
            y = top + 24 + index * ROW
            if value is None:
                parts.append(text(left + 6, y + BAR - 4, "failed", 12, fill=FAINT))
                continue
            middle, low, high = value
            if high * scale > end + 1:
                # The gap says that the bar goes on.
                parts += [bar(left, y, end - 22, colour), bar(left + end - 16, y, 16, colour)]
                high = low = end / scale
            else:
                parts.append(bar(left, y, middle * scale, colour))
            if high > low:
                parts.append(line(left + low * scale, y + BAR / 2, left + high * scale, y + BAR / 2, INK, 1.2))
            parts.append(text(left + high * scale + 6, y + BAR - 4, show(middle), 12, weight="600" if is_bold else "400"))
    return parts, top + 24 + len(rows) * ROW


def decades(low, high):
    """The powers of ten around a span, no fewer than two."""
    first = math.floor(math.log10(low))
    return [10.0**power for power in range(first, max(math.ceil(math.log10(high)), first + 1) + 1)]


def logarithmic(ticks, start, end):
    """Where a value lies between two places."""
    low, high = math.log10(ticks[0]), math.log10(ticks[-1])
    return lambda value: start + (math.log10(value) - low) / (high - low) * (end - start)


def spans(top, rows, names, show):
    """Several numbers of each row on one logarithmic scale. Rows are (name, colour, is bold, values or why there are none)."""
    every = [value for row in rows if not isinstance(row[3], str) for value in row[3]]
    left, right, bottom = MARGIN + LABELS, WIDTH - MARGIN - 20, top + 24 + len(rows) * ROW
    if not every:
        return [], bottom
    ticks = decades(min(every), max(every))
    place = logarithmic(ticks, left, right)
    parts = []
    for tick in ticks:
        parts.append(line(place(tick), top + 18, place(tick), bottom))
        parts.append(text(place(tick), bottom + 14, whole(show(tick)), 11, "middle", FAINT))
    for index, (name, colour, is_bold, values) in enumerate(rows):
        y = top + 24 + index * ROW + BAR / 2
        parts.append(text(left - 12, y + 4, name, 13, "end", weight="600" if is_bold else "400"))
        if isinstance(values, str):
            parts.append(text(left + 6, y + 4, values, 12, fill=FAINT))
            continue
        ink = FAINT if colour == "none" else colour
        parts.append(line(place(values[0]), y, place(values[-1]), y, ink, 2))
        for number, value in enumerate(values):
            parts.append(dot(place(value), y, ink, 3 + 1.5 * number))
    legend = MARGIN + LABELS
    for number, name in enumerate(names):
        parts += [dot(legend + 5, top + 6, FAINT, 3 + 1.5 * number), text(legend + 15, top + 10, name, 12, fill=FAINT)]
        legend += 34 + 6 * len(name)
    return parts, bottom + 18


def lines(left, top, width, height, head, series, show, of_what, guide=False):
    """Curves over sizes, both scales logarithmic. Series are (name, colour, dash, points). The guide is what linear growth would
    be from the first point of the first."""
    points = [point for _, _, _, curve in series for point in curve]
    xs = sorted({x for x, _ in points})
    x0, x1, y0, y1 = left + 52, left + width - 92, top + height - 60, top + 26
    ticks = decades(min(y for _, y in points), max(y for _, y in points))
    place_x, place_y = logarithmic([xs[0], xs[-1]], x0, x1), logarithmic(ticks, y0, y1)
    parts = [text(left, top + 10, head, 13, weight="600")]
    for tick in ticks:
        parts += [line(x0, place_y(tick), x1, place_y(tick)), text(x0 - 6, place_y(tick) + 4, whole(show(tick)), 11, "end", FAINT)]
    for x in xs:
        parts.append(text(place_x(x), y0 + 16, size(x), 11, "middle", FAINT))
    parts.append(text((x0 + x1) / 2, y0 + 32, of_what, 11, "middle", FAINT))
    if guide:
        start, end = series[0][3][0], xs[-1]
        top_y = start[1] * end / start[0]
        end, top_y = (end, top_y) if top_y <= ticks[-1] else (start[0] * ticks[-1] / start[1], ticks[-1])
        parts.append(line(place_x(start[0]), place_y(start[1]), place_x(end), place_y(top_y), FAINT, 1, "2 3"))
        # Left of the line, two thirds of the way up.
        near_x, near_y = (a + (b - a) * 0.67 for a, b in ((place_x(start[0]), place_x(end)), (place_y(start[1]), place_y(top_y))))
        parts.append(text(near_x - 8, near_y, "linear", 11, "end", FAINT))
    taken = []
    for name, colour, dash, curve in sorted(series, key=lambda one: one[3][-1][1]):
        path = " ".join(f"{fixed(place_x(x))},{fixed(place_y(y))}" for x, y in curve)
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>')
        parts += [dot(place_x(x), place_y(y), colour, 3) for x, y in curve]
        y = place_y(curve[-1][1]) + 4
        # Names do not lie on each other; they are placed from the bottom up.
        y = min([y, *[other - 13 for other in taken]])
        taken.append(y)
        parts.append(text(place_x(curve[-1][0]) + 9, y, name, 12, fill=colour, weight="600"))
    return parts


def whole(shown):
    """A power of ten without the zeros that say how exact it is."""
    return re.sub(r"\.0+(?= )|(\.\d*?)0+(?= )", r"\1", shown)


def size(value):
    for unit, letter in ((1_000_000, "M"), (1000, "k")):
        if value >= unit:
            return f"{value / unit:g}{letter}"
    return f"{value:g}"
