"""Parts of a data directory have whole speakers, lose nothing, and keep Kaldi's rules."""

import numpy as np
import pytest

from avsv.errors import InputError
from avsv.kaldi.data_dir import write_data_dir
from avsv.kaldi.split import choose_firsts, split_data_dir
from avsv.kaldi.tables import read_table
from avsv.kaldi.validation import check


@pytest.fixture
def data(tmp_path):
    """Six people with 1 to 6 clips; every other clip has a face."""
    utts = {f"p{person}-{clip}": f"p{person}" for person in range(1, 7) for clip in range(person)}
    write_data_dir(tmp_path / "d", {
        "utt2spk": utts,
        "wav.scp": {utt: f"/x y/{utt}.wav" for utt in utts},
        "video.scp": {utt: f"{utt}.mp4" for number, utt in enumerate(utts) if number % 2},
        "spk2gender": {f"p{person}": "fm"[person % 2] for person in range(1, 7)},
    })  # fmt: skip
    return tmp_path / "d"


@pytest.mark.parametrize("n_parts", [1, 2, 3, 6])
def test_the_parts_together_are_the_whole(data, n_parts):
    sizes = split_data_dir(data, n_parts)
    assert sum(sizes) == 21 and len(sizes) == n_parts and min(sizes) > 0
    for name in ("utt2spk", "spk2utt", "spk2gender", "wav.scp", "video.scp", "utt2modality"):
        parts = [(data / f"split{n_parts}" / str(job) / name).read_bytes() for job in range(1, n_parts + 1)]
        assert b"".join(parts) == (data / name).read_bytes()


def test_each_part_keeps_kaldis_rules_and_no_speaker_is_split(data):
    split_data_dir(data, 3)
    parts = [data / "split3" / str(job) for job in (1, 2, 3)]
    assert [check(part) for part in parts] == [[], [], []]
    people = [set(read_table(part / "utt2spk").values()) for part in parts]
    assert len(set.union(*people)) == sum(map(len, people)) == 6


def test_a_part_begins_at_the_speaker_nearest_to_an_equal_share():
    assert choose_firsts(np.array([0, 1, 3, 6, 10, 15]), 21, 2) == [0, 4]
    assert choose_firsts(np.array([0, 20, 21, 22]), 23, 4) == [0, 1, 2, 3]


def test_too_few_speakers_are_refused(data):
    with pytest.raises(InputError, match="has 6 speakers, too few for 7"):
        split_data_dir(data, 7)


def test_an_unsorted_table_is_refused_without_leftovers(data):
    lines = (data / "wav.scp").read_text().splitlines(keepends=True)
    (data / "wav.scp").write_text("".join(lines[::-1]))
    with pytest.raises(InputError, match=r"wav.scp: is not sorted.*avsv fix"):
        split_data_dir(data, 2)
    assert not (data / "split2").exists()


def test_an_earlier_split_is_replaced_as_a_whole(data):
    split_data_dir(data, 2)
    (data / "split2/2/stray").write_text("")
    split_data_dir(data, 2)
    assert not (data / "split2/2/stray").exists()


def test_split_as_a_command(data, avsv):
    status, output = avsv("split", data, 2)
    assert status == 0 and f"{data}/split2: 2 parts of 10 to 11 utterances" in output
    assert avsv("split", data, 0)[0] == 2


def test_parts_of_a_directory_with_segments_have_the_recordings_of_those_segments(tmp_path):
    for name, text in {
        "wav.scp": "rec1 /x y/1.wav\nrec2 2.wav\n",
        "segments": "a-1 rec1 0 1\na-2 rec2 0 1\nb-1 rec1 1 2.5\n",
        "utt2spk": "a-1 a\na-2 a\nb-1 b\n",
        "spk2utt": "a a-1 a-2\nb b-1\n",
    }.items():
        (tmp_path / name).write_text(text)
    assert split_data_dir(tmp_path, 2) == [2, 1]
    parts = [tmp_path / "split2" / number for number in "12"]
    assert [check(part) for part in parts] == [[], []]
    assert [read_table(part / "wav.scp") for part in parts] == [
        {"rec1": "/x y/1.wav", "rec2": "2.wav"},
        {"rec1": "/x y/1.wav"},
    ]


@pytest.mark.parametrize("name", [".split2.part", "split2", ".split2.old"])
def test_a_link_under_the_name_of_a_part_is_refused_and_its_target_untouched(data, tmp_path, name):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious").write_text("precious")
    (data / name).symlink_to(tmp_path / "mine")
    with pytest.raises(InputError, match=str(data / name)):
        split_data_dir(data, 2)
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["precious"]
