# SPDX-License-Identifier: BSD-3-Clause
"""A data set in memory, and what must hold for it: the same as src/file/dataset.c asks for."""
from dataclasses import dataclass, field

import numpy as np

from .errors import DataError

LAYOUT = "sample, channel, row, column"


@dataclass
class Half:
    """Training or test set. images (n, features), (n, rows, columns) or (n, channels, rows, columns); labels (n)."""

    images: np.ndarray
    labels: np.ndarray
    origin: str  # for messages: the file it comes from


@dataclass
class DataSet:
    train: Half
    test: Half
    attributes: dict = field(default_factory=dict)  # title, source, license


def check_half(half, name):
    images, labels = half.images, half.labels
    if images.ndim not in (2, 3, 4) or 0 in images.shape:
        raise DataError(f"{half.origin}: the {name} images have shape {images.shape}; wanted: (n, features), (n, rows, columns) or "
                        "(n, channels, rows, columns), none of them 0")
    if labels.ndim != 1 or len(labels) != len(images):
        raise DataError(f"{half.origin}: there are {len(images)} {name} images and labels of shape {labels.shape}; wanted: one label "
                        "an image")
    if images.dtype != np.uint8 and images.dtype not in (np.float32, np.float64):
        raise DataError(f"{half.origin}: the {name} images are {images.dtype}; wanted: uint8, float32 or float64")
    if images.dtype != np.uint8:
        with np.errstate(over="ignore"):
            finite = np.isfinite(images.astype(np.float32)).reshape(len(images), -1).all(axis=1)
        if not finite.all():
            raise DataError(f"{half.origin}: {name} image {int(np.argmin(finite))} holds numbers that are not finite in float32")
    if labels.dtype.kind not in "iu":
        raise DataError(f"{half.origin}: the {name} labels are {labels.dtype}; wanted: whole numbers")
    if labels.min() < 0:
        raise DataError(f"{half.origin}: {name} label {int(np.argmin(labels))} is {labels.min()}; wanted: 0, 1, 2, ...")


def check(data, classes=None):
    """One sentence about the first thing that is wrong. `classes`: labels go up to classes - 1 in this data set."""
    check_half(data.train, "training")
    check_half(data.test, "test")
    if data.train.images.shape[1:] != data.test.images.shape[1:]:
        raise DataError(f"{data.test.origin}: a test image has shape {data.test.images.shape[1:]}, a training image "
                        f"{data.train.images.shape[1:]}; wanted: the same")
    there = np.unique(data.train.labels)
    for half, name in ((data.train, "training"), (data.test, "test")):
        limit = classes or int(there[-1]) + 1
        if half.labels.max() >= limit:
            raise DataError(f"{half.origin}: {name} label {int(np.argmax(half.labels >= limit))} is "
                            f"{half.labels[np.argmax(half.labels >= limit)]}; wanted: 0 to {limit - 1}")
    if len(there) != int(there[-1]) + 1:
        missing = next(label for label in range(int(there[-1])) if label not in there)
        raise DataError(f"{data.train.origin}: no training image has label {missing}, and the largest label is {there[-1]}; wanted: "
                        "labels without gaps")
