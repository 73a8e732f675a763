# SPDX-License-Identifier: BSD-3-Clause
"""Deep linear networks against the exact solutions of Saxe, McClelland & Ganguli 2014 (arXiv:1312.6120): one hidden layer, inputs with
X^T X/n = I, full batches, a small learning rate. Of E = sum_k (s_k - a_k b_k)^2/2 the file's loss is 2E/outputs, so time goes by
2 learning_rate/outputs a step."""
import h5py
import numpy as np
from conftest import eoc, run, write_sweep
from numpy_net import join, split
from test_train import checkpoint_of, kill_at_checkpoint, read_checkpoint

SIZE, RATE = 4, 0.002
STRENGTHS = np.linspace(2, 0.5, SIZE)
STEP = 2 * RATE / SIZE  # of time: the error of Euler's method is of its order, and 3e-3 of the first loss at most
TEXT = ("seed: 3\ngrid: {{activation: linear, initializer: orthogonal, width: 4, depth: 1, weight_variance: {scale}, bias_variance: 0}}\n"
        "train: {{dataset: {dataset}, loss: mse, threshold: loss 0.01, preprocessing: raw, readout_variance: 0, learning_rate: 0.002, "
        "batch: {batch}, steps: 14000, record: every 100, evaluation_samples: 0}}\n")


def curve(path):
    """(time, loss times outputs: the sum of squares of what is not learnt yet)"""
    with h5py.File(path) as file:
        return file["step"][()] * STEP, file["train/loss"][()].ravel() * SIZE


def assert_learns(found, expected):
    assert found[0] > 100 * found[-1], "nothing was learnt, so nothing was compared"
    assert np.abs(found - expected).max() < 5e-3 * expected[0]


def test_from_a_read_out_of_zero(tmp_path):
    """W^1 = g Q with Q orthogonal and W^2 = 0: modes are alone from the start, a = g cosh(x/2), b = g sinh(x/2), dx/dt = 2s - g^2 sinh x,
    which y = e^x solves as (y - y+)/(y - y-) = C exp(-k t) with k = sqrt(g^4 + 4 s^2), y+- = (2s +- k)/g^2, y(0) = 1."""
    scale, samples = 0.01, 4096  # biases learn the mean of the inputs, of square 1/4096: 1e-3 of the loss
    text = TEXT.format(scale=scale, batch=samples, dataset=f"'linear_teacher(features=4, outputs=4, largest=2, smallest=0.5, spectrum=linear, "
                       f"train={samples})'")
    time, found = curve(run(tmp_path, text))
    k = np.sqrt(scale**2 + 4 * STRENGTHS**2)
    above, below = (2 * STRENGTHS + k) / scale, (2 * STRENGTHS - k) / scale
    decay = (1 - above) / (1 - below) * np.exp(-k * time[:, np.newaxis])
    y = (above - below * decay) / (1 - decay)
    u = 0.25 * scale * (y - 1 / y)
    assert_learns(found, ((STRENGTHS - u) ** 2).sum(axis=1))


def test_balanced(tmp_path):
    """Equal layers a = b = sqrt(u): u(t) = s e^(2st)/(e^(2st) - 1 + s/u_0), their equation for a mode of its own. No initializer gives such
    weights, so they are put into a checkpoint, and the training goes on from there."""
    rng, samples, first = np.random.default_rng(7), 64, 0.01
    ones = np.ones((samples, 1))
    x = np.linalg.qr(np.hstack([ones, rng.standard_normal((samples, SIZE))]))[0][:, 1:] * np.sqrt(samples)  # white, of mean zero
    left, right, hidden = (np.linalg.qr(rng.standard_normal((SIZE, SIZE)))[0] for _ in range(3))
    y = x @ (left * STRENGTHS @ right.T).T
    with h5py.File(tmp_path / "teacher.h5", "w") as file:
        for name in ("train", "test"):
            file[f"{name}/images"], file[f"{name}/targets"] = x.astype(np.float32), y.astype(np.float32)
    write_sweep(tmp_path / "sweep.yaml", TEXT.format(scale=1, batch=samples, dataset="teacher"))
    kill_at_checkpoint(tmp_path)
    kept = checkpoint_of(tmp_path)
    begun = read_checkpoint(kept).step
    head, pieces = split(kept.read_bytes())
    zero = np.zeros(SIZE)
    weights = [np.sqrt(first) * hidden @ right.T, zero, np.sqrt(first) * left @ hidden.T, zero]
    pieces[1] = np.concatenate([part.ravel() for part in weights]).astype(np.float32).tobytes()
    kept.write_bytes(join(head, pieces))
    result = eoc("run", "sweep.yaml", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    time, found = curve(tmp_path / "sweep.h5")
    after = time > begun * STEP
    assert after.sum() > 100, begun
    grown = np.exp(2 * STRENGTHS * (time[after, np.newaxis] - begun * STEP))
    u = STRENGTHS * grown / (grown - 1 + STRENGTHS / first)
    assert_learns(found[after], ((STRENGTHS - u) ** 2).sum(axis=1))
