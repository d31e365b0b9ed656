"""Writes numbers as people read them."""


def plain(value):
    """Three digits that count."""
    if value == 0:
        return "0"
    if abs(value) >= 99.5:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 9.95 else f"{value:.2f}"


def number(value, unit):
    """A number with its unit."""
    if unit == "count":
        for size, letter in ((1e6, " M"), (1e4, " k")):
            if abs(value) >= size:
                return plain(value / (1e3 if letter == " k" else size)) + letter
        return plain(value)
    if unit in ("us", "ms"):
        microseconds = value * (1000 if unit == "ms" else 1)
        for size, name in ((1e6, "s"), (1e3, "ms")):
            if microseconds >= size * 0.9995:
                return f"{plain(microseconds / size)} {name}"
        return f"{plain(microseconds)} µs"
    return f"{plain(value)} " + {"kib": "KiB", "percent": "%"}[unit]


def ratio(value):
    return f"{value:.2f}" if value < 9.95 else f"{value:.0f}"
