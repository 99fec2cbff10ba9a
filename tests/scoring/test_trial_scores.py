"""Scores in memory agree with the files that the commands write, and with the definition."""

import numpy as np
import pytest

import avsv as api
from avsv.errors import InputError, MissingEmbedding
from avsv.kaldi.embeddings import write_embeddings
from avsv.kaldi.trials import write_trials


@pytest.fixture
def speakers(tmp_path):
    """Ten people with four recordings each, as files and in memory: trials, embeddings, the cohort."""
    rng = np.random.default_rng(0)

    def recordings(prefix, n_people):
        centres = np.repeat(rng.standard_normal((n_people, 8)), 4, axis=0)
        ids = [f"{prefix}{person}-{number}" for person in range(n_people) for number in range(4)]
        return ids, (centres + 0.7 * rng.standard_normal(centres.shape)).astype(np.float32)

    for name, n_people in (("p", 10), ("c", 20)):
        write_embeddings(tmp_path / f"{name}.ark", tmp_path / f"{name}.scp", *recordings(name, n_people))
    embeddings, cohort = (api.read_embeddings(tmp_path / f"{name}.scp") for name in "pc")
    ids = list(embeddings.ids)
    pairs = np.array([(a, b) for a in range(len(ids)) for b in range(a + 1, len(ids))], np.int32)
    trials = api.Trials(ids, ids, pairs, pairs[:, 0] // 4 == pairs[:, 1] // 4)
    write_trials(tmp_path / "trials", trials)
    return trials, embeddings, cohort


def test_scores_are_cosines(speakers):
    trials, embeddings, _ = speakers
    unit = embeddings.vectors / np.linalg.norm(embeddings.vectors, axis=1, keepdims=True)
    expected = np.einsum("ij,ij->i", unit[trials.pairs[:, 0]], unit[trials.pairs[:, 1]])
    np.testing.assert_allclose(api.score(trials, embeddings), expected, atol=1e-6)


def test_score_and_normalize_agree_with_the_commands(speakers, avsv, tmp_path):
    trials, embeddings, cohort = speakers
    common = ["--trials", tmp_path / "trials", "--enroll", tmp_path / "p.scp"]
    assert avsv("score", *common, tmp_path / "raw")[0] == 0
    raw = api.score(trials, embeddings)
    np.testing.assert_allclose(raw, api.read_scores(tmp_path / "raw", trials), rtol=1e-6)
    assert (api.score(trials, tmp_path / "p.scp") == raw).all()
    options = ["--method", "as-norm", "--top-n", 20, "--scores", tmp_path / "raw", "--cohort", tmp_path / "c.scp"]
    assert avsv("normalize", *common, *options, tmp_path / "normalised")[0] == 0
    found = api.normalize(raw, trials, embeddings, cohort, n_best=20)
    np.testing.assert_allclose(found, api.read_scores(tmp_path / "normalised", trials), rtol=1e-4, atol=1e-5)


def test_calibrate_and_fuse_agree_with_the_commands(speakers, avsv, tmp_path):
    trials, embeddings, _ = speakers
    halves = [api.Embeddings(embeddings.ids, embeddings.vectors[:, part]) for part in (slice(4), slice(4, 8))]
    for name, half in zip("vf", halves, strict=True):
        write_embeddings(tmp_path / f"{name}.ark", tmp_path / f"{name}.scp", half.ids, half.vectors)
        assert (
            avsv("score", "--trials", tmp_path / "trials", "--enroll", tmp_path / f"{name}.scp", tmp_path / name)[0]
            == 0
        )
    scores = [api.score(trials, half) for half in halves]
    common = ["--trials", tmp_path / "trials"]
    assert avsv("calibrate", *common, "--scores", tmp_path / "v", tmp_path / "calibrated")[0] == 0
    found = api.calibrate(scores[0], scores[0], trials.labels)
    np.testing.assert_allclose(found, api.read_scores(tmp_path / "calibrated", trials), rtol=1e-3, atol=1e-4)
    for method, training in (("mean", {}), ("logistic", {"train_scores": scores, "train_labels": trials.labels})):
        assert (
            avsv("fuse", "--method", method, *common, "--scores", tmp_path / "v", tmp_path / "f", tmp_path / method)[0]
            == 0
        )
        expected = api.read_scores(tmp_path / method, trials)
        np.testing.assert_allclose(api.fuse(scores, **training), expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(api.fuse(scores, tmp_path / "logistic.json"), expected, rtol=1e-3, atol=1e-4)


def test_a_trial_without_one_systems_score_is_scored_with_the_others(speakers):
    trials, embeddings, _ = speakers
    scores = api.score(trials, embeddings)
    voice, face = scores.copy(), scores.copy()
    voice[:10] = np.nan
    fused = api.fuse([voice, face], train_scores=[scores, scores[::-1]], train_labels=trials.labels)
    alone = api.calibrate(face, scores[::-1], trials.labels)
    np.testing.assert_allclose(fused[:10], alone[:10], rtol=1e-6)


def test_a_missing_embedding_is_an_error_or_nan(speakers):
    trials, embeddings, cohort = speakers
    fewer = api.Embeddings(embeddings.ids[1:], embeddings.vectors[1:])
    with pytest.raises(MissingEmbedding, match=embeddings.ids[0]):
        api.score(trials, fewer)
    scores = api.score(trials, fewer, missing="nan")
    assert (np.isnan(scores) == (trials.pairs == 0).any(axis=1)).all()
    assert (np.isnan(api.normalize(scores, trials, fewer, cohort, method="s-norm")) == np.isnan(scores)).all()


def test_inputs_that_do_not_match_are_refused(speakers):
    trials, embeddings, cohort = speakers
    scores = api.score(trials, embeddings)
    with pytest.raises(InputError):
        api.normalize(scores + 1, trials, embeddings, cohort)
    with pytest.raises(InputError):
        api.normalize(scores, trials, embeddings, api.Embeddings(cohort.ids, cohort.vectors[:, :4]))
    with pytest.raises(InputError):
        api.fuse([scores, scores], train_scores=[scores], train_labels=trials.labels)
    with pytest.raises(InputError):
        api.fuse([scores], train_scores=[scores])
