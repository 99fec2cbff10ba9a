"""PLDA with uncertain embeddings: Gaussian densities, finite differences, simulated speakers, limits."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import multivariate_normal, norm

from avsv.errors import InputError
from avsv.evaluation.cllr import cllr
from avsv.scoring.calibration import train_map
from avsv.scoring.plda import Gaussians, Plda, plda_llr
from avsv.scoring.projection import Projection
from avsv.scoring.uncertain_plda import (
    PairList,
    Uncertainty,
    cost_of_list,
    llr_and_slopes,
    score_pairs,
    train_uncertainty,
    uncertain_llr,
)

RNG = np.random.default_rng(0)
PSI = np.array([5.0, 2.0, 0.3, 0.0])
WEIGHTS, BASE = np.array([0.9, -0.5]), 0.4
PLDA = Plda(Projection(np.zeros(4)), Gaussians(np.zeros(4), np.eye(4), PSI), "as-is")


def simulate(seed, n=20000, n_speakers=150, name="dev"):
    """Recordings of the model, with the variance 1 + exp(BASE + WEIGHTS . limited quality) within speakers."""
    rng = np.random.default_rng(seed)
    speakers = np.repeat(np.arange(n_speakers), 8)
    quality = rng.standard_normal((len(speakers), 2))
    variance = 1 + np.exp(BASE + 2 * np.tanh((quality - quality.mean(axis=0)) / quality.std(axis=0) / 2) @ WEIGHTS)
    means = np.sqrt(PSI) * rng.standard_normal((n_speakers, 4))
    vectors = means[speakers] + np.sqrt(variance)[:, None] * rng.standard_normal((len(speakers), 4))
    pairs = rng.integers(0, len(speakers), (n, 2))
    same = rng.random(n) < 0.3
    pairs[same, 1] = 8 * (pairs[same, 0] // 8) + (pairs[same, 0] + rng.integers(1, 8, same.sum())) % 8
    given = PairList(vectors, quality, pairs, speakers[pairs[:, 0]] == speakers[pairs[:, 1]], name)
    return given, variance


def draw(n, d=4):
    return RNG.standard_normal((2, n, d)), RNG.uniform(0.5, 5, (2, n))


def test_the_ratio_is_that_of_gaussian_densities():
    (x, y), (v, w) = draw(20)
    for n, found in enumerate(uncertain_llr(x, y, v, w, PSI)):
        expected = 0.0
        for k, psi in enumerate(PSI):
            covariance = [[psi + v[n], psi], [psi, psi + w[n]]]
            expected += multivariate_normal.logpdf([x[n, k], y[n, k]], cov=covariance)
            expected -= norm.logpdf(x[n, k], scale=np.sqrt(psi + v[n])) + norm.logpdf(
                y[n, k], scale=np.sqrt(psi + w[n])
            )
        assert found == pytest.approx(expected, rel=1e-9)


def test_with_variances_of_one_it_is_plda():
    (x, y), _ = draw(30)
    expected = np.diag(plda_llr(x, y, PSI))
    assert uncertain_llr(x, y, np.ones(30), np.ones(30), PSI) == pytest.approx(expected)


def test_slopes_agree_with_finite_differences():
    (x, y), (v, w) = draw(10)
    slopes, step = llr_and_slopes(x, y, v, w, PSI)[1:], 1e-6
    plus, minus = (
        [
            uncertain_llr(x, y, v + h, w, PSI),
            uncertain_llr(x, y, v, w + h, PSI),
            uncertain_llr(x, y, v, w, np.exp(h) * PSI),
        ]
        for h in (step, -step)
    )
    for found, high, low in zip(slopes, plus, minus, strict=True):
        assert found == pytest.approx((high - low) / (2 * step), rel=1e-5, abs=1e-7)


@given(st.floats(0.1, 10), st.floats(0.1, 10), st.floats(-20, 20), st.floats(-20, 20))
def test_the_order_of_a_pair_does_not_matter_and_infinite_uncertainty_is_no_evidence(v, w, a, b):
    x, y = np.full((1, 4), a), np.full((1, 4), b)
    one = uncertain_llr(x, y, np.array([v]), np.array([w]), PSI)
    assert uncertain_llr(y, x, np.array([w]), np.array([v]), PSI) == pytest.approx(one)
    assert uncertain_llr(x, y, np.array([1e9]), np.array([w]), PSI) == pytest.approx(0, abs=1e-3)


def test_blocks_do_not_change_ratios(monkeypatch):
    (x, y), (v, w) = draw(50)
    whole = uncertain_llr(x, y, v, w, PSI)
    monkeypatch.setattr("avsv.scoring.uncertain_plda.BLOCK", 7)
    assert np.array_equal(uncertain_llr(x, y, v, w, PSI), whole)


def test_gradient_and_fisher_information_of_the_cost():
    one, _ = simulate(1, 400)
    x = np.array([-0.3, 0.2, 0.5, 0.4, -0.2])
    standard = np.tanh(one.quality)
    _, gradient, fisher = cost_of_list(x, one, one.vectors, standard, PSI, 0.1)
    for place in range(len(x)):
        step = 1e-6 * np.eye(len(x))[place]
        high, low = (cost_of_list(x + sign * step, one, one.vectors, standard, PSI, 0.1)[0] for sign in (1, -1))
        assert gradient[place] == pytest.approx((high - low) / 2e-6, rel=1e-4, abs=1e-8)
    assert np.linalg.eigvalsh(fisher).min() > -1e-12


def test_the_law_of_the_variance_is_recovered():
    found = train_uncertainty(PLDA, [simulate(seed, 60000, 1000)[0] for seed in (2, 3)], 0.5, 1e-6)
    assert found.weights == pytest.approx(WEIGHTS, abs=0.12)
    assert found.base == pytest.approx(BASE, abs=0.25)
    assert [found.log_scale, found.log_between] == pytest.approx([0, 0], abs=0.1)


def test_known_uncertainty_is_better_than_plda_without_it():
    train, test = simulate(4)[0], simulate(5)[0]
    law = train_uncertainty(PLDA, [train], 0.5)
    plain = [uncertain_llr(*one.vectors[one.pairs.T], 1, 1, PSI) for one in (train, test)]
    (slope,), offset = train_map(plain[0][:, None], train.labels, 0.5)
    uncertain, certain = score_pairs(PLDA, law, test), slope * plain[1] + offset
    assert cllr(uncertain, test.labels) < cllr(certain, test.labels) - 0.01
    assert cllr(uncertain, test.labels) < 1.01 * min(cllr(scale * uncertain, test.labels) for scale in (0.8, 1.25))


def test_training_is_deterministic_and_lists_weigh_the_same_whatever_their_size():
    one, other = simulate(6, 3000)[0], simulate(7, 3000)[0]
    many = replace(one, pairs=np.tile(one.pairs, (3, 1)), labels=np.tile(one.labels, 3))
    expected, again, found = (train_uncertainty(PLDA, [first, other], 0.1) for first in (one, one, many))
    assert np.array_equal(expected.weights, again.weights)
    assert found.weights == pytest.approx(expected.weights, abs=1e-4)


@pytest.mark.parametrize("sign", [-1, 1])
def test_quality_far_from_the_training_recordings_acts_like_two_deviations(sign):
    law = Uncertainty(np.array([1.0]), np.array([0.5]), 0.0, np.array([1.0]), 0.0, 0.0)
    assert law.variances(np.array([[sign * 1e300]])) == pytest.approx([1 + np.exp(sign * 2)])


def test_a_constant_measure_has_no_influence():
    one = simulate(8, 2000)[0]
    one.quality[:, 1] = 7.0
    assert train_uncertainty(PLDA, [one], 0.1).weights[1] == pytest.approx(0)


def test_separable_speakers_give_finite_values():
    speakers = np.repeat(np.arange(10), 4)
    vectors = 100 * RNG.standard_normal((10, 4))[speakers] + 1e-3 * RNG.standard_normal((40, 4))
    pairs = np.argwhere(np.ones((40, 40)))
    labels = speakers[pairs[:, 0]] == speakers[pairs[:, 1]]
    one = PairList(vectors, RNG.standard_normal((40, 1)), pairs, labels)
    ratios = score_pairs(PLDA, train_uncertainty(PLDA, [one]), one)
    assert np.isfinite(ratios).all() and ratios[labels].min() > ratios[~labels].max()


def test_unusable_lists_are_named():
    one = simulate(9, 500)[0]
    absent = one.quality.copy()
    absent[one.pairs[0, 0], 0] = np.nan
    for wrong in ({"quality": absent}, {"quality": one.quality[:, :1]}, {"labels": np.zeros(500, bool)}):
        with pytest.raises(InputError, match="damaged"):
            train_uncertainty(PLDA, [one, replace(one, name="damaged", **wrong)])
    with pytest.raises(InputError), np.errstate(over="ignore", invalid="ignore"):
        train_uncertainty(PLDA, [replace(one, vectors=one.vectors * 1e300)])
    law = train_uncertainty(PLDA, [one], 0.1)
    with pytest.raises(InputError, match="damaged"):
        score_pairs(PLDA, law, replace(one, quality=absent, name="damaged"))


def test_a_value_that_no_pair_needs_may_be_missing():
    one = simulate(10, 500)[0]
    unused = np.setdiff1d(np.arange(len(one.quality)), one.pairs)
    one.quality[unused] = np.nan
    assert len(unused) and np.isfinite(score_pairs(PLDA, train_uncertainty(PLDA, [one], 0.1), one)).all()
