# SPDX-License-Identifier: BSD-3-Clause
"""How a side of a row is started and timed. Each side has start(bench, quick), measure() and stop(), a description, and its shape."""
import json
import os
import select
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import Optional

from .setting import ACTIVATION, BIAS_VARIANCE, CORRELATION, DISAGREES, GRADIENT, INPUT_VARIANCE, INPUTS, JACOBIAN, WEIGHT_VARIANCE


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
            words = " ".join(output.read().strip().splitlines()[-4:]) or "no message"
            verb = "refuses the work" if process.returncode == 2 else "failed"
            raise NotMeasured(f"{os.path.basename(arguments[0])} {verb} (exit code {process.returncode}): {words}")
    return wall, peak or None


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
    """eoc theory of a map: the whole command."""

    points: int  # on each of both axes
    depth: int

    program = "eoc"

    def describe(self):
        return f"eoc theory, {ACTIVATION}, {self.points} x {self.points} points, L = {self.depth}, float64"

    def start(self, bench, quick):
        grid = {"activation": ACTIVATION, "depth": self.depth, "width": 1000,
                "weight_variance": f"linspace(0.5, 4, {self.points})", "bias_variance": f"linspace(0, 0.2, {self.points})"}
        self.sweep, self.result = write_sweep(bench, sweep_text(grid, None, JACOBIAN))
        self.command = [bench.program, "theory", "--overwrite", "-o", self.result, self.sweep]

    def measure(self):
        wall, peak = run_command(self.command)
        return Sample(wall, wall, peak)

    stop = EocProbe.stop


@dataclass
class TorchProbe:
    """The PyTorch script, kept running between rounds: the median of so many networks a round."""

    initializer: str
    statistics: tuple
    width: int
    depth: int
    networks: tuple  # a round: quick, full
    variant: str = "by-hand"

    columns = INPUTS
    program = "torch"

    def describe(self):
        return f"PyTorch, {self.initializer}, N = {self.width}, L = {self.depth}, {' + '.join(self.statistics)}, float32"

    def options(self):
        return ["--initializer", self.initializer, "--variant", self.variant]

    def start(self, bench, quick):
        self.count = choose(self.networks, quick)
        command = [*bench.torch_script, *self.options(), "--width", str(self.width), "--depth", str(self.depth),
                   "--statistics", ",".join(self.statistics), "--serve"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        bench.versions.update(self.read())

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


def check_sides(bench, eoc, torch):
    """Small networks of both sides agree: what the PyTorch script's --check printed. Raises NotMeasured where they do not."""
    grid = point(eoc.initializer, CHECK_WIDTH, CHECK_DEPTH, CHECK_REPLICAS)
    sweep, result = write_sweep(bench, sweep_text(grid, eoc.sampler, eoc.statistics))
    run_command([bench.program, "run", "--quiet", "--overwrite", "-o", result, sweep])
    done = subprocess.run([*bench.torch_script, *torch.options(), "--check", result], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=False)
    if done.returncode == DISAGREES:
        raise NotMeasured(f"eoc and PyTorch do not compute the same:\n{done.stdout}")
    if done.returncode != 0:
        raise NotMeasured(f"the PyTorch script's check failed: {' '.join(done.stderr.strip().splitlines()[-1:])}")
    return done.stdout


# Small enough that a wrong law at finite width would show, and that the check takes two seconds.
CHECK_WIDTH, CHECK_DEPTH, CHECK_REPLICAS = 60, 8, 1000


def torch_command():
    return [sys.executable, "-B", "-m", "eoc_bench.torch_probe"]
