# SPDX-License-Identifier: BSD-3-Clause
"""How a side of a row is started and timed. Each side has start(bench, quick), measure() and stop(), a description, and its shape."""
import json
import os
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from typing import Optional

from .setting import (ACTIVATION, BIAS_VARIANCE, CLASSES, CONVOLUTION_LEARNING_RATE, CORRELATION, DIGITS, DISAGREES, FEATURES, GRADIENT,
                      INPUT_VARIANCE, INPUTS, JACOBIAN, KERNEL, LEARNING_RATE, PIXELS, WEIGHT_VARIANCE)


class NotMeasured(Exception):
    """A side cannot run here; one sentence for the user."""


@dataclass
class Sample:
    """One measurement of a side."""

    seconds: float  # of one network, of the run, or of the command: what the side is for
    wall: Optional[float] = None  # of the whole command
    peak_bytes: Optional[int] = None  # most resident memory of the process
    networks: Optional[int] = None  # the seconds are the median of so many


def high_water(pid):
    """Most resident memory so far. (A child's getrusage begins with what its parent had, which for a small program is more.)"""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8") as status:
            return next((1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM:")), 0)
    except OSError:
        return 0


def run_command(arguments):
    """Wall seconds and peak memory of a command; its own words where it fails."""
    peak = 0
    with tempfile.TemporaryFile("w+") as output:
        start = time.perf_counter()
        process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        ended = os.pidfd_open(process.pid)
        while not select.select([ended], [], [], 0.02)[0]:
            peak = max(peak, high_water(process.pid))
        wall = time.perf_counter() - start
        os.close(ended)
        if process.wait() != 0:
            output.seek(0)
            raise failure(arguments, process.returncode, output.read())
    return wall, peak or None


def failure(arguments, code, output):
    words = " ".join(output.strip().splitlines()[-4:]) or "no message"
    return NotMeasured(f"{os.path.basename(arguments[0])} {'refuses the work' if code == 2 else 'failed'} (exit code {code}): {words}")


def sweep_text(grid, sampler, probe_statistics, seed=1):
    lines = ["title: bench", f"seed: {seed}", "grid:"]
    lines += [f"  {key}: {value}" for key, value in grid.items()]
    lines += ["probe:", f"  inputs: {{kind: pair, correlation: {CORRELATION}, variance: {INPUT_VARIANCE}}}",
              f"  statistics: [{', '.join(probe_statistics)}]"]
    lines += [f"  sampler: {sampler}"] if sampler else []
    return "\n".join(lines) + "\n"


def point(initializer, width, depth, replicas):
    """The grid of one point."""
    return {"activation": ACTIVATION, "initializer": initializer, "depth": depth, "width": width,
            "weight_variance": WEIGHT_VARIANCE, "bias_variance": BIAS_VARIANCE, "replica": replicas}


def write_sweep(bench, text):
    """A sweep file of its own, and the path of its result."""
    path = bench.new_path("yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path, bench.new_path("h5")


def choose(pair, quick):
    return pair[0 if quick else 1]


@dataclass
class EocProbe:
    """eoc run on one point: the median over replicas of run/seconds, each network's own wall time."""

    initializer: str
    sampler: str
    statistics: tuple
    width: int
    depth: int
    replicas: tuple  # quick, full

    columns = INPUTS
    program = "eoc"

    def describe(self):
        return f"eoc, {self.initializer} {self.sampler}, N = {self.width}, L = {self.depth}, {' + '.join(self.statistics)}, float64"

    def start(self, bench, quick):
        grid = point(self.initializer, self.width, self.depth, choose(self.replicas, quick))
        self.sweep, self.result = write_sweep(bench, sweep_text(grid, self.sampler, self.statistics))
        self.command = [bench.program, "run", "--quiet", "--overwrite", "-o", self.result, self.sweep]

    def measure(self):
        import h5py  # here, for --list works without it

        wall, peak = run_command(self.command)
        with h5py.File(self.result, "r") as file:
            seconds = file["run/seconds"][...].ravel()
            if not (file["run/status"][...] == 2).all():
                raise NotMeasured("eoc: not every network is done (diverged or failed)")
        return Sample(float(statistics.median(seconds)), wall, peak, len(seconds))

    def stop(self):
        for path in (self.sweep, self.result):
            if os.path.exists(path):
                os.remove(path)


@dataclass
class EocRun:
    """eoc run of many networks on so many ranks: seconds from the run's start to its end, without MPI's own start."""

    ranks: int
    width: int
    depth: int
    replicas: tuple  # quick, full

    columns = INPUTS
    program = "eoc"

    def describe(self):
        return f"eoc, {self.ranks} rank{'s' * (self.ranks > 1)}, gaussian explicit, N = {self.width}, L = {self.depth}, float64"

    def start(self, bench, quick):
        grid = point("gaussian", self.width, self.depth, choose(self.replicas, quick))
        self.sweep, self.result = write_sweep(bench, sweep_text(grid, "explicit", GRADIENT))
        self.command = ["mpirun", "-n", str(self.ranks), bench.program, "run", "--quiet", "--overwrite", "-o", self.result, self.sweep]

    def measure(self):
        import h5py

        wall, _ = run_command(self.command)  # the memory would be mpirun's
        with h5py.File(self.result, "r") as file:
            seconds = float(file["provenance/end"][0] - file["provenance/start"][0])
            return Sample(seconds, wall, networks=len(file["replica"]))

    stop = EocProbe.stop


@dataclass
class EocTheory:
    """eoc theory of the map of Poole et al. 2016: the whole command."""

    points: int  # on each of both axes
    depth: int
    activation: str = ACTIVATION

    program = "eoc"

    def describe(self):
        return f"eoc theory, {self.activation}, {self.points} x {self.points} points, L = {self.depth}, float64"

    def start(self, bench, quick):
        grid = {"activation": self.activation, "depth": self.depth, "width": 1000,
                "weight_variance": f"square(linspace(1, 5, {self.points}))",
                "bias_variance": f"square(linspace(0, 4, {self.points}))"}
        self.sweep, self.result = write_sweep(bench, sweep_text(grid, None, JACOBIAN))
        self.command = [bench.program, "theory", "--overwrite", "-o", self.result, self.sweep]

    def measure(self):
        wall, peak = run_command(self.command)
        return Sample(wall, wall, peak)

    stop = EocProbe.stop


class TorchScript:
    """A PyTorch script, kept running between rounds: the median of so many pieces of work a round. Its sides say which work."""

    program = "torch"

    def start(self, bench, quick):
        self.count = choose(self.amounts(), quick)
        command = [*torch_command(self.module), *self.options(), *self.shape(), "--serve"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        versions = self.read()
        self.note = versions.pop("layout", "")
        bench.versions.update(versions)

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            words = " ".join(self.process.stderr.read().strip().splitlines()[-1:]) or "no message"
            raise NotMeasured(f"the PyTorch script ended: {words}")
        return json.loads(line)

    def measure(self):
        self.process.stdin.write(f"{self.count}\n")
        self.process.stdin.flush()
        answer = self.read()
        return Sample(statistics.median(answer["seconds"]), None, answer["peak_bytes"], len(answer["seconds"]))

    def stop(self):
        if not hasattr(self, "process"):
            return
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()


@dataclass
class TorchProbe(TorchScript):
    """Networks, probed."""

    initializer: str
    statistics: tuple
    width: int
    depth: int
    networks: tuple  # a round: quick, full
    variant: str = "by-hand"

    columns = INPUTS
    module = "torch_probe"

    def describe(self):
        return f"PyTorch, {self.initializer}, N = {self.width}, L = {self.depth}, {' + '.join(self.statistics)}, float32"

    def amounts(self):
        return self.networks

    def options(self):
        return ["--initializer", self.initializer, "--variant", self.variant]

    def shape(self):
        return ["--width", str(self.width), "--depth", str(self.depth), "--statistics", ",".join(self.statistics)]


@dataclass
class EocTrain:
    """eoc run of one training at two numbers of steps: a step is the difference of run/seconds over that of the steps, so that neither
    the drawing of weights nor the evaluation of losses counts."""

    optimizer: str
    width: int
    depth: int
    batch: int
    steps: tuple  # quick, full: the larger number; the smaller is a sixth of it
    across: int = 0  # positions along a side of the image in a convolutional network; 0: fully connected

    program = "eoc"

    def describe(self):
        return f"eoc, {describe_training(self)}"

    def start(self, bench, quick):
        more = choose(self.steps, quick)
        self.counts = more // 6, more
        classes = f"gaussian_classes(features={FEATURES}, classes={CLASSES}, train={10 * self.batch}, test={CLASSES})"
        dataset = DIGITS if self.across else classes
        self.runs = [write_sweep(bench, training_text(self, dataset, self.batch, count, learning_rate(self), "every 100000000", CLASSES))
                     for count in self.counts]
        self.program_path = bench.program

    def measure(self):
        import h5py

        seconds, walls, peaks = [], [], []
        for sweep, result in self.runs:
            wall, peak = run_command([self.program_path, "run", "--quiet", "--overwrite", "-o", result, sweep])
            with h5py.File(result, "r") as file:
                if not (file["run/status"][...] == 2).all() or (file["train/divergence_step"][...] >= 0).any():
                    raise NotMeasured("eoc: the training failed or diverged")
                seconds.append(float(file["run/seconds"][...].item()))
            walls.append(wall)
            peaks.append(peak)
        return Sample((seconds[1] - seconds[0]) / (self.counts[1] - self.counts[0]), sum(walls), max(p for p in peaks if p))

    def stop(self):
        for path in [path for pair in getattr(self, "runs", []) for path in pair]:
            if os.path.exists(path):
                os.remove(path)


def describe_training(side):
    network = f"N = {side.width}, L = {side.depth}, B = {side.batch}"
    if side.across:
        network += f", convolutional, {side.across} x {side.across} positions, kernel {KERNEL}, circular padding"
    return f"training with {side.optimizer}, {network}, {FEATURES} features, {CLASSES} classes, float32"


def learning_rate(side):
    return CONVOLUTION_LEARNING_RATE if side.across else LEARNING_RATE


def training_text(side, dataset, batch, steps, rate, record, evaluated):
    grid = point("gaussian", side.width, side.depth, 1)
    if side.across:
        grid = {"architecture": f"convolutional(side={side.across}, kernel={KERNEL}, padding=circular, readout=flatten)", **grid}
    keys = {"dataset": f"'{dataset}'", "preprocessing": "raw", "optimizer": side.optimizer, "learning_rate": rate, "batch": batch,
            "steps": steps, "record": record, "evaluation_samples": evaluated}
    lines = ["title: bench", "seed: 1", "grid:", *(f"  {key}: {value}" for key, value in grid.items()),
             "train:", *(f"  {key}: {value}" for key, value in keys.items())]
    return "\n".join(lines) + "\n"


@dataclass
class TorchTrain(TorchScript):
    """Steps of training, timed in so many pieces; no weights are drawn and no losses evaluated between them."""

    optimizer: str
    width: int
    depth: int
    batch: int
    steps: tuple  # a round: quick, full
    across: int = 0

    module = "torch_train"

    def describe(self):
        note = getattr(self, "note", "")
        return f"PyTorch, {describe_training(self)}" + (f", {note} layout" if self.across and note else "")

    def amounts(self):
        return self.steps

    def options(self):
        return ["--optimizer", self.optimizer]

    def shape(self):
        return training_shape(self)


def training_shape(side):
    return ["--width", str(side.width), "--depth", str(side.depth), "--batch", str(side.batch), "--across", str(side.across)]


def check_probes(bench, eoc, torch):
    """Small networks of both sides agree: what the PyTorch script's --check printed. Raises NotMeasured where they do not."""
    grid = point(eoc.initializer, CHECK_WIDTH, CHECK_DEPTH, CHECK_REPLICAS)
    sweep, result = write_sweep(bench, sweep_text(grid, eoc.sampler, eoc.statistics))
    run_command([bench.program, "run", "--quiet", "--overwrite", "-o", result, sweep])
    return ask_torch(torch, ["--check", result])


def check_trainings(bench, eoc, torch):
    """From the same weights both sides have the same losses, step by step on the same whole set."""
    side = replace(eoc, width=CHECK_CHANNELS, depth=CHECK_DEPTH) if eoc.across else replace(eoc, width=CHECK_TRAIN_WIDTH)
    data = bench.new_path("h5")
    write_classes(data, eoc.batch)
    weights = keep_initial_weights(bench, side, data)
    text = training_text(side, data, side.batch, CHECK_STEPS, learning_rate(side), "all", 0)
    sweep, result = write_sweep(bench, text)
    run_command([bench.program, "run", "--quiet", "--overwrite", "-o", result, sweep])
    return ask_torch(torch, [*training_shape(side), "--check", result, "--data", data, "--weights", weights])


def write_classes(path, count):
    """So many training samples as the bench's synthetic set has them: normals about a mean for each class."""
    import h5py
    import numpy as np

    rng = np.random.default_rng(1)
    means = rng.standard_normal((CLASSES, FEATURES))
    with h5py.File(path, "w") as file:
        for part in ("train", "test"):
            label = np.arange(count) % CLASSES
            file[f"{part}/labels"] = label.astype(np.int32)
            images = (0.1 * means[label] + rng.standard_normal((count, FEATURES))).astype(np.float32)
            file[f"{part}/images"] = images.reshape(count, PIXELS, PIXELS)


def keep_initial_weights(bench, side, data):
    """The path of a checkpoint of a training that does not move: at the least learning rate, stopped by a signal when there is one."""
    sweep, result = write_sweep(bench, training_text(side, data, side.batch, 1000000, 1e-12, "every 100000000", 1))
    kept = f"{result}.unit-0.checkpoint"
    command = [bench.program, "run", "--quiet", "--checkpoint-interval", "0", "-o", result, sweep]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 60
    while not os.path.exists(kept) and process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(signal.SIGUSR1)
    _, words = process.communicate()
    if not os.path.exists(kept):
        raise failure(command, process.returncode, words)
    return kept


def ask_torch(torch, options):
    done = subprocess.run([*torch_command(torch.module), *torch.options(), *options], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=False)
    if done.returncode == DISAGREES:
        raise NotMeasured(f"eoc and PyTorch do not compute the same:\n{done.stdout}")
    if done.returncode != 0:
        raise NotMeasured(f"the PyTorch script's check failed: {' '.join(done.stderr.strip().splitlines()[-1:])}")
    return done.stdout


# Small enough that a wrong law at finite width would show, and that the check takes two seconds.
CHECK_WIDTH, CHECK_DEPTH, CHECK_REPLICAS = 60, 8, 1000
CHECK_TRAIN_WIDTH, CHECK_STEPS = 256, 20
CHECK_CHANNELS = 24  # no multiple of what is worked on at a time


def torch_command(module):
    return [sys.executable, "-B", "-m", f"eoc_bench.{module}"]


def kind_of_check(eoc, beside):
    """(what the check of two sides depends on, sizes apart; its title; what does it), or None where one has no other beside it."""
    if isinstance(eoc, EocProbe) and isinstance(beside, TorchProbe):
        kind = (eoc.initializer, eoc.sampler, eoc.statistics, beside.initializer, beside.variant)
        return kind, f"{eoc.initializer} {eoc.sampler}, {' + '.join(eoc.statistics)}; PyTorch {beside.initializer}", check_probes
    if isinstance(eoc, EocTrain) and isinstance(beside, TorchTrain):
        kind = (eoc.optimizer, CHECK_DEPTH if eoc.across else eoc.depth, eoc.batch, eoc.across)
        what = f", convolutional, {eoc.across} x {eoc.across}" if eoc.across else ""
        return kind, f"training with {eoc.optimizer}, L = {kind[1]}, B = {eoc.batch}{what}", check_trainings
    return None
