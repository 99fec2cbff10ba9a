"""The script that a cluster runs for each job, and the files in q/ beside log/: script, queue's logs, statuses."""

import contextlib
import os
import re
import shlex
from pathlib import Path

from job_frame import THREAD_VARIABLES
from jobs import Jobs, here, on_nodes

# What a job keeps of where it was submitted; the rest is made by path.sh. PATH is set in the script, for Grid Engine
# starts login shells, whose files may set another.
SETTINGS = re.compile(r"AVSV_\w+|PATH|PYTHONPATH")

SCRIPT = """\
#!/usr/bin/env bash
# Written by {program}, which waits for it. By hand: {by_hand}
task=${{5:-{task}}}
log={log} command={command}
{substitution}
[ "${{1:-}}" = node ] || exec >>{folder}/"${{log##*/}}" 2>&1
cd {cwd} || exit 1
{exports}
set_up() {{ if [ -f path.sh ]; then . ./path.sh; fi; }}
{node_part}
status={folder}/${{log##*/}}.status
rm -f "$status"
# A scheduler that is about to kill warns with TERM. The command gets it too; this script stays, to note how that ended.
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
echo "$code" >"$status.part" && mv "$status.part" "$status"
case $code in 99 | 100) exit 1 ;; esac  # which mean to Grid Engine: once more, and hold
exit "$code"
"""

PLAIN = 'exec bash -o pipefail -c "$command"'
SUBSTITUTION = "log=${{log//{name}/$task}} command=${{command//{name}/$task}}"

# With --nodes: `NAME.sh node NODES MASTER PORT TASK [RANK]` on each of them. A fixed master, for torchrun's own search
# goes wrong on nodes with several names.
NODE_PART = """\
if [ "${{1:-}}" = node ]; then
  set -e
  set_up
  exec torchrun --nnodes "$2" --node-rank "${{6:-${{SLURM_NODEID:-}}}}" --nproc-per-node {processes} \\
    --master-addr "$3" --master-port "$4" --no-python bash -o pipefail -c "$command"
fi
"""


class Queue:
    """Where the files of some jobs are.

    folder : q/ beside log/, or within the folder of the logs where that is not called log
    """

    def __init__(self, jobs: Jobs):
        self.jobs = jobs
        logs = Path(jobs.log).parent.absolute()
        self.folder = logs.parent / "q" if logs.name == "log" else logs / "q"
        plain = jobs.log.replace(jobs.name, "") if jobs.name else jobs.log
        self.name = re.sub(r"[^\w-]+", ".", Path(plain).stem).strip(".") or "job"
        self.script = self.folder / f"{self.name}.sh"
        self.submitted = self.folder / f"{self.name}.submitted"  # the scheduler's number of what is there now

    def log_pattern(self, variable: str) -> str:
        """The queue's own log, where what a job says outside its command goes; `variable` is the scheduler's number."""
        name = Path(self.jobs.log).name
        return str(self.folder / (name.replace(self.jobs.name, variable) if self.jobs.name else name))

    def log_of(self, task: int) -> str:
        return self.log_pattern(str(task))

    def status_file(self, task: int) -> Path:
        return self.folder / f"{Path(self.jobs.log_of(task)).name}.status"

    def statuses(self, tasks: list[int]) -> dict[int, int]:
        """Those of `tasks` that have noted how they ended. Listing the folder makes NFS look again."""
        there = set(os.listdir(self.folder))
        found = {}
        for task in tasks:
            path = self.status_file(task)
            if path.name in there:
                with contextlib.suppress(OSError, ValueError):  # just removed by a job that starts again
                    found[task] = int(path.read_text())
        return found

    def forget(self, tasks: list[int]) -> None:
        """Remove what earlier runs of these tasks have noted."""
        for task in tasks:
            self.status_file(task).unlink(missing_ok=True)
            Path(self.log_of(task)).unlink(missing_ok=True)

    def prepare(self) -> None:
        """Make the folders; logs begin anew."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for task in self.jobs.numbers:
            Path(self.jobs.log_of(task)).parent.mkdir(parents=True, exist_ok=True)
            Path(self.jobs.log_of(task)).unlink(missing_ok=True)

    def write_script(self, program: str, task: str, launch: str) -> None:
        """Write the script.

        Parameters
        ----------
        task : shell text that gives the number of the task
        launch : shell text that starts `$script node ...` on every node; it is used where the jobs ask for nodes
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
            substitution=SUBSTITUTION.format(name=jobs.name) if jobs.name else "",
            log=shlex.quote(jobs.log),
            command=shlex.quote(jobs.command),
            folder=shlex.quote(str(self.folder)),
            node_part=NODE_PART.format(processes=on_nodes(jobs)) if nodes else "",
            launch=launch.format(script=shlex.quote(str(self.script))) if nodes else PLAIN,
            threads=threads,
        )
        part = self.script.with_name(f".{self.script.name}.part")
        part.write_text(text, encoding="utf-8")
        part.replace(self.script)
