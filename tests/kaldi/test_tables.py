import pytest

from avsv.errors import InputError
from avsv.kaldi.tables import invert, read_table, write_table


def test_a_table_round_trips_in_c_order(tmp_path):
    write_table(tmp_path / "t", {"b": "2 two", "B": "1", "a": "3"})
    assert (tmp_path / "t").read_bytes() == b"B 1\na 3\nb 2 two\n"
    assert read_table(tmp_path / "t") == {"B": "1", "a": "3", "b": "2 two"}


def test_tabs_and_paths_with_spaces_are_read(tmp_path):
    (tmp_path / "wav.scp").write_text("a\t/x y/z.wav\nb  /q r.wav \n")
    assert read_table(tmp_path / "wav.scp") == {"a": "/x y/z.wav", "b": "/q r.wav"}


def test_three_fields_in_utt2spk_are_refused_with_file_and_line(tmp_path):
    (tmp_path / "utt2spk").write_text("a-1 a\nb-1 b m\n")
    with pytest.raises(InputError, match=r'utt2spk, line 2: .*"b-1 b m"'):
        read_table(tmp_path / "utt2spk", fields=2, shape="utterance speaker")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"a 1\na 2\n", "twice"), (b"\xff\xfe", "not a text file"), (b"a 1\n\nb 2\n", "line 2")],
)
def test_bad_tables_are_refused(tmp_path, content, message):
    (tmp_path / "t").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_table(tmp_path / "t")


def test_an_absent_table_and_a_folder_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_table(tmp_path / "absent")
    with pytest.raises(InputError, match="folder"):
        read_table(tmp_path)


def test_spk2utt_inverts_utt2spk():
    utt2spk = {"b-2": "b", "a-1": "a", "b-1": "b"}
    back = {utt: spk for spk, utts in invert(utt2spk).items() for utt in utts.split()}
    assert back == utt2spk


@pytest.mark.parametrize(("key", "value"), [("a b", "1"), ("", "1"), ("a\tb", "1"), ("a", "x\ny"), ("a", "x\n"),
                                            ("a ", "1"), ("a\u2028b", "1"), ("a\u00a0b", "1")])  # fmt: skip
def test_lines_that_could_not_be_read_back_are_not_written(tmp_path, key, value):
    write_table(tmp_path / "t", {"a": "old"})
    with pytest.raises(InputError, match="/t: "):
        write_table(tmp_path / "t", {"b": "2", key: value})
    assert read_table(tmp_path / "t") == {"a": "old"}


@pytest.mark.parametrize("mark", ["\ufeff", ""])
def test_a_byte_order_mark_is_not_part_of_a_key(tmp_path, mark):
    (tmp_path / "t").write_text(f"{mark}a 1\n{mark}b\t2  3\n", encoding="utf-8")
    assert read_table(tmp_path / "t") == {"a": "1", "b": "2  3"}


def test_only_a_newline_ends_a_line(tmp_path):
    paths = {"a": "/x\u2028y z.wav", "b": "/x\x85y\x0b\x0cz.wav", "c": "/x\x1cy"}
    write_table(tmp_path / "t", paths)
    assert read_table(tmp_path / "t") == paths
