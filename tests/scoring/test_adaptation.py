"""Adaptation to another domain, compared with Kaldi's steps one by one and with SciPy's matrix powers."""

import numpy as np
import pytest
from scipy.linalg import fractional_matrix_power

from avsv.errors import InputError
from avsv.kaldi.embeddings import Embeddings
from avsv.scoring.adaptation import adapt_gaussians, adapt_plda, coral
from avsv.scoring.plda import Gaussians, Ratio, fixed_length
from avsv.scoring.plda_training import train_plda

RNG = np.random.default_rng(0)


def kaldis_steps(gaussians, vectors, within_scale, between_scale, mean_diff_scale):
    """Adapted mean, within-speaker and between-speaker covariance, in the steps that Kaldi documents."""
    mean = vectors.mean(axis=0)
    variance = vectors.T @ vectors / len(vectors) - np.outer(mean, mean)
    variance += mean_diff_scale * np.outer(mean - gaussians.mean, mean - gaussians.mean)
    psi = gaussians.psi
    whiten = np.diag(1 / np.sqrt(1 + psi)) @ gaussians.transform  # the model's total covariance becomes I
    values, p = np.linalg.eigh(whiten @ variance @ whiten.T)
    within = p.T @ np.diag(1 / (1 + psi)) @ p
    between = p.T @ np.diag(psi / (1 + psi)) @ p
    for i, value in enumerate(values):
        if value > 1:
            within[i, i] += (value - 1) * within_scale
            between[i, i] += (value - 1) * between_scale
    back = np.linalg.inv(p.T @ whiten)
    return mean, back @ within @ back.T, back @ between @ back.T


def model(d=4):
    return Gaussians(RNG.standard_normal(d), RNG.standard_normal((d, d)), np.sort(RNG.uniform(0.1, 3, d))[::-1])


@pytest.mark.parametrize("scales", [(0.3, 0.7, 1.0), (0.75, 0.25, 1.0), (0.75, 0.25, 0.0), (0.0, 0.0, 1.0)])
def test_adaptation_matches_kaldi(scales):
    before = model()
    vectors = 1 + RNG.standard_normal((50, 4)) @ np.linalg.inv(before.transform).T * np.array([3, 2, 0.5, 0.1])
    mean, within, between = kaldis_steps(before, vectors, *scales)
    after = adapt_gaussians(before, vectors.mean(axis=0), np.cov(vectors.T, bias=True), *scales)
    assert after.mean == pytest.approx(mean)
    assert after.transform @ within @ after.transform.T == pytest.approx(np.eye(4), abs=1e-9)
    assert after.transform @ between @ after.transform.T == pytest.approx(np.diag(after.psi), abs=1e-9)
    assert (np.diff(after.psi) <= 0).all()


def test_one_dimension_agrees_with_a_manual_calculation():
    before = Gaussians(np.zeros(1), np.eye(1), np.array([3.0]))  # variance 1 within, 3 between
    after = adapt_gaussians(before, np.array([2.0]), np.array([[8.0]]), 0.25, 0.75)
    # the domain has variance 8 + 2^2 = 12, an excess of 8 over the model's 4: 2 go to within, 6 to between
    assert after.mean.tolist() == [2]
    assert after.psi == pytest.approx([(3 + 6) / (1 + 2)])
    assert after.transform == pytest.approx(np.array([[1 / np.sqrt(3)]]))


def test_a_domain_that_varies_less_changes_only_the_mean():
    before = model()
    back = np.linalg.inv(before.transform)
    after = adapt_gaussians(before, before.mean, back @ back.T * 0.9)
    assert after.psi == pytest.approx(before.psi)
    assert np.abs(after.transform) == pytest.approx(np.abs(before.transform))


@pytest.fixture
def trained():
    speakers = np.repeat(np.arange(20), 5)
    vectors = RNG.standard_normal((20, 6))[speakers] + RNG.standard_normal((100, 6))
    return train_plda(vectors, speakers)[0], vectors


def test_the_back_end_takes_the_mean_of_the_domain_and_keeps_its_lda(trained):
    before, vectors = trained
    domain = 5 + 2 * vectors[:40]
    after = adapt_plda(before, domain, 0.75, 0.25)
    assert after.projection.center == pytest.approx(domain.mean(axis=0))
    assert after.projection.transform is before.projection.transform
    reduced = fixed_length((domain - domain.mean(axis=0)) @ before.projection.transform.T)
    expected = adapt_gaussians(before.gaussians, reduced.mean(axis=0), np.cov(reduced.T, bias=True), 0.75, 0.25)
    assert after.gaussians.psi == pytest.approx(expected.psi, rel=1e-4)


def test_too_few_embeddings_or_other_sizes_are_refused(trained):
    with pytest.raises(InputError, match=r"found 1$"):
        adapt_plda(trained[0], np.ones((1, 6)))
    with pytest.raises(InputError, match="6 values, found 5"):
        adapt_plda(trained[0], np.ones((9, 5)))


def test_coral_matches_the_published_product_of_matrix_powers():
    vectors = RNG.standard_normal((60, 4)) * [3, 2, 1, 0.5] + 7
    domain = RNG.standard_normal((50, 4)) @ RNG.standard_normal((4, 4))
    own, new = np.cov(vectors.T, bias=True), np.cov(domain.T, bias=True)
    ridge = np.trace(own) / 4 * np.eye(4)
    powers = fractional_matrix_power(own + ridge, -0.5) @ fractional_matrix_power(new + ridge, 0.5)
    expected = (vectors - vectors.mean(axis=0)) @ powers + domain.mean(axis=0)
    assert coral(vectors, domain) == pytest.approx(expected, abs=1e-5)


def test_coral_to_the_same_domain_changes_nothing():
    vectors = RNG.standard_normal((60, 4)) * [3, 2, 1, 0.5] + 7
    assert coral(vectors, vectors) == pytest.approx(vectors, abs=1e-5)


def test_coral_does_not_depend_on_scale():
    vectors, domain = RNG.standard_normal((60, 4)), RNG.standard_normal((50, 4)) * [3, 2, 1, 0.5]
    assert coral(1000 * vectors, 1000 * domain) == pytest.approx(1000 * coral(vectors, domain), rel=1e-4, abs=1e-2)


@pytest.mark.parametrize(
    ("vectors", "domain", "message"),
    [
        (np.eye(3), np.eye(3)[:1], "adaptation embeddings, found 1"),
        (np.eye(3)[:1], np.eye(3), "training embeddings, found 1"),
        (np.eye(3), np.eye(4), "4 values, .* 3"),
        (np.ones((3, 3)), np.eye(3), "training embeddings"),
    ],
)
def test_coral_refuses_embeddings_without_a_covariance(vectors, domain, message):
    with pytest.raises(InputError, match=message):
        coral(vectors, domain)


def test_adaptation_and_coral_lower_the_cost_on_a_domain_that_varies_more():
    """In the new domain, some directions have a hundred times the within-speaker variance, others another mean."""
    rng, d = np.random.default_rng(0), 12

    def draw(n_speakers, n_each, deviation, mean):
        speakers = np.repeat(np.arange(n_speakers), n_each)
        means, clips = rng.standard_normal((n_speakers, d))[speakers], rng.standard_normal((len(speakers), d))
        return speakers, (means + clips * deviation + mean).astype(np.float32)

    def cost(plda):
        left, right = Ratio(plda)(Embeddings([""] * len(test), test))
        ratios = left[::2] @ right[1::2].T
        others = ratios[~np.eye(len(ratios), dtype=bool)]
        return np.logaddexp(0, -np.diag(ratios)).mean() + np.logaddexp(0, others).mean()

    speakers, vectors = draw(300, 4, np.full(d, 0.3), 0)
    new = np.where(np.arange(d) < 4, 3.0, 0.3), np.where(np.arange(d) > 9, 2.0, 0.0)
    _, domain = draw(300, 3, *new)
    _, test = draw(200, 2, *new)
    before = train_plda(vectors, speakers)[0]
    aligned = train_plda(coral(vectors, domain), speakers)[0]
    assert cost(adapt_plda(before, domain, 0.75, 0.25)) < cost(before) / 2
    assert cost(aligned) < cost(before)
