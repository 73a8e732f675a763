# SPDX-License-Identifier: BSD-3-Clause
"""What every black-box test needs: to run the program as a user does, and to look at what it left.

EOC_BUILD         the build directory (default: build, beside tests)
EOC_LONG_TESTS=1  the full form of the statistical tests (e2e/test_physics.py, test_layer_theory.py, test_space_theory.py) instead of the quick one
EOC_LONG_TESTS_DIR  keep their files there: an interrupted test goes on where it stopped
"""
import os
import re
import signal
import subprocess
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest

TESTS = Path(__file__).resolve().parent
BUILD = Path(os.environ.get("EOC_BUILD", TESTS.parent / "build")).resolve()
PROGRAM = BUILD / "eoc"
LONG = os.environ.get("EOC_LONG_TESTS") == "1"

ENVIRONMENT = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "OMPI_MCA_hwloc_base_binding_policy": "none",
    "OPENBLAS_NUM_THREADS": "1",
}

GRID = ("architecture", "activation", "initializer", "width", "depth", "weight_variance", "bias_variance", "replica")
POINT = GRID[:-1]

PENDING, RUNNING, DONE, DIVERGED, FAILED = range(5)

# Of the group run, what a unit's checksum covers.
CHECKED_OF_RUN = ("run/reason", "run/last_layer", "run/sampler")

# Results of a unit, bit for bit the same however they were computed; seconds, rank and attempts are not.
REPRODUCIBLE = ("status", "reason", "last_layer", "sampler", "checksum")


def pytest_report_header():
    form = "full form (EOC_LONG_TESTS=1)" if LONG else "quick form (EOC_LONG_TESTS=1 for the full one)"
    return f"eoc: {PROGRAM}; statistical tests in their {form}"


def command_line(*arguments, ranks=None):
    start = [] if ranks is None else ["mpirun", "-n", str(ranks)]
    return [*start, str(PROGRAM), *map(str, arguments)]


def eoc(*arguments, cwd, ranks=None, timeout=120, **environment):
    """Run the program to its end, alone or under mpirun."""
    return subprocess.run(command_line(*arguments, ranks=ranks), cwd=cwd, env={**os.environ, **ENVIRONMENT, **environment},
                          stdin=subprocess.DEVNULL, text=True, errors="replace", capture_output=True, timeout=timeout,
                          check=False)


def start(*arguments, cwd, ranks=None):
    """Start the program in a process group of its own, to send it signals."""
    return subprocess.Popen(command_line(*arguments, ranks=ranks), cwd=cwd, env={**os.environ, **ENVIRONMENT},
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            start_new_session=True)


def own_files(folder):
    """Names of the files in a folder that are not Open MPI's: beside every file it opens it tries a lock, and a kill then leaves that."""
    return {item.name for item in folder.iterdir() if ".locktest." not in item.name}


def kill_group(process):
    """SIGKILL for mpirun and every rank: as a node that goes down."""
    session = process.pid
    ranks = [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and descends(int(pid), session)]
    os.killpg(session, signal.SIGKILL)
    for pid in ranks:  # Open MPI gives every rank a process group of its own
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    process.wait()


def descends(pid, ancestor):
    while pid > 1:
        if pid == ancestor:
            return True
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            return False
    return False


def write_sweep(path, text):
    path.write_text(text)
    return path


def run(folder, sweep, *options, name="sweep", ranks=None, timeout=600):
    """Run a sweep given as text to its end; the path of its result file."""
    write_sweep(folder / f"{name}.yaml", sweep)
    result = eoc("run", f"{name}.yaml", *options, cwd=folder, ranks=ranks, timeout=timeout)
    assert result.returncode == 0, result.stderr
    return folder / f"{name}.h5"


def datasets(path):
    """{"group/name": array} of every dataset of a file; coordinates in groups are left out, being links."""
    found = {}
    with h5py.File(path) as file:
        for name, item in file.items():
            if isinstance(item, h5py.Dataset):
                found[name] = item[()]
            else:
                found.update({f"{name}/{key}": value[()] for key, value in item.items() if not (key in file)})
    return found


def results(path):
    """What must be the same bits however a sweep was run: all of probe, train and theory, and what became of every unit."""
    return {name: value for name, value in datasets(path).items()
            if name.startswith(("probe/", "train/", "theory/")) or name in [f"run/{key}" for key in REPRODUCIBLE]}


def assert_same_bits(left, right):
    """Bytes are compared, so that a NaN equals itself and 0 differs from -0."""
    left, right = (results(x) if isinstance(x, (str, Path)) else x for x in (left, right))
    assert len(left) > 20 and set(left) == set(right)
    different = [name for name in left
                 if left[name].shape != right[name].shape or left[name].tobytes() != right[name].tobytes()]
    assert not different


def dimensions(dataset):
    return tuple(dataset.dims[axis][0].name.rpartition("/")[2] for axis in range(dataset.ndim))


def row_checksum(file, unit):
    """zlib's CRC-32 over a unit's rows of the checked variables, in the order in which the file's variables were made."""
    crc = 0
    for name in checked_variables(file):
        crc = zlib.crc32(np.ascontiguousarray(file[name][unit]).tobytes(), crc)
    return crc


def checked_variables(file):
    """Results, not how or when they were computed: all of probe and training, and what became of the unit."""
    made = [f"{group}/{name}" for group in in_creation_order(file) if isinstance(file[group], h5py.Group)
            for name in in_creation_order(file[group])]
    return [name for name in made if name.partition("/")[2] not in file
            and (name.startswith(("probe/", "train/")) or name in CHECKED_OF_RUN)]


def in_creation_order(group):
    names = []
    group.id.links.iterate(names.append, idx_type=h5py.h5.INDEX_CRT_ORDER)
    return [name.decode() for name in names]


def sentences(stderr):
    return [line for line in stderr.splitlines() if line.strip()]


NOISE = re.compile(r"HDF5-DIAG|MPI_ABORT|MPI_Abort|Primary job|prterun|mpirun (detected|has)|\[\d+\] func|/src/|\.c:\d+|Backtrace|"
                   r"Segmentation|AddressSanitizer|#\d+ +0x|signal \d|core dumped")


def assert_quiet(stderr):
    """No stack traces of HDF5 or MPI, and nothing of our own insides."""
    assert not NOISE.search(stderr), stderr


@pytest.fixture
def folder(tmp_path):
    return tmp_path
