"""Another corpus, tested with the models of a finished run."""

import re

import pytest

from tests.egs.test_recipe_options import HELD_OUT_SETS, make_sets, option_of

TRAINED = ("voice", "face", "voice_adapted", "face_adapted", "avn_e", "avn_e_adapted")
OPTIONS = ["--adapt-folds", "2", "--other-set", "second"]
SETS = {"second": "second-O", "second_noisy-0.6": "second-O"}


def finished_run(recipe, systems=TRAINED):
    make_sets(recipe.folder, "voxceleb", vox1="vox1-O", **HELD_OUT_SETS, **SETS)
    exp = recipe.folder / "egs/voxceleb/exp"
    for system in systems:
        (exp / system / "plda").mkdir(parents=True)
    return exp


def outputs(calls, *verbs):
    return {call[-1] for call in calls if call[0] in verbs}


def test_nothing_is_trained_and_no_output_of_the_run_is_written(recipe):
    finished_run(recipe)
    status, stderr, calls = recipe("voxceleb/run.sh", *OPTIONS, "--stage", "1")
    assert status == 0, stderr
    assert not outputs(calls, "train", "plda", "lda")
    assert not any(word.startswith("--train-") for call in calls for word in call)
    assert {path.split("/")[2] for path in outputs(calls, "embed-voice", "embed-face", "embed-pair")} == set(SETS)
    adapted = [call for call in calls if call[0] == "adapt"]
    assert {call[-1].split("/")[2] for call in adapted} == {"target_second", "target_second@noisy-0.6"}
    assert {call[place + 2].split("/")[2] for call in adapted for place, word in enumerate(call)
            if word == "--apply"} == set(SETS)  # fmt: skip
    scored = outputs(calls, "score", "normalize", "calibrate", "fuse")
    assert scored and all(re.match(r"exp/\w+/scores/second-O(@noisy-0.6)?\.", path) for path in scored)
    assert {(call[-1], option_of(call, "--noises")) for call in calls if call[0] == "damage"} == {
        ("data/second_noisy-0.6", "data/musan_test")}  # fmt: skip


def test_models_of_every_calibration_and_fusion_are_those_that_the_run_trained(recipe):
    finished_run(recipe)
    status, stderr, calls = recipe("voxceleb/run.sh", "--adapt-folds", "2", "--stage", "8", "--stop-stage", "8")
    assert status == 0, stderr
    trained = {f"{call[-1]}.json" for call in calls if call[0] in ("calibrate", "fuse") and "--train-scores" in call}
    own = {option_of(call, "--model") for call in calls if call[0] in ("calibrate", "fuse") and "--model" in call}
    status, stderr, calls = recipe("voxceleb/run.sh", *OPTIONS, "--stage", "8")
    assert status == 0, stderr
    applied = [call for call in calls if call[0] in ("calibrate", "fuse") and option_of_or(call, "--method") != "mean"]
    assert {option_of(call, "--model") for call in applied} == trained == own
    assert {f"exp/quality_adapted/dev_noisy-0.6/dev.{name}.json" for name in ("cosine", "plda")} <= trained


def option_of_or(call, name):
    return option_of(call, name) if name in call else None


def test_results_have_a_page_of_their_own(recipe):
    finished_run(recipe)
    status, stderr, calls = recipe("voxceleb/run.sh", *OPTIONS, "--stage", "10")
    assert status == 0, stderr
    (report,) = [call for call in calls if call[0] == "report"]
    assert report[-2:] == ["exp", "exp/second/results"]
    assert option_of(report, "--trials-dir") == "data/second/trials" and "--published" not in report
    assert option_of(report, "--reference") == "quality_adapted.cosine"
    rivals = [report[place + 1] for place, word in enumerate(report) if word == "--rival"]
    assert rivals == [name + end for end in ("", "_adapted") for name in ("voice", "face", "mean", "logistic")]
    (claim,) = [call for call in calls if call[0] == "check_claim.py"]
    assert claim[1:3] == ["exp/second/results/results.json", "exp/second/results/claim.md"]
    assert claim[claim.index("--rivals") + 1 :] == ["voice", "face", "mean", "logistic"]


def test_its_people_are_divided_for_adaptation_or_adapted_to_recordings_of_the_user(recipe):
    finished_run(recipe)
    for options, folds, domain in (
        (OPTIONS, "data/second/utt2fold", "second"),
        (["--other-set", "second", "--adapt-set", "calls"], None, "calls"),
    ):
        status, stderr, calls = recipe("voxceleb/run.sh", *options, "--stage", "3", "--stop-stage", "5")
        assert status == 0, stderr
        for call in (call for call in calls if call[0] == "adapt"):
            assert option_of_or(call, "--folds") == folds
            assert option_of(call, "--embeddings").split("/")[2] == domain
        assert f"exp/voice/{domain}" in outputs(calls, "embed-voice")


@pytest.mark.parametrize("name", ["vox1", "vox2", "vox2_damaged", "dev", "voice", "mean"])
def test_the_name_of_a_set_or_system_of_the_run_is_refused(recipe, name):
    finished_run(recipe)
    status, stderr, calls = recipe("voxceleb/run.sh", "--other-set", name)
    assert status == 2 and f"--other-set {name}" in stderr and not calls


def test_lists_that_would_overwrite_scores_of_the_run_are_refused(recipe):
    finished_run(recipe)
    (recipe.folder / "egs/voxceleb/data/second/trials/vox1-O").write_text("a b target\n")
    status, stderr, calls = recipe("voxceleb/run.sh", *OPTIONS)
    assert status == 1 and "data/second/trials/vox1-O" in stderr and not calls


def test_a_system_that_the_run_did_not_train_is_named(recipe):
    finished_run(recipe, ["voice", "face", "avn_e"])
    status, stderr, calls = recipe("voxceleb/run.sh", *OPTIONS)
    assert status == 1 and "exp/voice_adapted/plda" in stderr and not calls
    status, stderr, calls = recipe("voxceleb/run.sh", "--other-set", "second", "--stage", "7")
    assert status == 0, stderr
