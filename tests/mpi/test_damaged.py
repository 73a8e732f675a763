# SPDX-License-Identifier: BSD-3-Clause
"""Result files that are not what they were: every object missing, of another type or shape, cut off, or with bits turned.

Whoever reads one (a resumed run, status, plan) ends by itself with an answer: it works, or one sentence and an exit code; never a
signal, never HDF5's own error stack; and a refused file is left as it was.
"""
import random
import shutil
import zlib

import h5py
import numpy as np
import pytest

from conftest import assert_quiet, eoc, run, sentences

SWEEP = "grid: {activation: tanh, depth: 3, width: 8, weight_variance: [1, 2], replica: 2}\n"

# Without them a file is not one of eoc's, or cannot be gone on with; the others belong to readers.
NEEDED = ("run/status", "run/attempts", "run/checksum", "theory/status", "provenance/identity", "provenance/physics_version")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("damaged")
    path = run(folder, SWEEP)
    with h5py.File(path, "a") as file:  # something left to do, so that a resumed run goes through all of its steps
        file["run/status"][..., 0, 0, 0] = 0
    return path


def copy_of(whole, folder):
    shutil.copy(whole, folder / "sweep.h5")
    shutil.copy(whole.with_name("sweep.yaml"), folder / "sweep.yaml")
    return folder / "sweep.h5"


def objects(path):
    names = []
    with h5py.File(path) as file:
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
    return names


def fingerprint(path):
    return zlib.crc32(path.read_bytes()), path.stat().st_size


def answer(folder, path, *command, may_change=False):
    """The exit code; the answer is a sentence where it is not 0, and the file is as it was."""
    before = fingerprint(path)
    result = eoc(*command, cwd=folder, timeout=60)
    assert result.returncode in (0, 1, 2, 3, 75), (command, result.returncode, result.stderr)
    assert_quiet(result.stderr)
    if result.returncode in (1, 2):
        told = [line for line in sentences(result.stderr) if not line.startswith(("eoc: writing", "eoc: checked"))]
        assert 1 <= len(told) <= 3, result.stderr
        assert any("sweep.h5" in line for line in told), result.stderr
        if not may_change:
            assert fingerprint(path) == before, (command, result.stderr)
    return result.returncode


def look_at(folder, path):
    """status and plan, which only read, then a resumed run."""
    codes = [answer(folder, path, "status", "sweep.h5"), answer(folder, path, "plan", "sweep.yaml", "--measured", "sweep.h5")]
    return [*codes, answer(folder, path, "run", "-q", "sweep.yaml")]


def test_the_whole_one_is_gone_on_with(whole, folder):
    path = copy_of(whole, folder)
    assert look_at(folder, path) == [75, 0, 0]


def remove(file, name):
    del file[name]


def retype(file, name):
    shape = file[name].shape
    del file[name]
    file.create_dataset(name, shape, dtype="S7")


def reshape(file, name):
    kind, shape = file[name].dtype, file[name].shape
    del file[name]
    file.create_dataset(name, (*shape, 2) if shape else (3,), dtype=kind)


def make_group(file, name):
    del file[name]
    file.create_group(name)


def dangle(file, name):
    del file[name]
    file[name] = h5py.SoftLink("/nowhere")


@pytest.mark.parametrize("mutate", [remove, retype, reshape, make_group, dangle])
def test_objects(whole, folder, mutate):
    names = [name for name in objects(whole) if "/" in name and name.split("/")[-1] not in h5py.File(whole)]
    assert len(names) > 40 and set(NEEDED) <= set(names)
    chosen = sorted(set(NEEDED) | set(random.Random(mutate.__name__).sample(names, 12)))
    for name in chosen:
        path = copy_of(whole, folder)
        with h5py.File(path, "a") as file:
            mutate(file, name)
        codes = look_at(folder, path)
        if name in NEEDED:
            assert codes[2] in (1, 2), (mutate.__name__, name, codes)


@pytest.mark.parametrize("name, value", [("provenance/physics_version", 999), ("provenance/schema_version", "9.0")])
def test_other_versions(whole, folder, name, value):
    path = copy_of(whole, folder)
    with h5py.File(path, "a") as file:
        file[name][()] = value
        if "schema" in name:
            file.attrs["schema_version"] = value
    codes = look_at(folder, path)
    assert codes[2] in (1, 2)


def test_compressed_since(whole, folder):
    path = copy_of(whole, folder)
    with h5py.File(path, "a") as file:
        values = file["probe/log_q"][()]
        del file["probe/log_q"]
        file.create_dataset("probe/log_q", data=values, compression="gzip")
    look_at(folder, path)


def test_cut_off(whole, folder):
    bytes_of = whole.read_bytes()
    for length in (0, 1, 7, 8, 100, 511, 2048, len(bytes_of) // 3, len(bytes_of) // 2, len(bytes_of) - 1):
        path = copy_of(whole, folder)
        path.write_bytes(bytes_of[:length])
        codes = look_at(folder, path)
        assert codes[0] in (1, 2) and codes[2] in (1, 2), (length, codes)


def test_bits_turned(whole, folder):
    """Anywhere in the first part, where HDF5 keeps most of its own, and anywhere at all."""
    original = whole.read_bytes()
    chance = random.Random(5)
    for i in range(30):
        changed = bytearray(original)
        for _ in range(1 + i % 4):
            changed[chance.randrange(4096 if i % 2 else len(original))] ^= 1 << chance.randrange(8)
        path = copy_of(whole, folder)
        path.write_bytes(changed)
        answer(folder, path, "status", "sweep.h5")
        answer(folder, path, "run", "-q", "sweep.yaml", may_change=True)


def test_no_superblock(whole, folder):
    path = copy_of(whole, folder)
    changed = bytearray(whole.read_bytes())
    changed[:8] = b"\0" * 8
    path.write_bytes(changed)
    assert all(code in (1, 2) for code in look_at(folder, path)[::2])


def test_rows_that_are_not_what_their_checksum_says(whole, folder):
    """A flipped bit in a result: the unit is computed again, and its row is right again."""
    path = copy_of(whole, folder)
    assert answer(folder, path, "run", "-q", "sweep.yaml") == 0
    with h5py.File(path, "a") as file:
        right = file["probe/log_q"][()]
        wrong = right.copy()
        wrong.reshape(-1)[-1] += 1e-3
        file["probe/log_q"][...] = wrong
    assert answer(folder, path, "run", "-q", "sweep.yaml") == 0
    with h5py.File(path) as file:
        assert np.array_equal(file["probe/log_q"][()], right)
