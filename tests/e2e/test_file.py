# SPDX-License-Identifier: BSD-3-Clause
"""The result file as the README has it, through every reader that people use."""
import json
import time

import h5py
import netCDF4
import numpy as np
import pytest
import xarray
from conftest import DONE, GRID, POINT, assert_same_bits, dimensions, eoc, in_creation_order, run

SWEEP = """
title: what a file holds
seed: 11
grid:
  depth: [4, 10, 7]
  width: [8, 20]
  activation: [relu, tanh, leaky_relu(slope=0.2)]
  initializer: [gaussian, orthogonal, small_uniform]
  weight_variance: [1.0, 1.5, 2.0]
  bias_variance: [0, 0.05]
  replica: [0, 5]
"""

AXES = {
    "architecture": ["fully_connected"],
    "activation": ["relu", "tanh", "leaky_relu(slope=0.2)"],
    "initializer": ["gaussian", "orthogonal", "small_uniform"],
    "width": [8, 20],
    "depth": [4, 10, 7],
    "weight_variance": [1.0, 1.5, 2.0],
    "bias_variance": [0.0, 0.05],
    "replica": [0, 5],
    "layer": list(range(1, 11)),
}

# Dimensions of every variable.
VARIABLES = {
    GRID: "run/status run/reason run/last_layer run/sampler run/seconds run/rank run/attempts run/checksum",
    POINT: "run/effective_weight_variance theory/status theory/q_star theory/chi_1 theory/c_star theory/xi_q theory/xi_c theory/chi_q "
           "theory/chi_c theory/mu_1 theory/mu_2 theory/length_map_second_derivative theory/manifold_curvature theory/beta "
           "theory/lambda_max theory/log_lambda_max theory/jacobian_variance_per_layer",
    GRID + ("layer",): "probe/log_q probe/c probe/one_minus_c probe/log_gradient_q probe/gradient_c probe/log_weight_gradient_q",
    POINT + ("layer",): "theory/log_q theory/c theory/one_minus_c theory/log_gradient_q theory/gradient_c theory/log_weight_gradient_q",
}

GROUPS = ("probe", "theory", "run")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return run(tmp_path_factory.mktemp("file"), SWEEP, ranks=2)


@pytest.fixture
def file(path):
    with h5py.File(path) as opened:
        yield opened


def variables(file):
    """(name, dataset) of every dataset, coordinates once; dimensions without a variable are netCDF's own business."""
    for name in file:
        if isinstance(file[name], h5py.Dataset):
            yield name, file[name]
        else:
            for key in file[name]:
                placeholder = file[name][key].attrs.get("NAME", b"").startswith(b"This is a netCDF dimension but not")
                if key not in file and not placeholder:
                    yield f"{name}/{key}", file[name][key]


def test_axes(file):
    """Every axis is a root dimension scale under its own name with the sweep's values in the sweep's order."""
    for name, values in AXES.items():
        stored = file[name].asstr()[()] if name in ("architecture", "activation", "initializer") else file[name][()]
        assert stored.tolist() == values
        assert is_scale(file[name])
    for name in ("architecture", "activation", "initializer"):
        assert tuple(h5py.check_string_dtype(file[name].dtype)) == ("utf-8", None)


@pytest.mark.parametrize("dims", VARIABLES, ids=",".join)
def test_dimensions(dims, file):
    """Every variable is there with its dimensions, in their order."""
    for name in VARIABLES[dims].split():
        dataset = file[name]
        assert dimensions(dataset) == dims, name
        assert dataset.shape == tuple(len(AXES[dim]) for dim in dims), name
        assert all(len(dim) == 1 for dim in dataset.dims), name


def test_types(file):
    """Flags are int8, theory's masks uint16, checksums uint32, counts int32, everything measured float64."""
    types = {"run/status": "i1", "run/reason": "i1", "run/sampler": "i1", "theory/status": "u2", "run/checksum": "u4",
             "run/last_layer": "i4", "run/rank": "i4", "run/attempts": "i4", "width": "i4", "depth": "i4", "layer": "i4"}
    for name, kind in types.items():
        assert file[name].dtype == np.dtype(kind), name
    for name in ("probe/log_q", "theory/log_q", "run/seconds", "weight_variance", "bias_variance"):
        assert file[name].dtype == np.dtype("f8"), name


def test_groups_hold_links_to_their_scales(file):
    """Each group has, under the same name, a hard link to every scale its variables use, and no scale it does not use."""
    for group in GROUPS:
        used = {dim for name in file[group] if name not in file for dim in dimensions(file[group][name])}
        assert used == {name for name in file[group] if name in file}
        for name in used:
            assert file[group][name] == file[name], "a copy, not a link"
            assert isinstance(file[group].get(name, getlink=True), h5py.HardLink)


def test_units_and_long_names(file):
    """Every variable has a long_name; every one that is a number has units: 1, or s for seconds."""
    count = 0
    for name, dataset in variables(file):
        assert dataset.attrs["long_name"], name
        if dataset.dtype.kind in "fiu":
            expected = {"run/seconds": "s", "provenance/start": "seconds since 1970-01-01 00:00:00",
                        "provenance/end": "seconds since 1970-01-01 00:00:00"}.get(name, "1")
            assert text(dataset.attrs["units"]) == expected, name
            count += 1
    assert count > 40


def is_scale(dataset):
    return h5py.h5ds.is_scale(dataset.id)


def text(value):
    return value.decode() if isinstance(value, bytes) else value


def test_fill_values(file):
    """Floating variables have the _FillValue NaN of their own type, integers none; coordinates none."""
    for name, dataset in variables(file):
        if dataset.dtype.kind == "f" and not is_scale(dataset):
            fill = dataset.attrs["_FillValue"]
            assert np.isnan(fill) and np.asarray(fill).dtype == dataset.dtype, name
        else:
            assert "_FillValue" not in dataset.attrs, name


FLAGS = {
    "run/status": ("flag_values", [0, 1, 2, 3, 4], ["pending", "running", "done", "diverged", "failed"]),
    "run/reason": ("flag_values", [0, 1, 2, 3, 4, 5], None),
    "run/sampler": ("flag_values", None, None),
    "theory/status": ("flag_masks", [1 << bit for bit in range(13)],
                      "not_computed outside_theory q_zero q_line q_diverges q_several q_half_stable q_marginal c_any chaotic "
                      "xi_infinite no_second_derivative partial".split()),
}


@pytest.mark.parametrize("name", FLAGS)
def test_flags(name, file):
    """CF flags: of the variable's own type, one word for each; nothing in the file that has no word."""
    attribute, values, words = FLAGS[name]
    dataset = file[name]
    flags = np.atleast_1d(dataset.attrs[attribute])
    meanings = text(dataset.attrs["flag_meanings"]).split()
    assert flags.dtype == dataset.dtype and len(flags) == len(meanings)
    assert values is None or flags.tolist() == values
    assert words is None or meanings == words
    if attribute == "flag_values":
        assert set(np.unique(dataset[()])) <= set(flags)
    else:
        assert not (dataset[()] & ~np.bitwise_or.reduce(flags)).any()


def test_outside_theory_is_flagged(file):
    """small_uniform, whose mean is not zero, is outside_theory with NaN everywhere; the other two initializers are not."""
    outside = (file["theory/status"][()] & 2) != 0
    at = AXES["initializer"].index("small_uniform")
    assert outside[:, :, at].all() and not outside[:, :, :at].any()
    for name in ("q_star", "chi_1", "log_q", "c"):
        assert np.isnan(file["theory"][name][:, :, at]).all()
    assert np.isfinite(file["theory/log_q"][:, :, :at, :, 1]).all()


def test_effective_weight_variance(file):
    """gaussian and orthogonal: weight_variance itself; small_uniform: N weights of variance weight_variance 1e-4/12."""
    effective = file["run/effective_weight_variance"][()]
    for i, variance in enumerate(AXES["weight_variance"]):
        assert np.allclose(effective[:, :, :2, :, :, i], variance, rtol=4e-16, atol=0)  # an ulp or two
        for j, width in enumerate(AXES["width"]):
            assert np.allclose(effective[:, :, 2, j, :, i], width * variance * 1e-4 / 12, rtol=1e-12, atol=0)


@pytest.mark.parametrize("group", ["probe", "theory"])
def test_layers_above_the_depth_are_nan(group, file):
    """A layer variable is NaN above its point's depth, and a number at and below it (where there is theory). By chance a narrow
    relu network is dead: -inf and cosine NaN."""
    for name in file[group]:
        dataset = file[group][name]
        if name in file or dimensions(dataset)[-1] != "layer":
            continue
        values = dataset[:, :, :2]
        for at, depth in enumerate(AXES["depth"]):
            assert np.isnan(values[:, :, :, :, at, ..., depth:]).all(), name
            below = values[:, :, :, :, at, ..., :depth]
            if group == "probe" and name.startswith("log_"):
                assert not np.isnan(below).any() and np.isfinite(below).mean() > 0.9, name
            elif group == "probe":
                assert np.isfinite(below[:, 1]).all(), name  # tanh does not die
            else:
                assert np.isfinite(below).all(), name


def test_everything_is_done(file):
    """Every unit is done to its own depth, with no reason to complain, and its wall time is a positive number."""
    assert (file["run/status"][()] == DONE).all() and (file["run/reason"][()] == 0).all()
    depth = np.array(AXES["depth"]).reshape(-1, 1, 1, 1)
    assert (file["run/last_layer"][()] == depth).all()
    assert (file["run/seconds"][()] > 0).all() and (file["run/seconds"][()] < 60).all()


def test_one_minus_c(file):
    """one_minus_c and c are the same thing twice, to rounding."""
    assert np.nanmax(np.abs(file["probe/c"][()] + file["probe/one_minus_c"][()] - 1)) < 1e-14


def test_creation_order_is_tracked(file):
    """Creation order is tracked for the links of every group and the attributes of every object."""
    tracked = h5py.h5p.CRT_ORDER_TRACKED
    for group in (file["/"], *(file[name] for name in (*GROUPS, "provenance"))):
        assert group.id.get_create_plist().get_link_creation_order() & tracked, group.name
        assert group.id.get_create_plist().get_attr_creation_order() & tracked, group.name
    for name, dataset in variables(file):
        assert dataset.id.get_create_plist().get_attr_creation_order() & tracked, name
    assert in_creation_order(file)[:3] == ["architecture", "activation", "initializer"]


def test_layout_is_contiguous(file):
    """Results lie contiguous and allocated, as the raw writes of many ranks need."""
    for group in GROUPS:
        for name in file[group]:
            if name not in file:
                assert file[group][name].chunks is None and file[group][name].id.get_offset() is not None, name


@pytest.mark.parametrize("engine", ["h5netcdf", "netcdf4"])
@pytest.mark.parametrize("group", GROUPS)
def test_xarray(group, engine, path, file):
    """xarray opens every group with either engine, decodes it, and selects by label, strings included."""
    with xarray.open_dataset(path, group=group, engine=engine) as data:
        names = {name for name in file[group] if name not in file}
        assert set(data.data_vars) == names
        assert set(data.coords) == {name for name in file[group] if name in file}
        for name in names:
            assert data[name].dims == dimensions(file[group][name]), name
            assert data[name].values.tobytes() == file[group][name][()].tobytes(), name
            assert data[name].dtype == file[group][name].dtype, name
        picked = data.sel(architecture="fully_connected", activation="tanh", initializer="orthogonal", width=20, depth=10,
                          weight_variance=1.5, bias_variance=0.05)
        if group != "theory":
            picked = picked.sel(replica=5)
        name = {"probe": "log_q", "theory": "log_q", "run": "checksum"}[group]
        index = (0, 1, 1, 1, 1, 1, 1)
        if group == "run":
            assert picked[name].item() == file["run/checksum"][index + (1,)]
        else:
            expected = file[group][name][index + ((1,) if group == "probe" else ())]
            assert picked.sel(layer=10)[name].item() == expected[9]
            assert picked[name].sel(layer=[1, 10]).values.tolist() == [expected[0], expected[9]]


@pytest.mark.parametrize("engine", ["h5netcdf", "netcdf4"])
@pytest.mark.parametrize("group", [None, "provenance"])
def test_xarray_opens_the_rest(group, engine, path):
    """The root and the provenance open too; the root shows the axes, the provenance decodes its times to today."""
    with xarray.open_dataset(path, group=group, engine=engine) as data:
        if group is None:
            assert set(AXES) <= set(data.coords) and data.attrs["Conventions"].startswith("CF-")
            assert data.attrs["title"] == "what a file holds"
        else:
            start, end = data["start"].values[0], data["end"].values[0]
            assert np.issubdtype(start.dtype, np.datetime64) and start <= end
            assert abs(end - np.datetime64(int(time.time()), "s")) < np.timedelta64(1, "h")


def test_netcdf4_python(path):
    """netCDF4-python opens every group with named dimensions and coordinates, and reads the same numbers."""
    with netCDF4.Dataset(path) as data, h5py.File(path) as file:
        assert set(GROUPS) | {"provenance"} == set(data.groups)
        for group in GROUPS:
            for name in file[group]:
                variable = data[group][name]
                if name in file:
                    continue
                variable.set_auto_mask(False)
                assert variable.dimensions == dimensions(file[group][name]), name
                assert variable[...].tobytes() == file[group][name][()].tobytes(), name
                assert variable.units == ("s" if name == "seconds" else "1")
            assert list(data[group]["activation"][:]) == AXES["activation"]


def test_provenance_names_the_run(file):
    """Per run: start, end, ranks, and valid JSON that holds the command line, hosts, versions; rows of no run are empty."""
    group = file["provenance"]
    assert len(group["run"]) == 256 == len(group["start"]) and group["info"].shape[0] == 256
    assert group["ranks"][:2].tolist() == [2, 0]
    assert group["start"][0] <= group["end"][0] and np.isnan(group["start"][1:]).all()
    info = json.loads(group["info"][0].tobytes().rstrip(b"\0").decode("utf-8"))
    held = json.dumps(info)
    for word in ("run", "sweep.yaml", "OpenBLAS", "host"):
        assert word in held, held
    assert not group["info"][1:].tobytes().strip(b"\0")
    assert group["seed"][()] == 11 and group["physics_version"][()] >= 1


def test_every_run_leaves_a_row(tmp_path):
    """A second run of the same command adds a second row to the provenance; quotes and umlauts in names stay valid JSON."""
    sweep = "grid: {activation: tanh, weight_variance: 1.5, width: 10, depth: 3}\n"
    name = 'a "quoted" \\ name, häßlich.h5'
    run(tmp_path, sweep, "-o", name)
    run(tmp_path, sweep, "-o", name, ranks=2)
    with h5py.File(tmp_path / name) as file:
        group = file["provenance"]
        assert group["ranks"][:3].tolist() == [1, 2, 0]
        for row in (0, 1):
            assert name in json.dumps(json.loads(group["info"][row].tobytes().rstrip(b"\0").decode()), ensure_ascii=False).replace(
                '\\"', '"').replace("\\\\", "\\")


def test_resolved_sweep_reads_back(path, tmp_path):
    """The sweep text in the provenance is itself a sweep file: run again it gives the same numbers, and itself."""
    with h5py.File(path) as file:
        sweep = file["provenance/sweep"].asstr()[()]
    again = tmp_path / "again.h5"
    run(tmp_path, sweep, "-o", again, name="resolved")
    assert_same_bits(again, path)
    with h5py.File(again) as file:
        assert file["provenance/sweep"].asstr()[()] == sweep


def test_resolved_sweep_goes_on_with_the_file(path, tmp_path):
    """The resolved sweep is the same sweep: with -o the old file it finds nothing to do."""
    with h5py.File(path) as file:
        (tmp_path / "resolved.yaml").write_text(file["provenance/sweep"].asstr()[()])
    copy = tmp_path / "copy.h5"
    copy.write_bytes(path.read_bytes())
    result = eoc("run", "resolved.yaml", "-o", "copy.h5", cwd=tmp_path)
    assert result.returncode == 0 and "0 computed" in result.stderr, result.stderr


@pytest.mark.parametrize("kept", ["every 3", "every 100", "log 4", "log 100"])
def test_thinned_layers(kept, path, tmp_path):
    """Thinned layers hold layer 1 and every depth, are as many as asked for, and are the full run's rows bit for bit."""
    thin = run(tmp_path, SWEEP, "--set", f"probe.layers={kept}", ranks=2)
    with h5py.File(path) as whole, h5py.File(thin) as part:
        layers = part["layer"][()].tolist()
        assert layers == sorted(set(layers)) and {1, *AXES["depth"]} <= set(layers) <= set(range(1, 11))
        number = int(kept.split()[1])
        if kept.startswith("every"):
            assert set(layers) == {1, *AXES["depth"]} | {layer for layer in range(1, 11) if layer % number == 0}
        else:
            assert min(number, 10) <= len(layers) <= number + len(AXES["depth"]) + 1
        at = [layer - 1 for layer in layers]
        for name in VARIABLES[GRID + ("layer",)].split() + VARIABLES[POINT + ("layer",)].split():
            assert part[name][()].tobytes() == np.ascontiguousarray(whole[name][()][..., at]).tobytes(), name


@pytest.mark.parametrize("statistics, has, has_not", [("forward", "log_q", "log_gradient_q"), ("gradient", "log_gradient_q", "log_q")])
def test_statistics_that_were_not_asked_for(statistics, has, has_not, tmp_path):
    """Only the statistics asked for have variables, in the probe and in theory."""
    path = run(tmp_path, "grid: {activation: tanh, weight_variance: 1.5, width: 10, depth: 3}\n", "--set", f"probe.statistics={statistics}")
    with h5py.File(path) as file:
        for group in ("probe", "theory"):
            assert has in file[group] and has_not not in file[group]
        assert (file["run/status"][()] == DONE).all()


@pytest.mark.parametrize("inputs", ["{kind: single}", "{kind: circle, points: 5}", "{kind: gaussian, points: 3}", "{kind: pair, variance: 4}"])
def test_inputs(inputs, tmp_path):
    """Every kind of input runs; with one input c and gradient_c are NaN, with more they are cosines."""
    path = run(tmp_path, f"grid: {{activation: tanh, weight_variance: 1.5, width: 50, depth: 4}}\nprobe: {{inputs: {inputs}}}\n")
    with h5py.File(path) as file:
        assert np.isfinite(file["probe/log_q"][()]).all() and np.isfinite(file["probe/log_gradient_q"][()]).all()
        for group in ("probe", "theory"):
            for name in ("c", "gradient_c"):
                if name in file[group]:
                    values = file[group][name][()]
                    assert np.isnan(values).all() if "single" in inputs else (np.abs(values) <= 1).all()
