# SPDX-License-Identifier: BSD-3-Clause
"""Training of convolutional networks: against a second trainer in NumPy (numpy_net.py), whatever memory, threads and pieces of batches."""
import os
import re

import h5py
import numpy as np
import pytest
from conftest import assert_same_bits, eoc, own_files, run, sentences, write_sweep
from numpy_net import ConvolutionalNet, Training, key_of
from test_train import ROUNDING, curves, expect_curve, initial_net, kill_at_checkpoint, order_of_batches, sweep

CHANNELS, PIXELS, CLASSES, TRAIN, TEST = 2, 4, 3, 96, 32


def write_images(path, channels=CHANNELS, rows=PIXELS, columns=PIXELS):
    """Three overlapping classes of small images; (samples, one-hot targets), training and test."""
    rng = np.random.default_rng(7)
    means = rng.standard_normal((CLASSES, channels, rows, columns))
    sets = {}
    with h5py.File(path, "w") as file:
        for name, count in (("train", TRAIN), ("test", TEST)):
            label = np.arange(count) % CLASSES
            images = (means[label] + 0.7 * rng.standard_normal((count, channels, rows, columns))).astype(np.float32)
            file[f"{name}/images"], file[f"{name}/labels"] = images, label.astype(np.int32)
            file[f"{name}/images"].attrs["layout"] = "sample, channel, row, column"
            sets[name] = images.astype(float).reshape(count, -1), np.eye(CLASSES)[label]
    return sets


NETS = {
    "convolutional(side=4)": dict(),
    "convolutional(side=2, kernel=1, readout=average)": dict(side=2, kernel=1, average=True),
    "convolutional(side=4, padding=zero)": dict(circular=False),
    "convolutional(dimensions=1, side=8, kernel=5)": dict(dimensions=1, side=8, kernel=5),
    "convolutional(dimensions=1, side=8, padding=zero, readout=average)": dict(dimensions=1, side=8, circular=False, average=True),
    "convolutional(side=4, normalization=batch, keep=0.8)": dict(norm="batch", keep=0.8),
    "convolutional(side=4, normalization=layer, readout=average)": dict(norm="layer", average=True),
    "convolutional(side=4, form=pre_activation, branch=0.5)": dict(form="pre_activation", branch=0.5),
    "convolutional(side=2, kernel=1, form=full, normalization=batch)": dict(side=2, kernel=1, form="full", norm="batch"),
}


def training_of(architecture, activation="tanh", initializer="gaussian", optimizer="momentum", extra=""):
    return sweep(f"architecture: '{architecture}', activation: {activation}, initializer: {initializer}, width: 5, depth: 4, "
                 "weight_variance: 1.2, bias_variance: 0.1",
                 f"dataset: images.h5, optimizer: {optimizer}, learning_rate: 0.02, batch: 28, steps: 20, record: all{extra}")


@pytest.mark.parametrize("activation, initializer", [("tanh", "delta_orthogonal"), ("crelu", "looks_linear"), ("tanh", "gaussian_taps(tap_1=0.5)")])
@pytest.mark.parametrize("architecture", NETS)
def test_numpy(architecture, activation, initializer, tmp_path):
    """Twenty batches of 28 of 96 images: losses and accuracies of both sets after each."""
    data = write_images(tmp_path / "images.h5")
    bias_rate = 0.5 if initializer.startswith("gaussian_taps") else 1.0
    text = training_of(architecture, activation, initializer, extra=f", bias_rate: {bias_rate}")
    shape = dict(image=(CHANNELS, PIXELS, PIXELS), side=4) | NETS[architecture]
    start = initial_net(tmp_path, text, activation, 5, 4, CLASSES)
    net = ConvolutionalNet(activation, CHANNELS * PIXELS**2, 5, 4, CLASSES, start.w, **shape)
    path = run(tmp_path, text)
    with h5py.File(path) as file:
        spelled = [file[axis].asstr()[0] for axis in ("architecture", "initializer")]
    net.key = key_of(f"seed=9 architecture={spelled[0]} activation={activation} initializer={spelled[1]} width=5 depth=4 "
                     "weight_variance=1.2 bias_variance=0.1 replica=0")
    net.chunk = 28  # as many as are in memory at a time
    worst = expect_curve(path, Training(net, "cross_entropy", "momentum", 0.02, bias_rate=bias_rate), order_of_batches(net.key, 28), data)
    print(architecture, activation, "off by", worst)
    (loss,) = curves(path, "loss")
    assert np.ptp(loss) > 0.05 * loss[0, 0], "nothing was learnt, so nothing was compared"


LITTLE = ("--set", "train.memory=0.001")  # GiB: less than all layers take


def planned_memory(tmp_path, text, *changes):
    """MB a rank, by eoc plan."""
    write_sweep(tmp_path / "planned.yaml", text)
    result = eoc("plan", "planned.yaml", *changes, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    return float(re.search(r"memory +(\S+) MB a rank", result.stdout).group(1))


def test_memory_and_threads_leave_the_bits(tmp_path):
    """Eighty layers in a memory that holds a few of them, and on three threads: the same bits."""
    write_images(tmp_path / "images.h5")
    text = training_of("convolutional(side=4)").replace("depth: 4", "depth: 80")
    reference = run(tmp_path, text, name="reference")
    assert planned_memory(tmp_path, text, *LITTLE) < 0.9 * planned_memory(tmp_path, text)
    assert_same_bits(run(tmp_path, text, *LITTLE, name="little"), reference)
    assert_same_bits(run(tmp_path, text, "--set", "train.threads=3", name="threads"), reference)


def test_too_little_memory(tmp_path):
    """Less than a network takes is refused, by the plan as by the run, in a sentence with what would be accepted."""
    write_images(tmp_path / "images.h5")
    text = training_of("convolutional(side=4)").replace("depth: 4", "depth: 400")
    write_sweep(tmp_path / "sweep.yaml", text)
    refusals = [eoc(command, "sweep.yaml", "--set", "train.memory=0.001", cwd=tmp_path) for command in ("run", "plan")]
    assert [result.returncode for result in refusals] == [2, 2]
    (sentence,), (planned,) = (sentences(result.stderr) for result in refusals)
    assert "train.memory" in sentence and "accepted" in sentence and "micro_batch" in sentence
    assert planned == sentence
    assert "sweep.h5" not in own_files(tmp_path)


def test_pieces_add_up(tmp_path):
    """A batch of 28 in pieces of 10, 10 and 8: the losses of the whole batch to the rounding of sums in another order."""
    write_images(tmp_path / "images.h5")
    text = training_of("convolutional(side=4, normalization=layer)")
    whole, pieces = run(tmp_path, text, name="whole"), run(tmp_path, text, "--set", "train.micro_batch=10", name="pieces")
    (a,), (b,) = curves(whole, "loss"), curves(pieces, "loss")
    assert np.abs(a / b - 1).max() < ROUNDING and not np.array_equal(a, b)


def test_beside_other_architectures(tmp_path):
    """A network's curves are the same bits alone and in a grid with networks of another architecture, evaluations included."""
    write_images(tmp_path / "images.h5")
    architectures = ["fully_connected(normalization=batch)", "convolutional(side=2, kernel=1)", "convolutional(side=4, normalization=batch)"]
    text = training_of("ARCHITECTURE", extra="").replace("batch: 28", "batch: 16")
    several = run(tmp_path, text.replace("'ARCHITECTURE'", str(architectures)), name="several")
    for i, architecture in enumerate(architectures):
        alone = run(tmp_path, text.replace("ARCHITECTURE", architecture), name=f"alone-{i}")
        for name in ("loss", "accuracy", "test_loss", "test_accuracy"):
            with h5py.File(alone) as one, h5py.File(several) as all_of_them:
                assert np.array_equal(one[f"train/{name}"][0], all_of_them[f"train/{name}"][i]), (architecture, name)


def test_more_threads_than_cores(tmp_path):
    """They are warned of in a sentence, and work."""
    write_images(tmp_path / "images.h5")
    write_sweep(tmp_path / "sweep.yaml", training_of("convolutional(side=4)"))
    for threads, warned in ((os.cpu_count() + 1, True), (1, False)):
        result = eoc("run", "sweep.yaml", "--overwrite", "--set", f"train.threads={threads}", cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        warnings = [line for line in result.stderr.splitlines() if "warning" in line]
        assert len(warnings) == warned and all(f"{threads} threads" in line and "core" in line for line in warnings), result.stderr


@pytest.mark.parametrize("changes, words", [
    (("grid.architecture=convolutional(side=3)",), ("side=3", "divide", "accepted")),
    (("grid.architecture=convolutional(side=4, normalization=batch)", "train.micro_batch=10"), ("micro_batch", "batch normalization")),
    (("train.dataset=gaussian_classes(features=16, classes=3, train=60, test=30)",), ("square", "dimensions=1")),
])
def test_refused(changes, words, tmp_path):
    """What cannot be trained so is refused with its reason before anything is written."""
    write_images(tmp_path / "images.h5")
    write_sweep(tmp_path / "sweep.yaml", training_of("convolutional(side=4)"))
    result = eoc("run", "sweep.yaml", *[part for change in changes for part in ("--set", change)], cwd=tmp_path)
    assert result.returncode == 2
    (sentence,) = sentences(result.stderr)
    assert all(word in sentence for word in words), sentence
    assert "sweep.h5" not in own_files(tmp_path)


@pytest.mark.parametrize("ranks", [1, 3])
def test_ranks_and_resume(ranks, tmp_path):
    """The same bits on any number of ranks, and after a kill in the middle of a unit, gone on with in other memory on other threads."""
    write_images(tmp_path / "images.h5")
    text = training_of("convolutional(side=4, normalization=batch, keep=0.9)", extra=", clip: 1").replace("steps: 20", "steps: 200")
    text = text.replace("record: all", "record: every 50").replace("depth: 4", "depth: [3, 30]")
    reference = run(tmp_path, text, name="reference")
    write_sweep(tmp_path / "sweep.yaml", text)
    kill_at_checkpoint(tmp_path, ranks=ranks)
    otherwise = (*LITTLE, "--set", "train.threads=2")
    assert planned_memory(tmp_path, text, *otherwise) < 0.9 * planned_memory(tmp_path, text, "--set", "train.threads=2")
    result = eoc("run", "sweep.yaml", *otherwise, cwd=tmp_path, ranks=ranks)
    assert result.returncode == 0, result.stderr
    assert "0 of 2 units are finished" in result.stderr
    assert_same_bits(tmp_path / "sweep.h5", reference)
