"""Training of PLDA, compared with likelihoods of full Gaussians and EM with explicit inverses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from avsv.errors import InputError
from avsv.kaldi.embeddings import Embeddings
from avsv.scoring.lda import class_statistics, shrink
from avsv.scoring.plda import Gaussians, Ratio, diagonalise
from avsv.scoring.plda_files import degenerate
from avsv.scoring.plda_training import group_by_count, shrink_between, train_gaussians, train_plda
from tests.scoring.two_covariance import covariance, draw


def covariances(model):
    back = np.linalg.inv(model.transform)
    return back @ back.T, back @ np.diag(model.psi) @ back.T


def log_likelihood(vectors, speakers, mean, within, between):
    total = 0.0
    for speaker in range(speakers.max() + 1):
        own = vectors[speakers == speaker]
        cov = np.kron(np.ones((len(own), len(own))), between) + np.kron(np.eye(len(own)), within)
        total += multivariate_normal(np.tile(mean, len(own)), cov).logpdf(own.ravel())
    return total / len(vectors)


@pytest.mark.parametrize("counts", [[1, 2, 3, 5, 4, 2, 7], [2] * 9 + [3] * 12 + [1], [4] * 10])
def test_reported_likelihood_matches_full_gaussians(counts):
    speakers, vectors = draw(covariance(3, 1), covariance(3, 2), counts, np.random.default_rng(1))
    model, likelihoods = train_gaussians(class_statistics(vectors, speakers), 3)
    assert likelihoods[-1] == pytest.approx(log_likelihood(vectors, speakers, model.mean, *covariances(model)))


def em_iteration(vectors, speakers, mean, within, between):
    """Textbook E and M step of both covariances, speaker by speaker, with explicit inverses."""
    d, k = len(mean), speakers.max() + 1
    new_within, new_between = np.zeros((d, d)), np.zeros((d, d))
    for speaker in range(k):
        own = vectors[speakers == speaker] - mean
        variance = np.linalg.inv(np.linalg.inv(between) + len(own) * np.linalg.inv(within))
        posterior = variance @ np.linalg.inv(within) @ own.sum(axis=0)
        new_between += np.outer(posterior, posterior) + variance
        new_within += (own - posterior).T @ (own - posterior) + len(own) * variance
    return new_within / len(vectors), new_between / k


def test_an_iteration_matches_the_textbook():
    speakers, vectors = draw(covariance(3, 1), covariance(3, 2), [3] * 9 + [5] * 8 + [1, 2], np.random.default_rng(1))
    statistics = class_statistics(vectors, speakers)
    before, after = (train_gaussians(statistics, iterations)[0] for iterations in (4, 5))
    expected = em_iteration(vectors, speakers, before.mean, *covariances(before))
    for ours, theirs in zip(covariances(after), expected):
        assert ours == pytest.approx(theirs)


def test_speakers_with_equally_many_recordings_take_at_most_d_rows():
    speakers, vectors = draw(covariance(3, 1), covariance(3, 2), [2] * 50 + [5] * 2 + [7], np.random.default_rng(1))
    statistics = class_statistics(vectors, speakers)
    groups = group_by_count(statistics)
    assert groups.size.ravel().tolist() == [50, 2, 1]
    assert np.bincount(groups.owners, minlength=3).tolist() == [3, 2, 0]
    deviations = statistics.means[:50] - statistics.means[:50].mean(axis=0)
    assert groups.rows[:3].T @ groups.rows[:3] == pytest.approx(deviations.T @ deviations)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    d=st.integers(1, 7),
    counts=st.lists(st.integers(1, 9), min_size=2, max_size=40).filter(lambda c: max(c) > 1),
)
def test_likelihood_never_decreases(seed, d, counts):
    speakers, vectors = draw(covariance(d, seed), covariance(d, seed + 9), counts, np.random.default_rng(seed))
    _, likelihoods = train_gaussians(class_statistics(vectors, speakers), 15)
    assert (np.diff(likelihoods) > -1e-8).all()  # rounding error with hardly more recordings than speakers


def test_training_recovers_the_covariances():
    between, within = np.diag([3.0, 1.0, 0.2]), covariance(3)
    speakers, vectors = draw(between, within, [8] * 3000, np.random.default_rng(2))
    model, _ = train_gaussians(class_statistics(vectors, speakers), 10)
    _, psi, _ = diagonalise(within, between)
    assert model.psi == pytest.approx(psi, rel=0.1, abs=0.03)
    assert model.mean == pytest.approx(np.ones(3), abs=0.1)
    assert shrink_between(model, 2999).psi == pytest.approx(model.psi, rel=0.01)


def test_shrinkage_changes_only_the_between_speaker_covariance():
    speakers, vectors = draw(covariance(6, 1), covariance(6, 2), [3] * 5, np.random.default_rng(4))
    model, _ = train_gaussians(class_statistics(vectors, speakers))
    within, between = covariances(model)
    shrunk = covariances(shrink_between(model, 4))
    assert shrunk[0] == pytest.approx(within)
    assert shrunk[1] == pytest.approx(shrink(between, 4))


def test_a_model_of_fewer_speakers_than_dimensions_separates_unseen_speakers():
    rng = np.random.default_rng(3)
    between, within = np.eye(50), np.eye(50) / 2
    model, likelihoods = train_plda(*draw(between, within, [3] * 10, rng)[::-1])
    assert model.projection.transform.shape == (50, 50)
    assert np.isfinite(likelihoods).all()
    speakers, vectors = draw(between, within, [2] * 200, rng)
    left, right = Ratio(model)(Embeddings(list(map(str, speakers)), vectors.astype(np.float32)))
    ratios = left[::2] @ right[1::2].T
    costs = np.logaddexp(0, -np.diag(ratios)).mean() + np.logaddexp(0, ratios[~np.eye(200, dtype=bool)]).mean()
    assert costs / 2 / np.log(2) < 0.2  # bits; a system without information has 1


def test_one_dimension_without_variation_within_speakers_is_refused():
    speakers, vectors = draw(np.eye(4), np.eye(4), [1, 2], np.random.default_rng(3))
    with pytest.raises(InputError, match="1 dimensions"):
        train_plda(vectors, speakers, lda_dim=1)


def test_two_speakers_are_enough():
    speakers, vectors = draw(np.eye(4), np.eye(4), [1, 2], np.random.default_rng(3))
    model, likelihoods = train_plda(vectors, speakers)
    assert np.isfinite(likelihoods).all()
    assert np.isfinite(model.project(vectors)).all()


def test_training_needs_two_speakers_and_two_recordings_of_one_speaker():
    with pytest.raises(InputError, match="3 speakers"):
        train_plda(np.eye(3), np.arange(3))
    with pytest.raises(InputError, match=r"found 1$"):
        train_plda(np.eye(3), np.zeros(3, int))


def test_embeddings_that_never_vary_are_refused():
    with pytest.raises(InputError, match="identical"):
        train_plda(np.repeat(np.eye(3), 2, axis=0), np.repeat(np.arange(3), 2))


def test_speakers_who_do_not_differ_have_no_between_speaker_variance():
    vectors = np.tile(
        np.random.default_rng(0).standard_normal((4, 3)), (5, 1)
    )  # all speakers have the same four vectors
    model, _ = train_plda(vectors, np.repeat(np.arange(5), 4))
    assert isinstance(model.gaussians, Gaussians)
    assert model.gaussians.psi.max() < 0.1


def test_192_dimensions_from_five_speakers_give_a_warning(caplog):
    rng = np.random.default_rng(0)
    speakers = np.repeat(np.arange(5), 50)
    model, _ = train_plda(rng.standard_normal((5, 192))[speakers] + rng.standard_normal((250, 192)), speakers)
    assert caplog.records[0].args[:2] == (5, 4)
    assert np.isfinite(model.gaussians.psi).all()


@pytest.mark.parametrize("kind", ["one direction", "pairs", "copies", "tiny", "huge", "rank one"])
def test_degenerate_embeddings_give_a_finite_model_or_an_input_error(kind):
    rng = np.random.default_rng(0)
    speakers = np.repeat(np.arange(6), 4)
    vectors = rng.standard_normal((6, 5))[speakers] + rng.standard_normal((24, 5))
    vectors = {
        "one direction": vectors * [1, 0, 0, 0, 0],
        "pairs": np.repeat(vectors[::2], 2, axis=0),
        "copies": np.repeat(vectors[::4], 4, axis=0),
        "tiny": vectors * 1e-30,
        "huge": vectors * 1e30,
        "rank one": np.outer(rng.standard_normal(24), np.ones(5)),
    }[kind].astype(np.float32)
    try:
        model, _ = train_plda(vectors, speakers)
    except InputError:
        return
    assert degenerate(model.gaussians) is None
    assert np.isfinite(model.project(vectors)).all()
