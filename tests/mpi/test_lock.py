# SPDX-License-Identifier: BSD-3-Clause
"""Two runs never write one file: FILE.lock says who is on it, and goes stale by rules that a crash cannot break."""
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from conftest import assert_quiet, assert_same_bits, eoc, kill_group, run, start, write_sweep
from test_ranks import SLOW, wait_until

LONGER = SLOW.replace("replica: 6", "replica: 30")  # some seconds, in which others come and are refused

SMALL = "grid: {activation: tanh, weight_variance: 1.5, width: 10, depth: 3}\n"

BOOT = f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {os.readlink('/proc/self/ns/pid')}"


def started(pid):
    """Field 22 of /proc/PID/stat (proc(5)): when the process began."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


def gone():
    """The pid of a process that was there and is no more."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


HERE = {"host": socket.gethostname(), "boot": BOOT, "pid": os.getpid(), "started": started(os.getpid()), "slurm_job": "",
        "slurm_restart": "", "since": "2026-01-01 00:00:00"}
THERE = {**HERE, "host": "node17", "boot": "another", "pid": 4242, "started": 99}
JOB = {**THERE, "slurm_job": 77, "slurm_restart": 1}

# What the lock says, seconds since it was touched, our environment, whether it is taken over.
LOCKS = {
    "alive": (HERE, 0, {}, False),
    "alive, untouched for long": (HERE, 3600, {}, False),
    "gone": ({**HERE, "pid": gone()}, 0, {}, True),
    "another process of that number": ({**HERE, "started": 1}, 0, {}, True),
    "before the machine was started again": ({**HERE, "boot": "another"}, 300, {}, True),
    "a machine of the same name": ({**HERE, "boot": "another"}, 20, {}, False),
    "a container of this machine": ({**HERE, "boot": BOOT.split()[0] + " pid:[1]"}, 300, {}, False),
    "elsewhere": (THERE, 500, {}, False),
    "elsewhere, untouched for ten minutes": (THERE, 601, {}, True),
    "the same job, started again": (JOB, 0, {"SLURM_JOB_ID": "77", "SLURM_RESTART_COUNT": "2"}, True),
    "the same start of the job": (JOB, 0, {"SLURM_JOB_ID": "77", "SLURM_RESTART_COUNT": "1"}, False),
    "the job's first start": ({**JOB, "slurm_restart": ""}, 0, {"SLURM_JOB_ID": "77", "SLURM_RESTART_COUNT": "1"}, True),
    "another job": (JOB, 0, {"SLURM_JOB_ID": "78", "SLURM_RESTART_COUNT": "2"}, False),
    "no text": (None, 60, {}, False),
    "no text, untouched for ten minutes": (None, 601, {}, True),
}


@pytest.mark.parametrize("case", LOCKS)
def test_when_a_lock_is_stale(case, tmp_path):
    """A lock is taken over when its process is gone, its job was started again, or nobody touched it; else it holds."""
    who, age, environment, taken = LOCKS[case]
    lock = tmp_path / "sweep.h5.lock"
    lock.write_text("".join(f"{name} {value}\n" for name, value in who.items()) if who else "")
    os.utime(lock, (time.time() - age,) * 2)
    before = lock.read_bytes()
    write_sweep(tmp_path / "sweep.yaml", SMALL)
    result = eoc("run", "sweep.yaml", cwd=tmp_path, **environment)
    names = {path.name for path in tmp_path.iterdir()}
    if taken:
        assert result.returncode == 0, result.stderr
        assert names == {"sweep.yaml", "sweep.h5"}
    else:
        assert result.returncode == 2, result.stderr
        assert_quiet(result.stderr)
        assert "sweep.h5.lock" in result.stderr and len(result.stderr.splitlines()) == 1
        for needle in ("host", "pid", "slurm_job", "since") if who else ():
            assert str(who[needle]) in result.stderr, result.stderr
        assert names == {"sweep.yaml", "sweep.h5.lock"} and lock.read_bytes() == before


@pytest.mark.parametrize("ranks", [None, 2], ids=["alone", "mpirun"])
def test_two_runs_on_one_file(ranks, tmp_path):
    """While a run writes a file, a second one is refused and names it; the first ends as if nothing had been, and its lock goes."""
    path, lock = tmp_path / "sweep.h5", tmp_path / "sweep.h5.lock"
    write_sweep(tmp_path / "sweep.yaml", LONGER)
    first = start("run", "sweep.yaml", cwd=tmp_path, ranks=2)
    try:
        wait_until(path.exists, 30, first)
        holder = dict(line.split(" ", 1) for line in lock.read_text().splitlines())
        os.kill(int(holder["pid"]), signal.SIGSTOP)  # rank 0: the run cannot end before it was seen
        for options in ([], ["--overwrite"]):
            second = eoc("run", "sweep.yaml", *options, cwd=tmp_path, ranks=ranks)
            assert lock.exists(), "the first run was over too early for this test"
            assert second.returncode == 2, second.stderr
            assert f"process {holder['pid']} on {socket.gethostname()}" in second.stderr
            assert second.stderr.count("is being written") == 1 and (ranks or len(second.stderr.splitlines()) == 1)
        os.kill(int(holder["pid"]), signal.SIGCONT)
        output, _ = first.communicate(timeout=60)
    finally:
        if first.poll() is None:
            kill_group(first)
    assert first.returncode == 0, output
    assert not lock.exists()
    assert_same_bits(path, run(tmp_path, LONGER, name="alone", ranks=2))


def test_two_that_start_together(tmp_path):
    """Of eight runs that start at once on a stale lock at most one works at a time: the file ends right, and none crashes."""
    (tmp_path / "sweep.h5.lock").write_text("".join(f"{name} {value}\n" for name, value in {**HERE, "pid": gone()}.items()))
    write_sweep(tmp_path / "sweep.yaml", SMALL)
    runs = [start("run", "sweep.yaml", cwd=tmp_path) for _ in range(8)]
    outputs = [process.communicate(timeout=60)[0] for process in runs]
    assert {process.returncode for process in runs} <= {0, 2}, outputs
    assert sum("1 computed" in output for output in outputs) == 1, outputs
    assert {path.name for path in tmp_path.iterdir()} == {"sweep.yaml", "sweep.h5"}


def test_lock_goes_with_a_refused_run(tmp_path):
    """A run that is refused after it took the lock, for the file holds another sweep, leaves no lock."""
    run(tmp_path, SMALL)
    result = eoc("run", "sweep.yaml", "--set", "grid.width=11", cwd=tmp_path)
    assert result.returncode == 2 and not (tmp_path / "sweep.h5.lock").exists()


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM, signal.SIGINT])
def test_lock_goes_with_a_stopped_run(number, tmp_path):
    """A signal that ends a run ends its lock."""
    path, lock = tmp_path / "sweep.h5", tmp_path / "sweep.h5.lock"
    write_sweep(tmp_path / "sweep.yaml", SLOW)
    process = start("run", "sweep.yaml", cwd=tmp_path)
    try:
        wait_until(path.exists, 30, process)
        assert lock.exists()
        process.send_signal(number)
        process.communicate(timeout=30)
    finally:
        if process.poll() is None:
            kill_group(process)
    assert process.returncode != 0 and not lock.exists()
