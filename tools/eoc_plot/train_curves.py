# SPDX-License-Identifier: BSD-3-Clause
"""Losses and accuracies against the step, and how long learning takes against the depth."""
import itertools
import os
import sys
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.lines import Line2D

from . import depth_scale, style, trained
from .depth import evenly
from .errors import PlotError, UsageError, suggestion
from .phase import XI_STYLES
from .reduce import average, statuses
from .result import DONE, NAME_AXES, NUMBER_AXES, POINT_AXES, Result, selection
from .rows import Row, heading, make_rows, subtitle

ALONG = ("weight_variance", "depth", "learning_rate", "initializer", "activation", "architecture", "width", "bias_variance")
MOST_CURVES = 10
NEVER_MARGIN = 1.35  # above the last step, where those that never learnt are drawn


@dataclass
class Curve:
    result: object
    chosen: dict
    rate: object  # trained.BEST or an index
    label: str
    colour: tuple


def colours_of(count, ordered):
    """Shades of one scale for numbers, different colours for names."""
    if ordered:
        return matplotlib.colormaps["viridis"](np.linspace(0.0, 0.9, count))
    return [matplotlib.colormaps["tab10"](k % 10) for k in range(count)]


def replica_axis(result):
    return np.arange(len(result.axes["replica"]))


# -- learning curves --

def choose_along(result, chosen, options):
    """The axis whose values are the curves: as asked, else the first that varies."""
    counts = {axis: len(trained.rates(result)) if axis == "learning_rate" else len(chosen[axis]) for axis in ALONG}
    if options.along is not None:
        if options.along not in counts:
            raise UsageError(f"unknown axis {options.along} for --along{suggestion(options.along, ALONG)}")
        return options.along
    if options.learning_rate != trained.BEST:
        counts["learning_rate"] = 1
    return next((axis for axis in ALONG if counts[axis] > 1), "weight_variance")


def curves_of(result, row, along, options):
    """The curves of one row of panels."""
    if along == "learning_rate":
        places = evenly(len(trained.rates(result)), options.curves)
        found = [(row.chosen, int(k), style.number(trained.rates(result)[k])) for k in places]
    else:
        indices = row.chosen[along]
        places = np.arange(len(indices)) if along in NAME_AXES else evenly(len(indices), options.curves)
        rate = trained.rate_of(result, options.learning_rate)
        found = [({**row.chosen, along: int(indices[k])}, rate, plain_value(along, result.axes[along][indices[k]])) for k in places]
    colours = colours_of(len(found), along not in NAME_AXES)
    return [Curve(result, *curve, colour) for curve, colour in zip(found, colours)]


def plain_value(axis, value):
    return style.plain_text(value) if axis in NAME_AXES else style.number(value)


def along_symbol(along):
    if along in style.AXIS_SYMBOLS:
        return f"${style.AXIS_SYMBOLS[along]}$"
    return along.replace("_", " ")


def curve_values(curve, name):
    """The mean over replicas at every recorded step."""
    return average(trained.measured(curve.result, f"train/{name}", (), curve.chosen, curve.rate), False, "linear")


def draw_curve(axes, curve, name, dashes):
    """One line with a band of the standard error; whether it has any value."""
    mean, x = curve_values(curve, name), trained.steps(curve.result)
    axes.plot(x, mean.value, color=curve.colour, linewidth=1.3, linestyle=dashes)
    if dashes == "-" and np.isfinite(mean.error).any():
        axes.fill_between(x, mean.value - mean.error, mean.value + mean.error, color=curve.colour, alpha=0.25, linewidth=0)
    return bool(np.isfinite(mean.value).any())


def measures_asked_for(result, options):
    """Names without test_, each a column of panels."""
    if options.statistic:
        names = [trained.measure(name).short.removeprefix("test_") for name in options.statistic]
        if "learning_time" in names:
            raise UsageError("learning_time is not recorded by step; --show times draws it")
        return list(dict.fromkeys(names))
    return [name for name in ("accuracy", "loss") if np.isfinite(result.file[f"train/final_{name}"][()]).any()] or ["loss"]


def draw_curves(result, chosen, asked, options):
    """The figure of `eoc-plot train --show curves`."""
    if options.curves < 1:
        raise UsageError(f"--curves {options.curves}: at least one curve is needed")
    along = choose_along(result, chosen, options)
    shown = () if along == "learning_rate" else (along,)
    rows, varied = make_rows(result, chosen, asked, shown)
    names = measures_asked_for(result, options)
    figure, panels = style.new_figure(len(rows), len(names), 4.6, 3.2, extra_width=1.8)
    filled = np.zeros(panels.shape, bool)
    for i, row in enumerate(rows):
        curves = curves_of(result, row, along, options)
        for j, name in enumerate(names):
            for curve in curves:
                filled[i, j] |= draw_curve(panels[i, j], curve, name, "-")
                draw_curve(panels[i, j], curve, f"test_{name}", (0, (3, 1.5)))
            missing = "" if filled[i, j] else why_empty(curves)
            finish_curves(panels[i, j], result, row.name, name, missing)
    if not filled.any():
        every = [curve for row in rows for curve in curves_of(result, row, along, options)]
        raise PlotError(f"{result.path}: {EMPTY[why_empty(every)]}")
    entries = [Line2D([], [], color=curve.colour, linewidth=1.6, label=curve.label) for curve in curves]
    entries += [Line2D([], [], color="0.3", linewidth=1.3, linestyle=dashes, label=words)
                for dashes, words in (("-", "training set"), ((0, (3, 1.5)), "test set"))]
    panels[0, -1].legend(handles=entries, title=along_symbol(along), loc="upper left", bbox_to_anchor=(1.02, 1.0), borderaxespad=0.0,
                         frameon=False, title_fontsize=style.SMALL + 1)
    fixed = subtitle(result, rows, varied, shown, [trained.measure(name) for name in names])
    rate = [] if along == "learning_rate" else [trained.rate_text(result, trained.rate_of(result, options.learning_rate))]
    style.add_title(figure, heading(result, options.title), ", ".join([fixed, *rate]))
    style.add_footnote(figure, curve_notes(result, rows))
    for axes in panels[:-1].ravel():
        axes.set_xlabel("")
    return figure


EMPTY = {"not done yet": "no network of this selection is done yet",
         "diverged at once": "every training of this selection diverged at once",
         "not done yet, or diverged at once": "of this selection every training that is done diverged at once",
         "not measured": "none of this selection was measured"}


def why_empty(curves):
    """Why a panel of these curves has no value: a key of EMPTY."""
    done = diverged = total = 0
    for curve in curves:
        status, lost = statuses(curve.result, (), curve.chosen), trained.diverged(curve.result, (), curve.chosen, curve.rate)
        total += lost.size
        done += lost.size if status is None else int(np.sum(np.broadcast_to(status == DONE, lost.shape)))
        diverged += int(lost.sum())
    if done > diverged:
        return "not measured"
    return "not done yet" if done == 0 else "diverged at once" if done == total else "not done yet, or diverged at once"


def curve_notes(result, rows):
    notes = []
    if len(rows[0].chosen["replica"]) > 1:
        notes.append("Lines: mean over replicas; band: standard error. A training that diverged ends there.")
    return notes


def finish_curves(axes, result, name, short, missing):
    axes.set_xscale("symlog", linthresh=1.0)
    last = trained.steps(result)[-1]
    axes.set_xlim(0, last * 1.05)
    axes.xaxis.set_major_formatter(style.ticker.FuncFormatter(lambda value, _: style.number(value)))
    axes.set_xlabel("step")
    axes.set_ylabel(trained.MEASURES[short][0].removeprefix("training "))
    if missing:  # a logarithmic axis needs a value
        axes.text(0.5, 0.5, missing, transform=axes.transAxes, ha="center", va="center", color="0.4")
        axes.set_yticks([])
    elif short == "loss":
        axes.set_yscale("log", nonpositive="clip")
        style.set_scale(axes, "y", True)
    else:
        axes.set_ylim(0, 1)
    finish_panel(axes, name)


def finish_panel(axes, name):
    axes.set_title(style.wrapped(name), loc="left")
    axes.grid(True, color="0.92", linewidth=0.7)
    axes.set_axisbelow(True)


# -- learning times --

def combinations(chosen, x):
    """A point for every combination of the values that vary, but along x."""
    others = [axis for axis in POINT_AXES if axis != x]
    return [{**dict(zip(others, map(int, values))), x: chosen[x], "replica": chosen["replica"]}
            for values in itertools.product(*(chosen[axis] for axis in others))]


def median_time(times, done):
    """Median over replicas with 'never' beyond all others, and the least and greatest of those that learnt."""
    ordered = np.sort(np.where(np.isnan(times), np.inf, times), axis=-1)
    count = done.sum(axis=-1)
    ordered = np.where(done.any(axis=-1, keepdims=True), ordered, np.nan)
    # Units that are not done sort to the end with 'never' and are left out by the count.
    low = np.take_along_axis(ordered, np.maximum(count - 1, 0)[..., np.newaxis] // 2, axis=-1)[..., 0]
    high = np.take_along_axis(ordered, (count // 2)[..., np.newaxis].clip(max=ordered.shape[-1] - 1), axis=-1)[..., 0]
    learnt = np.isfinite(times).any(axis=-1)
    least = np.where(learnt, np.min(np.where(np.isnan(times), np.inf, times), axis=-1), np.nan)
    greatest = np.where(learnt, np.max(np.where(np.isnan(times), -np.inf, times), axis=-1), np.nan)
    return 0.5 * (low + high), least, greatest


def dodge(x, place, count, log):
    """Curves beside one another, so that none hides another."""
    shift = 0.006 * (place - 0.5 * (count - 1))
    return x * np.exp(shift * np.log(x[-1] / x[0])) if log else x + shift * (x[-1] - x[0])


def draw_time(axes, x, values, curve, last):
    """Median with bars from the least to the greatest; never as a triangle above the last step."""
    median, least, greatest = values
    known = np.isfinite(median)
    bars = np.array([median - least, greatest - median])[:, known].clip(min=0)
    axes.errorbar(x[known], median[known], yerr=bars if bars.any() else None, fmt="o-", color=curve.colour, markersize=4, linewidth=1.3,
                  elinewidth=0.9, capsize=2, zorder=3)
    never = np.isinf(median)
    axes.plot(x[never], np.full(never.sum(), NEVER_MARGIN * last), "^", color=curve.colour, markerfacecolor="white", markersize=5.5,
              linestyle="none", zorder=3, clip_on=False)
    return bool(never.any())


def draw_final(axes, x, curve, name, axis):
    mean = average(trained.measured(curve.result, f"train/final_{name}", (axis,), curve.chosen, curve.rate), False, "linear")
    axes.errorbar(x, mean.value, yerr=None if np.isnan(mean.error).all() else np.nan_to_num(mean.error), fmt="o-", color=curve.colour,
                  markersize=4, linewidth=1.3, elinewidth=0.9, capsize=2)


def results_beside(result, paths):
    """The files of --beside, whose trainings can be compared with those of `result`."""
    others = [Result(path) for path in paths]
    last = trained.steps(result)[-1]
    for other in others:
        trained.need_training(other)
        if trained.steps(other)[-1] != last:
            raise UsageError(f"{other.path}: trained for {trained.steps(other)[-1]} steps, {result.path} for {last}; --beside compares equal numbers")
        held = [trained.threshold(each).split() for each in (result, other)]
        if all(held) and (held[0][0], float(held[0][1])) != (held[1][0], float(held[1][1])):
            raise UsageError(f"{other.path}: learning times are to {trained.threshold(other)}, in {result.path} to {trained.threshold(result)}")
    return others


def selection_beside(other, choices):
    """What --select leaves of another file: a choice is for the axes of which it has several values."""
    return selection(other, [choice for choice in choices if len(other.axes.get(choice.partition("=")[0].strip(), (0, 0))) > 1])[0]


def times_axis(selected):
    """What learning times are drawn against."""
    return next((axis for axis in ("depth", "width", "weight_variance", "bias_variance") if len(values_of(selected, axis)) > 1), "depth")


def values_of(selected, axis):
    """The values of an axis in all files, in their order."""
    return list(dict.fromkeys(value for result, chosen in selected for value in result.axes[axis][chosen[axis]]))


def name_curves(selected, curves, varied):
    """A curve by its values of the axes that vary, in a file or between files; by its file where that does not tell."""
    for curve in curves:
        curve.label = ", ".join(style.value_text(axis, curve.result.axes[axis][curve.chosen[axis]]) for axis in varied)
    labels = [curve.label for curve in curves]
    for curve in curves:
        if len(selected) > 1 and (labels.count(curve.label) > 1 or not curve.label):
            curve.label = ": ".join(filter(None, [os.path.basename(curve.result.path), curve.label]))


def curves_of_times(selected, x, options):
    """A curve of every combination of every file, and the axes that tell them apart."""
    varied = [axis for axis in POINT_AXES if axis != x and len(values_of(selected, axis)) > 1]
    curves = []
    for result, chosen in selected:
        rate = trained.rate_of(result, options.learning_rate)
        curves += [Curve(result, point, rate, "", None) for point in combinations(chosen, x)]
    if len(curves) > MOST_CURVES:
        print(f"eoc-plot: the first {MOST_CURVES} of {len(curves)} combinations of {' and '.join(varied) or 'files'} are drawn; "
              "--select AXIS=VALUE chooses others", file=sys.stderr)
    curves = curves[:MOST_CURVES]
    name_curves(selected, curves, varied)
    for curve, colour in zip(curves, colours_of(len(curves), False)):
        curve.colour = colour
    return curves, varied


def draw_times(result, chosen, asked, options):
    """The figure of `eoc-plot train --show times`."""
    selected = [(result, chosen), *((other, selection_beside(other, options.select)) for other in results_beside(result, options.beside))]
    axis = times_axis(selected)
    assert axis in NUMBER_AXES
    curves, varied = curves_of_times(selected, axis, options)
    measured = all(np.isfinite(each.file["train/final_accuracy"][()]).any() for each, _ in selected)
    final = options.statistic or ["accuracy" if measured else "loss"]
    final = [trained.measure(name).short for name in final if trained.measure(name).short != "learning_time"]
    figure, panels = style.new_figure(1, 1 + len(final), 4.6, 3.6, extra_width=2.2 if len(curves) > 1 else 0.4)
    last = int(trained.steps(result)[-1])
    values = np.sort(values_of(selected, axis))
    log = style.wants_log(values)
    never = undone = False
    for k, curve in enumerate(curves):
        status = statuses(curve.result, (axis,), curve.chosen)
        times = trained.measured(curve.result, "train/learning_time", (axis,), curve.chosen, curve.rate)
        done = np.ones(times.shape, bool) if status is None else np.broadcast_to(status == DONE, times.shape)
        undone |= not done.all()
        x = dodge(curve.result.axes[axis][curve.chosen[axis]].astype(float), k, len(curves), log)
        never |= draw_time(panels[0, 0], x, median_time(times, done), curve, last)
        for j, name in enumerate(final):
            draw_final(panels[0, 1 + j], x, curve, name, axis)
    finish_times(result, panels[0], values, axis, log, final, last)
    lines, notes = [], times_notes(never, undone, selected)
    if axis == "depth":
        lines = draw_scales(panels[0], curves, options.xi)
        notes += scale_notes(curves, final, options.trained)
    if len(curves) > 1 or lines:
        entries = [Line2D([], [], color=c.colour, marker="o", markersize=4, linewidth=1.3, label=c.label) for c in curves if c.label]
        panels[0, -1].legend(handles=entries + lines, loc="upper left", bbox_to_anchor=(1.02, 1.0), borderaxespad=0.0, frameon=False)
    style.add_title(figure, times_heading(selected, options.title), times_subtitle(selected, axis, varied, curves))
    figure.set_figheight(figure.get_figheight() + 0.2 * max(len(notes) - 1, 0))
    style.add_footnote(figure, notes)
    return figure


def draw_scales(row, curves, multiples):
    """Multiples of the curves' depth scales across all panels, the same depth once; their entries for the key."""
    low, high = row[0].get_xlim()
    found = {}
    for curve in curves:
        for k, (depth, words) in enumerate(depth_scale.multiples_of(curve.result, curve, multiples)):
            if low <= depth <= high:
                found.setdefault((f"{depth:.4g}", words), (depth, k, curve.label))
    said = [words for _, words in found]
    entries = []
    for (_, words), (depth, k, label) in found.items():
        keys = dict(color="black", linewidth=1.2, linestyle=XI_STYLES[k % len(XI_STYLES)])
        for axes in row:
            axes.axvline(depth, zorder=2.5, **keys)
        entries.append(Line2D([], [], label=f"{words}, {label}" if said.count(words) > 1 and label else words, **keys))
    return entries


def scale_notes(curves, final, wanted):
    """What the gradient's depth scale is, and how many of it the best rates train."""
    rows = [(curve.result, Row(curve.chosen, curve.label)) for curve in curves]
    scales = [(result, row, depth_scale.find(result, row, ())) for result, row in rows]
    notes = depth_scale.notes([(row.name, scale) for _, row, scale in scales])
    if notes and "accuracy" in final and curves[0].rate == trained.BEST:
        reaches = [(row.name, trained.reach(result, row, "train/final_accuracy", None, wanted), scale) for result, row, scale in scales]
        notes += trained.reach_notes(curves[0].result, reaches, wanted)
    return notes


def times_heading(selected, title):
    """As asked; of several files their titles."""
    titles = dict.fromkeys(heading(result, title) for result, _ in selected)
    return " and ".join(filter(None, titles))


def times_subtitle(selected, axis, varied, curves):
    """What all curves have in common."""
    result, chosen = selected[0]
    parts = [style.value_text(a, result.axes[a][chosen[a][0]]) for a in POINT_AXES
             if a != axis and a not in varied and not (a == "architecture" and result.axes[a][chosen[a][0]] == "fully_connected")]
    replicas = dict.fromkeys(style.replica_text(len(own["replica"])) for _, own in selected)
    rates = dict.fromkeys(trained.rate_text(curve.result, curve.rate) for curve in curves)
    return ", ".join([*parts, " and ".join(replicas), " and ".join(rates)])


def times_notes(never, undone, selected):
    several = any(len(chosen["replica"]) > 1 for _, chosen in selected)
    last = trained.steps(selected[0][0])[-1]
    notes = ["Points: median over replicas, bars from the least to the greatest."] if several else []
    notes += dict.fromkeys(resolution_note(trained.steps(result)) for result, _ in selected)
    if never:
        notes.append(f"Triangles: not learnt in {last} steps" + (" by half of the replicas." if several else "."))
    if undone:
        notes.append("Networks that are not done yet are left out.")
    return notes + unlike_notes([result for result, _ in selected])


COMPARED = ("dataset", "preprocessing", "train_samples", "test_samples", "loss", "optimizer", "bias_rate", "batch", "clip", "readout_variance")


def unlike_notes(results):
    """In what the trainings of several files differ, beside their networks."""
    found = [trained.settings(result) for result in results]
    parts = [f"{key} {' and '.join(values)}" for key in COMPARED
             if len(values := dict.fromkeys(each.get(key, "not said") for each in found)) > 1]
    return [f"The files were not trained alike: {'; '.join(parts)}."] if parts else []


def resolution_note(steps):
    """A learning time is a recorded step: how far these lie apart."""
    positive = steps[steps > 0]
    if len(positive) < 2:
        return "Learning times are recorded steps."
    apart = np.diff(positive)
    if len(apart) > 1 and apart.max() == apart.min():
        return f"Learning times are recorded steps, {apart[0]} apart."
    ratio = (positive[1:] / positive[:-1])[len(apart) // 2:].max()  # the first ones are whole numbers near each other
    return f"Learning times are recorded steps, each up to {ratio:.3g} times the one before."


def finish_times(result, row, values, axis, log, final, last):
    held = trained.threshold(result)
    row[0].set_ylabel("learning time in steps" + (f" (to {held})" if held else ""))
    row[0].set_ylim(max(min(row[0].get_ylim()[0], 0.1 * last), 0.7), 1.7 * last)  # a decade at least
    style.set_scale(row[0], "y", True)
    for axes, name in zip(row[1:], final):
        axes.set_ylabel(f"{trained.MEASURES[name][0]} after {last} steps")
        if name.endswith("loss"):
            style.set_scale(axes, "y", True)
        else:
            axes.set_ylim(0, 1)
    for axes in row:
        axes.set_xlim(*(style.cell_edges(values, log)[[0, -1]] if len(values) > 1 else (0, 2 * values[0])))
        style.set_scale(axes, "x", log)
        axes.set_xlabel(style.axis_label(axis))
        finish_panel(axes, "")
