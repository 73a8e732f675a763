# SPDX-License-Identifier: BSD-3-Clause
"""eoc status: right counts, also while the file is being written; what is no result file gets one sentence."""
import json
import os
import signal
import time

import h5py
import pytest
from conftest import DIVERGED, DONE, FAILED, PENDING, RUNNING, eoc, kill_group, run, start, write_sweep

SMALL = """
title: small
grid: {activation: [tanh, relu], depth: 3, width: 10, weight_variance: [1, 2, 3], replica: 4}
"""
UNITS = 24

# Explicit weights, so that it takes a while: some 10 ms a unit.
LONG = """
grid: {activation: tanh, depth: 20, width: 400, weight_variance: 'linspace(1, 2, 50)', replica: 400}
probe: {sampler: explicit}
"""


def status(folder, *files):
    result = eoc("status", "--json", *files, cwd=folder)
    assert result.stderr == ""
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(found) == len(files)
    return (result.returncode, found[0]) if len(files) == 1 else (result.returncode, found)


def test_done(tmp_path):
    path = run(tmp_path, SMALL)
    code, found = status(tmp_path, "sweep.h5")
    assert code == 0 and found["state"] == "done" and found["title"] == "small"
    assert (found["units"], found["done"], found["pending"], found["failed"]) == (UNITS, UNITS, 0, 0)
    assert found["cost_done"] == 1 and found["core_seconds_left"] == 0 and found["failures"] == []
    assert found["runs"] == 1 and found["last_run"]["ranks"] == 1
    assert "eoc run" in found["last_run"]["command"] and found["last_run"]["end"] >= found["last_run"]["start"]
    with h5py.File(path) as file:
        assert found["core_seconds_spent"] == pytest.approx(file["run/seconds"][...].sum())


def test_half_done(tmp_path):
    """Counts, failures with their points, and time left, of a file whose states are written by hand."""
    path = run(tmp_path, SMALL)
    with h5py.File(path, "r+") as file:
        states = file["run/status"][...]
        assert states.shape == (1, 2, 1, 1, 1, 3, 1, 4)
        states[0, 1] = PENDING
        states[0, 1, 0, 0, 0, 0, 0, 0] = RUNNING
        states[0, 0, 0, 0, 0, 2, 0, :] = FAILED
        states[0, 0, 0, 0, 0, 1, 0, 3] = DIVERGED
        file["run/status"][...] = states
        file["run/reason"][0, 0, 0, 0, 0, 2, 0, :] = 3
        file["run/reason"][0, 0, 0, 0, 0, 1, 0, 3] = 1
        file["run/seconds"][0, 0] = 2.0
        assert (states == DONE).sum() == 7
    code, found = status(tmp_path, "sweep.h5")
    assert code == 75 and found["state"] == "stopped"
    assert [found[key] for key in ("pending", "running", "done", "diverged", "failed")] == [11, 1, 7, 1, 4]
    assert found["units_per_second"] == pytest.approx(0.5)  # one rank, 2 s a unit
    assert found["core_seconds_spent"] == pytest.approx(24.0)
    assert found["seconds_left"] == pytest.approx(found["core_seconds_left"]) and found["seconds_left"] > 0
    groups = {(g["status"], g["reason"]): g for g in found["failures"]}
    assert set(groups) == {("failed", "memory"), ("diverged", "overflow")}
    assert groups["failed", "memory"]["units"] == 4
    assert groups["failed", "memory"]["first"] == [f"activation=tanh weight_variance=3 replica={i}" for i in range(3)]
    text = eoc("status", "sweep.h5", cwd=tmp_path).stdout
    assert "24: 7 done, 1 diverged, 4 failed, 1 running, 11 pending" in text
    assert "activation=tanh weight_variance=3 replica=2" in text and "and 1 more" in text
    with h5py.File(path, "r+") as file:
        file["run/status"][0, 1] = DONE
    code, found = status(tmp_path, "sweep.h5")
    assert code == 3 and found["state"] == "done"


def test_while_it_is_written(tmp_path):
    """Counts always add up and only grow while a run writes; after a stop, and a kill, the state says so."""
    write_sweep(tmp_path / "sweep.yaml", LONG)
    process = start("run", "-q", "sweep.yaml", cwd=tmp_path, ranks=2)
    counts, deadline = [], time.monotonic() + 60
    while time.monotonic() < deadline and (not counts or counts[-1] == 0):
        time.sleep(0.1)
        if not (tmp_path / "sweep.h5").exists():
            continue
        code, found = status(tmp_path, "sweep.h5")
        assert code == 75 and found["state"] in ("running", "untouched")
        assert found["units"] == 20000 == sum(found[k] for k in ("pending", "running", "done", "diverged", "failed"))
        counts.append(found["done"])
    assert counts[-1] > 0 and counts == sorted(counts)
    assert found["last_run"]["end"] is None and found["last_run"]["ranks"] == 2 and found["seconds_left"] > 0
    process.send_signal(signal.SIGUSR1)
    process.communicate(timeout=60)
    code, found = status(tmp_path, "sweep.h5")
    assert code == 75 and found["state"] == "stopped" and "signal" in found["last_run"]["ended"]
    process = start("run", "-q", "sweep.yaml", cwd=tmp_path, ranks=2)
    while status(tmp_path, "sweep.h5")[1]["runs"] < 2:
        time.sleep(0.1)
    kill_group(process)
    process.communicate()
    assert status(tmp_path, "sweep.h5")[1]["state"] == "running"  # written just now: nobody can know yet
    long_ago = time.time() - 3600
    for name in os.listdir(tmp_path):
        os.utime(tmp_path / name, (long_ago, long_ago))
    code, found = status(tmp_path, "sweep.h5")
    assert code == 75 and found["state"] == "silent" and found["seconds_since_written"] > 3500


def test_no_result_file(tmp_path):
    """One sentence and exit code 2, beside what can be told of other files."""
    path = run(tmp_path, SMALL)
    (tmp_path / "text.h5").write_text("no HDF5\n")
    (tmp_path / "folder.h5").mkdir()
    (tmp_path / "cut.h5").write_bytes(path.read_bytes()[:5000])
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["x"] = 1
    eoc("theory", "sweep.yaml", cwd=tmp_path)
    for change, what in (("status", "theory alone"), ("seconds", "damaged")):
        (tmp_path / f"{change}.h5").write_bytes(path.read_bytes())
        with h5py.File(tmp_path / f"{change}.h5", "r+") as file:
            del file[f"run/{change}"]
    (tmp_path / "later.h5").write_bytes(path.read_bytes())
    with h5py.File(tmp_path / "later.h5", "r+") as file:
        file.attrs["schema_version"] = "2.0"
    for name, words in {"no.h5": "No such file", "text.h5": "not an HDF5 file", "folder.h5": "directory",
                        "cut.h5": "damaged", "foreign.h5": "not a result file", "sweep.theory.h5": "theory alone",
                        "status.h5": "theory alone", "seconds.h5": "damaged", "later.h5": "schema version 2"}.items():
        result = eoc("status", name, cwd=tmp_path)
        assert (result.returncode, result.stdout) == (2, ""), name
        assert len(result.stderr.splitlines()) == 1 and name in result.stderr and words in result.stderr, name
    result = eoc("status", "no.h5", "sweep.h5", cwd=tmp_path)
    assert result.returncode == 2 and "24 done" in result.stdout
    assert eoc("status", cwd=tmp_path).returncode == 2


def test_later_keys(tmp_path):
    """A sweep with keys of a later version still gets its counts."""
    path = run(tmp_path, SMALL)
    with h5py.File(path, "r+") as file:
        text = file["provenance/sweep"][()].decode() + "later: 1\n"
        file["provenance/sweep"][()] = text
    code, found = status(tmp_path, "sweep.h5")
    assert code == 0 and found["done"] == UNITS and found["cost_done"] is None


def test_several(tmp_path):
    """One object a file; the worst exit code."""
    run(tmp_path, SMALL, name="a")
    path = run(tmp_path, SMALL, name="b")
    with h5py.File(path, "r+") as file:
        file["run/status"][0, 0] = PENDING
    code, found = status(tmp_path, "a.h5", "b.h5")
    assert code == 75 and [f["pending"] for f in found] == [0, 12]
