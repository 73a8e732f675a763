# SPDX-License-Identifier: BSD-3-Clause
"""eoc run --part and eoc merge: parts joined are the whole, a finished file is extended, and what does not fit is refused."""
import json
import shutil
import zlib

import h5py
import numpy as np
import pytest
from conftest import (DONE, FAILED, PENDING, assert_quiet, checked_variables, datasets, eoc, run, sentences, write_sweep)

SWEEP = """
title: parts
seed: 7
grid:
  depth: [1, 3, 8]
  width: [2, 17]
  activation: [tanh, relu]
  initializer: [gaussian, uniform]
  weight_variance: [0, 0.5, 1, 2.5, 3]
  bias_variance: [0, 0.05]
  replica: 3
"""

# The longest axis is cut; orders that nobody would sort, thinned layers, all statistics, training.
SWEEPS = {
    "numbers that ascend": SWEEP,
    "numbers in any order": SWEEP.replace("[0, 0.5, 1, 2.5, 3]", "[1, 3, 0.5, 2.5, 0]"),
    "names": SWEEP.replace("[tanh, relu]", "[sin, tanh, relu, elu, erf, gelu]"),
    "depths": SWEEP.replace("[1, 3, 8]", "[9, 2, 1, 4, 3, 8]"),
    "few layers": SWEEP.replace("[1, 3, 8]", "[2, 40, 9, 1, 3, 8]") + "probe: {layers: log 5}\n",
    "widths and spectra": SWEEP.replace("[2, 17]", "[30, 2, 17, 5, 40, 3]")
                          + "probe: {statistics: [forward, gradient, jacobian, spectrum], spectrum_modes: 20}\n",
    "images": SWEEP.replace("[2, 17]", "[5, 17]") + "probe: {inputs: {kind: dataset, dataset: 'gaussian_classes(features=12)', "
              "preprocessing: raw, points: 5}}\n",
    "training": """
seed: 2
grid: {activation: tanh, weight_variance: [1, 2], width: [8, 12], depth: 2, replica: 5}
probe: {statistics: [forward]}
train: {dataset: "gaussian_classes(classes=3,features=6,train=60,test=30)", steps: 12, batch: 10, learning_rate: [0.1, 1]}
""",
}

# Of a file: what need not be the same for the same results.
NOT_RESULTS = {"run/seconds", "run/rank", "run/attempts", "provenance/start", "provenance/end", "provenance/ranks",
               "provenance/info"}


def merge(*arguments, cwd):
    return eoc("merge", *arguments, cwd=cwd)


def merged(*arguments, cwd):
    done = merge(*arguments, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stderr


def refused(done, *words, code=2):
    """One sentence with these words, and nothing left behind."""
    assert done.returncode == code, done.stderr
    assert_quiet(done.stderr)
    said = [line for line in sentences(done.stderr) if not line.startswith("Try `")]
    assert len(said) == 1, done.stderr
    for word in words:
        assert word in said[0], (word, said[0])


def part(folder, index, count, name="sweep", *options):
    done = eoc("run", f"{name}.yaml", "--part", f"{index}/{count}", "-q", *options, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / f"{name}.part{index}of{count}.h5"


def assert_same_file(left, right):
    """All that is in one file is in the other, bit for bit, axes and texts included."""
    left, right = datasets(left), datasets(right)
    assert set(left) == set(right) and len(left) > 30
    for name in set(left) - NOT_RESULTS:
        a, b = np.asarray(left[name]), np.asarray(right[name])
        assert a.shape == b.shape and a.tolist() == b.tolist() if a.dtype == object else a.tobytes() == b.tobytes(), name


@pytest.mark.parametrize("what", SWEEPS)
def test_parts_are_the_whole(what, folder):
    """Three parts merged, in any order of the files, are the file of the whole sweep."""
    whole = run(folder, SWEEPS[what])
    parts = [part(folder, index, 3).name for index in (1, 2, 3)]
    total = 0
    for name in parts:
        with h5py.File(folder / name) as file:
            assert (file["run/status"][()] == DONE).all()
            total += file["run/status"].size
    with h5py.File(whole) as file:
        assert total == file["run/status"].size
    for number, order in enumerate(([0, 1, 2], [2, 0, 1])):
        merged(*(parts[i] for i in order), "-o", f"merged{number}.h5", cwd=folder)
        assert_same_file(whole, folder / f"merged{number}.h5")


def test_part_takes_every_nth(folder):
    """Part 2 of 3 holds values 2, 5, ... of the longest axis, and of equally long ones the first is cut."""
    write_sweep(folder / "sweep.yaml", SWEEP)
    with h5py.File(part(folder, 2, 3)) as file:
        assert file["weight_variance"][()].tolist() == [0.5, 3.0]
        assert file["replica"].size == 3
    write_sweep(folder / "ties.yaml", SWEEP.replace("[1, 3, 8]", "[1, 2, 3, 4, 8]"))
    with h5py.File(part(folder, 2, 3, "ties")) as file:
        assert file["depth"][()].tolist() == [2, 8] and file["weight_variance"].size == 5


def test_part_is_gone_on_with(folder):
    """The same command finds its file; another part of that name is another sweep."""
    write_sweep(folder / "sweep.yaml", SWEEP)
    part(folder, 1, 3)
    again = eoc("run", "sweep.yaml", "--part", "1/3", cwd=folder)
    assert again.returncode == 0 and " 0 computed" in again.stderr
    refused(eoc("run", "sweep.yaml", "--part", "2/3", "-o", "sweep.part1of3.h5", cwd=folder), "another sweep", "weight_variance")


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "1/0", "a/b", "1/3/5", "-1/3", "1/", "/3", " 1/3", "1.0/3", "", "1/99999999999"])
def test_parts_that_are_none(text, folder):
    """One sentence that says what a part is."""
    write_sweep(folder / "sweep.yaml", SWEEP)
    refused(eoc("run", "sweep.yaml", f"--part={text}", cwd=folder), "--part", "2/8")
    assert not list(folder.glob("*.h5"))


def test_more_parts_than_values(folder):
    """The sentence names the axis and its number of values."""
    write_sweep(folder / "sweep.yaml", SWEEP)
    refused(eoc("run", "sweep.yaml", "--part", "6/6", cwd=folder), "grid.weight_variance", "5 values")
    write_sweep(folder / "deep.yaml", "grid: {activation: tanh, weight_variance: 1, width: 4, depth: [2, 3, 5]}\n"
                                      "probe: {layers: log 2}\n")
    refused(eoc("run", "deep.yaml", "--part", "1/2", cwd=folder), "grid.depth is not cut", "probe.layers")


def test_part_of_a_named_output(folder):
    """Parts get names of their own from `output` in the sweep too; -o is taken as it is."""
    write_sweep(folder / "sweep.yaml", SWEEP + "output: other.h5\n")
    assert eoc("run", "sweep.yaml", "--part", "1/2", cwd=folder).returncode == 0
    assert (folder / "other.part1of2.h5").exists() and not (folder / "other.h5").exists()


# -- unions that are not whole --

LEFT = "--set=grid.weight_variance=1,0,0.5"
RIGHT = "--set=grid.weight_variance=0.5,3"


def two_files(folder):
    """Two rectangles of the grid that overlap; their union lacks a corner."""
    write_sweep(folder / "sweep.yaml", SWEEP)
    for name, options in {"a": [LEFT, "--set=grid.activation=relu,tanh"], "b": [RIGHT, "--set=grid.activation=tanh"]}.items():
        done = eoc("run", "sweep.yaml", "-q", "-o", f"{name}.h5", *options, cwd=folder)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("order", ["1,0,0.5,3", "0,0.5,1,3", "3,1,0.5,0"])
def test_union_is_completed(order, folder):
    """Units of no file are pending; a run of the sweep of the union, its values in any order, does them and no other."""
    two_files(folder)
    said = merged("a.h5", "b.h5", "-o", "c.h5", cwd=folder)
    with h5py.File(folder / "c.h5") as file:
        before = file["run/seconds"][()]
        status = file["run/status"][()]
        assert file["weight_variance"][()].tolist() == [1, 0, 0.5, 3]  # neither file's ascend: as they appear
        assert list(file["activation"].asstr()[()]) == ["relu", "tanh"]
        missing = status[0, 0, :, :, :, 3]
        assert (missing == PENDING).all() and (status == PENDING).sum() == missing.size
    assert f"{missing.size} left" in said and "were in two files, alike" in said
    assert eoc("status", "c.h5", cwd=folder).returncode == 75
    sets = [f"--set=grid.weight_variance={order}", "--set=grid.activation=tanh,relu"]
    done = eoc("run", "sweep.yaml", "-o", "c.h5", *sets, cwd=folder, ranks=2)
    assert done.returncode == 0 and f" {missing.size} computed" in done.stderr, done.stderr
    with h5py.File(folder / "c.h5") as file:
        assert (file["run/seconds"][()][status == DONE] == before[status == DONE]).all()
    fresh = eoc("run", "sweep.yaml", "-q", "-o", "fresh.h5", "--set=grid.weight_variance=1,0,0.5,3", "--set=grid.activation=relu,tanh",
                cwd=folder)
    assert fresh.returncode == 0
    assert_same_file(folder / "fresh.h5", folder / "c.h5")


def test_extended_by_a_sweep(folder):
    """eoc merge FILE --sweep LARGER: the file has the larger sweep's grid in its order; the run computes only what is new."""
    small = run(folder, SWEEP, name="small")
    units = h5py.File(small)["run/status"].size
    larger = (SWEEP.replace("[0, 0.5, 1, 2.5, 3]", "[4, 0, 0.5, 1, 2.5, 3]").replace("replica: 3", "replica: 4")
              .replace("[2, 17]", "[2, 30, 17]").replace("[1, 3, 8]", "[3, 1, 8, 11]").replace("title: parts", "title: larger"))
    write_sweep(folder / "larger.yaml", larger)
    merged("small.h5", "--sweep", "larger.yaml", "-o", "larger.h5", cwd=folder)
    with h5py.File(folder / "larger.h5") as file:
        assert (file["run/status"][()] == DONE).sum() == units
        assert file.attrs["title"] in (b"larger", "larger")
        assert file["weight_variance"][()].tolist() == [4, 0, 0.5, 1, 2.5, 3]
        total = file["run/status"].size
    done = eoc("run", "larger.yaml", cwd=folder, ranks=2)
    assert done.returncode == 0 and f" {total - units} computed" in done.stderr, done.stderr
    fresh = eoc("run", "larger.yaml", "-q", "-o", "fresh.h5", cwd=folder)
    assert fresh.returncode == 0
    assert_same_file(folder / "fresh.h5", folder / "larger.h5")


def test_extended_by_set(folder):
    """--set is laid over the sweep of --sweep."""
    run(folder, SWEEP, name="small")
    merged("small.h5", "--sweep", "small.yaml", "--set", "grid.replica=5", "-o", "larger.h5", cwd=folder)
    with h5py.File(folder / "larger.h5") as file:
        assert file["replica"].size == 5 and (file["run/status"][..., :3] == DONE).all()
        assert (file["run/status"][..., 3:] == PENDING).all()


def test_two_of_three_parts_and_then_the_third(folder):
    """A merged file of some parts is still a part of the whole: the third may come later, in the order of the sweep."""
    whole = run(folder, SWEEPS["names"])
    for index in (1, 2, 3):
        part(folder, index, 3)
    merged("sweep.part3of3.h5", "sweep.part1of3.h5", "-o", "some.h5", cwd=folder)
    merged("some.h5", "sweep.part2of3.h5", "-o", "all.h5", cwd=folder)
    assert_same_file(whole, folder / "all.h5")


# -- the same unit in two files --


def reset(path, unit, status=PENDING):
    """As if the unit had never been done, or had failed."""
    with h5py.File(path, "r+") as file:
        for name in checked_variables(file):
            if name.startswith("probe/"):
                file[name][unit] = np.nan
        file["run/status"][unit] = status
        file["run/attempts"][unit] = 2


@pytest.mark.parametrize("files", [["a.h5", "b.h5"], ["b.h5", "a.h5"]])
@pytest.mark.parametrize("status", [PENDING, FAILED])
def test_done_wins(files, status, folder):
    """A unit that one file has done and the other has not, or has failed, is the done one, whichever file comes first."""
    whole = run(folder, SWEEP, name="a")
    shutil.copy(whole, folder / "b.h5")
    reset(folder / "a.h5", (0, 1, 0, 1, 2, 3, 0, 2), status)
    reset(folder / "b.h5", (0, 0, 1, 1, 0, 4, 1, 0), status)
    merged(*files, "-o", "c.h5", cwd=folder)
    run(folder, SWEEP, name="fresh")
    assert_same_file(folder / "fresh.h5", folder / "c.h5")
    with h5py.File(folder / "c.h5") as file:
        assert (file["run/attempts"][()] == 1).all()


def test_attempts_of_what_is_left(folder):
    """A unit that no file has done keeps the most attempts, so that one that brings runs down is not begun for ever."""
    whole = run(folder, SWEEP, name="a")
    shutil.copy(whole, folder / "b.h5")
    unit = (0, 1, 0, 1, 2, 3, 0, 2)
    reset(folder / "a.h5", unit)
    reset(folder / "b.h5", unit, status=1)  # running when it was killed
    merged("b.h5", "a.h5", "-o", "c.h5", cwd=folder)
    with h5py.File(folder / "c.h5") as file:
        assert file["run/status"][unit] == PENDING and file["run/attempts"][unit] == 2
        assert (file["run/status"][()] == PENDING).sum() == 1


def change(path, unit, seal):
    """Another result of a unit, with its checksum or without."""
    with h5py.File(path, "r+") as file:
        file["probe/log_q"][unit + (0,)] += 1e-9
        if seal:
            crc = 0
            for name in checked_variables(file):
                crc = zlib.crc32(np.ascontiguousarray(file[name][unit]).tobytes(), crc)
            file["run/checksum"][unit] = crc


def test_conflict(folder):
    """Two results of one network: nothing is written, and the network, the files and the variable are named."""
    whole = run(folder, SWEEP, name="a")
    shutil.copy(whole, folder / "b.h5")
    change(folder / "b.h5", (0, 1, 0, 1, 2, 3, 0, 2), seal=True)
    refused(merge("a.h5", "b.h5", "-o", "c.h5", cwd=folder), "a.h5 and b.h5", "probe/log_q", "seed=7", "activation=relu",
            "initializer=gaussian", "width=17", "depth=8", "weight_variance=2.5", "bias_variance=0 ", "replica=2")
    assert sorted(path.name for path in folder.iterdir()) == ["a.h5", "a.yaml", "b.h5"]


def test_damaged_rows_are_left(folder):
    """Rows that are not what their checksum says are not taken: the unit is pending, or another file's."""
    whole = run(folder, SWEEP, name="a")
    shutil.copy(whole, folder / "b.h5")
    unit = (0, 1, 0, 1, 2, 3, 0, 2)
    change(folder / "b.h5", unit, seal=False)
    said = merged("b.h5", "-o", "c.h5", cwd=folder)
    assert "1 finished units are damaged" in said and "1 left" in said
    with h5py.File(folder / "c.h5") as file:
        assert file["run/status"][unit] == PENDING and np.isnan(file["probe/log_q"][unit]).all()
    merged("b.h5", "a.h5", "-o", "d.h5", cwd=folder)
    assert_same_file(whole, folder / "d.h5")


def test_checksums_are_those_of_the_merged_rows(folder):
    """With a deeper file beside it a network's rows grow by NaN, and the checksum is that of what the file holds."""
    write_sweep(folder / "sweep.yaml", SWEEP)
    for depth in (3, 8):
        assert eoc("run", "sweep.yaml", "-q", f"--set=grid.depth={depth}", "-o", f"d{depth}.h5", cwd=folder).returncode == 0
    merged("d3.h5", "d8.h5", "-o", "c.h5", cwd=folder)
    with h5py.File(folder / "c.h5") as file, h5py.File(folder / "d3.h5") as shallow:
        assert np.isnan(file["probe/log_q"][:, :, :, :, 0, ..., 3:]).all()
        assert file["probe/log_q"][:, :, :, :, 0, ..., :3].tobytes() == shallow["probe/log_q"][:, :, :, :, 0].tobytes()
        assert not (file["run/checksum"][:, :, :, :, 0] == shallow["run/checksum"][:, :, :, :, 0]).any()
        for unit in np.ndindex(*file["run/status"].shape[:-3], 1, 1, 1):
            crc = 0
            for name in checked_variables(file):
                crc = zlib.crc32(np.ascontiguousarray(file[name][unit]).tobytes(), crc)
            assert file["run/checksum"][unit] == crc


# -- the run log --


def test_run_log(folder):
    """The runs of all files in the order of time, the merge last; the file's next run has the row after it."""
    write_sweep(folder / "sweep.yaml", SWEEP)
    for index in (1, 2):
        part(folder, index, 2)
    merged("sweep.part2of2.h5", "sweep.part1of2.h5", "-o", "c.h5", cwd=folder)
    assert eoc("run", "sweep.yaml", "-o", "c.h5", cwd=folder).returncode == 0
    with h5py.File(folder / "c.h5") as file:
        start = file["provenance/start"][()]
        assert np.isfinite(start).sum() == 4 and (np.diff(start[:4]) > 0).all()
        info = [json.loads(file["provenance/info"][row].tobytes().rstrip(b"\0")) for row in range(4)]
    assert [("--part 1/2" in i["command"], "--part 2/2" in i["command"]) for i in info[:2]] == [(True, False), (False, True)]
    assert info[2]["command"].startswith("eoc merge") and info[2]["ended"] == "the files were merged"


def test_full_run_log(folder):
    """The oldest runs are left out, and told of, when there are more than fit; one row stays for the next run."""
    whole = run(folder, SWEEP, name="a")
    with h5py.File(whole, "r+") as file:
        for name in ("start", "end", "ranks", "info"):
            file["provenance"][name][:] = file["provenance"][name][0]
        file["provenance/start"][:] = np.arange(256)
    shutil.copy(whole, folder / "b.h5")
    said = merged("a.h5", "b.h5", "-o", "c.h5", cwd=folder)
    assert "no room for the oldest 258 runs" in said
    with h5py.File(folder / "c.h5") as file:
        start = file["provenance/start"][()]
        assert np.isnan(start[255]) and start[254] > 1e9 and start[253] == 255 and start[0] == 129


# -- refusals --


def test_files_that_do_not_fit(folder):
    """Each with one sentence that names the files and the first key that differs."""
    run(folder, SWEEP, name="a")
    for key, value in {"seed": 8, "probe.inputs.correlation": 0.5, "probe.statistics": "forward", "probe.layers": "every 2"}.items():
        assert eoc("run", "a.yaml", "-q", f"--set={key}={value}", "-o", "b.h5", "--overwrite", cwd=folder).returncode == 0
        refused(merge("a.h5", "b.h5", "-o", "c.h5", cwd=folder), "a.h5", "b.h5", key.rpartition(".")[2], str(value))
    assert eoc("run", "a.yaml", "-q", "--set=title=other", "-o", "b.h5", "--overwrite", cwd=folder).returncode == 0
    merged("a.h5", "b.h5", "-o", "c.h5", cwd=folder)  # a title changes no number


def test_layers_that_are_not_there(folder):
    """'log 3' to depth 8 keeps layers that it does not keep to depth 40, and the other way round."""
    write_sweep(folder / "sweep.yaml", SWEEP + "probe: {layers: log 3}\n")
    for depth in (8, 40):
        assert eoc("run", "sweep.yaml", "-q", f"--set=grid.depth={depth}", "-o", f"d{depth}.h5", cwd=folder).returncode == 0
    refused(merge("d8.h5", "d40.h5", "-o", "c.h5", cwd=folder), "has no layer", "probe.layers")


def test_layers_at_other_places(folder):
    """'log 3' keeps layers 1, 3, 8 to depth 8 and 1, 8, 64 to depth 64: the merged file has 8 of both, from where each has it."""
    write_sweep(folder / "sweep.yaml", SWEEP.replace("[1, 3, 8]", "[8, 64]") + "probe: {layers: log 3}\n")
    for depth in (8, 64):
        assert eoc("run", "sweep.yaml", "-q", f"--set=grid.depth={depth}", "-o", f"d{depth}.h5", cwd=folder).returncode == 0
    merged("d8.h5", "d64.h5", "-o", "c.h5", cwd=folder)
    with h5py.File(folder / "d8.h5") as file:
        assert file["layer"][()].tolist() == [1, 3, 8]  # geomspace(1, 8, 3) = 1, 2.83, 8
    assert eoc("run", "sweep.yaml", "-q", "-o", "fresh.h5", cwd=folder).returncode == 0
    with h5py.File(folder / "fresh.h5") as file:
        assert file["layer"][()].tolist() == [1, 8, 64]
    assert_same_file(folder / "fresh.h5", folder / "c.h5")


def test_a_sweep_that_lacks_a_value(folder):
    run(folder, SWEEP, name="a")
    refused(merge("a.h5", "--sweep", "a.yaml", "--set=grid.weight_variance=0,1,2.5,3", "-o", "c.h5", cwd=folder),
            "weight_variance 0.5", "grid.weight_variance")
    refused(merge("a.h5", "--sweep", "a.yaml", "--set=seed=9", "-o", "c.h5", cwd=folder), "seed: 7", "seed: 9")


def test_what_cannot_be_merged(folder):
    """Missing and foreign files, another physics version, an output that is there, bad options: one sentence each."""
    run(folder, SWEEP, name="a")
    shutil.copy(folder / "a.h5", folder / "old.h5")
    with h5py.File(folder / "old.h5", "r+") as file:
        file["provenance/physics_version"][()] = 1
    with h5py.File(folder / "foreign.h5", "w") as file:
        file["x"] = 1
    (folder / "text.h5").write_text("not HDF5\n")
    assert eoc("theory", "a.yaml", cwd=folder).returncode == 0
    refused(merge("a.h5", "none.h5", "-o", "c.h5", cwd=folder), "none.h5", "No such file")
    refused(merge("a.h5", "foreign.h5", "-o", "c.h5", cwd=folder), "foreign.h5", "not a result file")
    refused(merge("text.h5", "a.h5", "-o", "c.h5", cwd=folder), "text.h5", "not an HDF5 file")
    refused(merge("a.theory.h5", "a.h5", "-o", "c.h5", cwd=folder), "a.theory.h5", "theory alone")
    refused(merge("a.h5", "old.h5", "-o", "c.h5", cwd=folder), "old.h5", "physics version 1")
    refused(merge("a.h5", "-o", "text.h5", cwd=folder), "text.h5", "--overwrite")
    refused(merge("a.h5", "-o", ".", cwd=folder), "directory")
    refused(merge("a.h5", "-o", "none/c.h5", cwd=folder), "none/c.h5")
    refused(merge("a.h5", "-o", "c.h5", "--max-file-size", "1k", cwd=folder), "--max-file-size")
    refused(merge("a.h5", cwd=folder), "-o FILE")
    refused(merge("-o", "c.h5", cwd=folder), "result files")
    refused(merge("a.h5", "-o", "c.h5", "--set", "seed=3", cwd=folder), "--sweep")
    assert not (folder / "c.h5").exists() and (folder / "text.h5").read_text() == "not HDF5\n"
    assert not list(folder.glob("*.merging*")) and not list(folder.glob("*.lock"))


def test_output_that_is_merged_itself(folder):
    """With --overwrite the output may be one of the files."""
    whole = run(folder, SWEEP)
    for index in (1, 2):
        part(folder, index, 2)
    merged("sweep.part1of2.h5", "sweep.part2of2.h5", "-o", "sweep.part1of2.h5", "--overwrite", cwd=folder)
    assert_same_file(whole, folder / "sweep.part1of2.h5")


def test_write_protected_input(folder):
    """Files that are merged are only read."""
    whole = run(folder, SWEEP, name="a")
    before = whole.read_bytes()
    whole.chmod(0o444)
    merged("a.h5", "-o", "c.h5", cwd=folder)
    assert whole.read_bytes() == before
    assert_same_file(whole, folder / "c.h5")
