"""The recordings and speakers that form a cohort."""

import numpy as np
import pytest

from avsv.errors import InputError, OptionError
from avsv.kaldi.embeddings import Embeddings, write_embeddings
from avsv.scoring.cohort import read_cohort

NAMES = ["a-1", "a-2", "b-1", "b-2", "b-3", "c-1"]
VECTORS = np.arange(12, dtype=np.float32).reshape(6, 2)


@pytest.fixture
def scp(tmp_path):
    write_embeddings(tmp_path / "c.ark", tmp_path / "c.scp", NAMES, VECTORS)
    (tmp_path / "utt2spk").write_text("".join(f"{name} {name[0]}\n" for name in NAMES))
    return tmp_path / "c.scp"


@pytest.fixture
def utt2spk(scp):
    return scp.with_name("utt2spk")


@pytest.fixture
def of_trials(tmp_path):
    """Write the utt2spk of the trials' recordings: of_trials("x-1 b") -> recordings, utt2spk."""

    def write(*lines):
        (tmp_path / "of_trials").write_text("".join(f"{line}\n" for line in lines))
        return Embeddings([line.split()[0] for line in lines], np.zeros((len(lines), 2))), tmp_path / "of_trials"

    return write


def test_speakers_of_the_trials_are_left_out_and_counted(scp, utt2spk, of_trials, caplog):
    caplog.set_level("INFO", logger="avsv")
    recordings, speakers = of_trials("x-1 b", "x-2 d")
    assert read_cohort(scp, recordings, utt2spk, speakers).ids == ["a-1", "a-2", "c-1"]
    assert caplog.records[0].args == (scp, 0, 3)


def test_recordings_of_the_trials_are_left_out_even_without_utt2spk(scp, of_trials, caplog):
    recordings, _ = of_trials("a-2 x")
    cohort = read_cohort(scp, recordings)
    assert cohort.ids == ["a-1", "b-1", "b-2", "b-3", "c-1"]
    assert np.array_equal(cohort.vectors, np.delete(VECTORS, 1, axis=0))
    assert caplog.records[0].args == (scp, 1)


def test_a_member_per_speaker_is_the_mean_of_the_recordings_that_stay(scp, utt2spk, of_trials):
    recordings, _ = of_trials("b-2 b")
    cohort = read_cohort(scp, recordings, utt2spk, by_speaker=True)
    assert cohort.ids == ["a", "b", "c"]
    assert cohort.vectors.tolist() == [[1, 2], [6, 7], [10, 11]]


def test_a_cohort_with_only_speakers_of_the_trials_is_refused(scp, utt2spk, of_trials):
    recordings, speakers = of_trials("x-1 a", "x-2 b", "x-3 c")
    with pytest.raises(InputError, match=r"c\.scp: "):
        read_cohort(scp, recordings, utt2spk, speakers)


def test_a_recording_without_a_speaker_is_named(scp, utt2spk, of_trials):
    recordings, speakers = of_trials("x-1 a")
    speakers.write_text("y-1 a\n")
    with pytest.raises(InputError, match=r"of_trials: .*x-1"):
        read_cohort(scp, recordings, utt2spk, speakers)


def test_speakers_must_be_known_on_both_sides(scp, of_trials):
    recordings, speakers = of_trials("x-1 a")
    with pytest.raises(OptionError, match="cohort_utt2spk"):
        read_cohort(scp, recordings, None, speakers)
    with pytest.raises(OptionError, match="cohort_utt2spk"):
        read_cohort(scp, recordings, by_speaker=True)
