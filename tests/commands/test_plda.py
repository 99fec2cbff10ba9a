"""avsv plda, and avsv score --backend plda."""

import json

import numpy as np
import pytest

from avsv.kaldi.embeddings import read_embeddings, write_embeddings
from avsv.scoring.plda_files import read_plda


def eer(avsv, world, scores):
    assert avsv("evaluate", "--trials", world.trials, "--json", world.folder / "j", world.folder / scores)[0] == 0
    return next(iter(json.loads((world.folder / "j").read_text()).values()))["eer_percent"]


def train(avsv, world, *options):
    argv = ["--embeddings", world.train, "--utt2spk", world.utt2spk, *options, world.folder / "plda"]
    return avsv("plda", *argv)


def test_plda_is_trained_and_scores(avsv, world):
    status, output = train(avsv, world)
    assert status == 0
    assert "12 dimensions from 150 embeddings of 30" in output
    common = ["--trials", world.trials, "--enroll", world.test]
    assert avsv("score", "--backend", "plda", "--plda", world.folder / "plda", *common, world.folder / "p")[0] == 0
    assert avsv("score", "--plda", world.folder / "plda", *common, world.folder / "c")[0] == 0
    assert eer(avsv, world, "p") < eer(avsv, world, "c")


def test_too_many_dimensions_are_reduced_with_a_warning(avsv, world):
    status, output = train(avsv, world, "--lda-dim", "500")
    assert status == 0
    assert "500 dimensions" in output and "12" in output
    assert train(avsv, world, "--lda-dim", "5")[0] == 0
    assert train(avsv, world, "--lda-dim", "0")[0] == 2


def test_recordings_without_a_speaker_are_named(avsv, world):
    world.utt2spk.write_text("train00-0 train00\n")
    status, output = train(avsv, world)
    assert status == 1
    assert f"{world.utt2spk}: " in output and "149 recordings" in output and "train00-1" in output


def test_one_utterance_per_speaker_is_refused(avsv, world):
    lines = world.train.read_text().splitlines()
    world.train.write_text("\n".join(line for line in lines if line.split()[0].endswith("-0")) + "\n")
    status, output = train(avsv, world)
    assert status == 1
    assert "30" in output


def test_no_embeddings_are_refused(avsv, world):
    world.train.write_text("")
    status, output = train(avsv, world)
    assert status == 1
    assert f"{world.train}: " in output


def scores(avsv, world, plda, name):
    argv = ["--trials", world.trials, "--enroll", world.test, "--backend", "plda", "--plda", world.folder / plda]
    assert avsv("score", *argv, world.folder / name)[0] == 0
    return world.scores(name)


def test_text_form_gives_the_same_scores(avsv, world):
    train(avsv, world)
    binary = scores(avsv, world, "plda", "b")
    assert train(avsv, world, "--text")[0] == 0
    assert (world.folder / "plda" / "plda").read_text().startswith("<Plda>  [ ")
    assert scores(avsv, world, "plda", "t") == pytest.approx(binary, abs=1e-3)


def test_coral_trains_on_embeddings_with_the_moments_of_the_domain(avsv, world):
    from avsv.scoring.adaptation import coral
    from avsv.scoring.plda_files import read_plda

    assert train(avsv, world, "--coral", world.test)[0] == 0
    vectors, domain = (read_embeddings(scp).vectors for scp in (world.train, world.test))
    found = read_plda(world.folder / "plda").projection.center
    assert found == pytest.approx(coral(vectors, domain).mean(axis=0), abs=1e-5)
    assert found == pytest.approx(domain.mean(axis=0), abs=1e-5)


def test_embeddings_of_another_size_are_refused(avsv, world):
    write_embeddings(world.folder / "o.ark", world.folder / "o.scp", ["a", "b"], np.eye(2, 3))
    status, output = train(avsv, world, "--coral", world.folder / "o.scp")
    assert status == 1
    assert "adaptation embeddings have 3 values, training embeddings 12" in output


def test_versions_of_the_recordings_are_trained_on_together(avsv, world):
    """As one scp file of both, whose recordings have different names."""
    both = read_embeddings(world.train)
    noisy = both.vectors + 0.5 * np.random.default_rng(1).standard_normal(both.vectors.shape)
    write_embeddings(world.folder / "noisy.ark", world.folder / "noisy.scp", both.ids, noisy)
    renamed = [f"{name}-n" for name in both.ids]
    all_vectors = np.concatenate([both.vectors, noisy])
    write_embeddings(world.folder / "all.ark", world.folder / "all.scp", [*both.ids, *renamed], all_vectors)
    people = world.utt2spk.read_text()
    more = "".join(f"{name} {name[:-4]}\n" for name in renamed)
    (world.folder / "all.utt2spk").write_text(people + more)
    two = ("--embeddings", world.train, "--embeddings", world.folder / "noisy.scp", "--utt2spk", world.utt2spk)
    one = ("--embeddings", world.folder / "all.scp", "--utt2spk", world.folder / "all.utt2spk")
    for options, name in ((two, "two"), (one, "one")):
        status, output = avsv("plda", *options, world.folder / name)
        assert status == 0, output
    first, second = (read_plda(world.folder / name).gaussians for name in ("two", "one"))
    assert first.psi == pytest.approx(second.psi, rel=1e-6)


def test_versions_of_another_size_are_named(avsv, world):
    write_embeddings(world.folder / "short.ark", world.folder / "short.scp", ["train00-0"], np.ones((1, 3)))
    status, output = avsv("plda", "--embeddings", world.train, "--embeddings", world.folder / "short.scp", "--utt2spk",
                          world.utt2spk, world.folder / "plda")  # fmt: skip
    assert status == 1 and "short.scp" in output
