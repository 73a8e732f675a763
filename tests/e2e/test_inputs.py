# SPDX-License-Identifier: BSD-3-Clause
"""Images of a data set as the probe's inputs: what the file holds against NumPy on the data set itself, theory of inputs of unequal
variances against closed forms, networks against theory, and the same bits however a sweep was run."""
import math
import shutil

import h5py
import numpy as np
import pytest
from conftest import DONE, PENDING, TESTS, assert_quiet, assert_same_bits, datasets, eoc, run, sentences, write_sweep

DIGITS = TESTS.parent / "jobs/data/mnist10k.h5"
FEATURES = 784

# Orthogonal weights are so to 1e-12 (tests/unit/test_weights.c).
ISOMETRY = 1e-11


def preprocessed(preprocessing, points, path=DIGITS):
    """The first images as data.h says, (points, features): computed in float64, rounded to float32 once; of unit length those that are
    meant to be."""
    with h5py.File(path) as file:
        x = file["train/images"][()].reshape(len(file["train/images"]), -1)
    x = x / 255.0 if x.dtype == np.uint8 else x.astype(float)
    x = x.astype(np.float32).astype(float)
    if preprocessing == "standardized":
        deviation = x.std(axis=0)
        x = np.divide(x - x.mean(axis=0), deviation, out=np.zeros_like(x), where=deviation > 0)
    if preprocessing == "centered":
        x = x - x.mean(axis=0)
    x = x[:points]
    if preprocessing in ("centered", "unit_variance"):
        x = x / np.sqrt((x**2).mean(axis=1, keepdims=True))
        rounded = x.astype(np.float32).astype(float)
        return rounded / np.sqrt((rounded**2).mean(axis=1, keepdims=True))
    return x.astype(np.float32).astype(float)


def covariance(x):
    return x @ x.T / x.shape[1]


def sweep(grid, inputs, rest="statistics: [forward, gradient]", seed=3):
    return f"seed: {seed}\ngrid: {{{grid}}}\nprobe: {{inputs: {{kind: dataset, {inputs}}}, {rest}}}\n"


# -- the inputs themselves, as an isometry shows them --

@pytest.mark.parametrize("sampler", ["explicit", "implicit"])
@pytest.mark.parametrize("preprocessing", ["raw", "standardized", "unit_variance", "centered"])
def test_first_layers_see_the_images(preprocessing, sampler, tmp_path):
    """Linear orthogonal layers of weight variance 1 change no inner product: q, c and 1 - c of every layer are those of the images, in as
    many dimensions as images, in fewer and as many as pixels, and in more; |sum of the inputs|^2, from the gradient by the weights, too."""
    x = preprocessed(preprocessing, 6)
    k = covariance(x)
    c = k[0, 1] / math.sqrt(k[0, 0] * k[1, 1])
    text = sweep("activation: linear, initializer: orthogonal, weight_variance: 1, width: [6, 100, 783, 784, 800], depth: 2, replica: 2",
                 f"dataset: mnist10k, preprocessing: {preprocessing}, points: 6", f"statistics: [forward, gradient], sampler: {sampler}")
    with h5py.File(run(tmp_path, text)) as file:
        assert (file["run/status"][()] == DONE).all()
        assert np.unique(file["run/sampler"][()]).size == 1
        probe = {name: file[f"probe/{name}"][()] for name in file["probe"] if name not in file}
        # What float64 leaves of float32 statistics: sums over 8,000 samples in another order
        assert file["run/input_variance"][()] == pytest.approx(np.trace(k) / 6, rel=1e-7)
    assert np.exp(probe["log_q"]) == pytest.approx(np.trace(k) / 6, rel=1e-7)
    assert probe["c"] == pytest.approx(c, abs=1e-7) and probe["one_minus_c"] == pytest.approx(1 - c, abs=1e-7)
    for name in ("log_q", "c"):
        assert np.ptp(probe[name]) < ISOMETRY
    # E_a = v.h^L: all gradients are the same, so the mean square entry of sum_a g h_a^T is |g|^2/N |sum_a h_a|^2/N.
    assert probe["log_weight_gradient_q"] - probe["log_gradient_q"] == pytest.approx(math.log(k.sum()), abs=1e-6)
    assert np.ptp(probe["log_weight_gradient_q"] - probe["log_gradient_q"]) < ISOMETRY
    assert probe["gradient_c"] == pytest.approx(1, abs=ISOMETRY)


@pytest.mark.parametrize("variance", ["0.3", "fixed_point"])
def test_variance(variance, tmp_path):
    """A number, or fixed_point, is every image's own: lengths are equal, cosines stay."""
    x = preprocessed("raw", 5)
    unit = x / np.sqrt((x**2).mean(axis=1, keepdims=True))
    text = sweep("activation: tanh, weight_variance: 2, bias_variance: 0.1, width: 50, depth: 4",
                 f"preprocessing: raw, points: 5, variance: {variance}")
    with h5py.File(run(tmp_path, text)) as file:
        v = file["run/input_variance"][()].item()
        theory = {name: file[f"theory/{name}"][()] for name in ("q_star", "log_q", "c")}
    if variance == "fixed_point":
        assert 2 * v + 0.1 == pytest.approx(theory["q_star"].item(), rel=1e-12)
        assert np.exp(theory["log_q"]) == pytest.approx(theory["q_star"].item(), rel=1e-9)
    else:
        assert v == 0.3
        assert np.exp(theory["log_q"].ravel()[0]) == pytest.approx(2 * 0.3 + 0.1, rel=1e-12)
    assert theory["c"].ravel()[0] == pytest.approx((2 * v * covariance(unit)[0, 1] + 0.1) / (2 * v + 0.1), rel=1e-7)


def test_more_images_than_pixels(tmp_path):
    """Of synthetic sets too, and more of them than a network has units: their span is that of the features."""
    text = sweep("activation: tanh, initializer: [gaussian, orthogonal], weight_variance: 1.5, width: [7, 30], depth: 3",
                 "dataset: 'gaussian_classes(features=7, classes=3)', preprocessing: raw, points: 40",
                 "statistics: [forward, gradient, jacobian, finite_width], sampler: implicit")
    with h5py.File(run(tmp_path, text)) as file:
        assert (file["run/status"][()] == DONE).all()
        for name in ("log_q", "c", "log_gradient_q", "log_weight_gradient_q", "chi_1", "log_jacobian_m2"):
            assert np.isfinite(file[f"probe/{name}"][()]).all(), name


# -- theory of unequal variances: covariances of all images, iterated in NumPy with the closed kernels --

def relu_kernels(k):
    """E[phi phi], E[phi' phi'] of relu: Cho & Saul 2009."""
    lengths = np.sqrt(np.outer(np.diag(k), np.diag(k)))
    angle = np.arccos(np.clip(k / lengths, -1, 1))
    np.fill_diagonal(angle, 0)
    return lengths * (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / (2 * np.pi), (np.pi - angle) / (2 * np.pi)


def erf_kernels(k):
    """E[phi phi], E[phi' phi'] of erf: Williams 1998."""
    lengths = np.outer(1 + 2 * np.diag(k), 1 + 2 * np.diag(k))
    return 2 / np.pi * np.arcsin(2 * k / np.sqrt(lengths)), 4 / np.pi / np.sqrt(lengths - 4 * k**2)


KERNELS = {"relu": relu_kernels, "erf": erf_kernels}


def curves(kernels, weight_variance, bias_variance, inputs, depth):
    """The rows of the group theory, layers 1 to depth, from the inputs' covariance."""
    features, slopes, lengths = [inputs], [None], [None]
    for _ in range(depth):
        lengths.append(weight_variance * features[-1] + bias_variance)
        h, slope = kernels(lengths[-1])
        features.append(h)
        slopes.append(slope)
    gradients = [None] * (depth + 1)
    gradients[depth] = slopes[depth]
    for layer in range(depth - 1, 0, -1):
        gradients[layer] = weight_variance * gradients[layer + 1] * slopes[layer]
    found = {name: [] for name in ("log_q", "c", "one_minus_c", "log_gradient_q", "gradient_c", "log_weight_gradient_q")}
    for layer in range(1, depth + 1):
        k, g = lengths[layer], gradients[layer]
        found["log_q"].append(np.log(np.diag(k).mean()))
        found["c"].append(k[0, 1] / math.sqrt(k[0, 0] * k[1, 1]))
        found["one_minus_c"].append(1 - found["c"][-1])
        found["log_gradient_q"].append(np.log(np.diag(g).mean()))
        found["gradient_c"].append(g[0, 1] / math.sqrt(g[0, 0] * g[1, 1]))
        found["log_weight_gradient_q"].append(np.log((g * features[layer - 1]).sum()))
    found["log_jacobian_m1"] = [sum(math.log(weight_variance * slope[0, 0]) for slope in slopes[1:])]
    return found


@pytest.mark.parametrize("preprocessing", ["raw", "standardized", "unit_variance"])
@pytest.mark.parametrize("bias_variance", [0, 0.1])
@pytest.mark.parametrize("activation", KERNELS)
def test_theory_has_the_closed_form(activation, bias_variance, preprocessing, tmp_path):
    """Every curve of the group theory, of every pair of seven images, whose variances differ by factors where they are raw."""
    depth, weight_variance = 8, 1.7
    k = covariance(preprocessed(preprocessing, 7))
    ratio = np.diag(k).max() / np.diag(k).min()
    assert ratio > 1.5 if preprocessing != "unit_variance" else ratio < 1 + 1e-12
    text = sweep(f"activation: {activation}, weight_variance: {weight_variance}, bias_variance: {bias_variance}, width: 20, depth: {depth}",
                 f"preprocessing: {preprocessing}, points: 7", "statistics: [forward, gradient, jacobian]")
    expected = curves(KERNELS[activation], weight_variance, bias_variance, k, depth)
    # The images themselves are known to the rounding of float32 statistics: exactly where each is alone.
    tolerance = 1e-6 if preprocessing == "standardized" else 2e-8
    with h5py.File(run(tmp_path, text)) as file:
        for name, values in expected.items():
            assert file[f"theory/{name}"][()].ravel() == pytest.approx(values, rel=tolerance, abs=tolerance), name


def test_fixed_point_is_that_of_the_first_image(tmp_path):
    """relu without bias at weight variance 2 keeps every length: q_star is 2 |x|^2/N of image 0."""
    k = covariance(preprocessed("raw", 3))
    text = sweep("activation: relu, weight_variance: 2, width: 20, depth: 2", "preprocessing: raw, points: 3")
    with h5py.File(run(tmp_path, text)) as file:
        assert file["theory/q_star"][()].item() == pytest.approx(2 * k[0, 0], rel=1e-6)


@pytest.mark.parametrize("sampler", ["auto", "explicit"])
@pytest.mark.parametrize("activation", KERNELS)
def test_networks_agree_with_theory(activation, sampler, tmp_path):
    """Replica means of raw images at width 1000, at half the depth and at the end, within four standard errors of the closed forms: of
    300 networks (some 0.5 % of q, where corrections in 1/N are 0.1 %), or 30 with every weight drawn."""
    depth, replicas = 4, 300 if sampler == "auto" else 30
    expected = curves(KERNELS[activation], 1.7, 0.1, covariance(preprocessed("raw", 5)), depth)
    text = sweep(f"activation: {activation}, weight_variance: 1.7, bias_variance: 0.1, width: 1000, depth: {depth}, replica: {replicas}",
                 "preprocessing: raw, points: 5", f"statistics: [forward, gradient], sampler: {sampler}", seed=11)
    scores = {}
    with h5py.File(run(tmp_path, text, ranks=2)) as file:
        for name, transform in (("log_q", np.exp), ("c", np.array), ("log_gradient_q", np.exp), ("log_weight_gradient_q", np.exp)):
            for layer in (1, depth // 2, depth):
                sample = transform(file[f"probe/{name}"][..., layer - 1].ravel())
                error = sample.std(ddof=1) / math.sqrt(replicas)
                scores[name, layer] = (sample.mean() - transform(expected[name][layer - 1])) / error
                assert error < 0.03 * abs(sample.mean()) * math.sqrt(300 / replicas) / 2, (name, layer)
    print({key: round(float(score), 2) for key, score in scores.items()})
    assert all(abs(score) <= 4 for score in scores.values()), scores


# -- the same bits --

FILE = sweep("activation: [tanh, relu], initializer: [gaussian, uniform, orthogonal], weight_variance: [1, 2], width: [12, 40], depth: [2, 5], "
             "replica: 3", "dataset: digits, preprocessing: raw, points: 4", "statistics: [forward, gradient, jacobian]")


def write_digits(folder, change=None):
    """Forty digits to train with and five to test with; one pixel of one image another."""
    with h5py.File(DIGITS) as source, h5py.File(folder / "digits.h5", "w") as file:
        images = source["train/images"][:40]
        if change is not None:
            images[change, 0, 14, 14] ^= 64
        file["train/images"], file["train/labels"] = images, np.arange(40, dtype=np.int32) % 10
        file["test/images"], file["test/labels"] = source["test/images"][:5], np.arange(5, dtype=np.int32)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference")
    write_digits(folder)
    return run(folder, FILE)


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_ranks(ranks, reference, tmp_path):
    """On 1, 2 and 3 ranks, in another order, beside other points: all results are the same bits."""
    write_digits(tmp_path)
    assert_same_bits(run(tmp_path, FILE, "--shuffle", "4", ranks=ranks), reference)


def test_resume(reference, tmp_path):
    """Units set back to pending are done again to the same bits, by other numbers of ranks."""
    write_digits(tmp_path)
    shutil.copy(reference, tmp_path / "sweep.h5")
    with h5py.File(tmp_path / "sweep.h5", "r+") as file:
        file["run/status"][:, 0] = PENDING
        file["run/status"][..., 1] = PENDING
        file["probe/c"][:, 0] = 7
    assert eoc("plan", "sweep.yaml", cwd=write_sweep(tmp_path / "sweep.yaml", FILE).parent).stdout.count("is gone on with") == 1
    assert_same_bits(run(tmp_path, FILE, ranks=2), reference)


def test_theory_alone(reference, tmp_path):
    """eoc theory writes the theory group of the run, bit for bit."""
    write_digits(tmp_path)
    write_sweep(tmp_path / "sweep.yaml", FILE)
    assert eoc("theory", "sweep.yaml", cwd=tmp_path).returncode == 0
    alone, whole = datasets(tmp_path / "sweep.theory.h5"), datasets(reference)
    names = [name for name in whole if name.startswith("theory/")] + ["run/input_variance", "provenance/identity"]
    assert len(names) > 20
    for name in names:
        assert np.asarray(alone[name]).tobytes() == np.asarray(whole[name]).tobytes(), name


def test_with_training(tmp_path):
    """Beside training, whose data are others: both are in the identity, and the file is gone on with."""
    write_digits(tmp_path)
    text = FILE + "train: {dataset: 'gaussian_classes(classes=3, features=6, train=60, test=30)', steps: 5, batch: 10}\n"
    path = run(tmp_path, text, "--set", "grid.initializer=gaussian")
    with h5py.File(path, "r+") as file:
        identity = file["provenance/identity"][()].decode()
        assert [line.split(":")[0] for line in identity.splitlines()[-2:]] == ["  data_checksum", "inputs_checksum"]
        file["run/status"][:, 0] = PENDING
    planned = eoc("plan", "sweep.yaml", "--set", "grid.initializer=gaussian", cwd=tmp_path)
    assert "is gone on with" in planned.stdout, planned.stdout + planned.stderr
    result = eoc("run", "sweep.yaml", "--set", "grid.initializer=gaussian", cwd=tmp_path, ranks=2)
    assert result.returncode == 0 and "24 computed" in result.stderr, result.stderr


# -- other data --

@pytest.mark.parametrize("ranks", [None, 2], ids=["alone", "mpirun"])
def test_changed_images_are_refused(ranks, reference, tmp_path):
    """A file of other images is not gone on with nor merged; an image that is no input may change where none depends on it."""
    write_digits(tmp_path, change=1)
    shutil.copy(reference, tmp_path / "sweep.h5")
    before = (tmp_path / "sweep.h5").read_bytes()
    write_sweep(tmp_path / "sweep.yaml", FILE)
    result = eoc("run", "sweep.yaml", cwd=tmp_path, ranks=ranks)
    mine = [line for line in sentences(result.stderr) if line.startswith("eoc")]
    assert result.returncode == 2 and len(mine) == 1 and mine[0].count("inputs_checksum") == 2, result.stderr
    assert (tmp_path / "sweep.h5").read_bytes() == before
    other = run(tmp_path, FILE, "-o", "other.h5", name="again", ranks=ranks).parent / "other.h5"
    merged = eoc("merge", "sweep.h5", other.name, "-o", "merged.h5", cwd=tmp_path)
    assert merged.returncode == 2 and merged.stderr.count("inputs_checksum") == 2 and len(sentences(merged.stderr)) == 1
    write_digits(tmp_path, change=30)
    result = eoc("run", "sweep.yaml", cwd=tmp_path, ranks=ranks)
    assert result.returncode == 0, result.stderr


def test_statistics_of_the_set_count(tmp_path):
    """With centered images every one of the training set does."""
    write_digits(tmp_path)
    text = FILE.replace("raw", "centered").replace("[gaussian, uniform, orthogonal]", "gaussian")
    run(tmp_path, text)
    write_digits(tmp_path, change=30)
    result = eoc("run", "sweep.yaml", cwd=tmp_path)
    assert result.returncode == 2 and result.stderr.count("inputs_checksum") == 2, result.stderr


# -- refusals --

REFUSED = {
    "no such data set": ("dataset: nowhere", [], ["nowhere"]),
    "not a data set": ("dataset: sweep.yaml", [], ["sweep.yaml"]),
    "more than there are": ("dataset: digits, points: 41", [], ["probe.inputs.points", "41", "40 training samples of digits"]),
    "too narrow": ("dataset: digits, points: 30", ["grid.width=29"], ["grid.width", "29", "30 samples", "at least 30"]),
    "too narrow with crelu": ("dataset: digits, points: 30", ["grid.width=31", "grid.activation=crelu",
                                                              "grid.architecture=fully_connected(match_parameters=yes)"],
                              ["grid.width", "31 stands for 22 units", "at least 30"]),
    "an empty image": ("dataset: dark, points: 3, preprocessing: raw", [], ["sample 2 of dark", "all zeros", "raw"]),
}


@pytest.mark.parametrize("how", ["run", "mpirun", "theory", "plan"])
@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case, how, tmp_path):
    """One clear sentence, exit code 2, no result file."""
    write_digits(tmp_path)
    inputs, settings, words = REFUSED[case]
    shutil.copy(tmp_path / "digits.h5", tmp_path / "dark.h5")
    with h5py.File(tmp_path / "dark.h5", "r+") as file:
        file["train/images"][2] = 0
    write_sweep(tmp_path / "sweep.yaml", sweep("activation: tanh, weight_variance: 1, width: 40, depth: 2", inputs))
    options = [part for setting in settings for part in ("--set", setting)]
    result = eoc("run" if how == "mpirun" else how, "sweep.yaml", *options, cwd=tmp_path, ranks=2 if how == "mpirun" else None)
    if how == "plan" and case == "an empty image":
        assert result.returncode == 0, "a plan reads no image"
        return
    mine = [line for line in sentences(result.stderr) if line.startswith("eoc")]
    assert result.returncode == 2 and len(mine) == 1, result.stderr
    assert all(word in mine[0] for word in words), mine[0]
    assert not list(tmp_path.glob("sweep*.h5*"))
    if how != "mpirun":
        assert_quiet(result.stderr)
        assert len(sentences(result.stderr)) == 1


def test_batch_normalization_is_refused(tmp_path):
    """A batch of independent inputs is what it takes; images are not."""
    write_sweep(tmp_path / "sweep.yaml", sweep("activation: tanh, weight_variance: 1, architecture: fully_connected(normalization=batch)",
                                               "points: 8"))
    result = eoc("run", "sweep.yaml", cwd=tmp_path)
    assert result.returncode == 2 and "gaussian" in result.stderr and "dataset" in result.stderr, result.stderr
    assert len(sentences(result.stderr)) == 1


def test_job(tmp_path):
    """The sweep of images that comes with the program runs."""
    job = TESTS.parent / "jobs/digits-in-deep-networks.yaml"
    result = eoc("run", job, "--set", "grid.replica=1", "--set", "grid.width=40", "-o", tmp_path / "job.h5", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    with h5py.File(tmp_path / "job.h5") as file:
        assert (file["run/status"][()] == DONE).all()
