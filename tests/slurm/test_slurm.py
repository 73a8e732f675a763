# SPDX-License-Identifier: BSD-3-Clause
"""The job scripts in a real Slurm: controller and three nodes on this machine (tests/slurm/cluster), a scheduler of its own.

What must hold whatever happens to a job: it completes, its file has the bits of a run on one process, nothing that was
finished is computed again. As root each node has a host name of its own; without root it works too, on shared names.
"""
import json
import os
import re
import shutil
import subprocess
import time

import h5py
import numpy as np
import pytest
from conftest import DONE, ENVIRONMENT, PROGRAM, TESTS, assert_same_bits, eoc, results, run, write_sweep

CLUSTER = TESTS / "slurm/cluster"
JOBS = TESTS.parent / "jobs"

SWEEP = """
seed: 7
grid: {depth: [1, 3, 8], width: [2, 17, 64], activation: [tanh, relu], initializer: [gaussian, orthogonal, uniform],
       weight_variance: [0, 1, 2.5, 3], bias_variance: [0, 0.05], replica: 3}
"""

# Units of some 15 ms on one core, half a second a replica: long enough to be stopped in the middle.
SLOW = """
seed: 3
grid: {depth: [10, 20], width: [300, 700], activation: [tanh, relu], initializer: [gaussian, orthogonal],
       weight_variance: [1, 2.5], bias_variance: 0.05, replica: REPLICAS}
probe: {sampler: explicit}
"""
STOPPED, LONGER_THAN_A_JOB, COMPARED = "40", "90", 6


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """The environment of a cluster that is up; what it started is ended with the tests, also when they fail."""
    missing = [name for name in ("munged", "slurmctld", "slurmd", "sbatch")
               if not shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")]
    if missing:
        pytest.skip(f"NO SLURM TESTS WERE RUN: {', '.join(missing)} not installed (Debian: apt-get install slurm-wlm munge)")
    folder = tmp_path_factory.mktemp("slurm")
    settings = {**os.environ, "STC_NODES": "3", "STC_CPUS": "4"}
    try:
        up = subprocess.run([CLUSTER, "up", folder], env=settings, capture_output=True, text=True, timeout=120)
        if up.returncode != 0:
            pytest.fail(f"Slurm is installed, but no cluster comes up: {up.stderr}")
        printed = dict(re.findall(r"(\w+)=(\S+)", up.stdout.replace("export ", "")))
        yield {**os.environ, **ENVIRONMENT, **printed, "EOC": str(PROGRAM), "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin",
               "CLUSTER": str(folder)}
    finally:
        subprocess.run([CLUSTER, "down", folder], timeout=120, check=False)


def command(cluster, *words, **more):
    return subprocess.run([str(word) for word in words], env={**cluster, **more}, capture_output=True, text=True, timeout=60,
                          check=True).stdout


def submit(cluster, folder, script, *words, options=(), **environment):
    """The number of a job of one of the scripts; its log is FOLDER/log-JOB (of an array: log-JOB-TASK)."""
    array = any(option.startswith("--array") for option in options)
    said = subprocess.run(["sbatch", "--parsable", f"--output={folder}/log-{'%A-%a' if array else '%j'}", "--time=10", *options,
                           str(JOBS / script), *words],
                          cwd=folder, env={**cluster, **environment}, capture_output=True, text=True, timeout=60)
    assert said.returncode == 0, said.stderr
    return said.stdout.strip()


def state(cluster, job):
    """Of a job, or the states of an array's tasks."""
    states = set(command(cluster, "squeue", "-h", "-t", "all", "-j", job, "-o", "%T").split())
    return states.pop() if len(states) == 1 else ",".join(sorted(states))


def log(folder, job):
    return "".join(f"--- {path.name}\n{path.read_text(errors='replace')}" for path in sorted(folder.glob(f"log-{job}*")))


def wait_until(condition, seconds, explain):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, explain()
        time.sleep(0.2)


def wait_for(cluster, folder, job, wanted="COMPLETED", seconds=150):
    """Waits until a job is in a state; one that it cannot leave is told with its log."""
    over = {"COMPLETED", "FAILED", "TIMEOUT", "CANCELLED", "NODE_FAIL", "OUT_OF_MEMORY", "BOOT_FAIL"}
    now = ""

    def reached():
        nonlocal now
        now = state(cluster, job)
        return now == wanted or now in over
    wait_until(reached, seconds, lambda: f"job {job} is {now}, not {wanted}\n{log(folder, job)}")
    assert now == wanted, f"job {job} is {now}, not {wanted}\n{log(folder, job)}"


def finished(path):
    done = eoc("status", "--json", path, cwd=path.parent)
    return json.loads(done.stdout)["done"] if done.stdout else 0


def wait_for_units(cluster, folder, job, path, least=1):
    wait_until(lambda: path.exists() and finished(path) >= least, 90,
               lambda: f"{path.name} has no {least} units; job {job} is {state(cluster, job)}\n{log(folder, job)}")


def runs(path):
    """What the file says of each run on it."""
    with h5py.File(path) as file:
        count = int(np.isfinite(file["provenance/start"][()]).sum())
        return [json.loads(file["provenance/info"][row].tobytes().rstrip(b"\0")) for row in range(count)]


def assert_completed(path, reference):
    """All is done, and the replicas that the reference has are its bits."""
    mine, other = results(path), results(reference)
    assert (mine["run/status"] == DONE).all()
    replicas = other["run/status"].shape[-1]
    for name in mine:
        if not name.startswith("theory/"):
            mine[name] = np.ascontiguousarray(mine[name][(slice(None),) * 7 + (slice(replicas),)])
    assert_same_bits(mine, other)
    assert not list(path.parent.glob(path.name + ".lock"))


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return run(tmp_path_factory.mktemp("reference"), SWEEP)


@pytest.fixture(scope="module")
def slow_reference(tmp_path_factory):
    """The first replicas of the slow sweeps: a network's bits do not depend on how many there are."""
    return run(tmp_path_factory.mktemp("slow"), SLOW.replace("REPLICAS", str(COMPARED)), ranks=2)


@pytest.fixture(scope="module")
def limited(cluster, tmp_path_factory):
    """A job of a minute whose sweep takes longer: begun with the first test, for the last one to look at."""
    folder = tmp_path_factory.mktemp("limited")
    write_sweep(folder / "sweep.yaml", SLOW.replace("REPLICAS", LONGER_THAN_A_JOB))
    # Slurm looks every 30 s: the signal comes 10 to 40 s after the start.
    job = submit(cluster, folder, "sweep.sbatch", "sweep.yaml", options=["--ntasks=1", "--time=1", "--signal=B:USR1@40"])
    return folder, job


@pytest.mark.parametrize("launch", ["srun --mpi=pmix", "mpirun"])
@pytest.mark.parametrize("nodes", [1, 2])
def test_sweep(nodes, launch, cluster, limited, reference, folder):
    """sbatch jobs/sweep.sbatch, on one node and on two, by srun and by mpirun."""
    write_sweep(folder / "sweep.yaml", SWEEP)
    job = submit(cluster, folder, "sweep.sbatch", "sweep.yaml", options=[f"--nodes={nodes}", "--ntasks=4"], EOC_LAUNCH=launch)
    wait_for(cluster, folder, job)
    assert_completed(folder / "sweep.h5", reference)
    info = runs(folder / "sweep.h5")
    assert len(info) == 1 and info[0]["SLURM_JOB_ID"] == job
    with h5py.File(folder / "sweep.h5") as file:
        assert file["provenance/ranks"][0] == 4
    if "OMPI_MCA_btl" not in cluster:  # each node has a name of its own
        assert len(set(re.findall(r"\bn\d", info[0]["hosts"]))) == nodes, info[0]["hosts"]


@pytest.mark.parametrize("script, launch", [("sweep.sbatch", "srun --mpi=pmix"), ("preemptible.sbatch", "mpirun")])
def test_usr1_to_the_shell(script, launch, cluster, limited, slow_reference, folder):
    """What --signal sends before the end: the ranks stop in good order, the job requeues itself and completes."""
    write_sweep(folder / "sweep.yaml", SLOW.replace("REPLICAS", STOPPED))
    job = submit(cluster, folder, script, "sweep.yaml", options=["--ntasks=2", "--nodes=2", "--partition=main"], EOC_LAUNCH=launch)
    wait_for_units(cluster, folder, job, folder / "sweep.h5")
    command(cluster, "scancel", "--batch", "--signal=USR1", job)
    wait_for(cluster, folder, job)
    text = log(folder, job)
    assert "start 1: exit code 75" in text and "start 2: exit code 0" in text, text  # one log, appended to
    ended = [info["ended"] for info in runs(folder / "sweep.h5")]
    assert len(ended) == 2 and "signal" in ended[0] and ended[1] == "everything was done"
    assert_completed(folder / "sweep.h5", slow_reference)


def test_usr1_to_the_ranks(cluster, limited, slow_reference, folder):
    """scancel -s USR1 reaches the ranks of srun alone; the script sees their exit code 75 and requeues."""
    write_sweep(folder / "sweep.yaml", SLOW.replace("REPLICAS", STOPPED))
    job = submit(cluster, folder, "sweep.sbatch", "sweep.yaml", options=["--ntasks=2", "--nodes=1"])
    wait_for_units(cluster, folder, job, folder / "sweep.h5")
    command(cluster, "scancel", "--signal=USR1", job)
    wait_for(cluster, folder, job)
    text = log(folder, job)
    assert "SIGUSR1: the run is to end" not in text and "start 1: exit code 75" in text and "start 2: exit code 0" in text, text
    assert_completed(folder / "sweep.h5", slow_reference)


def test_node_is_lost(cluster, limited, slow_reference, folder):
    """A node dies with its ranks: Slurm starts the job again elsewhere, and the dead run's lock does not stop it."""
    write_sweep(folder / "sweep.yaml", SLOW.replace("REPLICAS", STOPPED))
    limited_node = command(cluster, "squeue", "-h", "-t", "all", "-j", limited[1], "-o", "%N").strip()
    apart = [f"--exclude={limited_node}"] if limited_node else []
    job = submit(cluster, folder, "sweep.sbatch", "sweep.yaml", options=["--ntasks=1", "--nodes=1", *apart])
    path = folder / "sweep.h5"
    wait_for_units(cluster, folder, job, path)
    node = command(cluster, "squeue", "-h", "-j", job, "-o", "%N").strip()
    command(cluster, CLUSTER, "kill-node", cluster["CLUSTER"], node)
    try:
        with h5py.File(path) as file:  # what was committed is there
            before = file["run/status"][()] == DONE
            seconds = file["run/seconds"][()]
        assert before.any() and not before.all()
        assert (folder / "sweep.h5.lock").exists()
        wait_until(lambda: "start 2: exit code 0" in log(folder, job), 120, lambda: f"{state(cluster, job)}\n{log(folder, job)}")
        wait_for(cluster, folder, job)
    finally:
        command(cluster, CLUSTER, "start-node", cluster["CLUSTER"], node)
    assert_completed(path, slow_reference)
    with h5py.File(path) as file:
        assert (file["run/seconds"][()][before] == seconds[before]).all()  # and was not computed again


def test_array_of_parts(cluster, limited, reference, folder):
    """The parts of an array, merged, are the sweep."""
    write_sweep(folder / "sweep.yaml", SWEEP)
    job = submit(cluster, folder, "parts.sbatch", "sweep.yaml", options=["--array=1-3", "--ntasks=2"])
    wait_for(cluster, folder, job)
    parts = [f"sweep.part{i}of3.h5" for i in (1, 2, 3)]
    done = eoc("merge", *parts, "-o", "sweep.h5", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert_completed(folder / "sweep.h5", reference)


def test_time_limit(cluster, limited, slow_reference):
    """A sweep longer than its job's time: Slurm signals before the end, the job comes again until all is done."""
    folder, job = limited
    wait_for(cluster, folder, job, seconds=240)
    text = log(folder, job)
    assert "start 1: SIGUSR1: the run is to end in good order" in text and "start 1: exit code 75" in text, text
    starts = int(re.findall(r"start (\d+): exit code 0", text)[-1])
    ended = [info["ended"] for info in runs(folder / "sweep.h5")]
    assert starts >= 2 and len(ended) == starts and ended[-1] == "everything was done", (starts, ended)
    assert_completed(folder / "sweep.h5", slow_reference)
