# SPDX-License-Identifier: BSD-3-Clause
"""eoc-plot: what it prints, how it fails, what it finds and what it draws.

The files are synthetic (plot_sample.py), so that nothing here needs the program.
"""
import os
import subprocess
import sys
from pathlib import Path

import h5py
import matplotlib.image
import numpy as np
import pytest

HERE = Path(__file__).resolve().parent
TOOLS = HERE.parent.parent / "tools"
sys.path[:0] = [str(HERE), str(TOOLS)]

import conftest  # noqa: E402
import plot_sample  # noqa: E402
from eoc_plot import critical, reduce, style  # noqa: E402
from eoc_plot.cli import PICTURES, make_parser  # noqa: E402
from eoc_plot.result import Result, selection  # noqa: E402

TRANSITION = 1.76095  # tanh, bias variance 0.05


def plot(*arguments, **environment):
    """Run the program as a user does."""
    return subprocess.run([str(TOOLS / "eoc-plot"), *map(str, arguments)], text=True, capture_output=True, check=False,
                          env={**os.environ, **environment})


def figure(picture, path, *arguments):
    """The figure itself, to look inside."""
    options = make_parser().parse_args([picture, str(path), *arguments])
    drawn = PICTURES[picture].draw(Result(str(path)), options)
    drawn.canvas.draw()
    return drawn


def texts(drawn):
    return [text.get_text() for text in drawn.findobj(style.matplotlib.text.Text) if text.get_text()]


@pytest.fixture(scope="session")
def sample(tmp_path_factory):
    """Files by kind, each made once."""
    folder = tmp_path_factory.mktemp("samples")
    made = {}

    def get(kind):
        if kind not in made:
            made[kind] = plot_sample.make(folder / f"{kind}.h5", **plot_sample.SAMPLES[kind])
        return made[kind]

    return get


@pytest.fixture(autouse=True)
def close_figures():
    yield
    style.plt.close("all")


def assert_picture(path):
    """A raster with more than a handful of colours."""
    pixels = matplotlib.image.imread(path)
    assert pixels.shape[0] > 300 and pixels.shape[1] > 500
    assert len(np.unique(pixels[::5, ::5, :3].reshape(-1, 3), axis=0)) > 30


def assert_fails(run, code, *words):
    assert run.returncode == code, run.stderr
    assert run.stdout == ""
    assert run.stderr.count("\n") == 1, run.stderr
    for word in words:
        assert word in run.stderr


@pytest.mark.parametrize("picture", ["phase", "depth"])
@pytest.mark.parametrize("kind", sorted(plot_sample.SAMPLES))
def test_every_kind_of_file_has_its_picture(sample, picture, kind):
    path = sample(kind)
    run = plot(picture, path)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    assert run.stdout.strip() == str(path.with_name(f"{kind}-{picture}.png"))
    assert_picture(run.stdout.strip())


@pytest.mark.parametrize("suffix, head", [(".pdf", b"%PDF"), (".svg", b"<?xml")])
def test_vector_formats(sample, tmp_path, suffix, head):
    out = tmp_path / f"map{suffix}"
    run = plot("phase", sample("layer"), "-o", out)
    assert run.returncode == 0, run.stderr
    content = out.read_bytes()
    assert content.startswith(head) and len(content) > 10_000


@pytest.mark.parametrize("arguments, code, words", [
    (["phase", "{folder}/none.h5"], 1, ["none.h5", "no such file"]),
    (["phase", "{folder}/text.h5"], 1, ["not an HDF5 file"]),
    (["phase", "{folder}/other.h5"], 1, ["not an eoc result file"]),
    (["phase", "{folder}/future.h5"], 1, ["schema 2.0", "1.x"]),
    (["phase", "{file}", "--statistic", "one_minusc"], 2, ["one_minusc", "one_minus_c"]),
    (["phase", "{file}", "--y", "dpeth"], 2, ["dpeth", "depth"]),
    (["phase", "{file}", "--x", "depth", "--y", "depth"], 2, ["two different axes"]),
    (["phase", "{file}", "--y", "bias_variance"], 1, ["at least two bias variances"]),
    (["phase", "{file}", "--select", "weight_variance=1.76"], 2, ["1.76", "1.7, 1.8, 1.9"]),
    (["phase", "{file}", "--select", "weight_variance=1.8"], 1, ["at least two weight variances"]),
    (["phase", "{file}", "--select", "weight_variance=wide"], 2, ["holds numbers"]),
    (["phase", "{file}", "--select", "initializer=ortogonal"], 2, ["did you mean orthogonal?"]),
    (["phase", "{file}", "--select", "initialiser=gaussian"], 2, ["did you mean initializer?"]),
    (["phase", "{file}", "--select", "width"], 2, ["AXIS=VALUE"]),
    (["phase", "{file}", "--statistic", "log_jacobian_m1"], 2, ["no layer axis"]),
    (["phase", "{file}", "-o", "{folder}/map.bmp"], 2, [".png, .pdf or .svg"]),
    (["phase", "{file}", "-o", "{folder}/none/map.png"], 1, ["cannot be written"]),
    (["phase", "{file}", "--title", r"$\nonsense$", "-o", "{folder}/map.png"], 2, ["--title"]),
    (["phase", "{file}", "--xi", "six"], 2, ["multiples of xi_c"]),
    (["depth", "{file}", "--curves", "0"], 2, ["--curves 0"]),
    (["depth", "{file}", "--statistic", "chi_1"], 2, ["no layer axis"]),
    (["fase", "{file}"], 2, ["fase"]),
    (["phase"], 2, ["FILE"]),
])
def test_errors_are_one_sentence(sample, tmp_path, arguments, code, words):
    (tmp_path / "text.h5").write_text("not a result")
    for name, attributes in (("other", {}), ("future", {"schema_version": "2.0"})):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file.attrs.update(attributes)
            file.create_group("probe" if attributes else "something")
    places = {"folder": tmp_path, "file": sample("layer")}
    assert_fails(plot(*(argument.format(**places) for argument in arguments)), code, *words)


def test_file_cut_short(sample, tmp_path):
    cut = tmp_path / "cut.h5"
    content = sample("single").read_bytes()
    cut.write_bytes(content[: len(content) // 2])
    assert_fails(plot("phase", cut), 1, "cut.h5")


def test_file_without_theory(tmp_path):
    path = plot_sample.make(tmp_path / "probe.h5", theory=False, width=(300,))
    for picture in ("phase", "depth"):
        run = plot(picture, path)
        assert run.returncode == 0
        assert "no theory group" in run.stderr
    assert_fails(plot("phase", path, "--xi", "6"), 1, "no theory group")
    assert_fails(plot("phase", path, "--statistic", "theory/chi_1"), 1, "no theory group")


def test_file_without_probe(tmp_path):
    path = plot_sample.make(tmp_path / "theory.h5", probe=False, width=(300,))
    with h5py.File(path, "r+") as file:
        del file["run"], file["replica"]
    for picture in ("phase", "depth"):
        assert plot(picture, path).returncode == 0
    assert not any("replica" in text for text in texts(figure("phase", path)))


def test_interpreter_of_the_environment(sample, tmp_path):
    other = tmp_path / "python"
    other.write_text(f'#!/bin/sh\necho "other interpreter" >&2\nexec {sys.executable} "$@"\n')
    other.chmod(0o755)
    run = plot("phase", sample("single"), "-o", tmp_path / "map.png", EOC_PYTHON=str(other))
    assert run.returncode == 0
    assert "other interpreter" in run.stderr
    assert_fails(plot("phase", sample("single"), EOC_PYTHON="/none/python"), 1, "EOC_PYTHON")


def test_critical_line_on_the_grid_of_the_file(sample):
    """With steps of 0.1 the monotone cubic misses the transition by 1e-5; a straight line would by 8e-4."""
    with h5py.File(sample("layer")) as file:
        weight = file["weight_variance"][()]
        chi = file["theory/chi_1"][0, 0, 0, 0, 0, :, 0]
    found = critical.critical_values(weight, chi)
    assert len(found) == 1
    assert abs(found[0] - TRANSITION) < 2e-5
    i = np.searchsorted(weight, TRANSITION) - 1
    straight = weight[i] + (1 - chi[i]) / (chi[i + 1] - chi[i]) * (weight[i + 1] - weight[i])
    assert abs(found[0] - TRANSITION) < abs(straight - TRANSITION)


def test_critical_line_is_drawn_and_named(sample):
    drawn = figure("phase", sample("layer"))
    lines = [line for line in drawn.axes[0].get_lines() if "chi_1" in line.get_label()]
    assert len(lines) == 1
    assert lines[0].get_xdata()[0] == pytest.approx(TRANSITION, abs=5e-5)
    assert any(r"\chi_1 = 1$ at $\sigma_w^2 = 1.761$" in text for text in texts(drawn))


def test_critical_line_over_bias_variance(sample):
    """Known points of the critical line of tanh, at bias variances that the sample's axis holds."""
    drawn = figure("phase", sample("bias"))
    line = next(line for line in drawn.axes[0].get_lines() if "chi_1" in line.get_label())
    weight, bias = line.get_data()
    for wanted, place in ((1.42421, 0.01), (1.70080, 0.04), (1.94765, 0.09)):
        assert np.interp(place, bias, weight) == pytest.approx(wanted, abs=2e-3)


def test_roots_do_not_cross_gaps():
    x = np.arange(6.0)
    assert len(critical.roots(x, np.array([-2, -1, np.nan, 1, 2, 3.0]))) == 0
    assert critical.roots(x, x - 2) == pytest.approx([2.0])
    assert critical.roots(x, x - 2.5) == pytest.approx([2.5])
    assert len(critical.roots(x, (x - 0.5) * (x - 3.5))) == 2
    assert len(critical.roots(x, 0 * x)) == 0  # chi_1 = 1 all along is no crossing: residual tanh


def test_lines_of_other_layers(tmp_path):
    """tanh: dropout has no critical point (Schoenholz et al. 2017), so its xi_c is finite where chi_1 is 1; without it xi_c diverges there;
    a residual stream has chi_1 = 1 at every weight variance, and no line."""
    path = conftest.run(tmp_path, """
grid: {activation: tanh, weight_variance: 'linspace(0.5, 4, 15)', bias_variance: 0.05, depth: 20, width: 20,
       architecture: [fully_connected, fully_connected(keep=0.9), residual]}
""")
    drawn = figure("phase", path)
    names = ["fully_connected", "fully_connected(keep=0.9)", "residual"]
    panels = {axes.get_title(loc="left"): axes for axes in drawn.axes if axes.get_title(loc="left") in names}
    assert list(panels) == names

    def line(name, symbol):
        return [drawn for drawn in panels[name].get_lines() if symbol in drawn.get_label()]
    greatest = {name: max(np.nanmax(one.get_ydata()) for one in line(name, "xi_c")) for name in names[:2]}
    with h5py.File(path) as file:
        kept = file["theory/xi_c"][()][1].max()
    assert greatest[names[0]] > 20 and greatest[names[1]] < 1.1 * kept < 6
    assert line(names[0], "chi_1") and line(names[1], "chi_1") and not line("residual", "chi_1")
    assert any("is 1 all over this grid" in text for text in texts(drawn))


def test_a_jump_is_not_a_root(tmp_path):
    """gelu with bias variance 0.05: the fixed point vanishes, and chi_1 goes from 0.63 to 1.06 at once."""
    weight = np.array([1.75, 1.875, 2.0, 2.125, 2.25])
    chi = np.array([0.5319, 0.5778, 0.6268, 1.0625, 1.125])
    assert len(critical.critical_values(weight, chi)) == 0
    assert critical.critical_jumps(weight, chi) == pytest.approx([2.0625])
    path = plot_sample.make(tmp_path / "jump.h5", weight_variance=weight, width=(100,), initializer=("gaussian",))
    with h5py.File(path, "r+") as file:
        file["theory/chi_1"][0, 0, 0, 0, 0, :, 0] = chi
    found = texts(figure("phase", path))
    assert any("jumps past 1 at" in text for text in found)
    assert not any(r"\chi_1 = 1" in text for text in found)


def test_depth_scale_diverges_at_the_transition(sample):
    with h5py.File(sample("depth")) as file:
        weight = file["weight_variance"][()]
        xi = file["theory/xi_c"][0, 0, 0, 0, 0, :, 0]
    fine, curve = critical.depth_scale_curve(weight, xi, [TRANSITION])
    assert np.isinf(curve[fine == TRANSITION]).all()
    place = np.array([1.0, 1.65, 1.74, 2.5])  # 1.65 and 1.74 lie between values of the axis
    wanted = plot_sample.theory_point(place, np.full_like(place, 0.05))["xi_c"]
    assert wanted[[0, -1]] == pytest.approx([3.627, 11.80], rel=1e-3)  # published
    assert np.interp(place, fine, curve) == pytest.approx(wanted, rel=0.03)


def test_selection_by_label(sample):
    result = Result(str(sample("layer")))
    chosen, asked = selection(result, ["initializer=orthogonal", "width=300", "weight_variance=0.7"])
    assert asked == {"initializer", "width", "weight_variance"}
    assert [result.axes[axis][chosen[axis]].tolist() for axis in ("initializer", "width", "weight_variance")] == [
        ["orthogonal"], [300], [0.7]]
    drawn = figure("phase", sample("layer"), "--select", "initializer=orthogonal", "--select", "width=300")
    assert "tanh, orthogonal, width 300, depth 50, $\\sigma_b^2 = 0.05$, 4 replicas" in drawn._suptitle.get_text()
    assert len(drawn.axes) == 4  # two maps, two colour bars


def test_selected_numbers_are_rows(sample):
    drawn = figure("phase", sample("layer"), "--select", "initializer=gaussian", "--select", "width=300",
                   "--select", "width=1000")
    assert [axes.get_title("left") for axes in drawn.axes[:4:2]] == ["width 300", "width 1000"]


def test_map_holds_the_means_of_the_file(sample):
    drawn = figure("phase", sample("depth"), "--select", "initializer=gaussian", "--statistic", "c")
    with h5py.File(sample("depth")) as file:
        depth = file["depth"][()]
        c = file["probe/c"][0, 0, 0, 0, :, :, 0]
    wanted = np.stack([c[i, :, :, length - 1].mean(axis=-1) for i, length in enumerate(depth)])
    shown = drawn.axes[0].collections[0].get_array()
    assert np.asarray(shown).reshape(wanted.shape) == pytest.approx(wanted)


def test_growth_of_the_gradient_is_the_slope(sample):
    """Theory's own growth per layer nears log10 chi_1 in a deep network."""
    drawn = figure("phase", sample("depth"), "--select", "initializer=gaussian", "--statistic", "theory/gradient_growth")
    with h5py.File(sample("depth")) as file:
        chi = file["theory/chi_1"][0, 0, 0, 0, -1, :, 0]
    deepest = np.asarray(drawn.axes[0].collections[0].get_array()).reshape(-1, len(chi))[-1]
    assert deepest == pytest.approx(np.log10(chi), abs=0.01)


def test_averages_of_logs():
    values = np.array([[0.0, 2000.0], [-np.inf, 1.0], [np.nan, 3.0], [-np.inf, -np.inf]])
    log = reduce.average(values, True, "log")
    assert log.value.tolist() == [1000.0, 1.0, 3.0, -np.inf]
    assert np.isnan(log.error[1:]).all()
    linear = reduce.average(values, True, "linear")
    assert linear.value == pytest.approx([2000 - np.log(2), 1 - np.log(2), 3.0, -np.inf])
    assert reduce.average(np.array([1.0, 2.0, 3.0]), False, "log").error == pytest.approx(1 / np.sqrt(3))


def test_average_is_named(sample):
    assert any("mean of the log over 4 replicas" in text for text in texts(figure("phase", sample("layer"))))
    drawn = figure("phase", sample("layer"), "--average", "linear")
    assert any("log of the mean over 4 replicas" in text for text in texts(drawn))


def test_partially_filled_file(sample):
    with h5py.File(sample("partial")) as file:
        status = file["run/status"][0, 0, :, -1, 0, :, 0]  # the greatest width
        layers = len(file["layer"])
    empty = int(np.sum(~np.any(status == plot_sample.DONE, axis=-1))) * layers
    diverged = int(np.sum(np.any(status == plot_sample.DIVERGED, axis=-1))) * layers
    total = status[..., 0].size * layers
    drawn = figure("phase", sample("partial"))
    note = drawn._supxlabel.get_text()
    assert f"no finished network, {empty} of {total} cells" in note
    assert f"diverged, {diverged} of {total} cells" in note
    assert np.ma.count_masked(drawn.axes[0].collections[0].get_array()) > 0
    assert "Left out" in figure("depth", sample("partial"))._supxlabel.get_text()


def test_file_with_nothing_done(tmp_path):
    path = plot_sample.make(tmp_path / "new.h5", width=(300,), pending=1.0)
    for picture in ("phase", "depth"):
        assert_fails(plot(picture, path), 1, "no network of this selection is done yet")


def test_dead_networks_are_counted(tmp_path):
    path = plot_sample.make(tmp_path / "dead.h5", width=(30,), depth=(20,), initializer=("gaussian",))
    with h5py.File(path, "r+") as file:
        for name, value in (("log_q", -np.inf), ("log_gradient_q", -np.inf), ("c", np.nan), ("one_minus_c", np.nan)):
            file[f"probe/{name}"][0, 0, 0, 0, 0, :4] = value
            file[f"probe/{name}"][0, 0, 0, 0, 0, 4:8, :, 0] = value
    note = figure("phase", path)._supxlabel.get_text()
    assert "without a value" in note and "80 of 720 cells" in note
    assert "left out of the mean, in 80 of 720 cells" in note
    assert plot("depth", path).returncode == 0


def test_single_replica_has_no_bars(sample):
    drawn = figure("depth", sample("single"))
    assert "no error bars" in drawn._supxlabel.get_text()
    assert "1 replica" in drawn._suptitle.get_text()
    assert not any("standard error" in text for text in texts(drawn))
    assert any("standard error" in text for text in texts(figure("depth", sample("layer"))))


def test_depth_shows_the_value_nearest_to_the_transition(sample):
    for wanted in ("1", "2", "5"):
        found = texts(figure("depth", sample("layer"), "--curves", wanted))
        assert "1.8 (nearest critical)" in found


def test_thinned_layers_are_drawn_at_their_numbers(sample):
    with h5py.File(sample("thinned")) as file:
        layers = file["layer"][()]
    axes = figure("phase", sample("thinned")).axes[0]
    edges = np.asarray(axes.collections[0].get_coordinates())[:, 0, 1]
    assert axes.get_yscale() == "log"
    assert len(edges) == len(layers) + 1
    assert np.all((edges[:-1] < layers) & (layers < edges[1:]))


def test_cell_edges_of_a_quadratic_axis():
    values = np.array([0.0, 1.0, 4.0, 9.0])
    assert not style.wants_log(values)
    assert style.cell_edges(values, False) == pytest.approx([0.0, 0.5, 2.5, 6.5, 11.5])
    assert style.wants_log(np.array([1, 2, 4, 8, 16]))


def test_unsorted_axis(tmp_path):
    path = plot_sample.make(tmp_path / "unsorted.h5", weight_variance=(3, 1, 2), width=(100,), depth=(10,))
    axes = figure("phase", path).axes[0]
    assert axes.get_xlim() == (0.5, 3.5)


def test_initializer_with_a_scale_of_its_own(tmp_path):
    path = plot_sample.make(tmp_path / "he.h5", initializer=("he_normal",), width=(300,))
    with h5py.File(path, "r+") as file:
        file["run/effective_weight_variance"][...] *= 2
    found = texts(figure("phase", path))
    assert "weight variance, times the initializer's own" in found
    assert not any(r"at $\sigma_w^2" in text for text in found)


def test_texts_do_not_overlap(sample):
    """Titles, keys, labels and small print each have their own room, inside the picture."""
    for picture, kind in (("phase", "partial"), ("phase", "bias"), ("depth", "layer")):
        drawn = figure(picture, sample(kind))
        renderer = drawn.canvas.get_renderer()
        boxes = [(text, text.get_window_extent(renderer)) for text in drawn.findobj(style.matplotlib.text.Text)
                 if text.get_text().strip() and text.get_visible()]
        boxes = [(text, box) for text, box in boxes if is_label(text, drawn)]
        for i, (text, box) in enumerate(boxes):
            assert drawn.bbox.x0 <= box.x0 and box.x1 <= drawn.bbox.x1, text
            assert drawn.bbox.y0 <= box.y0 and box.y1 <= drawn.bbox.y1, text
            for other, other_box in boxes[i + 1:]:
                assert not box.overlaps(other_box), (text, other)


def is_label(text, drawn):
    """Ticks outside the limits of an axis are there but not drawn."""
    ticks = [label for axes in drawn.axes for label in axes.get_xticklabels() + axes.get_yticklabels()
             + axes.get_xticklabels(minor=True) + axes.get_yticklabels(minor=True)]
    return text not in ticks
