#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A small result file as eoc writes it, for the tests of eoc-plot.

Theory is the mean field of tanh by Gauss-Hermite quadrature; the probes are theory plus noise of about the right
size, so that a picture can be judged by eye: the transition for bias variance 0.05 is at weight variance 1.76095.
Run as a program it writes one file: plot_sample.py FILE [kind], the kinds being those of SAMPLES.
"""
import sys

import h5py
import numpy as np

NAME_AXES = ("architecture", "activation", "initializer")
POINT_AXES = NAME_AXES + ("width", "depth", "weight_variance", "bias_variance")
GRID_AXES = POINT_AXES + ("replica",)
DONE, DIVERGED = 2, 3

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(60)
WEIGHTS = WEIGHTS / WEIGHTS.sum()
PAIR_NODES, PAIR_WEIGHTS = np.polynomial.hermite_e.hermegauss(40)
PAIR_WEIGHTS = np.outer(PAIR_WEIGHTS, PAIR_WEIGHTS) / PAIR_WEIGHTS.sum() ** 2


def slope(z):
    return 1.0 / np.cosh(z) ** 2


def mean(function, q):
    """E f(sqrt(q) z) for every q."""
    return function(np.sqrt(q)[..., np.newaxis] * NODES) @ WEIGHTS


def pair_mean(function, q, c):
    """E f(u1) f(u2) for two normals of variance q and correlation c."""
    root = np.sqrt(q)[..., np.newaxis, np.newaxis]
    c = c[..., np.newaxis, np.newaxis]
    first, second = PAIR_NODES[:, np.newaxis], PAIR_NODES[np.newaxis, :]
    other = c * first + np.sqrt(np.maximum(1 - c**2, 0)) * second
    return np.sum(PAIR_WEIGHTS * function(root * first) * function(root * other), axis=(-2, -1))


def fixed_point(weight, bias):
    q = np.ones_like(weight)
    for _ in range(400):
        q = weight * mean(lambda z: np.tanh(z) ** 2, q) + bias
    return q


def fixed_correlation(weight, bias, q):
    """The stable correlation below 1 in the chaotic phase, by bisection of the map; 1 in the ordered one."""
    low, high = np.zeros_like(q), np.full_like(q, 1 - 1e-6)
    for _ in range(40):
        middle = 0.5 * (low + high)
        above = (weight * pair_mean(np.tanh, q, middle) + bias) / q > middle
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return low


def theory_point(weight, bias):
    """q*, chi_1, c*, xi_c over a grid of variances."""
    q = fixed_point(weight, bias)
    chi = weight * mean(lambda z: slope(z) ** 2, q)
    ordered = chi <= 1
    c = np.where(ordered, 1.0, fixed_correlation(weight, bias, q))
    chi_c = np.where(ordered, chi, weight * pair_mean(slope, q, c))
    return {"q_star": q, "chi_1": chi, "c_star": c, "xi_c": -1 / np.log(chi_c)}


def theory_forward(weight, bias, layers, variance=1.0, correlation=0.6):
    """q and c at layers 1..layers, over a grid of variances."""
    q = weight * variance + bias
    c = (weight * variance * correlation + bias) / q
    qs, cs = [q], [c]
    for _ in range(layers - 1):
        following = weight * mean(lambda z: np.tanh(z) ** 2, q) + bias
        c = np.minimum((weight * pair_mean(np.tanh, q, c) + bias) / following, 1 - 1e-14)
        q = following
        qs.append(q)
        cs.append(c)
    return np.stack(qs, axis=-1), np.stack(cs, axis=-1)


def theory_gradient(weight, q):
    """log of the mean square gradient at every layer of a network that ends with the last q."""
    squares = mean(lambda z: slope(z) ** 2, q)
    steps = np.log(np.concatenate([weight[..., np.newaxis] * squares[..., :-1], squares[..., -1:]], axis=-1))
    return np.cumsum(steps[..., ::-1], axis=-1)[..., ::-1]


def write_axis(file, name, values):
    kind = h5py.string_dtype("utf-8") if name in NAME_AXES else None
    scale = file.create_dataset(name, data=np.asarray(values, dtype=object) if kind else values, dtype=kind)
    scale.make_scale(name)


def write_variable(file, path, dims, values, fill=np.nan):
    data = file.create_dataset(path, data=values)
    data.attrs["units"] = "1"
    data.attrs["long_name"] = path.split("/")[1].replace("_", " ")
    if np.issubdtype(values.dtype, np.floating):
        data.attrs["_FillValue"] = fill
    for i, axis in enumerate(dims):
        data.dims[i].attach_scale(file[axis])


def probe_noise(random, shape, width, rate):
    """Noise that builds up from layer to layer."""
    return rate / np.sqrt(width) * np.cumsum(random.standard_normal(shape), axis=-1)


def cells(axes, weight, bias):
    """Theory and forward quantities at the deepest network, over (weight, bias)."""
    w, b = np.meshgrid(weight, bias, indexing="ij")
    q, c = theory_forward(w, b, int(max(axes["depth"])))
    return w, q, c, theory_point(w, b)


def make(path, activation=("tanh",), initializer=("gaussian", "orthogonal"), width=(300, 1000), depth=(50,),
         weight_variance=np.linspace(0.5, 4.0, 36), bias_variance=(0.05,), replicas=4, layers=None,
         pending=0.0, diverged=(), theory=True, probe=True, title="tanh phase diagram", seed=0):
    """Write a file; `pending` is the fraction of units not begun, `diverged` indices of weight variances."""
    random = np.random.default_rng(seed)
    axes = {"architecture": ["fully_connected"], "activation": list(activation), "initializer": list(initializer),
            "width": np.array(width, np.int32), "depth": np.array(depth, np.int32),
            "weight_variance": np.round(np.asarray(weight_variance, float), 12),
            "bias_variance": np.array(bias_variance, float), "replica": np.arange(replicas, dtype=np.int32)}
    kept = np.arange(1, max(depth) + 1) if layers is None else np.unique(np.concatenate([layers, [1], depth]))
    point = tuple(len(axes[axis]) for axis in POINT_AXES)
    grid = point + (replicas,)
    w, q, c, numbers = cells(axes, axes["weight_variance"], axes["bias_variance"])
    names = ("log_q", "c", "one_minus_c", "log_gradient_q")
    theories = {name: np.full(point + (len(kept),), np.nan) for name in names}
    probes = {name: np.full(grid + (len(kept),), np.nan) for name in names}
    for i, length in enumerate(axes["depth"]):
        gradient = theory_gradient(w, q[..., :length])
        below = kept <= length
        at = kept[below] - 1
        for name, full in (("log_q", np.log(q[..., :length])), ("c", c[..., :length]),
                           ("one_minus_c", 1 - c[..., :length]), ("log_gradient_q", gradient)):
            # The axes before depth, then the variances and layers, which the right-hand side has.
            theories[name][:, :, :, :, i][..., below] = full[..., at]
        for j, units in enumerate(axes["width"]):
            shape = point[:3] + w.shape + (replicas, length)
            forward = 1 - c[..., np.newaxis, :length]
            decorrelation = forward * np.exp(probe_noise(random, shape, units, 0.25)) / (
                1 + forward * np.expm1(probe_noise(random, shape, units, 0.25)))
            values = {"log_q": np.log(q[..., np.newaxis, :length]) + random.standard_normal(shape) / np.sqrt(units),
                      "one_minus_c": np.minimum(decorrelation, 1.2),
                      "log_gradient_q": gradient[..., np.newaxis, :] + probe_noise(random, shape, units, 2.0)[..., ::-1]}
            values["c"] = 1 - values["one_minus_c"]
            for name, full in values.items():
                probes[name][:, :, :, j, i][..., below] = full[..., at]
    status = np.full(grid, DONE, np.int8)
    status[random.random(grid) < pending] = 0
    if pending:
        status[..., -3:, :, :] = 0  # whole columns not begun
    for index in diverged:
        status[..., index, :, :] = DIVERGED
    for values in probes.values():
        values[status != DONE] = np.nan
    with h5py.File(path, "w", track_order=True) as file:
        file.attrs["schema_version"] = "1.0"
        file.attrs["title"] = title
        for axis, values in axes.items():
            write_axis(file, axis, values)
        write_axis(file, "layer", kept.astype(np.int32))
        write_variable(file, "run/status", GRID_AXES, status)
        effective = np.broadcast_to(axes["weight_variance"][:, np.newaxis], point).copy()
        write_variable(file, "run/effective_weight_variance", POINT_AXES, effective)
        if theory:
            for name, values in numbers.items():
                write_variable(file, f"theory/{name}", POINT_AXES, np.broadcast_to(values, point).copy())
            for name, values in theories.items():
                write_variable(file, f"theory/{name}", POINT_AXES + ("layer",), values)
        if probe:
            for name, values in probes.items():
                write_variable(file, f"probe/{name}", GRID_AXES + ("layer",), values)
            moments = probes["log_gradient_q"][..., 0]
            write_variable(file, "probe/log_jacobian_m1", GRID_AXES, moments)
    return path


SAMPLES = {
    "layer": {},
    "depth": dict(depth=(10, 20, 40, 60, 80, 100, 150, 200), width=(300,), replicas=2),
    "bias": dict(depth=(30,), width=(300,), replicas=2, initializer=("gaussian",),
                 bias_variance=np.linspace(0, 0.6, 13) ** 2, weight_variance=np.linspace(0.5, 4, 21)),
    "partial": dict(pending=0.75, diverged=(30, 31), replicas=2),
    "single": dict(replicas=1),
    "thinned": dict(depth=(300,), width=(300,), layers=np.unique(np.round(np.geomspace(1, 300, 30)).astype(int))),
}

if __name__ == "__main__":
    make(sys.argv[1], **SAMPLES[sys.argv[2] if len(sys.argv) > 2 else "layer"])
