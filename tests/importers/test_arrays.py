"""numpy and safetensors arrays: names and vectors are recognised by shape and type; errors name the faulty part."""

import json
import resource
import zipfile

import numpy as np
import pytest
from safetensors.numpy import save_file

from avsv.errors import InputError
from avsv.importers.formats import read_raw_embeddings
from tests.importers.examples import NAMES, VECTORS, is_ours

# npz


def test_npz_with_one_table_and_names_is_found_by_shape_and_type(tmp_path, read):
    np.savez(tmp_path / "x.npz", words=np.array(NAMES), numbers=VECTORS, durations=np.ones(3), other=np.ones((4, 2)))
    assert is_ours(read("x.npz"))


@pytest.mark.parametrize("number_type", ["f2", "f8", ">f4"])
def test_other_float_types_become_float32(tmp_path, read, number_type):
    np.savez(tmp_path / "x.npz", NAMES, VECTORS.astype(number_type))
    result = read("x.npz").vectors
    assert result.dtype == np.float32
    assert np.array_equal(result, VECTORS.astype(number_type).astype(np.float32))


def test_names_may_be_bytes(tmp_path, read):
    np.savez(tmp_path / "x.npz", np.array(NAMES, "S"), VECTORS)
    assert is_ours(read("x.npz"))


def test_npz_of_one_array_an_utterance(tmp_path, read):
    np.savez(tmp_path / "x.npz", **dict(zip(NAMES, VECTORS)))
    assert is_ours(read("x.npz"))
    np.savez(tmp_path / "x.npz", **dict(zip(NAMES, VECTORS[:, None])))  # one row, as ESPnet averages
    assert is_ours(read("x.npz"))


def test_several_tables_need_a_choice(tmp_path, read, refused):
    np.savez(tmp_path / "x.npz", keys=np.array(NAMES), ecapa=VECTORS, xvect=np.ones((3, 2), "f2"))
    message = refused("x.npz")
    assert "ecapa [3,5] float32, xvect [3,2] float16" in message and "`array` ecapa" in message
    assert is_ours(read("x.npz", array="ecapa"))
    assert np.array_equal(read("x.npz", array="xvect").vectors, np.ones((3, 2)))


def test_the_note_lists_arrays_that_are_not_read(tmp_path):
    np.savez(tmp_path / "x.npz", keys=np.array(NAMES), ecapa=VECTORS, xvect=np.ones((3, 2), "f2"))
    note = read_raw_embeddings(tmp_path / "x.npz", array="ecapa").note
    assert note == "npz: vectors ecapa, names in keys; not read: xvect"


def test_several_lists_of_names_need_a_choice(tmp_path, read, refused):
    np.savez(tmp_path / "x.npz", speakers=np.array(["b", "a", "a"]), keys=np.array(NAMES), x=VECTORS)
    message = refused("x.npz")
    assert 'speakers ("b", ...), keys ("id2/v/1", ...)' in message and "`names`" in message
    assert is_ours(read("x.npz", names="keys"))
    assert 'row 3 ("a")' in refused("x.npz", names="speakers")


def test_lists_of_another_length_are_not_candidates_for_names(tmp_path, read):
    np.savez(tmp_path / "x.npz", classes=np.array(["m", "f"]), keys=np.array(NAMES), x=VECTORS)
    assert is_ours(read("x.npz"))


@pytest.mark.parametrize(
    ("arrays", "options", "place"),
    [
        ({"k": np.array(NAMES, object), "x": VECTORS}, {}, '"k"'),
        ({"k": np.array(NAMES[:2]), "x": VECTORS}, {}, "k (2 strings), x [3,5] float32"),
        ({"k": np.array(NAMES[:2]), "x": VECTORS}, {"array": "x"}, "k (2 strings)"),
        ({"k": np.array(NAMES), "x": VECTORS.astype(int)}, {}, "k (3 strings)"),
        ({"k": np.array(NAMES), "x": VECTORS}, {"array": "y"}, "`array` y"),
        ({"k": np.array(NAMES), "x": VECTORS}, {"names": "y"}, "`names` y"),
        ({"k": np.array(NAMES), "x": VECTORS[:, 0]}, {"array": "x"}, "x [3] float32"),
        ({"x": VECTORS}, {}, "x [3,5] float32"),
        ({"a": VECTORS, "b": VECTORS}, {}, "a [3,5] float32"),
        ({"a": np.ones(3), "b": np.ones(3, int)}, {}, "a [3] float64, b [3] int64"),
        ({"a": np.ones(3), "b": np.ones(2)}, {}, 'array 2 ("b")'),
        ({"a": np.ones(0)}, {}, 'array 1 ("a")'),
        ({}, {}, "x.npz"),
        ({"k": np.array(["a", "b", "a"]), "x": VECTORS}, {}, 'row 3 ("a")'),
        ({"k": np.array(["a", "b c", "d"]), "x": VECTORS}, {}, 'row 2 ("b c")'),
        ({"k": np.array(["a", "", "d"]), "x": VECTORS}, {}, 'row 2 ("")'),
        ({"k": np.array(NAMES), "x": np.array([[1], [np.nan], [np.inf]])}, {}, 'row 2 ("id1/w/1")'),
        ({"k": np.array(NAMES), "x": np.array([[1], [1], [1e300]])}, {}, 'row 3 ("id1/v/1")'),
        ({"k": np.array([b"a", b"\xff", b"c"]), "x": VECTORS}, {}, '"k"'),
    ],
)  # fmt: skip
def test_arrays_that_do_not_fit_are_refused(tmp_path, refused, arrays, options, place):
    np.savez(tmp_path / "x.npz", **arrays)
    assert place in refused("x.npz", **options)


def test_a_damaged_npz_is_refused(tmp_path, refused):
    np.savez(tmp_path / "x.npz", k=np.array(NAMES), x=VECTORS)
    whole = (tmp_path / "x.npz").read_bytes()
    (tmp_path / "x.npz").write_bytes(whole[:-50])
    assert "truncated" in refused("x.npz")
    (tmp_path / "x.npz").write_bytes(whole.replace(VECTORS.tobytes(), VECTORS[::-1].tobytes()))
    assert 'the array "x"' in refused("x.npz")


# npy


def test_npy_takes_its_names_from_a_file(tmp_path, read):
    np.save(tmp_path / "x.npy", VECTORS)
    (tmp_path / "names").write_text("\n".join(NAMES) + "\n")
    assert is_ours(read("x.npy", names_file=tmp_path / "names"))
    np.save(tmp_path / "x.npy", VECTORS[:, None])  # the shape of SpeechBrain's encode_batch
    assert is_ours(read("x.npy", names_file=tmp_path / "names"))


def test_npy_needs_one_name_per_row(tmp_path, refused):
    np.save(tmp_path / "x.npy", VECTORS)
    assert "[3,5] float32" in refused("x.npy") and "`names_file`" in refused("x.npy")
    (tmp_path / "names").write_text("a\nb\n")
    refused("x.npy", names_file=tmp_path / "names")
    (tmp_path / "names").write_text("a spk\nb\nc\n")
    with pytest.raises(InputError, match="names, line 1"):
        read_raw_embeddings(tmp_path / "x.npy", names_file=tmp_path / "names")


def test_npy_of_a_dictionary_is_not_unpickled(tmp_path, refused):
    np.save(tmp_path / "x.npy", {"a": VECTORS[0]}, allow_pickle=True)
    assert "Python objects" in refused("x.npy")


# safetensors


@pytest.mark.parametrize("rows", [VECTORS, VECTORS[:, None], VECTORS[:, None, None]], ids=["d", "1,d", "1,1,d"])
def test_safetensors_of_one_tensor_an_utterance(tmp_path, read, rows):
    save_file(dict(zip(NAMES, np.ascontiguousarray(rows))), tmp_path / "x.safetensors")
    result = read("x.safetensors")
    assert dict(zip(result.ids, result.vectors.tolist())) == dict(zip(NAMES, VECTORS.tolist()))


def test_safetensors_with_names_in_the_metadata(tmp_path, read):
    save_file({"x": VECTORS}, tmp_path / "x.safetensors", {"utterances": json.dumps(NAMES), "model": "ecapa", "n": "3"})
    assert is_ours(read("x.safetensors"))


def test_safetensors_with_names_in_a_file(tmp_path, read, refused):
    save_file({"x": VECTORS}, tmp_path / "x.safetensors")
    (tmp_path / "names").write_text("\n".join(NAMES) + "\n")
    assert "`names_file`" in refused("x.safetensors")
    assert is_ours(read("x.safetensors", names_file=tmp_path / "names"))


def test_number_types_that_numpy_lacks_are_refused(tmp_path, refused):
    header = json.dumps({"a": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    (tmp_path / "x.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    assert '"a"' in refused("x.safetensors") and "BF16" in refused("x.safetensors")


def test_a_damaged_safetensors_file_is_refused(tmp_path, refused):
    save_file({"x": VECTORS}, tmp_path / "x.safetensors")
    (tmp_path / "x.safetensors").write_bytes((tmp_path / "x.safetensors").read_bytes()[:-4])
    refused("x.safetensors")


def test_fortran_order_and_other_versions_are_read(tmp_path, read):
    np.savez(tmp_path / "x.npz", k=np.array(NAMES), x=np.asfortranarray(VECTORS))
    assert is_ours(read("x.npz"))
    with open(tmp_path / "x.npy", "wb") as out:
        np.lib.format.write_array(out, np.asfortranarray(VECTORS), version=(2, 0))
    (tmp_path / "names").write_text("\n".join(NAMES) + "\n")
    assert is_ours(read("x.npy", names_file=tmp_path / "names"))


# small files that expand to many times their size


def npy_header(text):
    """The start of an npy file with the given header, valid or not."""
    header = text.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


HUGE = ["(10**12,)", "(1000000000000,)", "(4294967296, 4294967296)", "(1000000000000, 0)", "(0, 1000000000000)",
        "(-1,)", "(-5, -5)", "(1000000, 1000000, 1)"]  # fmt: skip


@pytest.mark.parametrize("shape", HUGE)
@pytest.mark.parametrize("kind", ["<f4", "<U0", "|V0", "<U1000000000"])
def test_shapes_larger_than_the_file_are_refused_before_memory_is_allocated(tmp_path, refused, shape, kind):
    npy = npy_header(f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}}}") + b"1234"
    (tmp_path / "x.npy").write_bytes(npy)
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("a.npy", npy)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for name in ("x.npy", "x.npz"):
        assert name in refused(name)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024


@pytest.mark.parametrize("name", ["x.npz", "x.pt"])
def test_a_zip_file_that_expands_to_many_times_its_size_is_refused(tmp_path, refused, name):
    member = "a.npy" if name == "x.npz" else "x/data.pkl"
    header = npy_header("{'descr': '|u1', 'fortran_order': False, 'shape': (200000000,)}")
    with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, header + bytes(200_000_000))
    assert (tmp_path / name).stat().st_size < 1e6
    assert "expand" in refused(name)


@pytest.mark.parametrize("array", [np.float32(3), np.array(True), np.ones((2, 3), complex), np.ones((2, 3), bool),
                                   np.zeros(2, [("a", "f4"), ("b", "f4")]), np.ones((2, 2, 2, 2)), np.zeros((0, 3)),
                                   np.array(["2020-01-01"], "M8"), np.array([b"a"], "V1"),
                                   np.ones((2, 3), np.int8)])  # fmt: skip
def test_arrays_of_odd_kinds_are_refused_by_name(tmp_path, refused, array):
    (tmp_path / "names").write_text("a\nb\n")
    np.savez(tmp_path / "x.npz", odd=array)
    assert "odd" in refused("x.npz") or "x.npz" in refused("x.npz")
    np.savez(tmp_path / "y.npz", odd=array, names=np.array(["a", "b"]))
    assert "odd" in refused("y.npz")
    np.save(tmp_path / "x.npy", array)
    assert "x.npy" in refused("x.npy", names_file=tmp_path / "names")
