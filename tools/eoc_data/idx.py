# SPDX-License-Identifier: BSD-3-Clause
"""MNIST and Fashion-MNIST: four IDX files, http://yann.lecun.com/exdb/mnist."""
import os
import re

import numpy as np

from . import files
from .arrays import DataSet, Half
from .errors import DataError, UsageError

UNSIGNED_BYTE = 8
NAMES = {
    "train images": r"train.images.idx3.ubyte(\.gz)?",
    "train labels": r"train.labels.idx1.ubyte(\.gz)?",
    "test images": r"(t10k|test).images.idx3.ubyte(\.gz)?",
    "test labels": r"(t10k|test).labels.idx1.ubyte(\.gz)?",
}


def parse(path, data, dimensions):
    """An IDX file: 0, 0, type, number of dimensions; the dimensions, big-endian; the numbers."""
    if len(data) < 4 or data[:2] != b"\0\0":
        raise DataError(f"{path}: not an IDX file: it does not begin with two zero bytes")
    if data[2] != UNSIGNED_BYTE:
        raise DataError(f"{path}: the IDX type is {data[2]:#04x}; wanted: 0x08, unsigned bytes")
    if data[3] != dimensions:
        raise DataError(f"{path}: {data[3]} dimensions; wanted: {dimensions}, as {'images' if dimensions == 3 else 'labels'} have")
    head = 4 + 4 * dimensions
    if len(data) < head:
        raise DataError(f"{path}: cut short in its header")
    shape = tuple(int(n) for n in np.frombuffer(data, ">u4", dimensions, 4))
    size = int(np.prod([int(n) for n in shape], dtype=object))
    if len(data) - head != size:
        raise DataError(f"{path}: {len(data) - head} bytes follow the header; wanted: {size}, for the shape {shape} that it gives")
    return np.frombuffer(data, np.uint8, size, head).reshape(shape)


def find(sources):
    """{part: path} of a folder or of the four files."""
    paths = []
    for source in sources:
        files.must_exist(source)
        paths += [os.path.join(source, name) for name in sorted(os.listdir(source))] if os.path.isdir(source) else [source]
    found = {}
    for part, pattern in NAMES.items():
        # The unpacked one first where both are there.
        matches = sorted((path for path in paths if re.fullmatch(pattern, os.path.basename(path))), key=len)
        if not matches:
            known = part.replace("test", "t10k").replace(" ", "-")
            raise UsageError(f"{', '.join(sources)}: the {part.replace('train', 'training')} are not there; wanted: a folder with, or the "
                             f"four files, {known}-idx{3 if 'images' in part else 1}-ubyte(.gz) and the like")
        found[part] = matches[0]
    return found


def load(sources):
    paths = find(sources)
    parts = {part: parse(path, files.read(path), 3 if "images" in part else 1) for part, path in paths.items()}
    halves = []
    for name in ("train", "test"):
        images, labels = parts[f"{name} images"], parts[f"{name} labels"]
        if len(images) != len(labels):
            raise DataError(f"{paths[f'{name} labels']}: {len(labels)} labels; wanted: {len(images)}, one for each image of "
                            f"{paths[f'{name} images']}")
        halves.append(Half(images[:, None], labels, paths[f"{name} images"]))
    return DataSet(*halves)
