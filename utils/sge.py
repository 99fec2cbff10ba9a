#!/usr/bin/env python3
"""Runs jobs through Grid Engine, in Kaldi's grammar: writes a script, submits it as an array, waits, and reports.

    sge.py [options] [JOB=1:N] LOG command ...
    sge.py --mem 4G --time 2:00:00 JOB=1:16 exp/log/embed.JOB.log avsv embed-voice --shard JOB/16 ...

Every whole word JOB is replaced by the job's number; each job has its own log. Arguments reach the command unchanged
(see run.py --help). The script and the queue's logs are in q/ beside log/. If jobs fail, sge.py prints which, the end
of the log, and a command to run one alone, and exits with 1. Jobs that Grid Engine killed (time, memory, a lost node)
are resubmitted, at most 3 times; trainings and shards continue where they stopped. Jobs that a person cancelled are
not.

  --mem 4G             memory                        --num-threads N   slots of a job
  --gpu N              GPUs of a job                 --time 2:00:00    limit
  --max-jobs-run M     at most M jobs at a time      --after JOB       wait for another job
  --nodes N            training on N nodes: torchrun runs the command on each, one process per GPU
  --retry N            submit a failed job again, at most N times (default 0)
  --config FILE        translates options to those of qsub (default: conf/sge.conf here, or the repository's)
  -q QUEUE -V ...      options with one dash are passed on to qsub

INT, TERM, or the end of the script that called sge.py cancel the jobs.
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
    """A state of qstat in the vocabulary of cluster.py.

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
    """The state of a finished task in the output of qacct.

    Examples
    --------
    >>> read_record("failed       37  : qmaster enforced h_rt limit\\nexit_status  137\\ncategory     -l h_rt=3\\n")
    State(phase='killed', why='limit of -l h_rt=3')
    >>> read_record("failed       0\\nexit_status  7\\n")
    State(phase='ended', why='')
    """
    fields = dict(re.findall(r"^(\w+) +(.*?) *$", text, re.MULTILINE))  # of the last run, if there were several
    if "failed" not in fields:
        return None
    failed = int(re.match(r"\d*", fields["failed"])[0] or 0)
    if failed == LIMIT:
        return State("killed", f"limit of {fields.get('category', '').strip() or 'the queue'}")
    if failed == BY_SIGNAL:
        return State("cancelled", "qdel, or signal 9 from elsewhere")
    return State("killed", f"failed {fields['failed']}") if failed else State("ended")


def user() -> str:
    """The user name for qstat; all users if the name is unknown (containers)."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "*"


class GridEngine:
    """The commands of Grid Engine."""

    program, name, conf = "sge.py", "Grid Engine", "sge.conf"
    job_id = "${JOB_ID:-}"

    def __init__(self):
        self.tasks: dict[str, list[int]] = {}  # of each array, in the order of Grid Engine's numbers

    def handled(self, jobs: Jobs) -> tuple[str, ...]:
        """With --nodes, threads belong to a slot, as a job has one parallel environment."""
        return ("num-threads",) if "nodes" in jobs.options else ()

    def task(self, tasks: list[int]) -> str:
        """Grid Engine's arrays are ranges only, so remaining tasks are renumbered."""
        return f'$(set -- {" ".join(map(str, tasks))}; shift $((SGE_TASK_ID - 1)); echo "$1")'

    # the first process runs here, the others through qrsh, one per granted slot; if one fails, all end
    launch = r"""
  mapfile -t hosts < <(awk '{{ for (slot = 0; slot < $2; slot++) print $1 }}' "$PE_HOSTFILE")
  rendezvous=("${{#hosts[@]}}" "$(hostname)" "$((20000 + JOB_ID % 20000))" "$task")
  for rank in "${{!hosts[@]}}"; do
    if [ "$rank" = 0 ]; then remote=(); else remote=(qrsh -inherit -nostdin "${{hosts[rank]}}"); fi
    "${{remote[@]}}" /bin/bash {script} node "${{rendezvous[@]}}" "$rank" &
  done
  for _ in "${{hosts[@]}}"; do wait -n || {{ code=$?; kill $(jobs -p) 2>/dev/null || true; exit "$code"; }}; done
"""

    def submit(self, words: list[str], queue: Queue, tasks: list[int]) -> str:
        log = str(queue.folder / f"{queue.name}.log")
        if re.search(r"[$:,]", log):  # special to qsub; the script writes its own log in any case
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
        """The user's jobs as listed by qstat, one entry per task; None if it does not answer."""
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
