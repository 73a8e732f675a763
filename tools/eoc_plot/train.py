# SPDX-License-Identifier: BSD-3-Clause
"""Training: the map of trainability, learning curves, learning times; which of them is asked for, or what the file varies."""
from . import depth_scale, train_curves, train_map, trained
from .errors import UsageError
from .result import selection

VIEWS = {"map": train_map.draw, "curves": train_curves.draw_curves, "times": train_curves.draw_times}


def default_view(result, chosen, options):
    """A map where there is one worth drawing, else times over depths, else curves.

    Nothing depends on the weight variance of networks that are normalized over the batch: theirs is over learning rates.
    """
    if len(chosen["depth"]) == 1:
        return "curves"
    columns = len(chosen["weight_variance"])
    names = result.axes["architecture"][chosen["architecture"]]
    if all(depth_scale.kind_of_name(name) is depth_scale.GRADIENT for name in names) and train_map.choose_x(result, chosen, options) == train_map.RATE:
        columns = len(trained.rates(result))
    return "map" if min(len(chosen["depth"]), columns) > 2 else "times"


def draw(result, options):
    """The figure of `eoc-plot train`."""
    trained.need_training(result)
    chosen, asked = selection(result, options.select)
    view = options.show or default_view(result, chosen, options)
    for name, homes in (("step", ("map",)), ("xi", ("map", "times")), ("along", ("curves",))):
        if getattr(options, name) is not None and view not in homes:
            raise UsageError(f"--{name} is for --show {' or '.join(homes)}, this is {view}")
    if options.beside and view != "times":
        raise UsageError(f"--beside is for --show times, this is {view}")
    return VIEWS[view](result, chosen, asked, options)
