#!/usr/bin/env python3
"""Runs jobs in parallel on this machine, in Kaldi's grammar.

    run.py [options] [JOB=1:N] LOG command ...
    run.py JOB=1:4 exp/log/embed.JOB.log avsv embed-voice --shard JOB/4 ...

Every whole word JOB is replaced by the job's number; each job has its own log, with its command, times and exit code.
Arguments reach the command unchanged; \\| and \\> as arguments make a pipe and a redirection of the job (see jobs.py).
For anything else that needs a shell, write bash -c '...'. If jobs fail, run.py prints their number and logs and the end
of the first log, and exits with 1.

  --max-jobs-run M   at most M jobs at a time (default: as many as there are cores, or GPUs with --gpu)
  --num-threads T    threads of a job (default: the cores divided by the number of jobs that run at a time)
  --gpu G            GPUs of a job, which sees only these in CUDA_VISIBLE_DEVICES; it also runs without a GPU
  --retry N          run a failed job again, at most N times (default 0); its log continues in the same file
  --nodes 1          torchrun starts the command, one process for each GPU of --gpu: training on several GPUs

Options for a cluster (--mem 4G, --time ...; see slurm.py, sge.py) are ignored. INT, TERM, or the end of the script that
called run.py end the jobs.
"""

import contextlib
import ctypes
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import job_frame
import jobs as grammar
from job_frame import THREAD_VARIABLES
from jobs import Jobs, UsageError

PROGRAM = "run.py"


def cores() -> int:
    """The cores that this process may use (fewer than the machine's under taskset or in a cluster's job)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [gpu for gpu in visible.split(",") if gpu]
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True).stdout
    except OSError:
        return []
    return [str(i) for i, line in enumerate(line for line in listed.splitlines() if line.startswith("GPU "))]


def slots(jobs: Jobs) -> list[dict[str, str]]:
    """One set of environment variables for each job that may run at the same time."""
    threads = jobs.count("num-threads")
    per_job = jobs.count("gpu", 0) or 0
    visible = gpus() if per_job else []
    starts = range(0, len(visible) - per_job + 1, per_job) if per_job else ()
    devices = [",".join(visible[i : i + per_job]) for i in starts]
    count = jobs.count("max-jobs-run") or len(devices) or max(1, cores() // (threads or 1))
    count = min(count, len(jobs.numbers))
    # More threads than cores slow each other down; the user's own settings stay.
    shared = str(threads or max(1, cores() // count))
    variables = {name: shared for name in THREAD_VARIABLES if threads or name not in os.environ}
    return [variables | ({"CUDA_VISIBLE_DEVICES": devices[i % len(devices)]} if devices else {}) for i in range(count)]


def end_with_parent() -> None:
    """Run in the job before its command: end it even if run.py is killed with -9 (Linux only)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def command_of(jobs: Jobs, number: int) -> str:
    """The command of a job, started by torchrun where --nodes asks for it."""
    command, nodes = jobs.command_of(number), jobs.count("nodes")
    if nodes is None:
        return command
    if nodes > 1:
        raise UsageError(f"--nodes {nodes}: this machine is one node; slurm.py and sge.py run jobs on several")
    torchrun = f"torchrun --standalone --nproc-per-node {grammar.on_nodes(jobs)} --no-python"
    return f"{torchrun} bash -o pipefail -c {shlex.quote(command)}"


class Job:
    """One running command and its log; a rerun appends to the log."""

    def __init__(self, jobs: Jobs, number: int, variables: dict[str, str], again: bool):
        command = command_of(jobs, number)
        self.number, self.variables, self.started = number, variables, time.monotonic()
        path = Path(jobs.log_of(number))
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_fifo():  # opening one waits for a reader
            raise job_frame.Refused(f"{path}: is a FIFO; a log is a file")
        self.log = grammar.open_own(path, again)
        self.log.write(grammar.header(command))
        self.log.flush()
        # A new session, so that child processes can be ended together with the command.
        self.process = subprocess.Popen(
            ["bash", "-o", "pipefail", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            env=os.environ | variables,
            start_new_session=True,
            preexec_fn=end_with_parent,
        )

    def finished(self) -> bool:
        return self.process.poll() is not None

    def close(self) -> int:
        """Write the last lines of the log; returns the exit code in the shell's convention."""
        code = self.process.returncode
        code = 128 - code if code < 0 else code
        threads = self.variables.get("OMP_NUM_THREADS") or os.environ.get("OMP_NUM_THREADS") or "1"
        # The command wrote through a copy of this file descriptor: the position is at its end.
        self.log.write(grammar.footer(code, time.monotonic() - self.started, threads))
        self.log.close()
        return code

    def signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)


def stop(running: list[Job], patience: float = 5.0) -> None:
    """End jobs: TERM, then KILL after `patience` seconds."""
    for job in running:
        job.signal(signal.SIGTERM)
    deadline = time.monotonic() + patience
    for job in running:
        with contextlib.suppress(subprocess.TimeoutExpired):
            job.process.wait(max(0.0, deadline - time.monotonic()))
        job.signal(signal.SIGKILL)
        job.process.wait()
        job.close()


def show(jobs: Jobs, done: int, failed: int, running: list[Job]) -> None:
    """On a terminal: one line that counts the jobs, with the last line of a running job's log."""
    line = f"{done} / {len(jobs.numbers)} jobs done" + (f", {failed} failed" if failed else "")
    if running:
        line += "".join(f" | {last}" for last in grammar.last_lines(jobs.log_of(running[0].number), 1))
    job_frame.show(line, last=not running)


def run(jobs: Jobs) -> str:
    """Run all jobs; returns a message about failed jobs, empty if all succeeded."""
    free, retry = slots(jobs), jobs.count("retry", 0) or 0
    waiting = list(jobs.numbers)
    running: list[Job] = []
    failures: dict[int, int] = {}  # of each job that failed at least once, until it is done
    shown = 0.0
    try:
        while waiting or running:
            while waiting and free:
                running.append(Job(jobs, waiting[0], free.pop(0), waiting[0] in failures))
                waiting.pop(0)
            time.sleep(0.02)
            for job in [job for job in running if job.finished()]:
                running.remove(job)
                free.append(job.variables)
                code, times = job.close(), failures.pop(job.number, 0)
                if code:
                    failures[job.number] = times + 1
                if code and times < retry:
                    job_frame.say(PROGRAM, f"job {job.number} failed (code {code}), run again ({times + 1} of {retry})")
                    waiting.append(job.number)
                shown = 0.0
            if time.monotonic() - shown > 0.5:
                to_come = {*waiting, *(job.number for job in running)}
                show(jobs, len(jobs.numbers) - len(to_come), len(failures.keys() - to_come), running)
                shown = time.monotonic()
            job_frame.check(PROGRAM)
    finally:
        stop(running)
    return grammar.failure(jobs, sorted(failures)) if failures else ""


if __name__ == "__main__":
    sys.exit(job_frame.main(PROGRAM, __doc__, run, sys.argv[1:]))
