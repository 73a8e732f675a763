# SPDX-License-Identifier: BSD-3-Clause
"""Shattered gradients: the file against NumPy, against mean field, and on several ranks.

The statistical tests have fixed seeds, so their outcome is the same in every run; BOUND is in standard errors of the mean over
replicas.
"""
import math
import subprocess
import sys

import h5py
import numpy as np
import pytest
from conftest import TESTS, GRID, POINT, assert_quiet, assert_same_bits, datasets, dimensions, eoc, run, sentences, write_sweep

TOOLS = TESTS.parent / "tools"
sys.path.insert(0, str(TOOLS))

from eoc_plot import shattering, style  # noqa: E402
from eoc_plot.cli import PICTURES, make_parser  # noqa: E402
from eoc_plot.result import Result  # noqa: E402

BOUND = 4.0
POINTS = 40

SWEEP = """
seed: 3
grid: {architecture: [fully_connected, "residual(normalization=batch, branch=0.3)"], depth: [1, 6], width: 20, activation: [relu, tanh],
       initializer: [gaussian, orthogonal], weight_variance: 2, bias_variance: 0.5, replica: 2}
probe: {inputs: {kind: interval, from: -1, to: 2, points: 40}, statistics: [forward, shattering, gradient_covariance],
        autocorrelation_lags: 9, layers: log 2}
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return run(tmp_path_factory.mktemp("shattering"), SWEEP)


@pytest.mark.parametrize("spelling, name", [
    ("fully_connected", "plain"), ("residual(branch=1/sqrt(depth))", "residual, branch=1/sqrt(depth)"),
    ("residual(normalization=batch, branch=0.1)", "batch-normalized residual, branch=0.1")])
def test_names_of_architectures(spelling, name):
    """Every parameter of a spelling is in the title, whole."""
    assert shattering.short_name(spelling) == name


def test_dimensions(path):
    """The points themselves label the gradients; the covariance has them twice, under two names."""
    with h5py.File(path) as file:
        assert dimensions(file["probe/input_gradient"]) == GRID + ("input",)
        assert dimensions(file["probe/gradient_autocorrelation"]) == GRID + ("lag",)
        assert dimensions(file["probe/gradient_covariance"]) == GRID + ("input", "other_input")
        assert dimensions(file["probe/gradient_correlation"]) == GRID
        assert dimensions(file["theory/gradient_correlation"]) == POINT
        assert file["input"][()] == pytest.approx(np.linspace(-1, 2, POINTS), abs=1e-15)
        assert (file["input"][()] == file["other_input"][()]).all()
        assert file["lag"][()].tolist() == list(range(10))
        assert file["run/input_variance"][()] == pytest.approx(np.mean(np.linspace(-1, 2, POINTS) ** 2))
        for name, words in (("independent_gradient_correlation", b"independent in every layer"), ("gradient_correlation", b"exact mean field")):
            assert words in np.bytes_(file[f"theory/{name}"].attrs["long_name"])


@pytest.mark.parametrize("engine", ["h5netcdf", "netcdf4"])
def test_xarray(path, engine):
    """Selection by the label of a point, as for every other axis."""
    xarray = pytest.importorskip("xarray")
    with xarray.open_dataset(path, group="probe", engine=engine) as probe, h5py.File(path) as file:
        one = probe.input_gradient.sel(activation="tanh", depth=6, initializer="gaussian", input=2.0, replica=1)
        assert one.values.ravel().tolist() == file["probe/input_gradient"][:, 1, 0, 0, 1, 0, 0, 1, -1].tolist()
        assert probe.gradient_covariance.dims[-2:] == ("input", "other_input")


def test_autocorrelation_is_numpys(path):
    """r_k of the gradient less its mean, by numpy.correlate."""
    with h5py.File(path) as file:
        gradient = file["probe/input_gradient"][()].reshape(-1, POINTS)
        found = file["probe/gradient_autocorrelation"][()].reshape(-1, 10)
    compared = 0
    for g, r in zip(gradient, found):
        if np.ptp(g) < 1e-9:
            assert np.isnan(r).all()  # the lift alone is linear
            continue
        full = np.correlate(g - g.mean(), g - g.mean(), "full")[POINTS - 1:]
        assert r == pytest.approx(full[:10] / full[0], abs=1e-12)
        compared += 1
    assert compared >= 24


def test_correlation_is_of_the_covariance(path):
    """gradient_correlation is the mean cosine of gradient_covariance, which is symmetric and has no negative eigenvalue."""
    with h5py.File(path) as file:
        covariance = file["probe/gradient_covariance"][()].reshape(-1, POINTS, POINTS)
        correlation = file["probe/gradient_correlation"][()].ravel()
    for matrix, found in zip(covariance, correlation):
        assert (matrix == matrix.T).all()
        assert np.linalg.eigvalsh(matrix).min() > -1e-12 * np.trace(matrix)
        norms = np.sqrt(np.diag(matrix))
        alive = norms > 0
        cosines = matrix[np.ix_(alive, alive)] / np.outer(norms[alive], norms[alive])
        pairs = np.tril_indices(alive.sum(), -1)
        assert found == pytest.approx(cosines[pairs].mean(), abs=1e-12)


def test_ranks(path, tmp_path):
    """The same bits on two ranks."""
    assert_same_bits(run(tmp_path, SWEEP, ranks=2), path)


def test_parts(path, tmp_path):
    """Merged parts are the file that one run writes."""
    write_sweep(tmp_path / "sweep.yaml", SWEEP)
    for part in (1, 2):
        assert eoc("run", "sweep.yaml", f"--part={part}/2", cwd=tmp_path).returncode == 0
    result = eoc("merge", "sweep.part1of2.h5", "sweep.part2of2.h5", "-o", "merged.h5", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert_same_bits(tmp_path / "merged.h5", path)


def test_samplers_agree(tmp_path):
    """Inputs on one line through both samplers: the mean correlation of 100 networks within its errors, below, at and above as many
    points as units."""
    sweep = """
grid: {{depth: 5, width: 12, activation: relu, weight_variance: 2, bias_variance: 0.5, initializer: [gaussian, orthogonal], replica: 100}}
probe: {{inputs: {{kind: interval, points: {points}}}, statistics: [shattering], autocorrelation_lags: 3, sampler: {sampler}, layers: log 2}}
"""
    for points in (5, 12, 30):
        values = []
        for sampler in ("explicit", "implicit"):
            with h5py.File(run(tmp_path, sweep.format(points=points, sampler=sampler), name=f"{sampler}{points}")) as file:
                gradient = file["probe/input_gradient"][()].squeeze()
                values.append(np.concatenate([file["probe/gradient_correlation"][()].squeeze()[..., np.newaxis],
                                              file["probe/gradient_autocorrelation"][()].squeeze()[..., 1:],
                                              np.log(np.mean(gradient**2, axis=-1, keepdims=True))], axis=-1))
        one, other = values
        error = np.sqrt((np.nanvar(one, axis=1, ddof=1) + np.nanvar(other, axis=1, ddof=1)) / 100)
        assert (np.abs(np.nanmean(one, axis=1) - np.nanmean(other, axis=1)) < BOUND * error).all()


# -- against mean field --

def kernels(covariance):
    """E[phi phi'] and E[gates] of relu at a covariance matrix: arc-cosine kernels, Cho and Saul 2009."""
    norms = np.sqrt(np.diag(covariance))
    scale = np.outer(norms, norms)
    angle = np.arccos(np.clip(covariance / scale, -1.0, 1.0))
    np.fill_diagonal(angle, 0.0)
    return scale * (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / (2 * np.pi), (np.pi - angle) / (2 * np.pi)


def mean_field(gram, depth, skip, branch, last_gate, weight=2.0, bias=0.0):
    """Mean over pairs of the correlation of gradients, from the inputs' Gram matrix over N: the matrices, iterated."""
    covariance = weight * gram + bias
    gradient = np.ones_like(gram)
    for _ in range(depth - 1):
        features, gates = kernels(covariance)
        gradient = gradient * (skip**2 + branch**2 * weight * gates)
        covariance = skip**2 * covariance + branch**2 * (weight * features + bias)
    if last_gate:
        gradient = gradient * kernels(covariance)[1]
    norms = np.sqrt(np.diag(gradient))
    return (gradient / np.outer(norms, norms))[np.tril_indices(len(gram), -1)].mean()


def mean_and_error(values):
    return values.mean(axis=-1), values.std(axis=-1, ddof=1) / np.sqrt(values.shape[-1])


def at_infinite_width(measured, widths):
    """Mean and error over replicas, from two widths: what is left of mean field at depth 50 is some 4/N, more than the errors."""
    mean, error = mean_and_error(measured)
    small, large = np.array(widths) / (widths[1] - widths[0])
    return large * mean[:, 1] - small * mean[:, 0], np.hypot(large * error[:, 1], small * error[:, 0])


DEPTHS = (2, 3, 5, 8, 12, 18, 25, 35, 50)

DEEP = """
seed: 5
grid: {{architecture: {architecture}, depth: [2, 3, 5, 8, 12, 18, 25, 35, 50], width: {width}, activation: relu,
       weight_variance: 2, bias_variance: {bias}, replica: {replica}}}
probe: {{inputs: {inputs}, statistics: [{statistic}], layers: log 2}}
"""


def read_correlations(file):
    """Measured (architecture, width, depth, replica), exact and for independent gates (architecture, depth)."""
    shape = tuple(len(file[axis]) for axis in ("architecture", "width", "depth"))
    exact, independent = (file[f"theory/{name}"][()].reshape(shape) for name in ("gradient_correlation", "independent_gradient_correlation"))
    for theory in exact, independent:  # has no width
        np.testing.assert_array_equal(theory, np.broadcast_to(theory[:, :1], shape))
    return file["probe/gradient_correlation"][()].reshape(*shape, -1), exact[:, 0], independent[:, 0]


def test_correlation_of_deep_networks(tmp_path):
    """Independent inputs, to 50 layers: measured within its errors of exact mean field, of plain, residual and normalized residual
    networks; exact as the matrices say; and the estimate for independent gates is refuted where they are not independent."""
    path = run(tmp_path, DEEP.format(architecture='[fully_connected, residual, "residual(normalization=batch)"]', width="[1000, 4000]",
                                     bias=0, replica=40, inputs="{kind: gaussian, points: 16}", statistic="gradient_correlation"), ranks=2)
    with h5py.File(path) as file:
        measured, exact, independent = read_correlations(file)
    mean, error = at_infinite_width(measured, (1000, 4000))
    for i, depth in enumerate(DEPTHS):
        apart = np.eye(2)
        assert exact[0, i] == pytest.approx(mean_field(apart, depth, 0, 1, True), rel=1e-9)
        assert exact[1, i] == pytest.approx(mean_field(apart, depth, 1, 1, False), rel=1e-9)
        assert independent[:, i] == pytest.approx([0.5**depth, 0.75 ** (depth - 1), depth**-0.5], rel=1e-12)
    scores = (mean - exact) / error
    print(np.round(scores, 1))
    assert np.abs(scores).max() < BOUND
    assert error[:2].max() < 0.01
    # Plain and residual, from 5 layers to where the exact value itself is some errors above zero.
    for row, last in ((0, 18), (1, 50)):
        deep = [i for i, depth in enumerate(DEPTHS) if 5 <= depth <= last]
        assert ((mean - independent)[row, deep] > BOUND * error[row, deep]).all()


def test_correlation_along_an_interval(tmp_path):
    """Points of many lengths with biases: measured and exact against the matrices, plain networks from 2 to 50 layers."""
    path = run(tmp_path, DEEP.format(architecture="[fully_connected, residual(branch=0.5)]", width=600, bias=0.5, replica=24,
                                     inputs="{kind: interval, from: -2, to: 2, points: 32}", statistic="shattering"))
    with h5py.File(path) as file:
        measured, exact, _ = read_correlations(file)
        points = file["input"][()]
    gram = np.outer(points, points)
    mean, error = mean_and_error(measured[:, 0])
    for i, depth in enumerate(DEPTHS):
        assert exact[0, i] == pytest.approx(mean_field(gram, depth, 0, 1, True, bias=0.5), rel=1e-7)
        assert exact[1, i] == pytest.approx(mean_field(gram, depth, 1, 0.5, False, bias=0.5), rel=1e-7)
    scores = (mean - exact) / error
    print(np.round(scores, 1))
    assert np.abs(scores).max() < BOUND


@pytest.mark.parametrize("inputs", ["{kind: pair, correlation: 0.3}", "{kind: dataset, dataset: mnist10k, points: 2}"])
def test_a_pair_is_gradient_c(inputs, tmp_path):
    """Of two inputs, of one length or two, the statistic gradient's own cosine in layer 1, measured and in theory."""
    path = run(tmp_path, DEEP.format(architecture="[fully_connected, residual]", width=100, bias=0.1, replica=2,
                                     inputs=inputs, statistic="gradient, gradient_correlation"))
    found = datasets(path)
    assert found["probe/gradient_correlation"] == pytest.approx(found["probe/gradient_c"][..., 0], abs=1e-12)
    assert found["theory/gradient_correlation"][0] == pytest.approx(found["theory/gradient_c"][0, ..., 0], rel=1e-9)


NOT_RELU = [
    ("fully_connected", "tanh"), ("fully_connected(keep=0.8)", "erf"), ("fully_connected(normalization=layer, beta=0.3)", "relu"),
    ("residual(form=full)", "gelu"), ("residual(form=reduced, branch=0.5)", "tanh"), ("fully_connected", "crelu"),
    ("convolutional(side=4, dimensions=1)", "tanh"),
]


@pytest.mark.parametrize("case", NOT_RELU, ids=lambda case: "-".join(case))
def test_correlation_of_other_networks(case, tmp_path):
    """Where gates alone do not say it, the mean over all pairs of theory's gradient_c in layer 1: of every class of pairs of a circle,
    against measured cosines of networks of two widths."""
    path = run(tmp_path, f"""
seed: 6
grid: {{architecture: "{case[0]}", depth: [2, 6], width: [500, 2000], activation: {case[1]}, weight_variance: 1.5, bias_variance: 0.05,
        replica: 40}}
probe: {{inputs: {{kind: circle, points: 6}}, statistics: [gradient_correlation]}}
""", ranks=2)
    with h5py.File(path) as file:
        measured, exact, _ = read_correlations(file)
    mean, error = at_infinite_width(measured, (500, 2000))
    scores = (mean - exact) / error
    print(exact, np.round(scores, 1))
    assert np.abs(scores).max() < BOUND
    assert (error < 0.01).all()


def test_a_plain_tanh_network_by_hand(tmp_path):
    """Two layers, E[tanh'(u1) tanh'(u2)]/E[tanh'(u)^2] and on, on a fine lattice of Gaussians: of two independent inputs."""
    path = run(tmp_path, """
grid: {architecture: fully_connected, depth: 2, width: 20, activation: tanh, weight_variance: 1.5, bias_variance: 0.3}
probe: {inputs: {kind: gaussian, points: 3}, statistics: [gradient_correlation]}
""")
    z = np.linspace(-8.5, 8.5, 1701)
    weight = np.exp(-z * z / 2) / math.sqrt(2 * math.pi) * (z[1] - z[0])
    q, covariance, result = 1.5 + 0.3, 0.3, 1.0
    for _ in range(2):
        c = covariance / q
        u = math.sqrt(q) * z
        other = math.sqrt(q) * (c * z[:, np.newaxis] + math.sqrt(1 - c * c) * z)
        phi, slope = np.tanh(u), 1 / np.cosh(u) ** 2
        result *= weight @ (slope * (1 / np.cosh(other) ** 2 @ weight)) / (weight @ slope**2)
        covariance, q = 0.3 + 1.5 * weight @ (phi * (np.tanh(other) @ weight)), 0.3 + 1.5 * weight @ phi**2
    with h5py.File(path) as file:
        assert file["theory/gradient_correlation"][()].item() == pytest.approx(result, rel=1e-9)


def test_white_and_brown(tmp_path):
    """Balduzzi et al. 2017, figures 1 and 2: 24 normalized plain layers leave white noise, one layer and 50 residual ones brown."""
    path = run(tmp_path, """
grid: {architecture: [fully_connected, fully_connected(normalization=batch), "residual(normalization=batch, branch=0.1)"],
       depth: [1, 24, 50], width: 200, activation: relu, weight_variance: 2, bias_variance: 1, replica: 10}
probe: {inputs: {kind: interval, from: -2, to: 2, points: 256}, statistics: [shattering], layers: log 2}
""")
    with h5py.File(path) as file:
        r = file["probe/gradient_autocorrelation"][()].mean(axis=7).squeeze()
    one_layer, shattered, residual = r[0, 0], r[1, 1], r[2, 2]
    # White noise: mean -(1 - k/K)/(K - 1), variance below 1/K (Bartlett 1946; Box & Jenkins 1970), of ten series.
    assert np.abs(shattered[1:] + 1 / 256).max() < BOUND / np.sqrt(256 * 10)
    assert one_layer[1] > 0.9 and residual[1] > 0.8
    assert one_layer[5] > 0.7 and residual[5] > 0.5


# -- mistakes --

HEAD = "grid: {{activation: relu, weight_variance: 2, architecture: {architecture}}}\n"

MISTAKES = {
    "not an interval": ("fully_connected", "{statistics: [shattering]}", ["probe.statistics", "shattering", "kind pair", "interval"]),
    "covariance of a circle": ("fully_connected", "{inputs: {kind: circle}, statistics: [gradient_covariance]}",
                               ["probe.statistics", "gradient_covariance", "kind circle"]),
    "one input": ("fully_connected", "{inputs: {kind: single}, statistics: [gradient_correlation]}", ["probe.statistics", "pairs of inputs"]),
    "backwards": ("fully_connected", "{inputs: {kind: interval, from: 2, to: -2}}", ["probe.inputs.to", "from 2 to -2", "from below to"]),
    "from above the default": ("fully_connected", "{inputs: {kind: interval, from: 3}}", [":2:40: probe.inputs.from", "from 3 to 2"]),
    "too many points": ("fully_connected", "{inputs: {kind: interval, points: 2000}}", ["probe.inputs.points", "kind interval", "up to 1024"]),
    "no such lag": ("fully_connected", "{inputs: {kind: interval, points: 10}, statistics: [shattering]}",
                    [":2:42: probe.inputs.points", "10 points have no lag of 15", "below probe.inputs.points"]),
    "lags above the default": ("fully_connected", "{inputs: interval, statistics: [shattering], autocorrelation_lags: 64}",
                               ["probe.autocorrelation_lags", "64 points have no lag of 64"]),
    "a variance": ("fully_connected", "{inputs: {kind: interval, variance: 2}}", ["probe.inputs.variance", "kind interval does not read it"]),
    "ends of a pair": ("fully_connected", "{inputs: {kind: pair, from: -2}}", ["probe.inputs.from", "kind pair does not read it"]),
    "lags of nothing": ("fully_connected", "{autocorrelation_lags: 3}", ["probe.autocorrelation_lags", "no shattering"]),
    "two gradients": ("fully_connected(normalization=batch)", "{inputs: {kind: interval}, statistics: [gradient, shattering]}",
                      ["grid.architecture", "two gradients", "one of the two"]),
    "batch of a pair": ("fully_connected(normalization=batch)", "{inputs: {kind: pair}}", ["grid.architecture", "gaussian or interval"]),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(name, tmp_path):
    architecture, probe, words = MISTAKES[name]
    write_sweep(tmp_path / "sweep.yaml", HEAD.format(architecture=architecture) + f"probe: {probe}\n")
    result = eoc("run", "sweep.yaml", cwd=tmp_path)
    assert result.returncode == 2
    assert_quiet(result.stderr)
    assert len(sentences(result.stderr)) == 1, result.stderr
    for word in words:
        assert word in result.stderr
    assert not (tmp_path / "sweep.h5").exists()


# -- the picture --

def figure(path, *arguments):
    options = make_parser().parse_args(["shattering", str(path), *map(str, arguments)])
    drawn = PICTURES["shattering"].draw(Result(str(path)), options)
    drawn.canvas.draw()
    return drawn


def texts(drawn):
    return [text.get_text() for text in drawn.findobj(style.matplotlib.text.Text) if text.get_text()]


def line(axes, label):
    """The points of a line, or of an errorbar's, by its words in the key."""
    for handle, words in zip(*axes.get_legend_handles_labels()):
        if words.startswith(label):
            return np.asarray((handle[0] if isinstance(handle, tuple) else handle).get_xydata())
    raise AssertionError(f"no line {label}")


@pytest.fixture(scope="module")
def deep(tmp_path_factory):
    """Correlations of independent inputs, small."""
    return run(tmp_path_factory.mktemp("correlation"), """
grid: {architecture: [fully_connected, residual, residual(normalization=batch)], depth: [2, 5, 20], width: 60, activation: relu,
       weight_variance: 2, replica: 3}
probe: {inputs: {kind: gaussian, points: 8}, statistics: [gradient_correlation], layers: log 2}
""")


def test_picture_of_gradients(path):
    """The panels hold the file's numbers: the first replica's gradient over its deviation, the mean autocorrelation."""
    drawn = figure(path, "--select", "activation=tanh", "--network", "fully_connected@6")
    series, brown, white, autocorrelation = drawn.axes[:4]
    assert [axes.get_title() for axes in (series, brown, white)] == ["plain\n$L = 6$", "brown noise", "white noise"]
    with h5py.File(path) as file:
        g = file["probe/input_gradient"][0, 1, 0, 0, 1, 0, 0, 0]
        r = file["probe/gradient_autocorrelation"][0, 1, 0, 0, 1, 0, 0]
        points = file["input"][()]
    assert series.get_lines()[0].get_xdata() == pytest.approx(points)
    assert series.get_lines()[0].get_ydata() == pytest.approx(g / g.std(), rel=1e-12)
    assert line(autocorrelation, "plain")[:, 1] == pytest.approx(r.mean(axis=0), rel=1e-12)


def test_picture_of_correlations(deep):
    """Three lines, each named for what it is, with the file's numbers; and why they differ."""
    drawn = figure(deep)
    with h5py.File(deep) as file:
        measured, exact, independent = read_correlations(file)
    assert len(drawn.axes) == 3
    for i, (axes, rate) in enumerate(zip(drawn.axes, ("$1/2^L$", "$(3/4)^{L-1}$", r"$1/\sqrt{L}$"))):
        assert line(axes, "exact mean field") == pytest.approx(np.column_stack([[2, 5, 20], exact[i]]))
        assert line(axes, f"independent gates: {rate}")[:, 1] == pytest.approx(independent[i])
        assert line(axes, "measured")[:, 1] == pytest.approx(np.maximum(measured[i, 0].mean(axis=-1), 1e-12))
    words = " ".join(texts(drawn))
    assert "gates become alike" in words.replace("\n", " ") and "independent gates: 1e-06 at $L = 20$" in words


def test_picture_tells_what_falls_out_of_it(deep, tmp_path):
    """Values below the panel or below zero are numbers in it; what is measured and told from zero is inside."""
    path = tmp_path / "low.h5"
    path.write_bytes(deep.read_bytes())
    with h5py.File(path, "r+") as file:
        shape = file["probe/gradient_correlation"].shape
        values = np.broadcast_to([0.2, 0.1, 3e-4], (3, 3)).copy()  # (depth, replica)
        values[0], values[1], values[2] = (0.2, 0.21, 0.19), (2e-3, 2.1e-3, 1.9e-3), (-3e-4, 1e-4, -1e-4)
        file["probe/gradient_correlation"][...] = np.reshape(np.broadcast_to(values, (3, 3, 3)), shape)
        file["theory/gradient_correlation"][...] = np.nan
    words = texts(figure(path))
    assert words.count("measured below:\n$L = 20$: -1e-04 \u00b1 1e-04") == 3
    low, _ = figure(path).axes[0].get_ylim()
    assert 1e-4 < low < 2e-3
    assert "No exact line" in " ".join(words).replace("\n", " ")


def test_picture_of_other_activations(tmp_path):
    path = run(tmp_path, """
grid: {architecture: [fully_connected, "residual(form=full)"], depth: [2, 5, 9], width: 60, activation: tanh, weight_variance: 1.5, replica: 2}
probe: {inputs: {kind: gaussian, points: 4}, statistics: [gradient_correlation]}
""")
    drawn = figure(path)
    with h5py.File(path) as file:
        _, exact, _ = read_correlations(file)
    for i, axes in enumerate(drawn.axes):
        assert line(axes, "exact mean field")[:, 1] == pytest.approx(exact[i])
    words = " ".join(texts(drawn)).replace("\n", " ")
    assert "of two inputs in every layer" in words and "gates" not in words


def test_picture_of_both(path, deep, tmp_path):
    """Gradients of one file, correlations of another; as a user runs it."""
    out = tmp_path / "both.png"
    done = subprocess.run([TOOLS / "eoc-plot", "shattering", path, "--correlation", deep, "-o", out], text=True, capture_output=True, check=False)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert style.matplotlib.image.imread(out).shape[0] > 500


def test_picture_has_room_for_its_texts(path, deep):
    for arguments in ((path, "--correlation", deep), (deep,)):
        drawn = figure(*arguments)
        renderer = drawn.canvas.get_renderer()
        found = [text for axes in drawn.axes for text in (axes.title, axes.xaxis.label, axes.yaxis.label)]
        found += [text for axes in drawn.axes if axes.get_legend() for text in axes.get_legend().get_texts()]
        found += [drawn._suptitle, drawn._supxlabel]
        boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in found if text.get_text()]
        for i, (text, box) in enumerate(boxes):
            assert drawn.bbox.x0 <= box.x0 and box.x1 <= drawn.bbox.x1 and drawn.bbox.y0 <= box.y0 and box.y1 <= drawn.bbox.y1, text
            for other, other_box in boxes[i + 1:]:
                assert not box.overlaps(other_box), (text, other)


def test_noise():
    """White noise less its mean, against 4000 series: mean and, for the band, variance; a sum of white noise is nearly 1 at lag 1."""
    rng = np.random.default_rng(7)
    lags = np.arange(10)
    r = np.array([shattering.autocorrelation(shattering.white_noise(64, rng), lags) for _ in range(4000)])
    expected = shattering.white_expectation(64, lags)
    assert expected[0] == 1.0 and (np.abs(r.mean(axis=0) - expected)[1:] < BOUND / np.sqrt(64 * 4000)).all()
    assert 0.93 < np.mean(np.abs(r[:, 1] - expected[1]) < shattering.QUANTILE / 8.0) < 0.97
    brown = shattering.brown_expectation(256, lags)
    assert 0.96 < brown[1] < 0.99 and (np.diff(brown) < 0).all()


@pytest.mark.parametrize("arguments, words", [
    (["{path}", "--network", "fully_conected@6"], ["fully_conected", "did you mean fully_connected?"]),
    (["{path}", "--network", "fully_connected@7"], ["no depth 7", "1, 6"]),
    (["{path}", "--network", "fully_connected"], ["ARCHITECTURE@DEPTH"]),
    (["{path}"] + 6 * ["--network", "fully_connected@6"], ["at most 5"]),
    (["{deep}", "--network", "residual@5"], ["no probe/input_gradient"]),
    (["{other}"], ["no probe/gradient_correlation"]),
])
def test_picture_mistakes(path, deep, tmp_path, arguments, words):
    other = run(tmp_path, "grid: {activation: relu, weight_variance: 2, width: 10, depth: 2}\n")
    places = {"path": path, "deep": deep, "other": other}
    done = subprocess.run([TOOLS / "eoc-plot", "shattering", *(argument.format(**places) for argument in arguments)], text=True,
                          capture_output=True, check=False)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr


@pytest.mark.parametrize("job", ["gradients", "correlation"])
def test_jobs(job, tmp_path):
    """The sweep files of the paper's figures are read, and planned for minutes, not hours."""
    result = eoc("plan", TESTS.parent / "jobs" / f"balduzzi2017-{job}.yaml", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
