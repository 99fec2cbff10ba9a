"""Vectors of the two-covariance model, for the tests of PLDA."""

import numpy as np


def covariance(d, seed=0):
    """A random positive definite matrix (d, d)."""
    a = np.random.default_rng(seed).standard_normal((d, d))
    return a @ a.T + 0.1 * np.eye(d)


def draw(between, within, counts, rng):
    """Speaker numbers, and vectors with mean 1, of speakers with the given numbers of recordings."""
    speakers = np.repeat(np.arange(len(counts)), counts)
    d = len(within)
    means = rng.multivariate_normal(np.zeros(d), between, len(counts))
    return speakers, means[speakers] + rng.multivariate_normal(np.ones(d), within, len(speakers))
