# SPDX-License-Identifier: BSD-3-Clause
"""By which depth scale of theory a network's trainable depth goes: xi_c of two inputs, or that of the gradient in networks normalized
over the batch, which keep inputs apart while gradients explode (Yang et al. 2019, arXiv:1902.08129)."""
from dataclasses import dataclass

import numpy as np

from . import phase, trained
from .reduce import take


@dataclass(frozen=True)
class Kind:
    symbol: str
    multiples: tuple  # that are drawn where none are asked for


CORRELATION = Kind(r"\xi_c", (1.0, 6.0))
GRADIENT = Kind(r"\xi_g", (16.0,))  # 16: as Yang et al. draw it
VARYING = 1e-6  # relative: beyond this a scale depends on the depth


@dataclass(frozen=True)
class Scale:
    """The scale in layers over the weight variances of a row, or a single number; NaN: not known."""

    kind: Kind
    values: np.ndarray
    varies: bool = False  # with the depth, so that there is no such scale
    batches: str = ""  # where theory's batch is not that of the training

    @property
    def is_known(self):
        return bool(np.isfinite(self.values).any())


def kind_of_name(architecture):
    """By the architecture's name in the file: no option says it."""
    return GRADIENT if "normalization=batch" in architecture else CORRELATION


def of_gradient(growth):
    """1/log of the growth of a squared gradient a layer; infinite where it is 1, NaN where gradients vanish."""
    growth = np.asarray(growth, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(growth >= 1, 1 / np.log(growth), np.nan)


def varies_with_depth(result, row, keep):
    """Where the growth is another one at each depth, as with branch=1/sqrt(depth)."""
    chosen = {**row.chosen, "depth": np.arange(len(result.axes["depth"]))}
    values = take(result, "theory/chi_1", [*keep, "depth"], chosen)[..., 0]
    return np.fmax.reduce(values, axis=-1) > (1 + VARYING) * np.fmin.reduce(values, axis=-1)


def other_batch(result):
    """What is to be said where theory's batch is not as large as the training's: chi_1 depends on it."""
    probed, batch = trained.probed_batch(result), trained.settings(result).get("batch")
    if probed is None or batch is None or probed == int(batch):
        return ""
    return f" That is of batches of {probed} (probe.inputs.points), trained in batches of {batch}: theirs is another scale."


def find(result, row, keep):
    """The scale of a row's networks over `keep`: the weight variance, or nothing."""
    kind = kind_of_name(result.axes["architecture"][row.chosen["architecture"]])
    name = "theory/chi_1" if kind is GRADIENT else "theory/xi_c"
    if name not in result:
        return Scale(kind, np.array(np.nan))
    values = phase.theory_over(result, row, name, keep)
    if kind is not GRADIENT:
        return Scale(kind, values)
    varying = varies_with_depth(result, row, keep)
    return Scale(kind, np.where(varying, np.nan, of_gradient(values)), bool(varying.any()), other_batch(result))


def sentence(scale):
    """What the scale is, or why there is none, where it is not the one that the rest of a picture speaks of; empty for xi_c."""
    if scale.kind is not GRADIENT:
        return ""
    if scale.is_known:
        values = np.unique(np.round(scale.values[np.isfinite(scale.values)], 3))
        number = f"{values[0]:.3g}" if len(values) == 1 else f"{values[0]:.3g} to {values[-1]:.3g}"
        return rf"a squared gradient grows by e over ${scale.kind.symbol}=1/\log\,\chi_1$ = {number} layers." + scale.batches
    if np.isinf(scale.values).any():
        return rf"gradients grow more slowly than exponentially, so there is no ${scale.kind.symbol}$."
    if scale.varies:
        return rf"gradients grow by another factor a layer at each depth, so there is no ${scale.kind.symbol}$."
    return (rf"growth of gradients is not known, so there is no ${scale.kind.symbol}$; probe.inputs of kind gaussian, as many as a batch has, "
            "tell it.")


def notes(named_scales):
    """Sentences of the small print about (name, scale) of each network, the same one once, without names where it holds for all."""
    names = {}
    for name, scale in named_scales:
        names.setdefault(sentence(scale), []).append(name)
    where = "Theory: " if len(names) == 1 else "Theory, {}: "
    return [where.format("; ".join(those)) + words for words, those in names.items() if words]


def multiples_of(result, row, asked):
    """(depth, words) of multiples of the scale of a row of one weight variance: those asked for, else the gradient's own."""
    scale = find(result, row, ())
    multiples = asked or (scale.kind.multiples if scale.kind is GRADIENT else ())
    return [(multiple * float(scale.values), rf"${phase.factor_text(multiple)}{scale.kind.symbol}$") for multiple in multiples]
