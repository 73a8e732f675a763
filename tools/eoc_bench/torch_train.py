# SPDX-License-Identifier: BSD-3-Clause
"""Training of one tanh network as a careful user of PyTorch writes it: float32, one thread, autograd.

  tools/bench --row train-256                                       times it beside eoc
  python3 -m eoc_bench.torch_train --width 256                      alone, with tools/ on PYTHONPATH
  ... --check result.h5 --data set.h5 --weights FILE.checkpoint     eoc's losses beside these, from the same weights

Batches are gathered into one array by index_select, gradients are set to None between steps, the optimizer updates all arrays in one
call (foreach) where this version of PyTorch has that. The loss of a step is not read back.
"""
import argparse
import inspect
import json
import math
import struct
import sys
import time

import torch

from .setting import BIAS_VARIANCE, CLASSES, DISAGREES, FEATURES, LEARNING_RATE, MOMENTUM, WEIGHT_VARIANCE
from .torch_probe import blas_description, peak_bytes

# Twenty steps in float32, sums in another order: 6e-8 for every one of some hundred operations that follow one another.
TOLERANCE = 1e-5


class Training:
    """A network and its optimizer; layers (weights, biases), the last one the read-out."""

    def __init__(self, layers, optimizer):
        self.layers = [tuple(array.requires_grad_() for array in layer) for layer in layers]
        parameters = [array for layer in self.layers for array in layer]
        foreach = {"foreach": True} if "foreach" in inspect.signature(torch.optim.SGD).parameters else {}
        momentum = MOMENTUM if optimizer == "momentum" else 0.0
        self.optimizer = torch.optim.SGD(parameters, lr=LEARNING_RATE, momentum=momentum, **foreach)

    def loss(self, x, label):
        for weights, biases in self.layers[:-1]:
            x = torch.tanh(torch.nn.functional.linear(x, weights, biases))
        return torch.nn.functional.cross_entropy(torch.nn.functional.linear(x, *self.layers[-1]), label)

    def step(self, x, label):
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(x, label)
        loss.backward()
        self.optimizer.step()
        return loss


def draw_layers(width, depth):
    layers, fan_in = [], FEATURES
    for _ in range(depth):
        layers.append((torch.randn(width, fan_in) * math.sqrt(WEIGHT_VARIANCE / fan_in), torch.randn(width) * math.sqrt(BIAS_VARIANCE)))
        fan_in = width
    layers.append((torch.randn(CLASSES, fan_in) / math.sqrt(fan_in), torch.zeros(CLASSES)))
    return layers


class Epochs:
    """Batches of a random set in a random order, the next one at each call."""

    def __init__(self, batch):
        count = 10 * batch
        self.label = torch.arange(count) % CLASSES
        self.x = torch.randn(CLASSES, FEATURES)[self.label] + torch.randn(count, FEATURES)
        self.batch, self.at, self.order = batch, count, None
        self.batch_x, self.batch_label = torch.empty(batch, FEATURES), torch.empty(batch, dtype=torch.long)

    def next(self):
        if self.at == len(self.x):
            self.at, self.order = 0, torch.randperm(len(self.x))
        chosen = self.order[self.at:self.at + self.batch]
        self.at += self.batch
        torch.index_select(self.x, 0, chosen, out=self.batch_x)
        torch.index_select(self.label, 0, chosen, out=self.batch_label)
        return self.batch_x, self.batch_label


class Timed:
    """Steps of one training after the other."""

    def __init__(self, options):
        self.training = Training(draw_layers(options.width, options.depth), options.optimizer)
        self.epochs = Epochs(options.batch)

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


def read_weights(path, width, depth):
    """The layers in a checkpoint of eoc (include/eoc/checkpoint.h): its second piece, W (fan_out, fan_in) and b of each."""
    with open(path, "rb") as file:
        data = file.read()
    (count,) = struct.unpack_from("=I", data, 28)
    sizes = struct.unpack_from(f"={count}Q", data, 32)
    start = 32 + 8 * count + sizes[0]
    parameters = torch.frombuffer(bytearray(data[start:start + sizes[1]]), dtype=torch.float32)
    layers, at, fan_in = [], 0, FEATURES
    for fan_out in [width] * depth + [CLASSES]:
        weights = parameters[at:at + fan_out * fan_in].view(fan_out, fan_in).clone()
        at += fan_out * fan_in
        layers.append((weights, parameters[at:at + fan_out].clone()))
        at += fan_out
        fan_in = fan_out
    if at != len(parameters):
        raise SystemExit(f"check: {path} holds {len(parameters)} parameters, expected {at}")
    return layers


def check(options):
    """Losses before every step and after the last; prints the greatest difference."""
    import h5py

    with h5py.File(options.data, "r") as file:
        x, label = torch.from_numpy(file["train/images"][...]), torch.from_numpy(file["train/labels"][...]).long()
    with h5py.File(options.check, "r") as file:
        eoc = file["train/loss"][...].ravel()
    if len(x) != options.batch:
        raise SystemExit(f"check: {options.data} has {len(x)} samples, expected one batch of {options.batch}")
    training = Training(read_weights(options.weights, options.width, options.depth), options.optimizer)
    losses = [training.step(x, label).item() for _ in range(len(eoc) - 1)]
    losses.append(training.loss(x, label).item())
    differences = [abs(a / b - 1) for a, b in zip(eoc, losses)]
    print(f"N = {options.width}, L = {options.depth}, B = {options.batch}, {len(eoc) - 1} steps: loss from {eoc[0]:.6f} to {eoc[-1]:.6f} "
          f"(PyTorch {losses[-1]:.6f}); greatest relative difference {max(differences):.1e}, accepted {TOLERANCE:.0e}")
    moved = eoc[-1] < 0.99 * eoc[0]
    if not moved:
        print("  eoc's loss hardly moves, so the check says nothing")
    return 0 if moved and all(difference <= TOLERANCE for difference in differences) else DISAGREES


def serve(timed):
    """For the harness: a line on standard input is a number of steps, the answer seconds a step."""
    timed.seconds(4)  # first touch of the arrays
    print(json.dumps({"torch": torch.__version__, "blas": blas_description(), "threads": torch.get_num_threads()}), flush=True)
    for line in sys.stdin:
        print(json.dumps({"seconds": timed.seconds(int(line)), "peak_bytes": peak_bytes()}), flush=True)


def make_parser():
    parser = argparse.ArgumentParser(prog="torch_train", description=__doc__.partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--optimizer", choices=("sgd", "momentum"), default="sgd")
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--depth", type=int, default=10)
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
    timed.seconds(4)
    seconds = sorted(timed.seconds(options.steps))
    print(f"{1e3 * seconds[0]:.4g} to {1e3 * seconds[-1]:.4g} ms a step; peak memory {peak_bytes() / 2**20:.0f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
