# SPDX-License-Identifier: BSD-3-Clause
"""The command line: one table of formats."""
import argparse
import os
import signal
import sys
from dataclasses import dataclass
from typing import Callable

from .errors import DataError

try:
    from . import arrays, cifar, idx, npz, store
except ImportError as error:  # the packages of the distribution, or of the environment that EOC_PYTHON names
    sys.exit(f"eoc-data: needs h5py and numpy ({error}); install python3-h5py, or set EOC_PYTHON to an interpreter that has them")


class Parser(argparse.ArgumentParser):
    """Errors in one sentence."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {message} ({self.prog} --help tells more)\n")


def no_options(parser):
    parser.add_argument("source", metavar="SOURCE", help="the folder, or its .tar.gz")


def idx_options(parser):
    parser.add_argument("source", metavar="SOURCE", nargs="+", help="the folder, or the four files, compressed or not")


def cifar100_options(parser):
    no_options(parser)
    parser.add_argument("--labels", choices=("fine", "coarse"), default="fine", help="100 classes (default) or 20")


def npz_options(parser):
    parser.add_argument("source", metavar="FILE", help="with x_train, y_train, x_test, y_test, or train_images ..., or images, labels")
    parser.add_argument("--test-samples", metavar="N", type=int, help="of an archive without a test set, the last N samples")
    parser.add_argument("--channels", choices=("first", "last"), help="which axis holds the channels (default: the one of at most 4)")


@dataclass(frozen=True)
class Format:
    """A subcommand: what it reads, an example, its options, and the function that loads it."""

    help: str
    example: str
    options: Callable
    load: Callable
    classes: Callable = lambda options: None
    attributes: dict = None


FORMATS = {
    "mnist": Format("MNIST, four IDX files", "eoc-data mnist downloads/ -o mnist.h5", idx_options,
                    lambda o: idx.load(o.source), lambda o: 10,
                    {"title": "MNIST handwritten digits", "license": "CC BY-SA 3.0",
                     "source": "Y. LeCun, C. Cortes, C. J. C. Burges, The MNIST database of handwritten digits"}),
    "fashion-mnist": Format("Fashion-MNIST, four IDX files", "eoc-data fashion-mnist downloads/ -o fashion.h5", idx_options,
                            lambda o: idx.load(o.source), lambda o: 10,
                            {"title": "Fashion-MNIST", "license": "MIT",
                             "source": "H. Xiao, K. Rasul, R. Vollgraf, arXiv:1708.07747"}),
    "cifar10": Format("CIFAR-10, binary version", "eoc-data cifar10 cifar-10-binary.tar.gz -o cifar10.h5", no_options,
                      lambda o: cifar.load_10(o.source), lambda o: 10,
                      {"title": "CIFAR-10", "license": "none stated by its authors",
                       "source": "A. Krizhevsky, Learning multiple layers of features from tiny images, 2009"}),
    "cifar100": Format("CIFAR-100, binary version", "eoc-data cifar100 cifar-100-binary.tar.gz --labels coarse -o cifar20.h5",
                       cifar100_options, lambda o: cifar.load_100(o.source, o.labels == "fine"),
                       lambda o: 100 if o.labels == "fine" else 20,
                       {"title": "CIFAR-100", "license": "none stated by its authors",
                        "source": "A. Krizhevsky, Learning multiple layers of features from tiny images, 2009"}),
    "npz": Format("a NumPy archive with images and labels", "eoc-data npz pictures.npz --test-samples 1000 -o pictures.h5",
                  npz_options, lambda o: npz.load(o.source, o.test_samples, o.channels), attributes={}),
}


def output_options(parser):
    parser.add_argument("-o", "--output", metavar="FILE", required=True, help="the data set, .h5")
    parser.add_argument("--overwrite", action="store_true", help="replace the file when it is there")
    parser.add_argument("--title", help="kept in the file")
    parser.add_argument("--source-note", metavar="TEXT", help="where the data are from: kept in the file as its source")
    parser.add_argument("--license", help="kept in the file")


def make_parser():
    examples = "\n".join([*(f"  {row.example}" for row in FORMATS.values()), "  eoc-data info mnist.h5"])
    parser = Parser(prog="eoc-data", description="Data sets for eoc, converted to HDF5.", allow_abbrev=False,
                    formatter_class=argparse.RawDescriptionHelpFormatter, epilog=f"examples:\n{examples}")
    commands = parser.add_subparsers(dest="format", metavar="FORMAT", required=True, parser_class=Parser)
    for name, row in FORMATS.items():
        command = commands.add_parser(name, help=row.help, allow_abbrev=False, description=f"{row.help}.\n\n  {row.example}",
                                      formatter_class=argparse.RawDescriptionHelpFormatter)
        row.options(command)
        output_options(command)
    info = commands.add_parser("info", help="what is in a data set", allow_abbrev=False)
    info.add_argument("file", metavar="FILE")
    return parser


def convert(options):
    row = FORMATS[options.format]
    store.refuse_existing(options.output, options.overwrite)
    data = row.load(options)
    arrays.check(data, row.classes(options))
    origin = options.source if isinstance(options.source, str) else options.source[0]
    data.attributes = {"title": os.path.basename(origin.rstrip("/")), **row.attributes}
    for name, text in (("title", options.title), ("source", options.source_note), ("license", options.license)):
        if text:
            data.attributes[name] = text
    store.write(data, options.output)
    return [f"{options.output}: {len(data.train.images)} training and {len(data.test.images)} test images of "
            f"{' x '.join(str(n) for n in data.train.images.shape[1:])}, {int(data.train.labels.max()) + 1} classes"]


def main(arguments):
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `eoc-data info FILE | head` ends as other programs do
    options = make_parser().parse_args(arguments)
    try:
        print("\n".join(store.describe(options.file) if options.format == "info" else convert(options)))
    except DataError as error:
        print(f"eoc-data: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"eoc-data: {f'{error.filename}: ' if error.filename else ''}{error.strerror or error}", file=sys.stderr)
        return 1
    return 0
