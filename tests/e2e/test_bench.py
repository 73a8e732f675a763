# SPDX-License-Identifier: BSD-3-Clause
"""tools/bench, all but its timings: what it lists and refuses, its arithmetic, its measure of memory. Needs no PyTorch."""
import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import TESTS

TOOLS = TESTS.parent / "tools"
sys.path.insert(0, str(TOOLS))

from eoc_bench import check, measure, report, rows, sides  # noqa: E402

MIB = 2**20


def bench(*arguments, program=None):
    """tools/bench itself, or with a program the part behind the set-up."""
    if program is None:
        command = [str(TOOLS / "bench"), *arguments]
    else:
        command = [sys.executable, "-B", "-m", "eoc_bench", "--program", str(program), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(TOOLS)}, check=False)


def test_list_names_every_row():
    done = bench("--list")
    assert done.returncode == 0 and done.stderr == ""
    assert [line.split()[0] for line in done.stdout.splitlines()] == [row.name for row in rows.ROWS]


@pytest.mark.parametrize("arguments", [("--row", "gausian-1000"), ("--fast",), ("--row",)])
def test_a_mistake_is_one_sentence(arguments):
    """Exit code 2 before anything is installed or built; a wrong row is answered with the right ones."""
    done = bench(*arguments)
    assert done.returncode == 2 and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("tools/bench: ")
    if arguments[-1] == "gausian-1000":
        assert all(row.name in done.stderr for row in rows.ROWS)


REFUSING = """#!/bin/sh
if [ "$1" = --version ]; then
    printf 'eoc 9.9.9\\nOpen MPI\\n'
    exit 0
fi
echo "sweep.yaml:7:3: probe.sampler: unknown sampler" >&2
exit 2
"""


def test_an_eoc_that_refuses(tmp_path):
    """Its own sentence is told, for every row, and the exit code is not zero."""
    program = tmp_path / "eoc"
    program.write_text(REFUSING)
    program.chmod(0o755)
    names = ["million", "explicit-1000", "theory-map"]  # in the order of the table
    done = bench(*[part for name in names for part in ("--row", name)], "--json", str(tmp_path / "bench.json"), program=program)
    assert done.returncode == 1
    for name in names:
        assert f"bench: {name} was not measured: eoc refuses the work (exit code 2): sweep.yaml:7:3: " in done.stderr
    assert done.stdout.count("| not measured: eoc refuses the work") == 3
    written = json.loads((tmp_path / "bench.json").read_text())
    assert [row["name"] for row in written["rows"]] == names
    assert all("unknown sampler" in row["failure"] for row in written["rows"])


def measured(row, eoc, beside):
    return measure.Measured(row, [[sides.Sample(value) for value in eoc], [sides.Sample(value) for value in beside]])


def test_ratio_of_neighbours_per_layer():
    """By hand: 100 layers in 1, 2, 4 s beside 4 layers in 2, 8, 4 s are 50, 100 and 25 times; their median is 50."""
    eoc = sides.EocProbe("gaussian", "implicit", ("forward",), 10, 100, (1, 1))
    torch = sides.TorchProbe("gaussian", ("forward",), 10, 4, (1, 1))
    result = measured(rows.Row("a", "b", "c", eoc, torch), [1, 2, 4], [2, 8, 4])
    assert result.ratios() == pytest.approx([50, 100, 25], rel=1e-15)
    assert report.ratio_text(result) == "**50.0** (25.0 to 100)"
    assert report.side_text(result, 0) == "20.0 ms (10.0 to 40.0) a layer; network 2.00 s"


def test_ratio_of_sizes():
    """By hand: 2 s for 1000 units beside 0.5 s for 100, equal layers, is 0.4 times as long a unit."""
    large = sides.EocProbe("gaussian", "implicit", ("forward",), 1000, 20, (1, 1))
    small = sides.EocProbe("gaussian", "implicit", ("forward",), 100, 20, (1, 1))
    result = measured(rows.Row("a", "b", "c", large, small, unit=rows.ENTRY, inverse=True), [2], [0.5])
    assert result.ratios() == pytest.approx([0.4], rel=1e-15)


def test_check_counts_standard_errors():
    """By hand: 0, 2 and 3, 5 have means 1 and 4 with standard errors 1 and 1: 3/sqrt(2) of the difference's own. NaN never agrees."""
    (comparison,) = check.compare({"c": np.array([[0.0], [2.0]])}, {"c": np.array([[3.0], [5.0]])})
    assert comparison.layer is None and comparison.errors == pytest.approx(3 / math.sqrt(2), rel=1e-15)
    (comparison,) = check.compare({"c": np.array([[0.0], [math.nan]])}, {"c": np.array([[3.0], [5.0]])})
    assert not comparison.errors <= check.MOST_ERRORS


def test_peak_memory_is_the_child_s_own():
    """A command that touches 200 MiB, and one that touches none under this process with its HDF5 and NumPy."""
    touch = "import time; block = bytearray(200 << 20); block[::4096] = b'x' * len(block[::4096]); time.sleep(0.2)"
    _, peak = sides.run_command([sys.executable, "-S", "-c", touch])
    assert 200 * MIB < peak < 260 * MIB
    _, peak = sides.run_command(["sleep", "0.2"])
    assert 0 < peak < 10 * MIB
