"""LDA and its statistics, compared with scikit-learn and with loops."""

import numpy as np
import pytest
from sklearn.covariance import OAS
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from avsv.errors import InputError
from avsv.scoring import groups
from avsv.scoring.lda import class_statistics, shrink, train_lda


def draw(n_speakers=30, n_each=40, dim=6, seed=0):
    rng = np.random.default_rng(seed)
    speakers = np.repeat(np.arange(n_speakers), n_each)
    mixing = rng.standard_normal((dim, dim))
    vectors = (
        rng.standard_normal((n_speakers, dim))[speakers] @ np.diag(np.arange(1, dim + 1))
        + rng.standard_normal((len(speakers), dim)) @ mixing
    )
    return speakers, vectors


def test_statistics_match_a_loop(monkeypatch):
    monkeypatch.setattr(groups, "ROWS", 6)
    speakers, vectors = draw(5, 4)
    order = np.random.default_rng(0).permutation(len(speakers))
    statistics = class_statistics(vectors[order], speakers[order])
    within = sum(
        np.outer(x - vectors[speakers == s].mean(0), x - vectors[speakers == s].mean(0))
        for s, x in zip(speakers, vectors)
    )
    assert statistics.counts.tolist() == [4] * 5
    assert statistics.means == pytest.approx(np.array([vectors[speakers == s].mean(0) for s in range(5)]))
    assert statistics.within == pytest.approx(within)


def test_lda_finds_scikit_learns_directions_and_whitens_within_speakers():
    speakers, vectors = draw(n_each=400)
    transform = train_lda(class_statistics(vectors, speakers), 3)
    expected = LinearDiscriminantAnalysis(solver="eigen", n_components=3).fit(vectors, speakers).scalings_[:, :3].T
    for ours, theirs in zip(transform, expected):
        assert abs(ours @ theirs) / np.linalg.norm(ours) / np.linalg.norm(theirs) == pytest.approx(1, abs=1e-3)
    within = class_statistics(vectors @ transform.T, speakers).within / (len(speakers) - 30)
    assert within == pytest.approx(np.eye(3), abs=0.02)


def test_more_dimensions_than_speakers_allow_are_reduced_with_a_warning(caplog):
    speakers, vectors = draw(n_speakers=4)
    assert train_lda(class_statistics(vectors, speakers), 10).shape == (3, 6)
    assert caplog.records[0].args == (10, 4, 6, 3)


def test_fewer_embeddings_than_values_are_enough():
    speakers = np.repeat(np.arange(5), 2)
    vectors = np.random.default_rng(0).standard_normal((10, 100))
    transform = train_lda(class_statistics(vectors, speakers))
    assert transform.shape == (100, 100)
    assert np.isfinite(transform).all()


def test_shrinkage_matches_scikit_learn():
    sample = np.random.default_rng(0).standard_normal((30, 8)) * np.arange(1, 9)
    covariance = sample.T @ sample / 30
    ours = shrink(covariance, 30)
    theirs = OAS(assume_centered=True, store_precision=False).fit(sample)
    assert 0 < theirs.shrinkage_ < 1
    # scikit-learn omits the small terms in 2/d of the paper's equation (23)
    assert np.linalg.norm(ours - theirs.covariance_) < 0.1 * np.linalg.norm(covariance)
    assert np.trace(ours) == pytest.approx(np.trace(covariance))


def test_one_embedding_per_speaker_is_refused():
    with pytest.raises(InputError, match="4 speakers"):
        class_statistics(np.eye(4), np.arange(4))
    with pytest.raises(InputError, match=r"found 1$"):
        class_statistics(np.eye(4), np.zeros(4, int))


def test_embeddings_without_variation_are_refused():
    with pytest.raises(InputError, match="identical"):
        train_lda(class_statistics(np.repeat(np.eye(3), 2, axis=0), np.repeat(np.arange(3), 2)))


CASES = [(5, 10, None, True), (20, 10, None, False), (20, 10, 8, False), (5, 10, 4, False), (5, 10, 6, True),
         (10, 1.5, None, True)]  # fmt: skip


@pytest.mark.parametrize("n_speakers, n_clips, dim, warned", CASES)
def test_too_few_speakers_or_recordings_give_a_warning(caplog, n_speakers, n_clips, dim, warned):
    rng = np.random.default_rng(0)
    speakers = np.sort(np.arange(int(n_speakers * n_clips)) % n_speakers)
    vectors = np.repeat(rng.standard_normal((n_speakers, 12)), np.bincount(speakers), axis=0)
    vectors += rng.standard_normal((len(speakers), 12))
    train_lda(class_statistics(vectors, speakers), dim)
    assert bool(caplog.records) == warned


@pytest.mark.parametrize("broken", [np.nan, np.inf, 1e200])
def test_embeddings_without_finite_statistics_are_refused(broken):
    vectors = np.random.default_rng(0).standard_normal((20, 3))
    vectors[4, 1] = broken
    with pytest.raises(InputError):
        train_lda(class_statistics(vectors, np.arange(20) // 4))
