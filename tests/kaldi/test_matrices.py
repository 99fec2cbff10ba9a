"""Kaldi's vectors and matrices: bytes as kaldiio writes them, text as Kaldi writes it."""

import struct

import kaldiio
import numpy as np
import pytest

from avsv.errors import InputError
from avsv.kaldi.matrices import decode, read_array, read_crop, read_entry, write_array


@pytest.mark.parametrize("shape", [(3,), (2, 3), (1, 3)])
@pytest.mark.parametrize("number_type", ["<f4", "<f8"])
def test_arrays_round_trip_and_agree_with_kaldiio(tmp_path, shape, number_type):
    array = np.random.default_rng(0).standard_normal(shape).astype(number_type)
    write_array(tmp_path / "x", array)
    kaldiio.save_mat(str(tmp_path / "k"), array)
    assert (tmp_path / "x").read_bytes() == (tmp_path / "k").read_bytes()
    again = read_array(tmp_path / "x")
    assert np.array_equal(again, array)
    assert again.dtype == number_type


@pytest.mark.parametrize("method", [2, 3, 5], ids=["CM", "CM2", "CM3"])
@pytest.mark.parametrize("shape", [(1, 7), (3, 2), (20, 4)])
def test_compressed_matrices_agree_with_kaldiio(tmp_path, method, shape):
    array = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    kaldiio.save_mat(str(tmp_path / "k"), array, compression_method=method)
    found = read_array(tmp_path / "k")
    assert found.dtype == np.float32
    assert found == pytest.approx(kaldiio.load_mat(str(tmp_path / "k")), abs=1e-6)
    assert np.abs(found - array).max() < 0.02 * np.ptp(array)


def test_compressed_values_are_linear_between_percentiles():
    """Kaldi's CharToFloat: bytes 0, 64, 192 and 255 are the percentiles themselves."""
    header = b"CM " + struct.pack("<ffii", 0.0, 65535.0, 6, 1) + struct.pack("<4H", 10, 20, 40, 50)
    found, end = decode(header + bytes([0, 32, 64, 128, 192, 255]))
    assert found[:, 0] == pytest.approx([10, 15, 20, 30, 40, 50])
    assert end == len(header) + 6


def test_text_is_read(tmp_path):
    (tmp_path / "v").write_text(" [ 1 2.5 -3e-1 ]\n")
    (tmp_path / "m").write_text(" [\n  1 2 \n  3 4 ]\n")
    assert read_array(tmp_path / "v").tolist() == [1, 2.5, -0.3]
    assert read_array(tmp_path / "m").tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"\0BFV \x04\x03\x00\x00\x00abc",
        b"\0BFV \x04",
        b"\0BCM xxxx",
        b"\0BCM3" + bytes(8),
        b" [ 1 x ]",
        b"[\n1 2\n3 ]",
        b"\0BCM2 " + struct.pack("<ffii", 0, 1, 1, 9) + bytes(17),
        b"\0BFM 1",
        b"\0BCM " + struct.pack("<ffii", 0, 1, -1, 9),
    ],
)
def test_damage_is_named(tmp_path, data):
    (tmp_path / "mean.vec").write_bytes(data)
    with pytest.raises(InputError, match=r"mean\.vec: "):
        read_array(tmp_path / "mean.vec")


def test_an_scp_entry_is_read_at_its_offset(tmp_path):
    one, other = np.eye(3, dtype=np.float32), np.arange(4, dtype=np.float32)
    kaldiio.save_ark(str(tmp_path / "a.ark"), {"one": one, "other": other}, scp=str(tmp_path / "a.scp"))
    first, second = (line.split()[1] for line in (tmp_path / "a.scp").read_text().splitlines())
    assert np.array_equal(read_entry(first), one) and np.array_equal(read_entry(second), other)


@pytest.mark.parametrize(
    ("entry", "message"),
    [("none.ark:3", "No such file"), ("a.ark:1", "cut short"), ("a.ark", "expected"), ("empty.ark:0", "is empty")],
)
def test_a_wrong_entry_is_refused(tmp_path, monkeypatch, entry, message):
    monkeypatch.chdir(tmp_path)
    kaldiio.save_ark("a.ark", {"one": np.eye(3, dtype=np.float32)})
    (tmp_path / "empty.ark").write_bytes(b"")
    with pytest.raises(InputError, match=message):
        read_entry(entry)


@pytest.mark.parametrize("method", [None, 2, 3, 5], ids=["float", "CM", "CM2", "CM3"])
@pytest.mark.parametrize(("begin", "first"), [(0.0, 0), (0.5, 7), (0.999, 13), (1.0, 13)])
def test_a_crop_has_the_rows_that_kaldiio_reads(tmp_path, method, begin, first):
    array = np.random.default_rng(0).standard_normal((20, 4)).astype(np.float32)
    kaldiio.save_ark(str(tmp_path / "a"), {"x": array, "y": array[::-1]}, compression_method=method)
    whole = kaldiio.load_mat(f"{tmp_path}/a:2")
    assert read_crop(f"{tmp_path}/a:2", begin, 7) == pytest.approx(whole[first : first + 7], abs=1e-6)


def test_a_crop_of_text_and_of_a_vector(tmp_path):
    (tmp_path / "a").write_bytes(b"x  [\n 1 2\n 3 4\n 5 6 ]\ny  [ 7 8 9 ]\n")
    assert read_crop(f"{tmp_path}/a:2", 1.0, 2).tolist() == [[3, 4], [5, 6]]
    assert read_crop(f"{tmp_path}/a:25", 0.0, 2).tolist() == [7, 8]


def test_a_matrix_shorter_than_the_crop_is_repeated_and_an_empty_one_refused(tmp_path):
    write_array(tmp_path / "x", np.arange(4, dtype="<f4").reshape(2, 2))
    assert read_crop(f"{tmp_path}/x:0", 0.7, 5)[:, 0].tolist() == [0, 2, 0, 2, 0]
    write_array(tmp_path / "x", np.zeros((0, 2), "<f4"))
    with pytest.raises(InputError, match="has no rows"):
        read_crop(f"{tmp_path}/x:0", 0.5, 2)


def test_a_crop_of_a_truncated_archive_is_refused(tmp_path):
    write_array(tmp_path / "x", np.zeros((50, 4), "<f4"))
    data = (tmp_path / "x").read_bytes()
    (tmp_path / "x").write_bytes(data[:-4])
    with pytest.raises(InputError, match="cut short"):
        read_crop(f"{tmp_path}/x:0", 0.0, 2)


def test_an_entry_may_have_a_range_and_no_offset(tmp_path):
    whole = np.arange(40, dtype="f4").reshape(10, 4)
    kaldiio.save_mat(str(tmp_path / "m.mat"), whole)
    kaldiio.save_ark(str(tmp_path / "m.ark"), {"m": whole}, compression_method=2)
    entry = f"{tmp_path}/m.mat"
    assert read_entry(entry).tolist() == whole.tolist()
    assert read_entry(f"{entry}[2:5,1:2]").tolist() == whole[2:6, 1:3].tolist()
    assert read_crop(f"{entry}[2:7]", 1.0, 3).tolist() == whole[5:8].tolist()
    assert read_entry(f"{tmp_path}/m.ark:2[2:5]") == pytest.approx(whole[2:6], abs=0.2)
    for bad in ("[9:13]", "[10:10]", "[0:0,0:4]", "[a:b]", "[1]"):
        with pytest.raises(InputError, match=r"m\.mat"):
            read_entry(entry + bad)
