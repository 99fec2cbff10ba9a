"""Back-ends on real embeddings: SpeechBrain's ECAPA of 270 speakers, trained on one half and tested on the other."""

import csv

import numpy as np
import pytest

from avsv.evaluation.errors import eer
from avsv.kaldi.embeddings import Embeddings
from avsv.scoring.backend import Cosine
from avsv.scoring.cosine import inner_products
from avsv.scoring.plda import Ratio
from avsv.scoring.plda_training import train_plda


@pytest.fixture
def voices(real_data):
    """Names, embeddings (2700, 192), speaker numbers, and the half that each speaker is in."""
    archive = np.load(real_data / "nsc" / "embeddings.npz")
    names = archive["keys"].tolist()
    _, speakers = np.unique([name.rpartition("_")[0] for name in names], return_inverse=True)
    half = np.arange(speakers.max() + 1) % 2
    return names, archive["ecapa"].astype(np.float32), speakers, half[speakers]


def sides_by_halves(voices):
    """The sides of the cosine, and those of PLDA with each half scored by the model of the other."""
    names, vectors, speakers, half = voices
    plda = np.empty((2, len(names), 192 + 2), np.float32)
    for side in (0, 1):
        _, numbers = np.unique(speakers[half != side], return_inverse=True)
        backend = Ratio(train_plda(vectors[half != side], numbers)[0])
        rows = np.flatnonzero(half == side)
        plda[:, rows] = backend(Embeddings([names[row] for row in rows], vectors[rows]))
    return Cosine()(Embeddings(names, vectors)), plda


def test_plda_of_135_speakers_beats_the_cosine_on_135_others(voices, real_data):
    names, _, _, half = voices
    row_of = {name: row for row, name in enumerate(names)}
    cosine, plda = sides_by_halves(voices)
    for part in (1, 2, 3):
        with open(real_data / "nsc" / f"pt{part}_trials.csv", newline="") as file:
            table = list(csv.DictReader(file))
        pairs = np.array([[row_of[f"nsc{part}/{line[side][:-4]}"] for side in ("utt1", "utt2")] for line in table])
        same_half = half[pairs[:, 0]] == half[pairs[:, 1]]
        labels = np.array([line["label"] == "1" for line in table])[same_half]
        rates = [eer(inner_products(left, right, pairs[same_half]), labels) for left, right in (cosine, plda)]
        assert rates[1] < rates[0]


def test_three_recordings_by_the_book_beat_one(voices):
    names, vectors, speakers, half = voices
    _, numbers = np.unique(speakers[half == 0], return_inverse=True)
    backend = Ratio(train_plda(vectors[half == 0], numbers)[0]).for_counts(np.array([3]))
    left, right = backend(Embeddings(names, vectors))
    rows = np.flatnonzero(half == 1).reshape(-1, 10)  # ten clips of each speaker
    enrolled = backend.enroll(right[rows[:, :3]].mean(axis=1), np.full(len(rows), 3))
    tests = rows[:, 3:].ravel()
    labels = np.arange(len(rows))[:, None] == np.repeat(np.arange(len(rows)), 7)
    one, three = (eer((side @ right[tests].T).ravel(), labels.ravel()) for side in (left[rows[:, 0]], enrolled))
    assert three < one / 2
