"""avsv plda, and avsv score --backend plda."""

import json


def eer(avsv, world, scores):
    assert avsv("evaluate", "--trials", world.trials, "--json", world.folder / "j", world.folder / scores)[0] == 0
    return next(iter(json.loads((world.folder / "j").read_text()).values()))["eer_percent"]


def train(avsv, world, *options):
    argv = ["--embeddings", world.train, "--utt2spk", world.utt2spk, *options, world.folder / "plda"]
    return avsv("plda", *argv)


def test_plda_is_trained_and_scores(avsv, world):
    status, said = train(avsv, world)
    assert status == 0
    assert "PLDA of 12 dimensions from 150 embeddings of 30 people, log-likelihood per embedding" in said
    common = ["--trials", world.trials, "--enroll", world.test]
    assert avsv("score", "--backend", "plda", "--plda", world.folder / "plda", *common, world.folder / "p")[0] == 0
    assert avsv("score", "--plda", world.folder / "plda", *common, world.folder / "c")[0] == 0
    assert eer(avsv, world, "p") < eer(avsv, world, "c")


def test_too_many_dimensions_are_cut_and_told(avsv, world):
    status, said = train(avsv, world, "--lda-dim", "500")
    assert status == 0
    assert "LDA: 500 dimensions asked for; 30 people and 12 values allow 12" in said
    assert train(avsv, world, "--lda-dim", "5")[0] == 0
    assert train(avsv, world, "--lda-dim", "0")[0] == 2


def test_recordings_of_nobody_are_named(avsv, world):
    world.utt2spk.write_text("train00-0 train00\n")
    status, said = train(avsv, world)
    assert status == 1
    assert "149 recordings of" in said
    assert "are not in it, the first: train00-1" in said


def test_one_utterance_a_person_is_refused(avsv, world):
    lines = world.train.read_text().splitlines()
    world.train.write_text("\n".join(line for line in lines if line.split()[0].endswith("-0")) + "\n")
    status, said = train(avsv, world)
    assert status == 1
    assert "each of the 30 people has one embedding only" in said


def test_no_embeddings_are_refused(avsv, world):
    world.train.write_text("")
    status, said = train(avsv, world)
    assert status == 1
    assert "there are no embeddings in it" in said
