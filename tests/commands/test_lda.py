"""avsv lda, and avsv score with its output."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from avsv.kaldi.embeddings import read_embeddings
from avsv.kaldi.trials import read_trials
from avsv.scoring.projection import read_projection


def lda(avsv, world, *options):
    return avsv("lda", "--embeddings", world.train, *options, world.folder / "lda")


def read(world):
    return read_projection(world.folder / "lda" / "mean.vec", world.folder / "lda" / "transform.mat")


def test_lda_spans_scikit_learns_directions(avsv, world):
    status, output = lda(avsv, world, "--utt2spk", world.utt2spk, "--dim", "2")
    assert (status, "2 dimensions from 150 embeddings" in output) == (0, True)
    embeddings, projection = read_embeddings(world.train), read(world)
    speakers = [name.partition("-")[0] for name in embeddings.ids]
    theirs = LinearDiscriminantAnalysis(solver="eigen").fit(embeddings.vectors, speakers).scalings_[:, :2]
    assert projection.center == pytest.approx(embeddings.vectors.mean(axis=0), abs=1e-6)
    ours, _ = np.linalg.qr(projection.transform.T)
    theirs, _ = np.linalg.qr(theirs)
    # cosine of the largest angle between the planes; our covariance, with 120 degrees of freedom, is slightly shrunk
    assert np.linalg.svd(ours.T @ theirs)[1].min() > 0.97


@pytest.mark.parametrize("text", [False, True])
def test_whitened_cosine_matches_scikit_learns_pca(avsv, world, text):
    status, output = lda(avsv, world, "--method", "whiten", *["--text"] * text)
    assert (status, "12 dimensions from 150 embeddings" in output) == (0, True)
    options = ["--center", world.folder / "lda" / "mean.vec", "--transform", world.folder / "lda" / "transform.mat"]
    argv = ["--trials", world.trials, "--enroll", world.test, *options, world.folder / "s"]
    assert avsv("score", *argv)[0] == 0
    test, trials = read_embeddings(world.test), read_trials(world.trials)
    white = PCA(whiten=True).fit(read_embeddings(world.train).vectors).transform(test.vectors)
    white /= np.linalg.norm(white, axis=1, keepdims=True)
    table = dict(zip(test.ids, white))
    expected = [table[a] @ table[b] for a, b in (trials[n] for n in range(len(trials)))]
    assert world.scores("s") == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("method", ["lda", "whiten"])
def test_lda_needs_labels_and_whitening_refuses_them(avsv, world, method):
    options = [] if method == "lda" else ["--utt2spk", world.utt2spk]
    status, output = lda(avsv, world, "--method", method, *options)
    assert status == 1
    assert "--utt2spk" in output


def test_no_embeddings_are_refused(avsv, world):
    world.train.write_text("")
    assert lda(avsv, world, "--utt2spk", world.utt2spk)[0] == 1
    assert lda(avsv, world, "--method", "whiten")[0] == 1
