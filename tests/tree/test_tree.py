# SPDX-License-Identifier: BSD-3-Clause
"""What holds for the source tree itself: the arrows between rooms, the homes of foreign headers, the format."""
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

# The rooms that a room may include, itself and the rooms these may include among them.
ARROWS = {
    "core": [],
    "model": ["core"],
    "theory": ["model"],
    "grid": ["model"],
    "study": ["theory", "grid"],
    "config": ["study"],
    "file": ["study"],
    "run": ["file", "config"],
    "cli": ["run"],
}

HEADERS = {
    "core": "status text order kind real rng vecmath linalg orthonormal quadrature product_svd",
    "model": "geometry activation initializer architecture weights",
    "theory": "mean_field layer_theory spatial_theory critical spectrum kernel",
    "grid": "grid generator key part",
    "study": "inputs probe gates record advise cost data loss optimizer net train study",
    "config": "sweep",
    "file": "store view merge checkpoint dataset",
    "run": "plan run theory_file simulate share_data merge_files",
}

# Folders in which a foreign header may be included.
HOMES = {
    "mpi.h": {"file", "run", "include/eoc/store.h", "include/eoc/run.h", "include/eoc/share_data.h"},
    "hdf5.h": {"file"},
    "hdf5_hl.h": {"file"},
    "cblas.h": {"core"},
    "lapacke.h": {"core"},
    "yaml.h": {"config"},
    "sleef.h": {"core"},
    "argp.h": {"cli"},
    "zlib.h": {"file"},
}


def reachable(room):
    rooms = {room}
    for other in ARROWS[room]:
        rooms |= reachable(other)
    return rooms


def room_of_header(name):
    for room, names in HEADERS.items():
        if name in names.split():
            return room
    raise AssertionError(f"include/eoc/{name}.h belongs to no room: add it to HEADERS")


def sources():
    return sorted(p for p in (ROOT / "src").rglob("*.[ch]")) + sorted((ROOT / "include").rglob("*.h"))


def place_of(path):
    relative = path.relative_to(ROOT)
    return room_of_header(path.stem) if relative.parts[0] == "include" else relative.parts[1]


def test_rooms_include_only_what_the_arrows_allow():
    """core <- model <- theory, grid <- study <- config, file <- run <- cli; nothing the other way."""
    wrong = []
    for path in sources():
        for name in re.findall(r'#include "eoc/(\w+)\.h"', path.read_text()):
            if room_of_header(name) not in reachable(place_of(path)):
                wrong.append(f"{path.relative_to(ROOT)} includes eoc/{name}.h of {room_of_header(name)}")
    assert wrong == []


@pytest.mark.parametrize("header", sorted(HOMES))
def test_foreign_headers_stay_at_home(header):
    """mpi.h, hdf5.h, cblas.h and the like have one home each."""
    found = 0
    for path in sources():
        if f"#include <{header}>" in path.read_text():
            found += 1
            home = place_of(path)
            assert home in HOMES[header] or str(path.relative_to(ROOT)) in HOMES[header], path
    assert found > 0


def test_every_header_has_a_room():
    """A new header is put into HEADERS, so that the arrows are checked for it."""
    listed = {name for names in HEADERS.values() for name in names.split()}
    assert listed == {p.stem for p in (ROOT / "include/eoc").glob("*.h")}


def test_format():
    """The C sources are as clang-format 14 leaves them."""
    program = shutil.which("clang-format-14") or shutil.which("clang-format")
    version = subprocess.run([program, "--version"], capture_output=True, text=True).stdout if program else ""
    if " 14." not in version:
        pytest.skip(f"clang-format 14 is not here ({version.strip() or 'none'})")
    files = [str(p) for p in sources() + sorted((ROOT / "tests").rglob("*.[ch]"))]
    done = subprocess.run([program, "--dry-run", "-Werror", *files], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:3000]
