"""A path that is not a regular file is refused before anything waits for it."""

import os
import socket

import pytest

from avsv.errors import InputError
from avsv.jobs.inputs import regular_file


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(path))


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, make_socket, lambda path: os.symlink("/dev/zero", path)])
def test_a_path_that_is_not_a_regular_file_is_refused(tmp_path, make):
    make(tmp_path / "x")
    with pytest.raises(InputError, match=str(tmp_path / "x")):
        regular_file(tmp_path / "x")


def test_files_links_to_files_and_absent_ones_pass(tmp_path):
    (tmp_path / "x").write_text("1")
    (tmp_path / "link").symlink_to("x")
    for name in ("x", "link", "absent"):
        assert regular_file(tmp_path / name) == tmp_path / name
