# SPDX-License-Identifier: BSD-3-Clause
"""From units to what is drawn: the right layer, the mean over replicas, the state of each cell."""
from dataclasses import dataclass

import numpy as np

from .errors import PlotError, UsageError
from .result import DIVERGED, DONE, nearest_values


def take(result, name, keep, chosen):
    """A variable over the axes of `keep`, then replica; axes that it does not have get length one."""
    values = result.read(name, chosen)
    left = [axis for axis in result.dims(name) if not isinstance(chosen.get(axis), (int, np.integer))]
    wanted = list(keep) + ["replica"]
    foreign = [axis for axis in left if axis not in wanted]
    if foreign:
        raise PlotError(f"{name} has the axis {foreign[0]}, which this picture cannot show")
    for axis in wanted:
        if axis not in left:
            values = values[..., np.newaxis]
            left.append(axis)
    return np.transpose(values, [left.index(axis) for axis in wanted])


def layer_index(result, depth_index, at_layer):
    """The index of a layer on the layer axis: a number, or the last of a depth."""
    depth = int(result.axes["depth"][depth_index])
    layer = depth if at_layer == "last" else at_layer
    matches = np.flatnonzero(result.layers == layer)
    if len(matches) == 0:
        raise UsageError(f"layer {layer} was not kept; the nearest kept layers are {nearest_values(result.layers, layer)}")
    return int(matches[0])


def at_layer(result, name, keep, chosen, layer):
    """`take` at one layer, each depth at its own last one where layer is 'last'."""
    if "layer" not in result.dims(name) or "layer" in keep:
        return take(result, name, keep, chosen)
    if "depth" not in keep:
        return take(result, name, keep, {**chosen, "layer": layer_index(result, chosen["depth"], layer)})
    others = [axis for axis in keep if axis != "depth"]
    parts = [take(result, name, others, {**chosen, "depth": int(depth), "layer": layer_index(result, depth, layer)})
             for depth in chosen["depth"]]
    return np.stack(parts, axis=list(keep).index("depth"))


def layers_below(values, shape_axis, layers, own):
    """Differences of layer numbers, shaped to divide `values` along one axis; zero where there are none."""
    shape = [1] * values.ndim
    shape[shape_axis] = -1
    return np.reshape(np.asarray(own) - np.asarray(layers), shape)


def gradient_ratio(result, keep, chosen, layer, group):
    """log of the gradient at a layer over that at the last one."""
    name = f"{group}/log_gradient_q"
    first = at_layer(result, name, keep, chosen, 1 if layer == "last" else layer)
    others = [axis for axis in keep if axis != "layer"]
    last = at_layer(result, name, others, chosen, "last")
    if "layer" in keep:
        last = np.expand_dims(last, list(keep).index("layer"))
    with np.errstate(invalid="ignore"):  # a dead network has no gradient to compare with
        return np.where(np.isneginf(last), np.nan, first - last)


def gradient_growth(result, keep, chosen, layer, group):
    """The same per layer between the two: theory says log chi_1."""
    ratio = gradient_ratio(result, keep, chosen, layer, group)
    start = 1 if layer == "last" else layer
    if "layer" in keep:
        distance = layers_below(ratio, list(keep).index("layer"), result.layers[chosen["layer"]],
                                result.axes["depth"][chosen["depth"]])
    elif "depth" in keep:
        distance = layers_below(ratio, list(keep).index("depth"), start, result.axes["depth"][chosen["depth"]])
    else:
        distance = np.array(result.axes["depth"][chosen["depth"]] - start)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(distance > 0, ratio / distance, np.nan)


DERIVED = {"gradient_ratio": gradient_ratio, "gradient_growth": gradient_growth}


def units(result, statistic, keep, chosen, layer="last"):
    """A statistic of every unit over `keep` and replica, NaN where the unit is not done, and the statuses."""
    group, _, short = statistic.name.partition("/")
    if short in DERIVED:
        values = DERIVED[short](result, keep, chosen, layer, group)
    else:
        values = at_layer(result, statistic.name, keep, chosen, layer)
    shape = tuple(1 if isinstance(chosen.get(axis), (int, np.integer)) else len(chosen[axis]) for axis in keep)
    values = np.broadcast_to(values, shape + values.shape[-1:]).astype(float)
    status = statuses(result, keep, chosen)
    if group != "theory" and status is not None:
        values = np.where(status == DONE, values, np.nan)
    return values, status if group != "theory" else None


def statuses(result, keep, chosen):
    """run/status over `keep` and replica, None where the file has none."""
    if "run/status" not in result:
        return None
    return take(result, "run/status", keep, chosen)


@dataclass
class Mean:
    """Over replicas: the mean, its standard error (NaN for one replica), how many counted."""

    value: np.ndarray
    error: np.ndarray
    count: np.ndarray


def mean_and_error(values, valid):
    """Arithmetic mean and its standard error over the last axis, of the valid entries."""
    count = valid.sum(axis=-1)
    kept = np.where(valid, values, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = kept.sum(axis=-1) / count
        spread = np.where(valid, values - mean[..., np.newaxis], 0.0)
        error = np.sqrt((spread**2).sum(axis=-1) / (count - 1) / count)
    return Mean(np.where(count > 0, mean, np.nan), np.where(count > 1, error, np.nan), count)


def log_of_mean(values, valid):
    """log of the mean of exp, with the error that the mean has, relative to it; nothing can overflow."""
    top = np.max(np.where(valid, values, -np.inf), axis=-1)
    shift = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        inner = mean_and_error(np.exp(np.where(valid, values, -np.inf) - shift[..., np.newaxis]), valid)
        return Mean(np.log(inner.value) + shift, inner.error / inner.value, inner.count)


def average(values, log, how):
    """The mean over replicas (the last axis); `how` says which mean of a logarithm is meant.

    A dead network has the log -inf. It counts in the log of the mean; in the mean of the log it would be all
    there is, so that one is over the living, and -inf where none lives.
    """
    valid = ~np.isnan(values)
    if log and how == "linear":
        return log_of_mean(values, valid)
    alive = np.isfinite(values)
    mean = mean_and_error(np.where(alive, values, 0.0), alive)
    for infinite in (-np.inf, np.inf):
        # A depth scale is +inf at criticality, without replicas to average over.
        only = (mean.count == 0) & np.any(values == infinite, axis=-1)
        mean.value = np.where(only, infinite, mean.value)
    return mean


@dataclass
class States:
    """Masks over the cells of a map."""

    unfinished: np.ndarray  # no unit of the cell is done
    diverged: np.ndarray  # at least one has diverged
    undefined: np.ndarray  # units are done, the statistic has no value: a dead network, a theory without one


def states(mean, status):
    """Why each cell is empty, from the statuses of its units; theory has no units."""
    empty = ~np.isfinite(mean) & ~(mean == np.inf)
    if status is None:
        return States(np.zeros_like(empty), np.zeros_like(empty), empty)
    unfinished = np.broadcast_to(~np.any(status == DONE, axis=-1), mean.shape)
    diverged = np.broadcast_to(np.any(status == DIVERGED, axis=-1), mean.shape)
    return States(unfinished, diverged, empty & ~unfinished)
