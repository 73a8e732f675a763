# SPDX-License-Identifier: BSD-3-Clause
"""The command line as a careless user meets it: what is refused, in which words, and that nothing is written then."""
import os
import re

import h5py
import numpy as np
import pytest
from conftest import DONE, TESTS, assert_quiet, assert_same_bits, datasets, eoc, results, run, sentences, write_sweep

SMALL = "grid: {activation: tanh, weight_variance: 1.5, width: 10, depth: 3}\n"

ACTIVATIONS = ("linear relu leaky_relu tanh hard_tanh erf sigmoid elu selu gelu silu softplus sin").split()
INITIALIZERS = ("gaussian uniform orthogonal he_normal he_uniform glorot_normal glorot_uniform torch_linear small_normal "
                "small_uniform positive_uniform").split()

# A whole sweep file, and what the message must hold: the place (line:column of the value, or of the key), the key, what is
# accepted or the nearest name.
MISTAKES = {
    "empty file": ("", ["grid.activation", "grid.weight_variance"]),
    "only a comment": ("# nothing\n", ["grid.activation", "grid.weight_variance"]),
    "tab": ("grid:\n\tactivation: tanh\n", [":2:1:", "tab", "spaces"]),
    "not YAML": ("grid: [1\n", [":2:1:", "YAML"]),
    "a list": ("[1, 2]\n", [":1:1:", "list"]),
    "a word": ("hello\n", [":1:1:", "key: value"]),
    "a list as a section": ("grid: [1, 2]\n", [":1:7:", "grid"]),
    "two documents": (SMALL + "---\n" + SMALL, [":2:1:"]),
    "list for a number": ("seed: [1, 2]\n" + SMALL, [":1:7:", "seed", "list", "whole number"]),
    "list in a list": ("grid: {activation: tanh, weight_variance: [[1]]}\n", [":1:44:", "grid.weight_variance", "list"]),
    "map for a number": ("grid: {activation: tanh, weight_variance: {a: 1}}\n", [":1:43:", "grid.weight_variance", "number"]),
    "word for a number": ("grid: {activation: tanh, weight_variance: big}\n", [":1:43:", "grid.weight_variance", "'big'", "number"]),
    "no value": ("grid: {activation: tanh, weight_variance: }\n", [":1:", "grid.weight_variance", "number"]),
    "empty list": ("grid: {activation: tanh, weight_variance: []}\n", [":1:43:", "grid.weight_variance"]),
    "NaN": ("grid: {activation: tanh, weight_variance: .nan}\n", [":1:43:", "grid.weight_variance", "'.nan'", "finite"]),
    "infinite": ("grid: {activation: tanh, weight_variance: [1, .inf]}\n", [":1:47:", "grid.weight_variance", "'.inf'", "finite"]),
    "too great for a double": ("grid: {activation: tanh, weight_variance: 1e400}\n", [":1:43:", "grid.weight_variance", "'1e400'"]),
    "negative variance": ("grid:\n  activation: tanh\n  weight_variance: -0.5\n", [":3:20:", "grid.weight_variance", "-0.5", "from 0"]),
    "negative bias variance": ("grid:\n  activation: tanh\n  weight_variance: 1\n  bias_variance: [0, -1]\n",
                               [":4:22:", "grid.bias_variance", "-1", "from 0"]),
    "negative in a range": ("grid: {activation: tanh, weight_variance: 'linspace(-1, 1, 3)'}\n",
                            [":1:43:", "grid.weight_variance", "from 0"]),
    "depth 0": ("grid: {activation: tanh, weight_variance: 1, depth: 0}\n", [":1:53:", "grid.depth", "from 1"]),
    "half a layer": ("grid: {activation: tanh, weight_variance: 1, depth: 2.5}\n", [":1:53:", "grid.depth", "whole number"]),
    "width 0": ("grid: {activation: tanh, weight_variance: 1, width: 0}\n", [":1:53:", "grid.width", "from 1"]),
    "width 1 with a pair": ("grid: {activation: tanh, weight_variance: 1, width: 1}\n", [":1:53:", "grid.width", "pair", "at least 2"]),
    "negative seed": ("seed: -1\n" + SMALL, [":1:7:", "seed", "from 0"]),
    "no activation": ("grid: {weight_variance: 1}\n", ["grid.activation", "must be given"]),
    "no weight variance": ("grid: {activation: tanh}\n", ["grid.weight_variance", "must be given"]),
    "duplicate number": ("grid: {activation: tanh, weight_variance: [1.5, 2, 1.5]}\n", [":1:52:", "grid.weight_variance", "1.5", "twice"]),
    "duplicate in other words": ("grid: {activation: tanh, weight_variance: [0.7, 0.70000000000000007]}\n",
                                 [":1:49:", "grid.weight_variance", "0.7", "twice"]),
    "duplicate name": ("grid: {activation: [tanh, tanh], weight_variance: 1}\n", [":1:27:", "grid.activation", "tanh", "twice"]),
    "duplicate by parameter": ("grid: {activation: [leaky_relu, leaky_relu(slope=0.01)], weight_variance: 1}\n",
                               [":1:33:", "grid.activation", "twice"]),
    "key twice": ("grid: {activation: tanh, activation: relu, weight_variance: 1}\n", [":1:26:", "grid.activation", "twice"]),
    "section twice": (SMALL + SMALL, [":2:1:", "grid", "twice"]),
    "unknown key": ("colour: blue\n" + SMALL, [":1:1:", "colour", "unknown key", "grid"]),
    "misspelt key": ("grid: {activation: tanh, weight_varance: 1}\n", [":1:26:", "grid.weight_varance", "did you mean grid.weight_variance"]),
    "misspelt section": ("gird: {activation: tanh, weight_variance: 1}\n", [":1:1:", "gird", "did you mean grid"]),
    "later version's key": (SMALL + "prune: {sparsity: 0.9}\n", [":2:1:", "prune", "unknown key"]),
    "misspelt activation": ("grid: {activation: tahn, weight_variance: 1}\n", [":1:20:", "grid.activation", "did you mean 'tanh'", "softplus"]),
    "unknown activation": ("grid: {activation: xyzzy, weight_variance: 1}\n", [":1:20:", "grid.activation", "'xyzzy'", *ACTIVATIONS]),
    "misspelt initializer": ("grid: {activation: tanh, weight_variance: 1, initializer: [gaussian, ortogonal]}\n",
                             [":1:70:", "grid.initializer", "did you mean 'orthogonal'"]),
    "unknown architecture": ("grid: {activation: tanh, weight_variance: 1, architecture: transformer}\n",
                             [":1:60:", "grid.architecture", "fully_connected"]),
    "misspelt parameter": ("grid: {activation: leaky_relu(slop=0.2), weight_variance: 1}\n", [":1:20:", "grid.activation", "'slop'", "slope"]),
    "parameter of none": ("grid: {activation: tanh(slope=1), weight_variance: 1}\n", [":1:20:", "grid.activation", "no parameters"]),
    "parameter out of range": ("grid: {activation: leaky_relu(slope=2), weight_variance: 1}\n", [":1:20:", "slope", "from -1 to 1"]),
    "parameter not a number": ("grid: {activation: leaky_relu(slope=steep), weight_variance: 1}\n", [":1:20:", "slope", "number"]),
    "parameter twice": ("grid: {activation: 'leaky_relu(slope=0.1, slope=0.2)', weight_variance: 1}\n", [":1:20:", "slope", "twice"]),
    "open parenthesis": ("grid: {activation: 'leaky_relu(slope=0.2', weight_variance: 1}\n", [":1:20:", "parenthesis"]),
    "generator of two": ("grid: {activation: tanh, weight_variance: 'linspace(1, 2)'}\n", [":1:43:", "linspace(a, b, n)"]),
    "generator of none": ("grid: {activation: tanh, weight_variance: 'linspace(1, 2, 0)'}\n", [":1:43:", "grid.weight_variance"]),
    "misspelt generator": ("grid: {activation: tanh, weight_variance: 'linspce(1, 2, 3)'}\n", [":1:43:", "grid.weight_variance", "linspace"]),
    "geomspace from 0": ("grid: {activation: tanh, weight_variance: 'geomspace(0, 2, 3)'}\n", [":1:43:", "geomspace"]),
    "range that never ends": ("grid: {activation: tanh, weight_variance: 'range(1, 2, 0)'}\n", [":1:43:", "range"]),
    "range the wrong way": ("grid: {activation: tanh, weight_variance: 'range(2, 1, 0.5)'}\n", [":1:43:", "range"]),
    "misspelt inputs": (SMALL + "probe: {inputs: {kind: par}}\n", [":2:24:", "probe.inputs.kind", "did you mean 'pair'"]),
    "cosine above 1": (SMALL + "probe: {inputs: {kind: pair, correlation: 2}}\n", [":2:43:", "probe.inputs.correlation", "from -1 to 1"]),
    "input variance 0": (SMALL + "probe: {inputs: {variance: 0}}\n", [":2:28:", "probe.inputs.variance"]),
    "correlation of a single": (SMALL + "probe: {inputs: {kind: single, correlation: 0.5}}\n", [":2:", "correlation", "single"]),
    "misspelt statistic": (SMALL + "probe: {statistics: [forward, gradeint]}\n", [":2:31:", "probe.statistics", "did you mean 'gradient'"]),
    "statistic twice": (SMALL + "probe: {statistics: [forward, forward]}\n", [":2:31:", "probe.statistics", "twice"]),
    "no statistic": (SMALL + "probe: {statistics: []}\n", [":2:21:", "probe.statistics"]),
    "misspelt sampler": (SMALL + "probe: {sampler: explict}\n", [":2:18:", "probe.sampler", "did you mean 'explicit'"]),
    "every 0 layers": (SMALL + "probe: {layers: every 0}\n", [":2:17:", "probe.layers"]),
    "some layers": (SMALL + "probe: {layers: some}\n", [":2:17:", "probe.layers", "all", "every N", "log N"]),
    "replica twice": ("grid: {activation: tanh, weight_variance: 1, replica: [3, 3]}\n", [":1:59:", "grid.replica", "twice"]),
    "no replica": ("grid: {activation: tanh, weight_variance: 1, replica: 0}\n", [":1:55:", "grid.replica"]),
}


def listing(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def refused(result, *needles):
    """Exit code 2, nothing on stdout, plain words on stderr that hold every needle."""
    assert result.returncode == 2, result.stderr
    assert result.stdout == ""
    assert_quiet(result.stderr)
    assert result.stderr.endswith("\n")
    for needle in needles:
        assert needle in result.stderr, f"{needle!r} is not in: {result.stderr}"


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_in_the_sweep_file(mistake, tmp_path):
    """A mistake is refused with one sentence that says file, line, column, key and what is accepted; nothing is written."""
    text, needles = MISTAKES[mistake]
    write_sweep(tmp_path / "careless.yaml", text)
    result = eoc("run", "careless.yaml", cwd=tmp_path)
    refused(result, "careless.yaml:", *needles)
    # A required key that is misspelt is missing too, which may have a line of its own.
    lines = sentences(result.stderr)
    assert len(lines) == 1 or len([line for line in lines if "must be given" not in line]) == 1
    assert listing(tmp_path).keys() == {"careless.yaml"}


def test_every_mistake_in_one_go(tmp_path):
    """Three mistakes of a file and one of --set are reported together, one line each, with their places, in their order."""
    write_sweep(tmp_path / "careless.yaml",
                "sede: 3\ngrid:\n  activation: rellu\n  weight_variance: 1\n  depth: 0\n")
    result = eoc("run", "careless.yaml", "--set", "grid.widht=3", cwd=tmp_path)
    refused(result)
    lines = sentences(result.stderr)
    assert len(lines) == 4
    for start, name in (("careless.yaml:1:1: sede", "seed"), ("careless.yaml:3:15: grid.activation", "'relu'"),
                        ("careless.yaml:5:10: grid.depth", "from 1"), ("--set grid.widht=3", "grid.width")):
        assert [line for line in lines if line.startswith(start) and name in line], (start, result.stderr)
    assert listing(tmp_path).keys() == {"careless.yaml"}


def test_missing_sweep_file(tmp_path):
    """A sweep file that is not there is named, with the system's reason."""
    refused(eoc("run", "none.yaml", cwd=tmp_path), "none.yaml", "No such file or directory")
    assert not listing(tmp_path)


def test_directory_as_sweep_file(tmp_path):
    """A directory given as the sweep file is called a directory."""
    (tmp_path / "jobs").mkdir()
    refused(eoc("run", "jobs", cwd=tmp_path), "jobs: ", "irectory")


@pytest.mark.parametrize("content", [bytes(range(256)), b"\x89HDF\r\n\x1a\n" + bytes(500), b"grid: \xff\xfe\n", b"\0" * 100],
                         ids=["all bytes", "HDF5", "not UTF-8", "zeros"])
def test_binary_as_sweep_file(content, tmp_path):
    """Binary garbage is refused as text that is no text, in one line without a control character."""
    (tmp_path / "garbage.yaml").write_bytes(content)
    result = eoc("run", "garbage.yaml", cwd=tmp_path)
    refused(result, "garbage.yaml:1:", "YAML")
    assert len(sentences(result.stderr)) == 1
    assert re.fullmatch(r"[^\x00-\x09\x0b-\x1f\x7f]*", result.stderr)
    assert listing(tmp_path).keys() == {"garbage.yaml"}


@pytest.mark.parametrize("text", [
    "grid: {activation: tanh, weight_variance: 'linspace(0.5, 4, 1000000)', bias_variance: 'linspace(0, 1, 1000000)'}\n",
    "grid: {activation: tanh, weight_variance: 'linspace(0.5, 4, 10000)', bias_variance: 'linspace(0, 1, 10000)', replica: 10000}\n",
], ids=["points", "replicas"])
def test_too_large_a_grid(text, tmp_path):
    """10^12 units are refused at once for the size of their file, naming the limit and the keys that would shrink it."""
    write_sweep(tmp_path / "huge.yaml", text)
    result = eoc("run", "huge.yaml", cwd=tmp_path, timeout=20)
    refused(result, "--max-file-size", "grid.weight_variance", "grid.bias_variance")
    assert listing(tmp_path).keys() == {"huge.yaml"}


def test_many_layers_too_large_a_file(tmp_path):
    """Where layers make the file large, the key that thins them is named; with it the same sweep is accepted."""
    write_sweep(tmp_path / "deep.yaml", "grid: {activation: tanh, weight_variance: 1.5, width: 2, depth: 100000}\n")
    refused(eoc("run", "deep.yaml", "--max-file-size", "3M", cwd=tmp_path), "--max-file-size", "probe.layers")
    assert listing(tmp_path).keys() == {"deep.yaml"}
    result = eoc("run", "deep.yaml", "--max-file-size", "3M", "--set", "probe.layers=log 30", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "deep.h5").stat().st_size < 3_000_000


@pytest.mark.parametrize("size, accepted", [("1k", False), ("1000", False), ("5M", True), ("5000000", True),
                                            ("1T", True), ("abc", None), ("-3", None), ("", None), ("5X", None)])
def test_max_file_size_forms(size, accepted, tmp_path):
    """--max-file-size takes bytes or k, M, G, T; what it does not read it refuses, naming itself."""
    write_sweep(tmp_path / "sweep.yaml", SMALL)
    result = eoc("run", "sweep.yaml", f"--max-file-size={size}", cwd=tmp_path)
    if accepted:
        assert result.returncode == 0, result.stderr
    else:
        refused(result, "--max-file-size")
        assert listing(tmp_path).keys() == {"sweep.yaml"}


# Arguments after "run sweep.yaml", and words of the message.
BAD_ARGUMENTS = {
    "--set without =": (["--set", "grid.width"], ["grid.width", "KEY=VALUE"]),
    "--set without a key": (["--set", "=3"], ["=3", "KEY=VALUE"]),
    "--set without a value": (["--set", "grid.width="], ["grid.width", "no value"]),
    "--set misspelt": (["--set", "grid.widht=3"], ["grid.widht", "did you mean grid.width"]),
    "--set a section": (["--set", "grid=3"], ["grid"]),
    "--set without its section": (["--set", "width=3"], ["width", "grid.width"]),
    "--set out of range": (["--set", "grid.depth=0"], ["--set grid.depth=0", "grid.depth", "from 1"]),
    "--set a bad name": (["--set", "grid.activation=tahn"], ["grid.activation", "'tanh'"]),
    "--set last": (["--set"], ["--set"]),
    "-o last": (["-o"], ["o"]),
    "-o empty": (["-o", ""], ["-o"]),
    "unknown option": (["--colour"], ["--colour", "--help"]),
    "unknown short option": (["-Z"], ["Z", "--help"]),
    "no time": (["--max-time", "soon"], ["--max-time", "'soon'", "3:50:00"]),
    "time of 0": (["--max-time", "0:00"], ["--max-time", "'0:00'"]),
    "61 minutes in hours": (["--max-time", "1:61:00"], ["--max-time", "'1:61:00'"]),
    "four parts of a time": (["--max-time", "1:2:3:4"], ["--max-time", "'1:2:3:4'"]),
    "days without hours": (["--max-time", "2-"], ["--max-time", "'2-'"]),
    "negative time": (["--max-time", "-5"], ["--max-time"]),
    "no grace": (["--grace", "x"], ["--grace", "'x'"]),
    "half a failure": (["--max-failures", "0.5"], ["--max-failures", "'0.5'", "whole number"]),
    "no attempts": (["--max-attempts", "0"], ["--max-attempts", "'0'", "from 1"]),
    "retry of what is done": (["--retry", "done"], ["--retry", "'done'", "failed", "diverged"]),
    "retry of nothing": (["--retry", ""], ["--retry"]),
    "a second file": (["other.yaml"], ["other.yaml"]),
}


@pytest.mark.parametrize("case", BAD_ARGUMENTS)
def test_bad_arguments_of_run(case, tmp_path):
    """Arguments that eoc run does not know are refused by name; nothing is written."""
    arguments, needles = BAD_ARGUMENTS[case]
    write_sweep(tmp_path / "sweep.yaml", SMALL)
    refused(eoc("run", "sweep.yaml", *arguments, cwd=tmp_path), *needles)
    assert listing(tmp_path).keys() == {"sweep.yaml"}


@pytest.mark.parametrize("arguments, needles", [
    ([], ["eoc run", "--help"]),
    (["rnu"], ["'rnu'", "did you mean 'run'"]),
    (["frobnicate"], ["'frobnicate'", "--help"]),
    (["--colour"], ["--colour", "--help"]),
    (["run"], ["sweep file"]),
    (["list", "activatons"], ["'activatons'", "did you mean 'activations'", "initializers"]),
    (["list", "--colour"], ["--colour"]),
], ids=" ".join)
def test_bad_commands(arguments, needles, tmp_path):
    """Without a command, with an unknown one, or without its argument: exit code 2 and what there is."""
    refused(eoc(*arguments, cwd=tmp_path), *needles)



@pytest.mark.parametrize("output, needles", [
    ("none/sweep.h5", ["none", "No such file or directory"]),
    ("/proc/sweep.h5", ["/proc"]),
    ("sweep.yaml/sweep.h5", ["sweep.yaml", "Not a directory"]),
    (".", ["directory"]),
    ("folder", ["folder", "directory"]),
    ("folder/", ["folder", "directory"]),
    ("n" * 300 + ".h5", ["File name too long"]),
], ids=lambda value: value[:20] if isinstance(value, str) else "")
@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]], ids=["", "overwrite"])
def test_output_that_cannot_be(output, needles, overwrite, tmp_path):
    """An output in no directory, or that is one, is refused before any work with the system's reason."""
    write_sweep(tmp_path / "sweep.yaml", SMALL)
    (tmp_path / "folder").mkdir()
    result = eoc("run", "sweep.yaml", "-o", output, *overwrite, cwd=tmp_path)
    refused(result, *needles)
    assert listing(tmp_path).keys() == {"sweep.yaml"} and not list((tmp_path / "folder").iterdir())


def other_hdf5(path):
    with h5py.File(path, "w") as file:
        file["mine"] = np.arange(5)


def cut_short(path):
    other_hdf5(path)
    os.truncate(path, 200)


@pytest.mark.parametrize("make, needle", [
    (lambda path: path.write_text("precious notes\n"), "not an HDF5 file"),
    (lambda path: path.write_bytes(b""), "not an HDF5 file"),
    (other_hdf5, "sweep.h5"),
    (cut_short, "sweep.h5"),
], ids=["text", "empty", "foreign HDF5", "damaged HDF5"])
@pytest.mark.parametrize("ranks", [None, 2])
def test_existing_file_of_others(make, needle, ranks, tmp_path):
    """A file that eoc did not make is neither gone on with nor touched; -o and --overwrite are named; said once."""
    write_sweep(tmp_path / "sweep.yaml", SMALL)
    make(tmp_path / "sweep.h5")
    before = listing(tmp_path)
    result = eoc("run", "sweep.yaml", "--quiet", cwd=tmp_path, ranks=ranks)
    assert listing(tmp_path) == before
    assert result.stderr.count("eoc: ") == 1
    if ranks is None:
        refused(result, needle, "-o", "--overwrite")
    else:
        assert result.returncode != 0 and needle in result.stderr
        assert "HDF5-DIAG" not in result.stderr


@pytest.mark.parametrize("change, key", [("grid.width=11", "width"), ("seed=2", "seed"), ("grid.replica=2", "replica"),
                                         ("probe.inputs.correlation=0.5", "correlation"), ("probe.layers=log 3", "layers"),
                                         ("grid.activation=tanh,relu", "activation")])
def test_existing_file_of_another_sweep(change, key, tmp_path):
    """A file that holds another sweep is left alone, and the first key that differs is named with both values."""
    path = run(tmp_path, SMALL)
    before = path.read_bytes()
    refused(eoc("run", "sweep.yaml", "--set", change, cwd=tmp_path), "sweep.h5 holds another sweep", key, "-o", "--overwrite")
    assert path.read_bytes() == before


def test_title_is_not_identity(tmp_path):
    """A file goes on under another title; there is nothing to do then, and the numbers stay."""
    path = run(tmp_path, "title: one\n" + SMALL)
    attempts, before = datasets(path)["run/attempts"], results(path)
    result = eoc("run", "sweep.yaml", "--set", "title=two", cwd=tmp_path)
    assert result.returncode == 0 and "0 computed" in result.stderr, result.stderr
    assert (datasets(path)["run/attempts"] == attempts).all()
    assert_same_bits(path, before)


def test_overwrite(tmp_path):
    """--overwrite begins anew with another sweep."""
    path = run(tmp_path, SMALL)
    result = eoc("run", "sweep.yaml", "--set", "grid.width=11", "--overwrite", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    with h5py.File(path) as file:
        assert file["width"][()].tolist() == [11] and (file["run/status"][()] == DONE).all()


def test_overwrite_never_takes_the_sweep_file(tmp_path):
    """The sweep file itself is never the output, not even with --overwrite."""
    write_sweep(tmp_path / "sweep.yaml", SMALL)
    result = eoc("run", "sweep.yaml", "-o", "sweep.yaml", "--overwrite", cwd=tmp_path)
    assert listing(tmp_path) == {"sweep.yaml": SMALL.encode()}
    refused(result, "sweep.yaml")


def test_overwrite_after_a_mistake(tmp_path):
    """A mistake in the sweep file with --overwrite leaves the old results in place."""
    path = run(tmp_path, SMALL)
    before = path.read_bytes()
    refused(eoc("run", "sweep.yaml", "--set", "grid.width=0", "--overwrite", cwd=tmp_path), "grid.width")
    assert path.read_bytes() == before


@pytest.mark.parametrize("case", ["sweep", "option", "command"])
def test_said_once_under_mpirun(case, tmp_path):
    """Under mpirun -n 2 a mistake is printed once, and the exit code is still 2."""
    write_sweep(tmp_path / "sweep.yaml", SMALL.replace("tanh", "tahn"))
    arguments, needle = {"sweep": (["run", "sweep.yaml"], "unknown activation"),
                         "option": (["run", "sweep.yaml", "--colour"], "--colour"),
                         "command": (["rnu"], "'rnu'")}[case]
    result = eoc(*arguments, cwd=tmp_path, ranks=2)
    assert result.returncode == 2
    assert result.stderr.count(needle) == 1, result.stderr
    assert "HDF5-DIAG" not in result.stderr and "MPI_Abort" not in result.stderr
    assert listing(tmp_path).keys() == {"sweep.yaml"}


# The good side.

@pytest.mark.parametrize("command, example", [([], "mpirun eoc run"), (["run"], "eoc run jobs/tanh-phase-diagram.yaml"),
                                              (["list"], "eoc list activations")], ids=["eoc", "run", "list"])
def test_help(command, example, tmp_path):
    """--help of every command is on stdout, exits with 0 and shows an example within the first screen of 80 columns."""
    result = eoc(*command, "--help", cwd=tmp_path)
    assert result.returncode == 0 and result.stderr == ""
    assert example in "\n".join(result.stdout.splitlines()[:40])
    assert max(map(len, result.stdout.splitlines())) <= 120
    assert "--shuffle" not in result.stdout


def test_examples_name_files_that_exist(tmp_path):
    """The sweep file of the examples is in the source tree and passes every check (its size is refused, not its keys)."""
    result = eoc("run", TESTS.parent / "jobs" / "tanh-phase-diagram.yaml", "--max-file-size=1", cwd=tmp_path)
    refused(result, "--max-file-size")
    assert len(sentences(result.stderr)) == 1


def test_version(tmp_path):
    """--version names the version of the VERSION file, the file's schema and the libraries' versions."""
    result = eoc("--version", cwd=tmp_path)
    assert result.returncode == 0 and result.stderr == ""
    assert result.stdout.splitlines()[0].startswith("eoc " + (TESTS.parent / "VERSION").read_text().strip())
    for library in ("schema", "OpenBLAS", "HDF5", "MPI"):
        assert library in result.stdout, result.stdout


@pytest.mark.parametrize("kind, names", [
    ("activations", [*ACTIVATIONS, "crelu"]), ("initializers", [*INITIALIZERS, "looks_linear", "looks_linear_gaussian", "delta_orthogonal",
                                                                 "gaussian_taps", "orthogonal_kernel"])])
def test_list_prints_every_kind(kind, names, tmp_path):
    """eoc list prints exactly the activations and initializers there are, with formula and source, alone and in all."""
    for arguments in ([kind], []):
        result = eoc("list", *arguments, cwd=tmp_path)
        assert result.returncode == 0 and result.stderr == ""
        rows = dict(re.findall(r"^  (\S+) +(\S.*)$", result.stdout, re.MULTILINE))
        assert set(names) <= set(rows)
        assert not arguments or len(rows) == len(names)
        for name in names:
            assert re.search(r"(z|\(|fan_in|1/N).*  \[.+\]$", rows[name]), rows[name]


def test_list_prints_every_key(tmp_path):
    """eoc list keys names the keys of this tree's tables, and the defaults that it prints are values that the keys take."""
    result = eoc("list", "keys", cwd=tmp_path)
    assert result.returncode == 0 and result.stderr == ""
    listed = dict(re.findall(r"^(\S+) \[(.*)\]$", result.stdout, re.MULTILINE))
    sources = "".join(path.read_text() for path in (TESTS.parent / "src").rglob("*.c"))
    in_tables = re.findall(r'\bKEY\("(\w+)"', sources) + re.findall(r'\bMEMO\("(\w+)"', sources)
    assert {"grid.depth", "probe.sampler", "train.bias_rate", "seed"} <= set(listed)
    assert {key.split(".")[-1] for key in listed} >= set(in_tables), set(in_tables) - {key.split(".")[-1] for key in listed}
    write_sweep(tmp_path / "sweep.yaml", SMALL + "train: {dataset: mnist10k}\n")
    defaults = [f"{key}={value}" for key, value in listed.items() if value not in ("must be given", "none", '""')]
    result = eoc("plan", "sweep.yaml", *(word for value in defaults for word in ("--set", value)), cwd=tmp_path)
    not_read = [line for line in result.stderr.splitlines() if line.endswith("leave it out or choose another kind")]
    assert result.stderr.splitlines() == not_read and 0 < len(not_read) < len(defaults) / 4, result.stderr


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_listed_activation_runs(name, tmp_path):
    """A listed activation is accepted, runs, and is in the file under its canonical name."""
    path = run(tmp_path, SMALL.replace("tanh", name))
    with h5py.File(path) as file:
        assert file["activation"].asstr()[0].split("(")[0] == name
        assert (file["run/status"][()] == DONE).all() and np.isfinite(file["probe/log_q"][()]).all()


def test_every_listed_initializer_runs(tmp_path):
    """All listed initializers run in one sweep."""
    path = run(tmp_path, SMALL, "--set", "grid.initializer=" + ",".join(INITIALIZERS))
    with h5py.File(path) as file:
        assert file["initializer"].asstr()[()].tolist() == INITIALIZERS
        assert (file["run/status"][()] == DONE).all() and np.isfinite(file["probe/log_q"][()]).all()


# --set KEY=VALUE, the coordinate, what the file then holds.
SETTINGS = [
    ("grid.width=20", "width", [20]),
    ("grid.width=20,30", "width", [20, 30]),
    ("grid.width=[20, 30]", "width", [20, 30]),
    ("grid.weight_variance=linspace(1, 2, 3)", "weight_variance", [1, 1.5, 2]),
    ("grid.weight_variance=linspace(0.1, 0.9, 9)", "weight_variance", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]),
    ("grid.weight_variance=geomspace(1, 4, 3)", "weight_variance", [1, 2, 4]),
    ("grid.weight_variance=range(1, 2, 0.5)", "weight_variance", [1, 1.5, 2]),
    ("grid.weight_variance=square(linspace(1, 3, 3))", "weight_variance", [1, 4, 9]),
    ("grid.weight_variance=square([1, 3])", "weight_variance", [1, 9]),
    ("grid.weight_variance=-0.0", "weight_variance", [0]),
    ("grid.width=geomspace(2, 4, 9)", "width", [2, 3, 4]),
    ("grid.depth=range(1, 3, 1)", "depth", [1, 2, 3]),
    ("grid.replica=3", "replica", [0, 1, 2]),
    ("grid.replica=5,2", "replica", [5, 2]),
    ("grid.activation=relu,leaky_relu(slope=0.2)", "activation", ["relu", "leaky_relu(slope=0.2)"]),
    ("grid.activation=leaky_relu( slope = 2e-1 )", "activation", ["leaky_relu(slope=0.2)"]),
]


@pytest.mark.parametrize("setting, axis, values", SETTINGS, ids=[setting for setting, _, _ in SETTINGS])
def test_set_forms(setting, axis, values, tmp_path):
    """--set lays a scalar, a list or a generator over the sweep file's value; the file holds exactly those values."""
    path = run(tmp_path, SMALL, "--set", setting)
    with h5py.File(path) as file:
        stored = file[axis].asstr()[()] if file[axis].dtype == object else file[axis][()]
        assert stored.tolist() == values
        assert not np.signbit(stored).any() if axis == "weight_variance" else True


def test_last_set_wins(tmp_path):
    """Of two --set of one key the last holds; those of other keys all hold."""
    path = run(tmp_path, SMALL, "--set", "grid.width=20", "-s", "grid.depth=2", "--set=grid.width=7")
    with h5py.File(path) as file:
        assert file["width"][()].tolist() == [7] and file["depth"][()].tolist() == [2]


def test_set_mends_the_file(tmp_path):
    """What --set replaces need not be in the file, and a file with one missing key is mended by it."""
    path = run(tmp_path, "grid: {activation: tanh, width: 10, depth: 3}\n", "--set", "grid.weight_variance=1.5")
    with h5py.File(path) as file:
        assert file["weight_variance"][()].tolist() == [1.5]


def test_default_output_is_in_the_current_directory(tmp_path):
    """Without -o the file has the sweep's name with .h5, in the current directory, even if the sweep lies elsewhere."""
    (tmp_path / "jobs").mkdir()
    write_sweep(tmp_path / "jobs" / "my.sweep.yaml", SMALL)
    result = eoc("run", "jobs/my.sweep.yaml", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert listing(tmp_path).keys() == {"my.sweep.h5"}
    assert listing(tmp_path / "jobs").keys() == {"my.sweep.yaml"}


def test_output_option(tmp_path):
    """-o and --output name the file and nothing else is left; the plan says the name, the last line says what was done."""
    write_sweep(tmp_path / "sweep.yaml", SMALL)
    (tmp_path / "out").mkdir()
    for arguments, name in ((["-o", "a b.h5"], "a b.h5"), (["--output=out/c"], "out/c")):
        result = eoc("run", "sweep.yaml", *arguments, cwd=tmp_path)
        assert result.returncode == 0 and name in result.stderr and "1 done" in result.stderr, result.stderr
        assert_quiet(result.stderr)
        assert h5py.is_hdf5(tmp_path / name)
    assert listing(tmp_path).keys() == {"sweep.yaml", "a b.h5"} and listing(tmp_path / "out").keys() == {"c"}


@pytest.mark.parametrize("ranks", [None, 2])
def test_quiet(ranks, tmp_path):
    """With -q a run that goes well says nothing at all."""
    write_sweep(tmp_path / "sweep.yaml", SMALL)
    result = eoc("run", "sweep.yaml", "-q", cwd=tmp_path, ranks=ranks)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_rerun_computes_nothing(tmp_path):
    """The same command on a finished file computes nothing, changes no result and exits with 0."""
    path = run(tmp_path, SMALL)
    before = datasets(path)
    result = eoc("run", "sweep.yaml", cwd=tmp_path)
    assert result.returncode == 0 and "0 computed" in result.stderr, result.stderr
    after = datasets(path)
    assert all(np.array_equal(before[name], after[name], equal_nan=before[name].dtype.kind == "f")
               for name in before if name.startswith(("probe/", "theory/", "run/")))
