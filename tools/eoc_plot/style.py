# SPDX-License-Identifier: BSD-3-Clause
"""What all pictures share: words and symbols, colours, axes, titles, writing the picture."""
import os
import re
import textwrap
from dataclasses import dataclass

import matplotlib

matplotlib.use("Agg")

import matplotlib.patheffects as patheffects  # noqa: E402
import matplotlib.pyplot as plt  # noqa: E402
import matplotlib.ticker as ticker  # noqa: E402
import numpy as np  # noqa: E402

from .errors import PlotError, UsageError  # noqa: E402
from .reduce import DERIVED  # noqa: E402
from .result import NAME_AXES  # noqa: E402

LN10 = np.log(10.0)
FORMATS = (".png", ".pdf", ".svg")
SMALL = 8

AXIS_LABELS = {
    "weight_variance": r"weight variance $\sigma_w^2$",
    "bias_variance": r"bias variance $\sigma_b^2$",
    "depth": r"depth $L$",
    "width": r"width $N$",
    "layer": r"layer $l$",
    "learning_rate": "learning rate",
}
AXIS_SYMBOLS = {"weight_variance": r"\sigma_w^2", "bias_variance": r"\sigma_b^2"}

# words, symbol ({l} is the layer), kind of colour scale
STATISTICS = {
    "log_q": ("mean square", r"q^{{{l}}}", "plain"),
    "c": ("correlation", r"c^{{{l}}}", "correlation"),
    "one_minus_c": ("decorrelation", r"1 - c^{{{l}}}", "decades"),
    "log_gradient_q": ("gradient, mean square", r"g^{{{l}}}", "plain"),
    "gradient_c": ("gradient correlation", r"c_g^{{{l}}}", "correlation"),
    "log_weight_gradient_q": ("weight gradient, mean square", r"g_W^{{{l}}}", "plain"),
    "gradient_ratio": ("gradient over the last layer's", r"g^{{{l}}} / g^L", "growth"),
    "gradient_growth": ("gradient growth per layer", r"(g^{{{l}}} / g^L)^{{1/(L - {l})}}", "growth"),
    "log_jacobian_m1": ("Jacobian, first moment", r"m_1", "plain"),
    "log_jacobian_m2": ("Jacobian, second moment", r"m_2", "plain"),
    "q_star": ("fixed point", r"q^*", "plain"),
    "c_star": ("fixed point", r"c^*", "correlation"),
    "chi_1": ("slope", r"\chi_1", "around_one"),
    "chi_q": ("slope of the length map", r"\chi_q", "around_one"),
    "chi_c": ("slope of the correlation map", r"\chi_c", "around_one"),
    "xi_q": ("depth scale", r"\xi_q", "decades"),
    "xi_c": ("depth scale", r"\xi_c", "decades"),
    "beta": ("", r"\beta", "plain"),
    "lambda_max": ("largest squared singular value", r"\lambda_{{\max}}", "plain"),
    "mu_1": ("", r"\mu_1", "plain"),
    "mu_2": ("", r"\mu_2", "plain"),
}


@dataclass(frozen=True)
class Statistic:
    """A variable of the file, or one derived from it, and how it is drawn."""

    name: str
    words: str
    symbol: str
    kind: str
    log: bool  # the file holds natural logarithms; pictures show decimal ones

    @property
    def short(self):
        return self.name.split("/")[1]

    def drawn(self, values):
        return values / LN10 if self.log else values

    def label(self, layer):
        if not self.symbol:
            return self.words
        start = "1" if layer == "L" and self.kind == "growth" else layer
        symbol = self.symbol.format(l=start)
        text = rf"{self.words} $\log_{{10}}\,{symbol}$" if self.log else f"{self.words} ${symbol}$"
        return f"theory: {text}" if self.name.startswith("theory/") else text.strip()


def plain_text(text):
    """Text from a file or a label, safe where matplotlib looks for mathematics."""
    return text.replace("$", r"\$")


def statistic(result, name):
    """The statistic of a name as users give it."""
    short = name.split("/")[-1]
    if short in DERIVED:
        base = result.find(name.replace(short, "log_gradient_q"))
        full = f"{base.split('/')[0]}/{short}"
    else:
        full = result.find(name)
    log = short in DERIVED or short.startswith("log_")
    if short in STATISTICS:
        words, symbol, kind = STATISTICS[short]
        return Statistic(full, words, symbol, kind, log)
    words = plain_text(result.long_name(full))
    return Statistic(full, words + (r" ($\log_{10}$)" if log else ""), "", "plain", log)


def axis_label(axis, effective=True):
    """The label of an axis; an initializer with a scale of its own has another sigma_w^2 than the axis."""
    if axis == "weight_variance" and not effective:
        return "weight variance, times the initializer's own"
    return AXIS_LABELS[axis]


def axis_symbol(axis, effective=True):
    if axis == "weight_variance" and not effective:
        return r"\mathrm{weight\ variance}"
    return AXIS_SYMBOLS[axis]


def number(value):
    return f"{value:.6g}"


def wrapped(name, width=44):
    """The name of a panel on lines that end with it, broken behind commas."""
    return "\n".join(textwrap.wrap(name, width, break_long_words=False, break_on_hyphens=False))


def in_mathematics(text):
    """1.5e-12 as a product with a power of ten, for matplotlib's formulas."""
    digits, _, power = text.partition("e")
    return rf"{digits} \times 10^{{{int(power)}}}" if power else text


def value_text(axis, value):
    """One value of an axis in words, for titles."""
    if axis in NAME_AXES:
        return plain_text(value)
    if axis in AXIS_SYMBOLS:
        return f"${AXIS_SYMBOLS[axis]} = {in_mathematics(number(value))}$"
    return f"{axis} {number(value)}"


def replica_text(count):
    return "1 replica" if count == 1 else f"{count} replicas"


def wants_log(values):
    """Whether an axis is spaced by ratios: then it is drawn logarithmically."""
    values = np.asarray(values, float)
    if len(values) < 4 or values[0] <= 0 or values[-1] < 10 * values[0]:
        return False
    ratios, steps = np.diff(np.log(values)), np.diff(values)
    return np.std(ratios) / np.mean(ratios) < np.std(steps) / np.mean(steps)


def cell_edges(values, log):
    """Edges half way between the values, on the scale that is drawn; no axis of a sweep goes below zero."""
    centres = np.log(values) if log else np.asarray(values, float)
    middle = 0.5 * (centres[1:] + centres[:-1])
    edges = np.concatenate([[2 * centres[0] - middle[0]], middle, [2 * centres[-1] - middle[-1]]])
    return np.exp(edges) if log else np.maximum(edges, 0.0)


def set_scale(axes, which, log):
    """Readable ticks on the x or y axis, after its limits are set."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    if not log:
        axis.set_major_locator(ticker.MaxNLocator(nbins=7, steps=[1, 2, 2.5, 5, 10]))
        return
    axes.set(**{f"{which}scale": "log"})
    low, high = sorted(axis.get_view_interval())
    subs = (1.0,) if high > 1e3 * low else (1.0, 2.0, 5.0)
    axis.set_major_locator(ticker.LogLocator(subs=subs, numticks=20))
    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: number(value)))
    axis.set_minor_formatter(ticker.NullFormatter())


def halo(colour="white", width=3.2):
    """An outline that keeps a line visible on any colour of a map."""
    return [patheffects.Stroke(linewidth=width, foreground=colour), patheffects.Normal()]


def drawn_length(text):
    """Characters that are seen: mathematics is shorter than its source."""
    return len(re.sub(r"\\[a-zA-Z]+|[${}^_\\]", lambda found: "x" if len(found.group()) > 2 else "", text))


def wrap_list(text, width):
    """Lines of a list 'a, b, c' that is broken behind commas."""
    lines = [""]
    for part in text.split(", "):
        longer = f"{lines[-1]}, {part}" if lines[-1] else part
        if lines[-1] and drawn_length(longer) > width:
            lines[-1] += ","
            lines.append(part)
        else:
            lines[-1] = longer
    return lines


def add_title(figure, first, second):
    lines = [line for line in (first, *wrap_list(second, 11 * figure.get_figwidth())) if line]
    figure.suptitle("\n".join(lines), fontsize=11)


def add_footnote(figure, sentences):
    """Small print under the picture, wrapped to its width."""
    width = int(figure.get_figwidth() * 16)
    lines = [line for sentence in sentences for line in textwrap.wrap(sentence, width, break_long_words=False)]
    if lines:
        figure.supxlabel("\n".join(lines), fontsize=SMALL, x=0.01, ha="left", color="0.25")


def new_figure(rows, columns, panel_width, panel_height, extra_width=0.0, extra_height=1.0):
    """Axes in a grid; the extra room is for keys, titles and small print."""
    size = (columns * panel_width + extra_width, rows * panel_height + extra_height)
    return plt.subplots(rows, columns, figsize=size, squeeze=False, constrained_layout=True)


def output_path(result_path, wanted, picture):
    """Where the picture goes: as asked, else beside the file."""
    if wanted is None:
        stem = os.path.splitext(os.path.basename(result_path))[0]
        return os.path.join(os.path.dirname(result_path), f"{stem}-{picture}.png")
    if os.path.splitext(wanted)[1].lower() not in FORMATS:
        raise UsageError(f"-o {wanted}: a picture ends in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}")
    return wanted


def save(figure, path, dpi):
    try:
        figure.savefig(path, dpi=dpi)
    except OSError as error:
        raise PlotError(f"{path}: cannot be written ({error.strerror or error})") from error
    except ValueError as error:  # only the title of the command line can hold mathematics that does not parse
        raise UsageError(f"--title is not valid mathtext ({str(error).strip().splitlines()[-1]})") from error
    finally:
        plt.close(figure)


def set_defaults():
    plt.rcParams.update({
        "font.size": 9.5,
        "axes.titlesize": 10,
        "legend.fontsize": SMALL,
        "hatch.linewidth": 0.5,
        "svg.hashsalt": "eoc",  # the same picture gives the same bytes
        "pdf.fonttype": 42,
    })
