"""Numbers in environment variables, which launchers and users set."""

import os

from avsv.errors import InputError


def number_in(name: str, default: int = 0) -> int:
    """The integer in a variable; `default` if it is unset or empty.

    Raises
    ------
    InputError : it is not an integer >= 0

    Examples
    --------
    >>> number_in("AVSV_NO_SUCH_VARIABLE", 3)
    3
    """
    text = os.environ.get(name, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InputError(f'{name}="{text}" in the environment: expected an integer >= 0')
    return int(text)
