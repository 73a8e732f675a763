# SPDX-License-Identifier: BSD-3-Clause
"""The result file: its axes, its variables, and reading a part of one by label."""
import os

# A reader needs no lock, and on many network file systems asking for one fails. Set before HDF5 is loaded.
os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")

import h5py  # noqa: E402
import numpy as np  # noqa: E402

from .errors import PlotError, UsageError, suggestion  # noqa: E402

NAME_AXES = ("architecture", "activation", "initializer")
NUMBER_AXES = ("width", "depth", "weight_variance", "bias_variance")
POINT_AXES = NAME_AXES + NUMBER_AXES
GRID_AXES = POINT_AXES + ("replica",)
GROUPS = ("probe", "theory", "run", "train")

PENDING, RUNNING, DONE, DIVERGED, FAILED = range(5)


def as_text(value):
    """A string attribute or label, whichever way h5py hands it over."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def open_file(path):
    """The HDF5 file at path, or one sentence about why there is none."""
    if not os.path.exists(path):
        raise PlotError(f"{path}: no such file")
    if os.path.isdir(path) or not os.access(path, os.R_OK):
        raise PlotError(f"{path}: not a file that can be read")
    if not h5py.is_hdf5(path):
        raise PlotError(f"{path}: not an HDF5 file")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise PlotError(f"{path}: HDF5 cannot open it ({error})") from error


class Result:
    """An open result file of schema 1."""

    def __init__(self, path):
        self.path = path
        self.file = open_file(path)
        self._check_schema()
        self.axes = {name: self._read_axis(name) for name in GRID_AXES}
        self.layers = self._read_axis("layer") if "layer" in self.file else np.array([], dtype=np.int32)
        self.title = as_text(self.file.attrs.get("title", ""))

    def _check_schema(self):
        version = self.file.attrs.get("schema_version")
        if version is None or not any(group in self.file for group in ("probe", "theory", "train")):
            raise PlotError(f"{self.path}: not an eoc result file (schema_version and a probe, theory or train group are missing)")
        if as_text(version).split(".")[0] != "1":
            raise PlotError(f"{self.path}: written with schema {as_text(version)}, this program reads 1.x")

    def _read_axis(self, name):
        if name not in self.file and name == "replica":
            return np.array([0], dtype=np.int32)  # theory alone has none
        if name not in self.file:
            raise PlotError(f"{self.path}: the axis {name} is missing")
        values = np.atleast_1d(self.file[name][()])
        if name in NAME_AXES:
            return np.array([as_text(value) for value in values], dtype=object)
        return values

    def has_theory(self):
        return "theory" in self.file

    def __contains__(self, name):
        return name in self.file and isinstance(self.file[name], h5py.Dataset)

    def variables(self):
        """Full names of everything that has values over the grid."""
        scales = set(GRID_AXES) | {"layer", "mode", "lag", "input", "other_input", "learning_rate", "step"}
        return [f"{group}/{name}" for group in GROUPS if group in self.file
                for name in self.file[group] if name not in scales]

    def find(self, statistic):
        """The full name of a statistic: as given, else the probe's, else the theory's."""
        if statistic.startswith("theory/") and not self.has_theory():
            raise PlotError(f"{self.path}: no theory group, so no {statistic}")
        known = self.variables()
        for name in (statistic, *(f"{group}/{statistic}" for group in GROUPS)):
            if name in known:
                return name
        names = known if "/" in statistic else sorted({name.split("/")[1] for name in known})
        names += ["gradient_growth", "gradient_ratio"]
        raise UsageError(f"unknown statistic {statistic}{suggestion(statistic, names)}")

    def dims(self, name):
        """The axis names of a variable, from its dimension scales."""
        dataset = self.file[name]
        names = [dimension.keys()[0] if len(dimension) else "" for dimension in dataset.dims]
        if not all(names):
            full = GRID_AXES if dataset.ndim >= len(GRID_AXES) and name.startswith(("probe", "run")) else POINT_AXES
            names = (list(full) + ["layer"])[: dataset.ndim]
        return [os.path.basename(label) for label in names]

    def long_name(self, name):
        return as_text(self.file[name].attrs.get("long_name", name.split("/")[1]))

    def read(self, name, chosen):
        """Values of a variable at the chosen indices: an integer drops its axis, an array keeps it.

        Only the enclosing block is read, for a file may be far larger than memory.
        """
        block, within = [], []
        for axis in self.dims(name):
            index = chosen.get(axis, slice(None))
            if isinstance(index, np.ndarray):
                first = int(index.min())
                block.append(slice(first, int(index.max()) + 1))
                within.append(index - first)
            else:
                block.append(index)
                if isinstance(index, slice):
                    within.append(None)
        values = np.asarray(self.file[name][tuple(block)])
        for axis, index in enumerate(within):
            if index is not None:
                values = np.take(values, index, axis=axis)
        return values


def parse_choice(text):
    """'axis=value' into its two parts."""
    axis, equals, value = text.partition("=")
    if not equals or not axis or not value:
        raise UsageError(f"--select {text}: expected AXIS=VALUE, such as initializer=gaussian")
    return axis.strip(), value.strip()


def index_of_name(axis, labels, wanted):
    matches = np.flatnonzero(labels == wanted)
    if len(matches) == 0:
        raise UsageError(f"{axis} has no {wanted}{suggestion(wanted, labels)}")
    return int(matches[0])


def nearest_values(values, wanted, count=3):
    """The nearest values of an axis, in ascending order, as text."""
    nearest = np.sort(values[np.argsort(np.abs(values - wanted), kind="stable")[:count]])
    return ", ".join(f"{value:.12g}" for value in nearest)


def index_of_number(axis, values, wanted):
    try:
        number = float(wanted)
    except ValueError:
        raise UsageError(f"{axis} holds numbers, {wanted} is none") from None
    # The axes are rounded to 12 digits, so what a user types is there to that precision or not at all.
    matches = np.flatnonzero(np.isclose(values, number, rtol=1e-9, atol=1e-15))
    if len(matches) == 0:
        raise UsageError(f"{axis} has no {wanted}; the nearest values are {nearest_values(values, number)}")
    return int(matches[0])


def selection(result, choices):
    """For every grid axis the chosen indices, numbers in ascending order, and the set of axes chosen from."""
    asked = {}
    for text in choices:
        axis, value = parse_choice(text)
        if axis == "layer":
            raise UsageError("layer cannot be selected from; --at-layer names the layer of a map")
        if axis not in GRID_AXES:
            raise UsageError(f"unknown axis {axis}{suggestion(axis, GRID_AXES)}")
        find = index_of_name if axis in NAME_AXES else index_of_number
        asked.setdefault(axis, []).append(find(axis, result.axes[axis], value))
    chosen = {}
    for axis, values in result.axes.items():
        indices = np.array(list(dict.fromkeys(asked.get(axis, range(len(values))))), dtype=int)
        if axis not in NAME_AXES:
            indices = indices[np.argsort(values[indices], kind="stable")]
        chosen[axis] = indices
    return chosen, set(asked)
