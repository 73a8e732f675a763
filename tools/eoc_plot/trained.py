# SPDX-License-Identifier: BSD-3-Clause
"""The training of every unit: a variable of the group train at one learning rate, or at each network's own best."""
import re

import numpy as np

from . import prefactor
from .errors import PlotError, UsageError, suggestion
from .reduce import average, statuses, take
from .result import DONE, as_text, index_of_number
from .style import Statistic

BEST = "best"

# words, kind of colour scale
MEASURES = {
    "accuracy": ("training accuracy", "correlation"),
    "test_accuracy": ("test accuracy", "correlation"),
    "loss": ("training loss", "decades"),
    "test_loss": ("test loss", "decades"),
    "learning_time": ("learning time in steps", "decades"),
}


def need_training(result):
    if "train/final_loss" not in result:
        raise PlotError(f"{result.path}: no group train, the sweep did not train")


def measure(name):
    """A variable of the group train as users name it."""
    short = name.removeprefix("train/").removeprefix("final_")
    if short not in MEASURES:
        raise UsageError(f"unknown measure {name} of a training{suggestion(short, MEASURES)}")
    words, kind = MEASURES[short]
    return Statistic(f"train/{short}", words, "", kind, False)


def rates(result):
    return np.atleast_1d(result.file["learning_rate"][()])


def steps(result):
    return np.atleast_1d(result.file["step"][()])


def rate_of(result, wanted):
    """BEST, or the index of a learning rate."""
    return BEST if wanted == BEST else index_of_number("learning_rate", rates(result), wanted)


def step_index(result, wanted):
    """The place of the recorded step nearest to one, in ratio; the last for None."""
    recorded = steps(result)
    if wanted is None:
        return len(recorded) - 1
    return int(np.argmin(np.abs(np.log(np.maximum(recorded, 0.5) / max(wanted, 0.5)))))


def sweep_of(result):
    return as_text(result.file["provenance/sweep"][()]) if "provenance/sweep" in result else ""


def settings(result):
    """The sweep's keys of training as the file has them, a line each; none where it does not say."""
    _, _, text = sweep_of(result).partition("\ntrain:\n")
    return dict(re.findall(r"^  (\w+): (.+)$", text, re.MULTILINE))


def threshold(result):
    """What learning_time waits for, in words of the sweep: 'accuracy 0.9'; empty where the file does not say."""
    found = re.search(r"^\s*threshold:\s*['\"]?((?:accuracy|loss)\s+[-+.\deE]+)", sweep_of(result), re.MULTILINE)
    return found.group(1) if found else ""


def probed_batch(result):
    """The number of inputs that theory's normalization over a batch is of; None where the file does not say."""
    found = re.search(r"^\s*points: (\d+)$", sweep_of(result).partition("\ntrain:\n")[0], re.MULTILINE)
    return int(found.group(1)) if found else None


def chosen_rates(result, keep, chosen, rate):
    """The index of the learning rate of every unit over `keep` and replica; -1 where none was stable."""
    best = take(result, "train/best_learning_rate", keep, chosen)
    if rate != BEST:
        return np.full(best.shape, rate)
    nearest = np.argmin(np.abs(best[..., np.newaxis] - rates(result)), axis=-1)
    return np.where(np.isnan(best), -1, nearest)


def measured(result, name, keep, chosen, rate, step=None):
    """A variable over `keep`, step where it has one and none is given, and replica; NaN: not done, or no value."""
    tail = ("step",) if "step" in result.dims(name) and step is None else ()
    place = chosen if step is None else {**chosen, "step": step}
    values = take(result, name, (*keep, "learning_rate", *tail), place).astype(float)
    index = chosen_rates(result, keep, chosen, rate)
    status = statuses(result, keep, chosen)
    usable = index >= 0 if status is None else (index >= 0) & (status == DONE)
    for _ in tail:  # the units have no step
        index, usable = index[..., np.newaxis, :], usable[..., np.newaxis, :]
    along = len(keep)
    found = np.take_along_axis(values, np.maximum(np.expand_dims(index, along), 0), axis=along)
    return np.where(usable, np.squeeze(found, axis=along), np.nan)


def diverged(result, keep, chosen, rate):
    """Which finished units diverged at their learning rate; with BEST, at every one."""
    index = chosen_rates(result, keep, chosen, rate)
    status = statuses(result, keep, chosen)
    done = np.ones(index.shape, bool) if status is None else status == DONE
    if rate == BEST:
        return done & (index < 0)
    return done & (measured(result, "train/divergence_step", keep, chosen, rate) >= 0)


def trained_or_zero(result, name, keep, chosen, rate, step=None):
    """`measured`, 0 for a training that diverged: it was not trained."""
    return np.where(diverged(result, keep, chosen, rate), 0.0, measured(result, name, keep, chosen, rate, step))


def reach(result, row, name, step, wanted):
    """Up to which depth the best rates train; NaN where that is not inside the file."""
    accuracy = average(trained_or_zero(result, name, ("depth",), row.chosen, BEST, step), False, "linear").value
    depths = result.axes["depth"][row.chosen["depth"]]
    found = prefactor.trainable_depth(depths, accuracy, wanted)
    return found if depths[0] < found < depths[-1] else np.nan


def reach_notes(result, named, wanted):
    """A sentence about the (name, depth, scale) of each network, where the depth is known: in layers and in the depth scale."""
    parts = []
    for name, depth, scale in named:
        if np.isfinite(depth):
            share = rf" ({depth / scale.values:.3g}$\,{scale.kind.symbol}$)" if scale.is_known else ""
            parts.append(f"{name + ': ' if name else ''}{depth:.3g} layers{share}")
    best = ", at the best learning rate of each depth" if len(rates(result)) > 1 else ""
    return [f"Accuracy {wanted:g} is reached{best + ',' if best else ''} up to {'; '.join(parts)}."] if parts else []


def rate_text(result, rate):
    """Which learning rate a picture is of, in words."""
    values = rates(result)
    if rate != BEST or len(values) == 1:
        return f"learning rate {values[0 if rate == BEST else rate]:.6g}"
    return f"the best of {len(values)} learning rates"
