"""Gaussian mixtures against scikit-learn, and what EM guarantees."""

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from avsv.errors import InputError
from avsv.systems.speech.gmm import DiagGmm, FullGmm, Least, accumulate, initial_gmm

RNG = np.random.default_rng(0)
CENTRES = RNG.normal(0, 4, (4, 3))
MIXING = RNG.normal(0, 0.6, (4, 3, 3)) + np.eye(3)
LABELS = RNG.integers(0, 4, 3000)
FRAMES = CENTRES[LABELS] + np.einsum("tij,tj->ti", MIXING[LABELS], RNG.normal(size=(3000, 3)))
ALL = Least(0, 0)


def start(kind):
    weights, means = np.array([0.4, 0.3, 0.2, 0.1]), FRAMES[:4].copy()
    if kind == "diag":
        return DiagGmm(weights, means, np.full((4, 3), 2.0))
    return FullGmm(weights, means, np.tile(2.0 * np.eye(3), (4, 1, 1)))


def covariances(gmm):
    return gmm.variances if isinstance(gmm, DiagGmm) else gmm.covariances


def theirs(gmm, steps):
    """scikit-learn's mixture after some EM steps from the same start."""
    diagonal = isinstance(gmm, DiagGmm)
    precisions = 1 / gmm.variances if diagonal else np.linalg.inv(gmm.covariances)
    model = GaussianMixture(4, covariance_type="diag" if diagonal else "full", tol=0, reg_covar=0, max_iter=steps,
                            weights_init=gmm.weights, means_init=gmm.means, precisions_init=precisions)  # fmt: skip
    return model


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", ["diag", "full"])
@pytest.mark.parametrize("steps", [1, 7])
def test_em_equals_scikit_learn(kind, steps):
    ours = start(kind)
    model = theirs(ours, steps).fit(FRAMES)
    for _ in range(steps):
        ours = ours.updated(accumulate(ours, FRAMES), 1e-9, ALL)
    assert ours.weights == pytest.approx(model.weights_, abs=1e-9)
    assert ours.means == pytest.approx(model.means_, abs=1e-8)
    assert covariances(ours) == pytest.approx(model.covariances_, abs=1e-8)
    assert accumulate(ours, FRAMES).log_likelihood / len(FRAMES) == pytest.approx(model.score(FRAMES), abs=1e-9)


@pytest.mark.parametrize("kind", ["diag", "full"])
def test_the_likelihood_never_falls(kind):
    gmm, likelihoods = start(kind), []
    for _ in range(15):
        statistics = accumulate(gmm, FRAMES)
        likelihoods.append(statistics.log_likelihood)
        gmm = gmm.updated(statistics, 1e-9, ALL)
    assert (np.diff(likelihoods) > -1e-7).all() and likelihoods[-1] > likelihoods[0] + 100


@pytest.mark.parametrize("kind", ["diag", "full"])
def test_statistics_of_blocks_add_up(kind):
    gmm = start(kind)
    whole = accumulate(gmm, FRAMES)
    parts = accumulate(gmm, FRAMES[:1700]) + accumulate(gmm, FRAMES[1700:])
    for name in ("counts", "first", "second", "log_likelihood", "n"):
        assert getattr(parts, name) == pytest.approx(getattr(whole, name), rel=1e-9, abs=1e-9)


def test_a_full_model_with_diagonal_covariances_equals_the_diagonal_one():
    gmm = start("diag").updated(accumulate(start("diag"), FRAMES), 1e-9, ALL)
    assert gmm.full().log_joint(FRAMES) == pytest.approx(gmm.log_joint(FRAMES), abs=1e-9)
    assert gmm.full().diagonal.log_joint(FRAMES) == pytest.approx(gmm.log_joint(FRAMES), abs=1e-9)


def test_selected_gaussians_are_the_likeliest_of_the_diagonal_model():
    gmm = start("full").updated(accumulate(start("full"), FRAMES), 1e-9, ALL)
    exact, chosen = gmm.log_joint(FRAMES), gmm.log_joint(FRAMES, select=2)
    selected = np.isfinite(chosen)
    assert (selected.sum(axis=1) == 2).all() and chosen[selected] == pytest.approx(exact[selected])
    best = np.sort(np.argsort(gmm.diagonal.log_joint(FRAMES), axis=1)[:, 2:], axis=1)
    assert np.array_equal(best, selected.nonzero()[1].reshape(-1, 2))
    assert np.array_equal(gmm.log_joint(FRAMES, select=9), exact)


def test_a_gaussian_with_too_few_frames_keeps_its_place():
    far = DiagGmm(np.array([0.5, 0.5]), np.array([[0.0] * 3, [99.0] * 3]), np.ones((2, 3)))
    new = far.updated(accumulate(far, FRAMES), 1e-3, Least(10, 1e-4))
    assert new.means[1].tolist() == [99.0] * 3 and new.variances[1].tolist() == [1.0] * 3
    assert new.weights == pytest.approx([1, 1e-4], abs=1e-4) and new.weights.sum() == pytest.approx(1)
    full = far.full().updated(accumulate(far.full(), FRAMES), 1e-3, Least(10, 1e-4))
    assert full.means[1].tolist() == [99.0] * 3


def test_variances_and_eigenvalues_are_floored():
    flat = np.column_stack([FRAMES[:, :2], np.zeros(len(FRAMES))])
    one = DiagGmm(np.ones(1), np.zeros((1, 3)), np.ones((1, 3)))
    assert one.updated(accumulate(one, flat), 0.01, ALL).variances[0, 2] == 0.01
    values = np.linalg.eigvalsh(one.full().updated(accumulate(one.full(), flat), 0.01, ALL).covariances[0])
    assert values[0] == pytest.approx(0.01) and values[-1] < 1e4 * 0.01


def test_the_initial_model_finds_the_clusters_and_depends_on_the_seed_only():
    centres = np.array([[-9.0, 0.0], [9.0, 0.0], [0.0, 9.0], [0.0, -9.0]])
    frames = centres[RNG.integers(0, 4, 2000)] + RNG.normal(0, 0.5, (2000, 2))
    gmm = initial_gmm(frames, 4, 20, 0, 1e-3, Least(10, 1e-4))
    again = initial_gmm(frames, 4, 20, 0, 1e-3, Least(10, 1e-4))
    assert np.array_equal(gmm.means, again.means) and len(gmm.weights) == 4
    model = GaussianMixture(4, covariance_type="diag", n_init=5, random_state=0).fit(frames)
    assert accumulate(gmm, frames).log_likelihood / 2000 == pytest.approx(model.score(frames), abs=1e-3)


def test_fewer_frames_than_gaussians_are_refused():
    with pytest.raises(InputError, match="3 frames"):
        initial_gmm(FRAMES[:3], 4, 10, 0, 1e-3, ALL)
