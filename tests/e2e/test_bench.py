# SPDX-License-Identifier: BSD-3-Clause
"""tools/bench, all but its timings: what it lists and refuses, its arithmetic, its measure of memory. Needs no PyTorch."""
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import numpy_net
import pytest
from conftest import PROGRAM, TESTS

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
    names = ["million", "explicit-1000", "train-256", "theory-map"]  # in the order of the table
    done = bench(*[part for name in names for part in ("--row", name)], "--json", str(tmp_path / "bench.json"), program=program)
    assert done.returncode == 1
    for name in names:
        assert f"bench: {name} was not measured: eoc refuses the work (exit code 2): sweep.yaml:7:3: " in done.stderr
    assert done.stdout.count("| not measured: eoc refuses the work") == 4
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


FAKE = """#!/usr/bin/python3
import re, sys
import h5py
text = open(sys.argv[-1]).read()
steps = int(re.search("steps: ([0-9]+)", text).group(1))
with h5py.File(sys.argv[sys.argv.index("-o") + 1], "w") as file:
    file["run/status"], file["train/divergence_step"] = [2], [[{divergence}]]
    file["run/seconds"] = [5 + 0.25 * steps]  # drawing and evaluation, and a quarter of a second a step
"""


def train_side(tmp_path, divergence):
    program = tmp_path / "eoc"
    program.write_text(FAKE.format(divergence=divergence))
    program.chmod(0o755)
    side = sides.EocTrain("momentum", 20, 3, 8, (12, 60))
    host = measure.Bench(str(program))
    side.start(host, quick=False)
    return host, side


def test_seconds_of_a_step_are_a_difference(tmp_path):
    """Of a program that takes 5 s and a quarter of a second a step a step takes a quarter of a second."""
    _host, side = train_side(tmp_path, -1)  # its files last as long as it
    assert side.counts == (10, 60)
    sample = side.measure()
    assert sample.seconds == pytest.approx(0.25, rel=1e-12)
    side.stop()


def test_a_training_that_diverges_is_not_timed(tmp_path):
    _host, side = train_side(tmp_path, 3)
    with pytest.raises(sides.NotMeasured, match="diverged"):
        side.measure()
    side.stop()


def test_rows_of_training_do_the_same_work():
    """Both sides of each have one shape, one optimizer and a check of their own; eoc's sweep says the same."""
    found = [row for row in rows.ROWS if isinstance(row.eoc, sides.EocTrain)]
    assert [(row.eoc.width, row.eoc.batch, row.eoc.optimizer) for row in found if not row.eoc.across] == [
        (1000, 128, "sgd"), (256, 128, "sgd"), (256, 128, "momentum")]
    assert [(row.eoc.across, row.eoc.width, row.eoc.depth) for row in found if row.eoc.across] == [
        (7, 16, 100), (7, 64, 100), (14, 16, 100), (14, 64, 100)]
    for row in found:
        assert sides.training_shape(row.beside) == sides.training_shape(row.eoc) and row.beside.optimizer == row.eoc.optimizer
        assert sides.kind_of_check(row.eoc, row.beside)[2] is sides.check_trainings
        text = sides.training_text(row.eoc, "set.h5", row.eoc.batch, 7, 0.01, "all", 0)
        for line in (f"width: {row.eoc.width}", f"depth: {row.eoc.depth}", "activation: tanh", f"batch: {row.eoc.batch}",
                     f"optimizer: {row.eoc.optimizer}", "steps: 7", "dataset: 'set.h5'"):
            assert f"  {line}\n" in text
        assert (f"convolutional(side={row.eoc.across}, " in text) == (row.eoc.across > 0)


def test_networks_of_other_forms_are_checked_apart():
    """A row fails by its own check: fully connected, and convolutional of either size, but not for every number of channels."""
    kinds = {row.name: sides.kind_of_check(row.eoc, row.beside)[0] for row in rows.ROWS if isinstance(row.eoc, sides.EocTrain)}
    assert kinds["convolutional-7-16"] == kinds["convolutional-7-64"] and len(set(kinds.values())) == 4


def test_a_convolution_says_its_layout():
    """Of PyTorch's side of a row, which the script has told; a fully connected network has none."""
    for across, said in ((7, True), (0, False)):
        eoc, torch = sides.EocTrain("sgd", 16, 3, 8, (6, 6), across), sides.TorchTrain("sgd", 16, 3, 8, (4, 4), across)
        torch.note = "channels_last"
        result = measured(rows.Row("a", "b", "c", eoc, torch, unit=rows.STEP), [1], [2])
        assert ("channels_last layout" in report.side_text(result, 1)) == ("channels_last layout" in torch.describe()) == said
        assert "layout" not in report.side_text(result, 0)


def convolutional_loss(x, label, across, channels, parameters):
    """Cross entropy in float64, position by position. Blocks of an image are positions; kernels (out, taps, in), taps row after row."""
    block = 28 // across
    h = x.reshape(-1, across, block, across, block).transpose(0, 1, 3, 2, 4).reshape(len(x), across, across, -1)
    at = 0
    for _ in range(sides.CHECK_DEPTH):
        kernel = parameters[at:at + channels * 9 * h.shape[-1]].reshape(channels, 3, 3, -1)
        at += kernel.size
        z = np.zeros((len(x), across, across, channels)) + parameters[at:at + channels]
        at += channels
        for p, q, dp, dq in np.ndindex(across, across, 3, 3):
            z[:, p, q] += h[:, (p + dp - 1) % across, (q + dq - 1) % across] @ kernel[:, dp, dq].T
        h = np.tanh(z)
    y = h.reshape(len(x), -1) @ parameters[at:-10].reshape(10, -1).T + parameters[-10:]
    return numpy_net.cross_entropy(y, np.eye(10)[label])[0]


@pytest.mark.parametrize("optimizer, across", [("sgd", 0), ("momentum", 0), ("momentum", 7)])
def test_the_check_has_what_it_needs(optimizer, across, monkeypatch):
    """eoc itself for what PyTorch is given to compare with: a set of one batch, a checkpoint before any step, losses of every step."""
    seen = {}

    def look(torch, options):
        seen.update(zip(options[::2], options[1::2]))
        with h5py.File(seen["--data"]) as data, h5py.File(seen["--check"]) as result:
            seen["images"], seen["loss"] = data["train/images"].shape, result["train/loss"][()].ravel()
        seen["checkpoint"] = numpy_net.read_checkpoint(Path(seen["--weights"]))
        return "asked"

    monkeypatch.setattr(sides, "ask_torch", look)
    eoc, torch = sides.EocTrain(optimizer, 1000, 3, 16, (6, 6), across), sides.TorchTrain(optimizer, 1000, 3, 16, (6, 6), across)
    host = measure.Bench(str(PROGRAM))
    assert sides.check_trainings(host, eoc, torch) == "asked"
    assert seen["images"] == (16, 28, 28) and len(seen["loss"]) == sides.CHECK_STEPS + 1
    parameters = seen["checkpoint"].parameters.astype(float)
    with h5py.File(seen["--data"]) as data:
        x, label = data["train/images"][()].reshape(16, 784).astype(float), data["train/labels"][()]
    if across:
        loss = convolutional_loss(x, label, across, sides.CHECK_CHANNELS, parameters)
    else:
        net = numpy_net.Net("tanh", 784, sides.CHECK_TRAIN_WIDTH, 3, 10, parameters)
        loss = net.loss(x, np.eye(10)[label], "cross_entropy")
    assert seen["loss"][0] == pytest.approx(loss, rel=1e-5)  # float32 against the second trainer's float64
    assert seen["loss"][-1] < 0.99 * seen["loss"][0]


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
