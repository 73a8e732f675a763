# SPDX-License-Identifier: BSD-3-Clause
"""End to end: theory of layers that are more than W, b and phi, against finite networks, at every layer.

Means over networks of width 1000 must lie within BOUND standard errors of the file's theory, and ALLOWED besides for what goes
as depth/width. The growth of gradients under batch normalization is measured as the literature defines it. Fixed seeds: the outcome
is the same in every run. EOC_LONG_TESTS=1: the full form, with ten times the networks; `pytest -rP` shows the scores.
"""
import math

import h5py
import numpy as np
import pytest
from conftest import DONE, LONG, eoc, run

BOUND = 4.5
DEPTH, WIDTH = 8, 1000
REPLICAS = 400 if LONG else 40

# architecture, activation, initializer, weight variance, bias variance
CASES = [
    ("residual", "tanh", "gaussian", 1.5, 0.05),
    ("residual(skip=0.8, branch=0.7)", "relu", "orthogonal", 1.5, 0.1),
    ("residual(branch=0.5)", "gelu", "gaussian", 2.0, 0.05),
    ("residual(form=reduced)", "tanh", "gaussian", 1.5, 0.05),
    ("residual(form=reduced, branch=0.5)", "relu", "gaussian", 1.5, 0.05),
    ("residual(form=full)", "tanh", "orthogonal", 1.5, 0.05),
    ("residual(form=full, keep=0.8)", "relu", "gaussian", 1.0, 0.05),
    ("residual(normalization=layer)", "relu", "gaussian", 2.0, 0.05),
    ("residual(form=full, normalization=layer, gamma=0.7)", "erf", "gaussian", 2.0, 0.05),
    ("fully_connected(normalization=layer)", "tanh", "gaussian", 1.5, 0.05),
    ("fully_connected(normalization=layer, gamma=1.3, beta=0.4)", "relu", "gaussian", 1.5, 0.05),
    ("fully_connected(normalization=layer, epsilon=0.3, beta=-0.2)", "tanh", "orthogonal", 1.5, 0.05),
    ("fully_connected(keep=0.8)", "tanh", "gaussian", 1.7, 0.05),
    ("fully_connected(keep=0.6)", "relu", "orthogonal", 1.2, 0.1),
    ("fully_connected", "crelu", "gaussian", 2.0, 0.05),
    ("fully_connected", "crelu", "orthogonal", 1.7, 0.05),
    ("fully_connected", "crelu", "looks_linear", 1.1, 0.05),
    ("fully_connected(keep=0.9)", "crelu", "looks_linear_gaussian", 1.0, 0.05),
    ("residual", "crelu", "orthogonal", 1.0, 0.05),
    ("fully_connected(normalization=layer, beta=0.5)", "crelu", "gaussian", 1.5, 0.05),
    ("residual(normalization=layer, beta=-0.4, keep=0.8)", "crelu", "looks_linear", 1.5, 0.05),
    ("residual(form=full, normalization=layer, beta=1)", "crelu", "orthogonal", 1.0, 0.05),
    ("fully_connected(normalization=batch, beta=0.5)", "crelu", "gaussian", 1.5, 0.05),
    ("residual(form=full)", "crelu", "looks_linear", 0.8, 0.05),
    ("fully_connected(normalization=batch)", "relu", "gaussian", 1.0, 0.05),
    ("fully_connected(normalization=batch, gamma=0.8, beta=0.3, epsilon=0.2)", "tanh", "gaussian", 1.5, 0.1),
    ("fully_connected(normalization=batch, keep=0.7)", "relu", "gaussian", 1.5, 0.0),
    ("fully_connected(normalization=batch, gamma=2.5)", "tanh", "gaussian", 1.5, 0.1),
    ("fully_connected(normalization=batch)", "crelu", "looks_linear", 1.0, 0.05),
    ("residual(normalization=batch)", "relu", "gaussian", 1.0, 0.05),
    ("residual(form=reduced, normalization=batch, skip=0.9)", "relu", "orthogonal", 1.0, 0.05),
    ("residual(form=full, normalization=batch, branch=0.7)", "tanh", "gaussian", 1.5, 0.05),
]

HAS_OUTLIER = ("residual(form=reduced, branch=0.5)", "relu")  # beside which the Jacobian's second moment is not known

SWEEP = """
seed: 5
grid: {{architecture: "{architecture}", depth: {depth}, width: {width}, activation: {activation}, initializer: {initializer},
        weight_variance: {weight_variance}, bias_variance: {bias_variance}, replica: {replicas}}}
probe: {{inputs: {{{inputs}}}, statistics: [{statistics}]}}
"""


def sweep_of(case, replicas, inputs, depth=DEPTH, width=WIDTH, statistics="forward, gradient, jacobian"):
    names = ("architecture", "activation", "initializer", "weight_variance", "bias_variance")
    return SWEEP.format(**dict(zip(names, case)), depth=depth, width=width, replicas=replicas, inputs=inputs, statistics=statistics)


def score(name, sample, theory, allowed):
    """(layer) standard errors between the mean over networks and theory, `allowed` of the value left out."""
    value, error = sample.mean(axis=0), sample.std(axis=0, ddof=1) / math.sqrt(len(sample)) + 1e-12
    distance = np.maximum(np.abs(value - theory) - allowed * np.abs(theory), 0) / error
    print(f"{name:22} theory {np.array2string(np.atleast_1d(theory), precision=4)} z {np.array2string(np.atleast_1d((value - theory) / error), precision=2)}"
          f" error {np.max(error / np.abs(theory)):.1%}")
    return distance.max()


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case)))
def test_networks_follow_theory(case, tmp_path):
    """Every statistic of every layer, its mean over networks against theory."""
    batch = "normalization=batch" in case[0]
    inputs = "kind: gaussian, points: 6" if batch else "kind: pair, correlation: 0.6"
    scores = {}
    with h5py.File(run(tmp_path, sweep_of(case, REPLICAS, inputs), "--quiet", ranks=2)) as file:
        assert (file["run/status"][()] == DONE).all()
        assert not file["theory/status"][()].item() & 1 << 1  # outside_theory
        for name in ("log_q", "one_minus_c", "log_gradient_q", "gradient_c", "log_weight_gradient_q", "log_jacobian_m1", "log_jacobian_m2"):
            per_layer = DEPTH if "jacobian" not in name else 1
            sample = file["probe"][name][()].reshape(REPLICAS, per_layer)
            theory = file["theory"][name][()].reshape(per_layer)
            if (batch and name in ("gradient_c", "log_jacobian_m2")) or (name == "log_jacobian_m2" and case[:2] == HAS_OUTLIER):
                assert np.isnan(theory).all()
                continue
            if name == "log_jacobian_m2" and "form" not in case[0] and case[0].startswith("residual") and case[1] != "crelu":
                assert np.isnan(theory).all()  # slopes of a stream at different layers are correlated
                continue
            if name.startswith("log_"):
                sample, theory = np.exp(sample), np.exp(theory)
            # Of order depth/width and, of m2, the fourth moments of a few probing vectors.
            scores[name] = score(name, sample, theory, 2 * DEPTH / WIDTH)
    assert all(value <= BOUND for value in scores.values()), scores


OUTLIERS = [
    ("residual(form=reduced)", "relu", "gaussian", 2.0, 0.0),
    ("residual(form=reduced)", "relu", "orthogonal", 2.0, 0.1),
    ("residual(form=reduced, keep=0.8)", "relu", "gaussian", 2.0, 0.0),
    ("residual(form=reduced, skip=0.9, branch=0.9)", "gelu", "gaussian", 2.0, 0.1),
    ("convolutional(side=4, dimensions=1, form=reduced)", "relu", "gaussian", 2.0, 0.0),
]


@pytest.mark.parametrize("case", OUTLIERS, ids=lambda case: "-".join(map(str, case)))
def test_deep_gradients_have_the_outlier(case, tmp_path):
    """Reduced residual layers whose features have a mean: 18 layers of 400 units, where most of a squared gradient is along one
    direction. Means over networks follow theory, of the layers, of the sum over two inputs in the weights, and of the Jacobian; and
    they are far from the rest alone, chi_1 to the power of the layers behind. Of four positions 100 channels are as many units; what
    theory does not know of these weights is NaN."""
    positions = 4 if case[0].startswith("convolutional") else 1
    depth, width, replicas = 18, 400 // positions, 20000 if LONG else 4000
    with h5py.File(run(tmp_path, sweep_of(case, replicas, "kind: pair, correlation: 0.2", depth, width), "--quiet", ranks=2)) as file:
        scores = {}
        for name in ("log_gradient_q", "log_weight_gradient_q", "log_jacobian_m1"):
            per_layer = depth if "jacobian" not in name else 1
            sample, theory = np.exp(file["probe"][name][()].reshape(replicas, per_layer)), np.exp(file["theory"][name][()].reshape(per_layer))
            known = np.isfinite(theory)
            assert known.all() or (positions > 1 and name == "log_weight_gradient_q" and known[-2:].all())
            scores[name] = score(name, sample[:, known], theory[known], depth / 400)
            if name == "log_gradient_q":
                rest = file["theory/chi_1"][()].item() ** (depth - 1)
                assert theory[0] > 1.5 * rest
                assert sample[:, 0].mean() - rest > 3 * BOUND * sample[:, 0].std() / math.sqrt(replicas)
    assert all(value <= BOUND for value in scores.values()), scores


def growth_of(gradient):
    """(mean of g^2 at l = 2/at l = L - 1)^(1/(L - 3)) and its standard error, by the covariance of the two."""
    first, last = gradient[:, 1], gradient[:, -2]
    depth, count = gradient.shape[1], len(gradient)
    value = (first.mean() / last.mean()) ** (1 / (depth - 3))
    relative = first / first.mean() - last / last.mean()
    return value, value * relative.std(ddof=1) / math.sqrt(count) / (depth - 3)


# Independent of the program: closed forms without epsilon. E over a sphere of a homogeneous phi is that over a Gaussian.
def linear_growth(inputs):
    return (inputs - 2) / (inputs - 3)


def relu_growth(inputs):
    c = -1 / (inputs - 1)
    slope = (math.pi - math.acos(c)) / (2 * math.pi)
    kernel = math.sqrt(1 - c * c) / (2 * math.pi) + slope * c
    trace = (1 - 1 / inputs) / 2 - 1 / (2 * inputs) + (slope + kernel) / inputs
    return inputs / (inputs - 3) * trace / (0.5 - kernel)


GROWTH = {"linear": linear_growth, "relu": relu_growth}


def theory_growth(folder, activation, points, epsilon=0):
    case = (f"fully_connected(normalization=batch, epsilon={epsilon})", activation, "gaussian", 1.3, 0.0)
    (folder / "theory.yaml").write_text(sweep_of(case, 1, f"kind: gaussian, points: {points}"))
    result = eoc("theory", "theory.yaml", "--overwrite", cwd=folder)
    assert result.returncode == 0, result.stderr
    with h5py.File(folder / "theory.theory.h5") as file:
        return file["theory/chi_1"][()].item(), file["theory/log_gradient_q"][()].ravel()


PHI = {"tanh": np.tanh, "sin": np.sin, "sigmoid": lambda u: 1 / (1 + np.exp(-u)), "elu": lambda u: np.where(u > 0, u, np.expm1(np.minimum(u, 0)))}


@pytest.mark.parametrize("points", [4, 8, 33])
@pytest.mark.parametrize("gamma", [1, 3, 10, 30])
@pytest.mark.parametrize("activation", PHI)
def test_length_behind_a_steep_batch_normalization(activation, gamma, points, tmp_path):
    """q* = E[phi(gamma x + beta)^2], x one of `points` values uniform on a sphere across 1: a fine sum over its angle."""
    (tmp_path / "theory.yaml").write_text(sweep_of((f"fully_connected(normalization=batch, epsilon=0, gamma={gamma}, beta=0.3)", activation,
                                                    "gaussian", 1.0, 0.0), 1, f"kind: gaussian, points: {points}"))
    result = eoc("theory", "theory.yaml", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    angle = (np.arange(400001) + 0.5) / 400001 * np.pi
    weight = np.sin(angle) ** (points - 3)
    wanted = (weight * PHI[activation](gamma * math.sqrt(points - 1) * np.cos(angle) + 0.3) ** 2).sum() / weight.sum()
    with h5py.File(tmp_path / "theory.theory.h5") as file:
        assert file["theory/q_star"][()].item() == pytest.approx(wanted, rel=1e-8)
        assert file["theory/chi_1"][()].item() > 1


@pytest.mark.parametrize("points", [4, 5, 8, 32, 128, 1000])
@pytest.mark.parametrize("activation", GROWTH)
def test_batch_growth_has_the_closed_form(activation, points, tmp_path):
    """theory/chi_1 under batch normalization is (B-2)/(B-3) for linear; for relu the arc-cosine form, pi/(pi-1) in the limit."""
    chi_1, gradient = theory_growth(tmp_path, activation, points)
    assert chi_1 == pytest.approx(GROWTH[activation](points), rel=1e-8)
    assert np.allclose(np.diff(gradient[1:-1]), -math.log(chi_1), rtol=0, atol=1e-8)
    if activation == "relu" and points == 1000:
        assert chi_1 == pytest.approx(math.pi / (math.pi - 1), rel=2e-2 / 5)
    # Epsilon beside a spread of order 1 moves it by its own size; by its root where B - 1 = 3, E[1/(|y|^2 + B epsilon)].
    assert theory_growth(tmp_path, activation, points, 1e-9)[0] == pytest.approx(chi_1, rel=3e-4 if points == 4 else 1e-7)


@pytest.mark.parametrize("points, networks", [(8, 1600 if LONG else 700), (32, 400 if LONG else 220), (128, 80 if LONG else 50)])
@pytest.mark.parametrize("activation", GROWTH)
def test_batch_growth_is_measured(activation, points, networks, tmp_path):
    """(mean of g^2 at l = 2 / at l = L-1)^(1/(L-3)), L = 8, N = 1000 (full form: 2000): within 3 standard errors of the closed form, and
    that far from 1, where gradients would keep their size. Relative standard errors of 1e-3 or less; in the full form 4e-4."""
    case = ("fully_connected(normalization=batch, epsilon=0)", activation, "gaussian", 1.0, 0.0)
    sweep = sweep_of(case, networks, f"kind: gaussian, points: {points}", width=2000 if LONG else WIDTH, statistics="gradient")
    with h5py.File(run(tmp_path, sweep, "--quiet", ranks=2, timeout=7200)) as file:
        gradient = np.exp(file["probe/log_gradient_q"][()].reshape(networks, DEPTH))
        assert file["theory/chi_1"][()].item() == pytest.approx(GROWTH[activation](points), rel=1e-8)
    value, error = growth_of(gradient)
    theory = GROWTH[activation](points)
    print(f"{activation} B = {points}: growth {value:.5f} +- {error:.5f} ({error / value:.1e}), theory {theory:.5f}, "
          f"z {(value - theory) / error:+.2f}, from 1 {(value - 1) / error:.0f}")
    assert abs(value - theory) <= 3 * error
    assert value - 1 > 3 * error
    assert error <= (4e-4 if LONG else 1e-3) * value
