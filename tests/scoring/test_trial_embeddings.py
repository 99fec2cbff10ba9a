"""The embeddings that a trial list needs, and models of several recordings."""

import numpy as np
import pytest

from avsv.errors import InputError
from avsv.kaldi.embeddings import write_embeddings
from avsv.kaldi.trials import Trials
from avsv.scoring.trial_embeddings import read_trial_embeddings

VECTORS = np.arange(10.0).reshape(5, 2)
TRIALS = Trials(["m", "n", "x"], ["c", "d"], np.array([[0, 0], [0, 1], [1, 0], [2, 1]], np.int32))


@pytest.fixture
def scp(tmp_path):
    write_embeddings(tmp_path / "e.ark", tmp_path / "e.scp", list("abcde"), VECTORS)
    return tmp_path / "e.scp"


def read(scp, text, trials=TRIALS, test=None):
    (scp.parent / "spk2utt").write_text(text)
    return read_trial_embeddings(trials, scp, test, scp.parent / "spk2utt")


@pytest.mark.parametrize("own_test", [False, True])
def test_models_are_numbered_after_the_recordings(scp, own_test, tmp_path):
    test = tmp_path / "copy.scp"
    test.write_text(scp.read_text())
    pool = read(scp, "m a b\nn b c e\nx d\nunused a\n", test=test if own_test else None)
    n = len(pool.embeddings)
    assert sorted(set(pool.embeddings.ids)) == list("abcde")
    assert (pool.pairs[:, 0] - n).tolist() == [0, 0, 1, 2]
    assert [pool.embeddings.ids[row] for row in pool.pairs[:, 1]] == ["c", "d", "c", "d"]
    assert pool.models.counts.tolist() == [2, 3, 1]
    assert pool.models.average(pool.embeddings.vectors) == pytest.approx(
        np.array([VECTORS[[0, 1]].mean(0), VECTORS[[1, 2, 4]].mean(0), VECTORS[3]])
    )
    assert pool.complete.all()
    assert pool.absent(TRIALS) == []


def test_a_model_is_made_of_the_recordings_that_have_embeddings(scp):
    pool = read(scp, "m a gone\nn lost\nx d\n")
    assert pool.models.ids == ["m", "x"]
    assert pool.models.counts.tolist() == [1, 1]
    assert pool.models.n_short == 1
    assert pool.complete.tolist() == [True, True, False, True]
    assert pool.absent(TRIALS) == ["gone", "lost"]


def test_a_model_without_an_entry_in_spk2utt_is_absent(scp):
    pool = read(scp, "m a\nn b\n")
    assert pool.absent(TRIALS) == ["x"]
    assert pool.complete.tolist() == [True, True, True, False]


def test_wrong_models_are_named(scp):
    with pytest.raises(InputError, match=r'spk2utt: .*"m".* a '):
        read(scp, "m a b a\nn b\nx c\n")
    with pytest.raises(InputError, match=r'spk2utt: .*"n"'):
        read(scp, "m a\nn\nx c\n")


def test_recordings_of_a_model_are_weighted_by_their_quality(scp):
    (scp.parent / "q").write_text("a 1\nb 3\nc 0\nd 5\ne -1\n")
    (scp.parent / "spk2utt").write_text("m a b\nn b c e\nx d\n")
    pool = read_trial_embeddings(TRIALS, scp, None, scp.parent / "spk2utt", scp.parent / "q")
    expected = [VECTORS[0] / 4 + VECTORS[1] * 3 / 4, VECTORS[1], VECTORS[3]]
    assert pool.models.average(pool.embeddings.vectors) == pytest.approx(np.array(expected))


@pytest.mark.parametrize("line", ["f 1", "b good", "b nan", "b inf"])
def test_a_recording_without_a_quality_is_named(scp, line):
    (scp.parent / "q").write_text(f"a 1\nc 1\nd 1\ne 1\n{line}\n")
    (scp.parent / "spk2utt").write_text("m a b\nn c e\nx d\n")
    with pytest.raises(InputError, match=r"/q: .*recording b"):
        read_trial_embeddings(TRIALS, scp, None, scp.parent / "spk2utt", scp.parent / "q")
