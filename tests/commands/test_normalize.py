"""avsv normalize."""

import numpy as np
import pytest

from avsv.kaldi.embeddings import read_embeddings
from avsv.kaldi.trials import read_trials


@pytest.fixture
def scored(avsv, world):
    assert avsv("score", "--trials", world.trials, "--enroll", world.test, world.folder / "s")[0] == 0
    return world


def normalize(avsv, world, *options, scores="s"):
    common = ["--trials", world.trials, "--scores", world.folder / scores, "--enroll", world.test]
    return avsv("normalize", *common, "--cohort", world.train, *options, world.folder / "n")


def by_hand(world, top_n):
    """as-norm of every trial, one by one."""
    unit = {
        name: vector / np.linalg.norm(vector)
        for scp in (world.test, world.train)
        for name, vector in zip(*vars(read_embeddings(scp)).values())
    }
    cohort = [vector for name, vector in unit.items() if name.startswith("train")]
    trials, scores = read_trials(world.trials), []
    for enroll, test in (trials[n] for n in range(len(trials))):
        best = [sorted(unit[name] @ member for member in cohort)[-top_n:] for name in (enroll, test)]
        scores.append(np.mean([(unit[enroll] @ unit[test] - np.mean(b)) / np.std(b) for b in best]))
    return scores


def test_as_norm_from_files_is_that_by_hand(avsv, scored):
    status, said = normalize(avsv, scored, "--method", "as-norm", "--top-n", "20")
    assert status == 0
    assert "as-norm against 150 cohort members" in said
    assert scored.scores("n") == pytest.approx(by_hand(scored, 20), abs=1e-4)


def test_small_cohort_is_used_whole_and_told(avsv, scored):
    status, said = normalize(avsv, scored, "--method", "as-norm")
    assert status == 0
    assert "the cohort has 150 members, fewer than the top 300: the whole cohort is used" in said
    assert scored.scores("n") == pytest.approx(by_hand(scored, 150), abs=1e-4)


@pytest.mark.parametrize("method", ["z-norm", "t-norm", "s-norm"])
def test_other_methods_run(avsv, scored, method):
    assert normalize(avsv, scored, "--method", method)[0] == 0
    assert np.isfinite(scored.scores("n")).all()


def test_cohort_of_people_has_one_member_each(avsv, scored):
    status, said = normalize(avsv, scored, "--method", "s-norm", "--cohort-utt2spk", scored.utt2spk)
    assert status == 0
    assert "against 30 cohort members" in said


def test_plda_scores_are_normalised_with_plda(avsv, scored):
    plda = ["--backend", "plda", "--plda", scored.folder / "plda"]
    avsv("plda", "--embeddings", scored.train, "--utt2spk", scored.utt2spk, scored.folder / "plda")
    avsv("score", *plda, "--trials", scored.trials, "--enroll", scored.test, scored.folder / "p")
    assert normalize(avsv, scored, "--method", "as-norm", *plda, scores="p")[0] == 0
    assert np.abs(scored.scores("n")).max() < 100


def test_missing_embeddings(avsv, scored):
    scored.leave_out("test03-0")
    lacking = np.array(["test03-0" in line for line in scored.trials.read_text().splitlines()])
    status, said = normalize(avsv, scored, "--method", "s-norm")
    assert status == 1
    assert "test03-0" in said

    status, said = normalize(avsv, scored, "--method", "s-norm", "--missing", "keep")
    assert status == 0
    assert f"{lacking.sum()} of {len(lacking)} trials lack an embedding: kept as they were" in said
    assert np.array_equal(scored.scores("n") == scored.scores("s"), lacking)

    avsv("score", "--trials", scored.trials, "--enroll", scored.test, "--missing", "drop", scored.folder / "d")
    assert normalize(avsv, scored, "--method", "s-norm", scores="d")[0] == 1
    assert normalize(avsv, scored, "--method", "s-norm", "--missing", "drop", scores="d")[0] == 0
    assert len(scored.scores("n")) == (~lacking).sum()


def test_cohort_of_another_size_is_refused(avsv, scored):
    from avsv.kaldi.embeddings import write_embeddings

    write_embeddings(scored.folder / "o.ark", scored.folder / "o.scp", ["a", "b"], np.ones((2, 3)))
    status, said = normalize(avsv, scored, "--method", "s-norm", "--cohort", scored.folder / "o.scp")
    assert status == 1
    assert "embeddings of 3 values, those of the trials have 12" in said


def test_scores_of_other_trials_are_refused(avsv, scored):
    lines = (scored.folder / "s").read_text().splitlines()
    (scored.folder / "s").write_text("\n".join(lines[1:]) + "\n")
    status, said = normalize(avsv, scored, "--method", "s-norm")
    assert status == 1
    assert f"1 of {len(lines)} trials have no score" in said
