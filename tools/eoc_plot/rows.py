# SPDX-License-Identifier: BSD-3-Clause
"""Which points of the grid share a picture: a row of panels for each, and the words for them."""
import itertools
import sys
from dataclasses import dataclass, field

import numpy as np

from .result import NAME_AXES, POINT_AXES
from .style import plain_text, replica_text, value_text

MOST_ROWS = 6


@dataclass
class Row:
    """One value on every axis that the panels do not show."""

    chosen: dict  # axis -> index, or indices for the axes shown and for replica
    name: str = ""
    fixed: list = field(default_factory=list)


def default_index(axis, indices):
    """Of several values that nobody chose from: the greatest size, the first variance."""
    return indices[-1] if axis in ("width", "depth") else indices[0]


def make_rows(result, chosen, asked, shown):
    """The rows of a picture whose panels show the axes `shown`, and the axes in which rows differ."""
    varied = [axis for axis in POINT_AXES if axis not in shown and len(chosen[axis]) > 1
              and (axis in NAME_AXES or axis in asked)]
    rows = []
    for values in itertools.product(*(chosen[axis] for axis in varied)):
        own = dict(zip(varied, values))
        indices = {axis: chosen[axis] for axis in (*shown, "replica") if axis in chosen}
        for axis in POINT_AXES:
            if axis not in shown:
                indices[axis] = int(own.get(axis, default_index(axis, chosen[axis])))
        name = ", ".join(value_text(axis, result.axes[axis][index]) for axis, index in own.items())
        rows.append(Row(indices, name))
    if len(rows) > MOST_ROWS:
        print(f"eoc-plot: the first {MOST_ROWS} of {len(rows)} combinations of {' and '.join(varied)} are drawn; "
              "--select AXIS=VALUE chooses others", file=sys.stderr)
    return rows[:MOST_ROWS], varied


def subtitle(result, rows, varied, shown, statistics):
    """What all panels have in common: activation, width, depth, variances, replicas."""
    chosen = rows[0].chosen
    parts = []
    for axis in POINT_AXES:
        value = result.axes[axis][chosen[axis]] if axis not in shown else None
        if axis in shown or axis in varied or (axis == "architecture" and value == "fully_connected"):
            continue
        parts.append(value_text(axis, value))
    if any(not statistic.name.startswith("theory/") for statistic in statistics):
        parts.append(replica_text(len(chosen["replica"])))
    return ", ".join(parts)


def heading(result, title):
    return title if title is not None else plain_text(result.title)


def is_effective(result, row):
    """Whether the axis weight_variance is sigma_w^2 itself here: not for an initializer with a scale of its own."""
    if "run/effective_weight_variance" not in result:
        return True
    # The depth changes nothing, and the points of one depth may not have been begun.
    chosen = {**row.chosen, "weight_variance": np.arange(len(result.axes["weight_variance"]))}
    for axis in ("depth", "bias_variance"):
        chosen[axis] = slice(None)
    values = result.read("run/effective_weight_variance", chosen)
    dims = [axis for axis in result.dims("run/effective_weight_variance") if not isinstance(chosen[axis], (int, np.integer))]
    values = np.moveaxis(values, dims.index("weight_variance"), -1)
    return not np.any(np.abs(values - result.axes["weight_variance"]) > 1e-9 * result.axes["weight_variance"])
