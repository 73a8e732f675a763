# SPDX-License-Identifier: BSD-3-Clause
"""End to end: theory of convolutions against finite networks: depth scales of modes over space, and every statistic at every layer.

Fixed seeds: the outcome is the same in every run. EOC_LONG_TESTS=1: the full form; `pytest -rP` shows the scores.
"""
import math

import h5py
import numpy as np
import pytest
from conftest import DONE, LONG, run

RING = "convolutional(dimensions=1, side=8)"
TAPS = "gaussian_taps(tap_0=1, tap_1=0.25)"  # shares 1/6, 2/3, 1/6


# -- depth scales --

MODES_DEPTH, BURN = 40, 5

MODES = """
seed: 11
grid: {{architecture: "{architecture}", depth: {depth}, width: 2000, activation: tanh, initializer: "{initializer}",
        weight_variance: 2.5, bias_variance: 0.05, replica: {replicas}}}
probe: {{inputs: {{kind: pair, correlation: 0.41, variance: fixed_point}}, statistics: [spatial]}}
"""


def slope(y, predictors):
    """
    First coefficient of the linear predictor of mode y (networks, layers) a layer later, and its standard error.

    A finite network disturbs every layer by noise of order 1/sqrt(width), in all modes, and each disturbance decays from there on:
    the modes are an autoregressive process, whose coefficient is the decay. That z is one sample of channels does not dilute it:
    E[phi(z)^2] changes with the covariance of z as its covariance with z's squares says (Stein's lemma), so the best linear
    predictor of the next layer's mean from a layer's own sample moments has the derivatives of the map as coefficients.
    Errors by leaving networks out (jackknife).
    """
    x = np.stack([np.concatenate([p[:, :-1].real, p[:, :-1].imag], 1) for p in predictors], -1)
    later = np.concatenate([y[:, 1:].real, y[:, 1:].imag], 1)
    a, b = np.einsum("rni,rnj->rij", x, x), np.einsum("rni,rn->ri", x, later)
    value = np.linalg.solve(a.sum(0), b.sum(0))[0]
    without = np.linalg.solve(a.sum(0) - a, (b.sum(0) - b)[..., None])[:, 0, 0]
    return value, math.sqrt((len(a) - 1) / len(a) * np.sum((without - without.mean()) ** 2))


@pytest.mark.parametrize("initializer", ["gaussian", TAPS, "delta_orthogonal"])
def test_modes_have_their_depth_scales(initializer, tmp_path):
    """Each mode of variances and of correlations decays by chi lambda_k a layer, at q* and c* = 0.447: within 3 standard errors of
    the file's depth scales. 8 comparisons; standard errors of 0.02 or less."""
    networks = 800 if LONG else 120
    sweep = MODES.format(architecture=RING, depth=MODES_DEPTH, initializer=initializer, replicas=networks)
    with h5py.File(run(tmp_path, sweep, "--quiet", ranks=2, timeout=7200)) as file:
        assert (file["run/status"][()] == DONE).all()
        q, c = (np.fft.fft(file[f"probe/{name}"][()].reshape(networks, MODES_DEPTH, 8))[:, BURN:] for name in ("position_q", "position_c"))
        eigenvalue, xi_q, xi_c = (file[f"theory/{name}"][()].ravel() for name in ("averaging_eigenvalue", "xi_q_mode", "xi_c_mode"))
    edge = {"gaussian": 1 / 3, TAPS: 1 / 6, "delta_orthogonal": 0}[initializer]
    assert np.allclose(eigenvalue, 1 - 2 * edge + 2 * edge * np.cos(2 * np.pi * np.arange(8) / 8), rtol=0, atol=1e-15)
    scores = {}
    for k in range(1, 5):
        for name, measured, xi in (("q", slope(q[..., k], [q[..., k]]), xi_q[k]), ("c", slope(c[..., k], [c[..., k], q[..., k]]), xi_c[k])):
            value, error = measured
            theory = math.copysign(math.exp(-1 / xi), eigenvalue[k])
            scores[name, k] = (value - theory) / error
            print(f"{initializer} mode {k} of {name}: {value:+.4f} +- {error:.4f}, theory {theory:+.4f}; depth scale {-1 / math.log(abs(value)):.3f} +- "
                  f"{error / abs(value) / math.log(abs(value)) ** 2:.3f}, theory {xi:.3f}; z {scores[name, k]:+.2f}")
            assert error <= 0.02
    assert all(abs(z) <= 3 for z in scores.values()), scores


# -- every statistic --

BOUND = 4.5
DEPTH, WIDTH = 8, 1000
REPLICAS = 400 if LONG else 40
IMAGES = "kind: dataset, dataset: mnist10k, points: 3, variance: 1"
PAIR = "kind: pair, correlation: 0.6"

# architecture, activation, initializer, weight variance, bias variance, inputs
CASES = [
    (RING, "tanh", "gaussian", 1.5, 0.05, IMAGES),
    (RING, "relu", TAPS, 2.0, 0.0, IMAGES),
    (RING, "tanh", "delta_orthogonal", 1.5, 0.05, IMAGES),
    (RING, "sigmoid", "gaussian", 2.0, 0.0, IMAGES),  # whose first and last blocks are blank: zero signals, but not sigmoid of them
    ("convolutional(side=4)", "gelu", "gaussian", 1.9, 0.05, IMAGES),
    ("convolutional(dimensions=1, side=8, padding=zero)", "tanh", "gaussian", 1.9, 0.05, IMAGES),
    ("convolutional(side=4, padding=zero)", "relu", "gaussian", 2.0, 0.1, PAIR),
    ("convolutional(side=4, padding=zero)", "tanh", "delta_orthogonal", 1.7, 0.05, PAIR),
    (RING, "tanh", "gaussian", 2.5, 0.05, PAIR),
    (RING, "tanh", "orthogonal", 2.0, 0.05, PAIR),
    (RING, "crelu", "orthogonal", 1.7, 0.05, PAIR),
    (RING, "tanh", "orthogonal_kernel", 1.5, 0.05, PAIR),
    ("convolutional(dimensions=1, side=8, kernel=5)", "relu", "orthogonal_kernel", 2.0, 0.1, IMAGES),
    ("convolutional(dimensions=1, side=8, form=pre_activation)", "tanh", "gaussian", 1.5, 0.05, PAIR),
    ("convolutional(dimensions=1, side=8, form=full)", "relu", "gaussian", 1.0, 0.05, PAIR),
    ("convolutional(dimensions=1, side=8, normalization=layer)", "relu", "gaussian", 2.0, 0.05, PAIR),
    ("convolutional(dimensions=1, side=8, keep=0.8)", "tanh", "gaussian", 1.7, 0.05, PAIR),
    ("convolutional(dimensions=1, side=4, normalization=batch)", "relu", "gaussian", 1.0, 0.05, "kind: gaussian, points: 4"),
]

SWEEP = """
seed: 6
grid: {{architecture: "{}", depth: {depth}, width: {width}, activation: {}, initializer: "{}",
        weight_variance: {}, bias_variance: {}, replica: {replicas}}}
probe: {{inputs: {{{}}}, statistics: [forward, gradient, jacobian, spatial]}}
"""

LAYERS = ("log_q", "one_minus_c", "log_gradient_q", "gradient_c", "log_weight_gradient_q")
SPACE = ("position_q", "position_c", "spatial_power", "spatial_correlation")


def unknown(case, name):
    """What theory does not say of an architecture, and says so."""
    if "normalization=batch" in case[0] and name in ("gradient_c", "log_jacobian_m2"):
        return True
    if name == "log_jacobian_m2" and (case[2], case[5]) == ("orthogonal_kernel", IMAGES):
        return True  # slopes that differ over positions beside weights that mix them
    return name == "log_jacobian_m2" and "pre_activation" in case[0]  # slopes of a stream at different layers are correlated


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case[:3])) + "-" + case[5].split(",")[0][6:])
def test_networks_follow_theory(case, tmp_path):
    """Means over networks of width 1000 (300 where every weight is drawn) lie within BOUND standard errors of the file's theory, and
    2 depth/width besides."""
    width = 300 if case[2] == "orthogonal_kernel" else WIDTH
    sweep = SWEEP.format(*case, depth=DEPTH, width=width, replicas=REPLICAS)
    scores, allowed = {}, 2 * DEPTH / width
    with h5py.File(run(tmp_path, sweep, "--quiet", ranks=2, timeout=7200)) as file:
        assert (file["run/status"][()] == DONE).all()
        assert not file["theory/status"][()].item() & 1 << 1  # outside_theory
        for name in (*LAYERS, "log_jacobian_m1", "log_jacobian_m2", *SPACE):
            sample = file["probe"][name][()].reshape(REPLICAS, -1)
            theory = file["theory"][name][()].ravel()
            if unknown(case, name):
                assert np.isnan(theory).all()
                continue
            known = ~np.isnan(theory)
            assert known.any() and np.array_equal(np.isnan(sample).any(0), ~known), name  # zero signals have no correlation
            sample, theory = sample[:, known], theory[known]
            if name.startswith("log_"):
                sample, theory = np.exp(sample), np.exp(theory)
            value, error = sample.mean(0), sample.std(0, ddof=1) / math.sqrt(REPLICAS) + 1e-12
            scores[name] = (np.maximum(np.abs(value - theory) - allowed * np.abs(theory), 0) / error).max()
            z = (value - theory) / error
            print(f"{name:22} {len(z):4} values, z from {z.min():+.2f} to {z.max():+.2f}, rms {np.sqrt(np.mean(z * z)):.2f}")
    assert all(value <= BOUND for value in scores.values()), scores


# s_1 of a layer: independent entries -1; C rows of a Haar matrix of taps x C columns 1/taps - 1; a centre tap, and a kernel that keeps norms, 0
@pytest.mark.parametrize("architecture, initializer, s_1", [(RING, "gaussian", -1), (RING, "orthogonal", 1 / 3 - 1), ("convolutional(side=4)", "orthogonal", 1 / 9 - 1),
                                                            (RING, "delta_orthogonal", 0), (RING, "orthogonal_kernel", 0)])
def test_the_jacobian_of_linear_convolutions(architecture, initializer, s_1, tmp_path):
    """m_2/m_1^2 = 1 - L s_1 at 8 layers of 200 channels, within 3 standard errors of some 1 % and 3/200 besides; -1 and 1/9 - 1 differ by 10 %."""
    case = (architecture, "linear", initializer, 1.0, 0.0, "kind: single")
    with h5py.File(run(tmp_path, SWEEP.format(*case, depth=8, width=200, replicas=40).replace("[forward, gradient, jacobian, spatial]", "[jacobian]"),
                       "--quiet", ranks=2)) as file:
        m1, m2 = (np.exp(file[f"probe/log_jacobian_m{i}"][()].ravel()) for i in (1, 2))
        assert file["theory/log_jacobian_m2"][()].item() == pytest.approx(math.log(1 - 8 * s_1), abs=1e-12)
    value, error = m2.mean() / m1.mean() ** 2, m2.std(ddof=1) / math.sqrt(40)
    print(f"{value:.4f} +- {error:.4f}, theory {1 - 8 * s_1:.4f}")
    assert abs(value - (1 - 8 * s_1)) <= 3 * error + 3 / 200 * value
