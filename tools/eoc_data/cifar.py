# SPDX-License-Identifier: BSD-3-Clause
"""CIFAR-10 and CIFAR-100, binary version: a folder or tar archive of records, https://www.cs.toronto.edu/~kriz/cifar.html."""
import os

import numpy as np

from . import files
from .arrays import DataSet, Half
from .errors import DataError, UsageError

PIXELS = 3 * 32 * 32
CIFAR10 = ([f"data_batch_{i}.bin" for i in range(1, 6)], ["test_batch.bin"])
CIFAR100 = (["train.bin"], ["test.bin"])


def records(path, name, data, label_bytes):
    size = label_bytes + PIXELS
    if len(data) == 0 or len(data) % size:
        raise DataError(f"{path}: {name} has {len(data)} bytes; wanted: a multiple of {size}, {label_bytes} for the label"
                        f"{'s' if label_bytes > 1 else ''} and {PIXELS} for the pixels of each image")
    return np.frombuffer(data, np.uint8).reshape(-1, size)


def read_parts(path, names, subfolder):
    files.must_exist(path)
    every = [name for half in names for name in half]
    # Without an ending it is the Python version of the same data, or its files.
    stems = {name[:-len(".bin")] for name in every} | {"meta", "batches.meta"}

    def wanted(name):
        return name in every or name in stems

    found = (files.read_folder(path, wanted, (subfolder,)) if os.path.isdir(path) else files.read_archive(path, wanted))
    missing = [name for name in every if name not in found]
    if missing and any(name in stems for name in found):
        raise UsageError(f"{path} is the Python version of the data; wanted: the binary version, with {missing[0]}")
    if missing:
        raise UsageError(f"{path}: {missing[0]} is not there; wanted: the folder {subfolder}, or its .tar.gz, with {', '.join(every)}")
    return found


def load(path, names, subfolder, label_bytes, label):
    """label: which of the label bytes of a record is taken."""
    parts = read_parts(path, names, subfolder)
    halves = []
    for half in names:
        rows = np.concatenate([records(path, name, parts[name], label_bytes) for name in half])
        halves.append(Half(rows[:, label_bytes:].reshape(-1, 3, 32, 32), rows[:, label], path))
    return DataSet(*halves)


def load_10(path):
    return load(path, CIFAR10, "cifar-10-batches-bin", 1, 0)


def load_100(path, fine):
    return load(path, CIFAR100, "cifar-100-binary", 2, 1 if fine else 0)
