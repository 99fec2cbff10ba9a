"""Files of weights from anywhere: what is no model at all is named for what it is before a library reads it."""

from pathlib import Path

from avsv.errors import InputError
from avsv.jobs.inputs import regular_file

POINTER = b"version https://git-lfs.github.com/spec/"
PAGES = (b"<!doctype", b"<html", b"<?xml", b"<head")


def require_model_file(path: Path | str) -> Path:
    """The path itself; an absent file is left to whoever opens it.

    Raises
    ------
    InputError : no ordinary file, an empty one, a git-lfs pointer, a web page
    """
    path = regular_file(path)
    try:
        with open(path, "rb") as file:
            head = file.read(512)
    except FileNotFoundError:
        return path
    if not head:
        raise InputError(f"{path}: is empty; copy or download it again")
    if head.startswith(POINTER):
        raise InputError(f"{path}: is a pointer of git-lfs, not the weights. Where the repository was cloned, run: "
                        f"git lfs install && git lfs pull; or download {path.name} itself")  # fmt: skip
    if head.lstrip().lower().startswith(PAGES):
        raise InputError(f"{path}: is a web page, not the weights: the download was answered by a page (of a login, or "
                        "of an error). Download it again")  # fmt: skip
    return path
