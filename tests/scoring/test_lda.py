"""LDA and its statistics."""

import numpy as np
import pytest
from sklearn.covariance import OAS
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from avsv.errors import InputError
from avsv.scoring import groups
from avsv.scoring.lda import class_statistics, shrink, train_lda


def people_and_vectors(n_people=30, n_each=40, dim=6, seed=0):
    rng = np.random.default_rng(seed)
    people = np.repeat(np.arange(n_people), n_each)
    mixing = rng.standard_normal((dim, dim))
    vectors = (
        rng.standard_normal((n_people, dim))[people] @ np.diag(np.arange(1, dim + 1))
        + rng.standard_normal((len(people), dim)) @ mixing
    )
    return people, vectors


def test_statistics_are_those_of_a_loop(monkeypatch):
    monkeypatch.setattr(groups, "ROWS", 6)
    people, vectors = people_and_vectors(5, 4)
    order = np.random.default_rng(0).permutation(len(people))
    found = class_statistics(vectors[order], people[order])
    within = sum(
        np.outer(x - vectors[people == p].mean(0), x - vectors[people == p].mean(0)) for p, x in zip(people, vectors)
    )
    assert found.counts.tolist() == [4] * 5
    assert found.means == pytest.approx(np.array([vectors[people == p].mean(0) for p in range(5)]))
    assert found.within == pytest.approx(within)


def test_lda_spans_scikit_learns_directions_and_whitens_within():
    people, vectors = people_and_vectors(n_each=400)
    transform = train_lda(class_statistics(vectors, people), 3)
    expected = LinearDiscriminantAnalysis(solver="eigen", n_components=3).fit(vectors, people).scalings_[:, :3].T
    for ours, theirs in zip(transform, expected):
        assert abs(ours @ theirs) / np.linalg.norm(ours) / np.linalg.norm(theirs) == pytest.approx(1, abs=1e-3)
    within = class_statistics(vectors @ transform.T, people).within / (len(people) - 30)
    assert within == pytest.approx(np.eye(3), abs=0.02)


def test_more_dimensions_than_people_allow_are_cut_with_a_message(caplog):
    people, vectors = people_and_vectors(n_people=4)
    assert train_lda(class_statistics(vectors, people), 10).shape == (3, 6)
    assert "10 dimensions asked for; 4 people and 6 values allow 3" in caplog.text


def test_more_values_than_embeddings_is_no_obstacle():
    people = np.repeat(np.arange(5), 2)
    vectors = np.random.default_rng(0).standard_normal((10, 100))
    transform = train_lda(class_statistics(vectors, people))
    assert transform.shape == (100, 100)
    assert np.isfinite(transform).all()


def test_shrinkage_is_that_of_scikit_learn():
    sample = np.random.default_rng(0).standard_normal((30, 8)) * np.arange(1, 9)
    covariance = sample.T @ sample / 30
    ours = shrink(covariance, 30)
    theirs = OAS(assume_centered=True, store_precision=False).fit(sample)
    assert 0 < theirs.shrinkage_ < 1
    # scikit-learn leaves out the terms in 2/d of the paper's equation (23), which is small
    assert np.linalg.norm(ours - theirs.covariance_) < 0.1 * np.linalg.norm(covariance)
    assert np.trace(ours) == pytest.approx(np.trace(covariance))


def test_one_embedding_a_person_is_refused():
    with pytest.raises(InputError, match="each of the 4 people has one embedding only"):
        class_statistics(np.eye(4), np.arange(4))
    with pytest.raises(InputError, match="at least two people, found 1"):
        class_statistics(np.eye(4), np.zeros(4, int))


def test_embeddings_without_variation_are_refused():
    with pytest.raises(InputError, match="all the same"):
        train_lda(class_statistics(np.repeat(np.eye(3), 2, axis=0), np.repeat(np.arange(3), 2)))


CASES = [(5, 10, None, True), (20, 10, None, False), (20, 10, 8, False), (5, 10, 4, False), (5, 10, 6, True),
         (10, 1.5, None, True)]  # fmt: skip


@pytest.mark.parametrize("n_people, n_clips, dim, told", CASES)
def test_fewer_people_or_recordings_than_dimensions_are_told(caplog, n_people, n_clips, dim, told):
    rng = np.random.default_rng(0)
    people = np.sort(np.arange(int(n_people * n_clips)) % n_people)
    vectors = np.repeat(rng.standard_normal((n_people, 12)), np.bincount(people), axis=0)
    vectors += rng.standard_normal((len(people), 12))
    train_lda(class_statistics(vectors, people), dim)
    assert bool(caplog.records) == told


@pytest.mark.parametrize("broken", [np.nan, np.inf, 1e200])
def test_embeddings_that_make_no_finite_statistics_are_refused(broken):
    vectors = np.random.default_rng(0).standard_normal((20, 3))
    vectors[4, 1] = broken
    with pytest.raises(InputError):
        train_lda(class_statistics(vectors, np.arange(20) // 4))
