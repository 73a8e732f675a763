# SPDX-License-Identifier: BSD-3-Clause
"""eoc-data: small files in the published formats, whole and broken. The formats are written here by hand."""
import gzip
import io
import os
import struct
import subprocess
import tarfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import BUILD

TOOL = Path(__file__).resolve().parents[2] / "tools" / "eoc-data"
SHIPPED = TOOL.parents[1] / "jobs/data/mnist10k.h5"

TRAIN, TEST = 25, 11
GENERATOR = np.random.default_rng(1)
DIGITS = [GENERATOR.integers(0, 256, (n, 28, 28), np.uint8) for n in (TRAIN, TEST)]
DIGIT_LABELS = [np.arange(n, dtype=np.uint8) % 10 for n in (TRAIN, TEST)]


def tool(*arguments, cwd=None):
    return subprocess.run([str(TOOL), *map(str, arguments)], cwd=cwd, text=True, capture_output=True, check=False)


def convert(*arguments, out):
    result = tool(*arguments, "-o", out)
    assert result.returncode == 0 and result.stderr == "", result.stderr
    # The program takes what the tool writes.
    if (BUILD / "tests/share_data").exists():
        read = subprocess.run([str(BUILD / "tests/share_data"), str(out)], text=True, capture_output=True, check=False)
        assert read.stdout == "rank 0: same, 1 sharers\n", read.stdout
    with h5py.File(out) as file:
        return {name: file[name][()] for name in ("train/images", "train/labels", "test/images", "test/labels")}, dict(file.attrs)


def refuse(folder, code, *words_and_arguments, out="out.h5"):
    """Refused in one sentence that holds the words (a list), and nothing is left behind."""
    words, *arguments = words_and_arguments
    before = sorted(folder.rglob("*"))
    result = tool(*arguments, "-o", folder / out)
    assert result.returncode == code and result.stdout == "", result.stderr
    assert result.stderr.count("\n") == 1 and result.stderr.startswith("eoc-data: "), result.stderr
    for word in words:
        assert word in result.stderr, result.stderr
    assert sorted(folder.rglob("*")) == before


def assert_equal(found, images, labels):
    for name, x, y in zip(("train", "test"), images, labels):
        assert found[f"{name}/images"].dtype == x.dtype and np.array_equal(found[f"{name}/images"], x)
        assert np.array_equal(found[f"{name}/labels"], y)


# -- MNIST and Fashion-MNIST --


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


IDX_NAMES = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]


def idx_files():
    return dict(zip(IDX_NAMES, map(idx, (DIGITS[0], DIGIT_LABELS[0], DIGITS[1], DIGIT_LABELS[1]))))


def write_all(folder, contents, pack=lambda data: data, ending=""):
    folder.mkdir(exist_ok=True)
    for name, data in contents.items():
        (folder / f"{name}{ending}").write_bytes(pack(data))
    return folder


@pytest.mark.parametrize("pack, ending", [(bytes, ""), (gzip.compress, ".gz"), (gzip.compress, "")], ids=["plain", "gz", "gz unnamed"])
@pytest.mark.parametrize("name, license", [("mnist", "CC BY-SA 3.0"), ("fashion-mnist", "MIT")])
def test_idx(name, license, pack, ending, tmp_path):
    folder = write_all(tmp_path / "in", idx_files(), pack, ending)
    found, attributes = convert(name, folder, out=tmp_path / "out.h5")
    assert_equal(found, [x[:, None] for x in DIGITS], DIGIT_LABELS)
    assert attributes["license"] == license and attributes["source"]
    assert sorted(os.listdir(tmp_path)) == ["in", "out.h5"]


def test_idx_by_names(tmp_path):
    """Four files in any order, and the names with a dot that some mirrors have."""
    folder = write_all(tmp_path / "in", {name.replace("-idx", ".idx"): data for name, data in idx_files().items()})
    found, attributes = convert("mnist", *sorted(folder.iterdir()), "--title", "mine", "--license", "CC0", out=tmp_path / "out.h5")
    assert_equal(found, [x[:, None] for x in DIGITS], DIGIT_LABELS)
    assert attributes["title"] == "mine" and attributes["license"] == "CC0"


def broken(name, data):
    contents = idx_files()
    contents[name] = data
    return contents


NO_FOUR = np.where(DIGIT_LABELS[0] == 4, 5, DIGIT_LABELS[0]).astype(np.uint8)
TOO_HIGH = np.array([*DIGIT_LABELS[1][:-1], 10], np.uint8)

BROKEN_IDX = {
    "images cut": (broken(IDX_NAMES[0], idx(DIGITS[0])[:-1]), ["train-images", f"wanted: {TRAIN * 784}"]),
    "header cut": (broken(IDX_NAMES[0], idx(DIGITS[0])[:9]), ["train-images", "cut short in its header"]),
    "too long": (broken(IDX_NAMES[3], idx(DIGIT_LABELS[1]) + b"x"), ["t10k-labels", f"wanted: {TEST}"]),
    "empty": (broken(IDX_NAMES[2], b""), ["t10k-images", "not an IDX file"]),
    "a page of HTML": (broken(IDX_NAMES[1], b"<!DOCTYPE html>"), ["train-labels", "not an IDX file"]),
    "labels for images": (broken(IDX_NAMES[0], idx(DIGIT_LABELS[0])), ["train-images", "1 dimensions", "wanted: 3"]),
    "floats": (broken(IDX_NAMES[0], b"\0\0\x0d\3" + idx(DIGITS[0])[4:]), ["0x0d", "unsigned bytes"]),
    "counts": (broken(IDX_NAMES[1], idx(DIGIT_LABELS[0][:-1])), ["train-labels", "24 labels", "wanted: 25"]),
    "label 10": (broken(IDX_NAMES[3], idx(TOO_HIGH)), ["test label 10 is 10", "0 to 9"]),
    "no 4": (broken(IDX_NAMES[1], idx(NO_FOUR)), ["no training image has label 4"]),
    "other size": (broken(IDX_NAMES[2], idx(DIGITS[1][:, :14])), ["(1, 14, 28)", "(1, 28, 28)"]),
    "gz cut": (broken(IDX_NAMES[0], gzip.compress(idx(DIGITS[0]))[:-300]), ["train-images", "cut short or damaged"]),
    "gz damaged": (broken(IDX_NAMES[0], (lambda b: b[:99] + bytes(x ^ 255 for x in b[99:199]) + b[199:])(gzip.compress(idx(DIGITS[0])))),
                   ["train-images", "cut short or damaged"]),
    "huge": (broken(IDX_NAMES[0], b"\0\0\x08\3" + b"\xff" * 12), ["train-images", "wanted: 79228162458924105385300197375"]),
}


@pytest.mark.parametrize("case", BROKEN_IDX)
def test_broken_idx(case, tmp_path):
    contents, words = BROKEN_IDX[case]
    write_all(tmp_path / "in", contents)
    refuse(tmp_path, 1, words, "mnist", tmp_path / "in")


def test_missing_idx(tmp_path):
    contents = idx_files()
    del contents[IDX_NAMES[3]]
    write_all(tmp_path / "in", contents)
    refuse(tmp_path, 2, ["test labels are not there", "t10k-labels-idx1-ubyte"], "mnist", tmp_path / "in")
    refuse(tmp_path, 2, ["nowhere", "no such file"], "mnist", tmp_path / "nowhere")


# -- CIFAR --

RECORDS = 12


def cifar_images(count):
    return GENERATOR.integers(0, 256, (count, 3, 32, 32), np.uint8)


def batch(images, *labels):
    """Records of label bytes and 3072 pixels: red, green, blue, row by row."""
    return b"".join(bytes([column[i] for column in labels]) + image.tobytes() for i, image in enumerate(images))


def cifar10_files():
    images, labels = cifar_images(6 * RECORDS), np.arange(6 * RECORDS) % 10
    names = [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]
    parts = {name: batch(images[i * RECORDS:(i + 1) * RECORDS], labels[i * RECORDS:(i + 1) * RECORDS]) for i, name in enumerate(names)}
    return parts, images, labels


def cifar100_files():
    images, fine = cifar_images(130), np.arange(130) % 100
    coarse = fine % 20
    return {"train.bin": batch(images[:110], coarse[:110], fine[:110]), "test.bin": batch(images[110:], coarse[110:], fine[110:])}, images, coarse, fine


def write_tar(path, prefix, contents, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, data in contents.items():
            member = tarfile.TarInfo(f"{prefix}/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


@pytest.mark.parametrize("form", ["folder", "folder above", "tar.gz", "tar"])
def test_cifar10(form, tmp_path):
    parts, images, labels = cifar10_files()
    if form.startswith("folder"):
        (tmp_path / "in").mkdir()
        inner = write_all(tmp_path / "in/cifar-10-batches-bin", parts)
        source = inner if form == "folder" else inner.parent
    else:
        source = write_tar(tmp_path / f"cifar.{form}", "cifar-10-batches-bin", parts, "w:gz" if form == "tar.gz" else "w")
    found, attributes = convert("cifar10", source, out=tmp_path / "out.h5")
    cut = 5 * RECORDS
    assert_equal(found, [images[:cut], images[cut:]], [labels[:cut], labels[cut:]])
    assert "Krizhevsky" in attributes["source"] and attributes["license"]


@pytest.mark.parametrize("kind", ["fine", "coarse"])
def test_cifar100(kind, tmp_path):
    parts, images, coarse, fine = cifar100_files()
    source = write_tar(tmp_path / "cifar.tar.gz", "cifar-100-binary", parts)
    found, _ = convert("cifar100", source, "--labels", kind, out=tmp_path / "out.h5")
    labels = fine if kind == "fine" else coarse
    assert_equal(found, [images[:110], images[110:]], [labels[:110], labels[110:]])


def test_broken_cifar(tmp_path):
    parts, images, _ = cifar10_files()
    folder = tmp_path / "cut"
    write_all(folder, {**parts, "data_batch_3.bin": parts["data_batch_3.bin"][:-5]})
    refuse(tmp_path, 1, ["data_batch_3.bin", f"{RECORDS * 3073 - 5} bytes", "multiple of 3073"], "cifar10", folder)
    folder = tmp_path / "less"
    write_all(folder, {name: data for name, data in parts.items() if name != "data_batch_4.bin"})
    refuse(tmp_path, 2, ["data_batch_4.bin is not there"], "cifar10", folder)
    folder = tmp_path / "python"
    write_all(folder, {name[:-4]: b"pickle" for name in parts})
    refuse(tmp_path, 2, ["Python version", "binary version"], "cifar10", folder)
    folder = tmp_path / "labels"
    write_all(folder, {**parts, "test_batch.bin": batch(images[:3], [0, 1, 17])})
    refuse(tmp_path, 1, ["test label 2 is 17", "0 to 9"], "cifar10", folder)
    archive = write_tar(tmp_path / "cifar.tar.gz", "cifar-10-batches-bin", parts)
    archive.write_bytes(archive.read_bytes()[:-2000])
    refuse(tmp_path, 1, ["cifar.tar.gz", "whole tar archive"], "cifar10", archive)
    archive.write_bytes(b"no archive at all")
    refuse(tmp_path, 1, ["cifar.tar.gz", "whole tar archive"], "cifar10", archive)
    refuse(tmp_path, 2, ["train.bin is not there"], "cifar100", folder)


# -- npz --


def archive(path, **arrays):
    np.savez(path, **arrays)
    return path


def four(x, y, u, v):
    return {"x_train": x, "y_train": y, "x_test": u, "y_test": v}


COLOURED = GENERATOR.integers(0, 256, (20, 9, 8, 3), np.uint8)
CLASSES = np.arange(20) % 4


def test_npz(tmp_path):
    """Grey images, images with channels last and labels in a column, vectors of floats, one set to be cut."""
    out = tmp_path / "out.h5"
    path = archive(tmp_path / "a.npz", **four(DIGITS[0], DIGIT_LABELS[0], DIGITS[1], DIGIT_LABELS[1]))
    assert_equal(convert("npz", path, out=out)[0], DIGITS, DIGIT_LABELS)
    out.unlink()
    path = archive(tmp_path / "b.npz", train_images=COLOURED[:12].astype(np.int64), train_labels=CLASSES[:12, None],
                   test_images=COLOURED[12:], test_labels=CLASSES[12:, None])
    moved = np.moveaxis(COLOURED, 3, 1)
    assert_equal(convert("npz", path, out=out)[0], [moved[:12], moved[12:]], [CLASSES[:12], CLASSES[12:]])
    out.unlink()
    vectors = GENERATOR.normal(size=(20, 5))
    path = archive(tmp_path / "c.npz", images=vectors.astype(">f8"), labels=CLASSES)
    found, attributes = convert("npz", path, "--test-samples", "7", "--source-note", "drawn", out=out)
    assert_equal(found, [vectors[:13], vectors[13:]], [CLASSES[:13], CLASSES[13:]])
    assert attributes["source"] == "drawn" and attributes["title"] == "c.npz"


def with_nan():
    x = np.ones((20, 5))
    x[7, 2] = np.nan
    return x


BROKEN_NPZ = {
    "names": (1, dict(pictures=COLOURED), ["pictures", "x_train, y_train"]),
    "no test set": (2, dict(images=COLOURED, labels=CLASSES), ["--test-samples"]),
    "counts": (1, four(COLOURED, CLASSES[:-1], COLOURED, CLASSES), ["20 training images", "(19,)"]),
    "shapes": (1, four(COLOURED, CLASSES, COLOURED[:, 1:], CLASSES), ["(3, 8, 8)", "(3, 9, 8)"]),
    "types": (1, four(COLOURED.astype(int) + 1, CLASSES, COLOURED, CLASSES), ["int64", "uint8, float32 or float64"]),
    "float labels": (1, four(COLOURED, CLASSES + 0.5, COLOURED, CLASSES), ["labels are float64", "whole numbers"]),
    "one-hot labels": (1, four(COLOURED, np.eye(4, dtype=int)[CLASSES], COLOURED, CLASSES), ["(20, 4)", "one label an image"]),
    "negative": (1, four(COLOURED, CLASSES - 1, COLOURED, CLASSES), ["training label 0 is -1"]),
    "gap": (1, four(COLOURED, CLASSES * 2, COLOURED, CLASSES), ["no training image has label 1", "largest label is 6"]),
    "test label": (1, four(COLOURED, CLASSES, COLOURED, CLASSES + 1), ["test label 3 is 4", "0 to 3"]),
    "nan": (1, four(with_nan(), CLASSES, np.ones((20, 5)), CLASSES), ["training image 7", "not finite"]),
    "channels": (2, four(COLOURED[:, :3], CLASSES, COLOURED[:, :3], CLASSES), ["(20, 3, 8, 3)", "--channels"]),
    "objects": (1, four(np.array([1, "a"], dtype=object), CLASSES, COLOURED, CLASSES), ["plain arrays"]),
}


@pytest.mark.parametrize("case", BROKEN_NPZ)
def test_broken_npz(case, tmp_path):
    code, arrays, words = BROKEN_NPZ[case]
    refuse(tmp_path, code, words, "npz", archive(tmp_path / "in.npz", **arrays))


def test_files_that_are_no_npz(tmp_path):
    path = archive(tmp_path / "in.npz", **four(COLOURED, CLASSES, COLOURED, CLASSES))
    path.write_bytes(path.read_bytes()[:-100])
    refuse(tmp_path, 1, ["in.npz", "not a whole .npz"], "npz", path)
    np.save(tmp_path / "in.npy", COLOURED)
    refuse(tmp_path, 1, ["in.npy", "single array"], "npz", tmp_path / "in.npy")
    path = archive(tmp_path / "two.npz", **four(COLOURED, CLASSES, COLOURED, CLASSES))
    refuse(tmp_path, 2, ["has a test set"], "npz", path, "--test-samples", "3")


# -- the file that is written --


def test_nothing_is_overwritten(tmp_path):
    source = write_all(tmp_path / "in", idx_files())
    out = tmp_path / "out.h5"
    out.write_text("mine")
    refuse(tmp_path, 2, ["out.h5 is there already", "--overwrite"], "mnist", source)
    assert out.read_text() == "mine"
    # A conversion that fails leaves the old file even with --overwrite.
    write_all(tmp_path / "bad", broken(IDX_NAMES[0], b""))
    refuse(tmp_path, 1, ["not an IDX file"], "mnist", tmp_path / "bad", "--overwrite")
    assert out.read_text() == "mine"
    convert("mnist", source, "--overwrite", out=out)
    refuse(tmp_path, 2, ["no folder"], "mnist", source, out="nowhere/out.h5")
    refuse(tmp_path, 2, ["is a folder"], "mnist", source, out="in")


def test_info(tmp_path):
    """Counts of classes and statistics of mnist10k, as numpy gives them."""
    result = tool("info", SHIPPED)
    assert result.returncode == 0 and result.stderr == ""
    with h5py.File(SHIPPED) as file:
        labels, images = file["train/labels"][()], file["train/images"][()]
    for text in ("CC BY-SA 3.0", "uint8 8000 x 1 x 28 x 28", "10 classes", f"3: {(labels == 3).sum()}", f"mean {images.mean():.6g}"):
        assert text in result.stdout
    (tmp_path / "text.h5").write_text("text")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    for name, code, word in (("text.h5", 1, "not an HDF5 file"), ("other.h5", 1, "without train/images"), ("none.h5", 2, "no such file")):
        result = tool("info", tmp_path / name)
        assert result.returncode == code and word in result.stderr and result.stderr.count("\n") == 1


def test_usage():
    for arguments in ([], ["mnist", "in"], ["minst", "in", "-o", "x.h5"], ["cifar100", "in", "--labels", "both", "-o", "x.h5"]):
        result = tool(*arguments)
        assert result.returncode == 2 and result.stderr.count("\n") == 1 and result.stdout == ""
    assert "eoc-data mnist" in tool("--help").stdout
