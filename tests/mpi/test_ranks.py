# SPDX-License-Identifier: BSD-3-Clause
"""A point's numbers are the same bits on any number of ranks, in any order, after any stop, and in any larger grid."""
import os
import signal
import time

import h5py
import numpy as np
import pytest
from conftest import (DONE, GRID, PENDING, POINT, RUNNING, assert_same_bits, datasets, dimensions, eoc, kill_group, own_files, results,
                      row_checksum, run, start, write_sweep)

SWEEP = """
seed: 7
grid:
  depth: [1, 3, 8]
  width: [2, 17, 64]
  activation: [tanh, relu]
  initializer: [gaussian, orthogonal, uniform]
  weight_variance: [0, 1, 2.5]
  bias_variance: [0, 0.05]
  replica: 3
"""
UNITS = 3 * 3 * 2 * 3 * 3 * 2 * 3

# The same axes with more of everything around and between.
LARGER = {
    "weight variances": ["grid.weight_variance=0.5,2.5,3,1,0"],
    "depths": ["grid.depth=12,8,5,1,3"],
    "replicas": ["grid.replica=7"],
    "replicas by name": ["grid.replica=9,2,1,0"],
    "everything": ["grid.depth=2,8,1,3", "grid.width=64,5,17,2", "grid.activation=erf,relu,tanh", "grid.replica=4",
                   "grid.initializer=he_normal,uniform,orthogonal,gaussian", "grid.bias_variance=0.05,0.1,0"],
    "fewer statistics": ["probe.statistics=forward"],
    "fewer layers": ["probe.layers=every 4"],
    "more statistics": ["probe.statistics=forward,gradient,finite_width"],
    "other title": ["title=other"],
}

# Units of some 20 ms, for runs that are stopped in the middle: about 4 s of one rank.
SLOW = """
seed: 3
grid: {depth: [10, 20], width: [300, 700], activation: [tanh, relu], initializer: [gaussian, orthogonal],
       weight_variance: [1, 2.5], bias_variance: 0.05, replica: 6}
probe: {sampler: explicit}
"""


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """The sweep run on one process, without mpirun."""
    return run(tmp_path_factory.mktemp("reference"), SWEEP)


@pytest.fixture(scope="module")
def slow_reference(tmp_path_factory):
    return run(tmp_path_factory.mktemp("slow"), SLOW, ranks=2)


def test_reference_is_complete(reference):
    """The sweep that all others are compared with is done, has numbers, and no two units have the same ones."""
    with h5py.File(reference) as file:
        status = file["run/status"][()]
        assert status.size == UNITS and (status == DONE).all()
        first = file["probe/log_gradient_q"][..., 0].ravel()
        alive = first[np.isfinite(first)]
        assert alive.size > UNITS / 2 and np.unique(alive).size == alive.size


@pytest.mark.parametrize("shuffle", [[], ["--shuffle", "1"], ["--shuffle", "2"]], ids=["", "shuffle 1", "shuffle 2"])
@pytest.mark.parametrize("ranks", [1, 2, 3, 5])
def test_ranks_and_order(ranks, shuffle, reference, tmp_path):
    """On 1, 2, 3 and 5 ranks, in any order of the work, all results are the same bits."""
    path = run(tmp_path, SWEEP, *shuffle, ranks=ranks)
    assert_same_bits(path, reference)
    with h5py.File(path) as file:
        assert (file["run/attempts"][()] == 1).all()
        assert file["run/rank"][()].min() >= 0 and file["run/rank"][()].max() < ranks
        assert file["provenance/ranks"][0] == ranks


def test_work_is_shared(slow_reference):
    """Of two ranks each computes a fair part: neither has less than a quarter of the seconds."""
    with h5py.File(slow_reference) as file:
        rank, seconds = file["run/rank"][()], file["run/seconds"][()]
        assert min(seconds[rank == 0].sum(), seconds[rank == 1].sum()) > 0.25 * seconds.sum()


def test_shuffle_changes_the_order(slow_reference, tmp_path):
    """--shuffle does hand the work out in another order: units go to other ranks (else the test above would be void)."""
    path = run(tmp_path, SLOW, "--shuffle", "5", ranks=2)
    with h5py.File(path) as shuffled, h5py.File(slow_reference) as straight:
        assert (shuffled["run/rank"][()] != straight["run/rank"][()]).any()
    assert_same_bits(path, slow_reference)


def test_more_ranks_than_units(tmp_path):
    """Ranks without work do no harm: 5 ranks and 2 units."""
    sweep = "grid: {activation: tanh, weight_variance: 1.5, width: 20, depth: 4, replica: 2}\n"
    one = run(tmp_path, sweep, name="one")
    assert_same_bits(run(tmp_path, sweep, name="five", ranks=5), one)


def selection(part, whole, dataset):
    """For every dimension of a dataset of `part`, where its labels are in `whole`."""
    places = []
    for axis in dimensions(dataset):
        labels = list(whole[axis][()])
        places.append([labels.index(label) for label in part[axis][()] if label in labels])
    return places


@pytest.mark.parametrize("change", LARGER)
def test_in_another_grid(change, reference, tmp_path):
    """In a grid that holds it with more around, a point has the same bits; so with fewer statistics or layers kept."""
    path = run(tmp_path, SWEEP, *[option for setting in LARGER[change] for option in ("--set", setting)], ranks=2)
    compared = 0
    with h5py.File(reference) as small, h5py.File(path) as large:
        for group in ("probe", "theory", "run"):
            for name in small[group]:
                if name in small or name not in large[group] or name in ("rank", "seconds", "attempts", "checksum"):
                    continue  # coordinates, what is not a result, and the checksum, which depends on the layers kept
                mine, other = small[group][name], large[group][name]
                axes = dimensions(mine)
                # Which of my labels the other file has (all but layers, when they are thinned), and where.
                mine_kept = [[i for i, label in enumerate(small[axis][()]) if label in list(large[axis][()])] for axis in axes]
                assert all(len(kept) == len(small[axis]) for axis, kept in zip(axes, mine_kept) if axis != "layer")
                left = mine[()][np.ix_(*mine_kept)]
                right = other[()][np.ix_(*selection(small, large, mine))]
                assert left.shape == right.shape and left.tobytes() == right.tobytes(), f"{group}/{name}"
                compared += left.size
    assert compared > 10 * UNITS


def test_another_seed_is_another_network(reference, tmp_path):
    """With another seed no gradient of any network is the same, so that equality above means something."""
    path = run(tmp_path, SWEEP, "--set", "seed=8", ranks=2)
    one, other = (datasets(name)["probe/log_gradient_q"] for name in (reference, path))
    alive = np.isfinite(one) & np.isfinite(other)
    assert alive.any() and not (one[alive] == other[alive]).any()


def test_checksum(reference):
    """run/checksum is zlib's CRC-32 over the unit's rows, for the first, the last and some units between."""
    with h5py.File(reference) as file:
        stored = file["run/checksum"][()]
        for number in (0, 1, 100, UNITS // 2, UNITS - 1):
            unit = np.unravel_index(number, stored.shape)
            assert row_checksum(file, unit) == stored[unit], unit
        assert np.unique(stored).size > 0.9 * UNITS


def statuses(path):
    with h5py.File(path) as file:
        return file["run/status"][()]


def wait_until(condition, seconds, process):
    """Poll until a condition holds; a process that ends first, or time that runs out, fails the test."""
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, f"ended too early: {process.stdout.read()}"
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.02)


# Kill as soon as the file is there, after the first units, and in the middle of the work.
@pytest.mark.parametrize("begun", [0.0, 0.05, 0.4])
@pytest.mark.parametrize("before, after", [(2, 3), (3, None)], ids=["2 then 3 ranks", "3 ranks then alone"])
def test_killed_run_resumes(before, after, begun, slow_reference, tmp_path):
    """After SIGKILL of every process the file opens, what is done is right, and the same command ends as if uninterrupted."""
    path = tmp_path / "sweep.h5"
    write_sweep(tmp_path / "sweep.yaml", SLOW)
    process = start("run", "sweep.yaml", cwd=tmp_path, ranks=before)
    try:
        wait_until(path.exists, 30, process)
        wait_until(lambda: (statuses(path) != PENDING).mean() >= begun, 60, process)
        assert process.poll() is None, "the run was over before it could be killed"
    finally:
        kill_group(process)
    done = statuses(path) == DONE
    assert not done.all(), "nothing was left to do"
    reference, killed = results(slow_reference), results(path)
    for name in ("probe/log_q", "run/checksum"):
        assert killed[name][done].tobytes() == reference[name][done].tobytes(), name
    result = eoc("run", "sweep.yaml", cwd=tmp_path, ranks=after)
    assert result.returncode == 0, result.stderr
    assert_same_bits(path, slow_reference)
    assert own_files(tmp_path) == {"sweep.yaml", "sweep.h5"}
    with h5py.File(path) as file:
        attempts = file["run/attempts"][()]
        assert (attempts[done] == 1).all(), "units that were done were computed again"


@pytest.mark.parametrize("ranks", [None, 2], ids=["alone", "mpirun"])
def test_signal_ends_in_good_order(ranks, slow_reference, tmp_path):
    """SIGUSR1 ends a run with exit code 75 and units left, none half done; the same command finishes to the same bits."""
    path = tmp_path / "sweep.h5"
    write_sweep(tmp_path / "sweep.yaml", SLOW)
    process = start("run", "sweep.yaml", cwd=tmp_path, ranks=ranks)
    try:
        wait_until(path.exists, 30, process)
        wait_until(lambda: (statuses(path) != PENDING).mean() >= 0.1, 60, process)
        process.send_signal(signal.SIGUSR1)
        output, _ = process.communicate(timeout=30)
    finally:
        if process.poll() is None:
            kill_group(process)
    assert process.returncode == 75, output
    found = statuses(path)
    assert set(np.unique(found)) == {PENDING, DONE}, output
    result = eoc("run", "sweep.yaml", cwd=tmp_path, ranks=2)
    assert result.returncode == 0, result.stderr
    assert_same_bits(path, slow_reference)
    with h5py.File(path) as file:
        assert (file["run/attempts"][()][found == DONE] == 1).all()
        assert file["provenance/ranks"][:3].tolist() == [ranks or 1, 2, 0]
