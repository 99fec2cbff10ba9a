#!/usr/bin/env python3
"""Runs jobs through Grid Engine, in Kaldi's grammar: writes the job, submits it as an array, waits, and tells.

    sge.py [options] [JOB=1:N] LOG command ...
    sge.py --mem 4G --time 2:00:00 JOB=1:16 exp/log/embed.JOB.log avsv embed-voice --shard JOB/16 ...

Every JOB that is a word of its own is replaced by the job's number; each job has its own log. The arguments of the
command reach it as they are; see run.py --help. The script and the queue's logs are in q/ beside
log/. Jobs that fail are told of: which, the end of the log, how to run one alone. Exit code 1 then. Jobs that Grid
Engine killed (time, memory, a lost node) are submitted again, at most 3 times; trainings and shards go on where they
were. Jobs that somebody cancelled stay so.

  --mem 4G             memory                        --num-threads N   slots of a job
  --gpu N              GPUs of a job                 --time 2:00:00    limit
  --max-jobs-run M     at most M jobs at a time      --after JOB       wait for a job that somebody submitted
  --nodes N            training on N nodes: torchrun runs the command on each, one process a GPU
  --retry N            submit a failed job again, at most N times (default 0)
  --config FILE        how options become those of qsub (default: conf/sge.conf here, else the repository's)
  -q QUEUE -V ...      options with one dash go to qsub as they are

INT, TERM, or the end of the script that called sge.py cancel what was submitted.
"""

import getpass
import os
import re
import sys
from xml.etree import ElementTree

import cluster
import job_frame
from cluster import State
from job_script import Queue
from jobs import Jobs

LIMIT = 37  # "failed" of qacct: a limit of time or memory was enforced
BY_SIGNAL = 100  # the job had started, and was ended by a signal


def read_state(letters: str) -> State:
    """A state of qstat in the words that slurm.py and sge.py share.

    Examples
    --------
    >>> read_state("qw"), read_state("Eqw")
    (State(phase='waiting', why=''), State(phase='held', why='error state Eqw'))
    """
    if "E" in letters:
        return State("held", f"error state {letters}")
    if "q" in letters or "h" in letters:
        return State("waiting", "on hold" if "h" in letters else "")
    return State("running")


def read_record(text: str) -> State | None:
    """What qacct tells of a task that is over.

    Examples
    --------
    >>> read_record("failed       37  : qmaster enforced h_rt limit\\nexit_status  137\\ncategory     -l h_rt=3\\n")
    State(phase='killed', why='limit of -l h_rt=3')
    >>> read_record("failed       0\\nexit_status  7\\n")
    State(phase='ended', why='')
    """
    fields = dict(re.findall(r"^(\w+) +(.*?) *$", text, re.MULTILINE))  # of the last run, where there were several
    if "failed" not in fields:
        return None
    failed = int(re.match(r"\d*", fields["failed"])[0] or 0)
    if failed == LIMIT:
        return State("killed", f"limit of {fields.get('category', '').strip() or 'the queue'}")
    if failed == BY_SIGNAL:
        return State("cancelled", "qdel, or another hand with signal 9")
    return State("killed", f"failed {fields['failed']}") if failed else State("ended")


def user() -> str:
    """The user's name for qstat; everybody where the user has none (containers)."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "*"


class GridEngine:
    """The commands of Grid Engine."""

    program, name, conf = "sge.py", "Grid Engine", "sge.conf"
    job_id = "${JOB_ID:-}"

    def __init__(self):
        self.tasks: dict[str, list[int]] = {}  # of each array, in the order of Grid Engine's own numbers for them

    def handled(self, jobs: Jobs) -> tuple[str, ...]:
        """With --nodes the threads belong to a slot: a job has one parallel environment."""
        return ("num-threads",) if "nodes" in jobs.options else ()

    def task(self, tasks: list[int]) -> str:
        """Grid Engine has arrays of ranges only; what is left of one is counted anew."""
        return f'$(set -- {" ".join(map(str, tasks))}; shift $((SGE_TASK_ID - 1)); echo "$1")'

    # the first process here, the others through qrsh, once for each slot that was granted; the first to fail ends all
    launch = r"""
  mapfile -t hosts < <(awk '{{ for (slot = 0; slot < $2; slot++) print $1 }}' "$PE_HOSTFILE")
  meeting=("${{#hosts[@]}}" "$(hostname)" "$((20000 + JOB_ID % 20000))" "$task")
  for rank in "${{!hosts[@]}}"; do
    if [ "$rank" = 0 ]; then there=(); else there=(qrsh -inherit -nostdin "${{hosts[rank]}}"); fi
    "${{there[@]}}" /bin/bash {script} node "${{meeting[@]}}" "$rank" &
  done
  for _ in "${{hosts[@]}}"; do wait -n || {{ code=$?; kill $(jobs -p) 2>/dev/null || true; exit "$code"; }}; done
"""

    def submit(self, words: list[str], queue: Queue, tasks: list[int]) -> str:
        log = str(queue.folder / f"{queue.name}.log")
        if re.search(r"[$:,]", log):  # which have a meaning to qsub; the script writes its own log in any case
            log = os.devnull
        command = [*words, "-terse", "-N", queue.job_name, "-j", "y", "-o", log]
        if queue.jobs.name:
            command += ["-t", f"1-{len(tasks)}"]
        number = cluster.submit(self, [*command, str(queue.script)], queue)
        if queue.jobs.name:
            self.tasks[number] = tasks
        return number

    def find(self, name: str) -> list[str] | None:
        entries = self.listed()
        if entries is None:
            return None
        found = [entry.findtext("JB_job_number") for entry in entries if entry.findtext("JB_name") == name]
        if not found:  # over already
            found = re.findall(r"^jobnumber +(\d+)", cluster.ask(["qacct", "-j", name]).stdout, re.MULTILINE)
        return list(dict.fromkeys(found))

    def listed(self) -> list[ElementTree.Element] | None:
        """The user's jobs as qstat lists them, each task by itself; None where it does not answer."""
        done = cluster.ask(["qstat", "-xml", "-g", "d", "-u", user()])
        try:
            return list(ElementTree.fromstring(done.stdout).iter("job_list")) if done.returncode == 0 else None
        except ElementTree.ParseError:
            return None

    def states(self, number: str) -> dict[int, State] | None:
        listed = self.listed()
        if listed is None:
            return None
        own = self.tasks.get(number)
        found = {}
        for entry in listed:
            if entry.findtext("JB_job_number") == number:
                index = int(entry.findtext("tasks") or 1)
                found[own[index - 1] if own else index] = read_state(entry.findtext("state") or "")
        return found

    def verdict(self, number: str, task: int) -> State | None:
        own = self.tasks.get(number)
        which = ["-t", str(own.index(task) + 1)] if own else []
        done = cluster.ask(["qacct", "-j", number, *which])
        return read_record(done.stdout) if done.returncode == 0 else None

    def cancel(self, number: str, tasks: list[int] | None = None) -> None:
        own = self.tasks.get(number)
        cluster.ask(["qdel", *([f"{number}.{own.index(task) + 1}" for task in tasks] if tasks and own else [number])])


if __name__ == "__main__":
    sys.exit(job_frame.main("sge.py", __doc__, lambda jobs: cluster.run(GridEngine(), jobs), sys.argv[1:]))
