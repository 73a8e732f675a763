# SPDX-License-Identifier: BSD-3-Clause
"""Stops in good order: by signals to any process, by --max-time and by the end of a Slurm job; and who is idle sleeps."""
import os
import re
import shlex
import signal
import subprocess
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import (DONE, ENVIRONMENT, PENDING, RUNNING, assert_same_bits, descends, eoc, kill_group, own_files, run, start, write_sweep)
from test_ranks import SLOW, statuses, wait_until

LONGER = SLOW.replace("replica: 6", "replica: 12")

# One unit of many seconds on any machine, whose layers are some milliseconds each.
GIANT = "grid: {activation: tanh, weight_variance: 1.5, width: 2000, depth: 5000}\nprobe: {sampler: explicit}\n"


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return run(tmp_path_factory.mktemp("reference"), LONGER, ranks=2)


def ranks_of(process):
    """Pids of the program under an mpirun, rank 0 first."""
    found = {}
    for pid in os.listdir("/proc"):
        try:
            if pid.isdigit() and int(pid) != process.pid and descends(int(pid), process.pid):
                environment = dict(item.split("=", 1) for item in Path(f"/proc/{pid}/environ").read_text().split("\0") if "=" in item)
                if "OMPI_COMM_WORLD_RANK" in environment:
                    found[int(environment["OMPI_COMM_WORLD_RANK"])] = int(pid)
        except OSError:
            pass
    return [found[rank] for rank in sorted(found)]


def attempts(path):
    with h5py.File(path) as file:
        return file["run/attempts"][()]


def finish(command, folder):
    """Type the command that a stopped run printed until everything is done."""
    for _ in range(50):
        result = subprocess.run(shlex.split(command), cwd=folder, env={**os.environ, **ENVIRONMENT}, text=True, capture_output=True,
                                stdin=subprocess.DEVNULL, timeout=60, check=False)
        if result.returncode != 75:
            return result
    raise AssertionError("it never ended")


def printed_command(stderr):
    return re.search(r"this command goes on:\neoc:   (.*)", stderr).group(1)


@pytest.mark.parametrize("ranks", [None, 2], ids=["alone", "mpirun"])
def test_max_time(ranks, reference, tmp_path):
    """--max-time ends a run with exit code 75 and the number of units left; the command that it prints goes on, to the same bits."""
    write_sweep(tmp_path / "sweep.yaml", LONGER)
    result = eoc("run", "sweep.yaml", "--overwrite", "--set", "title=a 'b'", "--max-time", "1.2", cwd=tmp_path, ranks=ranks)
    assert result.returncode == 75, result.stderr
    found = statuses(tmp_path / "sweep.h5")
    left = int((found == PENDING).sum())
    assert set(np.unique(found)) <= {PENDING, DONE} and left > 0
    assert f"{left} units of sweep.h5 are left" in result.stderr
    assert (attempts(tmp_path / "sweep.h5")[found == PENDING] == 0).all()
    command = printed_command(result.stderr)
    assert "--overwrite" not in command and "--max-time=1.2" in command
    last = finish(command, tmp_path)
    assert last.returncode == 0, last.stderr
    assert_same_bits(tmp_path / "sweep.h5", reference)
    assert (attempts(tmp_path / "sweep.h5") == 1).all()


def test_end_of_a_slurm_job(reference, tmp_path):
    """The end of the job, where Slurm tells it, ends a run as --max-time does."""
    write_sweep(tmp_path / "sweep.yaml", LONGER)
    result = eoc("run", "sweep.yaml", cwd=tmp_path, SLURM_JOB_END_TIME=str(int(time.time()) + 2))
    assert result.returncode == 75, result.stderr
    assert "Slurm job ends in" in result.stderr
    assert eoc("run", "sweep.yaml", cwd=tmp_path, SLURM_JOB_END_TIME=str(int(time.time()) + 3600)).returncode == 0
    assert_same_bits(tmp_path / "sweep.h5", reference)


@pytest.mark.parametrize("victim", [0, 1, 2])
def test_signal_to_one_rank(victim, reference, tmp_path):
    """SIGUSR1 to any one rank stops all of them in good order."""
    path = tmp_path / "sweep.h5"
    write_sweep(tmp_path / "sweep.yaml", LONGER)
    process = start("run", "sweep.yaml", cwd=tmp_path, ranks=3)
    try:
        wait_until(path.exists, 30, process)
        wait_until(lambda: (statuses(path) != PENDING).any(), 60, process)
        os.kill(ranks_of(process)[victim], signal.SIGUSR1)
        output, _ = process.communicate(timeout=30)
    finally:
        if process.poll() is None:
            kill_group(process)
    assert process.returncode == 75, output
    assert set(np.unique(statuses(path))) == {PENDING, DONE}, output
    assert eoc("run", "sweep.yaml", cwd=tmp_path).returncode == 0
    assert_same_bits(path, reference)


@pytest.mark.parametrize("ranks, number", [(None, signal.SIGUSR1), (2, signal.SIGUSR1), (None, signal.SIGTERM), (2, signal.SIGTERM),
                                           (None, signal.SIGINT)])
def test_unit_in_hand_is_given_up(ranks, number, tmp_path):
    """A unit that does not end within --grace is given up, at a SIGTERM or SIGINT at once: it is as if it had never been begun."""
    path = tmp_path / "sweep.h5"
    write_sweep(tmp_path / "sweep.yaml", GIANT)
    process = start("run", "sweep.yaml", "--grace", "0.5", cwd=tmp_path, ranks=ranks)
    try:
        wait_until(path.exists, 30, process)
        wait_until(lambda: (statuses(path) == RUNNING).any(), 60, process)
        process.send_signal(number)
        output, _ = process.communicate(timeout=30)
    finally:
        if process.poll() is None:
            kill_group(process)
    assert process.returncode == 75 or (ranks and number != signal.SIGUSR1 and process.returncode != 0), output
    assert statuses(path).ravel().tolist() == [PENDING] and attempts(path).ravel().tolist() == [0], output
    # mpirun kills its ranks a second after its own SIGTERM: on a busy machine the lock's owner may not have come to give it back.
    left_over = {"sweep.h5.lock"} if ranks and number == signal.SIGTERM else set()
    assert own_files(tmp_path) - left_over == {"sweep.yaml", "sweep.h5"}


def test_sigterm_keeps_finished_units(reference, tmp_path):
    """SIGTERM to mpirun: what was finished is in the file, nothing is left half done, and the next run ends with the same bits."""
    path = tmp_path / "sweep.h5"
    write_sweep(tmp_path / "sweep.yaml", LONGER)
    process = start("run", "sweep.yaml", cwd=tmp_path, ranks=2)
    try:
        wait_until(path.exists, 30, process)
        wait_until(lambda: (statuses(path) != PENDING).mean() > 0.2, 60, process)
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=30)
    finally:
        if process.poll() is None:
            kill_group(process)
    found = statuses(path)
    assert (found == DONE).mean() > 0.15 and not (found == RUNNING).any(), output
    assert eoc("run", "sweep.yaml", cwd=tmp_path, ranks=3).returncode == 0
    assert_same_bits(path, reference)
    assert (attempts(path) == 1).all()


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_idle_ranks_sleep(tmp_path):
    """With one unit for three ranks the two without work use next to no processor, in the work and at its end."""
    write_sweep(tmp_path / "sweep.yaml", GIANT)
    process = start("run", "sweep.yaml", "--max-time", "60", cwd=tmp_path, ranks=3)
    try:
        wait_until((tmp_path / "sweep.h5").exists, 30, process)
        wait_until(lambda: (statuses(tmp_path / "sweep.h5") == RUNNING).any(), 60, process)
        ranks = ranks_of(process)
        before = [cpu_seconds(pid) for pid in ranks]
        time.sleep(3.0)
        used = sorted(cpu_seconds(pid) - seconds for pid, seconds in zip(ranks, before))
    finally:
        kill_group(process)
    assert len(used) == 3 and used[1] < 0.1 * used[2], used
