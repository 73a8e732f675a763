# SPDX-License-Identifier: BSD-3-Clause
"""Statistics against the layer at one depth: probes as points, theory as lines, a colour per weight variance."""
import sys
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.lines import Line2D

from . import critical, phase, style
from .errors import PlotError, UsageError
from .reduce import DERIVED, average, statuses, take, units
from .result import DIVERGED, DONE, selection
from .rows import heading, is_effective, make_rows, subtitle

DEFAULT_STATISTICS = ("log_q", "c", "log_gradient_q")
MOST_MARKERS = 25


@dataclass
class Curve:
    """One weight variance: its place on the axis, its colour, its words."""

    index: int
    colour: tuple
    label: str


def critical_of(result, row):
    """The first weight variance with chi_1 = 1 at this row, or None; nothing is critical where dropout keeps inputs apart on either side."""
    if "theory/chi_1" not in result or len(row.chosen["weight_variance"]) < 2:
        return None
    chosen = {**row.chosen, "depth": np.arange(len(result.axes["depth"]))}
    chi = critical.first_finite(take(result, "theory/chi_1", ("weight_variance", "depth"), chosen)[..., 0], -1)
    found = critical.critical_values(result.axes["weight_variance"][row.chosen["weight_variance"]], chi)
    found = phase.poles_of_xi(result, row, found)
    return found[0] if len(found) else None


def common_critical(result, rows):
    """The critical weight variance that all rows share, or None."""
    found = [critical_of(result, row) for row in rows]
    shared = all(value is not None and np.isclose(value, found[0], rtol=1e-3) for value in found)
    return found[0] if shared else None


def begun(result, rows):
    """Which of the chosen weight variances have a finished unit in some row."""
    count = len(rows[0].chosen["weight_variance"])
    done = np.zeros(count, dtype=bool)
    for row in rows:
        status = statuses(result, ("weight_variance",), row.chosen)
        done |= np.ones(count, dtype=bool) if status is None else np.any(status == DONE, axis=-1)
    return done


def evenly(count, wanted):
    """`wanted` places of `count`, both ends among them."""
    return np.unique(np.round(np.linspace(0, count - 1, min(wanted, count))).astype(int))


def choose_curves(values, wanted, nearest):
    """Places on the axis: evenly spread, the one nearest to criticality among them."""
    picked = evenly(len(values), wanted)
    if nearest is None or nearest in picked:
        return picked
    # The ends show how far the sweep goes; one between them gives way.
    inner = np.arange(1, len(picked) - 1) if len(picked) > 2 else np.arange(len(picked))
    replaced = inner[np.argmin(np.abs(picked[inner] - nearest))]
    picked[replaced] = nearest
    return np.unique(picked)


def make_curves(result, rows, wanted):
    """The curves of the picture, and where theory puts criticality."""
    indices = rows[0].chosen["weight_variance"]
    available = indices[begun(result, rows)]
    if len(available) == 0:
        raise PlotError(f"{result.path}: no network of this selection is done yet")
    values = result.axes["weight_variance"][available]
    edge = common_critical(result, rows)
    nearest = None if edge is None else int(np.argmin(np.abs(values - edge)))
    picked = choose_curves(values, wanted, nearest)
    colours = matplotlib.colormaps["viridis"](np.linspace(0.0, 0.9, len(picked)))
    return [Curve(int(available[place]), colours[k], style.number(values[place])
                  + (" (nearest critical)" if place == nearest else ""))
            for k, place in enumerate(picked)], edge


def points_of(result, row, statistic, curve, layers, how):
    """Mean and error of one curve over the layers."""
    chosen = {**row.chosen, "weight_variance": curve.index, "layer": layers}
    values, _ = units(result, statistic, ("layer",), chosen)
    return average(values, statistic.log, how)


def draw_points(axes, x, mean, statistic, colour, offset):
    """Markers, thinned; each curve begins at another layer so that they don't hide one another."""
    shown = np.flatnonzero(np.isfinite(mean.value))
    step = max(1, int(np.ceil(len(shown) / MOST_MARKERS)))
    shown = shown[offset % step :: step]
    y, error = statistic.drawn(mean.value[shown]), statistic.drawn(mean.error[shown])
    axes.errorbar(x[shown], y, yerr=None if np.isnan(error).all() else np.nan_to_num(error), fmt="o", markersize=3.4,
                  color=colour, elinewidth=0.9, capsize=1.5, markeredgewidth=0, alpha=0.9, zorder=3)


def draw_theory(result, row, axes, x, statistic, curve, layers):
    name = f"theory/{statistic.short}"
    base = "theory/log_gradient_q" if statistic.short in DERIVED else name
    if base not in result or statistic.name.startswith("theory/"):
        return
    own = style.statistic(result, name)
    mean = points_of(result, row, own, curve, layers, "log")
    values = np.where(np.isfinite(mean.value), mean.value, np.nan)
    axes.plot(x, own.drawn(values), color=curve.colour, linewidth=1.3, zorder=2)


def choose_statistics(result, names):
    """As asked, else those of the usual three that the file has."""
    if names:
        return [style.statistic(result, name) for name in names]
    group = "probe" if "probe" in result.file else "theory"
    found = [style.statistic(result, f"{group}/{name}") for name in DEFAULT_STATISTICS if f"{group}/{name}" in result]
    if not found:
        raise PlotError(f"{result.path}: none of {', '.join(DEFAULT_STATISTICS)} is in the file; --statistic names others")
    return found


def need_layers(result, statistics):
    for statistic in statistics:
        if statistic.short not in DERIVED and "layer" not in result.dims(statistic.name):
            raise UsageError(f"{statistic.name} has no layer axis, so it cannot be drawn against the layer")


def layer_limits(layers):
    """The range of the layer axis; a single layer gets room around it."""
    return (0.0, layers[-1] * 1.02) if len(layers) > 1 else (0.0, 2.0 * layers[-1])


def key_entries(curves, edge, symbol, has_theory, bars, only_theory):
    """Handles of the key: the colours, then what points, bars and lines are."""
    entries = [Line2D([], [], color=curve.colour, marker="o", markersize=4, linewidth=1.3, label=curve.label)
               for curve in curves]
    if not only_theory:
        what = "probe, standard error" if bars else "probe"
        entries.append(Line2D([], [], color="0.3", marker="o", markersize=4, linewidth=0, label=what))
    if has_theory:
        entries.append(Line2D([], [], color="0.3", linewidth=1.3, label="theory"))
    if edge is not None:
        entries.append(Line2D([], [], linewidth=0, label=f"critical by theory: {edge:.4g}"))
    return entries, f"${symbol}$"


def small_print(result, rows, statistics, curves, how, replicas):
    """Which mean the points are, and what was left out."""
    notes = []
    if any(not statistic.name.startswith("theory/") for statistic in statistics):
        if replicas == 1:
            notes.append("Points: one finished replica each, so there are no error bars.")
        elif any(statistic.log for statistic in statistics):
            mean = "mean of the logarithm" if how == "log" else "logarithm of the mean"
            other = " Theory is for the logarithm of the mean: --average linear." if how == "log" else ""
            notes.append(f"Points: {mean} over replicas for q and gradients, mean for correlations; "
                         f"bars: standard error.{other}")
    notes += unfinished_note(result, rows, curves)
    return notes


def unfinished_note(result, rows, curves):
    total = left_out = diverged = 0
    for row in rows:
        for curve in curves:
            status = statuses(result, (), {**row.chosen, "weight_variance": curve.index})
            if status is None:
                return []
            total += status.size
            left_out += int(np.sum(status != DONE))
            diverged += int(np.sum(status == DIVERGED))
    return [f"Left out: {left_out} of {total} networks that are not done ({diverged} diverged)."] if left_out else []


def draw(result, options):
    """The figure of `eoc-plot depth`."""
    chosen, asked = selection(result, options.select)
    if options.curves < 1:
        raise UsageError(f"--curves {options.curves}: at least one curve is needed")
    statistics = choose_statistics(result, options.statistic)
    need_layers(result, statistics)
    rows, varied = make_rows(result, chosen, asked, ("weight_variance",))
    curves, edge = make_curves(result, rows, options.curves)
    if not result.has_theory():
        print(f"eoc-plot: {result.path} has no theory group: its lines are left out", file=sys.stderr)
    return draw_panels(result, rows, varied, statistics, curves, edge, options)


def draw_panels(result, rows, varied, statistics, curves, edge, options):
    figure, panels = style.new_figure(len(rows), len(statistics), 3.9, 3.1, extra_width=1.8)
    replicas = bars = 0
    for i, row in enumerate(rows):
        layers = np.flatnonzero(result.layers <= result.axes["depth"][row.chosen["depth"]])
        x = result.layers[layers]
        log = style.wants_log(x)
        for j, statistic in enumerate(statistics):
            axes = panels[i, j]
            for k, curve in enumerate(curves):
                mean = points_of(result, row, statistic, curve, layers, options.average)
                if statistic.name.startswith("theory/"):
                    axes.plot(x, statistic.drawn(mean.value), color=curve.colour, linewidth=1.3)
                    continue
                draw_points(axes, x, mean, statistic, curve.colour, k)
                draw_theory(result, row, axes, x, statistic, curve, layers)
                replicas = max(replicas, int(mean.count.max(initial=0)))
                bars = bars or bool(np.isfinite(mean.error).any())
            finish_panel(axes, row.name, statistic, x, log)
    for axes in panels[:-1].ravel():
        axes.set_xlabel("")
    effective = all(is_effective(result, row) for row in rows)
    only_theory = all(statistic.name.startswith("theory/") for statistic in statistics)
    entries, title = key_entries(curves, edge, style.axis_symbol("weight_variance", effective),
                                 result.has_theory(), bars, only_theory)
    panels[0, -1].legend(handles=entries, title=title, loc="upper left", bbox_to_anchor=(1.02, 1.0),
                         borderaxespad=0.0, frameon=False, title_fontsize=style.SMALL + 1)
    style.add_title(figure, heading(result, options.title),
                    subtitle(result, rows, varied, ("weight_variance",), statistics))
    style.add_footnote(figure, small_print(result, rows, statistics, curves, options.average, replicas))
    return figure


def finish_panel(axes, name, statistic, x, log):
    if not log:
        axes.set_xlim(*layer_limits(x))
    elif len(x):
        axes.set_xlim(x[0] / 1.1, x[-1] * 1.1)
    style.set_scale(axes, "x", log)
    style.set_scale(axes, "y", False)
    if statistic.kind == "decades" and not statistic.log:
        axes.set_yscale("log", nonpositive="clip")
    axes.set_xlabel(style.axis_label("layer"))
    axes.set_ylabel(statistic.label("l"))
    axes.set_title(style.wrapped(name), loc="left")
    axes.grid(True, color="0.92", linewidth=0.7)
    axes.set_axisbelow(True)
