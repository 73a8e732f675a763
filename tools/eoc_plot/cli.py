# SPDX-License-Identifier: BSD-3-Clause
"""The command line: one table of pictures, one function each."""
import argparse
import sys
from dataclasses import dataclass
from typing import Callable

from .errors import PlotError

try:
    from . import advise, depth, phase, shattering, style, train, trained
    from .result import Result
except ImportError as error:  # the packages of the distribution, or of the environment that EOC_PYTHON names
    sys.exit(f"eoc-plot: needs h5py, numpy and matplotlib ({error}); install python3-h5py and python3-matplotlib, "
             "or set EOC_PYTHON to an interpreter that has them")


class Parser(argparse.ArgumentParser):
    """Errors in one sentence."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {message} ({self.prog} --help tells more)\n")


def layer_number(text):
    if text == "last":
        return text
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is neither a layer (1, 2, ...) nor 'last'")
    return number


def multiples(text):
    try:
        numbers = tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        numbers = (0.0,)
    if any(not 0 < number < float("inf") for number in numbers):
        raise argparse.ArgumentTypeError(f"{text}: expected multiples of xi_c such as 1,6")
    return numbers


def resolution(text):
    try:
        number = int(text)
    except ValueError:
        number = 0
    if not 10 <= number <= 2400:
        raise argparse.ArgumentTypeError(f"{text}: expected dots per inch from 10 to 2400")
    return number


def output_options(parser, file="what eoc advise --json printed"):
    parser.add_argument("file", metavar="FILE", help=file)
    parser.add_argument("-o", "--output", metavar="OUT", help="the picture, .png, .pdf or .svg (default: beside FILE)")
    parser.add_argument("--title", help="instead of the picture's own title")
    parser.add_argument("--dpi", type=resolution, default=150, help="dots per inch (default 150)")


def common_options(parser):
    output_options(parser, "the result file of a sweep")
    parser.add_argument("--statistic", metavar="NAME", action="append", default=[],
                        help="what to draw, repeatable: a variable of the file (c, one_minus_c, log_q, theory/chi_1, ...), "
                             "gradient_ratio or gradient_growth")
    select_option(parser)
    parser.add_argument("--average", choices=("log", "linear"), default="log",
                        help="replicas of q and gradients: mean of the logarithm (default) or logarithm of the mean")


def phase_options(parser):
    parser.add_argument("--x", metavar="AXIS", help="default weight_variance")
    parser.add_argument("--y", metavar="AXIS", help="depth, layer, bias_variance or width (default: what the file varies)")
    parser.add_argument("--at-layer", metavar="N", type=layer_number, default="last",
                        help="the layer of a map that has no layer axis (default: last)")
    parser.add_argument("--xi", metavar="M,...", type=multiples,
                        help="lines at these multiples of the depth scale xi_c (default 1 over depth or layer)")


def select_option(parser):
    parser.add_argument("--select", metavar="AXIS=VALUE", action="append", default=[],
                        help="only this value of an axis, repeatable, by label: initializer=orthogonal, width=1000")


def shattering_common(parser):
    output_options(parser, "the result file of a sweep with the statistic shattering or gradient_correlation")
    select_option(parser)


def shattering_options(parser):
    parser.add_argument("--network", metavar="ARCHITECTURE@DEPTH", action="append", default=[],
                        help="whose gradients are drawn, repeatable (default: the shallowest, and the deepest of each architecture)")
    parser.add_argument("--correlation", metavar="FILE", help="take the correlations against depth from this result file")


def depth_options(parser):
    parser.add_argument("--curves", metavar="N", type=int, default=5, help="how many weight variances (default 5)")


def step_number(text):
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text} is no step (0, 1, ...)")
    return int(text)


def share(text):
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1:
        raise argparse.ArgumentTypeError(f"{text}: expected an accuracy between 0 and 1")
    return number


def train_options(parser):
    output_options(parser, "the result file of a sweep that trains")
    parser.add_argument("--show", choices=tuple(train.VIEWS),
                        help="map: over weight variance, or where there is one over learning rate, and depth; curves: against the step; times: "
                             "learning time and final accuracy against the depth (default: what the file varies)")
    parser.add_argument("--statistic", metavar="NAME", action="append", default=[], help=f"{', '.join(trained.MEASURES)}; repeatable")
    select_option(parser)
    parser.add_argument("--learning-rate", metavar="RATE", default=trained.BEST,
                        help="one of the file's learning rates (default best: each network's own)")
    parser.add_argument("--step", metavar="N", type=step_number, action="append",
                        help="map: the recorded step nearest to N, repeatable (default: the last)")
    parser.add_argument("--trained", metavar="A", type=share, default=0.5,
                        help="map, times: the accuracy from which on a network counts as trainable (default 0.5)")
    parser.add_argument("--xi", metavar="M,...", type=multiples, help="map, times: lines at these multiples of the depth scale xi_c (map: default 1,6), or of the gradient's, "
                             "1/log chi_1, in networks normalized over the batch (default 16)")
    parser.add_argument("--beside", metavar="FILE", action="append", default=[],
                        help="times: the curves of another file in the same panels, repeatable; trained for as many steps")
    parser.add_argument("--along", metavar="AXIS", help="curves: a line for each value of weight_variance, depth, learning_rate, ...")
    parser.add_argument("--curves", metavar="N", type=int, default=5, help="curves: how many (default 5)")


@dataclass(frozen=True)
class Picture:
    """A subcommand: what it shows, an example, its own options, and the function that draws it."""

    help: str
    example: str
    options: Callable
    draw: Callable
    read: Callable = Result
    common: Callable = common_options


# A new picture is one row here and one module with a draw(result, options) that returns a figure.
PICTURES = {
    "phase": Picture("statistics over the weight variance and depth, layer or bias variance, with the critical line",
                     "eoc-plot phase tanh.h5 --select initializer=gaussian --xi 1,6 -o tanh.pdf", phase_options, phase.draw),
    "depth": Picture("statistics against the layer, probes as points and theory as lines",
                     "eoc-plot depth tanh.h5 --select width=1000 --curves 7", depth_options, depth.draw),
    "shattering": Picture("gradients along an interval beside noise, their autocorrelations, correlation against depth",
                          "eoc-plot shattering gradients.h5 --correlation correlation.h5", shattering_options, shattering.draw,
                          common=shattering_common),
    "train": Picture("how training went: a map over weight variance and depth with multiples of the depth scale, learning curves, learning times",
                     "eoc-plot train learning.h5 --show curves --along depth", lambda parser: None, train.draw, common=train_options),
    "advise": Picture("the initializers that eoc advise --json compares",
                      "eoc-plot advise relu.json -o relu.png", lambda parser: None, advise.draw, advise.read, output_options),
}


def make_parser():
    examples = "\n".join(f"  {picture.example}" for picture in PICTURES.values())
    parser = Parser(prog="eoc-plot", description="Pictures of an eoc result file.", allow_abbrev=False,
                    formatter_class=argparse.RawDescriptionHelpFormatter, epilog=f"examples:\n{examples}")
    commands = parser.add_subparsers(dest="picture", metavar="PICTURE", required=True, parser_class=Parser)
    for name, picture in PICTURES.items():
        command = commands.add_parser(name, help=picture.help, allow_abbrev=False,
                                      description=f"{picture.help[0].upper()}{picture.help[1:]}.\n\n  {picture.example}",
                                      formatter_class=argparse.RawDescriptionHelpFormatter)
        picture.common(command)
        picture.options(command)
    return parser


def draw_picture(options):
    """Draw and save; the path of the picture."""
    path = style.output_path(options.file, options.output, options.picture)
    style.set_defaults()
    picture = PICTURES[options.picture]
    figure = picture.draw(picture.read(options.file), options)
    style.save(figure, path, options.dpi)
    return path


def main(arguments):
    options = make_parser().parse_args(arguments)
    try:
        print(draw_picture(options))
    except PlotError as error:
        print(f"eoc-plot: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:  # HDF5, on a file that is shorter than it says
        print(f"eoc-plot: {options.file}: cannot be read ({error})", file=sys.stderr)
        return 1
    return 0
