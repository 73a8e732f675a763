#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes pairs.csv: Gaussian expectations of two inputs of one variance, by mpmath with 30 digits.

For u1, u2 of variance q and correlation 1 - one_minus_c: one_minus_feature_c = 1 - E[phi(u1) phi(u2)]/E[phi^2] and
gradient_c = E[phi'(u1) phi'(u2)]/E[phi'^2]. Gauss-Legendre panels of 16 nodes over half the sum m and half the difference
t of the inputs, cut where m + t or m - t is a kink and no wider than 1.5 standard deviations or 1.5; some ten minutes of one core.
"""
import sys
from multiprocessing import Pool

from mpmath import mp, mpf

mp.dps = 30
REACH = 11
SELU = (mpf("1.6732632423543772848170429916717"), mpf("1.0507009873554804934193349852946"))


def sigmoid(u):
    return 1 / (1 + mp.exp(-u))


def elu(alpha, scale):
    return (lambda u: scale * (u if u > 0 else alpha * mp.expm1(u)), lambda u: scale * (1 if u > 0 else alpha * mp.exp(u)), [0])


KINDS = {  # phi, phi', kinks
    "tanh": (mp.tanh, lambda u: mp.sech(u) ** 2, []),
    "sigmoid": (sigmoid, lambda u: sigmoid(u) * sigmoid(-u), []),
    "gelu": (lambda u: u * mp.ncdf(u), lambda u: mp.ncdf(u) + u * mp.npdf(u), []),
    "silu": (lambda u: u * sigmoid(u), lambda u: sigmoid(u) * (1 + u * sigmoid(-u)), []),
    "softplus": (lambda u: mp.log1p(mp.exp(u)), sigmoid, []),
    "elu": (*elu(mpf(1), mpf(1)),),
    "selu": (*elu(*SELU),),
    "hard_tanh": (lambda u: max(mpf(-1), min(mpf(1), u)), lambda u: mpf(abs(u) < 1), [-1, 1]),
}
CASES = [(name, q, d) for name in KINDS for q, d in
         [("0.05", "0.3"), ("1", "1e-9"), ("2", "0.4"), ("8", "0.003"), ("20", "1.2"), ("40", "0.05")]]
CASES += [(name, q, d) for name in KINDS for q, d in [("300", "0.01"), ("60", "0.9")]]


def gauss_legendre(n=16):
    """Nodes and weights on [-1, 1]: Newton's method on the polynomial of degree n."""
    rule = []
    for i in range(n):
        x = mp.cos(mp.pi * (i + mpf(3) / 4) / (n + mpf(1) / 2))
        for _ in range(8):
            before, here = mpf(1), x
            for k in range(2, n + 1):
                before, here = here, ((2 * k - 1) * x * here - (k - 1) * before) / k
            slope = n * (x * here - before) / (x * x - 1)
            x -= here / slope
        rule.append((x, 2 / ((1 - x * x) * slope * slope)))
    return rule


RULE = gauss_legendre()


def nodes(ends, width):
    """Nodes and weights over the pieces between ascending ends."""
    for left, right in zip(ends, ends[1:]):
        panels = int(mp.ceil((right - left) / width)) if right > left else 0
        for i in range(panels):
            radius = (right - left) / panels / 2
            centre = left + (2 * i + 1) * radius
            for x, w in RULE:
                yield centre + radius * x, w * radius


def expect(sd, kinks, f):
    ends = [-REACH * sd, *sorted(k for k in kinks if abs(k) < REACH * sd), REACH * sd]
    return sum(w * mp.exp(-(u / sd) ** 2 / 2) * f(u) for u, w in nodes(ends, min(1.5 * sd, mpf(1.5)))) / (
        sd * mp.sqrt(2 * mp.pi))


def pair(case):
    name, q, d = case
    phi, dphi, kinks = KINDS[name]
    q, d = mpf(q), mpf(d)
    sd_m, sd_t = mp.sqrt(q * (2 - d) / 2), mp.sqrt(q * d / 2)
    meetings = sorted({mpf(b - a) / 2 for a in kinks for b in kinks if b > a and (b - a) / 2 < REACH * sd_t})
    apart = both = mpf(0)
    for t, weight in nodes([mpf(0), *meetings, REACH * sd_t], min(1.5 * sd_t, mpf(1.5))):
        reach = sd_m * mp.sqrt(max(mpf(1), REACH**2 - (t / sd_t) ** 2))
        ends = [-reach, *sorted(k + s * t for k in kinks for s in (-1, 1) if abs(k + s * t) < reach), reach]
        weight *= mp.exp(-(t / sd_t) ** 2 / 2) / (mp.pi * sd_m * sd_t)
        for m, w in nodes(ends, min(1.5 * sd_m, mpf(1.5))):
            w *= weight * mp.exp(-(m / sd_m) ** 2 / 2)
            apart += w * (phi(m + t) - phi(m - t)) ** 2 / 2
            both += w * dphi(m + t) * dphi(m - t)
    sd = mp.sqrt(q)
    square = expect(sd, kinks, lambda u: phi(u) ** 2)
    slope = expect(sd, kinks, lambda u: dphi(u) ** 2)
    return f"{name},{case[1]},{case[2]},{mp.nstr(apart / square, 17)},{mp.nstr(both / slope, 17)}"


if __name__ == "__main__":
    with Pool(int(sys.argv[1]) if len(sys.argv) > 1 else None) as pool:
        rows = pool.map(pair, CASES, chunksize=1)
    with open("pairs.csv", "w", encoding="ascii") as file:
        print("activation,q,one_minus_c,one_minus_feature_c,gradient_c", *rows, sep="\n", file=file)
