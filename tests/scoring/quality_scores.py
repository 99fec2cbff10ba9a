"""Simulated scores of systems whose evidence depends on quality in a known way."""

import numpy as np

from avsv.kaldi.trials import Trials
from avsv.scoring.quality import Measure, RecordingValues
from avsv.scoring.quality_training import TrainingList, train_quality_fusion

MEASURES = [Measure("utt2snr", False, 0.0), Measure("utt2dur", True, 0.0)]
W = np.array([0.5, 0.3, 0.0, -0.1])  # of lower and higher snr, lower and higher dur, per standard deviation
U = np.array([0.4, 0.0, 0.0, -0.4])


def limited(x):
    """Approaches -2 and 2."""
    return 2 * np.tanh(x / 2)


def simulate(seed, n=20000, n_people=40, absent=0.2, name="dev", n_systems=2):
    """Trials whose scores have the log-likelihood ratio exp(1 + q.W) (score - 2) + q.U in each of the systems.

    The log-likelihood ratio itself is normal with mean +-v/2 and variance v, as that of a Gaussian model is.
    """
    rng = np.random.default_rng(seed)
    ids = [f"r{number}" for number in range(8 * n_people)]
    pairs = rng.integers(0, len(ids), (n, 2))
    same = rng.random(n) < 0.3
    pairs[same, 1] = (pairs[same, 0] + n_people * rng.integers(1, 8, same.sum())) % len(ids)
    labels = pairs[:, 0] % n_people == pairs[:, 1] % n_people
    values, scores = [], np.empty((n, n_systems))
    for system in range(n_systems):
        quality = rng.normal(size=(len(ids), 2))
        values.append(RecordingValues(quality, quality))
        features = values[-1].features(pairs)
        standard = limited((features - features.mean(axis=0)) / features.std(axis=0))
        scale = np.exp(1 + standard @ W)
        variance = 2 * scale
        ratio = np.where(labels, variance, -variance) / 2 + np.sqrt(variance) * rng.normal(size=n)
        scores[:, system] = (ratio - standard @ U) / scale + 2
        scores[rng.random(n) < absent, system] = np.nan
    return TrainingList(name, Trials(ids, ids, pairs, labels), scores, values)


def train(lists, p=0.1, ridge=1e-6, **options):
    n_systems = lists[0].scores.shape[1]
    measures = [MEASURES] * n_systems if lists[0].quality else []
    return train_quality_fusion(lists, ["voice", "face"][:n_systems], p, ridge, measures, **options)
