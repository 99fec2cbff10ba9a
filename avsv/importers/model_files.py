"""Checks on downloaded model files, before a library reads them: empty files, git-lfs pointers and web pages."""

from pathlib import Path

from avsv.errors import InputError
from avsv.jobs.inputs import regular_file

POINTER = b"version https://git-lfs.github.com/spec/"
PAGES = (b"<!doctype", b"<html", b"<?xml", b"<head")


def require_model_file(path: Path | str) -> Path:
    """Return the path unless the file cannot be a model; an absent file is left to the code that opens it.

    Raises
    ------
    InputError : not an ordinary file, an empty file, a git-lfs pointer, or a web page
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
        raise InputError(f"{path}: is a git-lfs pointer, not the weights. In the cloned repository, run: git lfs "
                        f"install && git lfs pull; or download {path.name} itself")  # fmt: skip
    if head.lstrip().lower().startswith(PAGES):
        raise InputError(f"{path}: is a web page, probably a login or error page, not the weights; download it again")
    return path
