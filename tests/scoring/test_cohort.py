"""Who is in a cohort."""

import numpy as np
import pytest

from avsv.errors import InputError
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
def tried(tmp_path):
    """Write the utt2spk of the trials' recordings: tried("x-1 b") -> recordings, utt2spk."""

    def write(*lines):
        (tmp_path / "tried").write_text("".join(f"{line}\n" for line in lines))
        return Embeddings([line.split()[0] for line in lines], np.zeros((len(lines), 2))), tmp_path / "tried"

    return write


def test_people_of_the_trials_are_left_out_and_counted(scp, utt2spk, tried, caplog):
    caplog.set_level("INFO", logger="avsv")
    recordings, people = tried("x-1 b", "x-2 d")
    assert read_cohort(scp, recordings, utt2spk, people).ids == ["a-1", "a-2", "c-1"]
    assert "left out of the cohort: 0 recordings of the trials, and 3 others of the people in them" in caplog.text


def test_recordings_of_the_trials_are_left_out_whoever_is_in_them(scp, tried, caplog):
    recordings, _ = tried("a-2 x")
    cohort = read_cohort(scp, recordings)
    assert cohort.ids == ["a-1", "b-1", "b-2", "b-3", "c-1"]
    assert np.array_equal(cohort.vectors, np.delete(VECTORS, 1, axis=0))
    assert "left out of the cohort: 1 recordings of the trials" in caplog.text


def test_a_member_by_person_is_the_mean_of_those_who_stay(scp, utt2spk, tried):
    recordings, _ = tried("b-2 b")
    cohort = read_cohort(scp, recordings, utt2spk, by_person=True)
    assert cohort.ids == ["a", "b", "c"]
    assert cohort.vectors.tolist() == [[1, 2], [6, 7], [10, 11]]


def test_a_cohort_of_the_trials_people_only_is_refused(scp, utt2spk, tried):
    with pytest.raises(InputError, match=r"c\.scp: nobody is left in the cohort"):
        read_cohort(scp, *(tried("x-1 a", "x-2 b", "x-3 c")[0], utt2spk, tried("x-1 a", "x-2 b", "x-3 c")[1]))


def test_a_recording_without_a_person_is_named(scp, utt2spk, tried):
    recordings, people = tried("x-1 a")
    people.write_text("y-1 a\n")
    with pytest.raises(InputError, match="tried: 1 recordings of the trials are not in it, the first: x-1"):
        read_cohort(scp, recordings, utt2spk, people)


def test_people_must_be_known_on_both_sides(scp, tried):
    recordings, people = tried("x-1 a")
    with pytest.raises(InputError, match="--utt2spk needs --cohort-utt2spk"):
        read_cohort(scp, recordings, None, people)
    with pytest.raises(InputError, match="--cohort-of speakers needs --cohort-utt2spk"):
        read_cohort(scp, recordings, by_person=True)
