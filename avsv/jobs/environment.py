"""Numbers in environment variables, which launchers and users set."""

import os

from avsv.errors import InputError


def number_in(name: str, default: int = 0) -> int:
    """The whole number that a variable holds; `default` where it is not set, or empty.

    Raises
    ------
    InputError : it holds something else

    Examples
    --------
    >>> number_in("AVSV_NO_SUCH_VARIABLE", 3)
    3
    """
    said = os.environ.get(name, "").strip()
    if not said:
        return default
    if not (said.isascii() and said.isdigit() and len(said) < 10):
        raise InputError(f'{name}="{said}" in the environment: expected an integer >= 0')
    return int(said)
