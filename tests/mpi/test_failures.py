# SPDX-License-Identifier: BSD-3-Clause
"""What fails is told in a sentence, and takes nothing with it: full disks, failing writes, damaged and foreign files, crashes."""
import os
import resource
import subprocess

import h5py
import numpy as np
import pytest
from conftest import (DONE, ENVIRONMENT, FAILED, PENDING, PROGRAM, RUNNING, assert_quiet, assert_same_bits, eoc, kill_group, run,
                      start, write_sweep)
from test_ranks import statuses, wait_until
from test_stop import LONGER, attempts, ranks_of

SMALL = "grid: {activation: tanh, weight_variance: [1, 2], width: 10, depth: 3, replica: 3}\n"


def refused(result, *needles):
    """Exit code 1 or 2 and one sentence that holds every needle."""
    assert result.returncode in (1, 2), result.stderr
    assert_quiet(result.stderr)
    lines = [line for line in result.stderr.splitlines() if line.startswith("eoc: ")]
    assert len(lines) == 1, result.stderr
    for needle in needles:
        assert needle in lines[0], lines


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return run(tmp_path_factory.mktemp("reference"), LONGER, ranks=2)


# -- writing

@pytest.mark.parametrize("ranks", [None, 2], ids=["alone", "mpirun"])
def test_failing_write(ranks, reference, tmp_path):
    """A write that fails in the middle stops the run in good order, with a sentence and exit code 1; what was written is safe."""
    path = tmp_path / "sweep.h5"
    write_sweep(tmp_path / "sweep.yaml", LONGER)
    first = eoc("run", "sweep.yaml", "--max-time", "1.5", cwd=tmp_path)
    assert first.returncode == 75, first.stderr
    before = statuses(path) == DONE
    process = start("run", "sweep.yaml", cwd=tmp_path, ranks=ranks)
    try:
        wait_until(lambda: ((statuses(path) != PENDING) & ~before).any(), 30, process)
        for pid in ranks_of(process) if ranks else [process.pid]:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (120000, 120000))  # most of the rows lie beyond
        output, _ = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            kill_group(process)
    assert process.returncode == 1, output
    assert "sweep.h5: cannot be written: File too large" in output
    found = statuses(path)
    assert (found[before] == DONE).all() and (attempts(path)[before] == 1).all()
    assert not (tmp_path / "sweep.h5.lock").exists()
    last = eoc("run", "sweep.yaml", cwd=tmp_path)
    assert last.returncode == 0 and "did not match" not in last.stderr, last.stderr
    assert_same_bits(path, reference)


def test_full_disk_while_the_file_is_made(tmp_path):
    """Where the space for the whole file is not there, that is told before any work, and nothing stays behind."""
    write_sweep(tmp_path / "sweep.yaml", LONGER)
    limit = 64 << 20  # MPI's own files are smaller, the result file is not
    result = subprocess.run([str(PROGRAM), "run", "sweep.yaml", "--set", "grid.depth=12000"], cwd=tmp_path,
                            env={**os.environ, **ENVIRONMENT}, text=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=60,
                            check=False, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    refused(result, "sweep.h5.tmp", "cannot be allocated", "File too large")
    assert {item.name for item in tmp_path.iterdir()} == {"sweep.yaml"}


# -- files that cannot be gone on with

def rewrite(file, name, **options):
    """Replace a dataset by one of other storage, as h5repack does."""
    values, group, key = file[name][()], file[name].parent, file[name].name.rpartition("/")[2]
    del group[key]
    group.create_dataset(key, data=options.pop("data", values), **options)


def change(path, what):
    with h5py.File(path, "r+") as file:
        what(file)


def cut(path, bytes_left):
    os.truncate(path, bytes_left)


def overwrite_bytes(path, offset, data):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


DAMAGES = {
    "truncated by half": (lambda path: cut(path, path.stat().st_size // 2), ["cut short"]),
    "truncated by a byte": (lambda path: cut(path, path.stat().st_size - 1), ["cut short"]),
    "truncated to nothing": (lambda path: cut(path, 0), ["not an HDF5 file"]),
    "superblock overwritten": (lambda path: overwrite_bytes(path, 0, b"\0" * 64), ["not an HDF5 file"]),
    "compressed": (lambda path: change(path, lambda f: rewrite(f, "probe/log_q", compression="gzip", chunks=True)),
                   ["compressed", "probe/log_q", "h5repack"]),
    "a variable missing": (lambda path: change(path, lambda f: f["run"].__delitem__("checksum")), ["run/checksum", "missing"]),
    "another shape": (lambda path: change(path, lambda f: rewrite(f, "run/rank", data=np.zeros(3, "<i4"))), ["run/rank", "shape"]),
    "another type": (lambda path: change(path, lambda f: rewrite(f, "run/seconds", data=f["run/seconds"][()].astype("<f4"))),
                     ["run/seconds", "type"]),
    "another program": (lambda path: change(path, lambda f: f.attrs.__setitem__("source", "other 1.0")), ["not a result file of eoc"]),
    "no identity": (lambda path: change(path, lambda f: f["provenance"].__delitem__("identity")), ["provenance/identity"]),
    "another schema": (lambda path: change(path, lambda f: f.attrs.__setitem__("schema_version", "9.0")), ["schema version 9.0"]),
    "another physics": (lambda path: change(path, lambda f: f["provenance/physics_version"].__setitem__((), 99)),
                        ["physics version 99", "--overwrite"]),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_damaged_file(case, tmp_path):
    """A file that cannot be gone on with gets one sentence, and not a byte of it changes."""
    damage, needles = DAMAGES[case]
    path = run(tmp_path, SMALL)
    damage(path)
    before = path.read_bytes()
    refused(eoc("run", "sweep.yaml", "--quiet", cwd=tmp_path), "sweep.h5", *needles)
    assert path.read_bytes() == before
    assert {item.name for item in tmp_path.iterdir()} == {"sweep.yaml", "sweep.h5"}


@pytest.mark.parametrize("setting, key, there, here", [
    ("grid.width=11", "grid.width", "[10]", "[11]"), ("seed=5", "seed", "1", "5"),
    ("probe.inputs.correlation=0.5", "probe.inputs.correlation", "0.6", "0.5"),
    ("grid.replica=4", "grid.replica", "[0, 1, 2]", "[0, 1, 2, 3]")])
def test_another_sweep(setting, key, there, here, tmp_path):
    """The key that differs is named with both values."""
    path = run(tmp_path, SMALL)
    before = path.read_bytes()
    refused(eoc("run", "sweep.yaml", "--set", setting, cwd=tmp_path), f"{key} is {there} there and {here} here")
    assert path.read_bytes() == before


# -- units

@pytest.mark.parametrize("ranks", [None, 3], ids=["alone", "mpirun"])
def test_flipped_bytes(ranks, tmp_path):
    """Finished units whose rows are not what was written are found by their checksum and done again; no other unit is."""
    path = run(tmp_path, SMALL)
    pristine = tmp_path / "pristine.h5"
    pristine.write_bytes(path.read_bytes())
    with h5py.File(path) as file:
        places = [file["probe/log_q"].id.get_offset() + 3, file["probe/gradient_c"].id.get_offset() + 8 * 3 * 4 + 1]  # units 0, 4
        file_order = file["run/seconds"][()].ravel()
    for place in places:
        byte = path.read_bytes()[place]
        overwrite_bytes(path, place, bytes([byte ^ 0x10]))
    result = eoc("run", "sweep.yaml", cwd=tmp_path, ranks=ranks)
    assert result.returncode == 0, result.stderr
    assert "2 finished units of sweep.h5 did not match their checksums" in result.stderr and "2 computed" in result.stderr
    assert_same_bits(path, pristine)
    with h5py.File(path) as file:
        same = file["run/seconds"][()].ravel() == file_order
    assert same.tolist() == [False, True, True, True, False, True]
    again = eoc("run", "sweep.yaml", cwd=tmp_path)
    assert "did not match" not in again.stderr and "0 computed" in again.stderr


def mark(path, unit, status, count, reason=0):
    with h5py.File(path, "r+") as file:
        for name, value in (("status", status), ("attempts", count), ("reason", reason)):
            file[f"run/{name}"][np.unravel_index(unit, file["run/status"].shape)] = value


def test_units_that_bring_the_run_down(tmp_path):
    """A unit that was begun three times without an end is failed, reason crashed; --max-attempts and --retry have their say."""
    path = run(tmp_path, SMALL)
    pristine = tmp_path / "pristine.h5"
    pristine.write_bytes(path.read_bytes())
    mark(path, 2, RUNNING, 3)
    mark(path, 4, RUNNING, 2)
    result = eoc("run", "sweep.yaml", cwd=tmp_path, ranks=2)
    assert result.returncode == 3, result.stderr
    assert "1 unit was begun 3 times" in result.stderr and "1 computed" in result.stderr
    with h5py.File(path) as file:
        assert file["run/status"][()].ravel().tolist() == [DONE, DONE, FAILED, DONE, DONE, DONE]
        assert file["run/reason"][()].ravel().tolist() == [0, 0, 4, 0, 0, 0]
        assert file["run/attempts"][()].ravel().tolist() == [1, 1, 3, 1, 3, 1]
        assert np.isnan(file["probe/log_q"][()].reshape(6, -1)[2]).all()
    assert "did not match" not in eoc("run", "sweep.yaml", cwd=tmp_path).stderr  # the failed one has its checksum too
    result = eoc("run", "sweep.yaml", "--retry", "failed", cwd=tmp_path)
    assert result.returncode == 0 and "1 unit will be tried again" in result.stderr, result.stderr
    assert_same_bits(path, pristine)
    mark(path, 2, RUNNING, 3)
    assert eoc("run", "sweep.yaml", "--max-attempts", "4", cwd=tmp_path).returncode == 0
    assert_same_bits(path, pristine)


def test_overwrite_needs_no_sound_file(tmp_path):
    """--overwrite begins anew whatever is there."""
    path = run(tmp_path, SMALL)
    cut(path, 1000)
    assert eoc("run", "sweep.yaml", "--overwrite", cwd=tmp_path).returncode == 0
    assert (statuses(path) == DONE).all()


def test_64_ranks(tmp_path):
    """64 ranks, many to a core, share a small sweep: the same bits as alone, and every unit once."""
    sweep = LONGER.replace("width: [300, 700]", "width: [30, 70]")
    alone = run(tmp_path, sweep, name="alone")
    path = run(tmp_path, sweep, name="many", ranks=64, timeout=300)
    assert_same_bits(path, alone)
    assert (attempts(path) == 1).all()
    with h5py.File(path) as file:
        assert np.unique(file["run/rank"][()]).size > 8
