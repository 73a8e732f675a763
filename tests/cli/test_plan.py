# SPDX-License-Identifier: BSD-3-Clause
"""eoc plan: what it counts is right, what it cannot plan is refused in one sentence, and it writes nothing."""
import json
import os
import re
import resource

import h5py
import pytest
from conftest import TESTS, eoc, run, write_sweep

SMALL = """
title: small
grid:
  activation: [tanh, relu]
  initializer: [gaussian, uniform]
  depth: [3, 6]
  width: [10, 20]
  weight_variance: [1, 2, 3]
  replica: 2
"""
UNITS = 2 * 2 * 2 * 2 * 3 * 2


def plan(folder, *options, text=SMALL):
    write_sweep(folder / "sweep.yaml", text)
    result = eoc("plan", "sweep.yaml", "--json", *options, cwd=folder)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return json.loads(result.stdout)


def refused(folder, *arguments):
    result = eoc(*arguments, cwd=folder)
    assert result.returncode == 2
    assert result.stdout == "" and result.stderr
    return result.stderr


def test_counts(tmp_path):
    """Points, units, kinds and slices of a grid that can be counted by hand; no file is made."""
    found = plan(tmp_path)
    assert (found["points"], found["units"], found["units_left"]) == (UNITS / 2, UNITS, UNITS)
    assert not found["resumed"] and found["note"] is None and found["output"] == "sweep.h5"
    assert {(c["activation"], c["initializer"]) for c in found["costs"]} == {
        (a, i) for a in ("tanh", "relu") for i in ("gaussian", "uniform")}
    assert 0 < found["unit_seconds_min"] <= found["unit_seconds_median"] <= found["unit_seconds_max"]
    assert UNITS * found["unit_seconds_min"] <= found["core_seconds"] * (1 + 1e-9)
    assert found["core_seconds"] <= UNITS * found["unit_seconds_max"] * (1 + 1e-9)
    one = found["ranks"][0]
    assert one["ranks"] == 1 and one["efficiency"] == pytest.approx(1)
    assert one["seconds"] == pytest.approx(found["core_seconds"])
    assert os.listdir(tmp_path) == ["sweep.yaml"]


def test_file_size(tmp_path):
    """The size that is told is that of the file that a run makes."""
    planned = plan(tmp_path)["file_bytes"]
    assert run(tmp_path, SMALL).stat().st_size == pytest.approx(planned, rel=0.1)


def test_costs_follow_the_sweep(tmp_path):
    """Explicit weights a hundred times wider cost more; ten times the replicas cost ten times as much of the same unit."""
    least = plan(tmp_path, "--set", "probe.sampler=explicit")["unit_seconds_min"]
    wide = plan(tmp_path, "--set", "probe.sampler=explicit", "--set", "grid.width=1000")["unit_seconds_min"]
    assert wide > 10 * least
    many = plan(tmp_path, "--set", "grid.replica=20")
    assert many["units"] == 10 * UNITS


LEARNING = """
grid:
  activation: relu
  initializer: [gaussian, orthogonal]
  depth: 100
  width: 64
  weight_variance: 2
probe: {statistics: none}
train: {dataset: mnist10k, learning_rate: 0.000001, batch: 32, steps: 1000, record: log 8, evaluation_samples: 500}
"""


def test_drawing_weights_is_not_part_of_a_step(tmp_path):
    """A thousand steps are the same products whatever drew the weights, which takes a fiftieth of the time at most: 784 x 784 reflections
    of an orthogonal first matrix, some 2 x 784^3/3 = 3e8 operations, beside 4.6e5 weights x 3 x 32 x 1000 = 4e10. Room for a busy machine: 1.6."""
    found = plan(tmp_path, text=LEARNING)
    assert found["unit_seconds_max"] < 1.6 * found["unit_seconds_min"]


def test_plan_of_trainings_is_what_a_run_takes(tmp_path):
    """Looks-linear weights, which are dear to draw; of the processor's time, within twice either way for the start of the program, 0.3 s,
    and a busy machine."""
    text = LEARNING
    for word, other in (("relu", "crelu"), ("[gaussian, orthogonal]", "looks_linear"), ("variance: 2", "variance: 1"), ("1000", "300")):
        text = text.replace(word, other)
    planned = plan(tmp_path, text=text)["core_seconds"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    with h5py.File(run(tmp_path, text)) as file:
        assert (file["train/divergence_step"][()] < 0).all()
    assert 1 / 2 < planned / (resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before) < 2


def test_ranks(tmp_path):
    """--ranks simulates that many alone; Slurm's time is half as much again and two minutes, in whole minutes."""
    big = ("--set", "grid.depth=300", "--set", "grid.width=1000", "--set", "probe.sampler=explicit", "--set", "grid.replica=200")
    found = plan(tmp_path, "--ranks", 16, *big)["ranks"]
    assert [r["ranks"] for r in found] == [16]
    hours, minutes, seconds = map(int, found[0]["time"].split(":"))
    asked = 3600 * hours + 60 * minutes + seconds
    assert seconds == 0 and 0 <= asked - (1.5 * found[0]["seconds"] + 120) < 60.001
    table = [r["ranks"] for r in plan(tmp_path, *big)["ranks"]]
    assert table == [2**i for i in range(len(table))] and len(table) > 3
    full = plan(tmp_path, "--simulate", *big)["ranks"]
    assert all(0 < r["efficiency_wrong_costs"] <= 1 + 1e-9 for r in full)


def test_what_is_left(tmp_path):
    """Of a result file that is there only what is pending is planned; --measured takes its times."""
    path = run(tmp_path, SMALL)
    found = plan(tmp_path)
    assert found["resumed"] and found["units_left"] == 0 and found["core_seconds"] == 0 and found["ranks"] == []
    with h5py.File(path, "r+") as file:
        file["run/status"][:, 0, ...] = 0  # tanh to be done again
        file["run/seconds"][:, 1, ...] = 100.0  # of relu
    found = plan(tmp_path)
    assert found["units_left"] == UNITS / 2 and found["core_seconds"] > 0
    measured = plan(tmp_path, "--measured", "sweep.h5", "--set", "grid.activation=relu", "-o", "new.h5")
    assert measured["costs_from"] == "sweep.h5"
    assert measured["core_seconds"] == pytest.approx(UNITS / 2 * 100)
    assert {c["activation"] for c in measured["costs"]} == {"relu"}
    other = plan(tmp_path, "--set", "grid.weight_variance=9")
    assert not other["resumed"] and "another sweep" in other["note"] and other["units_left"] == UNITS / 3


def test_text(tmp_path):
    """The table for people says where the costs are from and what to ask Slurm for."""
    write_sweep(tmp_path / "sweep.yaml", SMALL)
    result = eoc("plan", "sweep.yaml", cwd=tmp_path)
    assert result.returncode == 0
    assert f"48 points x 2 replicas = {UNITS} units" in result.stdout
    assert "timed on this machine" in result.stdout and "Slurm --time" in result.stdout
    assert re.search(r"^ +1 .* 100\.0 % .* 0:03:00$", result.stdout, re.MULTILINE)


@pytest.mark.parametrize("ranks", ["0", "-1", "2.5", "many", "20000"])
def test_bad_ranks(tmp_path, ranks):
    write_sweep(tmp_path / "sweep.yaml", SMALL)
    assert "from 1 to 16384" in refused(tmp_path, "plan", "sweep.yaml", f"--ranks={ranks}")


def test_refused(tmp_path):
    """No sweep, two, a missing one, a mistake in it, a grid beyond counting, measurements that are none."""
    write_sweep(tmp_path / "sweep.yaml", SMALL)
    assert "a sweep file is needed" in refused(tmp_path, "plan")
    assert "not two" in refused(tmp_path, "plan", "sweep.yaml", "sweep.yaml")
    assert "no.yaml" in refused(tmp_path, "plan", "no.yaml")
    assert "did you mean 'tanh'" in refused(tmp_path, "plan", "sweep.yaml", "--set", "grid.activation=tahn")
    huge = ("--set", "grid.width=range(1, 10000, 1)", "--set", "grid.depth=range(1, 10000, 1)", "--set",
            "probe.inputs.kind=single")
    assert "can be planned" in refused(tmp_path, "plan", "sweep.yaml", *huge)
    assert "no.h5" in refused(tmp_path, "plan", "sweep.yaml", "--measured", "no.h5")
    assert "not an HDF5 file" in refused(tmp_path, "plan", "sweep.yaml", "--measured", "sweep.yaml")
    eoc("theory", "sweep.yaml", cwd=tmp_path)
    assert "theory alone" in refused(tmp_path, "plan", "sweep.yaml", "--measured", "sweep.theory.h5")
    path = run(tmp_path, SMALL)
    with h5py.File(path, "r+") as file:
        file["run/status"][...] = 0
    assert "no finished unit" in refused(tmp_path, "plan", "sweep.yaml", "--measured", "sweep.h5")


def test_help_holds_a_working_example(tmp_path):
    """The first command of --help runs as it stands, from the project's folder."""
    text = eoc("plan", "--help", cwd=tmp_path).stdout
    example = next(line.split() for line in text.splitlines() if line.strip().startswith("eoc plan"))
    result = eoc(*example[1:], "-o", tmp_path / "new.h5", cwd=TESTS.parent)
    assert result.returncode == 0 and "248 units" in result.stdout
