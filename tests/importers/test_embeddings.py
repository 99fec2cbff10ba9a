"""Embeddings of other programs: every format gives the same names and vectors, and errors name the faulty place."""

import pickle
import types

import kaldiio
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avsv.errors import InputError
from avsv.importers.embeddings import check_embeddings, name_utterances
from avsv.importers.formats import read_raw_embeddings, recognise_embeddings
from avsv.kaldi.embeddings import Embeddings, read_embeddings, write_embeddings
from tests.importers.examples import NAMES, VECTORS, is_ours

# archives of Kaldi, WeSpeaker and 3D-Speaker


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
    result = read(f"x.{suffix}")
    assert result.ids == NAMES
    assert result.vectors == pytest.approx(np.stack(expected), abs=1e-6)


@given(st.binary(max_size=80))
def test_an_archive_of_any_bytes_is_read_or_refused(tmp_path_factory, tail):
    path = tmp_path_factory.getbasetemp() / "any.ark"
    path.write_bytes(b"a \0B" + tail)
    try:
        check_embeddings(path, read_raw_embeddings(path))
    except InputError as error:
        assert "any.ark" in str(error)  # the bytes may look like another format, such as safetensors


def test_the_error_names_the_damaged_record_of_an_archive(tmp_path, refused):
    write_embeddings(tmp_path / "x.ark", tmp_path / "x.scp", ["a", "b"], VECTORS[:2])
    whole = (tmp_path / "x.ark").read_bytes()
    (tmp_path / "x.ark").write_bytes(whole[:-3])
    assert 'record 2 ("b")' in refused("x.ark")
    (tmp_path / "x.ark").write_bytes(whole + b"hello")
    assert 'record 3 ("hello")' in refused("x.ark")
    (tmp_path / "x.ark").write_bytes(whole + b"hello world\n")
    assert 'record 3 ("hello")' in refused("x.ark")
    with kaldiio.WriteHelper(f"ark:{tmp_path}/x.ark") as writer:
        writer("a", VECTORS)
    assert 'record 1 ("a")' in refused("x.ark")


def test_an_scp_without_its_archive_is_refused_with_advice(tmp_path, refused):
    (tmp_path / "x.scp").write_text("a /nowhere/xvector.ark:2\n")
    message = refused("x.scp")
    assert "/nowhere/xvector.ark" in message and "import the .ark file itself" in message


def test_commands_in_an_scp_are_not_run(tmp_path, refused):
    (tmp_path / "x.scp").write_text(f"a touch {tmp_path}/ran |\n")
    refused("x.scp")
    assert not (tmp_path / "ran").exists()


def test_choosing_an_array_in_a_text_table_is_refused(tmp_path, refused):
    (tmp_path / "x.csv").write_text("a,1,2\n")
    assert "`array`" in refused("x.csv", array="x")


# text


@pytest.mark.parametrize("delimiter", [",", "\t", " ", ", ", "   "])
@pytest.mark.parametrize("header", [None, "utt x0 x1 x2 x3 x4", "utt 0 1 2 3 4", "utt 1 2 3 4 5"])
def test_tables_with_and_without_header(tmp_path, read, delimiter, header):
    lines = [header.split()] if header else []
    lines += [[name, *map(repr, vector)] for name, vector in zip(NAMES, VECTORS.tolist())]
    (tmp_path / "x.csv").write_text("".join(delimiter.join(line) + "\n" for line in lines))
    assert is_ours(read("x.csv"))


def test_the_header_of_pandas_and_the_byte_order_mark_of_excel_are_skipped(tmp_path, read):
    lines = [f"{name},{','.join(map(repr, vector))}\r\n" for name, vector in zip(NAMES, VECTORS.tolist())]
    (tmp_path / "x.csv").write_bytes(("\ufeff,0,1,2,3,4\r\n" + "".join(lines)).encode())
    assert is_ours(read("x.csv"))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a,1,2\nb,3\n", 'line 2 ("b")'),
        ("a,1,2\nb,3,x\n", 'line 2: expected a comma-separated name and numbers, found "x" after the name "b"'),
        ("a,1,2\nb,3,\n", "line 2"),
        ("a\t1\t2\n\nb\t1\t2\n", "line 2"),
        ("a 1 2\nb 3 nan\n", 'line 2 ("b")'),
        ("a 1 2\na 3 4\n", 'line 2 ("a")'),
        ("a,1,2\n,3,4\n", 'line 2 ("")'),
        ("a 1 x\nb 1 2\n", "line 1"),
        ("a\nb\n", 'line 1 ("a")'),
        ("utt,x0,x1\n", "x.csv"),
        ("\n", "x.csv"),
    ],
)
def test_the_error_names_the_faulty_line_of_a_table(tmp_path, refused, text, place):
    (tmp_path / "x.csv").write_text(text)
    assert place in refused("x.csv")


def test_bytes_that_are_not_text_are_refused(tmp_path, refused):
    (tmp_path / "x.csv").write_bytes(b"a,1,2\nb\xff,1,2\n")
    refused("x.csv")


def test_a_line_of_many_megabytes_is_refused(tmp_path, refused):
    (tmp_path / "x.csv").write_bytes(b"a" + b",1" * 3_000_000)
    assert "MiB" in refused("x.csv")


def test_byte_order_marks_inside_concatenated_tables_are_skipped(tmp_path):
    (tmp_path / "x.csv").write_bytes("\ufeffa,1,2\n\ufeffb,3,4\n".encode())
    assert check_embeddings("x", read_raw_embeddings(tmp_path / "x.csv")).ids == ["a", "b"]


# formats


def test_the_error_for_a_pickle_has_a_command_that_converts_it(tmp_path, refused, monkeypatch):
    """The pickle has the attributes of SpeechBrain's StatObject_SB; the test runs the command."""
    monkeypatch.chdir(tmp_path)
    stat = types.SimpleNamespace(segset=np.array(NAMES, "|O"), stat1=VECTORS.astype(float))
    (tmp_path / "stat_test.pkl").write_bytes(pickle.dumps(stat))
    message = refused("stat_test.pkl")
    exec(message.partition('python -c "')[2].rstrip('"'), {})
    assert is_ours(check_embeddings("x", read_raw_embeddings("stat_test.npz")))


@pytest.mark.parametrize(
    ("data", "word"), [(b"", "empty"), (b"\x89HDF\r\n\x1a\n\0\0", "npz"), (b"PK\3\4cut", "damaged")]
)
def test_files_of_unknown_formats_are_refused(tmp_path, refused, data, word):
    (tmp_path / "x").write_bytes(data)
    assert word in refused("x")


def test_a_folder_and_an_absent_file_are_refused(tmp_path):
    with pytest.raises(InputError, match=str(tmp_path)):
        recognise_embeddings(tmp_path)
    with pytest.raises(InputError, match="nowhere"):
        recognise_embeddings(tmp_path / "nowhere")


def test_the_format_is_detected_from_the_content_not_the_suffix(tmp_path, read):
    np.savez(tmp_path / "x.npz", NAMES, VECTORS)
    (tmp_path / "x.npz").rename(tmp_path / "x.csv")
    assert is_ours(read("x.csv"))


# names


def ids(names, **options):
    return name_utterances("x", Embeddings(names, np.zeros((len(names), 1))), **options)


def test_names_with_media_suffixes_become_utterances():
    result, n_paths = ids(["id10270/5r0dWxy17C8/00001.wav", "id1/v/2.m4a", "nsc1/SPEAKER0001_1", "a.b"])
    assert result.ids == ["id10270-5r0dWxy17C8-00001", "id1-v-2", "nsc1/SPEAKER0001_1", "a.b"]
    assert n_paths == 2


def test_all_or_no_names_can_be_paths():
    assert ids(["id1/v/1", "id1/v/2.wav"], paths="all")[0].ids == ["id1-v-1", "id1-v-2"]
    assert ids(["id1/v/1", "id1/v/2.wav"], paths="none")[0].ids == ["id1/v/1", "id1/v/2.wav"]


def test_two_names_of_one_utterance_are_refused():
    with pytest.raises(InputError, match=r'"id1/v\.wav" and "id1-v"'):
        ids(["id1/v.wav", "id1-v"])


def test_absolute_paths_are_refused():
    with pytest.raises(InputError, match=r'"/data/id1/v\.wav"'):
        ids(["/data/id1/v.wav"])
    assert ids(["/data/id1/v.wav"], paths="none")[1] == 0


def test_imported_embeddings_survive_writing_and_reading(tmp_path, read):
    np.savez(tmp_path / "x.npz", NAMES, VECTORS)
    result = read("x.npz")
    write_embeddings(tmp_path / "y.ark", tmp_path / "y.scp", result.ids, result.vectors)
    assert is_ours(read_embeddings(tmp_path / "y.scp", only=NAMES))
