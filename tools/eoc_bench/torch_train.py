# SPDX-License-Identifier: BSD-3-Clause
"""Training of one tanh network as a careful user of PyTorch writes it: float32, one thread, autograd; convolutional with --across.

  tools/bench --row train-256                                       times it beside eoc
  python3 -m eoc_bench.torch_train --width 256                      alone, with tools/ on PYTHONPATH
  python3 -m eoc_bench.torch_train --across 7 --width 16 --depth 100 --batch 32 --optimizer momentum
  ... --check result.h5 --data set.h5 --weights FILE.checkpoint     eoc's losses beside these, from the same weights

Batches are gathered into one array by index_select, gradients are set to None between steps, the optimizer updates all arrays in one
call (foreach) where this version of PyTorch has that. The loss of a step is not read back. Convolutions are timed in the memory layout
that is the faster one here.
"""
import argparse
import inspect
import json
import math
import struct
import sys
import time

import torch

from .setting import (BIAS_VARIANCE, CLASSES, CONVOLUTION_LEARNING_RATE, DIGITS_PATH, DISAGREES, FEATURES, KERNEL, LEARNING_RATE, MOMENTUM,
                      PIXELS, WEIGHT_VARIANCE)
from .torch_probe import blas_description, peak_bytes

# Twenty steps in float32, sums in another order: 6e-8 for every one of some hundred operations that follow one another.
TOLERANCE = 1e-5

# Of images: sample, channel, row, column, or the channels last.
LAYOUTS = {"plain": torch.contiguous_format, "channels_last": torch.channels_last}


class Training:
    """A network and its optimizer; layers (weights, biases), the last one the read-out."""

    learning_rate = LEARNING_RATE

    def __init__(self, layers, optimizer):
        self.layers = [tuple(array.requires_grad_() for array in layer) for layer in layers]
        parameters = [array for layer in self.layers for array in layer]
        foreach = {"foreach": True} if "foreach" in inspect.signature(torch.optim.SGD).parameters else {}
        momentum = MOMENTUM if optimizer == "momentum" else 0.0
        self.optimizer = torch.optim.SGD(parameters, lr=self.learning_rate, momentum=momentum, **foreach)

    def hidden(self, x):
        for weights, biases in self.layers[:-1]:
            x = torch.tanh(torch.nn.functional.linear(x, weights, biases))
        return x

    def loss(self, x, label):
        return torch.nn.functional.cross_entropy(torch.nn.functional.linear(self.hidden(x), *self.layers[-1]), label)

    def step(self, x, label):
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(x, label)
        loss.backward()
        self.optimizer.step()
        return loss


class ConvolutionalTraining(Training):
    """Of images in across x across blocks, whose pixels are the channels at as many positions; padding is circular."""

    learning_rate = CONVOLUTION_LEARNING_RATE

    def __init__(self, layers, optimizer, across, layout):
        self.block, self.layout = PIXELS // across, LAYOUTS[layout]
        kernels = [(weights.contiguous(memory_format=self.layout), biases) for weights, biases in layers[:-1]]
        super().__init__([*kernels, layers[-1]], optimizer)

    def hidden(self, x):
        edges = [KERNEL // 2] * 4
        x = torch.nn.functional.pixel_unshuffle(x.view(-1, 1, PIXELS, PIXELS), self.block).contiguous(memory_format=self.layout)
        for weights, biases in self.layers[:-1]:
            x = torch.tanh(torch.nn.functional.conv2d(torch.nn.functional.pad(x, edges, mode="circular"), weights, biases))
        return x.flatten(1)


def shapes(options):
    """Of the weights of every layer: (fan out, fan in), or with --across (fan out, channels in, rows, columns)."""
    positions = options.across**2
    window = (KERNEL, KERNEL) if positions else ()
    channels_in = [FEATURES // positions if positions else FEATURES] + [options.width] * (options.depth - 1)
    return [(options.width, channels, *window) for channels in channels_in] + [(CLASSES, options.width * max(1, positions))]


def draw_layers(options):
    layers = []
    for fan_out, *seen in shapes(options)[:-1]:
        layers.append((torch.randn(fan_out, *seen) * math.sqrt(WEIGHT_VARIANCE / math.prod(seen)),
                       torch.randn(fan_out) * math.sqrt(BIAS_VARIANCE)))
    _, fan_in = shapes(options)[-1]
    layers.append((torch.randn(CLASSES, fan_in) / math.sqrt(fan_in), torch.zeros(CLASSES)))
    return layers


def trainings(options, make_layers):
    """By the name of the layout, each with layers of its own."""
    if not options.across:
        return {"plain": Training(make_layers(), options.optimizer)}
    return {layout: ConvolutionalTraining(make_layers(), options.optimizer, options.across, layout) for layout in LAYOUTS}


def random_classes(count):
    label = torch.arange(count) % CLASSES
    return torch.randn(CLASSES, FEATURES)[label] + torch.randn(count, FEATURES), label


def digits():
    import h5py

    with h5py.File(DIGITS_PATH, "r") as file:
        return (torch.from_numpy(file["train/images"][...]).flatten(1) / 255.0, torch.from_numpy(file["train/labels"][...]).long())


class Epochs:
    """Batches of a set in a random order, the next one at each call."""

    def __init__(self, x, label, batch):
        self.x, self.label = x, label
        self.batch, self.at, self.order = batch, len(x), None
        self.batch_x, self.batch_label = torch.empty(batch, FEATURES), torch.empty(batch, dtype=torch.long)

    def next(self):
        if self.at + self.batch > len(self.x):
            self.at, self.order = 0, torch.randperm(len(self.x))
        chosen = self.order[self.at:self.at + self.batch]
        self.at += self.batch
        torch.index_select(self.x, 0, chosen, out=self.batch_x)
        torch.index_select(self.label, 0, chosen, out=self.batch_label)
        return self.batch_x, self.batch_label


class Timed:
    """Steps of one training after the other, in the faster layout."""

    def __init__(self, options):
        self.epochs = Epochs(*(digits() if options.across else random_classes(10 * options.batch)), options.batch)
        tried = trainings(options, lambda: draw_layers(options))
        fastest = {}
        for layout, self.training in tried.items():
            fastest[layout] = min(self.seconds(4)[1:])  # all but the first touch of the arrays
        self.layout = min(fastest, key=fastest.get)
        self.training = tried[self.layout]

    def seconds(self, count):
        """Wall seconds a step, of four pieces of about `count` steps in all."""
        found = []
        piece = max(1, count // 4)
        for _ in range(4):
            start = time.perf_counter()
            for _ in range(piece):
                self.training.step(*self.epochs.next())
            found.append((time.perf_counter() - start) / piece)
        return found


def from_eoc(weights, shape, positions):
    """eoc has kernels (fan out, taps, channels in), and a read-out of (positions, channels)."""
    if len(shape) == 4:
        fan_out, channels, rows, columns = shape
        return weights.view(fan_out, rows, columns, channels).permute(0, 3, 1, 2).clone()
    if positions:
        return weights.view(shape[0], positions, -1).permute(0, 2, 1).reshape(shape)
    return weights.view(shape).clone()


def read_weights(options):
    """The layers in a checkpoint of eoc (include/eoc/checkpoint.h): its second piece, W and b of each."""
    path = options.weights
    with open(path, "rb") as file:
        data = file.read()
    (count,) = struct.unpack_from("=I", data, 28)
    sizes = struct.unpack_from(f"={count}Q", data, 32)
    start = 32 + 8 * count + sizes[0]
    parameters = torch.frombuffer(bytearray(data[start:start + sizes[1]]), dtype=torch.float32)
    layers, at = [], 0
    for shape in shapes(options):
        count, fan_out = math.prod(shape), shape[0]
        weights = from_eoc(parameters[at:at + count], shape, options.across**2)
        at += count
        layers.append((weights, parameters[at:at + fan_out].clone()))
        at += fan_out
    if at != len(parameters):
        raise SystemExit(f"check: {path} holds {len(parameters)} parameters, expected {at}")
    return layers


def check(options):
    """Losses before every step and after the last; prints the greatest difference."""
    import h5py

    with h5py.File(options.data, "r") as file:
        x, label = torch.from_numpy(file["train/images"][...]).flatten(1), torch.from_numpy(file["train/labels"][...]).long()
    with h5py.File(options.check, "r") as file:
        eoc = file["train/loss"][...].ravel()
    if len(x) != options.batch:
        raise SystemExit(f"check: {options.data} has {len(x)} samples, expected one batch of {options.batch}")
    agree = True
    for layout, training in trainings(options, lambda: read_weights(options)).items():
        losses = [training.step(x, label).item() for _ in range(len(eoc) - 1)]
        losses.append(training.loss(x, label).item())
        differences = [abs(a / b - 1) for a, b in zip(eoc, losses)]
        agree = agree and all(difference <= TOLERANCE for difference in differences)
        where = f"{options.across} x {options.across} positions, {layout}, " if options.across else ""
        print(f"N = {options.width}, L = {options.depth}, B = {options.batch}, {where}{len(eoc) - 1} steps: loss from {eoc[0]:.6f} to "
              f"{eoc[-1]:.6f} (PyTorch {losses[-1]:.6f}); greatest relative difference {max(differences):.1e}, accepted {TOLERANCE:.0e}")
    moved = eoc[-1] < 0.99 * eoc[0]
    if not moved:
        print("  eoc's loss hardly moves, so the check says nothing")
    return 0 if moved and agree else DISAGREES


def serve(timed):
    """For the harness: a line on standard input is a number of steps, the answer seconds a step."""
    print(json.dumps({"torch": torch.__version__, "blas": blas_description(), "threads": torch.get_num_threads(), "layout": timed.layout}),
          flush=True)
    for line in sys.stdin:
        print(json.dumps({"seconds": timed.seconds(int(line)), "peak_bytes": peak_bytes()}), flush=True)


def make_parser():
    parser = argparse.ArgumentParser(prog="torch_train", description=__doc__.partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--optimizer", choices=("sgd", "momentum"), default="sgd")
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--depth", type=int, default=10)
    parser.add_argument("--across", type=int, default=0,
                        help=f"convolutional, so many positions along a side of {PIXELS} pixels (default %(default)s: fully connected)")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=100, help="how many to time (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--serve", action="store_true", help="time as many steps as each line of standard input says")
    parser.add_argument("--check", metavar="FILE", help="compare with the losses in eoc's result file instead")
    parser.add_argument("--data", metavar="FILE", help="with --check: the data set that was learnt")
    parser.add_argument("--weights", metavar="FILE", help="with --check: a checkpoint with the weights of the start")
    return parser


def main(arguments):
    options = make_parser().parse_args(arguments)
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    if options.check:
        return check(options)
    timed = Timed(options)
    if options.serve:
        serve(timed)
        return 0
    seconds = sorted(timed.seconds(options.steps))
    layout = f"{timed.layout} layout: " if options.across else ""
    print(f"{layout}{1e3 * seconds[0]:.4g} to {1e3 * seconds[-1]:.4g} ms a step; peak memory {peak_bytes() / 2**20:.0f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
