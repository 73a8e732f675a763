# SPDX-License-Identifier: BSD-3-Clause
"""eoc-plot train: maps of trainability and their fit, learning curves, learning times, on synthetic trainings whose end is known."""
import h5py
import numpy as np
import plot_sample
import pytest
from test_plot import assert_fails, assert_picture, figure, is_label, plot, texts

from conftest import DONE, TESTS, eoc
from eoc_plot import depth_scale, prefactor, style, train_curves

FACTOR, MIDDLE, LAST = 5.0, 0.525, 600  # accuracy is MIDDLE at depth FACTOR xi_c
RATES, STEPS = (0.001, 0.01, 0.1), np.array([0, 1, 10, 100, LAST])
GRID = plot_sample.GRID_AXES

BATCH = "fully_connected(normalization=batch)"
GROWTH = np.pi / (np.pi - 1)  # of a squared gradient a layer, relu in large batches: Yang et al. 2019
GRADIENT_XI = 1 / np.log(GROWTH)


def normalize(file, growth):
    """Theory and name of networks that are normalized over the batch, and the depth up to which they learn: 16 depth scales."""
    del file["architecture"]
    plot_sample.write_axis(file, "architecture", [BATCH])
    file["theory/chi_1"][...] = growth
    file["theory/xi_c"][...] = np.nan
    return np.full(file["theory/xi_c"].shape + (1,), 16 * GRADIENT_XI)


def make(path, growth=None, **keys):
    """Networks that learn up to FACTOR xi_c at the middle rate; half as much at the least; the greatest diverges in the chaotic phase.

    With `growth` they are normalized over the batch, and learn up to 16/log GROWTH.
    """
    settings = dict(initializer=("gaussian",), depth=range(5, 125, 5), width=(100,), weight_variance=np.linspace(1, 4, 16), replicas=2)
    plot_sample.make(path, probe=False, **{**settings, **keys})
    with h5py.File(path, "r+") as file:
        shape = file["run/status"].shape
        xi, chi = (file[f"theory/{name}"][()][..., np.newaxis] for name in ("xi_c", "chi_1"))
        reach = FACTOR * xi if growth is None else normalize(file, growth)
        depth = file["depth"][()].reshape(-1, 1, 1, 1)
        learnt = 0.85 / (1 + np.exp(np.log(depth / reach) / 0.15)) * np.ones(shape)
        size = np.array([0.5, 1.0, 0.5])
        accuracy = 0.1 + learnt[..., np.newaxis, np.newaxis] * size[:, np.newaxis] * (STEPS / LAST)
        lost = np.broadcast_to((chi > 1)[..., np.newaxis] & (np.arange(3) == 2), shape + (3,)).copy()
        lost[..., -1, -1, :, :, :] = True  # the deepest of the greatest variance, at every rate
        accuracy[lost] = np.nan
        time = np.where(accuracy[..., -1] > 0.5, 100.0 * depth[..., np.newaxis], np.nan)
        best = np.where(lost.all(axis=-1), np.nan, RATES[1])
        write = plot_sample.write_variable
        plot_sample.write_axis(file, "learning_rate", np.array(RATES))
        plot_sample.write_axis(file, "step", STEPS.astype(np.int32))
        along = GRID + ("learning_rate",)
        for name, values in (("accuracy", accuracy), ("test_accuracy", 0.9 * accuracy), ("loss", 2.5 - 2 * accuracy),
                             ("test_loss", 2.6 - 2 * accuracy)):
            write(file, f"train/{name}", along + ("step",), values)
            write(file, f"train/final_{name}", along, values[..., -1])
        write(file, "train/learning_time", along, time)
        write(file, "train/divergence_step", along, np.where(lost, 7, -1).astype(np.int32))
        write(file, "train/best_learning_rate", GRID, best)
    return path


@pytest.fixture(autouse=True)
def no_figure_stays_open():
    yield
    style.plt.close("all")


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    return make(tmp_path_factory.mktemp("trained") / "learning.h5")


@pytest.fixture(scope="session")
def pair(tmp_path_factory):
    return make(tmp_path_factory.mktemp("trained") / "pair.h5", initializer=("gaussian", "orthogonal"), weight_variance=(1.5,),
                depth=(5, 10, 20, 40, 80, 160))


@pytest.fixture(scope="session")
def normalized(tmp_path_factory):
    """Depth is all that varies, beside the learning rate; relu's weight variance."""
    return make(tmp_path_factory.mktemp("trained") / "normalized.h5", growth=GROWTH, weight_variance=(2.0,), depth=range(5, 65, 5))


@pytest.mark.parametrize("arguments", [[], ["--show", "curves"], ["--show", "curves", "--along", "learning_rate"], ["--show", "times", "--select", "weight_variance=1.4"],
                                       ["--step", "10", "--step", "600"], ["--statistic", "learning_time"], ["--statistic", "loss"],
                                       ["--learning-rate", "0.1", "--xi", "2"]])
def test_pictures(trained, tmp_path, arguments):
    run = plot("train", trained, *arguments, "-o", tmp_path / "picture.png")
    assert run.returncode == 0 and run.stderr == "", run.stderr
    assert_picture(run.stdout.strip())


def test_what_the_file_varies_is_drawn(trained, pair):
    assert any("trained" in text or "training accuracy" in text for text in texts(figure("train", trained)))
    assert any("learning time" in text for text in texts(figure("train", pair)))
    found = texts(figure("train", pair, "--select", "depth=20"))
    assert "step" in found and "initializer" not in found


@pytest.mark.parametrize("arguments, code, words", [
    (["--statistic", "acuracy"], 2, ["acuracy", "accuracy"]),
    (["--learning-rate", "0.5"], 2, ["learning_rate", "0.5", "0.1"]),
    (["--trained", "2"], 2, ["between 0 and 1"]),
    (["--step", "last"], 2, ["last"]),
    (["--show", "times", "--step", "10"], 2, ["--step", "map"]),
    (["--show", "curves", "--along", "dpeth"], 2, ["dpeth", "depth"]),
    (["--show", "curves", "--curves", "0"], 2, ["--curves 0"]),
    (["--show", "curves", "--statistic", "learning_time"], 2, ["--show times"]),
    (["--show", "map", "--select", "depth=5"], 1, ["at least two depths"]),
    (["--show", "pie"], 2, ["pie"]),
])
def test_errors(trained, arguments, code, words):
    assert_fails(plot("train", trained, *arguments), code, *words)


def test_file_that_does_not_train(tmp_path):
    assert_fails(plot("train", plot_sample.make(tmp_path / "probe.h5", width=(100,))), 1, "did not train")


def test_file_with_nothing_done(tmp_path):
    path = make(tmp_path / "new.h5")
    with h5py.File(path, "r+") as file:
        file["run/status"][...] = 0
    assert_fails(plot("train", path), 1, "no network is done yet")
    assert_fails(plot("train", path, "--show", "curves"), 1, "no network of this selection is done yet")


def test_trainings_that_all_diverged_at_once(tmp_path):
    """A panel without a value beside one that has some."""
    path = make(tmp_path / "half.h5", initializer=("gaussian", "orthogonal"), weight_variance=(1.5,), depth=(10, 20))
    with h5py.File(path, "r+") as file:
        for name in ("loss", "accuracy", "test_loss", "test_accuracy"):
            file[f"train/{name}"][0, 0, 1] = np.nan
        file["train/divergence_step"][0, 0, 1] = 1
    shallow = ("--select", "depth=10", "--along", "learning_rate")
    run = plot("train", path, *shallow, "-o", tmp_path / "picture.png")
    assert run.returncode == 0 and run.stderr == "", run.stderr
    assert texts(figure("train", path, *shallow)).count("diverged at once") == 2  # loss and accuracy of the second
    with h5py.File(path, "r+") as file:
        file["run/status"][0, 0, 1, ..., 0] = 0  # one replica
    assert texts(figure("train", path, *shallow)).count("not done yet, or diverged at once") == 2
    with h5py.File(path, "r+") as file:
        file["run/status"][0, 0, 1] = 0
    assert texts(figure("train", path, *shallow)).count("not done yet") == 2


def test_measure_that_is_not_there(tmp_path):
    path = make(tmp_path / "loss.h5", weight_variance=(1.5,), depth=(10, 20))
    with h5py.File(path, "r+") as file:
        file["train/accuracy"][...] = np.nan
        file["train/test_accuracy"][...] = np.nan
    assert_fails(plot("train", path, "--show", "curves", "--select", "depth=10", "--statistic", "accuracy"), 1, "none of this selection was measured")


@pytest.mark.parametrize("status, words", [((0, 0), "no network of this selection is done yet"),
                                           ((1, 1), "every training of this selection diverged at once"),
                                           ((1, 0), "every training that is done diverged at once")])
def test_curves_without_any_value(tmp_path, status, words):
    path = make(tmp_path / "none.h5", weight_variance=(1.5,), depth=(10, 20))
    with h5py.File(path, "r+") as file:
        for name in ("loss", "accuracy", "test_loss", "test_accuracy"):
            file[f"train/{name}"][...] = np.nan
        file["train/best_learning_rate"][...] = np.nan
        file["train/divergence_step"][...] = 1
        file["run/status"][...] = DONE * np.array(status) * np.ones(file["run/status"].shape, int)  # (..., replica)
    assert_fails(plot("train", path, "--show", "curves", "--along", "learning_rate"), 1, words)


def test_beside(tmp_path):
    """Two files in one panel: a curve each, named by what differs between them, with their own numbers."""
    ours = make(tmp_path / "ours.h5", weight_variance=(1.5,), depth=(10, 20, 40))
    theirs = make(tmp_path / "theirs.h5", weight_variance=(1.5,), depth=(10, 20, 80), initializer=("orthogonal",))
    drawn = figure("train", ours, "--show", "times", "--beside", str(theirs))
    with h5py.File(theirs) as file:
        wanted = file["train/final_accuracy"][0, 0, 0, 0, :, 0, 0, :, 1].mean(axis=-1)
    assert [text.get_text() for text in drawn.axes[-1].get_legend().get_texts()] == ["gaussian", "orthogonal"]
    second = [line for line in drawn.axes[1].get_lines() if line.get_marker() == "o"][1]
    assert second.get_xdata() == pytest.approx([10, 20, 80], rel=0.03) and second.get_ydata() == pytest.approx(wanted, nan_ok=True)
    assert "gaussian" not in drawn._suptitle.get_text()
    assert "Learning times are recorded steps, each up to 10 times the one before." in footnote(drawn)


def key_of(drawn):
    return [text.get_text() for text in drawn.axes[-1].get_legend().get_texts()]


def test_beside_names_every_curve(tmp_path):
    """By all axes that vary in a file or between files; by the file where they do not tell; choices go where there is a choice."""
    one = make(tmp_path / "one.h5", weight_variance=(1.5,), depth=(10, 20))
    three = make(tmp_path / "three.h5", weight_variance=(1.5, 2.0, 3.0), depth=(10, 20))
    again = make(tmp_path / "again.h5", weight_variance=(1.5,), depth=(10, 20), replicas=3)
    names = key_of(figure("train", one, "--show", "times", "--beside", str(three)))
    assert len(set(names)) == 4 and [name for name in names if "1.5" in name] == names[:2]
    assert all("one.h5" in name or "three.h5" in name for name in names[:2]) and not any(".h5" in name for name in names[2:])
    drawn = figure("train", three, "--show", "times", "--beside", str(one), "--select", "weight_variance=3")
    assert any("= 3$" in name for name in key_of(drawn)) and len(key_of(drawn)) == 2
    drawn = figure("train", one, "--show", "times", "--beside", str(again))
    assert key_of(drawn) == ["one.h5", "again.h5"] and "2 replicas and 3 replicas" in drawn._suptitle.get_text()


SWEEP = """probe:
  inputs:
    kind: gaussian
    points: {points}
train:
  dataset: {dataset}
  optimizer: sgd
  batch: {batch}
"""


def say_sweep(path, dataset="mnist10k", points=128, batch=128):
    with h5py.File(path, "r+") as file:
        if "provenance/sweep" in file:
            del file["provenance/sweep"]
        file["provenance/sweep"] = SWEEP.format(dataset=dataset, points=points, batch=batch)
    return path


def test_beside_says_what_was_trained_unlike(tmp_path):
    paths = [make(tmp_path / name, weight_variance=(1.5,), depth=(10, 20)) for name in ("a.h5", "b.h5")]
    say_sweep(paths[0])
    say_sweep(paths[1])
    assert "not trained alike" not in footnote(figure("train", paths[0], "--show", "times", "--beside", str(paths[1])))
    say_sweep(paths[1], dataset="gaussian_classes(classes=2)", batch=8)
    drawn = figure("train", paths[0], "--show", "times", "--beside", str(paths[1]))
    assert "not trained alike: dataset mnist10k and gaussian_classes(classes=2); batch 128 and 8." in footnote(drawn)


def test_scale_of_another_batch_is_told(tmp_path):
    path = say_sweep(make(tmp_path / "batch.h5", growth=GROWTH, weight_variance=(2.0,), depth=range(5, 65, 5)), points=4)
    for view in ("map", "times"):
        assert "of batches of 4 (probe.inputs.points), trained in batches of 128" in footnote(figure("train", path, "--show", view))
    say_sweep(path)
    assert "of batches of" not in footnote(figure("train", path, "--show", "times"))


def test_steps_far_apart(tmp_path):
    assert train_curves.resolution_note(np.array([0, 1, 300])) == "Learning times are recorded steps, each up to 300 times the one before."
    assert train_curves.resolution_note(np.array([0, 10, 20, 30])) == "Learning times are recorded steps, 10 apart."
    assert train_curves.resolution_note(np.array([0, 50])) == "Learning times are recorded steps."


@pytest.mark.parametrize("change, arguments, words", [
    (lambda file: None, ["--show", "curves"], "--beside is for --show times"),
    (lambda file: file["step"].__setitem__(-1, 700), ["--show", "times"], "700 steps"),
    (lambda file: file.__delitem__("train"), ["--show", "times"], "did not train"),
])
def test_mistakes_with_beside(tmp_path, change, arguments, words):
    ours = make(tmp_path / "ours.h5", weight_variance=(1.5,), depth=(10, 20))
    theirs = make(tmp_path / "theirs.h5", weight_variance=(1.5,), depth=(10, 20))
    with h5py.File(theirs, "r+") as file:
        change(file)
    assert_fails(plot("train", ours, *arguments, "--beside", theirs), 2 if "beside" in words or "steps" in words else 1, words)


def test_map_holds_the_values_at_the_best_rate(trained):
    shown = np.ma.filled(figure("train", trained).axes[0].collections[0].get_array(), np.nan).reshape(24, 16)
    with h5py.File(trained) as file:
        wanted = file["train/accuracy"][0, 0, 0, 0, :, :, 0, 0, 1, -1]
    assert np.isnan(wanted[-1, -1]) and np.isnan(shown[-1, -1])
    assert shown == pytest.approx(wanted, nan_ok=True)
    early = figure("train", trained, "--step", "120", "--learning-rate", "0.001")
    assert any("after 100 steps" in text for text in texts(early))
    with h5py.File(trained) as file:
        wanted = file["train/accuracy"][0, 0, 0, 0, :, :, 0, 0, 0, 3]
    assert np.ma.filled(early.axes[0].collections[0].get_array(), np.nan).reshape(24, 16) == pytest.approx(wanted, nan_ok=True)


def test_diverged_cells_are_counted(trained):
    assert "a training diverged, 1 of 384 cells" in figure("train", trained)._supxlabel.get_text().replace("\n", " ")
    with h5py.File(trained) as file:
        chaotic = int((file["theory/chi_1"][0, 0, 0, 0, 0, :, 0] > 1).sum())
    note = figure("train", trained, "--learning-rate", "0.1")._supxlabel.get_text().replace("\n", " ")
    assert f"a training diverged, {24 * chaotic} of 384 cells" in note


def test_fit_finds_the_factor_of_the_sample(trained):
    drawn = figure("train", trained, "--trained", str(MIDDLE))
    line = next(line for line in drawn.axes[0].get_lines() if str(line.get_label()).startswith("fit"))
    with h5py.File(trained) as file:
        weight, xi = file["weight_variance"][()], file["theory/xi_c"][0, 0, 0, 0, 0, :, 0]
    place = np.flatnonzero(FACTOR * xi < 120)
    drawn_at = [line.get_ydata()[np.argmin(np.abs(line.get_xdata() - w))] for w in weight[place]]
    assert np.array(drawn_at) / xi[place] == pytest.approx(FACTOR, rel=0.03)
    circles = next(line for line in drawn.axes[0].get_lines() if line.get_label() == "accuracy 0.525")
    at = np.searchsorted(weight, circles.get_xdata())
    assert circles.get_ydata() == pytest.approx(FACTOR * xi[at], rel=0.08)  # depths are 5 layers apart


def test_trainable_depth():
    """Half way between 20 and 40 layers in the logarithm is 20 sqrt 2; nothing known, all trained, none trained."""
    depth = np.array([10, 20, 40])
    assert prefactor.trainable_depth(depth, np.array([0.9, 0.7, 0.3]), 0.5) == pytest.approx(20 * np.sqrt(2))
    assert prefactor.trainable_depth(depth, np.array([0.9, np.nan, 0.1]), 0.5) == pytest.approx(20)
    assert prefactor.trainable_depth(depth, np.array([0.9, 0.8, 0.6]), 0.5) == 40
    assert prefactor.trainable_depth(depth, np.array([0.4, 0.8, 0.6]), 0.5) == 10
    assert np.isnan(prefactor.trainable_depth(depth, np.full(3, np.nan), 0.5))


def test_fit_of_exact_depths():
    xi, depths = np.geomspace(2, 400, 15), np.arange(10, 130, 10)
    found = prefactor.fit(xi, np.clip(6.0 * xi, 10, 120), depths)
    assert [found.value, found.low, found.high] == pytest.approx([6.0, 6.0, 6.0], rel=3e-3)
    assert prefactor.fit(xi, np.full(15, 120.0), depths) is None
    assert prefactor.fit(np.full(15, np.nan), 6.0 * xi, depths) is None


def test_columns_at_criticality_say_nothing():
    """Where 6 xi_c is above the map, networks that stop learning earlier for another reason move the fit by nothing."""
    xi, depths = np.geomspace(2, 400, 15), np.arange(10, 130, 10)
    reach = np.where(6.0 * xi > 120, 70.0, 6.0 * xi)
    assert prefactor.fit(np.append(xi, np.inf), np.append(reach, 70.0), depths).value == pytest.approx(6.0, rel=3e-3)


def test_interval_of_the_fit_covers():
    """Log-normal scatter of 20 %, 25 columns, 200 maps: a 95 % interval holds the truth in all but some 5 %; four standard errors of 200
    such trials are 6 %, and the bootstrap of a median of 25 is off by less than that."""
    rng, depths, held = np.random.default_rng(1), np.arange(2, 1000), 0
    xi = np.geomspace(5, 50, 25)
    for _ in range(200):
        found = prefactor.fit(xi, 6.0 * xi * np.exp(0.2 * rng.standard_normal(25)), depths)
        held += found.low <= 6.0 <= found.high
    assert 170 <= held <= 199


def test_median_time_counts_never_as_longest():
    nan, inf = np.nan, np.inf
    times = np.array([[100, 200, nan], [100, nan, nan], [nan, nan, nan], [100, nan, 300]])
    done = np.array([[1, 1, 1], [1, 1, 1], [0, 0, 0], [1, 0, 1]], dtype=bool)
    median, least, greatest = train_curves.median_time(times, done)
    assert median.tolist()[:2] == [200, inf] and np.isnan(median[2]) and median[3] == 200
    assert least[[0, 1, 3]].tolist() == [100, 100, 100] and greatest[[0, 1, 3]].tolist() == [200, 100, 300]


def test_times_are_those_of_the_best_rate(pair):
    drawn = figure("train", pair, "--learning-rate", "0.01")
    with h5py.File(pair) as file:
        depth, time = file["depth"][()], file["train/learning_time"][0, 0, 0, 0, :, 0, 0, 0, 1]
    line = drawn.axes[0].get_lines()[0]
    known = np.isfinite(time)
    assert 0 < known.sum() < len(depth)
    assert line.get_ydata() == pytest.approx(time[known])
    assert line.get_xdata() == pytest.approx(depth[known], rel=0.05)  # curves stand beside one another
    assert any("Triangles" in text for text in texts(drawn))


def test_curves_are_those_of_the_file(trained):
    drawn = figure("train", trained, "--show", "curves", "--along", "depth", "--select", "weight_variance=1.4", "--curves", "3")
    with h5py.File(trained) as file:
        wanted = file["train/accuracy"][0, 0, 0, 0, 0, 2, 0, 0, 1]
    assert drawn.axes[0].get_lines()[0].get_ydata() == pytest.approx(wanted)
    assert {"5", "120"} <= set(texts(drawn))


def test_texts_do_not_overlap(trained, pair, normalized):
    for path, arguments in ((trained, []), (trained, ["--show", "curves"]), (pair, []), (trained, ["--learning-rate", "0.1"]),
                            (normalized, []), (normalized, ["--show", "times"])):
        drawn = figure("train", path, *arguments)
        renderer = drawn.canvas.get_renderer()
        boxes = [(text, text.get_window_extent(renderer)) for text in drawn.findobj(style.matplotlib.text.Text)
                 if text.get_text().strip() and text.get_visible() and is_label(text, drawn)]
        for i, (text, box) in enumerate(boxes):
            assert drawn.bbox.x0 <= box.x0 and box.x1 <= drawn.bbox.x1, text
            assert drawn.bbox.y0 <= box.y0 and box.y1 <= drawn.bbox.y1, text
            for other, other_box in boxes[i + 1:]:
                assert not box.overlaps(other_box), (text, other)


# -- networks normalized over the batch --

def lines_named(axes, words):
    return [line for line in axes.get_lines() if str(line.get_label()) == words]


def footnote(drawn):
    return drawn._supxlabel.get_text().replace("\n", " ")


def test_gradient_scale():
    """relu in large batches: 16 xi = 41.8 layers, beyond which Yang et al. 2019 saw none train."""
    assert 16 * depth_scale.of_gradient(np.pi / (np.pi - 1)) == pytest.approx(41.8, abs=0.05)
    assert depth_scale.of_gradient(np.e) == pytest.approx(1)
    assert np.isinf(depth_scale.of_gradient(1.0))
    assert np.isnan(depth_scale.of_gradient([0.5, np.nan])).all()


def test_normalized_map_is_over_learning_rates(normalized):
    axes = figure("train", normalized).axes[0]
    assert (axes.get_xlabel(), axes.get_xscale()) == ("learning rate", "log")
    with h5py.File(normalized) as file:
        wanted = file["train/final_accuracy"][0, 0, 0, 0, :, 0, 0, 0, :]
    assert np.isnan(wanted).any()
    assert np.ma.filled(axes.collections[0].get_array(), np.nan).reshape(12, 3) == pytest.approx(wanted, nan_ok=True)
    line, = lines_named(axes, r"$16\,\xi_g$")
    assert line.get_ydata() == pytest.approx(16 * GRADIENT_XI)
    assert tuple(line.get_xdata()) == axes.get_xlim()
    assert not [text for text in texts(axes.figure) if "xi_c" in text or "chi_1 = 1" in text]


def test_normalized_reach_is_in_scales_of_the_gradient(normalized):
    """Depths are 5 layers apart; the sample's accuracy is MIDDLE at 16 scales, and 0.5 by its own formula 0.9 % before."""
    drawn = figure("train", normalized, "--trained", str(MIDDLE))
    circle, = lines_named(drawn.axes[0], f"accuracy {MIDDLE}")
    assert circle.get_xdata() == pytest.approx([RATES[1]])  # the least rate learns half as much, the greatest diverges
    assert circle.get_ydata() / GRADIENT_XI == pytest.approx([16], rel=0.02)
    assert r"$ = 2.61 layers" in footnote(drawn)
    assert f"{circle.get_ydata()[0]:.3g} layers ({circle.get_ydata()[0] / GRADIENT_XI:.3g}$" in footnote(drawn)


def test_normalized_times_have_the_line_in_every_panel(normalized):
    for arguments, multiple in (([], 16), (["--xi", "8"], 8)):
        drawn = figure("train", normalized, "--show", "times", *arguments)
        at = [[line.get_xdata()[0] for line in axes.get_lines() if len(set(line.get_xdata())) == 1 and len(line.get_xdata()) == 2]
              for axes in drawn.axes]
        assert at == [pytest.approx([multiple * GRADIENT_XI])] * 2
        assert rf"${multiple}\,\xi_g$" in texts(drawn)


def test_fit_over_weight_variances_is_of_the_gradients_scale(tmp_path):
    path = make(tmp_path / "weights.h5", growth=GROWTH, weight_variance=np.linspace(1, 3, 5), depth=range(5, 65, 5))
    drawn = figure("train", path, "--trained", str(MIDDLE))
    assert drawn.axes[0].get_xlabel().startswith("weight variance")
    fitted, = [line for line in drawn.axes[0].get_lines() if str(line.get_label()).startswith("fit")]
    assert fitted.get_ydata() / GRADIENT_XI == pytest.approx(16, rel=0.02)
    assert r"\xi_g" in fitted.get_label() and "phase" not in footnote(drawn)
    line, = lines_named(drawn.axes[0], r"$16\,\xi_g$")
    assert line.get_ydata() == pytest.approx(16 * GRADIENT_XI)


@pytest.mark.parametrize("growth, words", [(np.nan, "not known"), (1.0, "more slowly than exponentially"),
                                           (np.linspace(1.1, 1.5, 12).reshape(12, 1, 1), "another factor a layer at each depth")])
def test_no_scale_of_the_gradient(tmp_path, growth, words):
    path = make(tmp_path / "none.h5", growth=growth, weight_variance=(2.0,), depth=range(5, 65, 5))
    for view in ("map", "times"):
        drawn = figure("train", path, "--show", view)
        assert words in footnote(drawn)
        assert not any("16" in str(line.get_label()) for axes in drawn.axes for line in axes.get_lines())


def test_plain_networks_have_no_scale_of_the_gradient(pair):
    assert not any(r"\xi" in text for text in texts(figure("train", pair)))
    assert any(r"\xi_c" in text for text in texts(figure("train", pair, "--xi", "6")))


def test_job_of_yang_has_its_scale(tmp_path):
    """A batch of 128 is near the limit of large ones, pi/(pi - 1), whose 16 xi is 41.8."""
    assert eoc("theory", TESTS.parent / "jobs" / "yang2019-batch-norm.yaml", "-o", "theory.h5", cwd=tmp_path).returncode == 0
    with h5py.File(tmp_path / "theory.h5") as file:
        assert 16 * depth_scale.of_gradient(file["theory/chi_1"][()]) == pytest.approx(41.8, rel=0.03)
