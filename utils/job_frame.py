"""The frame of run.py, slurm.py and sge.py: help, exit codes, signals, and the progress line.

Exit codes: 0 all jobs succeeded, 1 jobs failed, 2 the command line is wrong or the jobs were interrupted.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Callable

import jobs as grammar
from jobs import Jobs, UsageError

THREAD_VARIABLES = ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"]

signals: list[str] = []  # names of received signals; checked between steps, so no job is left half started
parent = os.getppid()


class Interrupted(Exception):
    """A signal was received, or the calling script has ended."""


class Refused(Exception):
    """Something that the jobs need is missing; the message is for the user."""


def note_signals() -> None:
    """Record INT, TERM and HUP for `check`, unless they are ignored (nohup, background jobs)."""

    def keep(number: int, _frame: object) -> None:
        signals.append(signal.Signals(number).name)

    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(each) != signal.SIG_IGN:
            signal.signal(each, keep)


def check(program: str) -> None:
    """Between two steps: raise Interrupted if the jobs must end."""
    if os.getppid() != parent:
        raise Interrupted(f"the script that called {program} has ended")
    if signals:
        raise Interrupted(f"{signals[0]} came")


def show(text: str, last: bool = False) -> None:
    """Overwrite the line that counts jobs, if stderr is a terminal."""
    if sys.stderr and sys.stderr.isatty():
        width = os.get_terminal_size(sys.stderr.fileno()).columns
        text = text[: width - 1] if width else text
        print(f"\r\033[K{text}", end="\n" if last else "", file=sys.stderr, flush=True)


def say(program: str, text: str) -> None:
    """Print a message on a line of its own; a closed or full stderr is ignored."""
    with contextlib.suppress(OSError):
        start = "\r\033[K" if sys.stderr and sys.stderr.isatty() else ""
        print(f"{start}{program}: {text}", file=sys.stderr, flush=True)


def main(program: str, help_text: str, run: Callable[[Jobs], str], arguments: list[str]) -> int:
    """Parse, run, and turn the result into an exit code.

    Parameters
    ----------
    run : jobs -> message about failed ones, empty if all succeeded
    """
    if not arguments or arguments[0] in ("-h", "--help"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # run.py --help | head
        print(help_text.strip())
        return 0 if arguments else 2
    note_signals()
    try:
        failure = run(grammar.parse(arguments))
    except UsageError as error:
        say(program, str(error))
        return 2
    except Refused as error:
        say(program, str(error))
        return 1
    except OSError as error:
        where = f"{os.fsdecode(error.filename)}: " if error.filename else ""
        say(program, f"{where}{error.strerror or error}")
        return 1
    except Interrupted as reason:
        say(program, f"jobs ended: {reason}")
        return 2
    if failure:
        say(program, failure)
    return 1 if failure else 0
