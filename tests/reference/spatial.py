#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes spatial.csv: the covariance map of small convolutional networks, written out over all pairs of sites.

Nothing of eoc in it. A site is an input and a position; S is one matrix over all sites, the map

    S'(i, j) = weight_variance sum_t share_t E[phi(u_i+t) phi(u_j+t)] + bias_variance

entry by entry, and the same for gradients, dE/dz at different positions included (they come out as zero). A correlation
with a site of no variance is nan, as 0/0 is; its phi(0) has one. Expectations: of tanh, gelu and sigmoid by the trapezoid rule in two dimensions, whose error for functions without poles within d of the real line
falls as exp(-2 pi d/step) (Trefethen & Weideman 2014; here beyond rounding); of hard_tanh the inner one in closed form, the
outer by adaptive quadrature between the kinks (SciPy). Good to 1e-12, hard_tanh 1e-11.
"""
import csv
import itertools
import pathlib

import numpy as np
from scipy.integrate import quad
from scipy.special import expit, ndtr

Z = np.arange(-100, 101) * 0.09
W = np.exp(-Z * Z / 2)
W /= W.sum()
NORMAL = lambda x: np.exp(-x * x / 2) / np.sqrt(2 * np.pi)
SMOOTH = {
    "tanh": (np.tanh, lambda z: 1 / np.cosh(z) ** 2),
    "gelu": (lambda z: z * ndtr(z), lambda z: ndtr(z) + z * NORMAL(z)),
    "sigmoid": (expit, lambda z: expit(z) * expit(-z)),
}


def pair_smooth(kind, qa, qb, s):
    phi, dphi = SMOOTH[kind]
    u = np.sqrt(qa) * Z
    slope = s / qa if qa > 0 else 0.0
    v = slope * u[:, None] + np.sqrt(max(qb - slope * s, 0.0)) * Z[None, :]
    return W @ (phi(u)[:, None] * phi(v)) @ W, W @ (dphi(u)[:, None] * dphi(v)) @ W


def clipped(mean, sd):
    """E clip(v, -1, 1), and P(-1 < v < 1), of v ~ N(mean, sd^2)"""
    if sd == 0:
        return np.clip(mean, -1, 1), float(-1 < mean < 1)
    a, b = (-1 - mean) / sd, (1 - mean) / sd
    inside = ndtr(b) - ndtr(a)
    return -ndtr(a) + ndtr(-b) + mean * inside - sd * (NORMAL(b) - NORMAL(a)), inside


def pair_hard_tanh(qa, qb, s):
    sd, slope = np.sqrt(max(qb - s * s / qa, 0.0)), s / qa
    breaks = sorted({-9.0, 9.0, *(x for x in (-1 / np.sqrt(qa), 1 / np.sqrt(qa)) if abs(x) < 9)})
    out = [0.0, 0.0]
    for lo, hi in itertools.pairwise(breaks):
        inside = abs((lo + hi) / 2) * np.sqrt(qa) < 1
        f = lambda z: np.clip(np.sqrt(qa) * z, -1, 1) * clipped(slope * np.sqrt(qa) * z, sd)[0] * NORMAL(z)
        g = lambda z: clipped(slope * np.sqrt(qa) * z, sd)[1] * NORMAL(z)
        out[0] += quad(f, lo, hi, epsabs=1e-14, epsrel=1e-13, limit=400)[0]
        out[1] += quad(g, lo, hi, epsabs=1e-14, epsrel=1e-13, limit=400)[0] if inside else 0.0
    return out


def pair(kind, qa, qb, s):
    return pair_hard_tanh(qa, qb, s) if kind == "hard_tanh" else pair_smooth(kind, qa, qb, s)


def positions_of(case):
    return list(itertools.product(range(case["side"]), repeat=case["dimensions"]))


def sees(case, p, t):
    q = [x + d for x, d in zip(p, t)]
    if case["circular"]:
        return tuple(x % case["side"] for x in q)
    return tuple(q) if all(0 <= x < case["side"] for x in q) else None


def shares_of(case):
    """taps along the dimensions, and the products of their shares"""
    one = case["shares"]
    reach = range(-(len(one) // 2), len(one) // 2 + 1)
    return [(t, np.prod([one[x + len(one) // 2] for x in t])) for t in itertools.product(reach, repeat=case["dimensions"])]


def averaged(case, f):
    """sum_t share_t f(i + t, j + t), entry by entry"""
    where = positions_of(case)
    number = {p: n for n, p in enumerate(where)}
    n, inputs = len(where), len(f) // len(where)
    out = np.zeros_like(f)
    for t, share in shares_of(case):
        to = [sees(case, p, t) for p in where]
        for (a, p), (b, q) in itertools.product(itertools.product(range(inputs), range(n)), repeat=2):
            if to[p] is not None and to[q] is not None:
                out[a * n + p, b * n + q] += share * f[a * n + number[to[p]], b * n + number[to[q]]]
    return out


def features(case, s):
    h, slope = np.zeros_like(s), np.zeros_like(s)
    for i, j in itertools.combinations_with_replacement(range(len(s)), 2):
        h[i, j], slope[i, j] = pair(case["activation"], s[i, i], s[j, j], s[i, j])
        h[j, i], slope[j, i] = h[i, j], slope[i, j]
    return h, slope


def start(case):
    """the second moments of blocks of numbers that are written down, not drawn"""
    n = len(positions_of(case))
    x = np.array([[[np.sin(1 + 2.3 * a + 1.7 * p * (1 + 0.13 * p) + 0.9 * i * i) * (1 + 0.4 * np.cos(p + a)) for i in range(5)]
                   for p in range(n)] for a in range(2)]).reshape(2 * n, 5)
    x[case.get("dark", [])] = 0.0
    return x @ x.T / 5


def run(name, case, write):
    n = len(positions_of(case))
    h = start(case)
    for i in range(2 * n):
        for j in range(2 * n):
            write(name, 0, "input", i, j, h[i, j])
    layers = []
    for _ in range(case["depth"]):
        s = case["weight_variance"] * averaged(case, h) + case["bias_variance"]
        before, (h, slope) = h, features(case, s)
        layers.append((s, before, slope))
    g = np.zeros_like(h)
    for layer in range(case["depth"], 0, -1):
        s, before, slope = layers[layer - 1]
        same = np.array([[i % n == j % n for j in range(2 * n)] for i in range(2 * n)])
        g = slope * (same if layer == case["depth"] else case["weight_variance"] * averaged(case, g))
        assert np.all(g[~same] == 0)  # shares are even: the transpose of averaging is averaging
        q = np.diag(s)
        write(name, layer, "log_q", 0, 0, np.log(q.mean()))
        write(name, layer, "c", 0, 0, np.trace(s[:n, n:]) / np.sqrt(q[:n].sum() * q[n:].sum()))
        write(name, layer, "log_gradient_q", 0, 0, np.log(np.trace(g) / (2 * n)))
        write(name, layer, "gradient_c", 0, 0, np.trace(g[:n, n:]) / np.sqrt(np.trace(g[:n, :n]) * np.trace(g[n:, n:])))
        total, where = 0.0, positions_of(case)
        number = {p: k for k, p in enumerate(where)}
        for t, _ in shares_of(case):
            to = [sees(case, p, t) for p in where]
            for a, b, p in itertools.product(range(2), range(2), range(n)):
                if to[p] is not None:
                    total += g[a * n + p, b * n + p] * before[a * n + number[to[p]], b * n + number[to[p]]]
        write(name, layer, "log_weight_gradient_q", 0, 0, np.log(total / len(shares_of(case))))
        wave = np.exp(-2j * np.pi * np.array([[np.dot(k, p) for p in where] for k in where]) / case["side"])
        power = sum(np.einsum("kp,pq,kq->k", wave, s[a:a + n, a:a + n], wave.conj()).real for a in (0, n))
        inside = lambda p, d: tuple(x + y for x, y in zip(p, d)) in number if not case["circular"] else True
        for k, at in enumerate(where):
            write(name, layer, "position_q", k, 0, (q[k] + q[n + k]) / 2 / q.mean())
            write(name, layer, "position_c", k, 0, s[k, n + k] / np.sqrt(q[k] * q[n + k]))
            write(name, layer, "spatial_power", k, 0, power[k] / power.sum())
            ends = [(number[p], number[tuple((x + y) % case["side"] for x, y in zip(p, at))]) for p in where if inside(p, at)]
            write(name, layer, "spatial_correlation", k, 0,
                  np.mean([s[a + p, a + r] for a in (0, n) for p, r in ends]) / q.mean())


CASES = {
    "ring": dict(activation="tanh", weight_variance=1.7, bias_variance=0.1, side=5, dimensions=1, circular=True,
                 shares=[0.3, 0.4, 0.3], depth=4),
    "line": dict(activation="tanh", weight_variance=1.7, bias_variance=0.1, side=5, dimensions=1, circular=False,
                 shares=[1 / 3, 1 / 3, 1 / 3], depth=4),
    "torus": dict(activation="gelu", weight_variance=1.9, bias_variance=0.05, side=3, dimensions=2, circular=True,
                  shares=[0.25, 0.5, 0.25], depth=3),
    "square": dict(activation="gelu", weight_variance=1.9, bias_variance=0.05, side=3, dimensions=2, circular=False,
                   shares=[0.25, 0.5, 0.25], depth=3),
    "kinked": dict(activation="hard_tanh", weight_variance=1.5, bias_variance=0.1, side=4, dimensions=1, circular=True,
                   shares=[0.25, 0.5, 0.25], depth=3),
    # Layer 1: input 0 is zero at positions 1 and 2, input 1 at 1.
    "dark": dict(activation="sigmoid", weight_variance=2.5, bias_variance=0.0, side=6, dimensions=1, circular=True,
                 shares=[0.3, 0.4, 0.3], depth=3, dark=[0, 1, 2, 3, 6, 7, 8]),
}

if __name__ == "__main__":
    np.seterr(invalid="ignore")  # 0/0
    with open(pathlib.Path(__file__).with_name("spatial.csv"), "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["case", "layer", "quantity", "index", "other", "value"])
        for name, case in CASES.items():
            run(name, case, lambda *row: writer.writerow([*row[:-1], f"{row[-1]:.15g}"]))
