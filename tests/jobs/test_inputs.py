"""Only regular files are opened, and text is read with or without a byte order mark."""

import os
import socket

import pytest

from avsv.errors import InputError
from avsv.jobs.inputs import open_regular, read_text


@pytest.fixture
def written(tmp_path):
    def write(data):
        (tmp_path / "file").write_bytes(data)
        return tmp_path / "file"

    return write


def test_inputs_that_would_hang_or_never_end_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    (tmp_path / "zeros").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        for name in ("pipe", "link", "zeros", "socket", "absent", ".", "file\0", "x" * 300, "pipe/below"):
            with pytest.raises(InputError):
                open_regular(f"{tmp_path}/{name}")


def test_a_file_without_read_permission_is_a_user_error(written):
    path = written(b"a")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("root reads everything")
    with pytest.raises(InputError, match="file"):
        read_text(path)


def test_byte_order_marks_are_dropped_even_where_files_were_joined(written):
    assert read_text(written("\ufeffa\nb\n\ufeffc\n".encode())) == "a\nb\nc\n"


def test_a_mark_inside_a_line_stays(written):
    assert read_text(written("a\ufeffb\n".encode())) == "a\ufeffb\n"


@pytest.mark.parametrize("data", ["a b\n".encode("utf-16"), b"\xff\xfe", b"caf\xe9", "a b".encode("utf-16-le"), b"a\0"])
def test_other_encodings_are_refused_by_file_name(data, written):
    with pytest.raises(InputError, match="file"):
        read_text(written(data))
