# SPDX-License-Identifier: BSD-3-Clause
"""How deep networks can be trained, and how many xi_c that is: the fit of L = a xi_c with its confidence interval."""
from dataclasses import dataclass

import numpy as np

FACTORS = np.geomspace(0.05, 2000, 4001)  # of xi_c: half a step is 0.13 %
RESAMPLES = 2000
LEVEL = 95  # percent
FEWEST = 3  # columns that end inside the map: fewer are no fit


@dataclass
class Prefactor:
    """a of L = a xi_c, the ends of its confidence interval, and from how many weight variances."""

    value: float
    low: float
    high: float
    columns: int


def trainable_depth(depth, accuracy, wanted):
    """The depth at which the accuracy first falls below `wanted`, between two depths by the logarithm of the depth.

    The least depth where nothing reaches it, the greatest where all do, NaN where nothing is known.
    """
    known = np.isfinite(accuracy)
    depth, accuracy = np.asarray(depth, float)[known], np.asarray(accuracy, float)[known]
    if len(depth) == 0:
        return np.nan
    below = np.flatnonzero(accuracy < wanted)
    if len(below) == 0:
        return depth[-1]
    k = below[0]
    if k == 0:
        return depth[0]
    share = (accuracy[k - 1] - wanted) / (accuracy[k - 1] - accuracy[k])
    return float(depth[k - 1] * (depth[k] / depth[k - 1]) ** share)


def misfits(xi, reach, low, high):
    """|log a xi - log reach| of every factor (rows) and column, both held within the depths of the map.

    Where a xi leaves the map, as it does near criticality, a column says no more than that it should be full.
    """
    with np.errstate(divide="ignore"):
        expected = np.log(FACTORS)[:, np.newaxis] + np.log(xi)
    return np.abs(np.clip(expected, np.log(low), np.log(high)) - np.clip(np.log(reach), np.log(low), np.log(high)))


def best_factors(sums):
    """The factor with the least sum, of each column of (factors, cases); the middle where several share it."""
    least = sums <= sums.min(axis=0) + 1e-9
    return np.exp(np.sum(least * np.log(FACTORS)[:, np.newaxis], axis=0) / least.sum(axis=0))


def fit(xi, reach, depths):
    """The factor whose sum of misfits is least (a median of reach/xi); None where fewer than FEWEST columns end inside the map.

    The interval is that of the bootstrap over columns, whose seed is fixed: the same file gives the same picture.
    """
    low, high = float(np.min(depths)), float(np.max(depths))
    xi, reach = np.asarray(xi, float), np.asarray(reach, float)
    known = (xi > 0) & np.isfinite(reach)
    xi, reach = xi[known], reach[known]
    inside = (reach > low) & (reach < high)
    if inside.sum() < FEWEST:
        return None
    costs = misfits(xi, reach, low, high)
    drawn = np.random.default_rng(0).multinomial(len(xi), np.full(len(xi), 1 / len(xi)), RESAMPLES)
    drawn = drawn[(drawn * inside).sum(axis=1) > 0]
    factors = best_factors(costs @ drawn.T)
    ends = np.percentile(factors, [50 - LEVEL / 2, 50 + LEVEL / 2])
    return Prefactor(float(best_factors(costs.sum(axis=1, keepdims=True))[0]), float(ends[0]), float(ends[1]), len(xi))


def by_phase(xi, reach, depths, chi):
    """The factors of the ordered (chi_1 < 1) and the chaotic columns alone, None where there is none."""
    parts = [np.asarray(chi) < 1, np.asarray(chi) > 1]
    return [fit(np.asarray(xi)[part], np.asarray(reach)[part], depths) for part in parts]
