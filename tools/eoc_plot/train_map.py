# SPDX-License-Identifier: BSD-3-Clause
"""Which networks learnt, over weight variance and depth, with multiples of xi_c and the fitted one."""
import numpy as np

from . import critical, phase, prefactor, style, trained
from .errors import PlotError
from .reduce import States, average, statuses
from .result import DONE
from .rows import heading, is_effective, make_rows, subtitle

X, Y = "weight_variance", "depth"
DEFAULT_MULTIPLES = (1.0, 6.0)
FIT_COLOUR = "#d6274f"


class Column:
    """A measure of the training, at a recorded step where it has steps."""

    def __init__(self, result, name, step):
        self.statistic = trained.measure(name)
        has_steps = "step" in result.dims(self.statistic.name)
        self.step = trained.step_index(result, step) if has_steps else None
        self.after = int(trained.steps(result)[self.step]) if has_steps else None

    def label(self):
        return self.statistic.words + ("" if self.after is None else f" after {self.after} steps")


def cells(result, row, column, rate):
    """One panel's numbers: the mean over replicas of those that did not diverge."""
    values = trained.measured(result, column.statistic.name, (Y, X), row.chosen, rate, column.step)
    lost = trained.diverged(result, (Y, X), row.chosen, rate)
    status = statuses(result, (Y, X), row.chosen)
    mean = average(values, False, "linear")
    unfinished = np.zeros(mean.value.shape, bool) if status is None else ~np.any(status == DONE, axis=-1)
    any_lost = lost.any(axis=-1)
    undefined = ~np.isfinite(mean.value) & ~unfinished & ~any_lost
    return phase.Map(mean.value, States(unfinished, any_lost, undefined), int(mean.count.max(initial=0)), 0)


def reached(result, row, column, rate, wanted):
    """The trainable depth of every weight variance; a network that diverged was not trained."""
    values = trained.measured(result, column.statistic.name, (Y, X), row.chosen, rate, column.step)
    values = np.where(trained.diverged(result, (Y, X), row.chosen, rate), 0.0, values)
    accuracy = average(values, False, "linear").value
    depths = result.axes[Y][row.chosen[Y]]
    return np.array([prefactor.trainable_depth(depths, accuracy[:, k], wanted) for k in range(accuracy.shape[1])])


def factor_text(found):
    return f"{found.value:.2g} [{found.low:.2g}, {found.high:.2g}]"


def named(row):
    return f"{row.name}: " if row.name else ""


def fit_note(row, found, parts, wanted):
    """What was fitted, in words."""
    phases = "".join(f", {name} phase {factor_text(part)}" for name, part in zip(("ordered", "chaotic"), parts) if part)
    return (rf"{named(row)}Circles: depth up to which the accuracy is {wanted:g}. Fit: it is {found.value:.3g} $\xi_c$, {prefactor.LEVEL} % "
            f"interval {found.low:.3g} to {found.high:.3g} (bootstrap over {found.columns} weight variances){phases}.")


def draw_fit(axes, result, row, column, rate, wanted, limits):
    """Measured trainable depths and the fitted multiple of xi_c; the sentence about it."""
    reach = reached(result, row, column, rate, wanted)
    weight, depths = result.axes[X][row.chosen[X]], result.axes[Y][row.chosen[Y]]
    inside = (reach > depths[0]) & (reach < depths[-1])
    if not inside.any():
        return [f"{named(row)}No weight variance has depths on both sides of accuracy {wanted:g}, so nothing is fitted."]
    axes.plot(weight[inside], reach[inside], "o", markersize=4.2, markerfacecolor="white", markeredgecolor=FIT_COLOUR,
              label=f"accuracy {wanted:g}", zorder=6, linestyle="none")
    if "theory/xi_c" not in result:
        return []
    xi = phase.theory_over(result, row, "theory/xi_c", (X,))
    chi = phase.theory_over(result, row, "theory/chi_1", (X,))
    found = prefactor.fit(xi, reach, depths)
    if found is None:
        return [rf"{named(row)}Fewer than {prefactor.FEWEST} weight variances with a $\xi_c$ have depths on both sides of accuracy {wanted:g}: no fit."]
    fine, curve = critical.depth_scale_curve(weight, xi, critical.critical_values(weight, chi), critical.critical_jumps(weight, chi))
    y = found.value * curve
    axes.plot(fine, np.where(np.isfinite(y) & (y < 3 * limits[1]), y, np.nan), color=FIT_COLOUR, linewidth=1.8, zorder=5,
              label=rf"fit: {factor_text(found)} $\xi_c$", path_effects=style.halo())
    return [fit_note(row, found, prefactor.by_phase(xi, reach, depths, chi), wanted)]


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
    for axis, words in ((X, "weight variances"), (Y, "depths")):
        if len(chosen[axis]) < 2:
            raise PlotError(f"{result.path}: a map needs at least two {words} here, there is one; --show curves or times draw the rest")
    phase.warn_of_theory(result, options)
    rows, varied = make_rows(result, chosen, asked, (X, Y))
    rate = trained.rate_of(result, options.learning_rate)
    columns = [(column, [cells(result, row, column, rate) for row in rows]) for column in columns_asked_for(result, options)]
    if not any(np.isfinite(panel.values).any() or panel.states.diverged.any() for _, maps in columns for panel in maps):
        names = ", ".join(column.statistic.name for column, _ in columns)
        raise PlotError(f"{result.path}: {names} has no value in this selection, or no network is done yet")
    return draw_panels(result, rows, varied, columns, rate, options)


def draw_panels(result, rows, varied, columns, rate, options):
    figure, panels = style.new_figure(len(rows), len(columns), 6.0, 4.1)
    effective = all(is_effective(result, row) for row in rows)
    multiples = DEFAULT_MULTIPLES if options.xi is None else options.xi
    notes = []
    for j, (column, maps) in enumerate(columns):
        scale = phase.colour_scale(column.statistic, maps)
        for i, row in enumerate(rows):
            axes = panels[i, j]
            x, y = result.axes[X][row.chosen[X]], result.axes[Y][row.chosen[Y]]
            logs = style.wants_log(x), style.wants_log(y)
            x_edges, y_edges = style.cell_edges(x, logs[0]), style.cell_edges(y, logs[1])
            limits = y_edges[0], y_edges[-1]
            mesh = phase.draw_cells(axes, maps[i], column.statistic, scale, x_edges, y_edges)
            missing = phase.draw_theory(result, row, [axes], X, Y, multiples, limits, effective)
            notes += missing if j == 0 else []
            if column.statistic.kind == "correlation":
                said = draw_fit(axes, result, row, column, rate, options.trained, limits)
                notes += [f"After {column.after} steps. {note}" if len(columns) > 1 else note for note in said]
            phase.finish_panel(axes, row.name, (X, x_edges, logs[0]), (Y, y_edges, logs[1]), effective)
            draw_key(axes, row.name)
        bar = figure.colorbar(mesh, ax=list(panels[:, j]), extend=scale[2], pad=0.02, aspect=22 * len(rows))
        bar.set_label(column.label() + phase.mean_text(column.statistic, maps, "linear"))
    phase.hide_inner_labels(panels)
    style.add_title(figure, heading(result, options.title),
                    ", ".join([subtitle(result, rows, varied, (X, Y), [column.statistic for column, _ in columns]),
                               trained.rate_text(result, rate)]))
    style.add_footnote(figure, small_print(columns) + notes)
    return figure


def draw_key(axes, name):
    """The key above a panel, in as many lines as it takes, the panel's name over it."""
    handles, _ = axes.get_legend_handles_labels()
    if handles:
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncol=2, frameon=False, borderaxespad=0.1, handlelength=2.0,
                    columnspacing=1.0, handletextpad=0.5)
    axes.set_title(name, loc="left", pad=8 + 15 * ((len(handles) + 1) // 2))
