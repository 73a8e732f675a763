# SPDX-License-Identifier: BSD-3-Clause
"""The initializers that `eoc advise --json` compares: how far signals and gradients get, and the spread of the Jacobian."""
import json

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from .errors import PlotError, UsageError

GOOD, FAIR, BAD, OUTSIDE = "#2a7f62", "#c98a1b", "#b23a48", "#8a8a8a"
LN10 = np.log(10.0)


def read(path):
    """The object that eoc advise --json printed."""
    try:
        with open(path, encoding="utf-8") as file:
            advice = json.load(file)
    except OSError as error:
        raise PlotError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise PlotError(f"{path}: not JSON ({error})") from error
    if not isinstance(advice, dict) or "initializers" not in advice or "recommendation" not in advice:
        raise UsageError(f"{path}: not what eoc advise --json prints")
    return advice


def decades(row, name):
    """A natural logarithm of the file as decades; NaN where theory says nothing."""
    value = row[name]
    return np.nan if value is None else value / LN10


def reach(row, name):
    """Layers; infinite where the object says so, NaN outside theory."""
    if row[f"{name}_infinite"]:
        return np.inf
    return np.nan if row[name] is None else row[name]


def colour(row):
    verdict = row["verdict"]
    if verdict.startswith("outside"):
        return OUTSIDE
    if not verdict.startswith("trainable"):
        return BAD
    return FAIR if "on the way" in verdict else GOOD


def key(axes, handles):
    axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.07), ncols=len(handles), frameon=False)


def draw_scales(axes, rows):
    """Forward and backward change over the depth, in decades; off the scale at its edge with the number."""
    limit = 12.0
    for place, row in enumerate(rows):
        for shift, name, marker in ((-0.17, "log_forward_scale", "o"), (0.17, "log_gradient_scale", "s")):
            value = decades(row, name)
            if np.isnan(value):
                continue
            shown = float(np.clip(value, -limit, limit))
            face = colour(row)
            axes.plot([0, shown], [place + shift] * 2, color=face, linewidth=1.4)
            axes.plot(shown, place + shift, marker, color=face, markersize=5, clip_on=False,
                      markerfacecolor=face if marker == "o" else "white")
            if abs(value) > limit:
                axes.annotate(f"$10^{{{value:.0f}}}$", (shown, place + shift), xytext=(8 if value < 0 else -8, 0),
                              textcoords="offset points", va="center", ha="left" if value < 0 else "right", fontsize=7,
                              bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6})
    axes.axvline(0, color="0.4", linewidth=0.8, zorder=0)
    axes.set_xlim(-limit * 1.05, limit * 1.05)
    axes.set_xticks([-12, -6, 0, 6, 12], [r"$10^{-12}$", r"$10^{-6}$", "1", r"$10^{6}$", r"$10^{12}$"])
    axes.set_title("change over the depth")
    key(axes, [Line2D([], [], marker="o", linestyle="", color="0.3", markersize=5, label=r"signal $q^L/q^1$"),
               Line2D([], [], marker="s", linestyle="", color="0.3", markersize=5, markerfacecolor="white",
                      label=r"gradient $g^1/g^L$")])


def draw_reach(axes, rows, depth):
    """Layers that signals and gradients survive, beside the depth asked for."""
    finite = [r for row in rows for r in (reach(row, "signal_depth"), reach(row, "gradient_depth")) if np.isfinite(r)]
    top = 10 ** np.ceil(np.log10(max([10.0 * depth, *finite])))
    for place, row in enumerate(rows):
        for shift, name, filled in ((-0.17, "signal_depth", True), (0.17, "gradient_depth", False)):
            layers = reach(row, name)
            if np.isnan(layers):
                continue
            shown = top if np.isinf(layers) else max(layers, 1.0)
            axes.barh(place + shift, shown - 1.0, left=1.0, height=0.26, color=colour(row) if filled else "white",
                      edgecolor=colour(row), linewidth=1.0)
            if np.isinf(layers):
                axes.annotate(r"$\infty$", (top, place + shift), xytext=(3, 0), textcoords="offset points", va="center",
                              fontsize=9, annotation_clip=False)
    axes.set_xscale("log")
    axes.set_xlim(1.0, top)
    axes.axvline(depth, color="black", linewidth=1.0, linestyle="--")
    axes.annotate(f"L = {depth}", (depth, -0.62), xytext=(3, 0), textcoords="offset points", fontsize=8, va="center",
                  annotation_clip=False)
    axes.set_title("layers that signals and gradients survive")
    key(axes, [Patch(color="0.3", label="signals"), Patch(facecolor="white", edgecolor="0.3", label="gradients")])


def draw_spread(axes, rows):
    """Standard deviation over mean of the squared singular values."""
    greatest = max([row["singular_value_spread"] or 0.0 for row in rows] + [1.0])
    for place, row in enumerate(rows):
        spread = row["singular_value_spread"]
        if spread is not None:
            axes.barh(place, spread, height=0.5, color=colour(row))
            axes.annotate(f"{spread:.2g}", (spread, place), xytext=(3, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_xlim(0, 1.18 * greatest)
    axes.set_title("squared singular values: standard deviation / mean")
    key(axes, [Patch(color=GOOD, label="trainable"), Patch(color=FAIR, label="gradients change or differ"),
               Patch(color=BAD, label="not at this depth")])


def name_of(row, recommended):
    text = row["name"].replace("_", " ")
    return f"{text}  $\\bigstar$" if row["name"] == recommended else text


def draw(advice, options):
    rows, chosen = advice["initializers"], advice["recommendation"]
    figure, (scales, layers, spread) = plt.subplots(1, 3, figsize=(13.5, 0.42 * len(rows) + 2.2), sharey=True,
                                                    constrained_layout=True)
    draw_scales(scales, rows)
    draw_reach(layers, rows, advice["depth"])
    draw_spread(spread, rows)
    scales.set_yticks(range(len(rows)), [name_of(row, chosen["name"]) for row in rows])
    for place, row in enumerate(rows):
        if row["log_forward_scale"] is None and row["verdict"].startswith("outside"):
            scales.annotate("the mean of the weights is not zero:\noutside theory", (0, place), ha="center", va="center",
                            fontsize=7, color="0.35", bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})
    scales.set_ylim(len(rows) - 0.4, -0.9)
    for axes in (scales, layers, spread):
        axes.grid(axis="x", color="0.9", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    title = options.title or f"{advice['activation']}, width {advice['width']}, depth {advice['depth']}; recommended: {chosen['name']}"
    figure.suptitle(title.replace("_", " "), fontsize=11)
    return figure
