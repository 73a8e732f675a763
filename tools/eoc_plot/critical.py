# SPDX-License-Identifier: BSD-3-Clause
"""The theory's lines, found from its values on the grid of the file."""
import numpy as np

BISECTIONS = 60
JUMP = 3.0  # a step this much greater than its neighbours lead one to expect is a jump


def monotone_slopes(x, y):
    """Slopes at the nodes of the monotone cubic interpolant (Fritsch and Butland 1984)."""
    step = np.diff(x)
    secant = np.diff(y) / step
    slopes = np.zeros_like(y)
    slopes[0], slopes[-1] = secant[0], secant[-1]
    if len(x) > 2:
        before, after = 2 * step[1:] + step[:-1], step[1:] + 2 * step[:-1]
        rising = secant[:-1] * secant[1:] > 0
        with np.errstate(divide="ignore", invalid="ignore"):
            inner = (before + after) / (before / secant[:-1] + after / secant[1:])
        slopes[1:-1] = np.where(rising, inner, 0.0)
        slopes[0] = end_slope(step[0], step[1], secant[0], secant[1])
        slopes[-1] = end_slope(step[-1], step[-2], secant[-1], secant[-2])
    return slopes


def end_slope(step, next_step, secant, next_secant):
    """One-sided three-point slope, held back where it would leave the data's own direction."""
    slope = ((2 * step + next_step) * secant - step * next_secant) / (step + next_step)
    if slope * secant <= 0:
        return 0.0
    if secant * next_secant <= 0 and abs(slope) > 3 * abs(secant):
        return 3 * secant
    return slope


def cubic(t, step, left, right, slope_left, slope_right):
    """The cubic of one interval at t in [0, 1]."""
    return (left * (1 + 2 * t) * (1 - t) ** 2 + right * t**2 * (3 - 2 * t)
            + step * (slope_left * t * (1 - t) ** 2 - slope_right * t**2 * (1 - t)))


def interval_root(x, y, slopes, i):
    """The root inside interval i, whose ends differ in sign; the interpolant is monotone there."""
    low, high = 0.0, 1.0
    step = x[i + 1] - x[i]
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        value = cubic(middle, step, y[i], y[i + 1], slopes[i], slopes[i + 1])
        if (value > 0) == (y[i] > 0):
            low = middle
        else:
            high = middle
    return x[i] + step * 0.5 * (low + high)


def finite_runs(y):
    """Slices of consecutive finite values: nothing is interpolated over a gap."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.isfinite(y).astype(int), [0]])))
    return [slice(start, stop) for start, stop in zip(edges[::2], edges[1::2])]


def is_jump(x, y, i):
    """Whether y jumps in interval i: where a fixed point vanishes, a signal goes to another one (gelu, silu)."""
    secant = np.abs(np.diff(y) / np.diff(x))
    around = [secant[j] for j in (i - 1, i + 1) if 0 <= j < len(secant)]
    return bool(around) and secant[i] > JUMP * max(around)


def sign_changes(y):
    """The intervals whose ends differ in sign."""
    return np.flatnonzero(y[:-1] * y[1:] < 0)


def isolated(zero):
    """Zeros without a zero beside them: where a function is zero all along it crosses nothing."""
    beside = np.zeros_like(zero)
    beside[1:] |= zero[:-1]
    beside[:-1] |= zero[1:]
    return zero & ~beside


def roots(x, y):
    """Where y(x) = 0, x ascending, by monotone cubic interpolation between the given values.

    A jump from one sign to the other is no root.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    found = []
    for run in finite_runs(y):
        xs, ys = x[run], y[run]
        found.extend(xs[isolated(ys == 0)])
        if len(xs) < 2:
            continue
        slopes = monotone_slopes(xs, ys)
        found.extend(interval_root(xs, ys, slopes, i) for i in sign_changes(ys) if not is_jump(xs, ys, i))
    return np.sort(np.array(found, dtype=float))


def jumps(x, y):
    """The middles of the intervals in which y jumps from one sign to the other."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    found = []
    for run in finite_runs(y):
        xs, ys = x[run], y[run]
        found.extend(0.5 * (xs[i] + xs[i + 1]) for i in sign_changes(ys) if is_jump(xs, ys, i))
    return np.array(found, dtype=float)


def critical_values(weight_variance, chi_1):
    """The weight variances with chi_1 = 1."""
    return roots(weight_variance, np.asarray(chi_1, float) - 1.0)


def critical_jumps(weight_variance, chi_1):
    """The weight variances at which chi_1 jumps past 1, known to half a step of the grid."""
    return jumps(weight_variance, np.asarray(chi_1, float) - 1.0)


def critical_branches(weight_variance, chi_1, find=critical_values):
    """chi_1 = 1 for every row of chi_1 (rows, weight_variance): a list of branches, one value a row, NaN where none.

    Branch k joins the k-th crossings of the rows, which is enough for lines that do not turn back.
    """
    per_row = [find(weight_variance, row) for row in chi_1]
    branches = np.full((max((len(row) for row in per_row), default=0), len(per_row)), np.nan)
    for i, row in enumerate(per_row):
        branches[: len(row), i] = row
    return list(branches)


def depth_scale_curve(weight_variance, xi, critical, broken=(), points=800):
    """xi between the grid values: its inverse is interpolated, zero at criticality, so that the line diverges there.

    At the values of `broken`, where the theory jumps, the line is interrupted.
    """
    x, xi = np.asarray(weight_variance, float), np.asarray(xi, float)
    with np.errstate(divide="ignore"):
        rate = np.where(np.isnan(xi), np.nan, 1.0 / np.abs(xi))
    for root in critical:
        near = np.isclose(x, root, rtol=1e-9)
        if near.any():
            rate[near] = 0.0
        else:
            place = np.searchsorted(x, root)
            x, rate = np.insert(x, place, root), np.insert(rate, place, 0.0)
    for jump in broken:
        place = np.searchsorted(x, jump)
        x, rate = np.insert(x, place, jump), np.insert(rate, place, np.nan)
    fine = np.union1d(np.linspace(x[0], x[-1], points), x)
    with np.errstate(divide="ignore", invalid="ignore"):
        return fine, 1.0 / np.interp(fine, x, rate)


def first_finite(values, axis):
    """Along an axis that the theory does not depend on: the first value that has been computed."""
    values = np.moveaxis(values, axis, 0)
    known = ~np.isnan(values)
    return np.take_along_axis(values, np.argmax(known, axis=0)[np.newaxis], axis=0)[0]
