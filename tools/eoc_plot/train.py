# SPDX-License-Identifier: BSD-3-Clause
"""Training: the map of trainability, learning curves, learning times; which of them is asked for, or what the file varies."""
from . import train_curves, train_map, trained
from .errors import UsageError
from .result import selection

VIEWS = {"map": train_map.draw, "curves": train_curves.draw_curves, "times": train_curves.draw_times}


def default_view(chosen):
    """A map where there is one worth drawing, else times over depths, else curves."""
    if len(chosen["depth"]) > 1:
        return "map" if min(len(chosen["depth"]), len(chosen["weight_variance"])) > 2 else "times"
    return "curves"


def draw(result, options):
    """The figure of `eoc-plot train`."""
    trained.need_training(result)
    chosen, asked = selection(result, options.select)
    view = options.show or default_view(chosen)
    for name, home in (("step", "map"), ("xi", "map"), ("along", "curves")):
        if getattr(options, name) is not None and view != home:
            raise UsageError(f"--{name} is for --show {home}, this is {view}")
    return VIEWS[view](result, chosen, asked, options)
