#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes singular_values.csv: quantiles of log squared singular values of J = prod D W by LAPACK, nothing of eoc in it.

D = diag(phi'(sqrt(q) z)) with z the N quantiles of a standard normal in random order (the law of D as exactly as N values
have it), W Haar orthogonal or iid normal. Quantiles pooled over the draws; they are good to about 1/N in probability.
"""
import numpy as np
from scipy.special import erf, expit, ndtri

N, DRAWS = 500, 6
LEVELS = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.97)
SELU = 1.0507009873554805, 1.6732632423543772
SLOPES = {
    "tanh": lambda u: 1 / np.cosh(u) ** 2,
    "erf": lambda u: 2 / np.sqrt(np.pi) * np.exp(-u * u),
    "gelu": lambda u: (1 + erf(u / np.sqrt(2))) / 2 + u * np.exp(-u * u / 2) / np.sqrt(2 * np.pi),
    "silu": lambda u: expit(u) * (1 + u * expit(-u)),
    "softplus": expit,
    "sin": np.cos,
    "selu": lambda u: SELU[0] * np.where(u > 0, 1, SELU[1] * np.exp(np.minimum(u, 0))),
    "elu(alpha=0.1)": lambda u: np.where(u > 0, 1, 0.1 * np.exp(np.minimum(u, 0))),
    "hard_tanh": lambda u: (np.abs(u) < 1) * 1.0,
    "relu": lambda u: (u > 0) * 1.0,
    "leaky_relu(slope=0.05)": lambda u: np.where(u > 0, 1, 0.05),
}
CASES = [("tanh", 0.57, 5, 0), ("tanh", 3, 10, 0), ("tanh", 3, 2, -1), ("erf", 1, 6, 0), ("gelu", 1, 3, 0), ("gelu", 0.5, 4, -1),
         ("silu", 2, 3, 0), ("softplus", 1, 3, 0), ("softplus", 4, 10, 0), ("sin", 1, 3, 0), ("sin", 4, 2, -1), ("selu", 1, 4, 0),
         ("selu", 0.57, 2, 0), ("elu(alpha=0.1)", 0.5, 1, -1), ("elu(alpha=0.1)", 0.5, 2, 0), ("hard_tanh", 0.6, 3, 0),
         ("hard_tanh", 0.6, 2, -1), ("relu", 1, 1, -1), ("leaky_relu(slope=0.05)", 1, 1, -1),
         ("leaky_relu(slope=0.05)", 1, 2, -1), ("leaky_relu(slope=0.05)", 1, 3, 0), ("tanh", 0.57, 1, 0), ("gelu", 1, 1, 0)]


def weights(rng, s_1):
    w = rng.standard_normal((N, N))
    if s_1 == -1:
        return w / np.sqrt(N)
    q, r = np.linalg.qr(w)
    return q * np.sign(np.diag(r))


def log_lambda(rng, slopes, q, depth, s_1):
    z = ndtri((np.arange(N) + 0.5) / N)
    product = np.eye(N)
    for _ in range(depth):
        product = slopes(np.sqrt(q) * rng.permutation(z))[:, None] * (weights(rng, s_1) @ product)
    s = np.linalg.svd(product, compute_uv=False)
    return 2 * np.log(np.maximum(s, 1e-300))


def main():
    rng = np.random.default_rng(20240501)
    with open("singular_values.csv", "w", encoding="utf-8") as out:
        out.write("activation,sigma_w2,q_star,depth,s_1,level,log_lambda\n")
        for name, q, depth, s_1 in CASES:
            pooled = np.sort(np.concatenate([log_lambda(rng, SLOPES[name], q, depth, s_1) for _ in range(DRAWS)]))
            for level in LEVELS:
                value = np.quantile(pooled, level)
                if value > pooled[-1] - 50:  # below that LAPACK has rounding, or an exact zero
                    out.write(f"{name},1,{q},{depth},{s_1},{level},{value:.6f}\n")


if __name__ == "__main__":
    main()
