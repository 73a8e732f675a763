# SPDX-License-Identifier: BSD-3-Clause
"""Shattered gradients: dy/dt along an interval beside brown and white noise, autocorrelations, correlation against depth."""
from dataclasses import dataclass

import matplotlib
import matplotlib.pyplot as plt
import numpy as np

from . import style
from .errors import PlotError, UsageError, suggestion
from .reduce import mean_and_error
from .result import DONE, Result, selection
from .rows import default_index, heading

MOST_NETWORKS, MOST_ARCHITECTURES = 5, 4
MOST_HIDDEN = 3  # values told in a panel as numbers
BROWN, WHITE = "#8c5a2b", "0.45"
NOISE_SERIES = 400  # random walks whose autocorrelations are averaged
QUANTILE = 1.96  # 95 % of a normal distribution

# The estimates for independent gates by their values: a sweep may have branches and weights of its own.
RATES = ((r"$1/2^L$", lambda depth: 0.5**depth), (r"$(3/4)^{L-1}$", lambda depth: 0.75 ** (depth - 1)),
         (r"$1/\sqrt{L}$", lambda depth: depth**-0.5))


@dataclass
class Network:
    """One architecture at one depth: places on the axes, words, colour."""

    architecture: int
    depth: int
    label: str
    colour: tuple


def short_name(text):
    """An architecture in the words of a title."""
    name, _, inside = text.partition("(")
    words = [part.strip() for part in inside.removesuffix(")").split(",") if part.strip()]
    shown = {"normalization=batch": "batch-normalized", "normalization=layer": "layer-normalized"}
    adjectives = [shown[word] for word in words if word in shown]
    rest = [word for word in words if word not in shown]
    return style.plain_text(" ".join([*adjectives, {"fully_connected": "plain"}.get(name, name)]) + "".join(f", {word}" for word in rest))


def chosen_point(result, choices, free):
    """Indices on every axis: all chosen ones on the free axes, one on the others."""
    chosen, _ = selection(result, choices)
    return {axis: indices if axis in (*free, "replica") else int(default_index(axis, indices)) for axis, indices in chosen.items()}


def parse_network(result, text):
    """'architecture@depth' to its two places."""
    name, at, depth = text.rpartition("@")
    if not at or not depth.strip().isdigit():
        raise UsageError(f"--network {text}: expected ARCHITECTURE@DEPTH, such as residual@50")
    found = np.flatnonzero(result.axes["architecture"] == name.strip())
    if len(found) == 0:
        raise UsageError(f"--network {text}: the file has no architecture {name}{suggestion(name, result.axes['architecture'])}")
    places = np.flatnonzero(result.axes["depth"] == int(depth))
    if len(places) == 0:
        depths = ", ".join(str(value) for value in sorted(result.axes["depth"]))
        raise UsageError(f"--network {text}: the file has no depth {depth}; there is {depths}")
    return int(found[0]), int(places[0])


def make_networks(result, point, names):
    """As asked; else the shallowest of the first architecture and the deepest of each."""
    places = [parse_network(result, name) for name in names]
    if not places:
        first, last = int(point["depth"][0]), int(point["depth"][-1])
        places = list(dict.fromkeys([(int(point["architecture"][0]), first), *((int(a), last) for a in point["architecture"])]))
        places = places[:MOST_NETWORKS]
    if len(places) > MOST_NETWORKS:
        raise UsageError(f"--network: {len(places)} are too many for one picture; at most {MOST_NETWORKS}")
    colours = matplotlib.colormaps["viridis"](np.linspace(0.0, 0.8, len(places)))
    return [Network(a, d, f"{short_name(result.axes['architecture'][a])}, $L = {result.axes['depth'][d]}$", colours[i])
            for i, (a, d) in enumerate(places)]


def rows_of(result, name, point, network):
    """A variable of the done replicas of one network, (replica, ...)."""
    chosen = {**point, "architecture": network.architecture, "depth": network.depth}
    done = result.read("run/status", chosen) == DONE
    return result.read(name, chosen)[done]


# -- noise --

def white_noise(points, rng):
    return rng.standard_normal(points)


def brown_noise(points, rng):
    return np.cumsum(rng.standard_normal(points))


def autocorrelation(series, lags):
    """As the file has it: of the series less its mean, over its whole square."""
    apart = series - series.mean()
    full = np.array([np.dot(apart[: len(apart) - k], apart[k:]) for k in lags])
    return full / np.dot(apart, apart)


def white_expectation(points, lags):
    """Of white noise less its mean, exactly; 1 at lag 0."""
    return np.where(lags == 0, 1.0, -(points - lags) / (points * (points - 1.0)))


def brown_expectation(points, lags):
    rng = np.random.default_rng(1)
    return np.mean([autocorrelation(brown_noise(points, rng), lags) for _ in range(NOISE_SERIES)], axis=0)


# -- panels --

def key_below(axes, columns):
    axes.legend(fontsize=style.SMALL - 0.5, loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=columns, frameon=False,
                columnspacing=1.0, handlelength=1.6)


def draw_series(axes, x, y, colour, title):
    scale = np.sqrt(np.mean((y - y.mean()) ** 2))
    if scale <= 1e-9 * np.abs(y).max():  # constant but for rounding, as of a linear network
        scale = np.abs(y).max() or 1.0
    axes.plot(x, y / scale, color=colour, linewidth=0.8, drawstyle="steps-mid")
    axes.set_title(title.replace(", $L", "\n$L"), fontsize=style.SMALL + 0.5)
    axes.set_xlim(x[0], x[-1])
    axes.set_xlabel("input $t$")
    axes.tick_params(labelsize=style.SMALL)


def draw_gradients(panels, result, point, networks, points):
    for axes, network in zip(panels, networks):
        gradients = rows_of(result, "probe/input_gradient", point, network)
        if len(gradients) == 0:
            raise PlotError(f"{result.path}: no network of {network.label.replace('$', '')} is done yet")
        draw_series(axes, points, gradients[0], network.colour, network.label)
    rng = np.random.default_rng(0)
    draw_series(panels[-2], points, brown_noise(len(points), rng), BROWN, "brown noise")
    draw_series(panels[-1], points, white_noise(len(points), rng), WHITE, "white noise")
    panels[0].set_ylabel(r"gradient $dy/dt$ over its deviation")


def draw_autocorrelations(axes, result, point, networks, points, lags):
    """Mean over replicas with its error; the bands are of white noise, for one series and for the mean of as many."""
    white, most = white_expectation(len(points), lags), 0
    for i, network in enumerate(networks):
        r = rows_of(result, "probe/gradient_autocorrelation", point, network)
        r = r[np.isfinite(r).all(axis=-1)]  # a linear network's gradient is constant and has none
        if len(r) == 0:
            continue
        most = max(most, len(r))
        mean = mean_and_error(r.T, np.ones_like(r.T, dtype=bool))
        axes.errorbar(lags, mean.value, yerr=np.nan_to_num(mean.error), color=network.colour, marker="o", markersize=3,
                      linewidth=1.2, elinewidth=0.8, label=network.label, zorder=3 + i)
    axes.plot(lags, brown_expectation(len(points), lags), color=BROWN, linestyle="--", linewidth=1.3, label="brown noise", zorder=9)
    axes.plot(lags, white, color=WHITE, linestyle="--", linewidth=1.3, label="white noise")
    for count, alpha, words in ((1, 0.12, "one series"), (most, 0.3, f"mean of {most}")):
        half = QUANTILE / np.sqrt(len(points) * max(count, 1))
        if count:
            axes.fill_between(lags[1:], white[1:] - half, white[1:] + half, color="0.3", alpha=alpha, linewidth=0,
                              label=f"Bartlett band, 95 %, {words}")
    axes.set_ylim(min(-0.2, axes.get_ylim()[0]), 1.02)
    axes.set_xlim(0, lags[-1])
    axes.set_xlabel("lag, in points")
    axes.set_ylabel("autocorrelation of the gradient")
    key_below(axes, 2)
    axes.grid(True, color="0.92", linewidth=0.7)
    axes.set_axisbelow(True)


def rate_words(depths, values):
    for words, rate in RATES:
        if np.allclose(values, rate(depths.astype(float)), rtol=1e-9, atol=0.0):
            return words
    return None


def tell_hidden(axes, depths, measured, errors, floor):
    """What lies below the panel, or where a logarithm has no place for it, as numbers: the deepest ones."""
    hidden = [k for k in range(len(depths)) if np.isfinite(measured[k]) and measured[k] < floor]
    if hidden:
        words = "measured below" + (f" at {len(hidden)} depths:" if len(hidden) > MOST_HIDDEN else ":")
        values = [f"$L = {depths[k]}$: {measured[k]:.0e}" + (f" \u00b1 {errors[k]:.0e}" if np.isfinite(errors[k]) else "") for k in hidden[-MOST_HIDDEN:]]
        axes.annotate("\n".join([words, *values]), (0.97, 0.9), xycoords="axes fraction", ha="right", va="top", fontsize=style.SMALL,
                      zorder=6).set_in_layout(False)


def mean_and_errors(result, point, architecture):
    """The measured correlation at every depth, its mean over replicas and the standard error of that."""
    measured, errors = [], []
    for depth in point["depth"]:
        values = rows_of(result, "probe/gradient_correlation", point, Network(architecture, int(depth), "", ()))
        values = values[np.isfinite(values)]
        measured.append(values.mean() if len(values) else np.nan)
        errors.append(values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan)
    return np.array(measured), np.array(errors)


def draw_correlation(axes, result, point, architecture, floor):
    """Measured, exact, and for independent gates; what falls out of the panel is told as a number. Returns which of the latter two there are."""
    order = point["depth"]
    depths = result.axes["depth"][order]
    measured, errors = mean_and_errors(result, point, architecture)
    chosen = {axis: index for axis, index in point.items() if axis != "replica"}
    chosen["architecture"] = architecture
    exact, independent = (result.read(f"theory/{name}", chosen) for name in ("gradient_correlation", "independent_gradient_correlation"))
    shown = np.isfinite(measured)
    # A bar that reaches below zero goes to the foot of the panel.
    low = np.minimum(np.nan_to_num(errors), np.maximum(measured - 1e-12, 0.0))
    axes.errorbar(depths[shown], np.maximum(measured[shown], 1e-12), yerr=[low[shown], np.nan_to_num(errors[shown])], fmt="o",
                  color="black", markersize=3.6, elinewidth=0.9, capsize=1.5, label="measured, standard error", zorder=3)
    tell_hidden(axes, depths, measured, errors, floor)
    if np.isfinite(exact).any():
        axes.plot(depths, exact, color="#2166ac", linewidth=1.6, label="exact mean field")
    if np.isfinite(independent).any():
        words = rate_words(depths, independent)
        axes.plot(depths, independent, color="#b2182b", linewidth=1.4, linestyle="--",
                  label="independent gates" + (f": {words}" if words else ""))
        if independent[-1] < floor:
            axes.annotate(f"independent gates: {independent[-1]:.0e} at $L = {depths[-1]}$", (0.97, 0.97), xycoords="axes fraction",
                          ha="right", va="top", fontsize=style.SMALL, color="#b2182b")
    axes.set_yscale("log")
    axes.set_xlim(depths[0] / 1.1, depths[-1] * 1.1)
    style.set_scale(axes, "x", True)
    axes.set_ylim(floor, 1.3)
    axes.set_xlabel(style.axis_label("depth"))
    axes.set_title(style.wrapped(short_name(result.axes["architecture"][architecture])))
    key_below(axes, 1)
    axes.grid(True, color="0.92", linewidth=0.7)
    axes.set_axisbelow(True)
    return np.isfinite(exact).any(), np.isfinite(independent).any()


def correlation_floor(result, point, architectures):
    """A decade below the least value that is known: exact, or measured and told from zero."""
    values = [result.read("theory/gradient_correlation", {axis: index for axis, index in point.items() if axis in result.dims("theory/gradient_correlation")})]
    for architecture in architectures:
        measured, errors = mean_and_errors(result, point, int(architecture))
        values.append(measured[measured > 3.0 * errors])  # without an error none is told from zero
    values = np.concatenate([np.ravel(each) for each in values])
    values = values[np.isfinite(values) & (values > 1e-12)]
    return 10.0 ** np.floor(np.log10(values.min()) - 0.3) if len(values) else 1e-3


# -- the picture --

def one_of_many(result, point, choices):
    """The axes of which the picture has one value, though more were asked for, in words."""
    asked, _ = selection(result, choices)
    several = [axis for axis, value in point.items() if isinstance(value, int) and len(asked[axis]) > 1]
    return [f"Of {len(asked[axis])} values of {axis} this is {style.value_text(axis, result.axes[axis][point[axis]])}; another by --select {axis}=VALUE."
            for axis in several]


def architectures_left_out(result, point, drawn):
    count = len(point["architecture"])
    return [] if drawn == count else [f"Of {count} architectures the first {drawn} are drawn; others by --select architecture=NAME,NAME."]


def small_print(correlations, point, has_series, architectures, lines):
    notes = []
    if has_series:
        notes.append("Gradients: one network each, y = v.h^L; behind a batch's normalization its means and variances are held.")
    if len(architectures):
        widths = np.atleast_1d(correlations.axes["width"][point["width"]])
        exact, independent = (any(line) for line in zip(*lines))
        words = ["Correlation: cosine of dy/dz^1 of two inputs, mean over pairs."]
        if independent:
            words.append("Independent gates is the estimate of Balduzzi et al. 2017: the gates of two inputs agree half the time in every layer.")
        if exact and not independent:
            words.append("Exact mean field goes by E[φ'(u) φ'(v)] of two inputs in every layer, beside what is skipped.")
        elif exact:
            words.append("In exact mean field they agree in the fraction 1 - arccos(c^l)/\u03c0; as signals go up a network without normalization c^l "
                         "goes to 1, the gates become alike, and the correlation falls as a power of depth, not exponentially. Normalization over "
                         "a batch of independent inputs keeps c^l at 0, and there the estimate is near.")
        words.append(f"Networks are finite (width {', '.join(str(width) for width in widths)})" + (", exact mean field is their limit." if exact else "."))
        if not exact:
            words.append("No exact line: along an interval it is known of relu in plain and pre-activation layers alone, behind a batch's "
                         "normalization of relu and independent inputs alone.")
        notes.append(" ".join(words))
        names = correlations.axes["architecture"][architectures]
        if any("normalization=batch" in name for name in names):
            if "input" in correlations.file:
                notes.append("The points of an interval are no independent inputs: behind a batch's normalization they have neither exact line "
                             "nor the estimate's assumptions.")
            elif exact and not all(line[0] for line, name in zip(lines, names) if "normalization=batch" in name):
                notes.append("Behind a batch's normalization the exact line is known of relu alone.")
    return notes


def make_panels(num_above, num_below):
    """Two rows of panels, each evenly over the width; the upper one may be none."""
    figure = plt.figure(figsize=(max(2.5 * num_above, 3.9 * num_below, 6.0), 2.6 * (num_above > 0) + 5.4), constrained_layout=True)
    if num_above == 0:
        return figure, [], list(np.ravel(figure.subplots(1, num_below)))
    above, below = figure.subfigures(2, 1, height_ratios=(2.6, 4.4))
    return figure, list(np.ravel(above.subplots(1, num_above))), list(np.ravel(below.subplots(1, num_below)))


def need(result, name, words):
    if name not in result:
        raise UsageError(f"{result.path}: no {name}; {words}")


def draw(result, options):
    """The figure of `eoc-plot shattering`."""
    correlations = Result(options.correlation) if options.correlation else result
    has_series = "probe/input_gradient" in result
    need(correlations, "probe/gradient_correlation", "a sweep with the statistic shattering or gradient_correlation has it")
    if options.network and not has_series:
        raise UsageError(f"{result.path}: no probe/input_gradient for --network; a sweep with the statistic shattering has it")
    point = chosen_point(result, options.select, ("architecture", "depth"))
    other = chosen_point(correlations, options.select if correlations is result else [], ("architecture", "depth"))
    has_correlation = len(other["depth"]) > 1 and "theory/gradient_correlation" in correlations
    if not has_series and not has_correlation:
        raise PlotError(f"{result.path}: correlation against depth needs at least two depths and the theory group")
    networks = make_networks(result, point, options.network) if has_series else []
    architectures = other["architecture"][:MOST_ARCHITECTURES] if has_correlation else []
    floor = correlation_floor(correlations, other, architectures) if has_correlation else None
    figure, above, below = make_panels(len(networks) + 2 if has_series else 0, int(has_series) + len(architectures))
    if has_series:
        points, lags = result.file["input"][()], result.file["lag"][()]
        draw_gradients(above, result, point, networks, points)
        draw_autocorrelations(below[0], result, point, networks, points, lags)
    lines = [draw_correlation(axes, correlations, other, int(architecture), floor)
             for axes, architecture in zip(below[int(has_series):], architectures)]
    if has_correlation:
        below[int(has_series)].set_ylabel("correlation of gradients")
    words = [style.plain_text(str(result.axes["activation"][point["activation"]])), style.value_text("width", result.axes["width"][point["width"]]),
             style.replica_text(len(point["replica"]))]
    style.add_title(figure, heading(result, options.title), ", ".join(words))
    left_out = one_of_many(result, point, options.select)
    if has_correlation:
        left_out += architectures_left_out(correlations, other, len(architectures))
    elif not options.network:
        left_out += architectures_left_out(result, point, len({network.architecture for network in networks}))
    style.add_footnote(figure, left_out + small_print(correlations, other, has_series, architectures, lines))
    return figure
