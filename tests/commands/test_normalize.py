"""avsv normalize."""

import numpy as np
import pytest

from avsv.commands._arguments import registered_methods
from avsv.kaldi.embeddings import read_embeddings
from avsv.kaldi.trials import read_trials
from avsv.scoring.normalization import CHOICES, METHODS
from avsv.scoring.plda import plda_llr
from avsv.scoring.plda_files import read_plda


@pytest.fixture
def scored(avsv, world):
    assert avsv("score", "--trials", world.trials, "--enroll", world.test, world.folder / "s")[0] == 0
    return world


def normalize(avsv, world, *options, scores="s"):
    common = ["--trials", world.trials, "--scores", world.folder / scores, "--enroll", world.test]
    return avsv("normalize", *common, "--cohort", world.train, *options, world.folder / "n")


def by_hand(world, top_n, left_out=(), choice="own"):
    """as-norm of each trial, one by one."""
    unit = {
        name: vector / np.linalg.norm(vector)
        for scp in (world.test, world.train)
        for name, vector in zip(*vars(read_embeddings(scp)).values())
    }
    cohort = [vector for name, vector in unit.items() if name.startswith("train") and name[:-2] not in left_out]
    trials, scores = read_trials(world.trials), []
    for enroll, test in (trials[n] for n in range(len(trials))):
        own = np.array([[unit[name] @ member for member in cohort] for name in (enroll, test)])
        chosen = np.argsort(own if choice == "own" else own[::-1], axis=1)[:, -top_n:]
        best = np.take_along_axis(own, chosen, axis=1)
        scores.append(np.mean([(unit[enroll] @ unit[test] - np.mean(b)) / np.std(b) for b in best]))
    return scores


def test_as_norm_matches_a_loop(avsv, scored):
    status, output = normalize(avsv, scored, "--method", "as-norm", "--top-n", "20")
    assert status == 0
    assert "150 cohort members" in output
    assert scored.scores("n") == pytest.approx(by_hand(scored, 20), abs=1e-4)


def test_a_small_cohort_is_used_whole_with_a_warning(avsv, scored):
    status, output = normalize(avsv, scored, "--method", "as-norm")
    assert status == 0
    assert "150 members" in output and "300" in output
    assert scored.scores("n") == pytest.approx(by_hand(scored, 150), abs=1e-4)


def test_as_norm_with_the_other_recordings_choice_matches_a_loop(avsv, scored):
    assert normalize(avsv, scored, "--method", "as-norm", "--top-n", "20", "--cohort-choice", "other")[0] == 0
    assert scored.scores("n") == pytest.approx(by_hand(scored, 20, choice="other"), abs=1e-4)


def test_top_share_is_a_share_of_the_cohort(avsv, scored):
    assert normalize(avsv, scored, "--method", "as-norm", "--top-share", "0.2")[0] == 0
    assert scored.scores("n") == pytest.approx(by_hand(scored, 30), abs=1e-4)


def test_speakers_of_the_trials_are_left_out_of_the_cohort(avsv, scored):
    utt2spk = scored.folder / "trials.utt2spk"  # puts two of the cohort's speakers into the trials
    rename = {"test00": "train03", "test01": "train17"}
    lines = (scored.folder / "test.utt2spk").read_text().split()[::2]
    utt2spk.write_text("".join(f"{name} {rename.get(name[:-2], name[:-2])}\n" for name in lines))
    speakers = ["--utt2spk", utt2spk, "--cohort-utt2spk", scored.utt2spk, "--cohort-of", "utterances"]
    status, output = normalize(avsv, scored, "--method", "as-norm", "--top-n", "20", *speakers)
    assert status == 0
    assert " 0 recordings" in output and " 10 others" in output
    assert "140 cohort members" in output
    assert scored.scores("n") == pytest.approx(by_hand(scored, 20, ["train03", "train17"]), abs=1e-4)


def test_cohort_means_are_a_quality_measure(avsv, scored):
    means = scored.folder / "means"
    assert normalize(avsv, scored, "--method", "as-norm", "--top-n", "20", "--cohort-means", means)[0] == 0
    table = {line.split()[0]: float(line.split()[1]) for line in means.read_text().splitlines()}
    one = read_embeddings(scored.test, ["test04-2"]).vectors[0]
    cohort = read_embeddings(scored.train).vectors
    cosines = cohort @ one / np.linalg.norm(one) / np.linalg.norm(cohort, axis=1)
    assert table["test04-2"] == pytest.approx(np.sort(cosines)[-20:].mean(), rel=1e-4)
    argv = ["--trials", scored.trials, "--scores", scored.folder / "s", "--quality", means, scored.folder / "c"]
    assert avsv("calibrate", *argv)[0] == 0


def test_a_model_of_equal_recordings_is_normalised_like_one_recording(avsv, scored):
    """A model of two recordings with the same embedding scores like either recording."""
    lines = scored.test.read_text().splitlines()
    copies = [line.replace("test", "copy", 1) for line in lines]
    scored.test.write_text("\n".join(sorted(lines + copies)) + "\n")
    scored.forget_sources("s")
    names = [line.split()[0] for line in lines]
    (scored.folder / "models").write_text("".join(f"{n} {n} {n.replace('test', 'copy')}\n" for n in names))
    assert normalize(avsv, scored, "--method", "as-norm", "--top-n", "20", "--cohort-choice", "other")[0] == 0
    expected = scored.scores("n")
    models = ["--enroll-spk2utt", scored.folder / "models"]
    argv = ["--method", "as-norm", "--top-n", "20", "--cohort-choice", "other", *models]
    assert normalize(avsv, scored, *argv)[0] == 0
    assert scored.scores("n") == pytest.approx(expected, abs=1e-5)


def test_by_the_book_models_have_by_the_book_cohort_scores(avsv, world):
    """Models of one to three recordings: z-norm uses ratios given all recordings, t-norm ratios given one member."""
    clips = {f"model{n}": [f"test{n:02d}-{clip}" for clip in range(n % 3 + 1)] for n in range(8)}
    pairs = [(model, f"test{n:02d}-4") for model in clips for n in range(8)]
    world.trials.write_text("".join(f"{model} {test}\n" for model, test in pairs))
    (world.folder / "spk2utt").write_text("".join(f"{model} {' '.join(own)}\n" for model, own in clips.items()))
    plda = ["--backend", "plda", "--plda", world.folder / "plda"]
    models = ["--enroll-spk2utt", world.folder / "spk2utt", "--enroll-method", "by-the-book"]
    avsv("plda", "--embeddings", world.train, "--utt2spk", world.utt2spk, world.folder / "plda")
    common = ["--trials", world.trials, "--enroll", world.test, *plda, *models]
    assert avsv("score", *common, world.folder / "s")[0] == 0
    assert normalize(avsv, world, "--method", "s-norm", *plda, *models)[0] == 0

    model = read_plda(world.folder / "plda")
    projected = {}
    for scp in (world.test, world.train):
        embeddings = read_embeddings(scp)
        projected.update(zip(embeddings.ids, model.project(embeddings.vectors).astype(float)))
    cohort = np.array([vector for name, vector in projected.items() if name.startswith("train")])

    def against_cohort(names):
        return plda_llr(
            np.mean([projected[name] for name in names], axis=0)[None], cohort, model.gaussians.psi, len(names)
        )

    sides = [(against_cohort(clips[model]), against_cohort([test])) for model, test in pairs]
    raw = world.scores("s")
    expected = [np.mean([(raw[n] - side.mean()) / side.std() for side in both]) for n, both in enumerate(sides)]
    assert world.scores("n") == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_a_cohort_of_the_trials_recordings_is_refused(avsv, scored):
    status, output = normalize(avsv, scored, "--method", "s-norm", "--cohort", scored.test)
    assert status == 1
    assert f"{scored.test}: " in output


@pytest.mark.parametrize("option", [["--top-n", "20"], ["--top-share", "0.2"], ["--cohort-choice", "other"]])
def test_options_of_as_norm_are_refused_with_other_methods(avsv, scored, option):
    status, output = normalize(avsv, scored, "--method", "s-norm", *option)
    assert status == 1
    assert option[0] in output


def test_top_n_and_top_share_exclude_each_other(avsv, scored):
    status, output = normalize(avsv, scored, "--method", "as-norm", "--top-n", "20", "--top-share", "0.2")
    assert status == 2
    assert "--top-n" in output and "--top-share" in output


def test_methods_in_the_registry_are_the_choices_of_the_command(avsv):
    assert registered_methods("normalization") == {
        name: method.apply.__doc__.splitlines()[0][:-1] for name, method in METHODS.items()
    }
    text = avsv("normalize", "--help")[1]
    assert f"{{{','.join(METHODS)}}}" in text and f"{{{','.join(CHOICES)}}}" in text


@pytest.mark.parametrize("method", ["z-norm", "t-norm", "zt-norm", "s-norm"])
def test_other_methods_run(avsv, scored, method):
    assert normalize(avsv, scored, "--method", method)[0] == 0
    assert np.isfinite(scored.scores("n")).all()


def test_a_cohort_of_speakers_has_one_member_each(avsv, scored):
    status, output = normalize(avsv, scored, "--method", "s-norm", "--cohort-utt2spk", scored.utt2spk)
    assert status == 0
    assert "30 cohort members" in output


def test_plda_scores_are_normalised_with_plda(avsv, scored):
    plda = ["--backend", "plda", "--plda", scored.folder / "plda"]
    avsv("plda", "--embeddings", scored.train, "--utt2spk", scored.utt2spk, scored.folder / "plda")
    avsv("score", *plda, "--trials", scored.trials, "--enroll", scored.test, scored.folder / "p")
    assert normalize(avsv, scored, "--method", "as-norm", *plda, scores="p")[0] == 0
    assert np.abs(scored.scores("n")).max() < 100


def test_missing_embeddings(avsv, scored):
    scored.leave_out("test03-0")
    scored.forget_sources("s")
    lacking = np.array(["test03-0" in line for line in scored.trials.read_text().splitlines()])
    status, output = normalize(avsv, scored, "--method", "s-norm")
    assert status == 1
    assert "test03-0" in output

    status, output = normalize(avsv, scored, "--method", "s-norm", "--missing", "keep")
    assert status == 0
    assert f"{lacking.sum()} of {len(lacking)} trials" in output
    assert np.array_equal(scored.scores("n") == scored.scores("s"), lacking)

    avsv("score", "--trials", scored.trials, "--enroll", scored.test, "--missing", "drop", scored.folder / "d")
    assert normalize(avsv, scored, "--method", "s-norm", scores="d")[0] == 1
    assert normalize(avsv, scored, "--method", "s-norm", "--missing", "drop", scores="d")[0] == 0
    assert len(scored.scores("n")) == (~lacking).sum()


def test_cohort_of_another_size_is_refused(avsv, scored):
    from avsv.kaldi.embeddings import write_embeddings

    write_embeddings(scored.folder / "o.ark", scored.folder / "o.scp", ["a", "b"], np.ones((2, 3)))
    status, output = normalize(avsv, scored, "--method", "s-norm", "--cohort", scored.folder / "o.scp")
    assert status == 1
    assert "o.scp: " in output and "12" in output


def test_scores_of_other_trials_are_refused(avsv, scored):
    lines = (scored.folder / "s").read_text().splitlines()
    (scored.folder / "s").write_text("\n".join(lines[1:]) + "\n")
    status, output = normalize(avsv, scored, "--method", "s-norm")
    assert status == 1
    assert f"1 of {len(lines)} trials" in output


def test_with_folds_the_test_set_itself_is_the_cohort_without_a_recordings_own_fold(avsv, scored):
    (scored.folder / "folds").write_text("".join(f"{name} {name[:6]}\n" for name in read_embeddings(scored.test).ids))
    options = ("--method", "mean-norm", "--top-share", 0.2, "--cohort", scored.test, "--folds", scored.folder / "folds")
    status, output = normalize(avsv, scored, *options)
    assert status == 0, output
    unit = {name: vector / np.linalg.norm(vector) for name, vector in zip(*vars(read_embeddings(scored.test)).values())}
    trials, expected = read_trials(scored.trials), []
    for pair in (trials[n] for n in range(len(trials))):
        # 7 of 8 people are in other folds, 35 recordings, of which the highest 7 count
        means = [np.mean(sorted(unit[name] @ unit[o] for o in unit if o[:6] != name[:6])[-7:]) for name in pair]
        expected.append(unit[pair[0]] @ unit[pair[1]] - np.mean(means))
    assert scored.scores("n") == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    "options",
    [
        ("--method", "s-norm"),
        ("--method", "as-norm", "--cohort-utt2spk", "utt2spk"),
        ("--method", "as-norm", "--cohort-choice", "other"),
    ],
)
def test_folds_with_options_that_contradict_them_are_refused(avsv, scored, options):
    (scored.folder / "folds").write_text("".join(f"{name} {name[:6]}\n" for name in read_embeddings(scored.test).ids))
    options = [scored.utt2spk if option == "utt2spk" else option for option in options]
    assert normalize(avsv, scored, *options, "--cohort", scored.test, "--folds", scored.folder / "folds")[0] == 1


def test_a_recording_without_a_fold_is_named(avsv, scored):
    (scored.folder / "folds").write_text("".join(f"{name} 1\n" for name in read_embeddings(scored.test).ids[1:]))
    options = ("--method", "mean-norm", "--cohort", scored.test, "--folds", scored.folder / "folds")
    status, output = normalize(avsv, scored, *options)
    assert status == 1 and "test00-0" in output
