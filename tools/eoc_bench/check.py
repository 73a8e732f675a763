# SPDX-License-Identifier: BSD-3-Clause
"""Whether both sides compute the same thing: averages over replicas, eoc's file against PyTorch's networks."""
import math
from dataclasses import dataclass

import h5py
import numpy as np

from .setting import ACTIVATION, BIAS_VARIANCE, DISAGREES, WEIGHT_VARIANCE

# Two-sample differences in standard errors. Of 150 comparisons that are all true, one is beyond 4.5 in a thousand runs; the seeds
# are fixed, so a run that agrees goes on agreeing.
MOST_ERRORS = 4.5


@dataclass
class Comparison:
    """One statistic in one layer (None: of the whole network)."""

    name: str
    layer: int
    eoc: float
    torch: float
    error: float  # standard error of the difference

    @property
    def errors(self):
        return abs(self.eoc - self.torch) / self.error


def only(values, name, wanted):
    """The file must hold the networks that the PyTorch script draws."""
    if len(values) != 1 or not (values[0] == wanted or math.isclose(float(values[0]), float(wanted), rel_tol=1e-9)):
        raise SystemExit(f"check: {name} is {', '.join(str(v) for v in values)} in the file, expected {wanted} alone")


def read_file(path):
    """Width, depth, initializer and, by name, the probe's variables as (replica, layer), those of the network as (replica, 1)."""
    with h5py.File(path, "r") as file:
        only([name.decode() for name in file["activation"][:]], "activation", ACTIVATION)
        only(file["weight_variance"][:], "weight_variance", WEIGHT_VARIANCE)
        only(file["bias_variance"][:], "bias_variance", BIAS_VARIANCE)
        replicas = len(file["replica"])
        done = file["run/status"][...].ravel() == 2
        if not done.all():
            raise SystemExit(f"check: {np.sum(~done)} of {replicas} networks in {path} are not done")
        variables = {name: data[...].reshape(replicas, -1) for name, data in file["probe"].items()
                     if name not in file and data.dtype.kind == "f"}
        return int(file["width"][0]), int(file["depth"][0]), variables


def mean_and_error(values):
    return values.mean(axis=0), values.std(axis=0, ddof=1) / math.sqrt(len(values))


def compare(eoc, torch):
    """Of two arrays (replica, layer) under each name, every entry."""
    comparisons = []
    for name, values in eoc.items():
        ours, our_error = mean_and_error(values)
        theirs, their_error = mean_and_error(torch[name])
        for index, (a, b, error) in enumerate(zip(ours, theirs, np.hypot(our_error, their_error))):
            layer = index + 1 if len(ours) > 1 else None
            comparisons.append(Comparison(name, layer, a, b, error))
    return comparisons


def torch_statistics(make_probe, width, depth, initializer, names, replicas):
    statistics = ["forward", "gradient"] + ["jacobian"] * ("log_jacobian_m1" in names)
    probe = make_probe(width, depth, initializer, statistics)
    networks = [probe.network() for _ in range(replicas)]
    missing = set(names) - set(networks[0])
    if missing:
        raise SystemExit(f"check: the PyTorch script has no {', '.join(sorted(missing))}")
    return {name: np.array([network[name].numpy().ravel() for network in networks], dtype=float) for name in names}


def check_file(path, make_probe, initializer):
    """Prints the greatest difference of each statistic; returns 0 where all agree, else DISAGREES."""
    width, depth, eoc = read_file(path)
    replicas = len(next(iter(eoc.values())))
    torch = torch_statistics(make_probe, width, depth, initializer, list(eoc), replicas)
    comparisons = compare(eoc, torch)
    print(f"N = {width}, L = {depth}, {replicas} networks on each side, {len(comparisons)} comparisons")
    for name in eoc:
        worst = max((c for c in comparisons if c.name == name), key=lambda c: (math.isnan(c.errors), c.errors))
        where = f"layer {worst.layer}" if worst.layer else "network"
        print(f"  {name:22} differs most in {where}: eoc {worst.eoc:.6g}, PyTorch {worst.torch:.6g}, "
              f"{worst.errors:.1f} standard errors")
    # NaN does not agree.
    disagreeing = [c for c in comparisons if not c.errors <= MOST_ERRORS]
    if disagreeing:
        print(f"  {len(disagreeing)} of {len(comparisons)} are more than {MOST_ERRORS} standard errors apart")
    return DISAGREES if disagreeing else 0
