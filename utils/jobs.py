"""Kaldi's job grammar, shared by run.py, slurm.py and sge.py.

    run.py [options] [JOB=1:N] [options] LOG command ...

JOB stands for the job's number in LOG and in the command if it is a whole word, that is, not next to letters, digits or
underscores: a.JOB.log and --shard JOB/4, but not /scratch/JOB_77.

The command's arguments are passed on unchanged: no shell splits them, so a name with a quote, a space or a $ is safe.
An argument that equals one of OPERATORS makes a pipe, a redirection or a sequence (written `\\|` and `\\>`, as in
Kaldi), and NAME=VALUE before the program sets a variable. For anything else that needs a shell, write bash -c '...'.
"""

import os
import re
import shlex
import stat
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

OPERATORS = {"|", "|&", "||", "&&", ";", ">", ">>", "<", "2>", "2>>", "2>&1", "&>", "&>>"}

MOST_JOBS = 1_000_000

# Number of values of SGE's own switches; all other options take one.
VALUES_OF_SWITCH = {"-V": 0, "-pe": 2}


class UsageError(Exception):
    """The command line does not follow the grammar."""


@dataclass(frozen=True)
class Jobs:
    """A parsed command line: jobs `first` to `last` of one command, one log each."""

    log: str
    command: str
    name: str = ""  # placeholder for the job's number, usually JOB; "" for a single job without one
    first: int = 1
    last: int = 1
    options: dict[str, str] = field(default_factory=dict)  # {"mem": "4G", "num-threads": "2"}
    native: tuple[str, ...] = ()  # a cluster's own switches, passed on: ("-q", "long.q")

    @property
    def numbers(self) -> range:
        return range(self.first, self.last + 1)

    def log_of(self, number: int) -> str:
        return substitute(self.log, self.name, str(number))

    def command_of(self, number: int) -> str:
        return substitute(self.command, self.name, str(number))

    @property
    def all_logs(self) -> str:
        """A shell pattern for all logs: exp/log/train.*.log."""
        return substitute(self.log, self.name, "*")

    def count(self, name: str, least: int = 1) -> int | None:
        """The integer value of an option, or None if it was not given."""
        value = self.options.get(name)
        if value is None:
            return None
        if not re.fullmatch(r"[0-9]{1,9}", value) or int(value) < least:
            kind = "positive number" if least else "number"
            raise UsageError(f"option --{name} takes a {kind}, not {value!r}")
        return int(value)

    def alone(self, number: int) -> str:
        """A command that runs one job alone, here, with its output on the terminal."""
        path_sh = "./path.sh" if os.path.exists("path.sh") else os.environ.get("AVSV_PATH_SH")
        setup = f" && . {shlex.quote(path_sh)}" if path_sh else ""
        return f"(cd {shlex.quote(here())}{setup} && {self.command_of(number)})"


def parse(arguments: list[str]) -> Jobs:
    """Read a command line, without the program's name.

    Examples
    --------
    >>> jobs = parse("--mem 4G JOB=1:3 exp/log/a.JOB.log wc -l data/JOB.txt | sort".split())
    >>> jobs.numbers, jobs.options
    (range(1, 4), {'mem': '4G'})
    >>> jobs.log_of(2), jobs.command_of(2)
    ('exp/log/a.2.log', 'wc -l data/2.txt | sort')
    """
    rest = list(arguments)
    options, native = take_options(rest)
    name, first, last = take_range(rest)
    more_options, more_native = take_options(rest)
    if len(rest) < 2:
        raise UsageError("expected: [options] [JOB=1:N] LOG command ...")
    log, *command = rest
    if not os.path.basename(log):
        raise UsageError(f"expected the name of a log, found {log!r}")
    if suspicious := re.match(r"\w+=\S*:\S*$", log):
        raise UsageError(f"not a range of jobs: {suspicious.group()!r}; write JOB=1:N, with 1 <= N")
    if first != last and not word(name).search(log):
        raise UsageError(f"{last - first + 1} jobs cannot share one log: put {name} into its name, {log!r}")
    command = " ".join(quote(word) for word in command)
    return Jobs(log, command, name, first, last, options | more_options, (*native, *more_native))


def take_options(rest: list[str]) -> tuple[dict[str, str], list[str]]:
    """Remove the leading options from `rest`: those of the grammar, and a cluster's own, with one dash.

    `-tc` is SGE's name for --max-jobs-run.
    """
    options, native = {}, []
    while rest and rest[0].startswith("-"):
        switch = rest.pop(0)
        if switch == "--":  # the range follows, or a log whose name begins with a dash
            break
        if switch.startswith("--") and "=" in switch:
            switch, _, value = switch.partition("=")
            values = [value]
        else:
            count = VALUES_OF_SWITCH.get(switch, 1)
            if len(rest) < count:
                raise UsageError(f"option {switch} needs a value")
            values = [rest.pop(0) for _ in range(count)]
        if switch == "-tc":
            switch = "--max-jobs-run"
        if switch.startswith("--"):
            options[switch[2:].replace("_", "-")] = values[0]
        else:
            native += [switch, *values]
    return options, native


def take_range(rest: list[str]) -> tuple[str, int, int]:
    """Remove `JOB=1:N` (or `JOB=3`) from the front of `rest`: name, first and last."""
    match = re.fullmatch(r"([A-Za-z_]\w*)=([0-9]+)(?::([0-9]+))?", rest[0]) if rest else None
    if not match:
        return "", 1, 1
    first, last = (int(number) if len(number) < 10 else MOST_JOBS + 1 for number in (match[2], match[3] or match[2]))
    if not 1 <= first <= last <= MOST_JOBS:
        raise UsageError(f"not a range of jobs: {rest[0]!r}; write JOB=1:N, with 1 <= N <= {MOST_JOBS}")
    rest.pop(0)
    return match[1], first, last


def word(name: str) -> re.Pattern:
    """Matches the name as a whole word."""
    return re.compile(rf"(?<!\w){re.escape(name)}(?!\w)")


def substitute(text: str, name: str, value: str) -> str:
    """Replace the name, as a whole word, by the value; an empty name matches nothing.

    >>> substitute("/scratch/JOB_77/a.JOB.ark:JOB", "JOB", "3")
    '/scratch/JOB_77/a.3.ark:3'
    """
    return word(name).sub(lambda _: value, text) if name else text


def quote(argument: str) -> str:
    """Quote an argument of the command for the shell, unless it is an operator.

    >>> quote("|"), quote("a|b"), quote("my $file"), quote("")
    ('|', "'a|b'", "'my $file'", "''")
    """
    return argument if argument in OPERATORS else shlex.quote(argument)


def open_own(path: Path | str, again: bool = False) -> IO[str]:
    """Open a file named by these programs for writing, or for appending with `again`.

    A link or another special file in its place came with a copied folder and may lead to somebody else's files: it is
    removed, not followed. Devices were named by the user and are written to.
    """
    flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if again else os.O_TRUNC)
    if Path(path).absolute().parts[1] not in ("dev", "proc"):
        flags |= os.O_NOFOLLOW
        if os.path.lexists(path):
            info = os.lstat(path)
            if not stat.S_ISREG(info.st_mode) or info.st_nlink > 1:
                os.unlink(path)
    return open(os.open(path, flags, 0o666), "w", encoding="utf-8", errors="surrogateescape")


def here() -> str:
    """The current folder as the shell names it, because other hosts may lack the target of a link."""
    shown = os.environ.get("PWD", "")
    return shown if os.path.isdir(shown) and os.path.samefile(shown, ".") else os.getcwd()


def date() -> str:
    """The time as date(1) prints it."""
    return time.strftime("%a %b %e %H:%M:%S %Z %Y")


def header(command: str) -> str:
    """First lines of a job's log."""
    shown = command.replace("\n", "\n# ")
    return f"# {shown}\n# Started at {date()}\n#\n"


def footer(code: int, seconds: float, threads: str) -> str:
    """Last lines of a job's log."""
    elapsed = round(seconds)
    return (
        f"# Accounting: time={elapsed} threads={threads}\n"
        f"# Ended (code {code}) at {date()}, elapsed time {elapsed} seconds\n"
    )


def last_lines(path: str, count: int = 10) -> list[str]:
    """The end of a log, without lines of run.py and with only the last state of a progress bar."""
    try:
        with open(path, "rb") as log:
            log.seek(max(0, log.seek(0, 2) - 8192))
            text = log.read().decode("utf-8", "replace")
    except OSError:
        return []
    lines = [line.rstrip().rpartition("\r")[2] for line in text.split("\n")]
    return [line for line in lines if line and not line.startswith("#")][-count:]


def failure(jobs: Jobs, failed: list[int], notes: list[str] | None = None) -> str:
    """The message about failed jobs: numbers, logs, the end of the first log, and a command to rerun that job.

    Parameters
    ----------
    notes : further lines about them
    """
    log = jobs.log_of(failed[0])
    message = f"job failed, log is in {log}"
    if len(jobs.numbers) > 1:
        which = " ".join(map(str, failed[:20])) + (" ..." if len(failed) > 20 else "")
        message = f"{len(failed)} / {len(jobs.numbers)} failed, log is in {jobs.all_logs}\nThese failed: {which}"
    message += "".join(f"\n{note}" for note in notes or [])
    if lines := last_lines(log):
        message += f"\nThe end of {log}:" + "".join(f"\n  {line}" for line in lines)
    return message + f"\nTo run it alone: {jobs.alone(failed[0])}"


def on_nodes(jobs: Jobs) -> int:
    """Processes that torchrun starts on each node with --nodes: one per GPU, or one."""
    return max(1, jobs.count("gpu", 0) or 0)
