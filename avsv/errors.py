"""The one exception for what a user can put right, and how its message is shown."""

from collections.abc import Iterable
from typing import Any


def refuse_unknown(name: str, value: Any, known: Iterable[Any]) -> None:
    """UserError where an option's value is not one of those that are known.

    Examples
    --------
    >>> refuse_unknown("method", "s-norm", ["z-norm", "s-norm"])
    """
    known = list(known)
    if value not in known:
        raise UserError(f"{name}: expected {', '.join(map(str, known))}, found {value!r}")


def printable(text: str) -> str:
    """Text with its control characters spelt out: a terminal would obey them.

    Examples
    --------
    >>> printable("name \\x1b[2J, line 2")
    'name \\\\x1b[2J, line 2'
    """
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)


class UserError(Exception):
    """The input is wrong; the message says which file, which line, what was expected and what to do.

    `avsv` prints the message without a traceback and exits 1.
    """
