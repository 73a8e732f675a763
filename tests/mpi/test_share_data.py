# SPDX-License-Identifier: BSD-3-Clause
"""A data set on all ranks: the same bits as each would load by itself, one copy for the ranks of a node, one verdict."""
import os
import subprocess
from pathlib import Path

import pytest
from conftest import BUILD, ENVIRONMENT, assert_quiet

USAGE, PEER = 1, 5  # eoc_status

# Classes, a regression set, a file, and one that is broadcast in several pieces.
SETS = ["gaussian_classes(features=30)", "linear_teacher", "mnist10k", "gaussian_classes(features=6000, train=3000, test=10)"]


def share(ranks, *arguments):
    start = [] if ranks is None else ["mpirun", "-n", str(ranks)]
    before = set(Path("/dev/shm").glob("eoc-data-*"))
    result = subprocess.run([*start, str(BUILD / "tests/share_data"), *arguments], env={**os.environ, **ENVIRONMENT}, text=True,
                            stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False)
    assert set(Path("/dev/shm").glob("eoc-data-*")) <= before, "shared memory was left behind"
    return result


@pytest.mark.parametrize("ranks", [None, 1, 3])
@pytest.mark.parametrize("dataset", SETS)
def test_same_on_all_ranks(dataset, ranks):
    """On 1 and 3 ranks all have what a single process loads; three ranks look at one copy."""
    result = share(ranks, dataset)
    assert result.returncode == 0, result.stderr
    number = ranks or 1
    assert result.stdout.splitlines() == [f"rank {rank}: same, {number} sharers" for rank in range(number)]
    assert result.stderr == ""


@pytest.mark.parametrize("dataset", SETS)
def test_without_shared_memory(dataset):
    """Where shared memory cannot be made every rank has its own copy, and nothing is said about it."""
    result = share(3, dataset, "private")
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [f"rank {rank}: same, 1 sharers" for rank in range(3)]
    assert result.stderr == ""


def test_a_rank_may_end_first():
    """The memory stays for the others when the rank that filled it lets go."""
    result = share(3, "mnist10k", "late")
    assert result.stdout.splitlines() == ["rank 0: gone, 0 sharers", "rank 1: same, 3 sharers", "rank 2: same, 3 sharers"]


@pytest.mark.parametrize("ranks", [1, 3])
def test_refusal(ranks):
    """What rank 0 cannot load is refused by all; rank 0 has the sentence."""
    result = share(ranks, "mnist11k")
    lines = result.stdout.splitlines()
    assert len(lines) == ranks
    assert lines[0].startswith(f"rank 0: status {USAGE}: no data set 'mnist11k'; did you mean 'mnist10k'?")
    assert lines[1:] == [f"rank {rank}: status {PEER}" for rank in range(1, ranks)]
    assert result.returncode != 0
    assert_quiet("\n".join(line for line in result.stderr.splitlines() if "mpirun" not in line and "Primary job" not in line))
