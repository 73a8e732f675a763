# SPDX-License-Identifier: BSD-3-Clause
"""The job scripts without Slurm: what they do with every way that a run can end."""
import os
import shutil
import subprocess
import time

import pytest
from conftest import TESTS

JOBS = TESTS.parent / "jobs"
SCRIPTS = ("sweep.sbatch", "preemptible.sbatch", "parts.sbatch")
MARK = "# -- from here on all three scripts are the same --\n"

# Stands for eoc: finishes as many units as it is told, notes its arguments, exits as it is told; for a signal it waits.
PROGRAM = """#!/bin/bash
if [[ $1 = status ]]; then
    [[ -e done ]] || exit 2
    echo '{"file": "x", "state": "done", "units": 100, "done": '"$(cat done)"', "diverged": 1, "failed": 2, "cost_done": 1}'
    exit 75
fi
echo "$@" >>arguments
echo "$OPENBLAS_NUM_THREADS $OMP_NUM_THREADS" >threads
[[ -z ${FAKE_DONE:-} ]] || echo "$FAKE_DONE" >done
if [[ -n ${FAKE_WAIT:-} ]]; then
    trap 'echo USR1 >>signals; sleep 0.3; exit 75' USR1
    touch waiting
    for i in {1..300}; do sleep 0.1; done
fi
exit "${FAKE_EXIT:-0}"
"""


def prepare(folder):
    programs = folder / "bin"
    programs.mkdir()
    for name, text in {"eoc": PROGRAM, "srun": '#!/bin/bash\necho "srun $1" >>launched\nshift\nexec "$@"\n',
                       "scontrol": '#!/bin/bash\necho "$@" >>scontrol\nkill -TERM $PPID\n'}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)


def job(folder, *arguments, script="sweep.sbatch", **environment):
    if not (folder / "bin").exists():
        prepare(folder)
    environment = {**os.environ, "PATH": f"{folder}/bin:{os.environ['PATH']}", "SLURM_JOB_ID": "17", **environment}
    return subprocess.Popen(["bash", str(JOBS / script), *arguments], cwd=folder, env=environment, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def requeued(folder):
    asked = folder / "scontrol"
    return asked.exists() and asked.read_text() == "requeue 17\n"


def test_scripts_agree():
    """The three scripts are one from the mark on: who mends one mends all."""
    bodies = {(JOBS / name).read_text().partition(MARK)[2] for name in SCRIPTS}
    assert len(bodies) == 1 and len(bodies.pop()) > 2000


@pytest.mark.parametrize("name", [*SCRIPTS, "../tests/slurm/cluster"])
def test_shellcheck(name):
    if not shutil.which("shellcheck"):
        pytest.skip("shellcheck is not here")
    done = subprocess.run(["shellcheck", JOBS / name], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("code", [0, 1, 2, 3, 137])
def test_other_ends_are_ends(code, folder):
    """Only 75 brings the job back; every other exit code is the job's."""
    done = job(folder, "a/my.sweep.yaml", "--quiet", FAKE_EXIT=str(code), FAKE_DONE="5")
    said = done.communicate(timeout=60)[0]
    assert done.returncode == code, said
    assert not requeued(folder)
    assert (folder / "arguments").read_text() == "run a/my.sweep.yaml --quiet -o my.sweep.h5\n"
    assert (folder / "threads").read_text() == "1 1\n" and (folder / "launched").read_text() == "srun --mpi=pmix\n"


def test_requeued_after_progress(folder):
    """75 and more units finished than before: the job is started again."""
    (folder / "done").write_text("4\n")
    said = job(folder, "sweep.yaml", FAKE_EXIT="75", FAKE_DONE="5").communicate(timeout=60)[0]
    assert requeued(folder), said
    assert "7 units finished before" in said and "8 units finished" in said  # with 1 diverged and 2 failed


def test_checkpoint_is_progress(folder):
    """A training that is longer than a job leaves its state: that is progress too."""
    prepare(folder)
    program = (folder / "bin/eoc").read_text().replace("exit \"${FAKE_EXIT:-0}\"", "date +%N >sweep.h5.unit-3.checkpoint; exit 75")
    (folder / "bin/eoc").write_text(program)
    job(folder, "sweep.yaml", FAKE_DONE="5").communicate(timeout=60)
    (folder / "scontrol").unlink()
    job(folder, "sweep.yaml", FAKE_DONE="5").communicate(timeout=60)
    assert requeued(folder)


def test_not_requeued_without_progress(folder):
    (folder / "done").write_text("5\n")
    done = job(folder, "sweep.yaml", FAKE_EXIT="75", FAKE_DONE="5")
    assert "nothing was finished in this start" in done.communicate(timeout=60)[0]
    assert done.returncode == 75 and not requeued(folder)


def test_ceiling(folder):
    done = job(folder, "sweep.yaml", FAKE_EXIT="75", FAKE_DONE="5", EOC_MAX_RESTARTS="3", SLURM_RESTART_COUNT="3")
    assert "3 times already" in done.communicate(timeout=60)[0]
    assert done.returncode == 75 and not requeued(folder)
    job(folder, "sweep.yaml", FAKE_EXIT="75", FAKE_DONE="6", EOC_MAX_RESTARTS="3", SLURM_RESTART_COUNT="2").communicate(timeout=60)
    assert requeued(folder)


@pytest.mark.parametrize("words", [["-o", "other name.h5"], ["-oother name.h5"], ["--output=other name.h5"],
                                   ["--output", "other name.h5"]])
def test_named_output(words, folder):
    """-o in any spelling is left as it is."""
    done = job(folder, "sweep.yaml", *words)
    assert "to other name.h5" in done.communicate(timeout=60)[0]
    assert (folder / "arguments").read_text() == " ".join(["run", "sweep.yaml", *words]) + "\n"


def test_parts_of_an_array(folder):
    """The parts are as many as the array's greatest index, or as PARTS says."""
    job(folder, "sweep.yaml", script="parts.sbatch", SLURM_ARRAY_TASK_ID="3", SLURM_ARRAY_TASK_MAX="8").communicate(timeout=60)
    job(folder, "sweep.yaml", script="parts.sbatch", SLURM_ARRAY_TASK_ID="3", SLURM_ARRAY_TASK_MAX="3", PARTS="9").communicate(timeout=60)
    assert (folder / "arguments").read_text() == ("run sweep.yaml --part 3/8 -o sweep.part3of8.h5\n"
                                                  "run sweep.yaml --part 3/9 -o sweep.part3of9.h5\n")


def test_no_sweep(folder):
    done = job(folder)
    assert "usage: sbatch" in done.communicate(timeout=60)[0] and done.returncode != 0


@pytest.mark.parametrize("times", [1, 3])
def test_usr1_is_passed_on_and_waited_for(times, folder):
    """SIGUSR1 to the shell reaches the run, however often; the shell waits for its end and sees its exit code."""
    process = job(folder, "sweep.yaml", FAKE_WAIT="1", FAKE_DONE="5")
    for _ in range(600):
        if (folder / "waiting").exists():
            break
        time.sleep(0.05)
    for _ in range(times):
        process.send_signal(10)
        time.sleep(0.02)
    said = process.communicate(timeout=60)[0]
    assert "SIGUSR1" in said and "exit code 75" in said and requeued(folder), said
    assert (folder / "signals").read_text().startswith("USR1\n")
