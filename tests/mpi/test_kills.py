# SPDX-License-Identifier: BSD-3-Clause
"""Kills at random moments: the file is readable after every one, keeps what was finished, and ends as if nothing had happened."""
import os
import random
import signal
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import DONE, LONG, PROGRAM, datasets, eoc, kill_group, own_files, run, start, write_sweep
from test_ranks import wait_until
from test_stop import LONGER, ranks_of

KILLS = int(os.environ.get("EOC_KILLS", "500" if LONG else "50"))
ROUND = 10  # kills of one test

# Where a kill goes; a rank's death takes the others with it through mpirun, mpirun's own leaves them to find out.
VICTIMS = ("rank", "rank", "mpirun", "node", "SIGTERM", "SIGINT")

# How and when a unit was computed, not what came out of it.
OF_THE_RUN = ("run/seconds", "run/rank", "run/attempts")


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return datasets(run(tmp_path_factory.mktemp("reference"), LONGER, ranks=2))


def processes_in(folder):
    """Pids of mpirun and of the program that work in a folder; the dead have no working directory any more."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/cwd") == str(folder):
                found.append(int(pid))
        except OSError:
            pass
    return found


def wait_for_the_end(process, folder):
    """Until mpirun and every rank are gone; ranks that lost their mpirun have some seconds to notice."""
    end = time.monotonic() + 20
    while processes_in(folder) and time.monotonic() < end:
        process.poll()
        time.sleep(0.01)
    left = processes_in(folder)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=20)
    assert not left, "still there 20 s after the kill"


def wait_for_moment(chance, folder, process):
    """Some part of a second into the run, or while the file is being made."""
    if chance.random() < 0.3:
        wait_until(lambda: (folder / "sweep.h5.lock").exists() or process.poll() is not None, 30, process)
        time.sleep(chance.uniform(0, 0.05))
    else:
        time.sleep(chance.uniform(0, 1.5))


def strike(chance, process, ranks):
    """Kills something; its name, or None when the run was over before."""
    victim = chance.choice(VICTIMS) if ranks else chance.choice(("node", "SIGTERM", "SIGINT"))
    alive = ranks_of(process) if victim == "rank" else []
    try:
        if process.poll() is not None:
            return None
        if victim == "rank" and alive:
            os.kill(chance.choice(alive), signal.SIGKILL)
        elif victim.startswith("SIG"):
            process.send_signal(getattr(signal, victim))
        elif victim == "node":
            kill_group(process)
        else:
            process.kill()
    except ProcessLookupError:
        return None
    return victim


def differing(found, reference, units):
    """Variables of the units that are not what they should be, bit for bit."""
    shape = found["run/status"].shape
    return [name for name, values in found.items()
            if name.startswith(("probe/", "run/")) and name not in OF_THE_RUN and values.shape[:len(shape)] == shape
            and values[units].tobytes() != reference[name][units].tobytes()]


class Watch:
    """Looks at the file after every kill, and remembers what was finished and when."""

    def __init__(self, path, reference):
        self.path, self.reference, self.done = path, reference, {}

    def look(self):
        if not self.path.exists():
            assert not self.done, "the file is gone"
            return
        found = datasets(self.path)
        units = found["run/status"] == DONE
        assert not differing(found, self.reference, units)
        if self.done:
            earlier = self.done["units"]
            assert units[earlier].all(), "a finished unit is not finished any more"
            for name in OF_THE_RUN:
                assert found[name][earlier].tobytes() == self.done[name].tobytes(), f"a finished unit was computed again: {name}"
        self.done = {"units": units, **{name: found[name][units] for name in OF_THE_RUN}}


def same_bits(left, right):
    """Names by their text, numbers by their bytes."""
    return np.array_equal(left, right) if left.dtype == object else left.tobytes() == right.tobytes()


def finish(watch, reference, ranks):
    """Runs it to the end; all but the story of the run is what it is without interruption."""
    folder = watch.path.parent
    result = eoc("run", "sweep.yaml", "--max-attempts", "1000", cwd=folder, ranks=ranks)
    assert result.returncode == 0, result.stderr
    assert "checksum" not in result.stderr, result.stderr
    watch.look()
    found = datasets(watch.path)
    assert set(found) == set(reference)
    assert not [name for name in found if not name.startswith("provenance/") and name not in OF_THE_RUN
                and not same_bits(found[name], reference[name])]
    assert own_files(folder) == {"sweep.yaml", "sweep.h5"}


@pytest.mark.parametrize("seed", range((KILLS + ROUND - 1) // ROUND))
def test_kills(seed, reference, tmp_path):
    """So many kills, of a rank, of mpirun, of all at once or by a signal, each gone on from with another number of ranks."""
    chance = random.Random(seed)
    kills, story = 0, []
    for life in range(1000):
        folder = tmp_path / str(life)
        folder.mkdir()
        write_sweep(folder / "sweep.yaml", LONGER)
        watch = Watch(folder / "sweep.h5", reference)
        over = False
        while kills < ROUND and not over:
            ranks = chance.choice((None, 1, 2, 2, 3))
            process = start("run", "sweep.yaml", "--max-attempts", "1000", cwd=folder, ranks=ranks)
            try:
                wait_for_moment(chance, folder, process)
                victim = strike(chance, process, ranks)
            finally:
                wait_for_the_end(process, folder)
            story.append((life, ranks, victim, process.returncode))
            print(story[-1])
            over = victim is None
            kills += not over
            watch.look()
        finish(watch, reference, chance.choice((None, 2, 3)))
        if kills >= ROUND:
            break
    assert kills == ROUND, story
    assert Path(PROGRAM).exists() and len({victim for _, _, victim, _ in story}) > 1


def test_watch_sees_a_change(reference, tmp_path):
    """A changed bit of a finished unit, and a unit computed twice, do not pass."""
    path = run(tmp_path, LONGER, ranks=2)
    watch = Watch(path, reference)
    watch.look()
    with h5py.File(path, "r+") as file:
        file["run/seconds"][0, 0, 0, 0, 0, 0, 0, 0] += 1e-3
    with pytest.raises(AssertionError, match="computed again"):
        watch.look()
    with h5py.File(path, "r+") as file:
        row = file["probe/log_q"][0, 0, 0, 0, 0, 0, 0, 0]
        file["probe/log_q"][0, 0, 0, 0, 0, 0, 0, 0] = np.nextafter(row, np.inf)
    with pytest.raises(AssertionError, match="log_q"):
        watch.look()
