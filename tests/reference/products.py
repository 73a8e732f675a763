#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes products.csv: logarithms of the singular values of products of integer matrices, by mpmath.

The product is exact, in Python's integers; its singular values come from mpmath's svd_r with as many digits as the
spread of the values needs and 40 more. Zeros are counted by the exact rank. Sums are checked against the determinant.

A factor is made of numbers from one linear congruential generator (Knuth's MMIX), state 0 = seed,
state' = 6364136223846793005 state + 1442695040888963407 mod 2^64, number = state' >> 33, drawn in the order below; the
same recipe is in tests/unit/test_product_svd.c.
  gaussian     entries row by row: (sum of four numbers mod 64, minus 126)/64
  relu         gaussian, then for each row a number: row zero where number mod 4 is 0
  tanh         gaussian, then for each row m = 1 + number mod 255, s = number mod 24: row times m 2^-s
  steep        the same with s = number mod 200
  orthogonal   blocks of 4 of (1/2) Hadamard; rows permuted by Fisher-Yates (for i = n-1..1 swap with number mod (i+1)),
               then each row's sign: minus where number mod 2 is 1
  rectangular  gaussian; factor l = 1, 2, ... has n + (0, 2, -1, 1)[l mod 4] rows
"""
import sys

import mpmath

PRIME = 2**127 - 1
HADAMARD = [[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]
CASES = [
    *(("gaussian", n, depth) for n, depth in [(3, 1), (12, 1), (5, 2), (12, 2), (8, 5), (12, 50), (3, 1000), (8, 1000)]),
    *(("orthogonal", n, depth) for n, depth in [(4, 1), (8, 2), (12, 5), (12, 50), (4, 1000)]),
    *(("relu", n, depth) for n, depth in [(3, 1), (12, 1), (6, 2), (12, 5), (12, 50), (12, 1000)]),
    *(("tanh", n, depth) for n, depth in [(3, 1), (12, 1), (6, 2), (12, 5), (12, 50), (4, 1000), (6, 1000)]),
    *(("steep", n, depth) for n, depth in [(3, 1), (12, 1), (6, 2), (12, 5), (7, 50)]),
    *(("rectangular", n, depth) for n, depth in [(4, 1), (4, 2), (5, 3), (10, 50), (5, 1000)]),
    ("gaussian", 100, 20), ("tanh", 60, 30), ("steep", 40, 5), ("relu", 100, 10),
]


class Generator:
    def __init__(self, seed):
        self.state = seed

    def number(self, modulus):
        self.state = (6364136223846793005 * self.state + 1442695040888963407) % 2**64
        return (self.state >> 33) % modulus


def gaussian(g, rows, cols):
    return [[sum(g.number(64) for _ in range(4)) - 126 for _ in range(cols)] for _ in range(rows)]


def scaled(g, n, powers):
    """Integers: the factor times 64 2^(powers - 1)."""
    factor = gaussian(g, n, n)
    for i in range(n):
        m = 1 + g.number(255)
        s = g.number(powers)
        factor[i] = [x * m << (powers - 1 - s) for x in factor[i]]
    return factor


def orthogonal(g, n):
    factor = [[HADAMARD[i % 4][j % 4] if i // 4 == j // 4 else 0 for j in range(n)] for i in range(n)]
    for i in range(n - 1, 0, -1):
        other = g.number(i + 1)
        factor[i], factor[other] = factor[other], factor[i]
    return [[-x for x in row] if g.number(2) else row for row in factor]


def factors(kind, n, depth, seed):
    """(matrix of integers, power of two it is to be divided by), first to last."""
    g, cols = Generator(seed), n
    for layer in range(1, depth + 1):
        if kind == "rectangular":
            rows = n + (0, 2, -1, 1)[layer % 4]
            yield gaussian(g, rows, cols), 6
            cols = rows
        elif kind == "orthogonal":
            yield orthogonal(g, n), 1
        elif kind in ("tanh", "steep"):
            powers = {"tanh": 24, "steep": 200}[kind]
            yield scaled(g, n, powers), 6 + powers - 1
        else:
            factor = gaussian(g, n, n)
            if kind == "relu":
                factor = [row if g.number(4) else [0] * n for row in factor]
            yield factor, 6


def multiply(a, b):
    columns = list(zip(*b))
    return [[sum(x * y for x, y in zip(row, column)) for column in columns] for row in a]


def rank(matrix):
    """Exact but for multiples of a prime of 127 bits."""
    rows, done = [[x % PRIME for x in row] for row in matrix], 0
    for column in range(len(rows[0])):
        pivot = next((i for i in range(done, len(rows)) if rows[i][column]), None)
        if pivot is None:
            continue
        rows[done], rows[pivot] = rows[pivot], rows[done]
        inverse = pow(rows[done][column], -1, PRIME)
        for i in range(done + 1, len(rows)):
            f = rows[i][column] * inverse % PRIME
            rows[i] = [(x - f * y) % PRIME for x, y in zip(rows[i], rows[done])]
        done += 1
    return done


def log_singular_values(matrix, shift):
    """Of matrix/2^shift, descending; as many as it has columns."""
    count, nonzero = len(matrix[0]), rank(matrix)
    if nonzero == 0:
        return [-mpmath.inf] * count, 0
    digits = 200
    while True:
        mpmath.mp.dps = digits
        values = sorted(mpmath.svd_r(mpmath.matrix(matrix), compute_uv=False), reverse=True)
        if values[nonzero - 1] > values[0] * mpmath.mpf(10) ** (40 - digits):
            break
        digits *= 2
    assert all(v < values[0] * mpmath.mpf(10) ** (20 - digits) for v in values[nonzero:])
    logs = [mpmath.log(v) - shift * mpmath.log(2) for v in values[:nonzero]]
    return logs + [-mpmath.inf] * (count - nonzero), digits


def main():
    print("kind,n,depth,seed,log_singular_values")
    for seed, (kind, n, depth) in enumerate(CASES, start=1):
        product, shift, log_det = None, 0, mpmath.mpf(0)
        mpmath.mp.dps = 50
        for factor, power in factors(kind, n, depth, seed):
            product = factor if product is None else multiply(factor, product)
            shift += power
            if kind not in ("relu", "rectangular"):
                log_det += mpmath.log(abs(mpmath.mpf(determinant(factor)))) - n * power * mpmath.log(2)
        logs, digits = log_singular_values(product, shift)
        if kind not in ("relu", "rectangular"):
            assert abs(mpmath.fsum(logs) - log_det) < mpmath.mpf(10) ** -30 * (1 + abs(log_det)), (kind, n, depth)
        print(f"{kind},{n},{depth},{seed}," + ",".join(mpmath.nstr(x, 20) for x in logs), flush=True)
        print(f"{kind} {n} {depth}: {digits} digits", file=sys.stderr)


def determinant(matrix):
    """Bareiss: exact."""
    m, sign, before = [row[:] for row in matrix], 1, 1
    for k in range(len(m) - 1):
        pivot = next((i for i in range(k, len(m)) if m[i][k]), None)
        if pivot is None:
            return 0
        if pivot != k:
            m[k], m[pivot], sign = m[pivot], m[k], -sign
        for i in range(k + 1, len(m)):
            for j in range(k + 1, len(m)):
                m[i][j] = (m[i][j] * m[k][k] - m[i][k] * m[k][j]) // before
        before = m[k][k]
    return sign * m[-1][-1]


if __name__ == "__main__":
    main()
