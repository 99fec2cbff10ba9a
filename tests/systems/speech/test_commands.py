"""The verbs of speech, from features to scores."""

import filecmp
import json
import os
import shutil

import kaldiio
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from avsv.systems.speech.kaldi_files import read_diag_gmm, read_extractor, read_full_gmm
from avsv.systems.speech.map_scoring import adapted_means
from tests.systems.speech.speech_folder import D, write_speech

UBM = "components: 3\nevery: 1\nleast_count: 5\nfull_least_count: 5\n"
IVECTOR = "size: 4\nlongest: 0\nleast_count: 5\npasses: 4\nleast_posterior: 0.0\n"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Features of training and test speakers, a UBM and an extractor."""
    from avsv.cli import main

    folder = tmp_path_factory.mktemp("speech")
    write_speech(folder / "train", n_speakers=8)
    write_speech(folder / "test", seed=50, prefix="t")
    (folder / "ubm.yaml").write_text(UBM)
    (folder / "ivector.yaml").write_text(IVECTOR)
    for words in (
        ["train-ubm", folder / "ubm.yaml", folder / "train", folder / "ubm"],
        ["train-extractor", "--ubm", folder / "ubm", folder / "ivector.yaml", folder / "train", folder / "ivector"],
        ["embed", "--model", folder / "ivector", folder / "train", folder / "ivector/train"],
        ["embed", "--model", folder / "ivector", folder / "test", folder / "ivector/test"],
    ):
        assert main(["speech", *map(str, words)]) == 0
    utts = [f"t{speaker}-{clip}" for speaker in range(4) for clip in range(3)]
    trials = [f"{a} {b} {'target' if a[:2] == b[:2] else 'nontarget'}\n" for a in utts for b in utts if a < b]
    (folder / "trials").write_text("".join(trials))
    return folder


def eer(avsv, trained, scores):
    out = trained / "out.json"
    status, output = avsv("evaluate", "--resamples", 0, "--trials", trained / "trials", "--json", out, scores)
    assert status == 0, output
    return json.loads(out.read_text())[str(scores)]["eer_percent"]


def lines(path):
    return np.array([float(line.split()[1]) for line in path.read_text().splitlines()])


def test_the_ubm_finds_the_clusters_without_the_frames_of_silence(trained):
    for gmm in (read_diag_gmm(trained / "ubm/final.dubm"), read_full_gmm(trained / "ubm/final.ubm")):
        means = gmm.means[np.lexsort(gmm.means.T[::-1])]
        assert means == pytest.approx(np.array([[-4.0, 0, 0, 0], [0, 4.0, 0, 0], [4.0, 0, 0, 0]]), abs=0.8)
    diagonal, full = np.split(lines(trained / "ubm/log_likelihood"), [4])
    assert (np.diff(diagonal) > -1e-6).all() and (np.diff(full) > -1e-6).all()
    assert len(full) == 5 and full[0] >= diagonal[-1] - 1e-6


def test_the_extractors_likelihood_rises_and_its_files_are_kaldis(trained):
    likelihoods = lines(trained / "ivector/log_likelihood")
    assert len(likelihoods) == 5 and (np.diff(likelihoods) > -1e-6).all()
    assert read_extractor(trained / "ivector/final.ie").projections.shape == (3, D, 4)
    assert filecmp.cmp(trained / "ubm/final.ubm", trained / "ivector/final.ubm", shallow=False)
    assert os.listdir(trained / "ivector/rounds") == ["key.json"]


def test_ivectors_with_plda_tell_speakers_apart(trained, avsv):
    plda = trained / "plda"
    assert avsv("plda", "--lda-dim", 3, "--embeddings", trained / "ivector/train/embedding.scp", "--utt2spk",
                trained / "train/utt2spk", plda)[0] == 0  # fmt: skip
    status, output = avsv("score", "--backend", "plda", "--plda", plda, "--trials", trained / "trials", "--enroll",
                          trained / "ivector/test/embedding.scp", trained / "plda.scores")  # fmt: skip
    assert status == 0, output
    assert eer(avsv, trained, trained / "plda.scores") < 20


def test_gmm_ubm_scores_equal_a_computation_frame_by_frame(trained, avsv):
    """All three Gaussians are among the five likeliest, so the ratio is that of whole mixtures."""
    status, output = avsv("speech", "score", "--ubm", trained / "ubm", "--trials", trained / "trials", "--enroll",
                          trained / "test", trained / "map.scores")  # fmt: skip
    assert status == 0, output
    ubm = read_diag_gmm(trained / "ubm/final.dubm")
    features = kaldiio.load_scp(str(trained / "test/feats.scp"))
    activity = kaldiio.load_scp(str(trained / "test/vad.scp"))

    def density(means, frames):
        return np.log(sum(w * multivariate_normal(m, np.diag(v)).pdf(frames)
                          for w, m, v in zip(ubm.weights, means, ubm.variances, strict=True)))  # fmt: skip

    enroll, test = (features[utt][activity[utt] > 0].astype(float) for utt in ("t0-0", "t1-2"))
    parts = np.stack([w * multivariate_normal(m, np.diag(v)).pdf(enroll)
                      for w, m, v in zip(ubm.weights, ubm.means, ubm.variances, strict=True)], axis=1)  # fmt: skip
    posteriors = parts / parts.sum(axis=1, keepdims=True)
    means = adapted_means(ubm, posteriors.sum(axis=0), posteriors.T @ enroll, 16.0)
    expected = (density(means, test) - density(ubm.means, test)).mean()
    rows = [line.split() for line in (trained / "map.scores").read_text().splitlines()]
    scores = {(enrolled, tested): float(score) for enrolled, tested, score in rows}
    assert scores["t0-0", "t1-2"] == pytest.approx(expected, abs=1e-5)
    assert eer(avsv, trained, trained / "map.scores") < 20


def test_models_of_several_recordings_and_missing_ones(trained, avsv):
    (trained / "spk2utt").write_text("m0 t0-0 t0-1\nm1 t1-0 gone\nm2 absent\n")
    (trained / "models").write_text("m0 t0-2 target\nm1 t0-2 nontarget\nm2 t0-2 nontarget\nm0 lost nontarget\n")
    words = ["speech", "score", "--ubm", trained / "ubm/final.dubm", "--trials", trained / "models", "--enroll",
             trained / "test", "--enroll-spk2utt", trained / "spk2utt"]  # fmt: skip
    status, output = avsv(*words, trained / "models.scores")
    assert status == 1 and "absent" in output and not (trained / "models.scores").exists()
    status, output = avsv(*words, "--missing", "drop", trained / "models.scores")
    assert status == 0, output
    rows = [line.split() for line in (trained / "models.scores").read_text().splitlines()]
    assert [row[:2] for row in rows] == [["m0", "t0-2"], ["m1", "t0-2"]] and float(rows[0][2]) > float(rows[1][2])
    assert "lost" in (trained / "models.scores.missing").read_text()


def test_training_again_keeps_the_model_and_another_option_redoes_it(trained, avsv, tmp_path):
    before = (trained / "ubm/final.ubm").stat().st_mtime_ns
    words = ["speech", "train-ubm", trained / "ubm.yaml", trained / "train", trained / "ubm"]
    assert avsv(*words)[0] == 0 and (trained / "ubm/final.ubm").stat().st_mtime_ns == before
    words[-1] = tmp_path / "ubm"
    assert avsv(*words, "seed=5")[0] == 0
    assert not filecmp.cmp(trained / "ubm/final.ubm", tmp_path / "ubm/final.ubm", shallow=False)
    assert avsv(*words)[0] == 0
    for name in ("final.ubm", "final.dubm", "log_likelihood"):
        assert filecmp.cmp(trained / "ubm" / name, tmp_path / "ubm" / name, shallow=False), name


def test_shards_give_nearly_the_same_models_and_ivectors(trained, avsv, tmp_path):
    """The second and third job find nothing to do: the first has done their parts."""
    for job in (1, 2, 3):
        assert avsv("speech", "train-ubm", "--shard", f"{job}/3", trained / "ubm.yaml", trained / "train",
                    tmp_path / "ubm")[0] == 0  # fmt: skip
        assert avsv("speech", "train-extractor", "--shard", f"{job}/3", "--ubm", trained / "ubm/final.ubm",
                    trained / "ivector.yaml", trained / "train", tmp_path / "ivector")[0] == 0  # fmt: skip
        assert avsv("speech", "embed", "--shard", f"{job}/3", "--model", trained / "ivector", trained / "test",
                    tmp_path / "test")[0] == 0  # fmt: skip
    ours, whole = (read_full_gmm(folder / "ubm/final.ubm") for folder in (tmp_path, trained))
    assert ours.means == pytest.approx(whole.means, abs=1e-5)
    ours, whole = (read_extractor(folder / "ivector/final.ie") for folder in (tmp_path, trained))
    assert ours.precisions == pytest.approx(whole.precisions, rel=1e-4, abs=1e-4)
    ours, whole = (kaldiio.load_scp(str(path)) for path in (tmp_path / "test/embedding.scp",
                                                            trained / "ivector/test/embedding.scp"))  # fmt: skip
    assert list(ours) == list(whole) and all(np.array_equal(ours[utt], whole[utt]) for utt in ours)


@pytest.mark.parametrize("damage, named", [
    (lambda folder: (folder / "vad.scp").unlink(), "vad.scp"),
    (lambda folder: (folder / "feats.scp").write_text(""), "feats.scp"),
    (lambda folder: (folder / "vad.scp").write_text((folder / "vad.scp").read_text().split("\n", 1)[1]), "s0-0"),
    (lambda folder: (folder / "feats.ark").write_bytes(b""), "feats.ark"),
    (lambda folder: kaldiio.save_ark(str(folder / "vad.ark"), {"s0-0": np.zeros(9, "f4")}), "s0-0"),
    (lambda folder: write_speech(folder, n_frames=1), "no recording has a frame of speech"),
    (lambda folder: write_speech(folder, n_speakers=1, n_clips=1, n_frames=3), "3 Gaussians"),
])  # fmt: skip
def test_bad_features_are_an_error_that_names_them(avsv, tmp_path, damage, named):
    write_speech(tmp_path / "train", n_speakers=2)
    damage(tmp_path / "train")
    (tmp_path / "ubm.yaml").write_text(UBM)
    status, output = avsv("speech", "train-ubm", tmp_path / "ubm.yaml", tmp_path / "train", tmp_path / "ubm")
    assert status == 1 and named in output and "Traceback" not in output
    assert not (tmp_path / "ubm/final.ubm").exists()


def test_features_that_are_not_finite_are_refused(avsv, tmp_path):
    features, _ = write_speech(tmp_path / "train", n_speakers=2)
    features["s1-0"][5] = np.nan
    kaldiio.save_ark(str(tmp_path / "train/feats.ark"), features, scp=str(tmp_path / "train/feats.scp"))
    (tmp_path / "ubm.yaml").write_text(UBM)
    status, output = avsv("speech", "train-ubm", tmp_path / "ubm.yaml", tmp_path / "train", tmp_path / "ubm")
    assert status == 1 and "s1-0" in output


@pytest.mark.parametrize("text, named", [
    ("components: 0\n", "components"), ("componnets: 3\n", "components"), ("sample: many\n", "sample"),
    ("components: 2000\nleast_weight: 0.1\n", "least_weight"),
])  # fmt: skip
def test_bad_settings_are_an_error_that_names_them(avsv, tmp_path, text, named):
    write_speech(tmp_path / "train", n_speakers=1)
    (tmp_path / "ubm.yaml").write_text(text)
    status, output = avsv("speech", "train-ubm", tmp_path / "ubm.yaml", tmp_path / "train", tmp_path / "ubm")
    assert status == 1 and named in output and "ubm.yaml" in output


def test_models_and_features_that_do_not_fit_are_refused(trained, avsv, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    wide = {"s0-0": np.zeros((50, D + 1), "f4")}
    kaldiio.save_ark(str(other / "feats.ark"), wide, scp=str(other / "feats.scp"))
    kaldiio.save_ark(str(other / "vad.ark"), {"s0-0": np.ones(50, "f4")}, scp=str(other / "vad.scp"))
    (tmp_path / "trials").write_text("s0-0 s0-0 target\n")
    for words in (
        ["train-extractor", "--ubm", trained / "ubm", trained / "ivector.yaml", other, tmp_path / "out"],
        ["embed", "--model", trained / "ivector", other, tmp_path / "out2"],
        ["score", "--ubm", trained / "ubm", "--trials", tmp_path / "trials", "--enroll", other, tmp_path / "out3"],
    ):
        status, output = avsv("speech", *words)
        assert status == 1 and f"{D + 1} values a frame" in output, output
    status, output = avsv("speech", "embed", "--model", trained / "ubm", trained / "test", tmp_path / "out4")
    assert status == 1 and "final.ie" in output
    shutil.copytree(trained / "ivector", tmp_path / "mixed")
    (tmp_path / "five.yaml").write_text(UBM.replace("3", "5"))
    assert avsv("speech", "train-ubm", tmp_path / "five.yaml", trained / "train", tmp_path / "five")[0] == 0
    shutil.copy(tmp_path / "five/final.ubm", tmp_path / "mixed/final.ubm")
    status, output = avsv("speech", "embed", "--model", tmp_path / "mixed", trained / "test", tmp_path / "out5")
    assert status == 1 and "final.ubm" in output
