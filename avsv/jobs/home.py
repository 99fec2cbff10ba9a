"""The user's home folder, where published models are kept."""

import os
from pathlib import Path

from avsv.errors import InputError


def home_folder() -> Path:
    """The home folder; InputError where there is none: a user without a name (docker run --user) and without HOME."""
    try:
        folder = Path.home()
    except RuntimeError:
        folder = Path()
    if not os.environ.get("HOME", "x") or not folder.is_absolute():
        raise InputError("this user has no home folder, where published models are kept: set HOME to a folder, or give "
                        "the folder of a model that is here already")  # fmt: skip
    return folder
