"""What the long trials share (`scripts/soak`, `scripts/recovery`, `scripts/overload`): their options, and their verdicts.

A trial is a function that is given an `Attack` at its whole size, on which it notes each figure beside its bound. Nothing here
runs a server.
"""

import argparse
import json
import pathlib
import signal
import subprocess
import sys

from attack import lab, table

ROOT = pathlib.Path(__file__).resolve().parents[2]


def build():
    """The server, built from this source."""
    subprocess.run(["cargo", "build", "--release", "--locked"], cwd=ROOT, check=True)
    metadata = subprocess.run(["cargo", "metadata", "--format-version", "1", "--no-deps"], cwd=ROOT, check=True, capture_output=True)
    return pathlib.Path(json.loads(metadata.stdout)["target_directory"], "release", "linechat")


def parser(doc):
    """The options of every trial; it may add its own."""
    options = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--binary", type=pathlib.Path, help="the server; built when it is not given")
    return options


def say(text):
    print(text, flush=True)


def run(function, chosen):
    """Runs a trial, prints its figures, and ends this process: with 1 if a bound was missed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    lab.raise_descriptors()
    attack = table.Attack(str((chosen.binary or build()).resolve()), full=True)
    try:
        function(attack, chosen)
    except (lab.Broken, OSError) as why:
        attack.that("it broke off", f"{type(why).__name__}: {why}", "it does not", False)
    say("\n| figure | seen | pass | passed |\n|---|---|---|---|")
    for figure in attack.figures:
        cells = map(table.cell, (figure.what, figure.seen, figure.bound))
        say(f"| {' | '.join(cells)} | {'yes' if figure.passed else '**no**'} |")
    passed = bool(attack.figures) and all(figure.passed for figure in attack.figures)
    say("\npassed" if passed else "\nfailed")
    sys.exit(0 if passed else 1)
