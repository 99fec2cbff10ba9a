"""Errors that a user can fix. The command line prints their message in one line and exits with status 1.

A message names the file and line, what was expected, and what to do.
"""

from collections.abc import Iterable
from typing import Any


class AvsvError(Exception):
    """Any error that a user can fix; catch it to handle all classes below."""


class InputError(AvsvError):
    """A file is absent, damaged, stale, in the wrong format, or does not match another one."""


class MissingEmbedding(InputError):
    """A trial names a recording that has no embedding."""


class OptionError(AvsvError):
    """An option or argument has a value that cannot be used, or contradicts another option."""


def refuse_unknown(name: str, value: Any, known: Iterable[Any]) -> None:
    """Raise OptionError unless `value` is one of the known values of a parameter.

    Examples
    --------
    >>> refuse_unknown("method", "s-norm", ["z-norm", "s-norm"])
    """
    known = list(known)
    if value not in known:
        raise OptionError(f"{name}: expected {', '.join(map(str, known))}, found {value!r}")


def printable(text: str) -> str:
    """Text with its control characters escaped, because a terminal would obey them.

    Examples
    --------
    >>> printable("name \\x1b[2J, line 2")
    'name \\\\x1b[2J, line 2'
    """
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)
