# SPDX-License-Identifier: BSD-3-Clause
"""Rounds of a row, both sides in turn, so that what else the machine does falls on both; medians and spread."""
import itertools
import os
import statistics
import sys
import tempfile
from dataclasses import dataclass, field

from .sides import NotMeasured, choose, kind_of_check


def say(text):
    print(f"-- {text}", file=sys.stderr, flush=True)


class Bench:
    """What the sides need of their host: the program, a folder for files, a place for versions."""

    def __init__(self, program):
        self.program = program
        self.versions = {}
        self.folder = tempfile.TemporaryDirectory(prefix="eoc-bench-")
        self.numbers = itertools.count()

    def new_path(self, ending):
        return os.path.join(self.folder.name, f"{next(self.numbers)}.{ending}")


@dataclass
class Spread:
    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values):
        return cls(statistics.median(values), min(values), max(values))


@dataclass
class Measured:
    """A row's samples, a list for each side; or the reason why there are none."""

    row: object
    samples: list = field(default_factory=list)
    failure: str = ""

    @property
    def sides(self):
        return [side for side in (self.row.eoc, self.row.beside) if side is not None]

    def values(self, index):
        """Seconds per unit of the row, a round each."""
        count = self.row.unit.count(self.sides[index])
        return [sample.seconds / count for sample in self.samples[index]]

    def ratios(self):
        """Of every round: neighbours in time are compared."""
        if len(self.sides) < 2:
            return []
        top, bottom = (0, 1) if self.row.inverse else (1, 0)
        return [a / b for a, b in zip(self.values(top), self.values(bottom))]


def measure_row(bench, row, quick):
    measured = Measured(row)
    sides = measured.sides
    started = []
    try:
        for side in sides:
            started.append(side)
            side.start(bench, quick)
        measured.samples = [[] for _ in sides]
        for number in range(choose(row.rounds, quick)):
            for side, samples in zip(sides, measured.samples):
                samples.append(side.measure())
            values = ", ".join(f"{samples[-1].seconds:.4g} s" for samples in measured.samples)
            say(f"{row.name}, round {number + 1}: {values}")
    except NotMeasured as reason:
        measured.failure = str(reason)
        say(f"{row.name}: not measured: {reason}")
    finally:
        for side in started:
            side.stop()
    return measured


@dataclass
class Check:
    """Whether both sides compute the same thing, at small width and depth."""

    title: str
    output: str = ""
    failure: str = ""


def check_rows(bench, rows):
    """One check for each kind of work that the rows compare, before anything is timed."""
    checks = {}
    for row in rows:
        found = kind_of_check(row.eoc, row.beside)
        if found is None or found[0] in checks:
            continue
        kind, title, check_sides = found
        check = Check(title)
        try:
            check.output = check_sides(bench, row.eoc, row.beside)
        except NotMeasured as reason:
            check.failure = str(reason)
        say(f"check of {check.title}: {check.failure or 'both sides agree'}")
        checks[kind] = check
    return checks


def measure_rows(bench, rows, checks, quick):
    """A row whose sides do not compute the same is not timed."""
    results = []
    for row in rows:
        found = kind_of_check(row.eoc, row.beside)
        check = checks.get(found[0]) if found else None
        failed = check is not None and check.failure
        results.append(Measured(row, failure=check.failure) if failed else measure_row(bench, row, quick))
    return results
