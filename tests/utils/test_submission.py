"""A busy scheduler: jobs are submitted again, and none runs twice. Fake programs imitate Slurm and Grid Engine."""

import os
import stat
import threading
import time
from pathlib import Path

import cluster
import job_frame
import jobs
import pytest
import sge
from sge import GridEngine
from slurm import Slurm

# The response of the submitting program to each call, one word per line in `plan`: ok; busy (nothing is accepted); lost
# (accepted, but the answer is lost); late (accepted, but visible only after the next one); refuse; odd (an unknown
# error).
SUBMIT = """#!/bin/bash
cd "$STATE"
echo "$*" >>calls
number=$((100 + $(wc -l <calls)))
while [ $# -gt 1 ]; do case $1 in --job-name | -N) name=$2 ;; esac; shift; done
word=$(sed -n "$(wc -l <calls)p" plan)
script=$1
start() { SLURM_JOB_ID=$number JOB_ID=$number bash "$script"; }
exec 3>&1 4>&2 >/dev/null 2>&1   # what runs in the background must not hold the caller's pipes
case ${word:-ok} in
  ok | lost) echo "$number $name" >>taken; start 3>&- 4>&- & ;;
  late)
    { until grep -q "^[0-9]*$" q/a.submitted; do sleep 0.1; done; echo "$number $name" >>taken; start; } 3>&- 4>&- & ;;
esac
case ${word:-ok} in
  ok) echo "$number" >&3 ;;
  refuse) echo "sbatch: error: Batch job submission failed: Invalid partition name specified" >&4; exit 1 ;;
  odd) echo "error: 42" >&4; exit 1 ;;
  *) echo "error: Socket timed out on send/recv operation" >&4; exit 1 ;;
esac
"""
SQUEUE = """#!/bin/bash
cd "$STATE"
if [ -s deaf ]; then sed -i 1d deaf; echo "Unable to contact slurm controller" >&2; exit 1; fi
for word; do case $word in --name=*) awk -v n="${word#*=}" '$2 == n { print $1 }' taken 2>/dev/null ;; esac; done
exit 0
"""
QSTAT = """#!/bin/bash
cd "$STATE"
if [ -s deaf ]; then sed -i 1d deaf; exit 1; fi
echo "<job_info>"
while read -r number name; do
  echo "<job_list><JB_job_number>$number</JB_job_number><JB_name>$name</JB_name><state>r</state></job_list>"
done <<<"$(cat taken 2>/dev/null)"
echo "</job_info>"
"""
CANCEL = '#!/bin/bash\necho "$*" >>"$STATE/cancelled"\n'


@pytest.fixture(params=[Slurm, GridEngine], ids=["slurm", "sge"])
def house(request, tmp_path, monkeypatch):
    """A folder with a scheduler's programs; house(words...) plans their answers and runs one job."""
    programs = {"sbatch": SUBMIT, "qsub": SUBMIT, "squeue": SQUEUE, "qstat": QSTAT, "scancel": CANCEL, "qdel": CANCEL}
    (tmp_path / "bin").mkdir()
    for name, text in {**programs, "sacct": "#!/bin/bash\n", "qacct": "#!/bin/bash\nexit 1\n"}.items():
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv("STATE", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    monkeypatch.setenv("PWD", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cluster, "PAUSES", (0.1,) * 9)
    monkeypatch.setattr(cluster, "ASK_EVERY", (0.1, 0.2))
    monkeypatch.setattr(job_frame, "parent", os.getppid())
    return House(tmp_path, request.param)


class House:
    def __init__(self, folder: Path, scheduler: type):
        self.folder, self.scheduler = folder, scheduler

    def run(self, *plan, job="echo run >>runs; sleep 0.1"):
        (self.folder / "plan").write_text("".join(f"{word}\n" for word in plan))
        return cluster.run(self.scheduler(), jobs.parse(["log/a.log", "bash", "-c", job]))

    def lines(self, name):
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []


def test_a_submission_to_a_busy_scheduler_is_repeated(house, capsys):
    assert house.run("busy", "busy", "ok") == ""
    assert len(house.lines("calls")) == 3 and house.lines("runs") == ["run"]
    assert capsys.readouterr().err.count("Socket timed out") == 2


def test_an_accepted_job_with_a_lost_answer_is_not_submitted_again(house):
    assert house.run("lost") == ""
    assert len(house.lines("calls")) == 1 and house.lines("runs") == ["run"]


def test_nothing_is_submitted_again_until_the_first_outcome_is_known(house):
    (house.folder / "deaf").write_text("no answer\n" * 3)
    assert house.run("lost") == ""
    assert len(house.lines("calls")) == 1 and house.lines("runs") == ["run"]


def test_a_job_that_appears_after_its_resubmission_does_not_run(house):
    """Whether or not the second job has ended by then, the first does nothing, and is cancelled if it is seen."""
    assert house.run("late", "ok", job="echo run >>runs; sleep 1.5") == ""
    assert len(house.lines("calls")) == 2 and house.lines("runs") == ["run"]
    assert house.lines("cancelled") == ["101"]


def test_a_rejected_submission_is_not_repeated(house):
    with pytest.raises(job_frame.Refused, match="Invalid partition"):
        house.run("refuse")
    assert len(house.lines("calls")) == 1


def test_an_unknown_error_is_retried_three_times(house):
    with pytest.raises(job_frame.Refused, match="error: 42"):
        house.run(*["odd"] * 9)
    assert len(house.lines("calls")) == 3 and house.lines("runs") == []


def test_a_submission_to_a_permanently_busy_scheduler_fails(house):
    with pytest.raises(job_frame.Refused, match="Socket timed out"):
        house.run(*["busy"] * 20)
    assert len(house.lines("calls")) == 10


def test_the_next_run_cancels_jobs_accepted_without_an_answer(house, monkeypatch):
    """Its number was never received; the name in q/ identifies it."""
    (house.folder / "q").mkdir()
    (house.folder / "q/a.submitted").write_text("a.12ab\n")
    (house.folder / "taken").write_text("77 a.12ab\n78 another\n")
    running = {1: cluster.State("running")}
    monkeypatch.setattr(
        house.scheduler, "states", lambda _, number: running if number == "77" and not house.lines("cancelled") else {}
    )
    assert house.run("ok") == ""
    assert house.lines("cancelled") == ["77"]


def test_ctrl_c_while_waiting_cancels_jobs_that_may_have_been_accepted(house, monkeypatch):
    monkeypatch.setattr(cluster, "PAUSES", (30.0,) * 9)
    monkeypatch.setattr(job_frame, "signals", [])
    threading.Timer(0.5, job_frame.signals.append, ["SIGINT"]).start()
    begin = time.monotonic()
    with pytest.raises(job_frame.Interrupted):
        house.run("lost")
    assert time.monotonic() - begin < 10
    assert house.lines("cancelled") == ["101"]


def test_for_a_user_without_a_name_all_users_jobs_are_listed(monkeypatch):
    def no_entry():
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr(sge.getpass, "getuser", no_entry)
    assert sge.user() == "*"
