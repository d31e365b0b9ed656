"""The rows, the figures that they showed, and the tables made of them.

A row is a function that is given an `Attack`, on which it notes each figure beside its bound. Nothing here runs a server.
"""

import dataclasses
import time

from attack import lab

ROWS = {}


@dataclasses.dataclass
class Figure:
    """Something that was seen, beside what lets it pass."""

    what: str
    seen: str
    bound: str
    passed: bool


def row(name, title):
    """Makes a function the attack of that name."""
    def named(function):
        ROWS[name] = (title, function)
        return function
    return named


class Attack:
    """One row on its way: its figures so far, and how much of it is asked for."""

    # How much more time an answer may take in the short form, which runs beside other tests and with a server that was built
    # without optimisation.
    SHORT_SLACK = 10
    # The same for what counts as this machine's own noise.
    SHORT_NOISE = 50

    def __init__(self, binary, full):
        self.binary, self.full, self.figures = binary, full, []

    def size(self, short, full):
        """How much of something, in this form."""
        return full if self.full else short

    def server(self, *options, **more):
        return lab.Server(self.binary, *options, **more)

    def that(self, what, seen, bound, passed):
        self.figures.append(Figure(what, str(seen), bound, bool(passed)))

    def all_of(self, what, seen, expected):
        self.that(what, f"{seen:,} of {expected:,}", "all", seen == expected and expected > 0)

    def none_of(self, what, seen, tried):
        self.that(what, f"{seen:,} in {tried:,}", "0", seen == 0 and tried > 0)

    def at_most(self, what, seen, bound, unit):
        self.that(what, f"{seen:,.3g} {unit}" if isinstance(seen, float) else f"{seen:,} {unit}", f"≤ {bound:,.6g} {unit}", seen <= bound)

    def soon(self, what, seen, bound, unit):
        """A time. The short form has a bound of its own, and says so."""
        if self.full:
            return self.at_most(what, seen, bound, unit)
        short = bound * self.SHORT_SLACK
        self.that(what, f"{seen:,.3g} {unit}", f"≤ {short:g} {unit}, short form; the row's: {bound:g}", seen <= short)

    def beside(self, what, seen, before, noise):
        """Times in ms: at most twice what they were before; in the short form, or what a busy machine's noise makes of nothing, if that is more."""
        noise *= 0 if self.full else self.SHORT_NOISE
        bound = max(2 * before, noise)
        text = f"≤ {bound:.3g} ms: 2 × the {before:.3g} before{'' if self.full else f', or {noise:g}, which is noise in the short form'}"
        self.that(what, f"{seen:.3g} ms", text, seen <= bound)

    def well(self, server):
        """Closes the hole that a dead server loses nothing."""
        why = server.is_well()
        self.that("afterwards", why or "alive, and two newcomers talk", "well", why is None)


def run(name, binary, full):
    """The figures of a row, its end, and how long it took."""
    lab.raise_descriptors()
    attack, began, skipped = Attack(binary, full), time.monotonic(), None
    try:
        ROWS[name][1](attack)
    except lab.CannotRun as why:
        skipped = str(why)
    except (lab.Broken, OSError, TimeoutError) as why:
        attack.that("it broke off", f"{type(why).__name__}: {why}", "it does not", False)
    if not attack.figures and not skipped:
        attack.that("nothing was measured", "-", "something is", False)
    return {"row": name, "seconds": time.monotonic() - began, "skipped": skipped,
            "figures": [dataclasses.asdict(figure) for figure in attack.figures]}


def has_passed(result):
    return not result["skipped"] and all(figure["passed"] for figure in result["figures"])


def cell(text):
    return " ".join("".join(c if c.isprintable() else "?" for c in text).split()).replace("|", "\\|")


def lines(result):
    """A row's part of the table."""
    name = result["row"]
    if result["skipped"]:
        yield f"| {name} | {cell(ROWS[name][0])} | SKIPPED: {cell(result['skipped'])} | | - |"
    for number, figure in enumerate(result["figures"]):
        head = f"| {name} | {cell(ROWS[name][0])}: " if number == 0 else "| | "
        passed = "yes" if figure["passed"] else "**no**"
        yield f"{head}{cell(figure['what'])} | {cell(figure['seen'])} | {cell(figure['bound'])} | {passed} |"


HEAD = "| row | attack | seen | pass | passed |\n|---|---|---|---|---|"


def summary(results):
    passed = sum(map(has_passed, results))
    skipped = sum(bool(result["skipped"]) for result in results)
    return f"{passed} of {len(results)} rows passed" + (f", {skipped} could not run here" if skipped else "")


def page(results, date, machine, version):
    """The page that keeps a run in full."""
    body = "\n".join(line for result in results for line in lines(result))
    took = sum(result["seconds"] for result in results) / 60
    return (f"# Attacks, and what they showed\n\nWritten by `scripts/attack/run --full --results tests/attack/results.md`. Each "
            f"attack is told in the module of `scripts/attack` that makes it.\n\n{date}, {version}, on {machine}. "
            f"{summary(results)}, in {took:.0f} minutes.\n\n{HEAD}\n{body}\n")
