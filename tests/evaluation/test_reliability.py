"""The reliability diagram's bins against counts, and calibrated scores on the diagonal."""

import numpy as np
import pytest

from avsv.evaluation.clusters import Clusters
from avsv.evaluation.reliability import EDGES, reliability


def calibrated(n, rng, separation=3.0):
    """Independent trials with exact log-likelihood ratios."""
    labels = np.arange(2 * n) < n
    scores = separation * (rng.standard_normal(2 * n) + separation * labels) - separation**2 / 2
    speakers = np.arange(4 * n).reshape(2 * n, 2)
    speakers[labels, 1] = speakers[labels, 0]
    return scores, labels, Clusters(speakers, labels)


def test_bins_count_their_trials():
    scores, labels, clusters = calibrated(500, np.random.default_rng(0))
    bins = reliability(scores, labels, clusters)
    expected = [np.histogram(scores[which], EDGES)[0] for which in (labels, ~labels)]
    kept = (expected[0] + expected[1]) > 0
    assert np.array_equal(bins.n_target, expected[0][kept]) and np.array_equal(bins.n_nontarget, expected[1][kept])
    both = (bins.n_target > 0) & (bins.n_nontarget > 0)
    assert bins.observed[both] == pytest.approx(np.log(bins.n_target[both] / bins.n_nontarget[both]))


def test_calibrated_scores_lie_within_the_limits_and_others_do_not():
    scores, labels, clusters = calibrated(2000, np.random.default_rng(0))
    bins = reliability(scores, labels, clusters)
    assert ((bins.low <= bins.predicted) & (bins.predicted <= bins.high)).all()
    assert (bins.low <= bins.observed).all() and (bins.observed <= bins.high).all()
    for wrong in (scores + 2, 3 * scores):
        bins = reliability(wrong, labels, clusters)
        assert not ((bins.low <= bins.predicted) & (bins.predicted <= bins.high)).all()


def test_extreme_scores_give_finite_predictions():
    labels = np.array([True, True, False, False])
    clusters = Clusters(np.array([[0, 0], [1, 1], [0, 1], [1, 2]]), labels)
    bins = reliability(np.array([1e6, 2.0, -1e6, -900.0]), labels, clusters)
    assert np.isfinite(bins.predicted).all() and bins.n_target.sum() == 2
