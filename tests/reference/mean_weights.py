#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes mean_weights.csv: networks whose weights have a mean, drawn and back-propagated by NumPy; nothing of eoc in it.

Medians over DRAWS networks of log q^L/q^1 and log g^1/g^L, |x|^2/N = 1, a random read-out, no biases, of the two
inputs x and -x the one whose first pre-activations have a positive mean.
"""
import numpy as np
from scipy.special import erf, expit

DRAWS, DEPTH = 21, 12
ROOT2 = np.sqrt(2)
KINDS = {
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0) * 1.0),
    "tanh": (np.tanh, lambda z: 1 / np.cosh(np.minimum(np.abs(z), 300)) ** 2),
    "sigmoid": (expit, lambda z: expit(z) * expit(-z)),
    "elu": (lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))), lambda z: np.where(z > 0, 1, np.exp(np.minimum(z, 0)))),
    "gelu": (lambda z: z * (1 + erf(z / ROOT2)) / 2,
             lambda z: (1 + erf(z / ROOT2)) / 2 + z * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)),
    "softplus": (lambda z: np.logaddexp(0, z), expit),
}
WEIGHTS = {"small_uniform": lambda rng, n: rng.uniform(0, 0.01, (n, n)),
           "positive_uniform": lambda rng, n: rng.uniform(0, n**-0.5, (n, n))}


def network(rng, kind, weights, n):
    phi, dphi = KINDS[kind]
    x = rng.standard_normal(n)
    h = x * np.sqrt(n) / np.linalg.norm(x)
    ws, zs = [], []
    for _ in range(DEPTH):
        ws.append(WEIGHTS[weights](rng, n))
        if not zs and np.mean(ws[-1] @ h) < 0:
            h = -h
        zs.append(ws[-1] @ h)
        h = phi(zs[-1])
    g = [dphi(zs[-1]) * rng.standard_normal(n)]
    for w, z in zip(ws[:0:-1], zs[-2::-1]):
        g.append(dphi(z) * (w.T @ g[-1]))
    mean_square = lambda v: np.log(np.maximum(np.mean(v * v), 1e-320))
    return mean_square(zs[-1]) - mean_square(zs[0]), mean_square(g[-1]) - mean_square(g[0])


def main():
    rng = np.random.default_rng(7)
    with open("mean_weights.csv", "w", encoding="utf-8") as out:
        out.write("activation,initializer,width,depth,log_forward_scale,log_gradient_scale\n")
        for kind in KINDS:
            for weights in WEIGHTS:
                for n in (64, 256):
                    forward, gradient = np.median([network(rng, kind, weights, n) for _ in range(DRAWS)], axis=0)
                    out.write(f"{kind},{weights},{n},{DEPTH},{forward:.4f},{gradient:.4f}\n")


if __name__ == "__main__":
    main()
