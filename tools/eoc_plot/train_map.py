# SPDX-License-Identifier: BSD-3-Clause
"""Which networks learnt, over weight variance or learning rate and depth, with multiples of their depth scale and the fitted one."""
import numpy as np

from . import critical, depth_scale, phase, prefactor, style, trained
from .errors import PlotError
from .reduce import States, average, statuses
from .result import DONE
from .rows import heading, is_effective, make_rows, subtitle

WEIGHT, RATE, Y = "weight_variance", "learning_rate", "depth"
FIT_COLOUR = "#d6274f"


def choose_x(result, chosen, options):
    """The learning rate where only that varies beside the depth."""
    several = options.learning_rate == trained.BEST and len(trained.rates(result)) > 1
    return RATE if several and len(chosen[WEIGHT]) == 1 else WEIGHT


def x_values(result, row, x):
    return trained.rates(result) if x == RATE else result.axes[x][row.chosen[x]]


def theory_axes(x):
    """Theory knows no learning rate."""
    return (WEIGHT,) if x == WEIGHT else ()


class Column:
    """A measure of the training, at a recorded step where it has steps."""

    def __init__(self, result, name, step):
        self.statistic = trained.measure(name)
        has_steps = "step" in result.dims(self.statistic.name)
        self.step = trained.step_index(result, step) if has_steps else None
        self.after = int(trained.steps(result)[self.step]) if has_steps else None

    def label(self):
        return self.statistic.words + ("" if self.after is None else f" after {self.after} steps")


def over(result, x, rate, take):
    """take(keep, rate) over depth and x."""
    if x == WEIGHT:
        return take((Y, WEIGHT), rate)
    return np.stack([take((Y,), k) for k in range(len(trained.rates(result)))], axis=1)


def cells(result, row, x, column, rate):
    """One panel's numbers: the mean over replicas of those that did not diverge."""
    values = over(result, x, rate, lambda keep, k: trained.measured(result, column.statistic.name, keep, row.chosen, k, column.step))
    lost = over(result, x, rate, lambda keep, k: trained.diverged(result, keep, row.chosen, k))
    mean = average(values, False, "linear")
    status = statuses(result, (Y, *theory_axes(x)), row.chosen)
    if status is None:
        unfinished = np.zeros(mean.value.shape, bool)
    else:
        unfinished = np.broadcast_to(~np.any(status == DONE, axis=-1).reshape(len(status), -1), mean.value.shape)
    any_lost = lost.any(axis=-1)
    undefined = ~np.isfinite(mean.value) & ~unfinished & ~any_lost
    return phase.Map(mean.value, States(unfinished, any_lost, undefined), int(mean.count.max(initial=0)), 0)


def reached(result, row, x, column, rate, wanted):
    """The trainable depth of every column; a network that diverged was not trained."""
    values = over(result, x, rate, lambda keep, k: trained.trained_or_zero(result, column.statistic.name, keep, row.chosen, k, column.step))
    accuracy = average(values, False, "linear").value
    depths = result.axes[Y][row.chosen[Y]]
    return np.array([prefactor.trainable_depth(depths, accuracy[:, k], wanted) for k in range(accuracy.shape[1])])


def factor_text(found):
    return f"{found.value:.2g} [{found.low:.2g}, {found.high:.2g}]"


def named(row):
    return f"{row.name}: " if row.name else ""


def fit_note(row, scale, found, parts, wanted):
    """What was fitted, in words."""
    phases = "".join(f", {name} phase {factor_text(part)}" for name, part in zip(("ordered", "chaotic"), parts) if part)
    return (rf"{named(row)}Circles: depth up to which the accuracy is {wanted:g}. Fit: it is {found.value:.3g} ${scale.kind.symbol}$, "
            rf"{prefactor.LEVEL} % interval {found.low:.3g} to {found.high:.3g} (bootstrap over {found.columns} weight variances){phases}.")


def draw_fit(axes, result, row, x, scale, column, rate, wanted, limits):
    """Measured trainable depths and, over weight variances, the fitted multiple of the scale; the sentences about them."""
    reach = reached(result, row, x, column, rate, wanted)
    depths = result.axes[Y][row.chosen[Y]]
    inside = (reach > depths[0]) & (reach < depths[-1])
    if not inside.any():
        words = "learning rate" if x == RATE else "weight variance"
        return [f"{named(row)}No {words} has depths on both sides of accuracy {wanted:g}, so nothing is fitted."]
    axes.plot(x_values(result, row, x)[inside], reach[inside], "o", markersize=4.2, markerfacecolor="white", markeredgecolor=FIT_COLOUR,
              label=f"accuracy {wanted:g}", zorder=6, linestyle="none")
    if x == RATE:
        best = trained.reach(result, row, column.statistic.name, column.step, wanted)
        return trained.reach_notes(result, [(row.name, best, scale)], wanted)
    return draw_fitted(axes, result, row, scale, reach, wanted, limits)


def draw_fitted(axes, result, row, scale, reach, wanted, limits):
    if not scale.is_known:
        return []
    weight, depths = result.axes[WEIGHT][row.chosen[WEIGHT]], result.axes[Y][row.chosen[Y]]
    found = prefactor.fit(scale.values, reach, depths)
    if found is None:
        return [rf"{named(row)}Fewer than {prefactor.FEWEST} weight variances with a ${scale.kind.symbol}$ have depths on both sides of "
                f"accuracy {wanted:g}: no fit."]
    fine, curve, parts = weight, scale.values, []
    if scale.kind is depth_scale.CORRELATION:
        chi = phase.theory_over(result, row, "theory/chi_1", (WEIGHT,))
        parts = prefactor.by_phase(scale.values, reach, depths, chi)
        poles = phase.poles_of_xi(result, row, critical.critical_values(weight, chi))
        fine, curve = critical.depth_scale_curve(weight, scale.values, poles,
                                                 critical.critical_jumps(weight, chi))
    y = found.value * curve
    axes.plot(fine, np.where(np.isfinite(y) & (y < 3 * limits[1]), y, np.nan), color=FIT_COLOUR, linewidth=1.8, zorder=5,
              label=rf"fit: {factor_text(found)} ${scale.kind.symbol}$", path_effects=style.halo())
    return [fit_note(row, scale, found, parts, wanted)]


def draw_theory(axes, result, row, x, scale, options, x_edges, limits, effective):
    """Multiples of the depth scale, and the critical line where there is one; sentences for the small print."""
    multiples = scale.kind.multiples if options.xi is None else options.xi
    if x == WEIGHT and scale.kind is depth_scale.CORRELATION:
        return phase.draw_theory(result, row, [axes], x, Y, multiples, limits, effective)
    where = x_edges[[0, -1]] if x == RATE else x_values(result, row, x)
    phase.draw_depth_scales(axes, (where, np.broadcast_to(scale.values, where.shape)), multiples, limits, scale.kind.symbol)
    return []


def small_print(columns):
    """What the marks mean and how many cells have them."""
    first = columns[0][1]
    total = sum(panel.values.size for panel in first)
    notes = []
    for name, words in (("unfinished", "Hatched: no finished network"), ("diverged", "Crossed: a training diverged")):
        count = sum(int(getattr(panel.states, name).sum()) for panel in first)
        if count:
            notes.append(f"{words}, {count} of {total} cells.")
    undefined = max(sum(int(panel.states.undefined.sum()) for panel in maps) for _, maps in columns)
    if undefined:
        notes.append(f"Dotted: no value (the threshold was not reached, or no labels), {undefined} of {total} cells.")
    return notes


def columns_asked_for(result, options):
    names = options.statistic or ["accuracy" if np.isfinite(result.file["train/final_accuracy"][()]).any() else "loss"]
    columns = []
    for name in names:
        for step in options.step or [None]:
            column = Column(result, name, step)
            if column.after is not None or not any(c.statistic == column.statistic for c in columns):
                columns.append(column)
    return columns


def draw(result, chosen, asked, options):
    """The figure of `eoc-plot train --show map`."""
    x = choose_x(result, chosen, options)
    for axis, words in ((WEIGHT, "weight variances"), (Y, "depths")):
        if axis in (x, Y) and len(chosen[axis]) < 2:
            raise PlotError(f"{result.path}: a map needs at least two {words} here, there is one; --show curves or times draw the rest")
    phase.warn_of_theory(result, options)
    rows, varied = make_rows(result, chosen, asked, (*theory_axes(x), Y))
    rate = trained.rate_of(result, options.learning_rate)
    columns = [(column, [cells(result, row, x, column, rate) for row in rows]) for column in columns_asked_for(result, options)]
    if not any(np.isfinite(panel.values).any() or panel.states.diverged.any() for _, maps in columns for panel in maps):
        names = ", ".join(column.statistic.name for column, _ in columns)
        raise PlotError(f"{result.path}: {names} has no value in this selection, or no network is done yet")
    return draw_panels(result, rows, varied, x, columns, rate, options)


def draw_panels(result, rows, varied, x, columns, rate, options):
    figure, panels = style.new_figure(len(rows), len(columns), 6.0, 4.1)
    effective = all(is_effective(result, row) for row in rows) if x == WEIGHT else True
    scales = [depth_scale.find(result, row, theory_axes(x)) for row in rows]
    notes = depth_scale.notes([(row.name, scale) for row, scale in zip(rows, scales)])
    for j, (column, maps) in enumerate(columns):
        colours = phase.colour_scale(column.statistic, maps)
        for i, row in enumerate(rows):
            axes = panels[i, j]
            xs, y = x_values(result, row, x), result.axes[Y][row.chosen[Y]]
            logs = x == RATE or style.wants_log(xs), style.wants_log(y)
            x_edges, y_edges = style.cell_edges(xs, logs[0]), style.cell_edges(y, logs[1])
            limits = y_edges[0], y_edges[-1]
            mesh = phase.draw_cells(axes, maps[i], column.statistic, colours, x_edges, y_edges)
            said = draw_theory(axes, result, row, x, scales[i], options, x_edges, limits, effective)
            notes += said if j == 0 else []
            if column.statistic.kind == "correlation":
                said = draw_fit(axes, result, row, x, scales[i], column, rate, options.trained, limits)
                notes += [f"After {column.after} steps. {note}" if len(columns) > 1 else note for note in said]
            phase.finish_panel(axes, row.name, (x, x_edges, logs[0]), (Y, y_edges, logs[1]), effective)
            draw_key(axes, row.name)
        bar = figure.colorbar(mesh, ax=list(panels[:, j]), extend=colours[2], pad=0.02, aspect=22 * len(rows))
        bar.set_label(column.label() + phase.mean_text(column.statistic, maps, "linear"))
    phase.hide_inner_labels(panels)
    fixed = subtitle(result, rows, varied, (x, Y), [column.statistic for column, _ in columns])
    style.add_title(figure, heading(result, options.title), fixed if x == RATE else f"{fixed}, {trained.rate_text(result, rate)}")
    style.add_footnote(figure, small_print(columns) + notes)
    return figure


def draw_key(axes, name):
    """The key above a panel, in as many lines as it takes, the panel's name over it."""
    handles, _ = axes.get_legend_handles_labels()
    if handles:
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncol=2, frameon=False, borderaxespad=0.1, handlelength=2.0,
                    columnspacing=1.0, handletextpad=0.5)
    axes.set_title(style.wrapped(name), loc="left", pad=8 + 15 * ((len(handles) + 1) // 2))
