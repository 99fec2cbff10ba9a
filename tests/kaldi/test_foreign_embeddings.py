"""Embeddings of other programs: each form gives the same names and vectors; what is wrong is told with its place."""

import json
import pickle
import resource
import types
import zipfile

import kaldiio
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from avsv.errors import UserError
from avsv.kaldi.embeddings import Embeddings, read_embeddings, write_embeddings
from avsv.kaldi.foreign_embeddings import checked, name_utterances
from avsv.kaldi.foreign_forms import read_foreign, recognise_embeddings

NAMES = ["id2/v/1", "id1/w/1", "id1/v/1"]
VECTORS = np.random.default_rng(0).standard_normal((3, 5)).astype(np.float32)


@pytest.fixture
def read(tmp_path):
    """Read tmp_path/NAME with the given options, checked."""
    return lambda name, **options: checked(tmp_path / name, read_foreign(tmp_path / name, **options))


@pytest.fixture
def refused(tmp_path, read):
    """The message of a file that is refused."""

    def message(name, **options):
        with pytest.raises(UserError) as caught:
            read(name, **options)
        assert name in str(caught.value)
        return str(caught.value)

    return message


def is_ours(found, tolerance=0.0):
    return found.ids == NAMES and np.abs(found.vectors - VECTORS).max() <= tolerance


# npz


def test_npz_with_one_table_and_names_is_found_by_shape_and_type(tmp_path, read):
    np.savez(tmp_path / "x.npz", words=np.array(NAMES), numbers=VECTORS, durations=np.ones(3), other=np.ones((4, 2)))
    assert is_ours(read("x.npz"))


@pytest.mark.parametrize("number_type", ["f2", "f8", ">f4"])
def test_other_float_types_become_float32(tmp_path, read, number_type):
    np.savez(tmp_path / "x.npz", NAMES, VECTORS.astype(number_type))
    found = read("x.npz").vectors
    assert found.dtype == np.float32
    assert np.array_equal(found, VECTORS.astype(number_type).astype(np.float32))


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
    assert "several arrays could be the embeddings: ecapa [3,5] float32, xvect [3,2] float16" in refused("x.npz")
    assert "Name one: --array ecapa" in refused("x.npz")
    assert is_ours(read("x.npz", array="ecapa"))
    assert np.array_equal(read("x.npz", array="xvect").vectors, np.ones((3, 2)))


def test_what_is_not_read_is_told(tmp_path):
    np.savez(tmp_path / "x.npz", keys=np.array(NAMES), ecapa=VECTORS, xvect=np.ones((3, 2), "f2"))
    note = read_foreign(tmp_path / "x.npz", array="ecapa").note
    assert note == "npz: vectors ecapa, names in keys; not read: xvect"


def test_several_lists_of_names_need_a_choice(tmp_path, read, refused):
    np.savez(tmp_path / "x.npz", speakers=np.array(["b", "a", "a"]), keys=np.array(NAMES), x=VECTORS)
    assert 'several could be the names: speakers ("b", ...), keys ("id2/v/1", ...). Name one: --names' in refused(
        "x.npz"
    )
    assert is_ours(read("x.npz", names="keys"))
    assert "the name was there before" in refused("x.npz", names="speakers")


def test_names_of_another_length_are_no_candidates(tmp_path, read):
    np.savez(tmp_path / "x.npz", classes=np.array(["m", "f"]), keys=np.array(NAMES), x=VECTORS)
    assert is_ours(read("x.npz"))


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        ({"k": np.array(NAMES, object), "x": VECTORS}, {}, '"k" holds Python objects, which are not read'),
        ({"k": np.array(NAMES[:2]), "x": VECTORS}, {}, "for 2 names, found k (2 strings), x [3,5] float32"),
        ({"k": np.array(NAMES[:2]), "x": VECTORS}, {"array": "x"}, "x has 3 rows, found k (2 strings)"),
        ({"k": np.array(NAMES), "x": VECTORS.astype(int)}, {}, "floating-point numbers for 3 names, found k"),
        ({"k": np.array(NAMES), "x": VECTORS}, {"array": "y"}, "--array y: there is none of that name. It has k (3"),
        ({"k": np.array(NAMES), "x": VECTORS}, {"names": "y"}, "--names y: there is none of that name"),
        ({"k": np.array(NAMES), "x": VECTORS[:, 0]}, {"array": "x"}, "expected rows of floating-point numbers"),
        ({"x": VECTORS}, {}, "has no names, found x [3,5] float32: give --names-file"),
        ({"a": VECTORS, "b": VECTORS}, {}, "found a [3,5] float32. Average the rows (ESPnet: --average_embd true)"),
        ({"a": np.ones(3), "b": np.ones(3, int)}, {}, "found b [3] int64. It has a [3] float64, b [3] int64"),
        ({"a": np.ones(3), "b": np.ones(2)}, {}, 'array 2 ("b"): has 2 values, not 3 as array 1 ("a")'),
        ({"a": np.ones(0)}, {}, 'array 1 ("a"): there are no values'),
        ({}, {}, "there are no arrays in it"),
        ({"k": np.array(["a", "b", "a"]), "x": VECTORS}, {}, 'row 3 ("a"): the name was there before: row 1 ("a")'),
        ({"k": np.array(["a", "b c", "d"]), "x": VECTORS}, {}, 'row 2 ("b c"): the name is empty or has white space'),
        ({"k": np.array(["a", "", "d"]), "x": VECTORS}, {}, 'row 2 (""): the name is empty'),
        ({"k": np.array(NAMES), "x": np.array([[1], [np.nan], [np.inf]])}, {}, 'row 2 ("id1/w/1"): the embedding'),
        ({"k": np.array(NAMES), "x": np.array([[1], [1], [1e300]])}, {}, "no float32 can hold (1 such"),
        ({"k": np.array([b"a", b"\xff", b"c"]), "x": VECTORS}, {}, '"k" holds bytes that are not UTF-8 text'),
    ],
)  # fmt: skip
def test_arrays_that_do_not_fit_are_refused(tmp_path, refused, arrays, options, message):
    np.savez(tmp_path / "x.npz", **arrays)
    assert message in refused("x.npz", **options)


def test_a_damaged_npz_is_told(tmp_path, refused):
    np.savez(tmp_path / "x.npz", k=np.array(NAMES), x=VECTORS)
    whole = (tmp_path / "x.npz").read_bytes()
    (tmp_path / "x.npz").write_bytes(whole[:-50])
    assert "the file may be cut short" in refused("x.npz")
    (tmp_path / "x.npz").write_bytes(whole.replace(VECTORS.tobytes(), VECTORS[::-1].tobytes()))
    assert 'the array "x" cannot be read' in refused("x.npz")


# npy


def test_npy_takes_its_names_from_a_file(tmp_path, read):
    np.save(tmp_path / "x.npy", VECTORS)
    (tmp_path / "names").write_text("\n".join(NAMES) + "\n")
    assert is_ours(read("x.npy", names_file=tmp_path / "names"))
    np.save(tmp_path / "x.npy", VECTORS[:, None])  # what encode_batch gives, in a batch
    assert is_ours(read("x.npy", names_file=tmp_path / "names"))


def test_npy_needs_names_and_as_many(tmp_path, refused):
    np.save(tmp_path / "x.npy", VECTORS)
    assert "found an array [3,5] float32: give --names-file, one name a line" in refused("x.npy")
    (tmp_path / "names").write_text("a\nb\n")
    assert "for 2 names, found" in refused("x.npy", names_file=tmp_path / "names")
    (tmp_path / "names").write_text("a spk\nb\nc\n")
    with pytest.raises(UserError, match='names, line 1: expected one name, found "a spk"'):
        read_foreign(tmp_path / "x.npy", names_file=tmp_path / "names")


def test_npy_of_a_dictionary_is_not_unpickled(tmp_path, refused):
    np.save(tmp_path / "x.npy", {"a": VECTORS[0]}, allow_pickle=True)
    assert "holds Python objects, which are not read" in refused("x.npy")


# safetensors


@pytest.mark.parametrize("rows", [VECTORS, VECTORS[:, None], VECTORS[:, None, None]], ids=["d", "1,d", "1,1,d"])
def test_safetensors_of_one_tensor_an_utterance(tmp_path, read, rows):
    save_file(dict(zip(NAMES, np.ascontiguousarray(rows))), tmp_path / "x.safetensors")
    found = read("x.safetensors")
    assert dict(zip(found.ids, found.vectors.tolist())) == dict(zip(NAMES, VECTORS.tolist()))


def test_safetensors_with_names_in_the_metadata(tmp_path, read):
    save_file({"x": VECTORS}, tmp_path / "x.safetensors", {"utterances": json.dumps(NAMES), "model": "ecapa", "n": "3"})
    assert is_ours(read("x.safetensors"))


def test_safetensors_with_names_in_a_file(tmp_path, read, refused):
    save_file({"x": VECTORS}, tmp_path / "x.safetensors")
    (tmp_path / "names").write_text("\n".join(NAMES) + "\n")
    assert "give --names-file" in refused("x.safetensors")
    assert is_ours(read("x.safetensors", names_file=tmp_path / "names"))


def test_number_types_that_numpy_has_not_are_told(tmp_path, refused):
    header = json.dumps({"a": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    (tmp_path / "x.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    assert 'the tensor "a" has numbers of type BF16, which numpy has not: save float32' in refused("x.safetensors")


def test_damaged_safetensors_are_told(tmp_path, refused):
    save_file({"x": VECTORS}, tmp_path / "x.safetensors")
    (tmp_path / "x.safetensors").write_bytes((tmp_path / "x.safetensors").read_bytes()[:-4])
    assert "is damaged, or no safetensors file" in refused("x.safetensors")


# Kaldi's archives, and those of WeSpeaker and 3D-Speaker


@pytest.mark.parametrize("suffix", ["ark", "scp"])
@pytest.mark.parametrize("number_type", ["f4", "f8"])
@pytest.mark.parametrize("rows", [VECTORS, VECTORS[:, None]], ids=["vectors", "rows"])
def test_binary_archives(tmp_path, read, suffix, number_type, rows):
    with kaldiio.WriteHelper(f"ark,scp:{tmp_path}/x.ark,{tmp_path}/x.scp") as writer:
        for name, vector in zip(NAMES, rows.astype(number_type)):
            writer(name, vector)
    assert is_ours(read(f"x.{suffix}"))


@pytest.mark.parametrize("suffix", ["ark", "scp"])
@pytest.mark.parametrize("rows", [VECTORS, VECTORS[:, None]], ids=["vectors", "rows"])
def test_text_archives(tmp_path, read, suffix, rows):
    with kaldiio.WriteHelper(f"ark,t,scp:{tmp_path}/x.ark,{tmp_path}/x.scp") as writer:
        for name, vector in zip(NAMES, rows):
            writer(name, vector)
    assert is_ours(read(f"x.{suffix}"), tolerance=1e-6)


@pytest.mark.parametrize("suffix", ["ark", "scp"])
@pytest.mark.parametrize("method", [2, 3, 5], ids=["CM", "CM2", "CM3"])
def test_compressed_archives(tmp_path, read, suffix, method):
    kaldiio.save_ark(
        f"{tmp_path}/x.ark", dict(zip(NAMES, VECTORS[:, None])), f"{tmp_path}/x.scp", compression_method=method
    )
    expected = [array[0] for _, array in kaldiio.load_ark(f"{tmp_path}/x.ark")]
    found = read(f"x.{suffix}")
    assert found.ids == NAMES
    assert found.vectors == pytest.approx(np.stack(expected), abs=1e-6)


@given(st.binary(max_size=80))
def test_an_archive_of_any_bytes_is_read_or_refused(tmp_path_factory, tail):
    path = tmp_path_factory.getbasetemp() / "any.ark"
    path.write_bytes(b"a \0B" + tail)
    try:
        checked(path, read_foreign(path))
    except UserError as error:
        assert "any.ark" in str(error)  # the bytes may look like another form, safetensors for one


def test_damaged_archives_tell_the_record(tmp_path, refused):
    write_embeddings(tmp_path / "x.ark", tmp_path / "x.scp", ["a", "b"], VECTORS[:2])
    whole = (tmp_path / "x.ark").read_bytes()
    (tmp_path / "x.ark").write_bytes(whole[:-3])
    assert 'record 2 ("b"): the file ends in the middle of it' in refused("x.ark")
    (tmp_path / "x.ark").write_bytes(whole + b"hello")
    assert 'record 3 ("hello"): a name and a space were expected' in refused("x.ark")
    (tmp_path / "x.ark").write_bytes(whole + b"hello world\n")
    assert 'record 3 ("hello"): numbers in [ ] were expected' in refused("x.ark")
    with kaldiio.WriteHelper(f"ark:{tmp_path}/x.ark") as writer:
        writer("a", VECTORS)
    assert 'record 1 ("a"): expected a vector, found a matrix of 3 rows' in refused("x.ark")


def test_an_scp_whose_archive_was_moved_says_what_to_do(tmp_path, refused):
    (tmp_path / "x.scp").write_text("a /nowhere/xvector.ark:2\n")
    assert "/nowhere/xvector.ark is not there. If the files were moved, import the archive itself" in refused("x.scp")


def test_commands_in_an_scp_are_not_run(tmp_path, refused):
    (tmp_path / "x.scp").write_text(f"a touch {tmp_path}/ran |\n")
    assert "commands are not run here" in refused("x.scp")
    assert not (tmp_path / "ran").exists()


def test_arrays_are_not_chosen_where_there_are_none(tmp_path, refused):
    (tmp_path / "x.csv").write_text("a,1,2\n")
    assert "--array is for files of arrays; here (text)" in refused("x.csv", array="x")


# text


@pytest.mark.parametrize("delimiter", [",", "\t", " ", ", ", "   "])
@pytest.mark.parametrize("header", [None, "utt x0 x1 x2 x3 x4", "utt 0 1 2 3 4", "utt 1 2 3 4 5"])
def test_tables_with_and_without_header(tmp_path, read, delimiter, header):
    lines = [header.split()] if header else []
    lines += [[name, *map(repr, vector)] for name, vector in zip(NAMES, VECTORS.tolist())]
    (tmp_path / "x.csv").write_text("".join(delimiter.join(line) + "\n" for line in lines))
    assert is_ours(read("x.csv"))


def test_header_of_pandas_and_mark_of_excel(tmp_path, read):
    lines = [f"{name},{','.join(map(repr, vector))}\r\n" for name, vector in zip(NAMES, VECTORS.tolist())]
    (tmp_path / "x.csv").write_bytes(("\ufeff,0,1,2,3,4\r\n" + "".join(lines)).encode())
    assert is_ours(read("x.csv"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,1,2\nb,3\n", 'line 2 ("b"): has 1 values, not 2 as line 1'),
        ("a,1,2\nb,3,x\n", 'line 2: expected comma-separated name and numbers, found "x" after the name "b"'),
        ("a,1,2\nb,3,\n", 'line 2: expected comma-separated name and numbers, found "" after'),
        ("a\t1\t2\n\nb\t1\t2\n", "line 2: is empty, expected tab-separated name and values"),
        ("a 1 2\nb 3 nan\n", 'line 2 ("b"): the embedding holds NaN'),
        ("a 1 2\na 3 4\n", 'line 2 ("a"): the name was there before: line 1 ("a")'),
        ("a,1,2\n,3,4\n", 'line 2 (""): the name is empty'),
        ("a 1 x\nb 1 2\n", 'line 1: expected space-separated name and numbers, found "x" after the name "a"'),
        ("a\nb\n", 'line 1 ("a"): there are no values'),
        ("utt,x0,x1\n", "there are no embeddings in it"),
        ("\n", "the file is empty"),
    ],
)
def test_tables_that_are_wrong_show_the_line(tmp_path, refused, text, message):
    (tmp_path / "x.csv").write_text(text)
    assert message in refused("x.csv")


def test_bytes_that_are_no_text_are_refused(tmp_path, refused):
    (tmp_path / "x.csv").write_bytes(b"a,1,2\nb\xff,1,2\n")
    assert "is not a text file" in refused("x.csv")


# forms


def test_pickles_are_refused_with_the_way_to_convert(tmp_path, refused, monkeypatch):
    """The attributes of SpeechBrain's StatObject_SB; what the message says to run is run, in the test's folder."""
    monkeypatch.chdir(tmp_path)
    stat = types.SimpleNamespace(segset=np.array(NAMES, "|O"), stat1=VECTORS.astype(float))
    (tmp_path / "stat_test.pkl").write_bytes(pickle.dumps(stat))
    message = refused("stat_test.pkl")
    assert "is a Python pickle, which can run any program" in message
    exec(message.partition('python -c "')[2].rstrip('"'), {})
    assert is_ours(checked("x", read_foreign("stat_test.npz")))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"\x89HDF\r\n\x1a\n\0\0", "is in no form that is known here, expected embeddings: npz"),
        (b"PK\3\4cut", "is damaged, the file may be cut short"),
    ],
)
def test_files_of_no_form_are_refused(tmp_path, refused, data, message):
    (tmp_path / "x").write_bytes(data)
    assert message in refused("x")


def test_a_folder_and_a_file_that_is_not_there_are_refused(tmp_path):
    with pytest.raises(UserError, match="is a folder, expected a file"):
        recognise_embeddings(tmp_path)
    with pytest.raises(UserError, match="nowhere: there is no such file"):
        recognise_embeddings(tmp_path / "nowhere")


def test_content_tells_the_form_not_the_suffix(tmp_path, read):
    np.savez(tmp_path / "x.npz", NAMES, VECTORS)
    (tmp_path / "x.npz").rename(tmp_path / "x.csv")
    assert is_ours(read("x.csv"))


# names


def ids(names, **options):
    return name_utterances("x", Embeddings(names, np.zeros((len(names), 1))), **options)


def test_names_that_end_as_media_files_become_utterances():
    found, n_paths = ids(["id10270/5r0dWxy17C8/00001.wav", "id1/v/2.m4a", "nsc1/SPEAKER0001_1", "a.b"])
    assert found.ids == ["id10270-5r0dWxy17C8-00001", "id1-v-2", "nsc1/SPEAKER0001_1", "a.b"]
    assert n_paths == 2


def test_all_or_no_names_can_be_paths():
    assert ids(["id1/v/1", "id1/v/2.wav"], paths="all")[0].ids == ["id1-v-1", "id1-v-2"]
    assert ids(["id1/v/1", "id1/v/2.wav"], paths="none")[0].ids == ["id1/v/1", "id1/v/2.wav"]


def test_two_names_of_one_utterance_are_refused():
    with pytest.raises(UserError, match=r'"id1/v\.wav" and "id1-v" are both utterance id1-v'):
        ids(["id1/v.wav", "id1-v"])


def test_absolute_paths_are_refused():
    with pytest.raises(UserError, match=r'"/data/id1/v\.wav" is an absolute path'):
        ids(["/data/id1/v.wav"])
    assert ids(["/data/id1/v.wav"], paths="none")[1] == 0


def test_what_is_written_is_read_again(tmp_path, read):
    np.savez(tmp_path / "x.npz", NAMES, VECTORS)
    found = read("x.npz")
    write_embeddings(tmp_path / "y.ark", tmp_path / "y.scp", found.ids, found.vectors)
    assert is_ours(read_embeddings(tmp_path / "y.scp", only=NAMES))


# files that take many times their size


def npy_header(text):
    """The beginning of an npy file with this header, whatever it says."""
    header = text.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


HUGE = ["(10**12,)", "(1000000000000,)", "(4294967296, 4294967296)", "(1000000000000, 0)", "(0, 1000000000000)",
        "(-1,)", "(-5, -5)", "(1000000, 1000000, 1)"]  # fmt: skip


@pytest.mark.parametrize("shape", HUGE)
@pytest.mark.parametrize("kind", ["<f4", "<U0", "|V0", "<U1000000000"])
def test_shapes_that_the_file_has_no_room_for_are_refused_before_memory_is_taken(tmp_path, refused, shape, kind):
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


def test_a_line_of_many_megabytes_is_no_table(tmp_path, refused):
    (tmp_path / "x.csv").write_bytes(b"a" + b",1" * 3_000_000)
    assert "MiB" in refused("x.csv")


def test_marks_in_the_middle_of_joined_tables_are_no_text(tmp_path):
    (tmp_path / "x.csv").write_bytes("\ufeffa,1,2\n\ufeffb,3,4\n".encode())
    assert checked("x", read_foreign(tmp_path / "x.csv")).ids == ["a", "b"]


def test_fortran_order_and_other_versions_are_read(tmp_path, read):
    np.savez(tmp_path / "x.npz", k=np.array(NAMES), x=np.asfortranarray(VECTORS))
    assert is_ours(read("x.npz"))
    with open(tmp_path / "x.npy", "wb") as out:
        np.lib.format.write_array(out, np.asfortranarray(VECTORS), version=(2, 0))
    (tmp_path / "names").write_text("\n".join(NAMES) + "\n")
    assert is_ours(read("x.npy", names_file=tmp_path / "names"))
