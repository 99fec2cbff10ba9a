"""Vectors of the two-covariance model, for the tests of PLDA."""

import numpy as np


def covariance(d, seed=0):
    a = np.random.default_rng(seed).standard_normal((d, d))
    return a @ a.T + 0.1 * np.eye(d)


def draw(between, within, counts, rng):
    people = np.repeat(np.arange(len(counts)), counts)
    d = len(within)
    places = rng.multivariate_normal(np.zeros(d), between, len(counts))
    return people, places[people] + rng.multivariate_normal(np.ones(d), within, len(people))
