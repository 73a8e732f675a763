# SPDX-License-Identifier: BSD-3-Clause
"""Any NumPy archive with images and labels."""
import zipfile
import zlib

import numpy as np

from . import files
from .arrays import DataSet, Half
from .errors import DataError, UsageError

# Names under which archives hold training images, training labels, test images, test labels.
FOURS = [
    ("x_train", "y_train", "x_test", "y_test"),
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("X_train", "y_train", "X_test", "y_test"),
]
PAIRS = [("images", "labels"), ("x", "y"), ("X", "y"), ("data", "labels")]
MOST_CHANNELS = 4


def channels_first(path, images, layout):
    """Images with channels as (n, channels, rows, columns)."""
    if images.ndim != 4:
        return images
    if layout is None:
        first, last = images.shape[1] <= MOST_CHANNELS, images.shape[3] <= MOST_CHANNELS
        if first == last:
            raise UsageError(f"{path}: which axis of {images.shape} holds the channels is not clear; say --channels first or last")
        layout = "first" if first else "last"
    return np.moveaxis(images, 3, 1) if layout == "last" else images


def as_bytes(images):
    """Whole numbers of any width as uint8 where they fit; what does not fit is refused later, by its type."""
    if images.dtype.kind in "iu" and images.dtype != np.uint8 and images.size and 0 <= images.min() and images.max() <= 255:
        return images.astype(np.uint8)
    return images.astype(images.dtype.newbyteorder("="))


def flat(labels):
    return labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels


def read(path):
    files.must_exist(path)
    try:
        archive = np.load(path, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise DataError(f"{path} is a single array; wanted: an .npz archive with images and labels")
        with archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path}: not a whole .npz archive of plain arrays ({error})") from error


def load(path, test_samples, layout):
    arrays = read(path)
    four = next((names for names in FOURS if all(name in arrays for name in names)), None)
    pair = next((names for names in PAIRS if all(name in arrays for name in names)), None)
    if four:
        images, labels, test_images, test_labels = (arrays[name] for name in four)
        if test_samples is not None:
            raise UsageError(f"{path} has a test set, {four[2]}; --test-samples is for archives without one")
    elif pair:
        images, labels = (arrays[name] for name in pair)
        if test_samples is None or not 0 < test_samples < len(images):
            raise UsageError(f"{path} has no test set; say with --test-samples N how many of its {len(images)} samples, from the "
                             "end, are for testing")
        images, test_images = images[:-test_samples], images[-test_samples:]
        labels, test_labels = labels[:-test_samples], labels[-test_samples:]
    else:
        raise DataError(f"{path} has the arrays {', '.join(arrays) or 'none'}; wanted: {', '.join(FOURS[0])}, or {', '.join(FOURS[1])}, "
                        f"or {' and '.join(PAIRS[0])}")
    halves = [Half(channels_first(path, as_bytes(x), layout), flat(y), path) for x, y in ((images, labels), (test_images, test_labels))]
    return DataSet(*halves)
