"""Reads and writes `peers.json`, which keeps every measurement, and answers questions about it.

A work that is measured again replaces its own part only: machines drift, and each part says when and where it was measured.
"""

import json
import math
import statistics


def read(path):
    return json.loads(path.read_text()) if path.exists() else {}


def write(path, results):
    path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")


class Numbers:
    """The numbers of one column, of one server and perhaps one size: the median, and the spread over the rounds."""

    def __init__(self, by_round):
        self.by_round = {number: value for number, value in by_round.items() if value is not None and math.isfinite(value)}

    def __bool__(self):
        return bool(self.by_round)

    @property
    def median(self):
        return statistics.median(self.by_round.values())

    @property
    def spread(self):
        return min(self.by_round.values()), max(self.by_round.values())

    def over(self, other):
        """The ratio to another's: the median of the ratios of the rounds that both have, and their spread. Not the ratio of the
        medians, which may be of different rounds: between them the machine may have become half as fast."""
        ratios = [self.by_round[number] / other.by_round[number] for number in self.by_round if other.by_round.get(number)]
        return (statistics.median(ratios), min(ratios), max(ratios)) if ratios else None


def numbers(record, server, column, at=None):
    """What was measured of a server in a column."""
    runs = [run for run in record["runs"] if run["server"] == server and run.get("at") == at and "measured" in run]
    return Numbers({run["round"]: run["measured"].get(column.key) for run in runs})


def reasons(record, kind="failed"):
    """Why servers "failed" or were "skipped", each reason once, with how often: (server, at, reason, times)."""
    counted = {}
    for run in record["runs"]:
        if kind in run:
            key = (run["server"], run.get("at"), run[kind])
            counted[key] = counted.get(key, 0) + 1
    return [(*key, times) for key, times in counted.items()]
