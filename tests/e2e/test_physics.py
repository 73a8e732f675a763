# SPDX-License-Identifier: BSD-3-Clause
"""End to end: what finite networks do, as the file has it, against theory.

The statistical test compares 48 numbers (16 points x q, c and the gradient). Replica means at three widths are extrapolated
linearly in 1/width to infinite width, and must lie within BOUND standard errors of the file's own theory. The seed is
fixed, so the outcome is the same in every run. Two forms: the quick one, with standard errors of 1 % or less from widths 500, 1000
and 2000, in two minutes; the full one (EOC_LONG_TESTS=1) with 0.4 % or less from widths 1000, 2000 and 4000. `pytest -rP` shows
the scores. The networks are drawn by the implicit sampler, whose law the unit tests compare with explicit weights.
"""
import math
import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import DIVERGED, DONE, LONG, run

BOUND = 4.0
DEPTH = 20

if LONG:
    WIDTHS, STANDARD_ERROR = (1000, 2000, 4000), 0.004
else:
    WIDTHS, STANDARD_ERROR = (500, 1000, 2000), 0.01

# (activation, bias variance, weight variance, initializer): relative variance of the gradient (or of q, where greater) over
# replicas at width 1000, from a pilot of 60 networks; it falls as 1/width and sets the number of replicas. Critical weight
# variances, where chi_1 = 1: tanh 1.761, erf about 1.45, relu 2 (which is q's own limit too), gelu about 1.95: all more than 10 % off.
POINTS = {
    ("tanh", 0.05, 1.4, "gaussian"): 0.055,
    ("tanh", 0.05, 2.2, "gaussian"): 0.065,
    ("tanh", 0.05, 1.4, "orthogonal"): 0.020,
    ("tanh", 0.05, 2.2, "orthogonal"): 0.025,
    ("erf", 0.05, 1.1, "gaussian"): 0.070,
    ("erf", 0.05, 1.8, "gaussian"): 0.060,
    ("erf", 0.05, 1.1, "orthogonal"): 0.020,
    ("erf", 0.05, 1.8, "orthogonal"): 0.025,
    ("relu", 0.05, 1.6, "gaussian"): 0.090,
    ("relu", 0.05, 2.4, "gaussian"): 0.080,
    ("relu", 0.05, 1.6, "orthogonal"): 0.055,
    ("relu", 0.05, 2.4, "orthogonal"): 0.055,
    ("gelu", 0.30, 1.7, "gaussian"): 0.160,
    ("gelu", 0.30, 2.4, "gaussian"): 0.080,
    ("gelu", 0.30, 1.7, "orthogonal"): 0.100,
    ("gelu", 0.30, 2.4, "orthogonal"): 0.055,
}

SWEEP = """
seed: {seed}
grid: {{depth: {depth}, width: {width}, activation: {activation}, initializer: {initializer},
        weight_variance: {weight_variance}, bias_variance: {bias_variance}, replica: {replicas}}}
probe: {{inputs: {{kind: pair, correlation: 0.6, variance: 1.0}}, statistics: [forward, gradient], layers: every {every}}}
"""


def replica_counts(variance):
    """Of the three widths, n, 2n and 4n say: 2R, R, R networks give the intercept the variance 0.92 v(2n)/R."""
    count = math.ceil(1.5 * 0.92 * variance * 1000 / WIDTHS[1] / STANDARD_ERROR**2)
    return 2 * count, count, count


def intercept(widths, means, errors, weights):
    """Weighted linear fit in 1/width: its value at 0 and the standard error. The weights are not the measured errors, which
    are correlated with the means of skew samples."""
    design = np.stack([np.ones(len(widths)), 1 / np.array(widths)], axis=1)
    normal = design.T * weights
    rows = np.linalg.solve(normal @ design, normal)
    return rows[0] @ means, math.sqrt(rows[0]**2 @ np.square(errors))


@pytest.mark.parametrize("point", POINTS, ids=lambda point: "-".join(map(str, point)))
def test_finite_networks_extrapolate_to_theory(point, tmp_path):
    """q and c at the last layer, and the gradient at the first: replica means, extrapolated in 1/width, agree with theory."""
    activation, bias_variance, weight_variance, initializer = point
    folder = Path(os.environ.get("EOC_LONG_TESTS_DIR", tmp_path)) if LONG else tmp_path
    counts = replica_counts(POINTS[point])
    means, errors, theory = {}, {}, {}
    for width, replicas in zip(WIDTHS, counts):
        sweep = SWEEP.format(seed=20, depth=DEPTH, width=width, activation=activation, initializer=initializer, every=DEPTH,
                             weight_variance=weight_variance, bias_variance=bias_variance, replicas=replicas)
        name = f"{activation}-{weight_variance}-{initializer}-{width}-{replicas}"
        path = run(folder, sweep, "--quiet", name=name, ranks=2, timeout=7200)
        with h5py.File(path) as file:
            layers = list(file["layer"])
            for label, variable, layer, transform in (("q", "log_q", DEPTH, np.exp), ("c", "c", DEPTH, np.array),
                                                      ("gradient", "log_gradient_q", 1, np.exp)):
                at = layers.index(layer)
                sample = transform(file["probe"][variable][..., at].ravel())
                assert sample.size == replicas and np.isfinite(sample).all()
                means.setdefault(label, []).append(sample.mean())
                errors.setdefault(label, []).append(sample.std(ddof=1) / math.sqrt(replicas))
                theory.setdefault(label, set()).add(float(transform(file["theory"][variable][..., at].item())))
    scores, relative = {}, {}
    for label in means:
        assert len(theory[label]) == 1, "theory depends on the width"
        expected = theory[label].pop()
        value, error = intercept(WIDTHS, means[label], errors[label], np.array(counts) * np.array(WIDTHS))
        scores[label] = (value - expected) / error
        relative[label] = error / expected
        print(f"{activation:5} {weight_variance} {initializer:10} {label:9} theory {expected:.6g} extrapolated {value:.6g}"
              f" +- {100 * relative[label]:.2f} %  z {scores[label]:+.2f}"
              f"  (widths: {', '.join(f'{mean / expected - 1:+.4f}' for mean in means[label])})")
    assert all(abs(score) <= BOUND for score in scores.values()), scores
    assert all(error <= STANDARD_ERROR for error in relative.values()), relative


# Closed forms: an independent view of the theory that the test above compares with.

def relu_maps(weight_variance, bias_variance, q, c):
    q_next = weight_variance * q / 2 + bias_variance
    angle = math.acos(c)
    cross = weight_variance * q / (2 * math.pi) * (math.sin(angle) + (math.pi - angle) * c) + bias_variance
    return q_next, cross / q_next


def erf_maps(weight_variance, bias_variance, q, c):
    q_next = weight_variance * 2 / math.pi * math.asin(2 * q / (1 + 2 * q)) + bias_variance
    cross = weight_variance * 2 / math.pi * math.asin(2 * q * c / (1 + 2 * q)) + bias_variance
    return q_next, cross / q_next


CLOSED_FORMS = {"relu": (relu_maps, lambda q: 0.5), "erf": (erf_maps, lambda q: 4 / math.pi / math.sqrt(1 + 4 * q))}


@pytest.mark.parametrize("bias_variance", [0, 0.05])
@pytest.mark.parametrize("weight_variance", [1.1, 1.6, 2.0, 2.4])
@pytest.mark.parametrize("activation", CLOSED_FORMS)
def test_theory_has_the_closed_form(activation, weight_variance, bias_variance, tmp_path):
    """theory/log_q, c and log_gradient_q of relu and erf are the iterated closed forms from the probe's own inputs, to 1e-9."""
    sweep = SWEEP.format(seed=1, depth=DEPTH, width=10, activation=activation, initializer="gaussian", every=1,
                         weight_variance=weight_variance, bias_variance=bias_variance, replicas=1)
    with h5py.File(run(tmp_path, sweep)) as file:
        log_q, c, log_gradient = (file["theory"][name][()].ravel() for name in ("log_q", "c", "log_gradient_q"))
    maps, slope = CLOSED_FORMS[activation]
    q = [weight_variance * 1.0 + bias_variance]
    cosine = [(weight_variance * 0.6 + bias_variance) / q[0]]
    for _ in range(1, DEPTH):
        following = maps(weight_variance, bias_variance, q[-1], min(cosine[-1], 1.0))
        q.append(following[0])
        cosine.append(following[1])
    gradient = [slope(q[-1])]
    for value in reversed(q[:-1]):
        gradient.insert(0, gradient[0] * weight_variance * slope(value))
    assert np.allclose(np.exp(log_q), q, rtol=1e-9, atol=0)
    assert np.allclose(c, cosine, rtol=0, atol=1e-9)
    assert np.allclose(np.exp(log_gradient), gradient, rtol=1e-9, atol=0)


# Deep, dead and overflowing networks.

def sweep_of(activation, weight_variance, depth, width, bias_variance=0, initializer="gaussian", replicas=1):
    return (f"grid: {{depth: {depth}, width: {width}, activation: {activation}, initializer: {initializer}, "
            f"weight_variance: {weight_variance}, bias_variance: {bias_variance}, replica: {replicas}}}\n")


def test_ten_thousand_ordered_layers(tmp_path):
    """tanh, ordered, without bias, depth 10,000: log_q falls far below the least double, by about log(sigma_w^2) a layer."""
    with h5py.File(run(tmp_path, sweep_of("tanh", 0.5, 10_000, 20, replicas=4))) as file:
        assert (file["run/status"][()] == DONE).all() and (file["run/last_layer"][()] == 10_000).all()
        log_q, gradient = (file["probe"][name][()].reshape(4, 10_000) for name in ("log_q", "log_gradient_q"))
        theory = file["theory/log_q"][()].ravel()
    assert np.isfinite(log_q).all() and np.isfinite(gradient).all() and (log_q[:, -1] < -5000).all()
    # Once the network is linear, |z|^2 gains sigma_w^2 chi^2_N/N a layer, independently: mean of the log psi(N/2) - log(N/2),
    # about -1/N - 1/(3 N^2), variance about 2/N + 2/N^2 a layer.
    width, layers = 20, 9_900
    slope = (log_q[:, -1] - log_q[:, 99]) / layers
    expected = math.log(0.5) - 1 / width - 1 / (3 * width**2)
    error = math.sqrt((2 / width + 2 / width**2) / layers / 4)
    assert abs(slope.mean() - expected) < 4 * error
    assert abs((theory[-1] - theory[99]) / layers - math.log(0.5)) < 1e-6
    # Backward likewise, away from the first layers, that are not linear yet.
    assert abs(((gradient[:, 99] - gradient[:, -1]) / layers).mean() - expected) < 4 * error


@pytest.mark.parametrize("weight_variance", [1, 3])
def test_ten_thousand_relu_layers(weight_variance, tmp_path):
    """relu without bias, depth 10,000: finite logarithms, far over and under a double, of slope log(sigma_w^2/2) within error."""
    width, replicas = 100, 4
    with h5py.File(run(tmp_path, sweep_of("relu", weight_variance, 10_000, width, replicas=replicas), ranks=2)) as file:
        assert (file["run/status"][()] == DONE).all()
        log_q, gradient = (file["probe"][name][()].reshape(replicas, 10_000) for name in ("log_q", "log_gradient_q"))
        theory = file["theory/log_q"][()].ravel()
    assert np.isfinite(log_q).all() and np.isfinite(gradient).all()
    layer = np.arange(10_000)
    assert np.allclose(theory, math.log(weight_variance) + layer * math.log(weight_variance / 2), rtol=1e-12, atol=1e-9)
    # Per layer q gains sigma_w^2/N sum of relu(u)^2, u of unit variance: relative variance 5/N. Mean of its log:
    # -5/(2N) + third cumulant/3 - ...: of order 1/N^2, allowed for by 20/N^2.
    slope = (log_q[:, -1] - log_q[:, 0]) / 9_999
    expected = math.log(weight_variance / 2) - 2.5 / width
    error = math.sqrt(5.5 / width / 9_999 / replicas)
    assert abs(slope.mean() - expected) < 4 * error + 20 / width**2


def test_orthogonal_linear_network_is_an_isometry(tmp_path):
    """linear, orthogonal, weight variance 1: lengths, angle and gradient are the same in all 1000 layers, to 1e-9."""
    with h5py.File(run(tmp_path, sweep_of("linear", 1, 1000, 30, initializer="orthogonal", replicas=3))) as file:
        probe = {name: file["probe"][name][()].reshape(3, 1000) for name in ("log_q", "c", "log_gradient_q", "gradient_c")}
    assert np.abs(probe["log_q"]).max() < 1e-9  # inputs of variance 1
    assert np.abs(probe["c"] - 0.6).max() < 1e-9
    assert np.abs(probe["log_gradient_q"] - probe["log_gradient_q"][:, -1:]).max() < 1e-9
    assert np.abs(probe["gradient_c"] - 1).max() < 1e-9


def test_overflow_is_diverged_and_the_sweep_goes_on(tmp_path):
    """gelu at weight variance 10 with biases overflows: diverged, overflow, layers up to there kept, exit code 0."""
    depth = 1000
    path = run(tmp_path, sweep_of("gelu", "[1.5, 10]", depth, 50, bias_variance=0.05, replicas=2), ranks=2)
    with h5py.File(path) as file:
        status, last, reason = (file["run"][name][()].reshape(2, 2) for name in ("status", "last_layer", "reason"))
        log_q = file["probe/log_q"][()].reshape(2, 2, depth)
        gradient = file["probe/log_gradient_q"][()].reshape(2, 2, depth)
    assert (status == [[DONE, DONE], [DIVERGED, DIVERGED]]).all()
    assert (reason == [[0, 0], [1, 1]]).all()
    assert (last[0] == depth).all() and np.isfinite(log_q[0]).all()
    for replica in range(2):
        reached = last[1, replica]
        # z^2 gains a factor of about 5 a layer; a double holds z up to 1.8e308, so z^2 up to exp(1419.6).
        assert 300 < reached < depth
        assert np.isfinite(log_q[1, replica, :reached]).all() and np.isnan(log_q[1, replica, reached:]).all()
        assert 700 < log_q[1, replica, reached - 1] < 1420
        assert not np.isfinite(gradient[1, replica]).any()


@pytest.mark.parametrize("activation", ["tanh", "relu", "linear", "gelu"])
@pytest.mark.parametrize("initializer", ["gaussian", "orthogonal"])
def test_dead_network_is_done(activation, initializer, tmp_path):
    """Weight variance 0 without bias: done, all layers; log -inf and cosine NaN, forward; nothing comes back from the last layer."""
    with h5py.File(run(tmp_path, sweep_of(activation, "[0, 1.5]", 5, 10, initializer=initializer))) as file:
        assert (file["run/status"][()] == DONE).all() and (file["run/reason"][()] == 0).all()
        assert (file["run/last_layer"][()] == 5).all()
        dead = {name: file["probe"][name][..., 0, 0, 0, :].ravel() for name in ("log_q", "c", "one_minus_c", "log_gradient_q", "gradient_c")}
        alive = file["probe/log_q"][..., 1, 0, 0, :]
    assert (dead["log_q"] == -np.inf).all()
    assert np.isnan(dead["c"]).all() and np.isnan(dead["one_minus_c"]).all()
    assert (dead["log_gradient_q"][:-1] == -np.inf).all() and np.isnan(dead["gradient_c"][:-1]).all()
    assert np.isfinite(alive).all()


def test_dead_network_with_bias(tmp_path):
    """Weight variance 0 with bias: every layer is its bias, for all inputs alike: c is 1 exactly, q is N(0, bias) squared."""
    with h5py.File(run(tmp_path, sweep_of("tanh", 0, 5, 1000, bias_variance=0.5))) as file:
        log_q, c, one_minus_c = (file["probe"][name][()].ravel() for name in ("log_q", "c", "one_minus_c"))
    assert (one_minus_c == 0).all() and (c == 1).all()
    assert np.abs(np.exp(log_q) / 0.5 - 1).max() < 5 * math.sqrt(2 / 1000)
    assert np.unique(log_q).size == 5
