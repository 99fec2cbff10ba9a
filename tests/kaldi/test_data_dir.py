import pytest

from avsv.errors import InputError
from avsv.kaldi.data_dir import read_data_dir, write_data_dir
from avsv.kaldi.validation import check, fix

GOOD = {
    "wav.scp": {"a-1": "1.wav", "b-1": "2.wav"},
    "video.scp": {"a-1": "1.mp4", "c-1": "3.mp4"},
    "utt2spk": {"a-1": "a", "b-1": "b", "c-1": "c"},
    "spk2gender": {"a": "f", "b": "m", "c": "m"},
    "utt2dur": {"a-1": "2.5", "b-1": "3"},
}


@pytest.fixture
def good(tmp_path):
    write_data_dir(tmp_path / "d", GOOD)
    return tmp_path / "d"


def test_a_written_directory_keeps_kaldis_rules(good):
    assert check(good) == []
    assert (good / "spk2utt").read_text() == "a a-1\nb b-1\nc c-1\n"


def test_a_missing_modality_is_kept_and_marked(good):
    assert (good / "utt2modality").read_text() == "a-1 both\nb-1 voice\nc-1 face\n"


@pytest.mark.parametrize(
    ("file", "text", "defect"),
    [
        ("utt2spk", "a-1 a\nb-1 b m\nc-1 c\n", "utt2spk, line 2: expected"),
        ("utt2spk", "b-1 b\na-1 a\nc-1 c\n", "not in LC_ALL=C order"),
        ("utt2spk", "a-1 a\na-1 a\nb-1 b\nc-1 c\n", "utt2spk, line 2: "),
        ("utt2spk", "a-1 a\nb-1 x\nc-1 c\n", 'speaker "x" is not a prefix'),
        ("utt2spk", "a-1 a\nb-1 b\nc-1 c", "no line end"),
        ("spk2utt", "a a-1\n", "does not invert"),
        ("spk2gender", "a f\nb q\nc m\n", "expected m or f"),
        ("spk2gender", "a f\n", 'speaker "b" is missing'),
        ("utt2dur", "a-1 0\n", "expected seconds above 0"),
        ("wav.scp", "a-1 1.wav\nz-1 2.wav\n", '"z-1" is not in utt2spk'),
        ("trials/t", "a-1 x-1 target\n", 'not in utt2spk, such as "x-1"'),
    ],
)
def test_each_defect_is_named(good, file, text, defect):
    (good / file).parent.mkdir(exist_ok=True)
    (good / file).write_text(text)
    assert any(defect in line for line in check(good)), check(good)


def test_fix_repairs_a_table_and_keeps_a_copy(good):
    (good / "utt2spk").write_text("c-1 c\nb-1 b m\na-1 a\nq-1 q\n")
    assert fix(good) == (2, 4)
    assert check(good) == []
    assert "b-1 b m" in (good / ".backup" / "utt2spk").read_text()


def test_fix_changes_nothing_if_no_utterance_would_remain(good):
    (good / "utt2spk").write_text("x-1 x\n")
    with pytest.raises(InputError, match="no utterance of 1"):
        fix(good)
    assert (good / "utt2spk").read_text() == "x-1 x\n"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "no such file"),
        ({"utt2spk": ""}, "is empty"),
        ({"utt2spk": "a-1 a\n"}, "wav.scp or video.scp"),
        ({"utt2spk": "a-1 a\n", "wav.scp": "b-1 x.wav\n"}, '"b-1" is not in'),
    ],
)
def test_unusable_directories_are_refused(tmp_path, files, message):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        read_data_dir(tmp_path)


def test_check_and_fix_as_commands(good, avsv):
    assert avsv("check", good) == (0, f"Successfully validated data-directory {good}: 3 utterances\n")
    (good / "utt2spk").write_text("a-1 a\nb-1 b m\nc-1 c\n")
    status, output = avsv("check", good)
    assert status == 1 and "avsv fix" in output
    status, output = avsv("fix", good)
    assert status == 0 and "kept 2 utterances out of 3" in output


def test_only_requested_media_tables_are_read(tmp_path):
    (tmp_path / "utt2spk").write_text("a-1 a\n")
    (tmp_path / "wav.scp").write_text("a-1 a.wav\n")
    (tmp_path / "video.scp").write_text("nobody b.mp4\n")
    data = read_data_dir(tmp_path, ("wav.scp",))
    assert (data.wav, data.video) == ({"a-1": "a.wav"}, {})
    with pytest.raises(InputError, match='"nobody" is not in'):
        read_data_dir(tmp_path)
    (tmp_path / "wav.scp").unlink()
    with pytest.raises(InputError, match=r"wav\.scp"):
        read_data_dir(tmp_path, ("wav.scp",))


def test_tables_made_from_replaced_media_are_removed(tmp_path):
    """Aligned faces of the clips that had these names before; rewriting the same clips keeps them."""
    tables = {"utt2spk": {"a": "a"}, "wav.scp": {"a": "/one/a.wav"}, "video.scp": {"a": "/one/a.mp4"}}
    write_data_dir(tmp_path, tables)
    (tmp_path / "faces.scp").write_text("a /one/faces.ark:2\n")
    (tmp_path / "trials").mkdir()
    (tmp_path / "trials/mine").write_text("a a target\n")
    write_data_dir(tmp_path, tables)
    assert (tmp_path / "faces.scp").exists()
    write_data_dir(tmp_path, {"utt2spk": {"a": "a"}, "wav.scp": {"a": "/two/a.wav"}})
    assert not (tmp_path / "faces.scp").exists() and not (tmp_path / "video.scp").exists()
    assert (tmp_path / "trials/mine").exists()
