"""The i-vector extractor against dense and slow computations, and on data drawn from the model."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from avsv.systems.speech import extractor as em
from avsv.systems.speech.gmm import FullGmm
from avsv.systems.speech.statistics import Selection, alignment, statistics

K, D, R = 3, 4, 3


def random_extractor(rng, k=K, d=D, r=R, offset=5.0):
    halves = rng.normal(0, 0.4, (k, d, d)) + np.eye(d)
    weights = rng.dirichlet(np.full(k, 5.0))
    return em.Extractor(weights, rng.normal(0, 1, (k, d, r)), np.linalg.inv(halves @ halves.transpose(0, 2, 1)), offset)


def draw(extractor, rng, n, frames):
    """Recordings drawn from the model: their statistics, with known Gaussians, and all second-order sums."""
    k, d, r = extractor.projections.shape
    roots = np.linalg.cholesky(np.linalg.inv(extractor.precisions))
    counts, first, second = np.zeros((n, k)), np.zeros((n, k, d)), np.zeros((k, d, d))
    vectors = rng.normal(size=(n, r)) + extractor.offset * np.eye(r)[0]
    for one, vector in enumerate(vectors):
        for gaussian in range(k):
            size = rng.poisson(frames * extractor.weights[gaussian]) + 1
            x = extractor.projections[gaussian] @ vector + rng.normal(size=(size, d)) @ roots[gaussian].T
            counts[one, gaussian], first[one, gaussian] = size, x.sum(axis=0)
            second[gaussian] += x.T @ x
    return counts, first, second


def test_the_posterior_equals_that_of_one_large_gaussian():
    """All frames of a recording, stacked, and its i-vector are jointly Gaussian: condition on the frames."""
    rng = np.random.default_rng(0)
    extractor, owners = random_extractor(rng), [0, 0, 1, 2, 2, 2]
    x = rng.normal(0, 3, (len(owners), D))
    counts = np.bincount(owners, minlength=K).astype(float)
    first = np.stack([x[np.array(owners) == one].sum(axis=0) for one in range(K)])
    loading = np.concatenate([extractor.projections[one] for one in owners])
    noise = np.zeros((len(loading), len(loading)))
    for place, one in enumerate(owners):
        noise[place * D : (place + 1) * D, place * D : (place + 1) * D] = np.linalg.inv(extractor.precisions[one])
    prior = extractor.offset * np.eye(R)[0]
    total = loading @ loading.T + noise
    gain = loading.T @ np.linalg.inv(total)
    mean = prior + gain @ (x.ravel() - loading @ prior)
    means, covariances, gains = extractor.posterior(counts[None], first[None])
    assert means[0] == pytest.approx(mean, abs=1e-9)
    assert covariances[0] == pytest.approx(np.eye(R) - gain @ loading, abs=1e-9)
    assert extractor.ivectors(counts[None], first[None])[0] == pytest.approx(mean - prior, abs=1e-9)
    with_model = multivariate_normal(loading @ prior, total).logpdf(x.ravel())
    at_zero = multivariate_normal(np.zeros(len(loading)), noise).logpdf(x.ravel())
    assert gains[0] == pytest.approx(with_model - at_zero, abs=1e-8)
    sums = em.accumulate(extractor, counts[None], first[None])
    second = np.stack([x[np.array(owners) == one].T @ x[np.array(owners) == one] for one in range(K)])
    assert em.log_likelihood(extractor, sums, second) == pytest.approx(with_model / len(owners), abs=1e-9)


def slow_step(extractor, counts, first, second):
    """One EM step, a Gaussian and a recording at a time, in the words of the equations."""
    n, eye, e1 = len(counts), np.eye(R), np.eye(R)[0]
    vectors, spreads = [], []
    for one in range(n):
        inverse, linear = eye.copy(), extractor.offset * e1
        for i in range(K):
            m, precision = extractor.projections[i], extractor.precisions[i]
            inverse = inverse + counts[one, i] * m.T @ precision @ m
            linear = linear + m.T @ precision @ first[one, i]
        spread = np.linalg.inv(inverse)
        vectors.append(spread @ linear)
        spreads.append(spread)
    projections, covariances = [], []
    for i in range(K):
        y = sum(np.outer(first[one, i], vectors[one]) for one in range(n))
        r = sum(counts[one, i] * (spreads[one] + np.outer(vectors[one], vectors[one])) for one in range(n))
        m = y @ np.linalg.inv(r)
        projections.append(m)
        covariances.append((second[i] - y @ m.T - m @ y.T + m @ r @ m.T) / counts[:, i].sum())
    mean = sum(vectors) / n
    covariance = sum(s + np.outer(w, w) for s, w in zip(spreads, vectors, strict=True)) / n - np.outer(mean, mean)
    return np.array(projections), np.array(covariances), mean, covariance


def test_one_em_step_equals_a_slow_one():
    """The distribution of the means is compared, because the coordinates of the i-vectors are free."""
    rng = np.random.default_rng(1)
    extractor = random_extractor(rng)
    counts, first, second = draw(random_extractor(rng), rng, 40, 20)
    blocks = [em.accumulate(extractor, counts[part], first[part]) for part in (slice(0, 15), slice(15, 40))]
    sums = {name: blocks[0][name] + blocks[1][name] for name in blocks[0]}
    ours = em.updated(extractor, sums, second, least_count=1, floor=1e-6)
    projections, covariances, mean, covariance = slow_step(extractor, counts, first, second)
    assert np.linalg.inv(ours.precisions) == pytest.approx(covariances, abs=1e-9)
    stacked, expected = ours.projections.reshape(K * D, R), projections.reshape(K * D, R)
    assert ours.offset * stacked[:, 0] == pytest.approx(expected @ mean, abs=1e-8)
    assert stacked @ stacked.T == pytest.approx(expected @ covariance @ expected.T, abs=1e-8)
    average = em.unpacked(ours.weights @ ours.quadratic, R)[1:, 1:]
    assert average == pytest.approx(np.diag(np.diag(average)), abs=1e-7) and (np.diff(np.diag(average)) < 0).all()


def train(extractor, counts, first, second, steps):
    likelihoods = []
    for _ in range(steps):
        sums = em.accumulate(extractor, counts, first)
        likelihoods.append(em.log_likelihood(extractor, sums, second))
        extractor = em.updated(extractor, sums, second, least_count=1, floor=1e-6)
    return extractor, likelihoods


def test_the_likelihood_never_falls():
    rng = np.random.default_rng(2)
    counts, first, second = draw(random_extractor(rng), rng, 60, 30)
    _, likelihoods = train(random_extractor(rng, r=5), counts, first, second, 25)
    assert (np.diff(likelihoods) > -1e-10).all() and likelihoods[-1] > likelihoods[0] + 0.1


def test_the_subspace_and_the_covariances_of_drawn_data_are_recovered():
    rng = np.random.default_rng(3)
    truth = random_extractor(rng, k=4, d=5, r=3, offset=8.0)
    counts, first, second = draw(truth, rng, 1500, 60)
    means = first.sum(axis=0) / counts.sum(axis=0)[:, None]
    start = em.initial_extractor(FullGmm(truth.weights, means, np.tile(np.eye(5) * 4, (4, 1, 1))), 3, 100.0, 0)
    found, likelihoods = train(start, counts, first, second, 60)
    true_likelihood = em.log_likelihood(truth, em.accumulate(truth, counts, first), second)
    assert likelihoods[-1] > true_likelihood - 1e-3
    assert np.linalg.inv(found.precisions) == pytest.approx(np.linalg.inv(truth.precisions), abs=0.15)
    ours, theirs = (e.projections.reshape(-1, 3) for e in (found, truth))
    cosines = np.linalg.svd(np.linalg.qr(ours)[0].T @ np.linalg.qr(theirs)[0], compute_uv=False)
    assert cosines.min() > 0.999
    assert found.offset * ours[:, 0] == pytest.approx(truth.offset * theirs[:, 0], abs=0.3)


def test_the_means_of_the_ubm_are_in_the_first_column_and_rare_gaussians_stay():
    rng = np.random.default_rng(4)
    ubm = FullGmm(np.full(K, 1 / K), rng.normal(size=(K, D)), np.tile(np.eye(D), (K, 1, 1)))
    extractor = em.initial_extractor(ubm, R, 100.0, 7)
    assert extractor.projections[:, :, 0] * 100 == pytest.approx(ubm.means)
    counts, first, second = draw(random_extractor(rng), rng, 30, 20)
    counts[:, 2], first[:, 2], second[2] = 0.1, 0, 0
    sums = em.accumulate(extractor, counts, first)
    new = em.updated(extractor, sums, second, least_count=50, floor=0.1)
    assert new.precisions[2] == pytest.approx(np.eye(D))
    spaces = [np.linalg.qr(e.projections[2])[0] for e in (extractor, new)]  # other coordinates, the same subspace
    assert np.linalg.svd(spaces[0].T @ spaces[1], compute_uv=False) == pytest.approx(np.ones(R))


def test_covariances_are_floored_to_a_share_of_their_average():
    rng = np.random.default_rng(5)
    truth = random_extractor(rng)
    thin = em.Extractor(truth.weights, truth.projections, truth.precisions * np.array([1.0, 1.0, 1e4])[:, None, None],
                        truth.offset)  # fmt: skip
    counts, first, second = draw(thin, rng, 80, 60)
    sums = em.accumulate(thin, counts, first)
    plain, floored = (em.updated(thin, sums, second, 1, floor) for floor in (1e-9, 0.1))
    smallest = [np.linalg.eigvalsh(np.linalg.inv(e.precisions[2]))[0] for e in (plain, floored)]
    assert smallest[0] < 0.01 < smallest[1]


def test_statistics_use_pruned_posteriors():
    rng = np.random.default_rng(6)
    ubm = FullGmm(np.full(4, 0.25), rng.normal(0, 1, (4, 2)), np.tile(np.eye(2), (4, 1, 1)))
    frames = rng.normal(0, 1.5, (2500, 2))
    posteriors = alignment(ubm, frames, Selection(4, 0.0))
    density = 0.25 * np.stack([multivariate_normal(mean, np.eye(2)).pdf(frames) for mean in ubm.means], axis=1)
    exact = density / density.sum(axis=1, keepdims=True)
    assert posteriors == pytest.approx(exact)
    pruned = np.where(exact >= 0.2, exact, 0)
    pruned /= pruned.sum(axis=1, keepdims=True)
    assert alignment(ubm, frames, Selection(4, 0.2)) == pytest.approx(pruned)
    second = np.zeros((4, 2, 2))
    counts, first = statistics(ubm, frames, Selection(4, 0.2), second)
    assert counts == pytest.approx(pruned.sum(axis=0)) and first == pytest.approx(pruned.T @ frames)
    assert second == pytest.approx(np.einsum("tk,ti,tj->kij", pruned, frames, frames))
    assert alignment(ubm, frames, Selection(4, 1.0)).max(axis=1) == pytest.approx(np.ones(2500))  # the best stays
