"""Whitening, against scikit-learn's principal components."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from avsv.errors import InputError
from avsv.scoring import whitening as module
from avsv.scoring.whitening import mean_and_covariance, train_whitening

RNG = np.random.default_rng(0)
VECTORS = RNG.standard_normal((50, 6)) @ RNG.standard_normal((6, 6)) + 100


@pytest.mark.parametrize("dim", [None, 3])
def test_whitened_embeddings_are_scikit_learns(dim):
    theirs = PCA(n_components=dim, whiten=True).fit_transform(VECTORS)
    ours = train_whitening(VECTORS, dim).apply(VECTORS)
    assert ours == pytest.approx(theirs * np.sign((ours * theirs).sum(axis=0)), abs=1e-4)


def test_whitened_embeddings_have_covariance_one():
    assert np.cov(train_whitening(VECTORS).apply(VECTORS).T) == pytest.approx(np.eye(6), abs=1e-4)


def test_moments_by_blocks_are_numpys(monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 7)
    mean, covariance = mean_and_covariance(VECTORS, lambda block: block * 2)
    assert mean == pytest.approx(2 * VECTORS.mean(axis=0))
    assert covariance == pytest.approx(4 * np.cov(VECTORS.T, bias=True))


def test_directions_without_variation_are_left_out_and_told(caplog):
    vectors = np.column_stack([VECTORS, VECTORS[:, 0]])
    assert len(train_whitening(vectors).transform) == 6
    assert len(train_whitening(vectors, 7).transform) == 6
    assert "7 dimensions asked for; 50 embeddings vary in 6" in caplog.text
    assert len(train_whitening(VECTORS[:4]).transform) == 3


def test_what_has_no_covariance_is_refused():
    with pytest.raises(InputError, match="at least two embeddings, found 1"):
        train_whitening(np.ones((1, 3)))
    with pytest.raises(InputError, match="all the same"):
        train_whitening(np.ones((5, 3)))
