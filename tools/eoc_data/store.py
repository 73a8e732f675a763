# SPDX-License-Identifier: BSD-3-Clause
"""The HDF5 file of a data set: written whole or not at all, and described."""
import os

import h5py
import numpy as np

from .arrays import LAYOUT
from .errors import DataError, UsageError

CHUNK_BYTES = 1 << 20


def labels_type(data):
    largest = max(int(data.train.labels.max()), int(data.test.labels.max()))
    return np.min_scalar_type(largest)


def write_half(file, name, half, label_type):
    images = half.images
    sample_bytes = images[0].nbytes
    rows = max(1, min(len(images), CHUNK_BYTES // max(1, sample_bytes)))
    dataset = file.create_dataset(f"{name}/images", data=images, chunks=(rows, *images.shape[1:]), compression="gzip", shuffle=False)
    if images.ndim == 4:
        dataset.attrs["layout"] = LAYOUT
    if images.dtype == np.uint8:
        dataset.attrs["units"] = "intensity 0..255"
    file.create_dataset(f"{name}/labels", data=half.labels.astype(label_type))


def refuse_existing(path, overwrite):
    """Before anything is read: the answer should not take a minute."""
    if os.path.isdir(path):
        raise UsageError(f"{path} is a folder; -o takes the name of a file")
    if os.path.lexists(path) and not overwrite:
        raise UsageError(f"{path} is there already; name another file with -o, or give --overwrite to replace it")
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise UsageError(f"{path}: there is no folder {folder}")


def write(data, path):
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        with h5py.File(temporary, "x") as file:
            file.attrs.update({name: text for name, text in data.attributes.items() if text})
            write_half(file, "train", data.train, labels_type(data))
            write_half(file, "test", data.test, labels_type(data))
        descriptor = os.open(temporary, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
        os.replace(temporary, path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error})") from error
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


def shape_text(dataset):
    return f"{dataset.dtype} {' x '.join(str(n) for n in dataset.shape)}"


def describe_half(file, name):
    lines = []
    images = file[f"{name}/images"]
    layout = images.attrs.get("layout")
    values = images[()]
    lines.append(f"{name}/images   {shape_text(images)}{f' ({layout})' if layout else ''}, {values.min():.6g} to {values.max():.6g}, "
                 f"mean {values.mean():.6g}, deviation {values.std():.6g}")
    if f"{name}/labels" in file:
        labels = file[f"{name}/labels"]
        counts = np.unique(labels[()], return_counts=True)
        each = ", ".join(f"{label}: {count}" for label, count in zip(*counts)) if len(counts[0]) <= 20 else \
            f"{counts[1].min()} to {counts[1].max()} each"
        lines.append(f"{name}/labels   {shape_text(labels)}, {len(counts[0])} classes ({each})")
    if f"{name}/targets" in file:
        lines.append(f"{name}/targets  {shape_text(file[f'{name}/targets'])}")
    return lines


def describe(path):
    """Lines about what is in a data set."""
    if not os.path.exists(path):
        raise UsageError(f"{path}: there is no such file")
    try:
        with h5py.File(path, "r") as file:
            missing = [f"{name}/images" for name in ("train", "test") if f"{name}/images" not in file]
            if missing:
                raise DataError(f"{path} is an HDF5 file without {missing[0]}: not a data set of eoc")
            texts = (f"{name:14} {text}" for name, text in sorted(file.attrs.items()))
            return [*texts, *describe_half(file, "train"), *describe_half(file, "test")]
    except OSError as error:
        raise DataError(f"{path}: not an HDF5 file, or a damaged one ({error})") from error
