#!/usr/bin/env python3
"""Runs jobs through Slurm, in Kaldi's grammar: writes a script, submits it as an array, waits, and reports.

    slurm.py [options] [JOB=1:N] LOG command ...
    slurm.py --mem 4G --time 2:00:00 JOB=1:16 exp/log/embed.JOB.log avsv embed-voice --shard JOB/16 ...

Every whole word JOB is replaced by the job's number; each job has its own log. Arguments reach the command unchanged
(see run.py --help). The script and Slurm's own logs are in q/ beside log/. If jobs fail, slurm.py prints which, the
end of the log, and a command to run one alone, and exits with 1. Jobs that Slurm killed (time, memory, a lost node,
preemption) are resubmitted, at most 3 times; trainings and shards continue where they stopped. Jobs that a person
cancelled are not.

  --mem 4G             memory for each core          --num-threads N   cores of a job
  --gpu N              GPUs of a job (on each node)  --time 2:00:00    limit
  --max-jobs-run M     at most M jobs at a time      --after DEPENDENCY  such as afterok:123
  --nodes N            training on N nodes: torchrun runs the command on each, one process per GPU
  --retry N            submit a failed job again, at most N times (default 0)
  --config FILE        translates options to those of sbatch (default: conf/slurm.conf here, or the repository's)
  -p PARTITION ...     options with one dash are passed on to sbatch

INT, TERM, or the end of the script that called slurm.py cancel the jobs.
"""

import shutil
import sys

import cluster
import job_frame
from cluster import State
from job_script import Queue
from jobs import Jobs

KILLED = {
    "TIMEOUT": "time limit",
    "DEADLINE": "deadline",
    "OUT_OF_MEMORY": "out of memory",
    "NODE_FAIL": "its node was lost",
    "BOOT_FAIL": "its node did not start",
    "PREEMPTED": "preempted",
    "REVOKED": "revoked",
}
NEVER = ("BadConstraints", "DependencyNeverSatisfied", "InvalidAccount", "InvalidQOS", "PartitionNodeLimit",
         "PartitionTimeLimit")  # fmt: skip
ENDED = ("COMPLETED", "FAILED")


def read_state(name: str, reason: str) -> State:
    """A state of Slurm in the vocabulary of cluster.py.

    Examples
    --------
    >>> read_state("TIMEOUT", "TimeLimit"), read_state("PENDING", "Resources")
    (State(phase='killed', why='time limit'), State(phase='waiting', why='Resources'))
    """
    if name in KILLED:
        return State("killed", KILLED[name])
    if name.startswith("CANCELLED"):
        return State("cancelled", "scancel")
    if name in ENDED:
        return State("ended")
    if name == "PENDING" and reason in NEVER:
        return State("stuck", reason)
    if "launch failed" in reason or name == "REQUEUE_HOLD":
        return State("held", reason)
    return State("waiting" if name in ("PENDING", "REQUEUED", "CONFIGURING") else "running", reason)


def ranges(tasks: list[int]) -> str:
    """Ascending numbers as Slurm writes them.

    >>> ranges([1, 2, 3, 5, 7, 8])
    '1-3,5,7-8'
    """
    runs: list[list[int]] = []
    for task in tasks:
        if runs and task == runs[-1][1] + 1:
            runs[-1][1] = task
        else:
            runs.append([task, task])
    return ",".join(f"{first}-{last}" if first < last else str(first) for first, last in runs)


class Slurm:
    """The commands of Slurm."""

    program, name, conf = "slurm.py", "Slurm", "slurm.conf"
    job_id = "${SLURM_ARRAY_JOB_ID:-${SLURM_JOB_ID:-}}"
    # without these srun passes on only the variables of sbatch's --export, and drops --cpus-per-task
    launch = (
        "exec srun --export=ALL --ntasks-per-node=1 --kill-on-bad-exit=1 "
        '${{SLURM_CPUS_PER_TASK:+"--cpus-per-task=$SLURM_CPUS_PER_TASK"}} '
        'bash {script} node "$SLURM_NNODES" "$(hostname)" "$((20000 + SLURM_JOB_ID % 20000))" "$task"'
    )

    def __init__(self):
        self.arrays: set[str] = set()

    def handled(self, jobs: Jobs) -> tuple[str, ...]:
        return ("max-jobs-run",)

    def task(self, tasks: list[int]) -> str:
        return "$SLURM_ARRAY_TASK_ID"

    def submit(self, words: list[str], queue: Queue, tasks: list[int]) -> str:
        jobs = queue.jobs
        # Slurm replaces %a and the like in the log's name, and in the folder's, too
        log = "%a".join(queue.log_of("\0").replace("%", "%%").split("\0"))
        command = [*words, "--parsable", "--job-name", queue.job_name, "--open-mode=append", "--output", log]
        if jobs.name:
            most = jobs.count("max-jobs-run")
            command += ["--array", ranges(tasks) + (f"%{most}" if most else "")]
        number = cluster.submit(self, [*command, str(queue.script)], queue)
        if jobs.name:
            self.arrays.add(number)
        return number

    def find(self, name: str) -> list[str] | None:
        done = cluster.ask(["squeue", "--noheader", "--states=all", f"--name={name}", "--format=%F"])
        if done.returncode:
            return None
        found = dict.fromkeys(done.stdout.split())
        if not found and shutil.which("sacct"):  # finished and no longer listed
            done = cluster.ask(["sacct", "-nPX", f"--name={name}", "-o", "JobID"])
            found = dict.fromkeys(line.partition("_")[0] for line in done.stdout.split()) if not done.returncode else {}
        return list(found)

    def states(self, number: str) -> dict[int, State] | None:
        done = cluster.ask(["squeue", "--noheader", "--array", "--states=all", f"--jobs={number}", "--format=%K|%T|%r"])
        if done.returncode:
            return {} if "Invalid job id" in done.stderr else None
        found = {}
        for line in done.stdout.splitlines():
            task, state, reason = line.split("|", 2)
            found[int(task) if task.isdigit() else 1] = read_state(state, reason)
        return found

    def verdict(self, number: str, task: int) -> State | None:
        """From Slurm's accounting, if it is enabled."""
        if not shutil.which("sacct"):
            return None
        name = f"{number}_{task}" if number in self.arrays else number
        done = cluster.ask(["sacct", "-nPX", "-j", name, "-o", "State"])
        state = done.stdout.split("\n")[0].split(" ")[0]
        return read_state(state, "") if done.returncode == 0 and state else None

    def cancel(self, number: str, tasks: list[int] | None = None) -> None:
        names = [f"{number}_{task}" for task in tasks or []] if number in self.arrays else []
        cluster.ask(["scancel", *(names or [number])])


if __name__ == "__main__":
    sys.exit(job_frame.main("slurm.py", __doc__, lambda jobs: cluster.run(Slurm(), jobs), sys.argv[1:]))
