# SPDX-License-Identifier: BSD-3-Clause
"""What is measured: one table. A new row is one entry; a new kind of work is a side in sides.py."""
from dataclasses import dataclass
from typing import Any

from .setting import GRADIENT, JACOBIAN
from .sides import EocProbe, EocRun, EocTheory, EocTrain, TorchProbe, TorchTrain


@dataclass(frozen=True)
class Unit:
    """What the seconds of a sample are divided by before they are compared."""

    text: str
    count: Any  # of a side


NETWORK = Unit("a network", lambda side: 1)
LAYER = Unit("a layer", lambda side: side.depth)
ENTRY = Unit("a layer, column and unit", lambda side: side.depth * side.columns * side.width)
RUN = Unit("a run", lambda side: 1)
COMMAND = Unit("a command", lambda side: 1)
STEP = Unit("a step", lambda side: 1)


@dataclass(frozen=True)
class Row:
    """A line of the table: eoc's side, what is beside it, and what to reach."""

    name: str
    what: str
    reach: str
    eoc: Any
    beside: Any = None
    unit: Unit = LAYER
    inverse: bool = False  # the ratio is eoc's over the other's instead of the other's over eoc's
    rounds: tuple = (3, 9)  # quick, full


def convolutional(across, channels, steps, rounds):
    """A training; steps: eoc's, PyTorch's."""
    shape = "momentum", channels, 100, 32
    return Row(f"convolutional-{across}-{channels}",
               f"training, convolutional, C = {channels}, {across} x {across} positions, B = 32: 100 layers, tanh, kernel 3, circular "
               "padding, digits, momentum",
               "as fast as PyTorch", EocTrain(*shape, steps[0], across), TorchTrain(*shape, steps[1], across), unit=STEP, rounds=rounds)


ROWS = (
    Row("gaussian-1000", "probe, gaussian, implicit: N = 1000, L = 100, pair, forward + gradient + jacobian", "300 times PyTorch",
        EocProbe("gaussian", "implicit", JACOBIAN, 1000, 100, (50, 200)),
        TorchProbe("gaussian", JACOBIAN, 1000, 100, (2, 5))),
    Row("gaussian-10000", "the same, N = 10,000 (PyTorch: 4 layers, the weights of 100 need 40 GB)", "3,000 times PyTorch",
        EocProbe("gaussian", "implicit", JACOBIAN, 10000, 100, (10, 30)),
        TorchProbe("gaussian", JACOBIAN, 10000, 4, (1, 3))),
    Row("orthogonal-1000", "probe, orthogonal, implicit: N = 1000, L = 20, the same statistics; nn.init.orthogonal_",
        "1,000 times PyTorch",
        EocProbe("orthogonal", "implicit", JACOBIAN, 1000, 20, (100, 400)),
        TorchProbe("orthogonal", JACOBIAN, 1000, 20, (1, 5))),
    Row("orthogonal-1000-reflections", "the same, beside PyTorch with Q left as reflections (geqrf, ormqr)", "",
        EocProbe("orthogonal", "implicit", JACOBIAN, 1000, 20, (100, 400)),
        TorchProbe("orthogonal-reflections", JACOBIAN, 1000, 20, (1, 5))),
    Row("million", "probe, gaussian, implicit: N = 1,000,000, L = 100, forward + gradient", "15 s and 1 GiB",
        EocProbe("gaussian", "implicit", GRADIENT, 1000000, 100, (1, 1)), unit=NETWORK, rounds=(1, 5)),
    Row("size", "implicit, forward + gradient: N = 1,000,000 beside N = 10,000, L = 20", "at most twice",
        EocProbe("gaussian", "implicit", GRADIENT, 1000000, 20, (1, 1)),
        EocProbe("gaussian", "implicit", GRADIENT, 10000, 20, (40, 40)), unit=ENTRY, inverse=True),
    Row("explicit-1000", "probe, gaussian, explicit: N = 1000, L = 100, forward + gradient", "3 times PyTorch, memory O(L N B)",
        EocProbe("gaussian", "explicit", GRADIENT, 1000, 100, (3, 7)),
        TorchProbe("gaussian", GRADIENT, 1000, 100, (2, 5))),
    Row("train-1000", "training, N = 1000, B = 128: 10 layers, tanh, 784 features, 10 classes, SGD", "as fast as PyTorch",
        EocTrain("sgd", 1000, 10, 128, (12, 36)), TorchTrain("sgd", 1000, 10, 128, (8, 20)), unit=STEP),
    Row("train-256", "the same, N = 256", "1.5 times PyTorch",
        EocTrain("sgd", 256, 10, 128, (120, 900)), TorchTrain("sgd", 256, 10, 128, (60, 300)), unit=STEP),
    Row("train-256-momentum", "the same, N = 256, momentum", "",
        EocTrain("momentum", 256, 10, 128, (120, 900)), TorchTrain("momentum", 256, 10, 128, (60, 300)), unit=STEP),
    *(convolutional(across, channels, steps, rounds) for across, channels, steps, rounds in (
        (7, 16, ((24, 120), (12, 40)), (3, 9)), (7, 64, ((6, 18), (4, 8)), (3, 9)),
        (14, 16, ((12, 36), (4, 20)), (3, 9)), (14, 64, ((6, 6), (4, 4)), (1, 5)))),
    Row("theory-map", "eoc theory: the 41 x 41 points of Poole et al. 2016, tanh, all quantities, curves of 50 layers", "1 s",
        EocTheory(41, 50), unit=COMMAND),
    Row("theory-map-gelu", "the same for gelu, whose signals diverge over most of the map", "1 s", EocTheory(41, 50, "gelu"),
        unit=COMMAND),
    Row("theory-map-kinks", "the same for hard_tanh, which has kinks", "1 s", EocTheory(41, 50, "hard_tanh"), unit=COMMAND),
    Row("two-ranks", "two ranks on two cores beside one rank, gaussian, explicit, N = 400, L = 100", "1.9 times one rank",
        EocRun(2, 400, 100, (48, 240)), EocRun(1, 400, 100, (48, 240)), unit=RUN, rounds=(2, 7)),
)
