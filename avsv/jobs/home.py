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
        raise InputError("published models are kept in the home folder, and this user has none: set HOME to a folder, "
                        "or give the folder of a model on this machine")  # fmt: skip
    return folder
