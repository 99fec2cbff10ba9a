"""Kaldi's vectors and matrices: bytes as kaldiio writes them, text as Kaldi writes it."""

import kaldiio
import numpy as np
import pytest

from avsv.errors import UserError
from avsv.kaldi.matrices import read_array, write_array


@pytest.mark.parametrize("shape", [(3,), (2, 3), (1, 3)])
@pytest.mark.parametrize("number_type", ["<f4", "<f8"])
def test_arrays_come_back_and_are_kaldiios(tmp_path, shape, number_type):
    array = np.random.default_rng(0).standard_normal(shape).astype(number_type)
    write_array(tmp_path / "x", array)
    kaldiio.save_mat(str(tmp_path / "k"), array)
    assert (tmp_path / "x").read_bytes() == (tmp_path / "k").read_bytes()
    again = read_array(tmp_path / "x")
    assert np.array_equal(again, array)
    assert again.dtype == number_type


def test_text_is_read(tmp_path):
    (tmp_path / "v").write_text(" [ 1 2.5 -3e-1 ]\n")
    (tmp_path / "m").write_text(" [\n  1 2 \n  3 4 ]\n")
    assert read_array(tmp_path / "v").tolist() == [1, 2.5, -0.3]
    assert read_array(tmp_path / "m").tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"\0BFV \x04\x03\x00\x00\x00abc", b"\0BFV \x04", b"\0BCM xxxx", b" [ 1 x ]", b"[\n1 2\n3 ]"]
)
def test_damage_is_named(tmp_path, data):
    (tmp_path / "mean.vec").write_bytes(data)
    with pytest.raises(UserError, match=r"mean\.vec: "):
        read_array(tmp_path / "mean.vec")
