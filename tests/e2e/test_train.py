# SPDX-License-Identifier: BSD-3-Clause
"""Training as a user meets it: the file, the same bits however a sweep was run, stops and checkpoints, and every number against a
second trainer in NumPy and float64 (numpy_net.py) from the same initial weights."""
import itertools
import signal
import time

import h5py
import netCDF4
import numpy as np
import pytest
import xarray
from conftest import (DONE, GRID, PENDING, assert_quiet, assert_same_bits, dimensions, eoc, kill_group, own_files, row_checksum, run,
                      sentences, start, write_sweep)
from numpy_net import (OPTIMIZERS, READOUT, TANGENT, LayeredNet, Net, Training, epoch_order, join, key_of, normals, philox4x32, read_checkpoint,
                       split, threefry4x64)

# What float32 leaves of a loss after some tens of steps: each step and each product adds errors of 6e-8; seen are 1e-7 to 1e-6.
ROUNDING = 1e-5

FEATURES, CLASSES, TRAIN, TEST = 6, 3, 96, 32


def write_labelled(path):
    """Three overlapping classes; samples and one-hot targets, (train, test) each."""
    rng = np.random.default_rng(5)
    means = rng.standard_normal((CLASSES, FEATURES))
    sets = {}
    with h5py.File(path, "w") as file:
        for name, count in (("train", TRAIN), ("test", TEST)):
            label = np.arange(count) % CLASSES
            images = (means[label] + 0.7 * rng.standard_normal((count, FEATURES))).astype(np.float32)
            file[f"{name}/images"], file[f"{name}/labels"] = images, label.astype(np.int32)
            sets[name] = images.astype(float), np.eye(CLASSES)[label]
    return sets


def write_regression(path, outputs=4):
    """A noisy linear map."""
    rng = np.random.default_rng(6)
    teacher = rng.standard_normal((outputs, FEATURES))
    sets = {}
    with h5py.File(path, "w") as file:
        for name, count in (("train", TRAIN), ("test", TEST)):
            images = rng.standard_normal((count, FEATURES)).astype(np.float32)
            targets = (images @ teacher.T + 0.1 * rng.standard_normal((count, outputs))).astype(np.float32)
            file[f"{name}/images"], file[f"{name}/targets"] = images, targets
            sets[name] = images.astype(float), targets.astype(float)
    return sets


def sweep(grid, train, rest="seed: 9\n"):
    return f"{rest}grid: {{{grid}}}\ntrain: {{preprocessing: raw, evaluation_samples: 0, {train}}}\n"


NETWORK = "activation: tanh, width: 10, depth: 3, weight_variance: 1.5, bias_variance: 0.1"
LABELLED = "dataset: labelled.h5"


def checkpoint_of(folder, name="sweep", unit=0):
    return folder / f"{name}.h5.unit-{unit}.checkpoint"


def wait_for(condition, process, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, f"ended too early: {process.stdout.read()}"
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.005)


def kill_at_checkpoint(folder, *options, name="sweep", ranks=None, interval="0", unit=0):
    """Start a sweep and kill it when its first checkpoint is there."""
    process = start("run", f"{name}.yaml", "--checkpoint-interval", interval, *options, cwd=folder, ranks=ranks)
    try:
        wait_for(checkpoint_of(folder, name, unit).exists, process)
    finally:
        kill_group(process)


def initial_net(folder, text, activation, width, depth, outputs):
    """The weights that the sweep's only unit starts from: of a training at 1e-12, the least learning rate there is, whose steps
    change no weight of order 1 and a bias of 0 by 1e-12 each."""
    write_sweep(folder / "initial.yaml", text)
    changes = [f"train.{change}" for change in ("learning_rate=1e-12", "steps=300000", "record=log 2", "optimizer=sgd")]
    kill_at_checkpoint(folder, *[part for change in changes for part in ("--set", change)], name="initial")
    found = read_checkpoint(checkpoint_of(folder, "initial"))
    assert found.rate == 0 and 1 <= found.step < 300000
    return Net(activation, FEATURES, width, depth, outputs, found.parameters.astype(float))


def initial_layered_net(folder, text, activation, **shape):
    """The same, of other architectures."""
    plain = initial_net(folder, text, activation, 10, 4, CLASSES)
    return LayeredNet(activation, FEATURES, 10, 4, CLASSES, plain.w, **shape)


def curves(path, *names):
    """Of the only unit: (learning rate, step) each."""
    with h5py.File(path) as file:
        return [file[f"train/{name}"][()].reshape(file["learning_rate"].size, -1) for name in names]


# -- the file --

FILE = sweep("activation: [tanh, relu], width: 12, depth: [2, 4], weight_variance: [1, 2], replica: 2",
             "dataset: 'gaussian_classes(features=8, classes=3, train=60, test=30)', learning_rate: [0.3, 0.01, 0.1], steps: 20, batch: 20,"
             " record: every 5, optimizer: adam, statistics: [forward, gradient, jacobian]")
RATES, STEPS = [0.01, 0.1, 0.3], [0, 1, 5, 10, 15, 20]
ALONG = {
    GRID: "best_learning_rate",
    GRID + ("learning_rate",): "final_loss final_accuracy final_test_loss final_test_accuracy learning_time divergence_step",
    GRID + ("learning_rate", "step"): "loss accuracy test_loss test_accuracy log_jacobian_m1 log_jacobian_m2",
    GRID + ("learning_rate", "step", "layer"): "log_q c one_minus_c log_gradient_q gradient_c",
}


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return run(tmp_path_factory.mktemp("reference"), FILE)


def test_dimensions(reference):
    """The group train: every variable with its dimensions, and their scales; rates ascending, steps as recorded."""
    with h5py.File(reference) as file:
        assert file["learning_rate"][()].tolist() == RATES and file["step"][()].tolist() == STEPS
        found = {name for name in file["train"] if name not in file}
        assert found == set(" ".join(ALONG.values()).split())
        for dims, names in ALONG.items():
            for name in names.split():
                data = file["train"][name]
                assert dimensions(data) == dims and data.dtype == ("i4" if name == "divergence_step" else "f8"), name
                assert data.shape == tuple(len(file[dim]) for dim in dims)
                assert data.attrs["long_name"] and data.attrs["units"] in (b"1", "1"), name
        assert (file["run/status"][()] == DONE).all() and (file["train/divergence_step"][()] == -1).all()
        for name in ALONG[GRID + ("learning_rate", "step")].split()[:4] + ALONG[GRID + ("learning_rate",)].split()[:4]:
            assert np.isfinite(file["train"][name][()]).all(), name
        depth = file["depth"][()]
        for name in ALONG[GRID + ("learning_rate", "step", "layer")].split():
            for at, deepest in enumerate(depth):
                values = file["train"][name][()][:, :, :, :, at]
                assert np.isnan(values[..., deepest:]).all(), name
                assert np.isfinite(values[:, 0, ..., :deepest]).all(), name  # tanh does not die


def test_final_values_are_the_last_of_the_curves(reference):
    with h5py.File(reference) as file:
        train = file["train"]
        for name in ("loss", "accuracy", "test_loss", "test_accuracy"):
            assert train[f"final_{name}"][()].tobytes() == np.ascontiguousarray(train[name][..., -1]).tobytes(), name


@pytest.mark.parametrize("engine", ["h5netcdf", "netcdf4"])
def test_xarray(engine, reference):
    """Either engine opens the group; learning rate and step are labels to select by."""
    with xarray.open_dataset(reference, group="train", engine=engine) as data, h5py.File(reference) as file:
        for dims, names in ALONG.items():
            for name in names.split():
                assert data[name].dims == dims and data[name].dtype == file["train"][name].dtype, name
                assert data[name].values.tobytes() == file["train"][name][()].tobytes(), name
        at = data.sel(activation="relu", depth=4, weight_variance=2, replica=1).squeeze()
        stored = file["train/loss"][0, 1, 0, 0, 1, 1, 0, 1]
        assert at.loss.sel(learning_rate=0.3, step=15).item() == stored[2, 4]
        assert at.loss.sel(learning_rate=[0.01, 0.3]).sel(step=slice(1, 10)).values.tolist() == stored[[0, 2], 1:4].tolist()
        assert at.log_q.sel(learning_rate=0.1, step=5, layer=4).item() == file["train/log_q"][0, 1, 0, 0, 1, 1, 0, 1, 1, 2, 3]


def test_netcdf4_python(reference):
    with netCDF4.Dataset(reference) as data, h5py.File(reference) as file:
        loss = data["train"]["loss"]
        loss.set_auto_mask(False)
        assert loss.dimensions == GRID + ("learning_rate", "step")
        assert loss[...].tobytes() == file["train/loss"][()].tobytes()


def test_checksum_covers_training(reference):
    """run/checksum is zlib's CRC-32 over all rows of the unit, training's too."""
    with h5py.File(reference) as file:
        stored = file["run/checksum"][()]
        for number in range(stored.size):
            unit = np.unravel_index(number, stored.shape)
            assert row_checksum(file, unit) == stored[unit], unit
        assert np.unique(stored).size == stored.size


# -- the same bits --

@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_ranks(ranks, reference, tmp_path):
    """On 1, 2 and 3 ranks, and in another order, all results are the same bits."""
    assert_same_bits(run(tmp_path, FILE, "--shuffle", "4", ranks=ranks), reference)


def test_in_a_larger_grid(reference, tmp_path):
    """With more points around it a unit learns the same, bit for bit."""
    larger = {"grid.weight_variance": "[3, 2, 0.5, 1]", "grid.depth": "[1, 2, 4, 6]", "grid.replica": "3", "grid.activation": "[relu, erf, tanh]"}
    path = run(tmp_path, FILE, *[part for key, value in larger.items() for part in ("--set", f"{key}={value}")], ranks=2)
    with h5py.File(reference) as small, h5py.File(path) as large:
        for names in ALONG.values():
            for name in names.split():
                mine, other = small["train"][name], large["train"][name]
                places = [[list(large[axis][()]).index(label) for label in small[axis][()]] for axis in dimensions(mine)]
                assert mine[()].tobytes() == np.ascontiguousarray(other[()][np.ix_(*places)]).tobytes(), name


def test_a_rate_alone(reference, tmp_path):
    """A learning rate in a list starts from the same weights and sees the same batches as alone."""
    path = run(tmp_path, FILE, "--set", "train.learning_rate=0.1")
    with h5py.File(reference) as several, h5py.File(path) as alone:
        for name in ("loss", "test_accuracy", "log_gradient_q"):
            assert np.ascontiguousarray(several["train"][name][()].take([1], axis=8)).tobytes() == alone["train"][name][()].tobytes(), name


# -- stops --

# Some 2 s of one rank, one unit of two trainings: the second has half of it.
LONG = sweep("activation: tanh, width: 64, depth: 4, weight_variance: 1.5",
             "dataset: 'gaussian_classes(features=20, classes=5, train=500, test=50)', learning_rate: [0.001, 0.002], steps: 8000, batch: 32,"
             " record: log 10, optimizer: adam, clip: 5, statistics: [forward, gradient]")


@pytest.fixture(scope="module")
def long_reference(tmp_path_factory):
    return run(tmp_path_factory.mktemp("long"), LONG)


def finish(folder, long_reference):
    """The same command again ends as if uninterrupted and cleans up."""
    result = eoc("run", "sweep.yaml", cwd=folder)
    assert result.returncode == 0, result.stderr
    assert_same_bits(folder / "sweep.h5", long_reference)
    assert own_files(folder) == {"sweep.yaml", "sweep.h5"}


@pytest.mark.parametrize("ranks", [None, 2], ids=["alone", "mpirun"])
@pytest.mark.parametrize("rate", [0, 1], ids=["in the first training", "in the second"])
def test_killed_training_goes_on(rate, ranks, long_reference, tmp_path):
    """SIGKILL in the middle of either training, then the same command: the bits of an uninterrupted one."""
    write_sweep(tmp_path / "sweep.yaml", LONG)
    kept = checkpoint_of(tmp_path)
    process = start("run", "sweep.yaml", "--checkpoint-interval", "0.05", cwd=tmp_path, ranks=ranks)
    try:
        wait_for(lambda: kept.exists() and read_checkpoint(kept).rate >= rate, process)
    finally:
        kill_group(process)
    found = read_checkpoint(kept)
    assert found.rate == rate and found.step > 0
    finish(tmp_path, long_reference)


@pytest.mark.parametrize("ranks", [None, 2], ids=["alone", "mpirun"])
def test_stopped_training_goes_on(ranks, long_reference, tmp_path):
    """SIGUSR1 once everything is under way: exit code 75, a checkpoint; the same command ends with the same bits."""
    write_sweep(tmp_path / "sweep.yaml", LONG)
    process = start("run", "sweep.yaml", "--checkpoint-interval", "0.05", cwd=tmp_path, ranks=ranks)
    try:
        wait_for(checkpoint_of(tmp_path).exists, process)
        before = read_checkpoint(checkpoint_of(tmp_path))
        process.send_signal(signal.SIGUSR1)
        output, _ = process.communicate(timeout=30)
    finally:
        if process.poll() is None:
            kill_group(process)
    assert process.returncode == 75, output
    after = read_checkpoint(checkpoint_of(tmp_path))
    assert (after.rate, after.step) >= (before.rate, before.step)
    with h5py.File(tmp_path / "sweep.h5") as file:
        assert file["run/status"][()].item() == PENDING  # given up in good order, so nothing is held against it
    finish(tmp_path, long_reference)


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """A folder with an interrupted sweep, to be copied."""
    folder = tmp_path_factory.mktemp("interrupted")
    write_sweep(folder / "sweep.yaml", LONG)
    kill_at_checkpoint(folder, interval="0.05")
    return folder


def copy_of(folder, target):
    for item in folder.iterdir():
        (target / item.name).write_bytes(item.read_bytes())
    return checkpoint_of(target)


def flip(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]


def with_other(field_at):
    """A field of the head changed, and the sum right for it."""
    def change(data):
        head, pieces = split(data)
        return join(flip(head, field_at), pieces)
    return change


DAMAGED = {
    "a bit of the weights": lambda data: flip(data, len(data) // 2),
    "a bit of the sum": lambda data: flip(data, len(data) - 1),
    "cut in the middle": lambda data: data[:len(data) // 2],
    "cut by a byte": lambda data: data[:-1],
    "longer": lambda data: data + b"\0",
    "empty": lambda data: b"",
    "something else": lambda data: b"\x89HDF\r\n\x1a\n" * 100,
    "other physics_version": with_other(16),
    "other owner": with_other(20),
    "other format": with_other(15),
    "a piece fewer": lambda data: join(*(lambda head, pieces: (head, pieces[:-1]))(*split(data))),
    "a shorter piece": lambda data: join(*(lambda head, pieces: (head, [pieces[0], pieces[1][:-4], *pieces[2:]]))(*split(data))),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_damaged_checkpoint_is_passed_over(damage, interrupted, long_reference, tmp_path):
    """What is not a whole checkpoint of this unit is as good as none: the result is right all the same."""
    kept = copy_of(interrupted, tmp_path)
    kept.write_bytes(DAMAGED[damage](kept.read_bytes()))
    finish(tmp_path, long_reference)


def test_checkpoint_of_another_sweep_is_passed_over(interrupted, long_reference, tmp_path):
    """One of the same sizes, from a sweep with another seed."""
    other = tmp_path / "other"
    other.mkdir()
    write_sweep(other / "sweep.yaml", LONG.replace("seed: 9", "seed: 10"))
    kill_at_checkpoint(other, interval="0.05")
    mine = tmp_path / "mine"
    mine.mkdir()
    kept = copy_of(interrupted, mine)
    assert [len(piece) for piece in split(kept.read_bytes())[1]] == [len(piece) for piece in split(checkpoint_of(other).read_bytes())[1]]
    kept.write_bytes(checkpoint_of(other).read_bytes())
    finish(mine, long_reference)


def test_checkpoint_is_what_a_training_goes_on_from(interrupted, long_reference, tmp_path):
    """Else the tests above would pass without any: with other weights in it, whole and with its sum, the end is another one."""
    kept = copy_of(interrupted, tmp_path)
    head, pieces = split(kept.read_bytes())
    pieces[1] = (0.9 * np.frombuffer(pieces[1], dtype=np.float32)).astype(np.float32).tobytes()
    kept.write_bytes(join(head, pieces))
    assert eoc("run", "sweep.yaml", cwd=tmp_path).returncode == 0
    (mine,), (right,) = curves(tmp_path / "sweep.h5", "loss"), curves(long_reference, "loss")
    assert mine[:, 0].tolist() == right[:, 0].tolist() and (mine[:, -1] != right[:, -1]).any()


# -- numbers --

def test_generators():
    """The second trainer's Threefry and Philox give the known answers of Random123 1.14.0 (kat_vectors)."""
    assert threefry4x64([0] * 4, [0] * 4) == [0x09218EBDE6C85537, 0x55941F5266D86105, 0x4BD25E16282434DC, 0xEE29EC846BD2E40B]
    block = philox4x32([np.zeros(1, dtype=np.uint64)] * 4, (0, 0))
    assert block[:, 0].tolist() == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]


def expect_curve(path, training, batches, data, row=0):
    """Losses and accuracies at every recorded step of a run with `record: all` are those of the second trainer."""
    loss, test_loss, accuracy, test_accuracy = (values[row] for values in curves(path, "loss", "test_loss", "accuracy", "test_accuracy"))
    (x, t), test = data["train"], data["test"]
    worst = 0.0
    for step in range(len(loss)):
        for name, found, (inputs, targets) in (("train", loss, (x, t)), ("test", test_loss, test)):
            expected = training.net.loss(inputs, targets, training.loss)
            worst = max(worst, abs(found[step] / expected - 1))
            assert found[step] == pytest.approx(expected, rel=ROUNDING), (name, step)
        for found, (inputs, targets) in ((accuracy, (x, t)), (test_accuracy, test)):
            y = training.net.forward(inputs)[1][-1]
            hit = (y.argmax(axis=1) == targets.argmax(axis=1)).mean()
            # A sample whose two greatest outputs are equal to rounding may fall either way.
            assert np.isnan(found[step]) or abs(found[step] - hit) <= 1.01 / len(y), step
        if step + 1 < len(loss):
            batch = next(batches)
            training.take(x[batch], t[batch])
    return worst


def whole_set():
    return itertools.repeat(slice(None))


def order_of_batches(key, batch):
    """Batches of epoch after epoch; the rest of an epoch is left out."""
    for epoch in itertools.count():
        order = epoch_order(key, epoch, TRAIN)
        assert sorted(order) == list(range(TRAIN))
        for at in range(TRAIN // batch):
            yield order[at * batch:(at + 1) * batch]


KEY_TEXT = ("seed=9 architecture=fully_connected activation={} initializer={} width={} depth={} weight_variance=1.5 bias_variance=0.1 "
            "replica=0")


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
@pytest.mark.parametrize("optimizer, rate", [("sgd", 0.2), ("momentum", 0.05), ("rmsprop", 0.003), ("adam", 0.01)])
def test_optimizers(optimizer, rate, loss, tmp_path):
    """Thirty steps on the whole set, at two learning rates, with labels."""
    data = write_labelled(tmp_path / "labelled.h5")
    text = sweep(NETWORK, f"{LABELLED}, loss: {loss}, optimizer: {optimizer}, learning_rate: [{rate}, {rate / 4}], batch: {TRAIN}, steps: 30, "
                 "record: all")
    start_net = initial_net(tmp_path, text, "tanh", 10, 3, CLASSES)
    path = run(tmp_path, text)
    for row, a in enumerate((rate / 4, rate)):
        net = Net("tanh", FEATURES, 10, 3, CLASSES, start_net.w.copy())
        expect_curve(path, Training(net, loss, optimizer, a), whole_set(), data, row)
    (found,) = curves(path, "loss")
    assert (found[:, -1] < 0.95 * found[:, 0]).all(), "nothing was learnt, so nothing was compared"


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_batches(optimizer, tmp_path):
    """Thirty batches of 28 of 96 samples: ten epochs, each in the order of its own permutation, each 12 samples short of whole."""
    data = write_labelled(tmp_path / "labelled.h5")
    text = sweep(NETWORK, f"{LABELLED}, optimizer: {optimizer}, learning_rate: 0.01, batch: 28, steps: 30, record: all")
    net = initial_net(tmp_path, text, "tanh", 10, 3, CLASSES)
    key = key_of(KEY_TEXT.format("tanh", "gaussian", 10, 3))
    expect_curve(run(tmp_path, text), Training(net, "cross_entropy", optimizer, 0.01), order_of_batches(key, 28), data)


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
def test_clipping(optimizer, tmp_path):
    """A norm that some gradients exceed and others do not, by the second trainer's own count."""
    data = write_labelled(tmp_path / "labelled.h5")
    text = sweep(NETWORK, f"{LABELLED}, optimizer: {optimizer}, learning_rate: 0.05, batch: 28, steps: 30, record: all, clip: 0.9")
    net = initial_net(tmp_path, text, "tanh", 10, 3, CLASSES)
    training = Training(net, "cross_entropy", optimizer, 0.05, clip=0.9)
    key = key_of(KEY_TEXT.format("tanh", "gaussian", 10, 3))
    norms = []

    def batches():
        for batch in order_of_batches(key, 28):
            norms.append(np.linalg.norm(net.gradient(data["train"][0][batch], data["train"][1][batch], "cross_entropy")[1]))
            yield batch

    expect_curve(run(tmp_path, text), training, batches(), data)
    assert min(norms) < 0.8 and max(norms) > 1.0, (min(norms), max(norms))


@pytest.mark.parametrize("bias_rate", [0.0, 0.25])
@pytest.mark.parametrize("optimizer, clip", [("sgd", 0.0), ("momentum", 0.0), ("adam", 0.0), ("momentum", 0.9)])
def test_rate_of_biases(optimizer, clip, bias_rate, tmp_path):
    """A learning rate of their own for biases, in steps of a product, of a layer and of the whole network; at 0 they stay."""
    data = write_labelled(tmp_path / "labelled.h5")
    text = sweep(NETWORK, f"{LABELLED}, optimizer: {optimizer}, learning_rate: 0.05, batch: 28, steps: 30, record: all, clip: {clip}, "
                          f"bias_rate: {bias_rate}")
    net = initial_net(tmp_path, text, "tanh", 10, 3, CLASSES)
    before = net.w[net.is_bias()].copy()
    training = Training(net, "cross_entropy", optimizer, 0.05, clip=clip, bias_rate=bias_rate)
    expect_curve(run(tmp_path, text), training, order_of_batches(key_of(KEY_TEXT.format("tanh", "gaussian", 10, 3)), 28), data)
    assert np.array_equal(before, net.w[net.is_bias()]) == (bias_rate == 0)


LAYERED = {
    "fully_connected(normalization=batch)": dict(norm="batch"),
    "fully_connected(normalization=layer, epsilon=0.01)": dict(norm="layer", epsilon=0.01),
    "fully_connected(keep=0.8)": dict(keep=0.8),
    "residual(branch=1/sqrt(depth))": dict(form="pre_activation", branch=0.5),
    "residual(form=reduced, normalization=batch, branch=0.7, skip=0.9)": dict(form="reduced", norm="batch", branch=0.7, skip=0.9),
    "residual(form=full, normalization=layer, keep=0.8)": dict(form="full", norm="layer", keep=0.8),
}


@pytest.mark.parametrize("activation, initializer", [("tanh", "gaussian"), ("crelu", "looks_linear"), ("crelu", "he_normal")])
@pytest.mark.parametrize("architecture", LAYERED)
def test_architectures(architecture, activation, initializer, tmp_path):
    """Twenty batches of 28 of 96 samples, losses and accuracies after each: with the running averages, without masks."""
    if "reduced" in architecture and activation == "crelu":
        initializer, activation = "orthogonal", "relu"  # a sum unit by unit has no place for two features
    data = write_labelled(tmp_path / "labelled.h5")
    # A batch's normalization leaves nothing of the biases before it, and Adam makes steps of the rounding that is left.
    optimizer, rate = ("momentum", 0.02) if "residual" in architecture or "=batch" in architecture else ("adam", 0.005)
    text = sweep(f"architecture: '{architecture}', activation: {activation}, initializer: {initializer}, width: 10, depth: 4, "
                 "weight_variance: 1, bias_variance: 0.1",
                 f"{LABELLED}, optimizer: {optimizer}, learning_rate: {rate}, batch: 28, steps: 20, record: all")
    net = initial_layered_net(tmp_path, text, activation, **LAYERED[architecture])
    path = run(tmp_path, text)
    with h5py.File(path) as file:
        spelled = file["architecture"].asstr()[0]
    net.key = key_of(f"seed=9 architecture={spelled} activation={activation} initializer={initializer} width=10 depth=4 "
                     "weight_variance=1 bias_variance=0.1 replica=0")
    worst = expect_curve(path, Training(net, "cross_entropy", optimizer, rate), order_of_batches(net.key, 28), data)
    print(architecture, activation, "off by", worst)
    (loss,) = curves(path, "loss")
    assert np.ptp(loss) > 0.05 * loss[0, 0], "nothing was learnt, so nothing was compared"


# One of everything that has a state of its own: running averages, masks, second matrices.
STATEFUL = "architecture: 'residual(form=full, normalization=batch, keep=0.9)', activation: [crelu, tanh]"


@pytest.mark.parametrize("ranks", [1, 3])
def test_ranks_of_architectures(ranks, tmp_path):
    """The same bits on any number of ranks, in another order, and in a larger grid."""
    text = sweep(f"{STATEFUL}, width: 12, depth: [2, 4], weight_variance: 1",
                 "dataset: 'gaussian_classes(features=8, classes=3, train=60, test=30)', learning_rate: [0.01, 0.1], steps: 12, batch: 20")
    reference = run(tmp_path, text, name="reference")
    assert_same_bits(run(tmp_path, text, "--shuffle", "4", ranks=ranks), reference)
    larger = run(tmp_path, text, "--set", "grid.activation=relu,tanh,crelu", "--set", "grid.depth=2,3,4", "--set",
                 "grid.architecture=fully_connected,'residual(form=full, normalization=batch, keep=0.9)'", name="larger")
    with h5py.File(reference) as small, h5py.File(larger) as large:
        place = [name.startswith("residual(") for name in large["architecture"].asstr()[()]].index(True)
        for mine, activation in enumerate(small["activation"].asstr()[()]):
            other = list(large["activation"].asstr()[()]).index(activation)
            for depth in (0, 1):
                assert np.array_equal(small["train/loss"][0, mine, ..., depth, :, :, :, :, :], large["train/loss"][place, other, ..., 2 * depth, :, :, :, :, :])


def test_killed_architecture_goes_on(tmp_path):
    """Running averages are in the checkpoint and masks are the step's own: the bits of an uninterrupted training."""
    text = sweep(f"{STATEFUL.replace('[crelu, tanh]', 'crelu')}, width: 32, depth: 4, weight_variance: 1",
                 "dataset: 'gaussian_classes(features=20, classes=5, train=500, test=50)', learning_rate: 0.001, steps: 1500, batch: 32, "
                 "record: log 10, optimizer: adam")
    reference = run(tmp_path, text, name="reference")
    write_sweep(tmp_path / "sweep.yaml", text)
    kill_at_checkpoint(tmp_path, interval="0.05")
    kept = read_checkpoint(checkpoint_of(tmp_path))
    assert 0 < kept.step < 1500
    averages = np.frombuffer(kept.pieces[-1], dtype=np.float32)
    assert averages.size == 3 * 2 * 32 and (averages != 0).all()  # of three blocks
    assert eoc("run", "sweep.yaml", cwd=tmp_path).returncode == 0
    assert_same_bits(tmp_path / "sweep.h5", reference)


@pytest.mark.parametrize("optimizer", ["momentum", "rmsprop", "adam"])
def test_going_on_from_a_checkpoint(optimizer, tmp_path):
    """Weights and states of a checkpoint in the middle: the second trainer goes on from there as the first did."""
    data = write_labelled(tmp_path / "labelled.h5")
    text = sweep(NETWORK, f"{LABELLED}, optimizer: {optimizer}, learning_rate: 1e-5, batch: {TRAIN}, steps: 3000, record: all")
    write_sweep(tmp_path / "sweep.yaml", text)
    kill_at_checkpoint(tmp_path)
    kept = read_checkpoint(checkpoint_of(tmp_path))
    assert 0 < kept.step < 2900 and len(kept.states) == (2 if optimizer == "adam" else 1)
    assert eoc("run", "sweep.yaml", cwd=tmp_path).returncode == 0
    (loss,) = curves(tmp_path / "sweep.h5", "loss")
    net = Net("tanh", FEATURES, 10, 3, CLASSES, kept.parameters.astype(float))
    training = Training(net, "cross_entropy", optimizer, 1e-5, step=kept.step, states=[s.astype(float) for s in kept.states])
    x, t = data["train"]
    for step in range(kept.step, kept.step + 50):
        assert loss[0, step] == pytest.approx(net.loss(x, t, "cross_entropy"), rel=ROUNDING), step
        training.take(x, t)
    assert all((state != 0).mean() > 0.9 for state in kept.states)


def test_linear_regression(tmp_path):
    """A linear network of one hidden layer on a regression set: full-batch gradient descent against NumPy over 200 steps, and in the
    end the least-squares solution, to which such a network wide enough must come (Baldi & Hornik 1989: no other minima)."""
    data = write_regression(tmp_path / "regression.h5")
    text = sweep("activation: linear, width: 10, depth: 1, weight_variance: 1, bias_variance: 0",
                 f"dataset: regression, loss: mse, threshold: loss 0.5, learning_rate: 0.2, batch: {TRAIN}, steps: 200, record: all")
    net = initial_net(tmp_path, text, "linear", 10, 1, 4)
    path = run(tmp_path, text)
    (x, t), (loss, test_loss, accuracy) = data["train"], (values[0] for values in curves(path, "loss", "test_loss", "accuracy"))
    training = Training(net, "mse", "sgd", 0.2)
    for step in range(201):
        assert loss[step] == pytest.approx(net.loss(x, t, "mse"), rel=1e-4), step
        assert test_loss[step] == pytest.approx(net.loss(*data["test"], "mse"), rel=1e-4), step
        training.take(x, t)
    assert np.isnan(accuracy).all()
    longer = run(tmp_path, text, "--set", "train.steps=3000", "--set", "train.record=log 5", name="longer")
    design = np.column_stack((x, np.ones(TRAIN)))
    least = ((t - design @ np.linalg.lstsq(design, t, rcond=None)[0]) ** 2).mean()
    with h5py.File(longer) as file:
        assert file["train/final_loss"][()].item() == pytest.approx(least, rel=1e-4)


def test_linear_teacher(tmp_path):
    """White inputs X^T X/n = I and targets A x: the loss of the best map is 0, and that of y = 0 is sum s_k^2/outputs, at which a
    network whose read-out begins at 0 starts."""
    text = sweep("activation: linear, width: 8, depth: 2, initializer: orthogonal, weight_variance: 1, bias_variance: 0",
                 "dataset: 'linear_teacher(features=8, outputs=8, largest=2, smallest=0.5, spectrum=linear, train=64)', loss: mse, "
                 "threshold: loss 0.01, readout_variance: 0, learning_rate: 0.2, batch: 64, steps: 2000, record: log 10")
    with h5py.File(run(tmp_path, text)) as file:
        strengths = np.linspace(2, 0.5, 8)
        loss = file["train/loss"][()].ravel()
        assert loss[0] == pytest.approx((strengths**2).sum() / 8, rel=1e-5)
        assert loss[-1] < 1e-6


# -- statistics --

def test_statistics_at_the_start_are_the_probe_s(tmp_path):
    """linear, orthogonal, width = features: gradients, which then depend on no input, are those of the probe with the same weights and
    the same read-out v. At every layer of each of two depths, to the float32 of the trained weights."""
    grid = "activation: linear, initializer: orthogonal, width: 24, depth: [3, 6], weight_variance: [0.8, 1.3]"
    train = "dataset: 'gaussian_classes(features=24, classes=4, train=128, test=16)', steps: 3, batch: 64, statistics: gradient"
    path = run(tmp_path, sweep(grid, train) + "probe: {statistics: gradient, inputs: {kind: pair}, sampler: explicit}\n")
    with h5py.File(path) as file:
        assert file["step"][0] == 0
        trained = file["train/log_gradient_q"][()][..., 0, 0, :]
        probed = file["probe/log_gradient_q"][()]
        assert np.array_equal(np.isnan(trained), np.isnan(probed))
        assert np.nanmax(np.abs(trained - probed)) < 1e-6


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_statistics_of_a_trained_network(activation, tmp_path):
    """Statistics at the step of a checkpoint, from its weights: z, E_a = v.h^L, J = dh^L/dx and u as the headers have them."""
    data = write_labelled(tmp_path / "labelled.h5")
    text = sweep(NETWORK.replace("tanh", activation), f"{LABELLED}, learning_rate: 0.05, batch: 32, steps: 1000, record: all, "
                 "statistics: [forward, gradient, jacobian]")
    write_sweep(tmp_path / "sweep.yaml", text)
    kill_at_checkpoint(tmp_path)
    kept = read_checkpoint(checkpoint_of(tmp_path))
    assert kept.step < 1000
    assert eoc("run", "sweep.yaml", cwd=tmp_path).returncode == 0
    key = key_of(KEY_TEXT.format(activation, "gaussian", 10, 3))
    net = Net(activation, FEATURES, 10, 3, CLASSES, kept.parameters.astype(float))
    expected = statistics_of(net, activation, data["test"][0][:2], normals(key, 0, READOUT, 0, 10), normals(key, 0, TANGENT, 0, FEATURES))
    with h5py.File(tmp_path / "sweep.h5") as file:
        for name, values in expected.items():
            found = file[f"train/{name}"][()].reshape(1001, -1)[kept.step]
            assert found == pytest.approx(np.atleast_1d(values), rel=1e-9, abs=1e-9), name
        start_values, end = (file["train/log_q"][()].reshape(1001, -1)[at] for at in (0, kept.step))
        assert (start_values != end).all(), "the network of the start would have passed"


def statistics_of(net, activation, x, v, u):
    """By the definitions in train.h, in float64; net.w rounded to float32 as it is stored."""
    dphi = {"tanh": lambda z: 1 - np.tanh(z) ** 2, "relu": lambda z: (z > 0).astype(float)}[activation]
    _, zs = net.forward(x)
    weights = [layer[0] for layer in net.layers(net.w)]
    found = {name: [] for name in ("log_q", "c", "one_minus_c", "log_gradient_q", "gradient_c")}

    def cosine(rows):
        return rows[0] @ rows[1] / np.linalg.norm(rows[0]) / np.linalg.norm(rows[1])

    gradients = [np.array([v, v]) * dphi(zs[net.depth - 1])]
    for layer in range(net.depth - 1, 0, -1):
        gradients.insert(0, gradients[0] @ weights[layer] * dphi(zs[layer - 1]))
    jacobian = np.eye(net.features)
    for layer in range(net.depth):
        z, g = zs[layer], gradients[layer]
        found["log_q"].append(np.log((z**2).mean()))
        found["c"].append(cosine(z))
        found["one_minus_c"].append(1 - cosine(z))
        found["log_gradient_q"].append(np.log((g**2).mean()))
        found["gradient_c"].append(cosine(g))
        jacobian = dphi(z[0])[:, None] * (weights[layer] @ jacobian)
    u = u / np.linalg.norm(u)
    up = jacobian @ u
    found["log_jacobian_m1"] = np.log(up @ up)  # E over u of |J u|^2 = tr(J^T J)/features
    down = jacobian.T @ up
    found["log_jacobian_m2"] = np.log(down @ down)
    return found


def test_early_averages_that_overflow(tmp_path):
    """Batch-normalized relu, 60 layers: by the averages of the first step evaluations overflow float32, by batches nothing
    does (a float32 trainer in NumPy has losses of 2.35 to 2.7). The training goes on; those evaluations are NaN."""
    sweep = ("grid: {activation: relu, architecture: fully_connected(normalization=batch), width: 64, depth: 60, weight_variance: 2}\n"
             "probe: {statistics: none}\n"
             "train: {dataset: mnist10k, optimizer: sgd, learning_rate: 0.1, batch: 128, steps: 30, evaluation_samples: 200, record: all}\n")
    (tmp_path / "deep.yaml").write_text(sweep)
    assert eoc("run", "deep.yaml", cwd=tmp_path).returncode == 0
    with h5py.File(tmp_path / "deep.h5") as file:
        loss = file["train/loss"][()].ravel()
        assert file["train/divergence_step"][()].item() == -1
    assert np.isnan(loss[1]) and np.isfinite(loss[0]) and np.isfinite(loss[-1])


# -- divergence, learning time, the best rate --

def test_divergence_is_a_result(tmp_path):
    """mse and a learning rate far above 2 over the greatest curvature: divergence_step, NaN from there on, the unit is done."""
    write_regression(tmp_path / "regression.h5")
    text = sweep("activation: linear, width: 10, depth: 2, weight_variance: 1",
                 f"dataset: regression, loss: mse, threshold: loss 0.5, learning_rate: [0.1, 50, 1e6], batch: {TRAIN}, steps: 100, record: all")
    with h5py.File(run(tmp_path, text)) as file:
        assert file["run/status"][()].item() == DONE
        step = file["train/divergence_step"][()].ravel()
        loss, final = file["train/loss"][()].reshape(3, -1), file["train/final_loss"][()].ravel()
        assert step[0] == -1 and np.isfinite(loss[0]).all()
        for row in (1, 2):
            assert 1 <= step[row] < 30
            assert np.isfinite(loss[row, :step[row]]).all() and np.isnan(loss[row, step[row]:]).all()
            assert loss[row, step[row] - 1] > 1e6 and np.isnan(final[row])
        assert file["train/best_learning_rate"][()].item() == 0.1
        assert np.isnan(file["train/learning_time"][()].ravel()[1:]).all()


def test_all_diverge(tmp_path):
    """Then there is no best rate, and the unit is done."""
    write_regression(tmp_path / "regression.h5")
    text = sweep("activation: linear, width: 10, depth: 2, weight_variance: 1",
                 f"dataset: regression, loss: mse, threshold: loss 0.5, learning_rate: [50, 60], batch: {TRAIN}, steps: 100")
    with h5py.File(run(tmp_path, text)) as file:
        assert file["run/status"][()].item() == DONE and (file["train/divergence_step"][()] > 0).all()
        assert np.isnan(file["train/best_learning_rate"][()].item())


@pytest.mark.parametrize("threshold", ["accuracy 0.8", "loss 0.6", "accuracy 0", "loss 0"])
def test_learning_time_and_best_rate(threshold, tmp_path):
    """Recomputed from the curves of several networks: the first recorded step from which on the threshold holds to the end; of the rates
    the one with the least, then the least final loss."""
    write_labelled(tmp_path / "labelled.h5")
    text = sweep("activation: [tanh, relu], width: 10, depth: 3, weight_variance: [0.3, 1.5], replica: 3",
                 f"{LABELLED}, learning_rate: [0.03, 0.3, 1, 3], batch: 16, steps: 60, record: every 2, threshold: {threshold}")
    measure, value = threshold.split()
    with h5py.File(run(tmp_path, text)) as file:
        rates, steps = file["learning_rate"][()], file["step"][()]
        curve, final = file[f"train/{measure}"][()].reshape(-1, 4, len(steps)), file["train/final_loss"][()].reshape(-1, 4)
        times, best = file["train/learning_time"][()].reshape(-1, 4), file["train/best_learning_rate"][()].ravel()
        stable = file["train/divergence_step"][()].reshape(-1, 4) == -1
    never = again = 0
    for unit in range(len(best)):
        for rate in range(4):
            held = curve[unit, rate] >= float(value) if measure == "accuracy" else curve[unit, rate] <= float(value)
            misses = np.flatnonzero(~held)
            expected = np.nan if len(misses) and misses[-1] == len(steps) - 1 else steps[misses[-1] + 1] if len(misses) else steps[0]
            assert times[unit, rate] == expected or np.isnan(times[unit, rate]) and np.isnan(expected)
            never += np.isnan(expected)
            again += not np.isnan(expected) and held[:len(misses)].any() and len(misses) > 0
        ranking = sorted((np.inf if np.isnan(times[unit, rate]) else times[unit, rate], final[unit, rate], rates[rate])
                         for rate in range(4) if stable[unit, rate])
        assert best[unit] == ranking[0][2]
    if value not in ("0",):
        assert 0 < never < times.size and again, "no network crossed the threshold, or none fell back"


@pytest.mark.parametrize("steps, rule", [(1, "log 5"), (2, "log 2"), (1000, "log 1"), (1000, "log 2"), (1000, "log 20"), (37, "log 200"),
                                         (1000, "every 1"), (1000, "every 7"), (1000, "every 500"), (999, "every 1000"), (20, "all")])
def test_recorded_steps(steps, rule, tmp_path):
    """0, 1, the last, and what the rule says: multiples, or whole numbers evenly spaced in the logarithm."""
    text = sweep("activation: linear, width: 2, depth: 1, weight_variance: 1",
                 f"dataset: 'gaussian_classes(features=2, classes=2, train=4, test=4)', batch: 4, steps: {steps}, record: {rule}")
    word, number = (rule.split() + [1])[:2]
    chosen = range(int(number), steps, int(number)) if word != "log" else np.round(np.geomspace(1, steps, int(number))).astype(int).tolist()
    with h5py.File(run(tmp_path, text)) as file:
        assert file["step"][()].tolist() == sorted({0, 1, steps, *chosen})
        assert np.isfinite(file["train/loss"][()]).all()


# -- refusals --

REFUSED = {
    "batch too large": (f"{LABELLED}, batch: 97", ["train.batch", "97", "96", "labelled"]),
    "batch of fewer samples": (f"{LABELLED}, train_samples: 10, batch: 11", ["train.batch", "11", "10"]),
    "cross entropy without labels": ("dataset: regression, batch: 8, threshold: loss 1", ["train.loss", "cross_entropy", "labels", "mse"]),
    "accuracy without labels": ("dataset: regression, loss: mse, batch: 8", ["train.threshold", "accuracy", "labels", "loss E"]),
    "spectrum": (f"{LABELLED}, batch: 8, statistics: [spectrum]", ["train.statistics", "spectrum", "forward"]),
    "more samples than there are": (f"{LABELLED}, batch: 8, train_samples: 97", ["97", "96"]),
    "no such data set": ("dataset: nowhere", ["nowhere"]),
    "a batch of one to normalize": (f"{LABELLED}, batch: 1", ["train.batch", "1 sample", "2 or more"]),
    "statistics of other architectures": (f"{LABELLED}, batch: 8, statistics: forward", ["grid.architecture", "train.statistics", "none"]),
}


@pytest.mark.parametrize("ranks", [None, 2], ids=["alone", "mpirun"])
@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case, ranks, tmp_path):
    """One clear sentence, exit code 2, no result file."""
    write_labelled(tmp_path / "labelled.h5")
    write_regression(tmp_path / "regression.h5")
    train, words = REFUSED[case]
    layered = "normalize" in case or "architectures" in case
    write_sweep(tmp_path / "sweep.yaml", sweep(f"{'architecture: fully_connected(normalization=batch), ' if layered else ''}{NETWORK}", train))
    result = eoc("run", "sweep.yaml", cwd=tmp_path, ranks=ranks)
    mine = [line for line in sentences(result.stderr) if "sweep.yaml" in line or line.startswith("eoc")]
    assert result.returncode == 2 and len(mine) == 1, result.stderr
    assert all(word in mine[0] for word in words), mine[0]
    assert not (tmp_path / "sweep.h5").exists()
    if ranks is None:
        assert_quiet(result.stderr)
        assert len(sentences(result.stderr)) == 1


# -- digits --

def test_ten_layers_learn_digits(tmp_path):
    """He, Zhang, Ren & Sun 2015: weights of variance 2/fan_in train deep relu networks. Ten layers of 128 units reach 93 % of the 2,000
    test digits; 8,000 are learnt in some 12 epochs, 3 s of one core."""
    text = ("grid: {activation: relu, initializer: he_normal, weight_variance: 1, bias_variance: 0, width: 128, depth: 10, replica: 2}\n"
            "train: {dataset: mnist10k, optimizer: adam, learning_rate: 0.001, batch: 64, steps: 1500, record: log 4, evaluation_samples: 0}\n")
    with h5py.File(run(tmp_path, text, ranks=2)) as file:
        accuracy = file["train/final_test_accuracy"][()].ravel()
        print("accuracy on the test digits:", accuracy)
        assert (accuracy >= 0.93).all(), accuracy
        assert (file["run/seconds"][()] < 60).all()
