"""run_voices.sh: what it trains from what, for its options."""

import pytest

from tests.egs.test_recipe_options import make_sets, option_of


def called(recipe, *options, name="mini"):
    make_sets(recipe.folder, name, my_set="a_list")
    status, stderr, calls = recipe(f"{name}/run_voices.sh", "--test-set", "my_set", *options)
    return status, stderr, calls


def test_the_second_phase_starts_from_the_first(recipe):
    status, stderr, calls = called(recipe, "--stage", "2", "--stop-stage", "2")
    assert status == 0, stderr
    trainings = {call[-1].removeprefix("exp_dir=exp/"): call for call in calls}
    assert list(trainings) == ["ecapa", "xvector", "resnet", "vggm", "vggm_contrastive", "rescnn", "rescnn_triplet",
                               "gru", "gru_triplet"]  # fmt: skip
    for name, call in trainings.items():
        starts = [word for word in call if word.startswith("init=")]
        first, _, phase = name.partition("_")
        assert starts == ([f"init=exp/{first}"] if phase else [])
        assert {"data_dir=data/train", "valid_dir=data/dev"} <= set(call)
    assert trainings["ecapa"][3].endswith("conf/voice_small.yaml")
    assert trainings["gru_triplet"][3].endswith("conf/voice_gru_triplet_small.yaml")


def test_published_encoders_are_tested_and_not_trained(recipe):
    options = ["--networks", "xvector", "--voices", "published=speechbrain/spkrec-ecapa-voxceleb", "--statistical", ""]
    status, stderr, calls = called(recipe, *options, "--stage", "1", "--stop-stage", "4")
    assert status == 0, stderr
    assert [call[-1] for call in calls if call[0] == "train"] == ["exp_dir=exp/xvector"]
    models = {option_of(call, "--model") for call in calls if call[0] == "embed-voice"}
    assert models == {"exp/xvector", "speechbrain/spkrec-ecapa-voxceleb"}
    scores = {call[-1] for call in calls if call[0] == "score"}
    assert scores == {f"exp/{name}/scores/a_list.{backend}" for name in ("xvector", "published")
                      for backend in ("cosine", "cosine_centred", "plda")}  # fmt: skip
    assert not any(call[0] == "speech" for call in calls)
    assert all(option_of(call, "--utt2spk") == "data/train/utt2spk" for call in calls if call[0] in ("lda", "plda"))


def test_gmm_ubm_and_ivectors_share_features_and_ubm(recipe):
    status, stderr, calls = called(recipe, "--networks", "", "--stage", "1", "--stop-stage", "4", "--nj", "1")
    assert status == 0, stderr
    assert {call[-1] for call in calls if call[0] == "features"} == {"exp/mfcc/train", "exp/mfcc/my_set"}
    verbs = [call[1] for call in calls if call[0] == "speech"]
    assert verbs == ["train-ubm", "train-extractor", "embed", "embed", "score"]
    assert {call[-1] for call in calls if call[0] == "score"} == {
        f"exp/ivector/scores/a_list.{backend}" for backend in ("cosine", "cosine_centred", "plda")
    }


@pytest.mark.parametrize("options", [["--statistical", "hmm"], ["--networks", "nothing"], ["--voices", "xvector=exp"]])
def test_a_system_that_does_not_exist_or_twice_is_refused(recipe, options):
    status, stderr, calls = called(recipe, *options)
    assert status == 2 and options[1].split("=")[0] in stderr and not calls


def test_lists_that_run_sh_has_divided_are_not_written_anew(recipe):
    folder = recipe.folder / "egs/mini/data/my_set"
    folder.mkdir(parents=True)
    (folder / "utt2fold").write_text("a-1 1\n")
    status, stderr, calls = recipe("mini/run_voices.sh", "--test-set", "my_set", "--stop-stage", "0")
    assert status == 1 and "--stage 1" in stderr and not calls
