"""Whitening, compared with scikit-learn's principal components."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from avsv.errors import InputError
from avsv.scoring import whitening as module
from avsv.scoring.whitening import mean_and_covariance, train_whitening

RNG = np.random.default_rng(0)
VECTORS = RNG.standard_normal((50, 6)) @ RNG.standard_normal((6, 6)) + 100


@pytest.mark.parametrize("dim", [None, 3])
def test_whitened_embeddings_match_scikit_learn(dim):
    theirs = PCA(n_components=dim, whiten=True).fit_transform(VECTORS)
    ours = train_whitening(VECTORS, dim).apply(VECTORS)
    assert ours == pytest.approx(theirs * np.sign((ours * theirs).sum(axis=0)), abs=1e-4)


def test_whitened_embeddings_have_covariance_one():
    assert np.cov(train_whitening(VECTORS).apply(VECTORS).T) == pytest.approx(np.eye(6), abs=1e-4)


def test_moments_computed_in_blocks_match_numpy(monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 7)
    mean, covariance = mean_and_covariance(VECTORS, lambda block: block * 2)
    assert mean == pytest.approx(2 * VECTORS.mean(axis=0))
    assert covariance == pytest.approx(4 * np.cov(VECTORS.T, bias=True))


def test_directions_without_variation_are_dropped_with_a_warning(caplog):
    vectors = np.column_stack([VECTORS, VECTORS[:, 0]])
    assert len(train_whitening(vectors).transform) == 6
    assert len(train_whitening(vectors, 7).transform) == 6
    assert caplog.records[0].args == (7, 50, 6)
    assert len(train_whitening(VECTORS[:4]).transform) == 3


def test_embeddings_without_a_covariance_are_refused():
    with pytest.raises(InputError, match=r"found 1$"):
        train_whitening(np.ones((1, 3)))
    with pytest.raises(InputError, match="identical"):
        train_whitening(np.ones((5, 3)))
