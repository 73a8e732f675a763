# SPDX-License-Identifier: BSD-3-Clause
"""End to end: the Jacobians of real networks against the theory of their spectra (Pennington, Schoenholz & Ganguli 2017)."""
import json
import math

import h5py
import numpy as np
import pytest
from conftest import LONG, eoc, run

DEPTH = 10

SWEEP = """
seed: 7
grid: {{depth: {depth}, width: {width}, activation: {activation}, initializer: {initializer},
        weight_variance: {weight_variance}, bias_variance: {bias_variance}, replica: {replicas}}}
probe: {{inputs: {{kind: single, variance: fixed_point}}, statistics: [{statistics}], layers: every {depth}}}
"""

# tanh: sigma_w^2 at which chi_1 = 1 for sigma_b^2 = 0.05, Schoenholz et al. 2017; q* = 0.5700459573 there.
# hard_tanh: p = P(|z| < 1) = 0.857977 at its critical point for sigma_b^2 = 0.05 (sigma_w^2 = 1/p).
CRITICAL = {"linear": (1, 0), "relu": (2, 0), "tanh": (1.76095, 0.05), "hard_tanh": (1.16554, 0.05)}

# Variance of the squared singular values by L, relative to the mean squared: mu_2/mu_1^2 - 1 - s_1, s_1 = -1 gaussian, 0
# orthogonal (Pennington et al. 2017, eq. 18 and table 1): linear 1 and 0, relu 2 and 1; mu_2/mu_1^2 of tanh at this point is
# 1.34226, of hard_tanh 1/p = 1.16554 (both by quadrature at 30 digits).
GROWTH = {("linear", "gaussian"): 1.0, ("relu", "gaussian"): 2.0, ("relu", "orthogonal"): 1.0, ("tanh", "gaussian"): 1.34226,
          ("tanh", "orthogonal"): 0.34226, ("hard_tanh", "gaussian"): 1.16554, ("hard_tanh", "orthogonal"): 0.16554}


def variance_of(path):
    """mean m2/(mean m1)^2 - 1 over the replicas, and its standard error by the jackknife."""
    with h5py.File(path) as file:
        m1, m2 = (np.exp(file[f"probe/log_jacobian_{name}"][()].ravel()) for name in ("m1", "m2"))
    n = len(m1)
    value = m2.mean() / m1.mean()**2 - 1
    without = ((m2.sum() - m2) / (n - 1)) / ((m1.sum() - m1) / (n - 1))**2 - 1
    return value, math.sqrt((n - 1) / n * ((without - without.mean())**2).sum())


@pytest.mark.parametrize("activation, initializer", GROWTH)
def test_variance_of_squared_singular_values(activation, initializer, tmp_path):
    """L (mu_2/mu_1^2 - 1 - s_1) at depth 10, from the fixed point: widths 1000 and 4000, extrapolated in 1/width, within 3
    standard errors, which are 3 % or less."""
    weight_variance, bias_variance = CRITICAL[activation]
    widths, values, errors = (1000, 4000), [], []
    for width, replicas in zip(widths, (4000, 1000) if LONG else (1000, 500)):
        sweep = SWEEP.format(depth=DEPTH, width=width, activation=activation, initializer=initializer, statistics="jacobian",
                             weight_variance=weight_variance, bias_variance=bias_variance, replicas=replicas)
        sweep = sweep.replace("statistics: [jacobian]", "statistics: [jacobian], jacobian_probes: 4")
        value, error = variance_of(run(tmp_path, sweep, "--quiet", name=f"w{width}", ranks=2, timeout=900))
        values.append(value)
        errors.append(error)
    extrapolated = (values[1] * widths[1] - values[0] * widths[0]) / (widths[1] - widths[0])
    error = math.hypot(errors[1] * widths[1], errors[0] * widths[0]) / (widths[1] - widths[0])
    expected = DEPTH * GROWTH[activation, initializer]
    print(f"{activation} {initializer}: {values[0]:.4f} {values[1]:.4f} extrapolated {extrapolated:.4f} +- {error:.4f},"
          f" theory {expected:.4f}")
    assert error < 0.03 * expected
    assert abs(extrapolated - expected) < 3 * error


def test_linear_orthogonal_is_an_isometry(tmp_path):
    """All singular values are 1 to 1e-12, at depth 1, 10 and 200."""
    sweep = SWEEP.format(depth="[1, 10, 200]", width=120, activation="linear", initializer="orthogonal", weight_variance=1,
                         bias_variance=0.05, replicas=2, statistics="spectrum").replace("every [1, 10, 200]", "all")
    with h5py.File(run(tmp_path, sweep, "--quiet", name="isometry")) as file:
        values = file["probe/log_singular_values"][()]
    assert values.shape[-1] == 120 and np.abs(np.exp(values) - 1).max() < 1e-12


def test_linear_gaussian_has_fuss_catalan_moments(tmp_path):
    """E[s^(2k)] of a product of L gaussian matrices tends to the Fuss-Catalan number binom((L + 1) k, k)/(L k + 1) (Penson &
    Zyczkowski 2011); widths 100 and 200 extrapolated in 1/width, 4 standard errors."""
    for depth in (1, 2, 3):
        moments = {}
        for width, replicas in ((100, 200), (200, 100)):
            sweep = SWEEP.format(depth=depth, width=width, activation="linear", initializer="gaussian", weight_variance=1,
                                 bias_variance=0, replicas=replicas, statistics="spectrum")
            with h5py.File(run(tmp_path, sweep, "--quiet", name=f"moments-{depth}-{width}", ranks=2)) as file:
                squares = np.exp(2 * file["probe/log_singular_values"][()].reshape(replicas, width))
            moments[width] = np.stack([(squares**k).mean(axis=1) for k in (1, 2, 3)])
        for k in (1, 2, 3):
            small, large = moments[100][k - 1], moments[200][k - 1]
            value = 2 * large.mean() - small.mean()
            error = math.hypot(2 * large.std(ddof=1) / math.sqrt(len(large)), small.std(ddof=1) / math.sqrt(len(small)))
            exact = math.comb((depth + 1) * k, k) / (depth * k + 1)
            assert error < 0.1 * exact and abs(value - exact) < 4 * error, (depth, k, value, exact, error)


def limiting_cdf(tmp_path, activation, initializer, weight_variance, bias_variance, depth):
    done = eoc("theory", "--activation", activation, "--weight-variance", weight_variance, "--bias-variance", bias_variance,
               "--initializer", initializer, "--depth", depth, "--spectrum", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["spectrum"]


@pytest.mark.parametrize("activation, initializer, depth, replicas", [
    ("linear", "gaussian", 4, 1), ("relu", "gaussian", 4, 4), ("relu", "orthogonal", 10, 2),
    ("hard_tanh", "orthogonal", 10, 2), ("tanh", "gaussian", 10, 2), ("tanh", "orthogonal", 10, 8)])
def test_spectrum_tends_to_its_limit(activation, initializer, depth, replicas, tmp_path):
    """The distribution function of the squared singular values, averaged over networks of width 1000, is within 0.01 of the
    limiting law's everywhere. Eigenvalues are rigid, so no p-value is asked for; what moves the whole spectrum from network to
    network is the length q of its signals, most where the spectrum is narrow. The zeros of relu and hard_tanh are those of the layer with the
    most dead units: a half and a few standard deviations, 1/(2 sqrt(N)), of a binomial number."""
    weight_variance, bias_variance = CRITICAL[activation]
    law = limiting_cdf(tmp_path, activation, initializer, weight_variance, bias_variance, depth)
    replicas, width = (4 * replicas if LONG else replicas), 1000
    sweep = SWEEP.format(depth=depth, width=width, activation=activation, initializer=initializer, statistics="spectrum",
                         weight_variance=weight_variance, bias_variance=bias_variance, replicas=replicas)
    with h5py.File(run(tmp_path, sweep, "--quiet", name="spectrum", ranks=2, timeout=900)) as file:
        values = np.sort(2 * file["probe/log_singular_values"][()].ravel())
    assert values.size == replicas * width
    at, cdf = (np.array([math.nan if x is None else x for x in law[name]]) for name in ("log_lambda", "cdf"))
    known = np.isfinite(cdf)
    for atom in law["atoms"]:  # a jump of the law: its two sides are not compared at the very place
        known &= np.abs(at - atom["log_lambda"]) > 1e-6
    empirical = np.searchsorted(values, at[known], side="right") / values.size
    distance = np.abs(empirical - cdf[known]).max()
    print(f"{activation} {initializer} depth {depth}: {known.sum()} places, distance {distance:.4f}")
    assert known.sum() > 100 and distance <= 0.01
    zeros = np.isneginf(values).mean()
    assert zeros == pytest.approx(law["mass_at_zero"], abs=2.5 / math.sqrt(width) if law["mass_at_zero"] else 0)
