"""Embeddings of other programs: each form gives the same names and vectors; what is wrong is told with its place."""

import pickle
import types

import kaldiio
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avsv.errors import InputError
from avsv.importers.embeddings import checked, name_utterances
from avsv.importers.formats import read_raw_embeddings, recognise_embeddings
from avsv.kaldi.embeddings import Embeddings, read_embeddings, write_embeddings
from tests.importers.foreign import NAMES, VECTORS, is_ours

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
        checked(path, read_raw_embeddings(path))
    except InputError as error:
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


def test_a_line_of_many_megabytes_is_no_table(tmp_path, refused):
    (tmp_path / "x.csv").write_bytes(b"a" + b",1" * 3_000_000)
    assert "MiB" in refused("x.csv")


def test_marks_in_the_middle_of_joined_tables_are_no_text(tmp_path):
    (tmp_path / "x.csv").write_bytes("\ufeffa,1,2\n\ufeffb,3,4\n".encode())
    assert checked("x", read_raw_embeddings(tmp_path / "x.csv")).ids == ["a", "b"]


# forms


def test_pickles_are_refused_with_the_way_to_convert(tmp_path, refused, monkeypatch):
    """The attributes of SpeechBrain's StatObject_SB; what the message says to run is run, in the test's folder."""
    monkeypatch.chdir(tmp_path)
    stat = types.SimpleNamespace(segset=np.array(NAMES, "|O"), stat1=VECTORS.astype(float))
    (tmp_path / "stat_test.pkl").write_bytes(pickle.dumps(stat))
    message = refused("stat_test.pkl")
    assert "is a Python pickle, which can run any program" in message
    exec(message.partition('python -c "')[2].rstrip('"'), {})
    assert is_ours(checked("x", read_raw_embeddings("stat_test.npz")))


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
    with pytest.raises(InputError, match="is a folder, expected a file"):
        recognise_embeddings(tmp_path)
    with pytest.raises(InputError, match="nowhere: there is no such file"):
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
    with pytest.raises(InputError, match=r'"id1/v\.wav" and "id1-v" are both utterance id1-v'):
        ids(["id1/v.wav", "id1-v"])


def test_absolute_paths_are_refused():
    with pytest.raises(InputError, match=r'"/data/id1/v\.wav" is an absolute path'):
        ids(["/data/id1/v.wav"])
    assert ids(["/data/id1/v.wav"], paths="none")[1] == 0


def test_what_is_written_is_read_again(tmp_path, read):
    np.savez(tmp_path / "x.npz", NAMES, VECTORS)
    found = read("x.npz")
    write_embeddings(tmp_path / "y.ark", tmp_path / "y.scp", found.ids, found.vectors)
    assert is_ours(read_embeddings(tmp_path / "y.scp", only=NAMES))
