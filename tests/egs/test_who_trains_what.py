"""The table "Which people train what" of egs/voxceleb/README.md against what the recipe calls."""

import re
from pathlib import Path

import pytest
import yaml

from tests.egs.test_recipe_options import HELD_OUT_SETS, make_sets, option_of

ROOT = Path(__file__).resolve().parents[2]
VOXCELEB = ROOT / "egs/voxceleb"
OPTIONS = ["--voice", "conf/voice_small.yaml", "--face", "conf/face_small.yaml", "--face-pool", "conf/face_pool.yaml",
           "--adapt-set", "calls", "--conditions", "babble"]  # fmt: skip


def sets_in(text):
    """The names X of data/X."""
    return set(re.findall(r"\bdata/([\w.-]+)", text))


def table():
    """What -> data sets of its people and clips, and its noises."""
    section = (VOXCELEB / "README.md").read_text().split("## Which people train what")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    return {what: (sets_in(people + clips), sets_in(noises)) for what, people, clips, noises in rows[2:]}


@pytest.fixture
def calls(recipe):
    make_sets(recipe.folder, "voxceleb", vox1="a_list", **HELD_OUT_SETS, vox1_babble="a_list")
    reads_options = ": $voxceleb1 $voxceleb2 $musan $rirs $validation_people $seed\n"
    (recipe.folder / "egs/voxceleb/local/prepare.sh").write_text(reads_options)
    status, stderr, calls = recipe("voxceleb/run.sh", *OPTIONS)
    assert status == 0, stderr
    return calls


def trained(calls, *words):
    """The words of all trainings (calls with --train-scores, or of avsv train) that include `words`."""
    chosen = [call for call in calls if set(words) <= set(call)]
    assert chosen
    return [word for call in chosen for word in call]


def training_sets(words):
    """Sets whose labels are read for training: data_dir=, damaged_sets, --train-trials, --utt2spk, --cohort-utt2spk."""
    return sets_in(" ".join(word for word in words if not word.startswith("exp_dir=")))


def noises_of(calls, sets):
    damaged = {call[-1].removeprefix("data/"): option_of(call, "--noises") for call in calls
               if call[0] == "damage" and "--noises" in call}  # fmt: skip
    return sets_in(" ".join(damaged.get(name, "") for name in sets))


def test_encoders_and_fusion_networks_train_on_training_people(calls):
    sets, noises = table()["voice and face encoders trained here"]
    for task in ("voice", "face"):
        assert training_sets(trained(calls, "train", "--task", task)) == sets
    used = {yaml.safe_load(path.read_text()).get("noise_dir") for path in VOXCELEB.glob("conf/*.yaml")} - {None}
    assert sets_in(" ".join(used)) == noises
    sets, noises = table()["fusion networks"]
    assert training_sets(trained(calls, "train", "avn_e")) == sets and noises_of(calls, sets) == noises


def test_plda_and_the_cohort_are_of_training_people(calls):
    sets, noises = table()["PLDA, cohort of as-norm"]
    plda = [call for call in calls if call[0] == "plda"]
    adapted = [call for call in plda if call[-1] in ("exp/voice_adapted/plda", "exp/face_adapted/plda")]
    assert len(adapted) == 2 and all("vox2_damaged" in " ".join(call) for call in adapted)
    others = [call for call in plda if call not in adapted]
    assert others and not any("damaged" in word for call in others for word in call)
    assert training_sets(trained(others, "plda", "--utt2spk")) == sets and not noises
    assert training_sets(trained(adapted, "plda", "--utt2spk")) == {"vox2"}
    sets, noises = table()["PLDA of adapted voices and faces"]
    assert sets == {"vox2", "vox2_damaged"} and noises_of(calls, sets) == noises
    cohorts = [call for call in calls if call[:3] == ["normalize", "--method", "as-norm"]]
    assert {option_of(call, "--cohort-utt2spk") for call in cohorts} == {"data/vox2/utt2spk"}


def test_every_domain_is_adapted_to_itself(calls):
    sets, _ = table()["adaptation, cohort of mean-norm"]
    adapted = {option_of(call, "--embeddings").split("/")[2] for call in calls if call[0] == "adapt"}
    assert adapted == sets | {"calls"}


def test_faces_are_pooled_by_attention_trained_on_held_out_people(calls):
    sets, noises = table()["pooling of faces (`--face-pool`)"]
    words = trained(calls, "train", "face_pool")
    assert set(re.findall(r"face_faces/([\w-]+)/", " ".join(words))) == sets
    assert noises_of(calls, sets) == noises


def test_calibration_and_score_fusion_train_on_held_out_people(calls):
    trainings = [call for call in calls if call[0] in ("calibrate", "fuse") and "--train-trials" in call]
    rows = {"calibration, logistic fusion": False, "quality-dependent fusion and calibration": True}
    for what, by_quality in rows.items():
        sets, noises = table()[what]
        mine = [call for call in trainings if ("quality" in call) == by_quality]
        assert mine and noises_of(calls, sets) == noises
        for call in mine:
            trials = (call[place + 1] for place, word in enumerate(call) if word == "--train-trials")
            assert sets_in(" ".join(trials)) | {"dev"} == sets  # "data/dev" also names the people


def test_the_test_has_its_own_noises(calls):
    sets, noises = table()["test"]
    assert sets == {"vox1"} and noises_of(calls, {"vox1_babble"}) == noises
