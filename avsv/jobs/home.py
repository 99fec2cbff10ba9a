"""The user's home folder, where published models are kept."""

import os
from pathlib import Path

from avsv.errors import InputError


def home_folder() -> Path:
    """The home folder; InputError if the user has none, as under docker run --user without HOME."""
    try:
        folder = Path.home()
    except RuntimeError:
        folder = Path()
    if not os.environ.get("HOME", "x") or not folder.is_absolute():
        raise InputError("this user has no home folder, where published models are kept: set HOME to a folder, or give "
                        "the folder of a model on this machine")  # fmt: skip
    return folder
