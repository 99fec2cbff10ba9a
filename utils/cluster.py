"""The common part of slurm.py and sge.py: submit an array of jobs, wait for it, resubmit killed jobs, report failures.

A job writes its status to q/ when its command ends. A status of 0 is trusted; for any other, and for jobs without one,
the scheduler is asked what happened: a job that it killed (time, memory, a lost node, preemption) is resubmitted up to
RESUBMISSIONS times, a failed one up to --retry times.

If the scheduler is too busy to accept jobs, submission is repeated. It may have accepted them although its answer was
lost, so they are first looked up by name, and each job checks that it is the current submission.
"""

import re
import subprocess
import time
from collections import Counter
from dataclasses import dataclass
from typing import Protocol

import job_frame
import jobs as grammar
from cluster_conf import submit_words
from job_frame import Interrupted
from job_script import Queue
from jobs import Jobs, open_own

RESUBMISSIONS = 3  # of a job killed by the cluster; --retry N raises it if N is larger
PATIENCE = 60.0  # seconds that a job's status may lag behind: files on NFS, Grid Engine's accounting
ASK_EVERY = (1.0, 20.0)  # seconds between two queries to the scheduler: at first, later
PAUSES = (2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0, 60.0)  # seconds before a busy scheduler is asked again
UNEXPLAINED = 2  # retries if the message matches neither BUSY nor REFUSAL
BUSY = re.compile(r"timed? ?out|temporar|unavailable|busy|try again|connect|communicat|contact|socket|authenticat"
                  r"|transmitted|receiving|commlib", re.IGNORECASE)  # fmt: skip
REFUSAL = re.compile(r"invalid|unknown|unrecogni[sz]ed|illegal|denied|not (available|permitted|allowed|exist)"
                     r"|no suitable|can ?not be satisfied|exceeds|usage:|submit host", re.IGNORECASE)  # fmt: skip
ANSWER = 300.0  # seconds after which a call to the scheduler counts as failed
SIGNALLED = {137: "signal 9, which Linux sends to processes that use too much memory", 143: "signal 15"}


@dataclass(frozen=True)
class State:
    """The state of a job according to the scheduler.

    phase : waiting | running | ended (by itself) | killed (by the cluster) | cancelled (by a person)
        | held (could not be started) | stuck (can never start)
    """

    phase: str
    why: str = ""


class Scheduler(Protocol):
    """The interface that slurm.py and sge.py implement."""

    program: str  # slurm.py
    name: str  # Slurm
    conf: str  # name of its file in conf/
    launch: str  # shell text: start the script on all nodes

    def handled(self, jobs: Jobs) -> tuple[str, ...]:
        """Options handled in code, without a rule in the file."""

    def task(self, tasks: list[int]) -> str:
        """Shell text that gives the script its number in `tasks`."""

    job_id: str  # shell text: the scheduler's number of the job or its array

    def submit(self, words: list[str], queue: Queue, tasks: list[int]) -> str:
        """Submit the script for these tasks; returns the scheduler's job number."""

    def find(self, name: str) -> list[str] | None:
        """The numbers of the jobs of this name, finished ones included; None if the scheduler does not answer."""

    def states(self, number: str) -> dict[int, State] | None:
        """The state of each task that the scheduler still lists; None if it does not answer."""

    def verdict(self, number: str, task: int) -> State | None:
        """The final state of a task that `states` no longer lists; None if it is not known (yet)."""

    def cancel(self, number: str, tasks: list[int] | None = None) -> None:
        """Cancel these tasks, or all."""


@dataclass(frozen=True)
class Outcome:
    """How a job ended: done | failed | killed | cancelled | stuck."""

    kind: str
    why: str = ""


def ask(command: list[str]) -> subprocess.CompletedProcess:
    """Call a program of the scheduler, shielded from the terminal's Ctrl-C; a program that hangs counts as failed."""
    try:
        return subprocess.run(command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL,
                              start_new_session=True, timeout=ANSWER)  # fmt: skip
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", f"timed out after {ANSWER:.0f} s")
    except FileNotFoundError:
        raise job_frame.Refused(f"{command[0]}: not found; run this on a submit host") from None


def not_taken(command: list[str], done: subprocess.CompletedProcess) -> job_frame.Refused:
    message = (done.stderr.strip() or done.stdout.strip() or f"status {done.returncode}").replace("\n", "\n  ")
    return job_frame.Refused(f"the cluster rejected the jobs:\n  {' '.join(command)}\n  {message}")


def submit(scheduler: Scheduler, command: list[str], queue: Queue) -> str:
    """Submit once: call `command` until the scheduler accepts the job, which is looked up by name after each failure.

    Returns
    -------
    str : the scheduler's job number

    Raises
    ------
    Refused : the scheduler rejects the job, or has not answered for a long time
    """
    taken: list[str] | None = []  # None: it may have been accepted and must not be submitted again
    for attempt in range(len(PAUSES) + 1):
        if taken is not None:
            done = ask(command)
            number = re.match(r"\d+", done.stdout.strip())  # 12;cluster or 12.1-4:1
            if done.returncode == 0 and number:
                return number[0]
        message = " ".join((done.stderr + done.stdout).split()) or f"status {done.returncode}"
        busy = BUSY.search(message)
        if attempt == (len(PAUSES) if busy else UNEXPLAINED) or (REFUSAL.search(message) and not busy):
            break
        job_frame.say(scheduler.program, f"{command[0]}: {message[:200]}; trying again in {PAUSES[attempt]:.0f} s")
        pause(scheduler.program, PAUSES[attempt])
        queue.asked_again = True
        taken = scheduler.find(queue.job_name)
        if taken:
            return taken[0]
    raise not_taken(command, done)


def pause(program: str, seconds: float) -> None:
    """Sleep; a signal interrupts."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        job_frame.check(program)
        time.sleep(min(0.2, left))


def run(scheduler: Scheduler, jobs: Jobs) -> str:
    """Run all jobs; returns a message about failed jobs, empty if all succeeded."""
    words = submit_words(jobs, scheduler.conf, scheduler.handled(jobs))
    retry = jobs.count("retry", 0) or 0
    queue = Queue(jobs)
    cancel_leftover(scheduler, queue)
    queue.prepare()
    limit = {"failed": retry, "killed": max(retry, RESUBMISSIONS)}
    times: Counter = Counter()  # (task, kind of end) -> how often
    last: dict[int, Outcome] = {}
    pending = list(jobs.numbers)
    while pending:
        outcomes = Submission(scheduler, queue, words, pending, len(jobs.numbers) - len(pending)).wait()
        pending = []
        for task, outcome in sorted(outcomes.items()):
            last[task] = outcome
            times[task, outcome.kind] += 1
            count, most = times[task, outcome.kind], limit.get(outcome.kind, 0)
            if count <= most:
                message = describe(scheduler, task, outcome)
                job_frame.say(scheduler.program, f"{message}; submitted again ({count} of {most})")
                pending.append(task)
    queue.forget([task for task, outcome in last.items() if outcome.kind == "done"])
    failed = sorted(task for task, outcome in last.items() if outcome.kind != "done")
    return report(scheduler, queue, failed, last, times) if failed else ""


def describe(scheduler: Scheduler, task: int, outcome: Outcome) -> str:
    how = {"failed": "failed with", "killed": f"was killed by {scheduler.name}:", "cancelled": "was cancelled:",
           "stuck": "cannot start:"}  # fmt: skip
    return f"job {task} {how[outcome.kind]} {outcome.why}"


def report(scheduler: Scheduler, queue: Queue, failed: list[int], last: dict[int, Outcome], times: Counter) -> str:
    """The message about failed jobs: numbers, reasons, the end of the first log, and a command to rerun that job."""
    notes = []
    for task in failed[:10]:
        count = times[task, last[task].kind]
        notes.append(describe(scheduler, task, last[task]) + (f" ({count} times)" if count > 1 else ""))
    if lines := grammar.last_lines(queue.log_of(failed[0]), 5):
        notes += [f"The queue's log, {queue.log_of(failed[0])}:", *(f"  {line}" for line in lines)]
    return grammar.failure(queue.jobs, failed, notes)


def cancel_leftover(scheduler: Scheduler, queue: Queue) -> None:
    """Cancel jobs left by a killed run; otherwise two jobs would write the same file."""
    noted = queue.submitted.read_text().strip() if queue.submitted.exists() else ""
    if noted and not noted.isdigit():
        noted = " ".join(scheduler.find(noted) or [])
    for number in [number for number in noted.split() if is_there(scheduler, number)]:
        job_frame.say(scheduler.program, f"cancelling job {number} of an earlier run: it would write the same files")
        cancel_and_wait(scheduler, number)


def is_there(scheduler: Scheduler, number: str) -> bool:
    """Return True if any task of the job waits or runs, or if the scheduler does not answer."""
    states = scheduler.states(number)
    return states is None or any(state.phase in ("waiting", "running", "held") for state in states.values())


def cancel_and_wait(scheduler: Scheduler, number: str, patience: float = 60.0) -> None:
    """Cancel all tasks and wait, at most `patience` seconds, until running ones have ended."""
    deadline = time.monotonic() + patience
    tries = 0
    while time.monotonic() < deadline:
        if tries % 10 == 0:  # the scheduler may have been too busy to cancel it
            scheduler.cancel(number)
        if not is_there(scheduler, number):
            return
        tries += 1
        time.sleep(0.5)
    job_frame.say(scheduler.program, f"job {number} still exists {patience:.0f} s after it was cancelled")


class Submission:
    """Some tasks, submitted together."""

    def __init__(self, scheduler: Scheduler, queue: Queue, words: list[str], tasks: list[int], done: int):
        self.scheduler, self.queue, self.left, self.done = scheduler, queue, list(tasks), done
        queue.forget(tasks)
        queue.write_script(scheduler.program, scheduler.task(tasks), scheduler.job_id, scheduler.launch)
        queue.new_job_name()
        try:
            self.number = scheduler.submit(words, queue, tasks)
        except Interrupted:
            for number in scheduler.find(queue.job_name) or []:
                scheduler.cancel(number)
            raise
        with open_own(queue.submitted) as file:
            file.write(self.number + "\n")
        self.outcomes: dict[int, Outcome] = {}
        self.over_since: dict[int, float] = {}  # when tasks ended for an unknown reason
        self.asked, self.pause = time.monotonic(), ASK_EVERY[0]

    def wait(self) -> dict[int, Outcome]:
        """Wait for all tasks; returns their outcomes. Any exception cancels the remaining tasks."""
        try:
            while self.left:
                statuses = self.queue.statuses(self.left)
                for task in [task for task, status in statuses.items() if status == 0]:
                    self.conclude(task, Outcome("done"))
                since = time.monotonic() - self.asked
                if self.left and since > (ASK_EVERY[0] if statuses or self.over_since else self.pause):
                    self.ask_scheduler()
                job_frame.check(self.scheduler.program)
                time.sleep(0.1 if self.pause < 5 else 0.5)
        except BaseException as reason:
            cancel_and_wait(self.scheduler, self.number, 10.0)
            if isinstance(reason, Interrupted):
                raise Interrupted(f"{reason}; job {self.number} was cancelled") from None
            raise
        finally:
            self.cancel_others()
            self.queue.submitted.unlink(missing_ok=True)
        return self.outcomes

    def cancel_others(self) -> None:
        """Cancel a second copy of the jobs, which a busy scheduler may have accepted late."""
        if self.queue.asked_again:
            for number in self.scheduler.find(self.queue.job_name) or []:
                if number != self.number:
                    self.scheduler.cancel(number)

    def conclude(self, task: int, outcome: Outcome) -> None:
        self.left.remove(task)
        self.outcomes[task] = outcome

    def ask_scheduler(self) -> None:
        """Find tasks that have ended without success."""
        states = self.scheduler.states(self.number)
        self.asked, self.pause = time.monotonic(), min(1.3 * self.pause, ASK_EVERY[1])
        if states is None:
            return
        statuses = self.queue.statuses(self.left)  # after the query: finished tasks have written theirs
        for task in list(self.left):
            state = states.get(task)
            if state and state.phase in ("waiting", "running"):
                self.over_since.pop(task, None)  # the cluster has restarted it
                continue
            if state and state.phase in ("stuck", "held"):
                self.scheduler.cancel(self.number, [task])
            outcome = self.judge(task, statuses.get(task), state)
            if outcome:
                self.conclude(task, outcome)
        self.show(states)

    def judge(self, task: int, status: int | None, state: State | None) -> Outcome | None:
        """The outcome of a task that has ended according to the scheduler; None while it is unclear."""
        if status == 0:
            return Outcome("done")
        state = state or self.scheduler.verdict(self.number, task)
        if state and state.phase != "ended":
            return Outcome("killed" if state.phase == "held" else state.phase, state.why)
        late = time.monotonic() - self.over_since.setdefault(task, time.monotonic()) > PATIENCE
        if status in SIGNALLED and (state or late):
            return Outcome("killed", SIGNALLED[status])
        if status is not None and status not in SIGNALLED:
            return Outcome("failed", f"status {status}")
        return Outcome("killed", "it ended without noting its status") if late else None

    def show(self, states: dict[int, State]) -> None:
        """Show on a terminal how many tasks are done, run and wait, and why they wait."""
        now = [states[task] for task in self.left if task in states]
        running = sum(state.phase == "running" for state in now)
        waiting = [state for state in now if state.phase == "waiting"]
        line = f"{self.done + len(self.outcomes)} / {len(self.queue.jobs.numbers)} jobs done, {running} running"
        if waiting:
            line += f", {len(waiting)} waiting" + (f" ({waiting[0].why})" if waiting[0].why else "")
        job_frame.show(line, last=not self.left)
