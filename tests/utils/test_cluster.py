"""utils/cluster.py with a simulated scheduler: which jobs are reported and which are resubmitted.

tests/schedulers runs real schedulers. This file covers states that they rarely reach: late files, forgotten jobs.
"""

import os
import subprocess

import cluster
import job_frame
import jobs
import pytest
from cluster import State


class Pretended:
    """Runs the script of each task immediately; `fates` sets whether a task runs and the state that is reported.

    fates : (attempt from 1, task) -> (runs, state when asked); None: the scheduler forgot the job
    """

    program, name, conf, launch, job_id = "slurm.py", "Slurm", "slurm.conf", "", ""

    def __init__(self, fates):
        self.fates, self.submissions, self.cancelled, self.final = fates, [], [], {}

    def handled(self, jobs):
        return ("max-jobs-run",)

    def task(self, tasks):
        return "$TASK"

    def submit(self, words, queue, tasks):
        self.submissions.append(tasks)
        for task in tasks:
            runs, _ = self.fates.get((len(self.submissions), task), (True, None))
            if runs:
                subprocess.run(["bash", queue.script], env={"TASK": str(task), "PATH": "/usr/bin:/bin"}, check=False)
        return str(len(self.submissions))

    def states(self, number):
        fates = {task: self.fates.get((int(number), task), (True, State("ended")))[1] for task in self.submissions[-1]}
        return {task: state for task, state in fates.items() if state}

    def verdict(self, number, task):
        return self.final.get(task)

    def cancel(self, number, tasks=None):
        self.cancelled.append((number, tasks))
        self.fates = {}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Call cluster.run; returns all messages to the user, one per line."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PWD", str(tmp_path))
    monkeypatch.setattr(cluster, "ASK_EVERY", (0.0, 0.01))
    monkeypatch.setattr(cluster, "PATIENCE", 0.3)
    messages = []
    monkeypatch.setattr(job_frame, "say", lambda program, text: messages.append(text))

    def call(scheduler, line):
        messages.clear()
        end = cluster.run(scheduler, jobs.parse(line.split() if isinstance(line, str) else line))
        return "\n".join([*messages, end])

    return call


def killed(why):
    return (False, State("killed", why))


def test_only_jobs_that_the_cluster_killed_are_submitted_again(run):
    scheduler = Pretended({(1, 2): killed("out of memory"), (1, 4): killed("preempted"), (2, 4): killed("preempted")})
    messages = run(scheduler, "JOB=1:4 log/a.JOB.log echo JOB")
    assert scheduler.submissions == [[1, 2, 3, 4], [2, 4], [4]]
    assert messages == (
        "job 2 was killed by Slurm: out of memory; submitted again (1 of 3)\n"
        "job 4 was killed by Slurm: preempted; submitted again (1 of 3)\n"
        "job 4 was killed by Slurm: preempted; submitted again (2 of 3)\n"
    )


def test_three_resubmissions_are_the_limit_and_the_report_shows_the_queues_log(run, tmp_path):
    scheduler = Pretended({(attempt, 1): killed("time limit") for attempt in range(1, 9)})
    submit = scheduler.submit

    def submit_and_warn(words, queue, tasks):
        (queue.folder / "a.log").write_text("CANCELLED DUE TO TIME LIMIT\n")
        return submit(words, queue, tasks)

    scheduler.submit = submit_and_warn
    messages = run(scheduler, "log/a.log sleep 100")
    assert len(scheduler.submissions) == 4
    assert messages.endswith(
        "job failed, log is in log/a.log\njob 1 was killed by Slurm: time limit (4 times)\n"
        f"The queue's log, {tmp_path}/q/a.log:\n  CANCELLED DUE TO TIME LIMIT\n"
        f"To run it alone: (cd {tmp_path} && sleep 100)"
    )


def test_a_failed_job_is_not_submitted_again_without_retry(run):
    scheduler = Pretended({})
    assert "job 2 failed with status 3\n" in run(scheduler, "JOB=1:2 log/a.JOB.log test JOB = 1 || exit 3")
    assert scheduler.submissions == [[1, 2]]


def test_a_late_status_is_waited_for(run, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "PATIENCE", 30.0)
    scheduler = Pretended({(1, 1): (False, State("ended"))})
    asked = []

    def states(number):
        asked.append(number)
        if len(asked) == 5:
            (tmp_path / "q/a.log.status").write_text("0\n")
        return {1: State("ended")}

    scheduler.states = states
    assert run(scheduler, "log/a.log true") == ""
    assert scheduler.submissions == [[1]] and len(asked) >= 5


def test_a_job_that_ends_without_a_status_counts_as_killed(run):
    messages = run(Pretended({(1, 1): (False, State("ended"))}), "log/a.log true")
    assert messages == "job 1 was killed by Slurm: it ended without noting its status; submitted again (1 of 3)\n"


def test_a_forgotten_job_is_looked_up_in_the_schedulers_accounting(run):
    scheduler = Pretended({(1, 1): (False, None)})
    scheduler.final = {1: State("killed", "limit of -l h_rt=3")}
    assert "killed by Slurm: limit of -l h_rt=3; submitted again" in run(scheduler, "log/a.log true")


def test_an_unexplained_signal_counts_as_killed(run):
    job = "test -e again || { touch again; kill -9 $$; }"
    messages = run(Pretended({}), ["log/a.log", "bash", "-c", job])
    assert messages.startswith("job 1 was killed by Slurm: signal 9, ") and "; submitted again (1 of 3)" in messages


def test_the_status_of_a_run_that_the_cluster_itself_requeues_is_ignored(run, tmp_path):
    """Preemption with requeueing: the command ended with the status of SIGTERM, and the job is queued again."""
    scheduler = Pretended({(1, 1): (False, None)})
    phases = ["running", "waiting", "waiting", "running"]

    def states(number):
        if phases:
            if phases[0] == "waiting":
                (tmp_path / "q/a.log.status").write_text("143\n")
            return {1: State(phases.pop(0))}
        (tmp_path / "q/a.log.status").write_text("0\n")
        return {1: State("running")}

    scheduler.states = states
    assert run(scheduler, "log/a.log true") == ""
    assert scheduler.submissions == [[1]]


def test_a_scheduler_that_does_not_answer_is_asked_again(run):
    scheduler = Pretended({(1, 1): (False, None)})
    answers = [None, None, None, {1: State("killed", "preempted")}]
    scheduler.states = lambda number: answers.pop(0) if answers else {}
    assert run(scheduler, "log/a.log true") == "job 1 was killed by Slurm: preempted; submitted again (1 of 3)\n"


def test_a_job_that_can_never_start_is_cancelled_and_reported(run):
    scheduler = Pretended({(1, 2): (False, State("stuck", "DependencyNeverSatisfied"))})
    messages = run(scheduler, "JOB=1:2 log/a.JOB.log true")
    assert "job 2 cannot start: DependencyNeverSatisfied\n" in messages
    assert scheduler.cancelled == [("1", [2])] and scheduler.submissions == [[1, 2]]


def test_files_of_earlier_runs_are_ignored(run, tmp_path):
    (tmp_path / "q").mkdir()
    (tmp_path / "q/a.log.status").write_text("0\n")
    messages = run(Pretended({(attempt, 1): killed("preempted") for attempt in range(1, 9)}), "log/a.log true")
    assert "job failed" in messages


ODD = [
    "with space", "R&D", "it's", "$(touch PWNED)", "`touch PWNED`", ";touch${IFS}PWNED", "$HOME", "*", "a\nb", "\\",
    '"', "JOB_77", "JOB", "", "#x", "{task}", "%a", "a\tb", "~", "!", "\udcff",
]  # fmt: skip


def test_the_script_passes_arguments_unchanged(run, tmp_path):
    assert run(Pretended({}), ["JOB=1:2", "log/it's $x & y.JOB.log", "printf", "%s\\0", *ODD]) == ""
    log = (tmp_path / "log/it's $x & y.2.log").read_bytes()
    expected = [os.fsencode("2" if word == "JOB" else word) for word in ODD]
    assert log.partition(b"\n#\n")[2].split(b"\0")[:-1] == expected
    assert not (tmp_path / "PWNED").exists()


def test_logs_with_names_that_differ_in_odd_characters_have_separate_scripts(run, tmp_path):
    for name in ("a&b", "a;b", "a b", "a.b"):
        assert run(Pretended({}), [f"log/{name}.log", "true"]) == ""
    assert len(list((tmp_path / "q").glob("*.sh"))) == 4


def test_an_interruption_cancels_the_submitted_jobs(run, monkeypatch):
    scheduler = Pretended({(1, 1): (False, State("running"))})
    monkeypatch.setattr(job_frame, "signals", ["SIGTERM"])
    with pytest.raises(job_frame.Interrupted, match="SIGTERM came; job 1 was cancelled"):
        run(scheduler, "log/a.log true")
    assert scheduler.cancelled == [("1", None)]
