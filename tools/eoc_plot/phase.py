# SPDX-License-Identifier: BSD-3-Clause
"""The phase diagram: statistics over the weight variance and a second axis, with the theory's critical line."""
import sys
from dataclasses import dataclass

import matplotlib.colors as colors
import numpy as np
from matplotlib.collections import PolyCollection

from . import critical, style
from .errors import PlotError, UsageError, suggestion
from .reduce import average, states, take, units
from .result import DONE, NUMBER_AXES, selection
from .rows import heading, is_effective, make_rows, subtitle

MAP_AXES = NUMBER_AXES + ("layer",)
SMALLEST = 1e-16  # of 1 - c on a map: below it there is only rounding
JUMP_DASHES = (0, (3, 1, 1, 1))
XI_STYLES = ((0, (4, 2)), (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5)), (0, (2, 3)))
EXTEND = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}
UNFINISHED = dict(face="0.87", hatch="////", edge="0.55")
UNDEFINED = dict(face="0.96", hatch="....", edge="0.5")
DIVERGED = dict(face="none", hatch="xxxx", edge="black")


@dataclass
class Map:
    """One panel's numbers."""

    values: np.ndarray  # (y, x), as drawn
    states: object
    replicas: int  # the most that any cell has
    partly_dead: int  # cells of which some networks are dead and left out of the mean


def choose_axes(result, chosen, options):
    """The two axes of the map: as asked, else what the file varies."""
    x = options.x or "weight_variance"
    y = options.y
    if y is None:
        several = [axis for axis in ("bias_variance", "depth") if axis != x and len(chosen[axis]) > 1]
        y = several[0] if several else "layer"
    for axis in (x, y):
        if axis not in MAP_AXES:
            raise UsageError(f"unknown axis {axis} for a map{suggestion(axis, MAP_AXES)}")
    if x == y:
        raise UsageError(f"a map needs two different axes, both are {x}")
    return x, y


def need_two(result, axis, count):
    """A map of one column tells nothing."""
    if count >= 2:
        return
    words = {"weight_variance": "weight variances", "bias_variance": "bias variances"}.get(axis, f"{axis}s")
    raise PlotError(f"{result.path}: a map needs at least two {words} here, there is one; "
                    "eoc-plot depth draws a single point against the layer")


def axis_values(result, row, axis):
    """The coordinates of an axis of a map."""
    return (result.layers if axis == "layer" else result.axes[axis])[row.chosen[axis]]


def map_of(result, row, statistic, x, y, options):
    """The mean over replicas on the cells of one panel."""
    if "layer" in (x, y) and statistic.short not in ("gradient_ratio", "gradient_growth"):
        if "layer" not in result.dims(statistic.name):
            raise UsageError(f"{statistic.name} has no layer axis; --y depth or --y bias_variance draws it")
    values, status = units(result, statistic, (y, x), row.chosen, options.at_layer)
    mean = average(values, statistic.log, options.average)
    return Map(statistic.drawn(mean.value), states(mean.value, status), int(mean.count.max(initial=0)),
               partly_dead(values, status, mean))


def partly_dead(values, status, mean):
    """In how many cells with a value some finished networks don't count."""
    if status is None:
        return 0
    done = np.sum(np.broadcast_to(status == DONE, values.shape), axis=-1)
    return int(np.sum((mean.count < done) & np.isfinite(mean.value)))


def any_value(maps):
    return any(np.isfinite(panel.values).any() for panel in maps)


def nearly_all_correlated(maps):
    """Whether c is so near 1 on most cells that its map would be one colour."""
    values = np.concatenate([panel.values.ravel() for panel in maps])
    values = values[np.isfinite(values)]
    return len(values) > 0 and np.mean(values > 0.95) > 0.6


def default_statistics(result, has_layers, maps_for):
    """A forward statistic and a gradient, of those that the file has values for; maps_for computes a column."""
    group = "probe" if "probe" in result.file else "theory"
    columns = []
    for name in ("c", "log_q"):
        if f"{group}/{name}" not in result:
            continue
        column = maps_for(f"{group}/{name}")
        if not any_value(column[1]):
            continue
        if name == "c" and f"{group}/one_minus_c" in result and nearly_all_correlated(column[1]):
            column = maps_for(f"{group}/one_minus_c")
        columns.append(column)
        break
    if f"{group}/log_gradient_q" in result:
        column = maps_for(f"{group}/{'gradient_ratio' if has_layers else 'gradient_growth'}")
        if any_value(column[1]):
            columns.append(column)
    return columns


def has_values(columns):
    return any(np.any(np.isfinite(panel.values) | (panel.values == np.inf)) for _, maps in columns for panel in maps)


def complain_of_nothing(result, columns):
    """No panel has a value: say why."""
    if has_values(columns):
        return
    if columns and not all(panel.states.unfinished.all() for _, maps in columns for panel in maps):
        names = ", ".join(statistic.name for statistic, _ in columns)
        raise PlotError(f"{result.path}: {names} has no value in this selection")
    if not columns and ("run/status" not in result or np.any(result.file["run/status"][()] == DONE)):
        raise PlotError(f"{result.path}: c, log_q and log_gradient_q have no value in this selection; "
                        "--statistic names others")
    raise PlotError(f"{result.path}: no network of this selection is done yet")


def reach_around(centre, low, high):
    """How far a diverging scale goes to both sides, and which ends lie beyond.

    Equal steps have equal colours on both sides, so a side that goes much further than the other is cut off: else
    the transition would drown.
    """
    below, above = max(centre - low, 0.0), max(high - centre, 0.0)
    longer, shorter = max(below, above), min(below, above)
    reach = min(longer, max(2.5 * shorter, 0.4 * longer)) or 1.0
    slack = reach * (1 + 1e-9)
    return reach, EXTEND[below > slack, above > slack]


def colour_scale(statistic, maps):
    """Norm, colour map and which ends the colour bar leaves open, common to a column of panels."""
    values = np.concatenate([panel.values.ravel() for panel in maps])
    infinite = np.any(values == np.inf)
    values = values[np.isfinite(values)]
    low, high = (values.min(), values.max()) if len(values) else (0.0, 1.0)
    upper = "max" if infinite else "neither"
    if statistic.kind == "correlation":
        return colors.Normalize(min(0.0, low), 1.0), "viridis", upper
    if statistic.kind in ("growth", "around_one"):
        centre = 1.0 if statistic.kind == "around_one" else 0.0
        reach, upper = reach_around(centre, low, high)
        return colors.Normalize(centre - reach, centre + reach), "RdBu_r", upper
    if statistic.kind == "decades" and high > SMALLEST:
        positive = values[values > SMALLEST]
        bottom = min(positive.min(), high / 1.0001)
        # 1 - c is small where c is near 1: the same end of the colours as on a map of c.
        lower = np.any(values < bottom)
        return (colors.LogNorm(bottom, high), "viridis" if statistic.short.startswith("xi") else "viridis_r",
                EXTEND[bool(lower), bool(infinite)])
    if low == high:
        low, high = low - 0.5, high + 0.5
    return colors.Normalize(low, high), "viridis", upper


def runs(mask):
    """Start and stop of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(int), [0]])))
    return zip(edges[::2], edges[1::2])


def hatch_cells(axes, x_edges, y_edges, mask, face, hatch, edge):
    """Mark cells; neighbours in a column become one patch, so that a picture stays small."""
    boxes = [[(x_edges[i], y_edges[a]), (x_edges[i + 1], y_edges[a]),
              (x_edges[i + 1], y_edges[b]), (x_edges[i], y_edges[b])]
             for i in range(mask.shape[1]) for a, b in runs(mask[:, i])]
    if boxes:
        axes.add_collection(PolyCollection(boxes, facecolor=face, hatch=hatch, edgecolor=edge, linewidth=0, zorder=2))


def draw_cells(axes, panel, statistic, scale, x_edges, y_edges):
    norm, colour_map, _ = scale
    values = np.where(panel.values == np.inf, 2 * abs(norm.vmax) + 1, panel.values)  # drawn as beyond the scale
    if isinstance(norm, colors.LogNorm):
        # Zero or less has no place on a logarithmic scale, and belongs to its lower end.
        values = np.where(values < norm.vmin, norm.vmin * 0.5, values)
    mesh = axes.pcolormesh(x_edges, y_edges, np.ma.masked_invalid(values), norm=norm, cmap=colour_map,
                           shading="flat", rasterized=True, zorder=1)
    hatch_cells(axes, x_edges, y_edges, panel.states.unfinished, **UNFINISHED)
    hatch_cells(axes, x_edges, y_edges, panel.states.undefined, **UNDEFINED)
    hatch_cells(axes, x_edges, y_edges, panel.states.diverged, **DIVERGED)
    return mesh


def theory_over(result, row, name, keep):
    """A number of the theory over two axes; all depths are looked at, for it is the same at each."""
    chosen = {**row.chosen, "depth": np.arange(len(result.axes["depth"]))}
    chosen.pop("layer", None)
    order = [axis for axis in keep if axis not in ("depth", "layer")] + ["depth"]
    values = take(result, name, order, chosen)[..., 0]
    return critical.first_finite(values, -1)


def critical_lines(result, row, other, find):
    """What `find` finds, as (weight variances, values of the other axis or None where the line is straight)."""
    x = axis_values(result, row, "weight_variance")
    if other in ("depth", "layer"):
        return [(found, None) for found in find(x, theory_over(result, row, "theory/chi_1", ("weight_variance",)))]
    chi = theory_over(result, row, "theory/chi_1", (other, "weight_variance"))
    return [(branch, axis_values(result, row, other)) for branch in critical.critical_branches(x, chi, find)]


def line_name(what, lines, effective):
    """The words of the key, with the place where a line has one."""
    places = ", ".join(f"{weight:.4g}" for weight, other in lines if other is None)
    symbol = style.axis_symbol("weight_variance", effective)
    return f"theory: {what}" + (f" at ${symbol} = {places}$" if places else "")


def draw_lines(axes, lines, name, weight_is_x, dashes):
    for k, (weight, other) in enumerate(lines):
        keys = dict(color="black", linewidth=1.6, linestyle=dashes, zorder=4, label=name if k == 0 else None,
                    path_effects=style.halo())
        if other is None:
            (axes.axvline if weight_is_x else axes.axhline)(weight, **keys)
        else:
            keys.update(marker="o", markersize=2.6)  # the line is known at the values of the other axis only
            axes.plot(*((weight, other) if weight_is_x else (other, weight)), **keys)


def factor_text(multiple):
    """The factor before a symbol, none for 1."""
    return "" if multiple == 1 else f"{style.number(multiple)}\\,"


def draw_depth_scales(axes, curve, multiples, limits, symbol=r"\xi_c"):
    """Multiples of a depth scale against what is on the x axis, where they come into the picture."""
    weight, xi = curve
    for multiple, dashes in zip(multiples, XI_STYLES * len(multiples)):
        y = multiple * xi
        inside = (y >= limits[0]) & (y <= limits[1])
        if not inside.any():
            continue
        # One point beyond the edge stays, so that a line reaches it.
        near = inside | np.roll(inside, 1) | np.roll(inside, -1)
        axes.plot(weight, np.where(near & np.isfinite(y), y, np.nan), color="black", linewidth=1.2, linestyle=dashes,
                  label=rf"${factor_text(multiple)}{symbol}$", zorder=4, path_effects=style.halo(width=2.6))


def poles_of_xi(result, row, critical_weights):
    """Where xi_c diverges: at chi_1 = 1, unless something keeps inputs apart on its ordered side too, as dropout does."""
    if "theory/c_star" not in result:
        return critical_weights
    weight = axis_values(result, row, "weight_variance")
    chi = theory_over(result, row, "theory/chi_1", ("weight_variance",))
    c_star = theory_over(result, row, "theory/c_star", ("weight_variance",))
    alike = (chi < 1) & (np.abs(c_star - 1) < 1e-9) | np.isnan(c_star)
    return [root for root in critical_weights if alike[np.argmin(np.where(chi < 1, np.abs(weight - root), np.inf))]]


def draw_theory(result, row, all_axes, x, y, multiples, limits, effective):
    """The lines of the theory on the panels of a row; sentences for the small print."""
    if "weight_variance" not in (x, y) or "theory/chi_1" not in result:
        return []
    other = y if x == "weight_variance" else x
    lines = critical_lines(result, row, other, critical.critical_values)
    jumps = critical_lines(result, row, other, critical.critical_jumps)
    for axes in all_axes:
        draw_lines(axes, lines, line_name(r"$\chi_1 = 1$", lines, effective), x == "weight_variance", "-")
        draw_lines(axes, jumps, line_name(r"$\chi_1$ jumps past 1", jumps, effective), x == "weight_variance", JUMP_DASHES)
    if x == "weight_variance" and y in ("depth", "layer") and multiples and "theory/xi_c" in result:
        xi = theory_over(result, row, "theory/xi_c", ("weight_variance",))
        curve = critical.depth_scale_curve(axis_values(result, row, x), xi, poles_of_xi(result, row, [root for root, _ in lines]),
                                           [jump for jump, _ in jumps])
        for axes in all_axes:
            draw_depth_scales(axes, curve, multiples, limits)
    return [] if lines or jumps else [no_line_note(result, row, (x, y))]


def no_line_note(result, row, keep):
    """Why a panel has no critical line."""
    chi = theory_over(result, row, "theory/chi_1", keep)
    where = f"{row.name}: " if row.name else ""
    if np.isnan(chi).all():
        return rf"Theory, {where}$\chi_1$ has no value here, so there is no critical line."
    if np.nanmax(np.abs(chi - 1)) < 1e-9:
        return rf"Theory, {where}$\chi_1$ is 1 all over this grid."
    return rf"Theory, {where}$\chi_1$ does not cross 1 on this grid ({np.nanmin(chi):.3g} to {np.nanmax(chi):.3g})."


def default_multiples(options, y):
    if options.xi is not None:
        return options.xi
    return (1.0,) if y in ("depth", "layer") else ()


def warn_of_theory(result, options):
    if "theory/chi_1" in result:
        return
    if options.xi:
        raise PlotError(f"{result.path}: no theory group, so no depth scale for --xi")
    print(f"eoc-plot: {result.path} has no theory group: the critical line is left out", file=sys.stderr)


def small_print(columns, extra):
    """What the marks mean and how many cells have them, over the rows of the picture."""
    first = columns[0][1]
    total = sum(panel.values.size for panel in first)
    sentences = []
    probes = [maps for statistic, maps in columns if not statistic.name.startswith("theory/")]
    if probes:
        unfinished = sum(int(panel.states.unfinished.sum()) for panel in probes[0])
        diverged = sum(int(panel.states.diverged.sum()) for panel in probes[0])
        if unfinished:
            sentences.append(f"Hatched: no finished network, {unfinished} of {total} cells.")
        if diverged:
            sentences.append(f"Crossed: a network has diverged, {diverged} of {total} cells.")
    undefined = max(sum(int(panel.states.undefined.sum()) for panel in maps) for _, maps in columns)
    if undefined:
        sentences.append(f"Dotted: finished, but without a value (dead networks, depth 1), {undefined} of {total} cells.")
    partly = max(sum(panel.partly_dead for panel in maps) for _, maps in columns)
    if partly:
        sentences.append(f"Dead networks (all zero) are left out of the mean, in {partly} of {total} cells.")
    return sentences + extra


def mean_text(statistic, maps, average_of):
    """Which mean a colour is, in words."""
    replicas = max(panel.replicas for panel in maps)
    if statistic.name.startswith("theory/") or replicas == 0:
        return ""
    if replicas == 1:
        return "\n(1 replica)"
    what = {"log": "mean of the log", "linear": "log of the mean"}[average_of] if statistic.log else "mean"
    return f"\n({what} over {replicas} replicas)"


def layer_symbol(x, y, options):
    if "layer" in (x, y):
        return "l"
    return "L" if options.at_layer == "last" else str(options.at_layer)


def draw_key(axes):
    """The key above a panel, under its name, where it hides nothing."""
    handles, _ = axes.get_legend_handles_labels()
    if handles:
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncol=3, frameon=False, borderaxespad=0.1,
                    handlelength=2.0, columnspacing=1.0, handletextpad=0.5)


def draw(result, options):
    """The figure of `eoc-plot phase`."""
    chosen, asked = selection(result, options.select)
    x, y = choose_axes(result, chosen, options)
    shown = [axis for axis in (x, y) if axis != "layer"]
    rows, varied = make_rows(result, chosen, asked, shown)
    if "layer" in (x, y) and options.at_layer != "last":
        raise UsageError("--at-layer is for maps without a layer axis")
    for row in rows:
        if "layer" in (x, y):
            if not isinstance(row.chosen["depth"], int):
                raise UsageError("a map over layers is of one depth; --y layer and depth do not go together")
            row.chosen["layer"] = np.flatnonzero(result.layers <= result.axes["depth"][row.chosen["depth"]])
        for axis in (x, y):
            need_two(result, axis, len(row.chosen[axis]))

    def maps_for(name):
        statistic = style.statistic(result, name)
        return statistic, [map_of(result, row, statistic, x, y, options) for row in rows]

    columns = ([maps_for(name) for name in options.statistic] if options.statistic
               else default_statistics(result, "layer" in (x, y), maps_for))
    complain_of_nothing(result, columns)
    warn_of_theory(result, options)
    return draw_panels(result, rows, varied, columns, x, y, options)


def draw_panels(result, rows, varied, columns, x, y, options):
    figure, panels = style.new_figure(len(rows), len(columns), 5.4, 3.7)
    effective = all(is_effective(result, row) for row in rows) if "weight_variance" in (x, y) else True
    scales = [colour_scale(statistic, maps) for statistic, maps in columns]
    notes = []
    for i, row in enumerate(rows):
        x_values, y_values = axis_values(result, row, x), axis_values(result, row, y)
        x_log, y_log = style.wants_log(x_values), style.wants_log(y_values)
        x_edges, y_edges = style.cell_edges(x_values, x_log), style.cell_edges(y_values, y_log)
        for j, (statistic, maps) in enumerate(columns):
            axes = panels[i, j]
            mesh = draw_cells(axes, maps[i], statistic, scales[j], x_edges, y_edges)
            if i == len(rows) - 1:
                bar = figure.colorbar(mesh, ax=list(panels[:, j]), extend=scales[j][2], pad=0.02, aspect=22 * len(rows))
                bar.set_label(statistic.label(layer_symbol(x, y, options)) + mean_text(statistic, maps, options.average))
        notes += draw_theory(result, row, panels[i], x, y, default_multiples(options, y),
                             (y_edges[0], y_edges[-1]), effective)
        for axes in panels[i]:
            finish_panel(axes, row.name, (x, x_edges, x_log), (y, y_edges, y_log), effective)
        draw_key(panels[i, 0])
    hide_inner_labels(panels)
    style.add_title(figure, heading(result, options.title),
                    subtitle(result, rows, varied, (x, y), [statistic for statistic, _ in columns]))
    style.add_footnote(figure, small_print(columns, notes))
    return figure


def finish_panel(axes, name, x, y, effective):
    (x_axis, x_edges, x_log), (y_axis, y_edges, y_log) = x, y
    axes.set_xlim(x_edges[0], x_edges[-1])
    axes.set_ylim(y_edges[0], y_edges[-1])
    style.set_scale(axes, "x", x_log)
    style.set_scale(axes, "y", y_log)
    axes.set_xlabel(style.axis_label(x_axis, effective))
    axes.set_ylabel(style.axis_label(y_axis, effective))
    # The room under the name is for the key.
    axes.set_title(style.wrapped(name), loc="left", pad=24 if axes.get_legend_handles_labels()[0] else 6)


def hide_inner_labels(panels):
    for axes in panels[:-1].ravel():
        axes.set_xlabel("")
    for axes in panels[:, 1:].ravel():
        axes.set_ylabel("")
