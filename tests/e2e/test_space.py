# SPDX-License-Identifier: BSD-3-Clause
"""Convolutional networks as probes: statistics over space against NumPy, ranks, larger grids, and what is refused.

A delta-orthogonal first layer without biases is a rotation of the channels at every position: the power spectrum, correlations,
lengths and cosines of its pre-activations are those of the image's blocks, which NumPy has from the data set.
"""
import h5py
import numpy as np
import pytest
from conftest import DONE, GRID, TESTS, assert_quiet, assert_same_bits, dimensions, eoc, run, sentences, write_sweep

DATA = TESTS.parent / "jobs/data/mnist10k.h5"
STATISTICS = ("position_q", "position_c", "spatial_power", "spatial_correlation")

SWEEP = """
seed: 5
grid: {architecture: ["convolutional(side=7)", "convolutional(side=7, padding=zero)", "convolutional(dimensions=1, side=14)",
                      "convolutional(dimensions=1, side=28, padding=zero)"],
       activation: tanh, initializer: delta_orthogonal, width: 60, depth: 3, weight_variance: 1.5, bias_variance: 0, replica: 2}
probe: {inputs: {kind: dataset, dataset: mnist10k, preprocessing: raw, points: 3}, statistics: [forward, spatial], layers: all}
"""
SIDES = {0: (7, 7), 1: (7, 7), 2: (14,), 3: (28,)}
CIRCULAR = {0: True, 1: False, 2: True, 3: False}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return run(tmp_path_factory.mktemp("space"), SWEEP)


def blocks(architecture):
    """(3 images, *sides, values of a block): the first training images, cut."""
    with h5py.File(DATA) as file:
        images = (file["train/images"][:3].reshape(3, 28, 28) / 255.0).astype(np.float32).astype(float)
    sides = SIDES[architecture]
    if len(sides) == 1:
        return images.reshape(3, sides[0], -1)
    s = 28 // sides[0]
    return images.reshape(3, sides[0], s, sides[1], s).transpose(0, 1, 3, 2, 4).reshape(3, *sides, s * s)


def expected(architecture):
    """The four statistics of the blocks, flat over positions."""
    x = blocks(architecture)
    axes = tuple(range(1, x.ndim - 1))
    q = (x**2).sum((0, -1))
    power = (np.abs(np.fft.fftn(x, axes=axes)) ** 2).sum((0, -1))
    correlation = np.empty(q.shape)
    for d in np.ndindex(*q.shape):
        if CIRCULAR[architecture]:
            correlation[d] = (x * np.roll(x, [-i for i in d], axes)).sum() / q.size
        else:
            here = tuple(slice(0, n - i) for n, i in zip(q.shape, d))
            there = tuple(slice(i, n) for n, i in zip(q.shape, d))
            pairs = np.prod([n - i for n, i in zip(q.shape, d)])
            correlation[d] = (x[(slice(None),) + here] * x[(slice(None),) + there]).sum() / pairs
    norms = np.sqrt((x[0] ** 2).sum(-1) * (x[1] ** 2).sum(-1))
    with np.errstate(invalid="ignore"):
        cosine = (x[0] * x[1]).sum(-1) / norms
    found = q / q.mean(), cosine, power / power.sum(), correlation / correlation.flat[0]
    return {name: values.ravel() for name, values in zip(STATISTICS, found)}


def test_dimensions(path):
    """Positions and modes are those of the largest network, NaN beyond a smaller one's."""
    with h5py.File(path) as file:
        for name in STATISTICS:
            variable = file[f"probe/{name}"]
            assert dimensions(variable) == GRID + ("layer", "spatial_mode" if name == "spatial_power" else "position")
            assert np.isnan(variable[2, ..., 14:]).all() and np.isnan(variable[3, ..., 28:]).all()
        assert file["position"][()].tolist() == file["spatial_mode"][()].tolist() == list(range(49))


@pytest.mark.parametrize("architecture", SIDES)
def test_first_layer_has_the_statistics_of_the_blocks(architecture, path):
    wanted = expected(architecture)
    with h5py.File(path) as file:
        for name in STATISTICS:
            got = file[f"probe/{name}"][architecture, 0, 0, 0, 0, 0, 0, :, 0]
            for replica in range(2):
                np.testing.assert_allclose(got[replica, : wanted[name].size], wanted[name], rtol=0, atol=1e-12, err_msg=name)
        # |x|^2/N is the image's own mean square: q^1 is sigma_w^2 times that.
        x = blocks(architecture)
        q = np.exp(file["probe/log_q"][architecture, 0, 0, 0, 0, 0, 0, :, 0])
        np.testing.assert_allclose(q, 1.5 * (x**2).mean(), rtol=1e-12)


def test_sums(path):
    """Shares add up to 1, and correlations of a circle or torus are the spectrum's transform, in every layer."""
    with h5py.File(path) as file:
        for architecture, sides in SIDES.items():
            size = int(np.prod(sides))
            power = file["probe/spatial_power"][architecture, ..., :size].reshape(-1, *sides)
            correlation = file["probe/spatial_correlation"][architecture, ..., :size].reshape(-1, *sides)
            axes = tuple(range(1, power.ndim))
            np.testing.assert_allclose(power.sum(axes), 1.0, rtol=0, atol=1e-13)
            np.testing.assert_allclose(file["probe/position_q"][architecture, ..., :size].mean(-1), 1.0, rtol=0, atol=1e-13)
            if CIRCULAR[architecture]:
                np.testing.assert_allclose(correlation, np.fft.fftn(power, axes=axes).real, rtol=0, atol=1e-12)


GRIDS = """
seed: 5
grid: {{architecture: [{before} "convolutional(dimensions=1, side=5)", "convolutional(dimensions=1, side=8, padding=zero)" {behind}],
       activation: tanh, initializer: [gaussian, orthogonal], width: {width}, depth: {depth}, weight_variance: 1.5, bias_variance: 0.1}}
probe: {{statistics: [forward, gradient, jacobian, spatial, spectrum], layers: all}}
"""


def test_ranks_and_larger_grids(tmp_path):
    """The same bits on 1 and 3 ranks, shuffled, and beside wider, deeper networks and others with more and no positions."""
    small = GRIDS.format(before="", behind="", width=6, depth=3)
    larger = GRIDS.format(before="convolutional(side=4),", behind=", fully_connected", width="[6, 17]", depth="[3, 5]")
    one = run(tmp_path, small, name="one")
    assert_same_bits(run(tmp_path, small, "--shuffle", "1", ranks=3, name="three"), one)
    with h5py.File(one) as mine, h5py.File(run(tmp_path, larger, ranks=2, name="larger")) as other:
        assert (other["run/status"][()] == DONE).all()
        assert np.isnan(other["probe/spatial_power"][3]).all()
        for name in ("log_q", "c", "log_gradient_q", "log_weight_gradient_q", *STATISTICS):
            left = mine[f"probe/{name}"][()]
            right = other[f"probe/{name}"][1:3, :, :, :1, :1, :, :, :, :3]
            assert left.tobytes() == (right[..., : left.shape[-1]] if name in STATISTICS else right).tobytes(), name
        left, right = (file["probe/log_singular_values"][()] for file in (mine, other))
        for row, values in ((0, 5 * 6), (1, 8 * 6)):
            assert left[row, ..., :values].tobytes() == right[1 + row, :, :, :1, :1, ..., :values].tobytes()
            assert np.isfinite(left[row, ..., :values]).all()


def test_plan(tmp_path):
    """A plan of every statistic that there is of convolutions: it times small networks of the sweep."""
    write_sweep(tmp_path / "sweep.yaml", GRIDS.format(before="convolutional(side=4),", behind=", fully_connected", width="[6, 17]", depth=3))
    result = eoc("plan", "sweep.yaml", cwd=tmp_path)
    assert result.returncode == 0 and "16 units" in result.stdout, result.stdout + result.stderr


# -- mistakes --

MISTAKES = {
    "no space": ("architecture: fully_connected", "{statistics: [spatial]}", ["probe.statistics", "spatial", "convolutional"]),
    "taps of nothing": ("architecture: fully_connected, initializer: delta_orthogonal", "{}", ["grid.initializer", "delta_orthogonal", "convolutional"]),
    "orthogonal kernel of nothing": ("architecture: residual, initializer: orthogonal_kernel", "{}", ["grid.initializer", "orthogonal_kernel"]),
    "kernel beyond an edge": ('architecture: "convolutional(padding=zero)", initializer: orthogonal_kernel', "{}",
                              ["grid.initializer", "orthogonal_kernel", "padding=circular"]),
    "implicit kernel": ("architecture: convolutional, initializer: orthogonal_kernel", "{sampler: implicit}",
                        ["probe.sampler", "orthogonal_kernel", "auto"]),
    "no centre": ('architecture: "convolutional(kernel=2)", initializer: delta_orthogonal', "{}", ["grid.architecture", "kernel=2", "odd"]),
    "kernel wider than the side": ('architecture: "convolutional(side=3, kernel=5)"', "{}", ["grid.architecture", "kernel=5", "side"]),
    "no variance": ('architecture: convolutional, initializer: "gaussian_taps(tap_0=0, tap_1=0)"', "{}", ["grid.initializer", "gaussian_taps", "zero"]),
    "too many positions": ('architecture: "convolutional(side=300)"', "{}", ["grid.architecture", "side=300", "up to 256"]),
    "branch of plain layers": ('architecture: "convolutional(branch=0.5)"', "{}", ["grid.architecture", "form=full"]),
    "blocks": ('architecture: "convolutional(side=6)", width: 100', "{inputs: {kind: dataset, dataset: mnist10k, points: 2}}",
               ["grid.architecture", "28 x 28", "divides 28"]),
    "few channels": ("architecture: convolutional, width: 15", "{inputs: {kind: dataset, dataset: mnist10k, points: 2}}", ["grid.width", "16"]),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(name, tmp_path):
    grid, probe, words = MISTAKES[name]
    write_sweep(tmp_path / "sweep.yaml", f"grid: {{activation: tanh, weight_variance: 1.5, {grid}}}\nprobe: {probe}\n")
    result = eoc("run", "sweep.yaml", cwd=tmp_path)
    assert result.returncode == 2
    assert_quiet(result.stderr)
    assert len(sentences(result.stderr)) == 1, result.stderr
    for word in words:
        assert word in result.stderr, result.stderr
    assert not (tmp_path / "sweep.h5").exists()
