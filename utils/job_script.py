"""The script that a cluster runs for each job, and the files in q/ beside log/: script, queue's logs, statuses."""

import contextlib
import os
import re
import secrets
import shlex
import zlib
from pathlib import Path

from job_frame import THREAD_VARIABLES
from jobs import Jobs, UsageError, here, on_nodes, open_own, substitute, word

# Environment variables that a job inherits; path.sh of its folder, or $AVSV_PATH_SH, sets the others.
# The script sets PATH because Grid Engine starts login shells, and their startup files may change it.
SETTINGS = re.compile(r"AVSV_\w+|PATH|PYTHONPATH")

SCRIPT = """\
#!/usr/bin/env bash
# Written by {program}, which waits for it. By hand: {by_hand}
task=${{5:-{task}}}
log={log}
command={command}
[ "${{1:-}}" = node ] || exec >>{folder}/"${{log##*/}}" 2>&1
# If a busy scheduler accepted a job twice, only the one being waited for runs.
job={job_id} mine=$(cat {submitted} 2>/dev/null) || mine=
if [ -n "$job" ] && [[ $mine =~ ^[0-9]+$ ]] && [ "$mine" != "$job" ]; then
  echo "job $mine has taken the place of this one"
  exit
fi
cd {cwd} || exit 1
{exports}
set_up() {{ if [ -f path.sh ]; then . ./path.sh; elif [ -n "${{AVSV_PATH_SH:-}}" ]; then . "$AVSV_PATH_SH"; fi; }}
{node_part}
status={folder}/${{log##*/}}.status
rm -f "$status"
# Schedulers send TERM before they kill. The command receives it as well; this script records the status.
trap : TERM
{{
  echo "# Running on $(hostname)"
  echo "# Started at $(date)"
  sed 's/^/# /' <<<"$command"
  echo "#"
}} >>"$log" || exit 1
(set -e; set_up; {launch}) >>"$log" 2>&1 </dev/null
code=$?
{{
  echo "# Accounting: time=$SECONDS threads={threads}"
  echo "# Finished at $(date) with status $code"
}} >>"$log"
rm -f "$status.part"
echo "$code" >"$status.part" && mv "$status.part" "$status"
case $code in 99 | 100) exit 1 ;; esac  # Grid Engine reads these as "reschedule" and "hold"
exit "$code"
"""

PLAIN = 'exec bash -o pipefail -c "$command"'

# With --nodes: `NAME.sh node NODES MASTER PORT TASK [RANK]` on each of them. The master is fixed because torchrun's own
# search fails on nodes with several names.
NODE_PART = """\
if [ "${{1:-}}" = node ]; then
  set -e
  set_up
  exec torchrun --nnodes "$2" --node-rank "${{6:-${{SLURM_NODEID:-}}}}" --nproc-per-node {processes} \\
    --master-addr "$3" --master-port "$4" --no-python bash -o pipefail -c "$command"
fi
"""


def with_task(text: str, name: str) -> str:
    """Shell text for `text` with each `name` replaced by the task's number.

    >>> print(with_task("it's JOB/4", "JOB"))
    'it'"'"'s '"$task"/4
    """
    parts = word(name).split(text) if name else [text]
    return '"$task"'.join(shlex.quote(part) if part else "" for part in parts) or "''"


def file_name(stem: str) -> str:
    """A unique name for files and jobs, made of letters, digits, dots, dashes and underscores.

    >>> file_name("embed."), file_name("train.1"), file_name("R&D"), file_name("R;D")
    ('embed', 'train.1', 'R.D.22162561', 'R.D.dd7a497d')
    """
    plain = re.sub(r"[^\w-]+", ".", stem, flags=re.ASCII).strip(".") or "job"
    known = re.fullmatch(r"[\w.-]+", stem, flags=re.ASCII)
    return plain if known else f"{plain}.{zlib.crc32(os.fsencode(stem)):08x}"


class Queue:
    """Paths of the files of some jobs.

    folder : q/ beside log/, or inside the folder of the logs if that has another name
    """

    def __init__(self, jobs: Jobs):
        self.jobs = jobs
        if jobs.first != jobs.last and not word(jobs.name).search(Path(jobs.log).name):
            raise UsageError(f"put {jobs.name} into the name of the log's file, not only of its folder: {jobs.log!r}")
        logs = Path(jobs.log).parent.absolute()
        self.folder = logs.parent / "q" if logs.name == "log" else logs / "q"
        self.name = file_name(Path(substitute(jobs.log, jobs.name, "")).stem)
        self.script = self.folder / f"{self.name}.sh"
        # holds the scheduler's number of the jobs, or their unique name until the number is known
        self.submitted = self.folder / f"{self.name}.submitted"
        self.job_name = ""
        self.asked_again = False  # the scheduler may have accepted the jobs twice

    def new_job_name(self) -> None:
        """Choose a unique job name and write it down; jobs accepted by the scheduler are found by it."""
        self.job_name = f"j{self.name}" if not self.name[0].isalpha() else self.name  # Grid Engine's rule
        self.job_name += f".{secrets.token_hex(4)}"
        with open_own(self.submitted) as file:
            file.write(self.job_name + "\n")

    def log_of(self, task: int | str) -> str:
        """The queue's own log, for output of a job outside its command."""
        return str(self.folder / substitute(Path(self.jobs.log).name, self.jobs.name, str(task)))

    def status_file(self, task: int) -> Path:
        return self.folder / f"{Path(self.jobs.log_of(task)).name}.status"

    def statuses(self, tasks: list[int]) -> dict[int, int]:
        """Status of each of `tasks` that has ended. Listing the folder makes NFS refresh it."""
        names = set(os.listdir(self.folder))
        statuses = {}
        for task in tasks:
            path = self.status_file(task)
            if path.name in names:
                with contextlib.suppress(OSError, ValueError):  # just removed by a restarted job
                    statuses[task] = int(path.read_text())
        return statuses

    def forget(self, tasks: list[int]) -> None:
        """Remove statuses and logs of earlier runs of these tasks."""
        for task in tasks:
            self.status_file(task).unlink(missing_ok=True)
            Path(self.log_of(task)).unlink(missing_ok=True)

    def prepare(self) -> None:
        """Make the folders and delete old logs."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for task in self.jobs.numbers:
            Path(self.jobs.log_of(task)).parent.mkdir(parents=True, exist_ok=True)
            Path(self.jobs.log_of(task)).unlink(missing_ok=True)

    def write_script(self, program: str, task: str, job_id: str, launch: str) -> None:
        """Write the script.

        Parameters
        ----------
        task : shell text that gives the number of the task
        job_id : shell text that gives the scheduler's number of the job or of its array
        launch : shell text that starts `$script node ...` on every node; used if the jobs ask for nodes
        """
        jobs, threads = self.jobs, self.jobs.count("num-threads") or 1
        settings = {name: value for name, value in os.environ.items() if SETTINGS.fullmatch(name)}
        settings |= dict.fromkeys(THREAD_VARIABLES, str(threads))
        nodes = jobs.count("nodes")
        text = SCRIPT.format(
            program=program,
            by_hand=jobs.alone(jobs.first).replace("\n", " "),
            cwd=shlex.quote(here()),
            exports="".join(f"export {name}={shlex.quote(value)}\n" for name, value in sorted(settings.items())),
            task=task if jobs.name else jobs.first,
            log=with_task(jobs.log, jobs.name),
            command=with_task(jobs.command, jobs.name),
            folder=shlex.quote(str(self.folder)),
            submitted=shlex.quote(str(self.submitted)),
            job_id=job_id,
            node_part=NODE_PART.format(processes=on_nodes(jobs)) if nodes else "",
            launch=launch.format(script=shlex.quote(str(self.script))) if nodes else PLAIN,
            threads=threads,
        )
        part = self.script.with_name(f".{self.script.name}.part")
        with open_own(part) as file:
            file.write(text)
        part.replace(self.script)
