# SPDX-License-Identifier: BSD-3-Clause
"""eoc theory, critical and advise: numbers of known origin, refusals, and that none of them needs MPI."""
import csv
import json
import math
import os
import subprocess
import sys

import h5py
import numpy as np
import pytest
from conftest import GRID, POINT, PROGRAM, TESTS, assert_quiet, datasets, dimensions, eoc, own_files, run, sentences, write_sweep

ACTIVATIONS = "linear relu leaky_relu tanh hard_tanh erf sigmoid elu selu gelu silu softplus sin".split()

SWEEP = """title: small
seed: 3
grid:
  activation: [tanh, relu, gelu, sigmoid]
  initializer: [gaussian, he_normal, small_uniform, orthogonal]
  weight_variance: linspace(0.5, 4, 8)
  bias_variance: [0, 0.05]
  depth: [3, 6]
  width: [8, 12]
  replica: 2
"""

# MPI_Init of Open MPI fails at once with a transport that does not exist.
BROKEN_MPI = {"OMPI_MCA_btl": "none", "OMPI_MCA_pml": "none"}


def point(folder, activation, weight_variance, bias_variance=0, *options):
    """The JSON object of one point."""
    return answer(folder, "theory", "--activation", activation, "--weight-variance", weight_variance, "--bias-variance",
                  bias_variance, *options)


def answer(folder, *arguments):
    result = eoc(*arguments, "--json", cwd=folder, **BROKEN_MPI)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return json.loads(result.stdout, object_pairs_hook=object_of_unique_keys)


def object_of_unique_keys(pairs):
    assert len({key for key, _ in pairs}) == len(pairs), [key for key, _ in pairs]
    return dict(pairs)


def refused(result, *needles):
    assert result.returncode == 2, result.stderr
    assert result.stdout == ""
    assert_quiet(result.stderr)
    for needle in needles:
        assert needle in result.stderr, result.stderr


# -- one point --

# Poole et al. 2016 and Schoenholz et al. 2017 (tests/reference/published.md, A3 and A4): sigma_w2, sigma_b2, q*, chi_1, c*, xi_c
@pytest.mark.parametrize("row", [
    (1.0, 0.05, 0.19359, 0.75903, 1.0, 3.627),
    (1.5, 0.05, 0.41804, 0.93864, 1.0, 15.79),
    (2.0, 0.05, 0.72176, 1.04767, 0.74408, 25.21),
    (4.0, 0.05, 2.19549, 1.34240, 0.16506, 6.980),
    (1.69, 0.09, 0.60705, 0.93981, 1.0, None),
    (6.25, 0.09, 4.07912, 1.58522, 0.12210, None),
    (16.0, 0.09, 12.60415, 2.36726, 0.02970, None),
])
def test_published_points_of_tanh(row, tmp_path):
    """Fixed points, slopes and depth scales of tanh are those of the papers, to the digits given."""
    weight_variance, bias_variance, q_star, chi_1, c_star, xi_c = row
    got = point(tmp_path, "tanh", weight_variance, bias_variance)
    assert got["q_star"] == pytest.approx(q_star, abs=6e-6)
    assert got["chi_1"] == pytest.approx(chi_1, abs=6e-6)
    assert got["c_star"] == pytest.approx(c_star, abs=6e-6)
    if xi_c is not None:
        assert got["xi_c"] == pytest.approx(xi_c, rel=5e-4)
    assert ("chaotic" in got["status_meanings"]) == (chi_1 > 1)


def test_all_fixed_points_of_gelu(tmp_path):
    """gelu at (2.0, 0.1): q* = 0.34083001, stable, and 11.29787, unstable (Roberts, Yaida and Hanin 2022, chapter 5)."""
    got = point(tmp_path, "gelu", 2.0, 0.1)
    assert [p["stability"] for p in got["fixed_points"]] == ["stable", "unstable"]
    assert [p["q_star"] for p in got["fixed_points"]] == pytest.approx([0.34083001, 11.29787], rel=5e-7)
    assert got["q_star"] == got["fixed_points"][0]["q_star"]
    assert got["status_meanings"] == ["q_several"]


def test_closed_forms_of_relu(tmp_path):
    """relu at (2, 0): every length stays, 1 - c falls as a power, beta = 5 L/N (Hanin and Nica 2020), the Jacobian's
    variance is 2 a layer with gaussian weights and 1 with orthogonal ones (Pennington et al. 2017)."""
    got = point(tmp_path, "relu", 2, 0, "--width", 200, "--depth", 100)
    assert got["chi_1"] == pytest.approx(1, abs=1e-12) and got["xi_c"] is None
    assert {"q_line", "xi_infinite"} <= set(got["status_meanings"])
    assert got["beta"] == pytest.approx(5 * 100 / 200, rel=1e-10)
    assert got["beta_per_depth_over_width"] == pytest.approx(5, rel=1e-10)
    assert got["jacobian_variance_per_layer_gaussian"] == pytest.approx(2, rel=1e-10)
    assert got["jacobian_variance_per_layer_orthogonal"] == pytest.approx(1, rel=1e-10)
    assert got["lambda_max"] == pytest.approx(543.66, abs=6e-3)
    assert got["layer"] == list(range(1, 101)) and len(got["log_q"]) == len(got["c"]) == 100
    assert got["log_q"] == pytest.approx([math.log(2)] * 100, abs=1e-10)  # q^1 = 2 |x|^2/N


def test_depth_and_width_are_not_invented(tmp_path):
    """What needs a depth or width is null without them; the rest is there."""
    got = point(tmp_path, "tanh", 1.5, 0.05)
    assert got["beta"] is got["lambda_max"] is got["log_jacobian_m1"] is got["width"] is None
    assert "log_q" not in got and got["mu_1"] > 0


def test_effective_variance_of_initializers(tmp_path):
    """he doubles, torch_linear divides by three, small_normal is 1e-4 N and so needs the width."""
    def effective(*options):
        return point(tmp_path, "tanh", 1.5, 0, "--initializer", *options)["effective_weight_variance"]
    assert effective("he_normal") == 3
    assert effective("torch_linear") == pytest.approx(0.5, rel=1e-15)
    assert effective("small_normal", "--width", 200) == pytest.approx(1.5e-4 * 200, rel=1e-12)
    refused(eoc("theory", "--activation", "tanh", "--weight-variance", 1, "--initializer", "small_normal", cwd=tmp_path),
            "--width")
    outside = point(tmp_path, "tanh", 1, 0, "--initializer", "positive_uniform", "--width", 100)
    assert outside["status_meanings"] == ["outside_theory"] and outside["q_star"] is None


def test_table_is_in_words(tmp_path):
    """Without --json: the state in words, the fixed points, every number that --json has a scalar for."""
    result = eoc("theory", "--activation", "tanh", "--weight-variance", 2, "--bias-variance", 0.05, cwd=tmp_path)
    assert result.returncode == 0 and result.stderr == ""
    for needle in ("chaotic: ", "q_star", "chi_1", "c_star", "xi_q", "xi_c", "mu_2", "0.7217", "stable; the signal goes here"):
        assert needle in result.stdout


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_reference_values(activation, tmp_path):
    """One point of every activation is that of tests/reference/theory.csv (its README says how they were found), to 1e-7."""
    with open(TESTS / "reference/theory.csv", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(line for line in file if not line.startswith("#")) if row["activation"] == activation]
    row = rows[len(rows) // 2]
    got = point(tmp_path, activation, row["weight_variance"], row["bias_variance"])
    columns = {"chi_1": "chi1", "mu_1": "mu1", "mu_2": "mu2"}
    if "q_line" not in got["status_meanings"]:
        columns["q_star"] = "q_star"
    for name, column in columns.items():
        assert got[name] == pytest.approx(float(row[column]), rel=1e-7, abs=1e-9), name


# -- refusals --

@pytest.mark.parametrize("arguments, needles", [
    ("theory --activation tahn --weight-variance 1", ["--activation: ", "did you mean 'tanh'", "softplus"]),
    ("theory --activation tanh --weight-variance -1", ["--weight-variance: -1 is out of range", "from 0"]),
    ("theory --activation tanh --weight-variance big", ["--weight-variance: 'big'", "number"]),
    ("theory --activation tanh --weight-variance nan", ["--weight-variance", "finite"]),
    ("theory --activation tanh --weight-variance 1,2", ["--weight-variance", "'1,2'"]),
    ("theory --activation tanh,relu --weight-variance 1", ["one value"]),
    ("theory --activation tanh --weight-variance 1 --initializer gausian", ["--initializer", "did you mean 'gaussian'"]),
    ("theory --activation tanh --weight-variance 1 --correlation 2", ["--correlation", "from -1 to 1"]),
    ("theory --activation tanh --weight-variance 1 --input-variance 0", ["--input-variance"]),
    ("theory --activation tanh --weight-variance 1 --depth 0", ["--depth", "from 1"]),
    ("theory --activation tanh", ["--weight-variance"]),
    ("theory", ["sweep file"]),
    ("theory a.yaml --activation tanh --weight-variance 1", ["not both"]),
    ("theory a.yaml --json", ["not both"]),
    ("theory none.yaml", ["none.yaml", "No such file"]),
    ("theory a.yaml b.yaml", ["'a.yaml' and 'b.yaml'"]),
    ("critical --activation rellu", ["--activation: ", "did you mean 'relu'"]),
    ("critical", ["--activation"]),
    ("critical --activation tanh --bias-variance -1", ["--bias-variance", "from 0"]),
    ("critical --activation tanh --q-star 0", ["--q-star"]),
    ("critical --activation tanh --q-star 1 --bias-variance 1", ["not both"]),
    ("advise --activation relu --width 512", ["--depth"]),
    ("advise --activation relu --width 0 --depth 5", ["--width", "from 1"]),
    ("advise --activation relu --width 10 --depth 2.5", ["--depth", "whole number"]),
    ("advise --activation gleu --width 10 --depth 5", ["--activation", "'gelu'"]),
])
def test_refusals(arguments, needles, tmp_path):
    """Bad options: exit code 2, one sentence that names the option and what is accepted, nothing written."""
    result = eoc(*arguments.split(), cwd=tmp_path)
    refused(result, *needles)
    told = [line for line in sentences(result.stderr) if not line.startswith("Try ")]
    assert len(told) == 1, result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["theory", "critical", "advise"])
def test_help_begins_with_an_example_that_works(command, tmp_path):
    """The first screen of --help holds a command line that runs as it stands."""
    shown = eoc(command, "--help", cwd=tmp_path)
    assert shown.returncode == 0
    examples = [line.split("   ")[0].split() for line in shown.stdout.splitlines()[:24]
                if line.startswith(f"  eoc {command} --") and "--plot" not in line]
    assert examples
    for example in examples:
        assert eoc(*example[1:], cwd=tmp_path).returncode == 0, example


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_in_every_command(activation, tmp_path):
    """No activation is left out, in words or as JSON, and all is quick."""
    for arguments in (["theory", "--activation", activation, "--weight-variance", 1.5, "--bias-variance", 0.05],
                      ["critical", "--activation", activation], ["critical", "--activation", activation, "--q-star", 0.5],
                      ["critical", "--activation", activation, "--bias-variance", 0],
                      ["advise", "--activation", activation, "--width", 100, "--depth", 30]):
        shown = eoc(*arguments, cwd=tmp_path, timeout=20, **BROKEN_MPI)
        assert shown.returncode == 0 and shown.stderr == "" and len(shown.stdout) > 40, (arguments, shown.stderr)
        assert "nan" not in shown.stdout.replace("finan", "")
        assert isinstance(answer(tmp_path, *arguments), dict)


# -- the critical line --

def test_critical_point_of_tanh(tmp_path):
    """tanh at sigma_b2 = 0.05: (1.76095, q* = 0.57005) (Schoenholz et al. 2017, quoted as 1.76); gain is its root."""
    found = answer(tmp_path, "critical", "--activation", "tanh", "--bias-variance", 0.05)["points"]
    assert len(found) == 1
    assert found[0]["weight_variance"] == pytest.approx(1.76095, abs=6e-6)
    assert found[0]["q_star"] == pytest.approx(0.57005, abs=6e-6)
    assert found[0]["gain"] == pytest.approx(math.sqrt(found[0]["weight_variance"]), rel=1e-14)
    assert found[0]["bias_variance"] == 0.05
    assert found[0]["stability"] == "stable" and found[0]["signal_stays"]


def test_start_of_the_line_of_tanh(tmp_path):
    """With bias 0 tanh is critical at (1, 0), where q goes to 0 as a power; sigma_b2(q* = 1e-4) = 1.33253383165e-12."""
    start = answer(tmp_path, "critical", "--activation", "tanh", "--bias-variance", 0)["points"]
    assert [(p["weight_variance"], p["bias_variance"], p["q_star"], p["stability"]) for p in start] == [(1, 0, 0, "marginal")]
    small = answer(tmp_path, "critical", "--activation", "tanh", "--q-star", "1e-4")["points"][0]
    assert small["bias_variance"] == pytest.approx(1.33253383165e-12, rel=1e-9)


@pytest.mark.parametrize("activation, weight_variance", [("relu", 2), ("leaky_relu", 2 / 1.0001), ("leaky_relu(slope=0.2)", 2 / 1.04),
                                                        ("linear", 1)])
def test_one_critical_point(activation, weight_variance, tmp_path):
    """Scale-invariant activations have one point, 2/(1 + a^2) or 1 with bias 0, and the answer says so, elsewhere too."""
    got = answer(tmp_path, "critical", "--activation", activation)
    assert [p["bias_variance"] for p in got["points"]] == [0]
    assert got["points"][0]["weight_variance"] == pytest.approx(weight_variance, rel=1e-11)
    assert "one critical point" in got["message"]
    elsewhere = answer(tmp_path, "critical", "--activation", activation, "--bias-variance", 0.1)
    assert elsewhere["points"] == [] and "one critical point" in elsewhere["message"]


@pytest.mark.parametrize("activation, q_star, weight_variance, bias_variance", [
    ("gelu", 3.561552812809, 1.983058257438, 0.172922390756), ("silu", 14.320173618025, 1.988004678269, 0.555143170722)])
def test_half_stable_point(activation, q_star, weight_variance, bias_variance, tmp_path):
    """The table of the line holds its half-stable point (Roberts, Yaida and Hanin 2022); below it the line is unstable."""
    points = answer(tmp_path, "critical", "--activation", activation)["points"]
    half = [p for p in points if p["stability"] == "half-stable"]
    assert len(half) == 1
    assert (half[0]["q_star"], half[0]["weight_variance"], half[0]["bias_variance"]) == pytest.approx(
        (q_star, weight_variance, bias_variance), rel=1e-6)
    assert half[0]["weight_variance"] == pytest.approx(weight_variance, rel=1e-11)
    for p in points:
        if p["q_star"] != half[0]["q_star"]:
            assert p["stability"] == ("stable" if p["q_star"] > q_star else "unstable")
            assert p["signal_stays"] == (p["q_star"] > q_star)


def test_where_an_unstable_point_leads(tmp_path):
    """gelu at sigma_b2 = 0.1 is unstable: from below a signal reaches a fixed point of `theory` that is ordered."""
    p = answer(tmp_path, "critical", "--activation", "gelu", "--bias-variance", 0.1)["points"][0]
    assert p["weight_variance"] == pytest.approx(2.07668, abs=6e-6)
    below = p["reached_from_below"]
    fixed = point(tmp_path, "gelu", p["weight_variance"], 0.1)["fixed_points"]
    stable = [f for f in fixed if f["stability"] == "stable"][0]
    assert below["q_star"] == pytest.approx(stable["q_star"], rel=1e-9)
    assert below["chi_1"] < 1 and below["xi_c"] == pytest.approx(-1 / math.log(below["chi_1"]), rel=1e-9)
    assert p["reached"]["diverges"] and p["reached"]["q_star"] is None


def test_no_edge_of_chaos(tmp_path):
    """softplus has none; sigmoid from sigma_w2 = 103.0075539, q* = 45.6243 up (tanh rescaled)."""
    none = answer(tmp_path, "critical", "--activation", "softplus")
    assert none["points"] == [] and "no edge of chaos" in none["message"]
    far = answer(tmp_path, "critical", "--activation", "sigmoid")
    assert far["points"][0]["weight_variance"] == pytest.approx(103.0075539, rel=1e-9)
    assert far["points"][0]["q_star"] == pytest.approx(45.6243, abs=6e-5)
    assert "103.0076" in far["message"] and "far above" in far["message"]


# -- a sweep's theory --

def test_theory_file_is_that_of_a_run(tmp_path):
    """The theory group, the axes and the point variables of run are the bits that `eoc run` writes; no networks are there."""
    whole = run(tmp_path, SWEEP, "-q")
    result = eoc("theory", "sweep.yaml", cwd=tmp_path, **BROKEN_MPI)
    assert result.returncode == 0, result.stderr
    left, right = datasets(tmp_path / "sweep.theory.h5"), datasets(whole)
    assert not [name for name in left if name.startswith("probe/")]
    assert {name for name in left if name.startswith("run/")} == {"run/effective_weight_variance", "run/input_variance"}
    compared = [name for name in left if not name.startswith("provenance/")]
    assert {name for name in right if name.startswith("theory/")} <= set(compared) and len(compared) > 30
    for name in compared:
        if left[name].dtype == object:
            assert list(left[name]) == list(right[name]), name
        else:
            assert left[name].shape == right[name].shape and left[name].tobytes() == right[name].tobytes(), name
    with h5py.File(tmp_path / "sweep.theory.h5") as file:
        assert dimensions(file["theory/q_star"]) == POINT
        assert dimensions(file["theory/log_q"]) == (*POINT, "layer")
        info = json.loads(b"".join(file["provenance/info"][0]).split(b"\0")[0])
        assert "eoc theory" in info["command"] and info["ended"] == "everything was done"
        assert not (file["theory/status"][()] & 1).any()  # not_computed


@pytest.mark.parametrize("arguments, needles", [
    (("--input-variance", 0), ["--input-variance", "from 1e-12 to"]),
    (("--points", 5000, "--architecture", "fully_connected(normalization=batch)"), ["--points", "5000", "to 4096"]),
    (("-o", "point.h5"), ["-o", "sweep file", "printed"]),
    (("--architecture", "fully_connected(gamma=3)"), ["--architecture", "gamma", "normalization=layer"]),
    (("--architecture", "residual(branch=1/sqrt(depth))"), ["--architecture", "--depth"]),
], ids=["range", "points", "output", "gamma", "depth"])
def test_what_is_wrong_with_a_point(arguments, needles, tmp_path):
    """In words of the options that were given, with what is accepted."""
    result = eoc("theory", "--activation", "tanh", "--weight-variance", 1.5, *arguments, cwd=tmp_path)
    refused(result, *needles)
    assert "fixed_point" not in result.stderr and own_files(tmp_path) == set()


@pytest.mark.parametrize("activation, initializer, architecture, blamed", [
    ("crelu", "looks_linear", "residual(form=reduced)", "--architecture"), ("relu", "looks_linear", "fully_connected", "--initializer")])
def test_who_is_blamed(activation, initializer, architecture, blamed, tmp_path):
    result = eoc("theory", "--activation", activation, "--initializer", initializer, "--architecture", architecture, "--weight-variance", 1,
                 cwd=tmp_path)
    refused(result, f"eoc: {blamed}:", "two features")


def test_theory_under_mpirun(tmp_path):
    """Of three processes one writes the file, and says so once."""
    write_sweep(tmp_path / "sweep.yaml", SWEEP)
    result = eoc("theory", "sweep.yaml", cwd=tmp_path, ranks=3)
    assert result.returncode == 0, result.stderr
    assert [line for line in result.stderr.splitlines() if line.startswith("eoc:")] == [result.stderr.splitlines()[0]]
    assert own_files(tmp_path) == {"sweep.yaml", "sweep.theory.h5"}


def test_theory_file_in_the_readers(tmp_path):
    """xarray by both engines, netCDF4 and eoc-plot open it as any other."""
    write_sweep(tmp_path / "sweep.yaml", SWEEP)
    assert eoc("theory", "sweep.yaml", "-o", "t.h5", cwd=tmp_path).returncode == 0
    xarray, netCDF4 = pytest.importorskip("xarray"), pytest.importorskip("netCDF4")
    for engine in ("h5netcdf", "netcdf4"):
        with xarray.open_dataset(tmp_path / "t.h5", group="theory", engine=engine) as data:
            chosen = data.chi_1.sel(activation="relu", initializer="he_normal", width=8, depth=6, bias_variance=0.0,
                                    architecture="fully_connected").sel(weight_variance=1.0, method="nearest")
            assert float(chosen) == pytest.approx(1, rel=1e-12)  # he, weight_variance 1: sigma_w2 = 2
    with netCDF4.Dataset(tmp_path / "t.h5") as file:
        assert file["theory"]["q_star"].dimensions == POINT
        assert set(GRID) <= set(file.dimensions)
    for picture in ("phase", "depth"):
        drawn = subprocess.run([sys.executable, str(TESTS.parent / "tools/eoc-plot"), picture, "t.h5", "--select", "activation=tanh",
                                "--select", "initializer=gaussian", "--select", "width=8", "--select", "depth=6"],
                               cwd=tmp_path, capture_output=True, text=True, check=False)
        assert drawn.returncode == 0, drawn.stderr
        assert (tmp_path / f"t-{picture}.png").stat().st_size > 10_000


def test_theory_file_is_not_overwritten(tmp_path):
    """A file that is there is refused, and kept, unless --overwrite; --set and -o work; a failure leaves nothing."""
    write_sweep(tmp_path / "sweep.yaml", SWEEP)
    (tmp_path / "sweep.theory.h5").write_text("mine")
    refused(eoc("theory", "sweep.yaml", cwd=tmp_path), "sweep.theory.h5", "--overwrite", "-o")
    assert (tmp_path / "sweep.theory.h5").read_text() == "mine"
    assert eoc("theory", "sweep.yaml", "--overwrite", "--set", "grid.weight_variance=1.5", cwd=tmp_path).returncode == 0
    with h5py.File(tmp_path / "sweep.theory.h5") as file:
        assert list(file["weight_variance"]) == [1.5]
    failed = eoc("theory", "sweep.yaml", "-o", "nowhere/t.h5", cwd=tmp_path)
    assert failed.returncode == 2 and "nowhere/t.h5" in failed.stderr
    refused(eoc("theory", "sweep.yaml", "-o", ".", cwd=tmp_path), "directory")
    refused(eoc("theory", "sweep.yaml", "--set", "grid.activation=tahn", "-o", "x.h5", cwd=tmp_path), "did you mean 'tanh'")
    assert {path.name for path in tmp_path.iterdir()} == {"sweep.yaml", "sweep.theory.h5"}


def test_no_mpi(tmp_path):
    """Where MPI_Init cannot succeed `run` fails and the other commands work; in an empty environment too."""
    write_sweep(tmp_path / "sweep.yaml", SWEEP)
    assert eoc("run", "sweep.yaml", "--set", "grid.replica=1", cwd=tmp_path, **BROKEN_MPI).returncode != 0
    for arguments in (["theory", "sweep.yaml"], ["critical", "--activation", "tanh"],
                      ["advise", "--activation", "tanh", "--width", "100", "--depth", "20"], ["list"]):
        assert eoc(*arguments, cwd=tmp_path, **BROKEN_MPI).returncode == 0
    bare = subprocess.run([str(PROGRAM), "theory", "sweep.yaml", "--overwrite"], cwd=tmp_path, env={}, capture_output=True,
                          text=True, check=False)
    assert bare.returncode == 0, bare.stderr


@pytest.mark.parametrize("batch", [8, 32, 128])
def test_one_point_with_batch_normalization(batch, tmp_path):
    """--points is the batch: gradients of linear layers grow by (B - 2)/(B - 3) (Yang et al. 2019); without it a sentence."""
    arguments = ("--architecture", "fully_connected(normalization=batch, epsilon=0)")
    got = point(tmp_path, "linear", 1.3, 0, *arguments, "--points", batch)
    assert got["chi_1"] == pytest.approx((batch - 2) / (batch - 3), rel=1e-8) and got["correlation"] == 0
    shown = eoc("theory", "--activation", "linear", "--weight-variance", 1.3, *arguments, "--points", batch, cwd=tmp_path).stdout
    assert f"{batch} independent inputs" in shown and "correlation 0.6" not in shown
    refused(eoc("theory", "--activation", "linear", "--weight-variance", 1.3, *arguments, cwd=tmp_path), "--architecture", "gaussian", "--points")
    refused(eoc("theory", "--activation", "linear", "--weight-variance", 1.3, *arguments, "--points", 3, cwd=tmp_path), "at least 4")


# -- advice --

def advice(folder, activation, width=512, depth=50):
    got = answer(folder, "advise", "--activation", activation, "--width", width, "--depth", depth)
    return got, {row["name"]: row for row in got["initializers"]}


def test_published_advice_for_relu(tmp_path):
    """He initialisation (He et al. 2015), no isometry (Pennington et al. 2017), looks-linear (Balduzzi et al. 2017); with
    glorot a network of 30 layers shrinks the signal by 2^-29."""
    got, rows = advice(tmp_path, "relu", 512, 30)
    assert got["recommendation"]["name"] == "he_normal"
    assert "kaiming_normal_" in got["recommendation"]["pytorch"]
    for needle in ("He et al. 2015", "Pennington et al. 2017", "looks-linear", "Balduzzi et al. 2017"):
        assert needle in got["recommendation"]["reason"]
    assert rows["glorot_normal"]["log_forward_scale"] == pytest.approx(-29 * math.log(2), rel=1e-10)
    assert rows["critical_orthogonal"]["singular_value_spread"] == pytest.approx(math.sqrt(30), rel=1e-8)
    assert rows["he_normal"]["signal_depth"] is None and rows["he_normal"]["signal_depth_infinite"]
    assert rows["torch_linear"]["bias_variance"] == pytest.approx(1 / (3 * 512), rel=1e-14)
    assert rows["small_uniform"]["mean_gain"] == pytest.approx((512 * 0.005) ** 2, rel=1e-12)
    assert rows["small_uniform"]["chi_1"] is None and "outside theory" in rows["small_uniform"]["verdict"]


def test_advice_agrees_with_theory(tmp_path):
    """What advise says of a row is what theory says of that point."""
    for activation in ("tanh", "gelu", "selu"):
        _, rows = advice(tmp_path, activation)
        for name in ("he_normal", "torch_linear"):
            row = rows[name]
            got = point(tmp_path, activation, row["effective_weight_variance"], row["bias_variance"])
            assert (row["chi_1"], row["q_star"]) == pytest.approx((got["chi_1"], got["q_star"]), rel=1e-9)


def test_advice_beyond_the_reach_of_relu(tmp_path):
    """Depth 200: He's weights, residual layers of branch 1/sqrt(L), (1 + 1/L)^(L-1) = 2.70, batch normalization (near pi/(pi - 1) a layer,
    Yang et al. 2019) and looks-linear weights (Balduzzi et al. 2017) are compared in numbers, and the last recommended."""
    got, rows = advice(tmp_path, "relu", 512, 200)
    assert got["beyond_reach"] and got["recommendation"]["name"] == "looks_linear"
    assert math.exp(rows["residual"]["log_gradient_scale"]) == pytest.approx((1 + 1 / 200) ** 199, rel=1e-9)
    assert rows["residual"]["architecture"] == "residual(branch=1/sqrt(depth))" and rows["residual"]["singular_value_spread"] is None
    assert rows["batch_norm"]["chi_1"] == pytest.approx(math.pi / (math.pi - 1), rel=1e-2) and "explode" in rows["batch_norm"]["verdict"]
    assert rows["batch_norm"]["signal_depth"] is None and not rows["batch_norm"]["signal_depth_infinite"]
    assert rows["looks_linear"]["activation"] == "crelu" and rows["looks_linear"]["singular_value_spread"] == pytest.approx(0, abs=1e-5)
    for needle in ("depth 200", "Residual", "1.005 a layer", "2.7 ", "Batch normalization", "1.48 a layer", "Looks-linear", "crelu",
                   "spread by 20 times", "width 1000"):
        assert needle in got["recommendation"]["reason"], needle
    assert "torch.cat((w, -w), 1)" in got["recommendation"]["pytorch"]
    assert "BatchNorm1d" in rows["batch_norm"]["pytorch"] and "x + L**-0.5" in rows["residual"]["pytorch"]
    shown = eoc("advise", "--activation", "relu", "--width", 512, "--depth", 200, cwd=tmp_path).stdout
    assert "* looks_linear" in shown and "Recommended: looks_linear (fully_connected, crelu" in shown
    # As it is typed: what it prints back is at the critical point.
    again = point(tmp_path, "crelu", got["recommendation"]["weight_variance"], 0, "--initializer", "looks_linear")
    assert again["chi_1"] == pytest.approx(1, abs=1e-12) and got["recommendation"]["effective_weight_variance"] == 2
    shallow, _ = advice(tmp_path, "relu", 512, 20)
    assert not shallow["beyond_reach"] and "Residual" not in shallow["recommendation"]["reason"]


@pytest.mark.parametrize("name", ["residual", "batch_norm", "looks_linear"])
def test_advice_on_layers_agrees_with_theory(name, tmp_path):
    """A row of other layers is what eoc theory says of a sweep with its architecture, activation, initializer and variances."""
    _, rows = advice(tmp_path, "relu", 300, 60)
    row = rows[name]
    inputs = "kind: gaussian, points: 128" if name == "batch_norm" else "kind: pair"
    write_sweep(tmp_path / "row.yaml", f"""
grid: {{architecture: "{row['architecture']}", activation: {row['activation']}, initializer: {row['initializer']},
       weight_variance: {row['weight_variance']}, bias_variance: {row['bias_variance']}, width: 300, depth: 60}}
probe: {{inputs: {{{inputs}}}}}
""")
    assert eoc("theory", "row.yaml", cwd=tmp_path).returncode == 0
    with h5py.File(tmp_path / "row.theory.h5") as file:
        q, gradient = (file[f"theory/{key}"][()].ravel() for key in ("log_q", "log_gradient_q"))
        assert row["chi_1"] == pytest.approx(file["theory/chi_1"][()].item(), rel=1e-12)
    assert row["log_forward_scale"] == pytest.approx(q[-1] - q[0], abs=1e-9)
    assert row["log_gradient_scale"] == pytest.approx(gradient[0] - gradient[-1], abs=1e-9)


@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_plot_of_advice(activation, tmp_path):
    """--plot draws by eoc-plot, wherever it is found, and says in a sentence where it was looked for when it is not."""
    tools = str(TESTS.parent / "tools")
    arguments = ("advise", "--activation", activation, "--width", 100, "--depth", 300, "--plot", "advice.png")
    done = eoc(*arguments, cwd=tmp_path, PATH=f"{tools}{os.pathsep}{os.environ['PATH']}")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "advice.png").stat().st_size > 10_000
    (tmp_path / "eoc").write_bytes(PROGRAM.read_bytes())
    (tmp_path / "eoc").chmod(0o755)
    alone = subprocess.run([str(tmp_path / "eoc"), *map(str, arguments)], cwd=tmp_path, env={"PATH": "/nonexistent"},
                           capture_output=True, text=True, check=False)
    assert alone.returncode == 1 and "eoc-plot" in alone.stderr and len(sentences(alone.stderr)) == 1


def test_eoc_plot_refuses_what_is_no_advice(tmp_path):
    """A file that is not advise --json is refused in one sentence."""
    for name, text in (("a.json", "{}"), ("b.json", "not JSON"), ("c.json", "[1]")):
        (tmp_path / name).write_text(text)
        done = subprocess.run([sys.executable, str(TESTS.parent / "tools/eoc-plot"), "advise", name], cwd=tmp_path,
                              capture_output=True, text=True, check=False)
        assert done.returncode in (1, 2) and len(sentences(done.stderr)) == 1 and name in done.stderr


def test_json_holds_numbers_only_of_the_standard(tmp_path):
    """NaN and infinities are null: a strict parser reads every answer."""
    for arguments in (["theory", "--activation", "relu", "--weight-variance", "3"], ["critical", "--activation", "gelu"],
                      ["advise", "--activation", "softplus", "--width", "10", "--depth", "1000"]):
        shown = eoc(*arguments, "--json", cwd=tmp_path)

        def strict(word):
            raise AssertionError(word)

        got = json.loads(shown.stdout, parse_constant=strict)
        assert np.isfinite([v for v in got.values() if isinstance(v, float)]).all()


# log lambda_max and mass at 0: Pennington et al. 2017, tests/reference/published.md, A6: relu at (2, 0), L = 10, gaussian 54.41 and
# orthogonal 25.81; linear gaussian at (1, 0) (L + 1)^(L + 1)/L^L = 28.531. A relu halves the rank once: mass 1/2.
@pytest.mark.parametrize("activation, weight_variance, initializer, edge, mass_at_zero", [
    ("relu", 2, "gaussian", 54.41, 0.5),
    ("relu", 2, "orthogonal", 25.81, 0.5),
    ("linear", 1, "gaussian", 11**11 / 10**10, 0.0),
])
def test_spectrum(activation, weight_variance, initializer, edge, mass_at_zero, tmp_path):
    """--spectrum: edge and mass at 0 in closed form, a distribution function that rises from one to 1."""
    spectrum = answer(tmp_path, "theory", "--activation", activation, "--weight-variance", weight_variance, "--depth", 10,
                      "--initializer", initializer, "--spectrum")["spectrum"]
    assert math.exp(spectrum["log_lambda_max"]) == pytest.approx(edge, rel=3e-4)
    assert spectrum["mass_at_zero"] == pytest.approx(mass_at_zero, abs=1e-12)
    cdf, density = np.array(spectrum["cdf"]), np.array(spectrum["density_of_log_lambda"])
    assert (np.diff(cdf) >= 0).all() and cdf[-1] == pytest.approx(1, abs=1e-9) and (cdf >= mass_at_zero).all()
    # trapezoids over 200 intervals; the density falls to 0 as a square root at the edge
    steps = np.diff(spectrum["log_lambda"])
    assert (steps * (density[1:] + density[:-1]) / 2).sum() == pytest.approx(cdf[-1] - cdf[0], abs=2e-3)


@pytest.mark.parametrize("activation, weight_variance, bias_variance, input_variance, depth", [
    ("hard_tanh", 1.0000077442, 3.556972796e-07, 0.05, 50), ("hard_tanh", 1.5, 0.05, 1, 2), ("elu", 1.33509158792, 0.00542847061879, 1, 1)])
def test_spectrum_with_an_atom_on_top(activation, weight_variance, bias_variance, input_variance, depth, tmp_path):
    """Where phi' has its greatest value over a stretch, that mass is an atom above the density: the table ascends to it, and all is below."""
    spectrum = answer(tmp_path, "theory", "--activation", activation, "--weight-variance", weight_variance, "--bias-variance", bias_variance,
                      "--input-variance", input_variance, "--depth", depth, "--initializer", "orthogonal", "--spectrum")["spectrum"]
    log_lambda, cdf = np.array(spectrum["log_lambda"]), np.array(spectrum["cdf"])
    assert (np.diff(log_lambda) > 0).all() and (np.diff(cdf) >= -1e-9).all()
    assert cdf[-1] == pytest.approx(1, abs=1e-12) and cdf[-2] < 0.999
    assert log_lambda[-1] == pytest.approx(depth * math.log(weight_variance), abs=1e-9)  # the greatest slope of both is 1


def test_spectrum_needs_a_depth(tmp_path):
    """Without --depth there is no Jacobian to speak of."""
    refused(eoc("theory", "--activation", "tanh", "--weight-variance", 2, "--spectrum", cwd=tmp_path), "--depth")


def test_theory_never_takes_the_sweep_file(tmp_path):
    """-o that names the sweep file is refused, --overwrite or not."""
    path = write_sweep(tmp_path / "sweep.yaml", "grid: {activation: tanh, weight_variance: 1.5}\n")
    before = (tmp_path / "sweep.yaml").read_bytes()
    done = eoc("theory", "sweep.yaml", "-o", "sweep.yaml", "--overwrite", cwd=tmp_path)
    assert done.returncode == 2 and "sweep.yaml" in done.stderr and (tmp_path / "sweep.yaml").read_bytes() == before, path


def test_decay_and_tangent_kernel_of_relu(tmp_path):
    """relu at (2, 0): 1 - c ~ 9 pi^2/(2 l^2) (Hayou et al. 2019), Theta^L(x, x) = L q (arc-cosine kernel), here 10 x 2."""
    got = point(tmp_path, "relu", 2, 0, "--depth", 10)
    assert got["decay_power"] == 2 and got["decay_coefficient"] == pytest.approx(4.5 * math.pi**2, rel=1e-9)
    assert got["log_tangent_kernel"] == pytest.approx(math.log(20), abs=1e-9)
    ratio = got["tangent_kernel_ratio"]
    assert got["log_tangent_kernel_condition"] == pytest.approx(math.log((1 + ratio) / (1 - ratio)), abs=1e-9)
    ordered = point(tmp_path, "tanh", 1.5, 0.05)
    assert ordered["decay_power"] is None and ordered["log_tangent_kernel"] is None


def test_log_lambda_max(tmp_path):
    """Its logarithm says what a double cannot: at least log m1 = L log chi_1 (mean below maximum); gaussian linear in closed form."""
    got = point(tmp_path, "tanh", 9, 0, "--depth", 3000)
    assert got["lambda_max"] is None and 3000 * math.log(got["chi_1"]) < got["log_lambda_max"] < 3000 * math.log(9) + 20
    linear = point(tmp_path, "linear", 1, 0, "--depth", 50)
    assert linear["log_lambda_max"] == pytest.approx(51 * math.log(51) - 50 * math.log(50), rel=1e-10)


def test_size_limit_of_the_theory_file(tmp_path):
    """--max-file-size refuses before anything is written, and is an option of files only."""
    write_sweep(tmp_path / "sweep.yaml", "grid: {activation: tanh, weight_variance: 1.5}\n")
    refused(eoc("theory", "sweep.yaml", "--max-file-size", "1k", cwd=tmp_path), "GB")
    assert not list(tmp_path.glob("*.h5*"))
    assert eoc("theory", "sweep.yaml", "--max-file-size", "10M", cwd=tmp_path).returncode == 0
    refused(eoc("theory", "sweep.yaml", "--max-file-size", "much", cwd=tmp_path), "--max-file-size", "much")
    refused(eoc("theory", "--activation", "tanh", "--weight-variance", 2, "--max-file-size", "1M", cwd=tmp_path), "sweep file")


def test_run_says_that_a_file_is_theory_alone(tmp_path):
    """eoc run on the file of eoc theory: told what it is, and the file is left as it was."""
    write_sweep(tmp_path / "sweep.yaml", "grid: {activation: tanh, weight_variance: 1.5, depth: 3, width: 10}\n")
    assert eoc("theory", "sweep.yaml", "-o", "t.h5", cwd=tmp_path).returncode == 0
    before = (tmp_path / "t.h5").read_bytes()
    done = eoc("run", "sweep.yaml", "-o", "t.h5", cwd=tmp_path)
    assert done.returncode == 2 and "theory" in done.stderr and "--overwrite" in done.stderr and "missing" not in done.stderr
    assert (tmp_path / "t.h5").read_bytes() == before


@pytest.mark.parametrize("activation", ["tanh", "gelu", "selu", "sin", "erf"])
def test_spectrum_of_smooth_orthogonal_networks(activation, tmp_path):
    """No hole in the table down to the lower tail; the distribution function goes from 0 to 1 and matches the density."""
    spectrum = answer(tmp_path, "theory", "--activation", activation, "--weight-variance", 0.8, "--bias-variance", 0.1, "--depth", 20,
                      "--initializer", "orthogonal", "--spectrum")["spectrum"]
    cdf, density = np.array(spectrum["cdf"], float), np.array(spectrum["density_of_log_lambda"], float)
    assert np.isfinite(cdf).all() and (np.diff(cdf) >= -1e-12).all() and cdf[-1] == pytest.approx(1, abs=1e-9)
    steps = np.diff(spectrum["log_lambda"])
    assert (steps * (density[1:] + density[:-1]) / 2).sum() == pytest.approx(cdf[-1] - cdf[0], abs=5e-3)


def test_gap_of_the_spectrum_is_shown(tmp_path):
    """One gaussian layer of leaky_relu: two parts of mass 1/2; the upper one ends near (1 - sqrt(1/2))^2 (Marchenko & Pastur)."""
    arguments = ("--activation", "leaky_relu(slope=0.01)", "--weight-variance", 1, "--depth", 1)
    spectrum = answer(tmp_path, "theory", *arguments, "--spectrum")["spectrum"]
    assert spectrum["log_gap_max"] == pytest.approx(2 * math.log(1 - math.sqrt(0.5)), abs=5e-3)
    y, cdf = np.array(spectrum["log_lambda"]), np.array(spectrum["cdf"])
    inside = (y > spectrum["log_gap_min"]) & (y < spectrum["log_gap_max"])
    assert inside.sum() > 20 and cdf[inside] == pytest.approx(0.5, abs=1e-9)
    shown = eoc("theory", *arguments, "--spectrum", cwd=tmp_path)
    assert "gap from" in shown.stdout


def test_narrow_networks_are_told(tmp_path):
    """relu, beta = 5 L/N (Hanin & Nica 2020): at depth 30 and width 100 the advice names the width 5 L = 150."""
    shown = eoc("advise", "--activation", "relu", "--width", 100, "--depth", 30, cwd=tmp_path)
    assert "too narrow" in shown.stdout and "150" in shown.stdout
    wide = eoc("advise", "--activation", "relu", "--width", 1000, "--depth", 30, cwd=tmp_path)
    assert "too narrow" not in wide.stdout


# -- convolutions --

RING = "convolutional(dimensions=1, side=8)"


@pytest.mark.parametrize("initializer, edge", [("gaussian", 1 / 3), ("gaussian_taps(tap_0=1, tap_1=0.25)", 1 / 6), ("delta_orthogonal", 0)])
def test_modes_of_a_convolution(initializer, edge, tmp_path):
    """lambda_k = 1 - 2 e + 2 e cos(2 pi k/side), e the share of an edge tap (Xiao et al. 2018); depth scales -1/log|chi lambda_k|; the
    uniform mode and every scalar are those of a fully connected network, to the bit."""
    ring = point(tmp_path, "tanh", 2.5, 0.05, "--architecture", RING, "--initializer", initializer)
    plain = point(tmp_path, "tanh", 2.5, 0.05)
    eigenvalue = 1 - 2 * edge + 2 * edge * np.cos(2 * np.pi * np.arange(8) / 8)
    assert np.allclose(ring["averaging_eigenvalue"], eigenvalue, rtol=0, atol=1e-15)
    for chi, xi in (("chi_q", "xi_q"), ("chi_c", "xi_c")):
        assert np.allclose(ring[f"{xi}_mode"], -1 / np.log(np.abs(plain[chi] * eigenvalue)), rtol=1e-12, atol=0)
        assert ring[f"{xi}_mode"][0] == plain[xi]
    for name in ("q_star", "chi_1", "c_star", "chi_q", "chi_c", "mu_1", "mu_2", "xi_q", "xi_c"):
        assert ring[name] == plain[name], name
    assert ring["beta_per_depth_over_width"] is None and ("partial" in ring["status_meanings"]) == (initializer != "delta_orthogonal")
    table = eoc("theory", "--activation", "tanh", "--weight-variance", 2.5, "--architecture", RING, "--initializer", initializer, cwd=tmp_path)
    assert table.returncode == 0 and table.stderr == ""
    lines = table.stdout.split("Modes over space", 1)[1].splitlines()[2:]
    found = [float(line.split()[1]) for line in lines]
    assert np.allclose(np.sort(found), sorted(set(np.round(eigenvalue, 12))), rtol=0, atol=1e-9)
    assert np.all(np.diff(np.abs(found)) < 1e-9)


def test_a_kernel_of_an_orthogonal_matrix_of_patches(tmp_path):
    """C rows of a Haar matrix of 3 C columns: s_1 = 1/3 - 1, between gaussian (-1) and orthogonal (0)."""
    patches = point(tmp_path, "tanh", 1.5, 0.05, "--architecture", RING, "--initializer", "orthogonal", "--depth", 5)
    gaussian, square = (patches[f"jacobian_variance_per_layer_{law}"] for law in ("gaussian", "orthogonal"))
    assert patches["jacobian_variance_per_layer"] == pytest.approx(square + 2 / 3, rel=1e-14) == pytest.approx(gaussian - 1 / 3, rel=1e-14)
    assert patches["lambda_max"] is None and "partial" in patches["status_meanings"]
    refused(eoc("theory", "--activation", "tanh", "--weight-variance", 1.5, "--architecture", RING, "--initializer", "orthogonal", "--depth", 5,
                "--spectrum", cwd=tmp_path), "--spectrum", "delta_orthogonal")


def test_edges_have_no_limits_in_common(tmp_path):
    """Zero padding: layers, but no q_star; a centre tap alone never sees an edge."""
    zero = "convolutional(dimensions=1, side=8, padding=zero)"
    edges = point(tmp_path, "tanh", 2.5, 0.05, "--architecture", zero, "--depth", 4)
    assert edges["q_star"] is None and edges["xi_c_mode"][0] is None and edges["status_meanings"] == ["partial"]
    assert all(value is not None for value in edges["log_q"] + edges["log_weight_gradient_q"] + [edges["log_jacobian_m2"]])
    assert edges["log_q"][0] == pytest.approx(math.log(2.5 * (1 - 2 / 24) + 0.05), rel=1e-14)  # 2 of 24 taps are beyond the edge
    delta = point(tmp_path, "tanh", 2.5, 0.05, "--architecture", zero, "--initializer", "delta_orthogonal")
    assert delta["averaging_eigenvalue"] == [1] * 8 and delta["q_star"] == point(tmp_path, "tanh", 2.5, 0.05)["q_star"]


SPACE = """seed: 3
grid: {{architecture: [fully_connected, "{ring}", convolutional(side=3)], activation: tanh, initializer: [gaussian, delta_orthogonal],
        weight_variance: [1.5, 2.5], bias_variance: 0.05, depth: [4, 7], width: 32}}
probe: {{inputs: {{kind: circle, points: 4}}, statistics: [{statistics}]}}
"""


@pytest.mark.parametrize("statistics", ["forward, gradient, jacobian", "forward, gradient, jacobian, spatial"])
def test_space_in_the_file(statistics, tmp_path):
    """Modes wherever a network has a space, along spatial_mode; curves over space with the statistic spatial; NaN behind a network's own
    positions. Signals alike at all positions have the curves of fully connected networks to the bit, and log(positions) more in the
    gradient of the weights."""
    text = SPACE.format(ring=RING, statistics=statistics).replace(", delta_orthogonal]", "]")
    (tmp_path / "space.yaml").write_text(text)
    assert eoc("theory", "space.yaml", cwd=tmp_path).returncode == 0
    with h5py.File(tmp_path / "space.theory.h5") as file:
        theory = file["theory"]
        assert dimensions(theory["xi_q_mode"])[-1] == "spatial_mode" and theory["xi_q_mode"].shape[-1] == 9
        xi = theory["xi_c_mode"][()].reshape(3, 2, 2, 9)  # architecture, depth, weight variance
        assert np.isnan(xi[0]).all() and np.isnan(xi[1, ..., 8]).all() and not np.isnan(xi[1, ..., :8]).any() and not np.isnan(xi[2]).any()
        assert (xi[1, ..., 0] == theory["xi_c"][1].reshape(2, 2)).all()
        for name in ("log_q", "c", "one_minus_c", "log_gradient_q", "gradient_c", "log_jacobian_m1", "log_jacobian_m2"):
            assert np.array_equal(theory[name][1], theory[name][0], equal_nan=True) and np.array_equal(theory[name][2], theory[name][0], equal_nan=True)
        weights = theory["log_weight_gradient_q"][()]
        for more, positions in zip(weights[1:] - weights[0], (8, 9)):
            assert np.allclose(more[~np.isnan(more)], math.log(positions), rtol=0, atol=1e-14)
        assert ("position_q" in theory) == ("position" in file) == ("spatial" in statistics)
        if "spatial" in statistics:
            power, correlation = (theory[name][()].reshape(3, 2, 2, 7, 9) for name in ("spatial_power", "spatial_correlation"))
            assert np.isnan(power[0]).all() and np.isnan(power[1, 0, :, 4:]).all() and np.isnan(power[..., 1, :, :, 8][1]).all()
            assert np.allclose(np.nansum(power[1, 1], axis=-1), 1, rtol=0, atol=1e-14)
            # layer 1: independent positions, but for the bias they share
            bias = 0.05 / (np.array([1.5, 2.5]) + 0.05)
            assert np.allclose(correlation[2, 1, :, 0, 1:], bias[:, None], rtol=1e-13, atol=0)
            assert np.allclose(power[2, 1, :, 0], (1 - bias[:, None]) / 9 + bias[:, None] * (np.arange(9) == 0), rtol=1e-13, atol=0)
