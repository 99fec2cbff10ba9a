"""Options of the recipes: the commands that they call for all combinations of options."""

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted(path for path in (ROOT / "egs").glob("*/**/run*.sh"))


def with_option(name):
    """The recipes that have an option, in the file itself or in the reference recipe that they call."""
    having = {path for path in SCRIPTS if f"\n{name}=" in path.read_text()}
    called = {f"voxceleb/{path.name}" for path in having}
    return [path for path in SCRIPTS if path in having or any(name in path.read_text() for name in called)]


TRAINING, HELD_OUT = with_option("train_options"), with_option("held_out")
HELD_OUT_SETS = dict.fromkeys(("dev", "dev_noisy-0.6", "dev_both-noisy"), "dev")  # name -> its trial list
NAMES = {"ids": lambda path: str(path.relative_to(ROOT / "egs"))}


def make_sets(folder, recipe, **lists):
    train = folder / "egs" / recipe / "data" / {"voxceleb": "vox2"}.get(recipe, "train")
    train.mkdir(parents=True, exist_ok=True)
    (train / "utt2spk").write_text("a a\n")
    for name, trials in lists.items():
        (folder / "egs" / recipe / "data" / name / "trials").mkdir(parents=True)
        (folder / "egs" / recipe / "data" / name / "trials" / trials).write_text("a b target\n")


def commands(script):
    """The commands of a script, with continuation lines joined."""
    return re.sub(r"\\\n\s*", "", script.read_text()).splitlines()


@pytest.mark.parametrize("script", SCRIPTS, **NAMES)
def test_the_recipe_sets_task_and_exp_dir_of_every_training(script):
    """The last value on the command line takes precedence."""
    for line in (line for line in commands(script) if re.search(r"\bavsv train\b", line.partition("#")[0])):
        assert re.search(r"avsv train --task \w+ ", line), line
        assert "exp_dir=" in line, line
        if '"${train_options[@]}"' in line:  # in which exp_dir is refused
            assert "train_options" in script.read_text().split("read_train_options")[1]


@pytest.mark.parametrize("script", TRAINING, **NAMES)
@pytest.mark.parametrize("key", ["exp_dir=exp/mine", "task=voice", "device=cuda", "detector=x"])
def test_train_options_that_would_break_later_stages_are_refused(recipe, script, key):
    status, stderr, calls = recipe(script.relative_to(ROOT / "egs"), "--train-options", f"epochs=1 {key}")
    assert status == 2 and key.partition("=")[0] in stderr and not calls


@pytest.mark.parametrize("script", HELD_OUT, **NAMES)
@pytest.mark.parametrize("number", ["0", "1"])
def test_a_recipe_refuses_to_start_without_held_out_people(recipe, script, number):
    status, stderr, calls = recipe(script.relative_to(ROOT / "egs"), "--held-out", number)
    assert status == 2 and "--held-out" in stderr and not calls


@pytest.mark.parametrize("name", ["mini", "voxceleb"])
def test_the_name_of_a_test_set_may_contain_an_underscore(recipe, name):
    make_sets(recipe.folder, name, my_set="a_list", **HELD_OUT_SETS)
    status, stderr, calls = recipe(f"{name}/run.sh", "--test-set", "my_set", "--stage", "3", "--stop-stage", "8")
    assert status == 0, stderr
    embedded = {call[-1] for call in calls if call[0] == "embed-voice"}
    train = "train" if name == "mini" else "vox2"
    assert embedded == {f"exp/voice/{set_}" for set_ in ("my_set", train, f"{train}_damaged", *HELD_OUT_SETS)}
    scores = {call[-1] for call in calls if call[0] == "score"}
    assert "exp/voice/scores/a_list.cosine" in scores and not any("@" in path for path in scores)
    assert not any("--reuse" in call for call in calls)


@pytest.mark.parametrize("name", ["mini", "voxceleb"])
def test_a_condition_is_the_noisy_version_of_the_test_set(recipe, name):
    make_sets(recipe.folder, name, my_set="a_list", **HELD_OUT_SETS, **{"my_set_noisy-0.6": "a_list"})
    options = ["--test-set", "my_set", "--condition", "noisy-0.6", "--stage", "3", "--stop-stage", "8"]
    status, stderr, calls = recipe(f"{name}/run.sh", *options)
    assert status == 0, stderr
    (embed,) = [call for call in calls if call[0] == "embed-voice" and call[-1] != call[-2]][:1]
    assert embed[-2:] == ["data/my_set_noisy-0.6", "exp/voice/my_set_noisy-0.6"]
    assert embed[embed.index("--reuse") + 1] == "exp/voice/my_set"
    written = [call[-1] for call in calls if call[0] in ("score", "normalize", "calibrate", "fuse")]
    assert written and all("/scores/a_list@noisy-0.6." in path for path in written)
    assert not any(call[0] in ("train", "plda") for call in calls if call[0] == "plda")


@pytest.mark.parametrize("name", ["mini", "voxceleb"])
@pytest.mark.parametrize("stages", [("0", "8"), ("2", "3"), ("3", "9"), ("10", "10")])
def test_a_condition_is_passed_to_the_stages_that_use_it(recipe, name, stages):
    options = ["--condition", "noisy-0.6", "--stage", stages[0], "--stop-stage", stages[1]]
    status, stderr, calls = recipe(f"{name}/run.sh", *options)
    assert status == 2 and "--condition" in stderr and not calls


@pytest.mark.parametrize("name", ["mini", "voxceleb"])
def test_noisy_sets_are_made_from_the_test_set_and_requested_ones_are_shown(recipe, name):
    make_sets(recipe.folder, name, my_set="a_list", my_set_babble="a_list", **HELD_OUT_SETS)
    options = ["--test-set", "my_set", "--conditions", "babble", "--stage", "9"]
    status, stderr, calls = recipe(f"{name}/run.sh", *options)
    assert status == 0, stderr
    assert [call[-2:] for call in calls if call[0] == "damage"] == [["data/my_set", "data/my_set_babble"]]
    (report,) = [call for call in calls if call[0] == "report"]
    shown = [report[place + 1] for place, word in enumerate(report) if word == "--condition"]
    assert shown == ["clean", "babble"] and report[report.index("--trials-dir") + 1] == "data/my_set/trials"


def test_the_published_fusion_network_stands_beside_ours(recipe):
    """Its damage is drawn from statistics, which the recipe measures for the paper's types of damage."""
    make_sets(recipe.folder, "mini", test="a_list", **HELD_OUT_SETS)
    options = ["--fusion", "avn_e=conf/avn_e.yaml", "--fusion", "avn_e_paper=conf/avn_e_paper.yaml"]
    v1 = ["--fusion", "avn_e_paper_v1=conf/avn_e_paper_small_v1.yaml"]
    status, stderr, calls = recipe(
        "mini/run.sh", "--adapt-folds", "1", *options, *v1, "--stage", "5", "--stop-stage", "5"
    )
    assert status == 0, stderr
    measured = {call[-1]: call for call in calls if call[0] == "noise-statistics"}
    assert measured.keys() == {"exp/voice/noise.npz", "exp/face/noise.npz"}
    kinds = {word.removeprefix("--kind=") for word in measured["exp/voice/noise.npz"] if word.startswith("--kind=")}
    assert kinds == {"noise", "music", "babble"}
    trained = {call[-1]: call for call in calls if call[0] == "train"}
    assert "voice_noise=exp/voice/noise.npz" in trained["exp_dir=exp/avn_e_paper"]
    for name in ("avn_e", "avn_e_paper_v1"):
        assert not any(word.startswith("voice_noise=") for word in trained[f"exp_dir=exp/{name}"])


def test_training_embeddings_are_adapted_without_their_own_person(recipe):
    make_sets(recipe.folder, "mini", test="a_list", **HELD_OUT_SETS)
    people = [f"p{number:02d}" for number in range(25)]
    table = "".join(f"{person}-{clip} {person}\n" for person in people for clip in (1, 2))
    (recipe.folder / "egs/mini/data/train/utt2spk").write_text(table)
    options = ["--adapt-set", "test", "--adapt-folds", "1", "--stage", "5", "--stop-stage", "5"]
    status, stderr, calls = recipe("mini/run.sh", *options)
    assert status == 0, stderr
    sources = [call for call in calls if call[0] == "adapt" and call[-1].endswith("/source")]
    assert sources and all(call[call.index("--folds") + 1] == "data/train/utt2fold" for call in sources)
    fold_of = dict(line.split() for line in (recipe.folder / "egs/mini/data/train/utt2fold").read_text().splitlines())
    assert all(fold_of[f"{person}-1"] == fold_of[f"{person}-2"] for person in people)
    assert sorted(Counter(fold_of.values()).values()) == [4] * 5 + [6] * 5


def test_a_recipe_may_have_several_voices_faces_and_fusion_networks(recipe):
    make_sets(recipe.folder, "mini", test="a_list", **HELD_OUT_SETS)
    xvector = recipe.folder / "xvector"
    xvector.mkdir()
    options = [
        "--adapt-folds",
        "1",
        "--voice",
        "ecapa=conf/voice.yaml",
        "--voice",
        f"xvector={xvector}",
        "--face",
        "conf/face.yaml",
    ]
    options += ["--fusion", "one=conf/avn_e.yaml", "--fusion", "two=conf/avn_e.yaml:xvector+face"]
    status, stderr, calls = recipe("mini/run.sh", *options, "--stage", "2", "--stop-stage", "8")
    assert status == 0, stderr
    trained = {call[-1]: call for call in calls if call[0] == "train"}
    assert trained.keys() == {f"exp_dir=exp/{name}" for name in ("ecapa", "one", "two")} | {
        "exp_dir=exp/face_detector", "detector=exp/face_detector"}  # fmt: skip
    for name, voice in (("one", "ecapa"), ("two", "xvector")):
        train = trained[f"exp_dir=exp/{name}"]
        assert {f"voice=exp/{voice}/train/embedding.scp", "face=exp/face/train/embedding.scp"} <= set(train)
        (damaged,) = [word for word in train if word.startswith("damaged_sets=")]
        assert f"voice: exp/{voice}/train_damaged/embedding.scp" in damaged
    models = {call[-1]: call[call.index("--model") + 1] for call in calls if call[0] == "embed-voice"}
    assert models["exp/ecapa/test"] == "exp/ecapa" and models["exp/xvector/test"] == str(xvector)
    written = {call[-1] for call in calls if call[0] in ("score", "calibrate", "fuse")}
    systems = "ecapa xvector face one two mean logistic quality".split()
    systems += [f"{name}_xvector_face" for name in ("mean", "logistic", "quality")]
    assert {f"exp/{name}/scores/a_list.cosine" for name in systems} <= written
    assert "exp/two/scores/a_list.cosine_shared_calibrated" in written
    (calibrate,) = [call for call in calls if call[-1] == "exp/two/scores/a_list.cosine_shared_quality"]
    assert {"exp/xvector/test/utt2snr", "exp/two/test/utt2voice_weight"} <= set(calibrate)


def test_a_modality_that_is_damaged_in_no_training_clip_is_not_among_the_damaged_sets(recipe):
    make_sets(recipe.folder, "mini", test="a_list", **HELD_OUT_SETS)
    damaged = recipe.folder / "egs/mini/data/train_damaged"
    damaged.mkdir(parents=True, exist_ok=True)
    (damaged / "utt2damage").write_text('a {"modality": "face", "kind": "missing"}\n')
    status, stderr, calls = recipe("mini/run.sh", "--adapt-folds", "1", "--stage", "5", "--stop-stage", "5")
    assert status == 0, stderr
    (train,) = [call for call in calls if call[0] == "train"]
    assert "damaged_sets=[{data_dir: data/train_damaged, face: exp/face/train_damaged/embedding.scp}]" in train


def test_encoders_side_by_side_are_a_voice_of_their_own(recipe):
    make_sets(recipe.folder, "mini", test="a_list", **HELD_OUT_SETS)
    options = ["--voice", "a=conf/voice.yaml", "--voice", "b=conf/voice.yaml", "--voice", "both=a+b"]
    options += ["--fusion", "one=conf/avn_e.yaml:both+face", "--adapt-folds", "1"]
    status, stderr, calls = recipe("mini/run.sh", *options, "--stage", "2", "--stop-stage", "8")
    assert status == 0, stderr
    joined = {call[-1]: call for call in calls if call[0] == "concatenate"}
    assert joined.keys() == {f"exp/both/{set_}" for set_ in ("test", "train", "train_damaged", *HELD_OUT_SETS)}
    assert joined["exp/both/test"][1:5] == ["--embeddings", "exp/a/test/embedding.scp", "--embeddings",
                                            "exp/b/test/embedding.scp"]  # fmt: skip
    assert not any(call[0] in ("train", "embed-voice") and "exp/both" in " ".join(call) for call in calls
                   if "exp_dir=exp/one" not in call)  # fmt: skip
    assert "exp/quality_both_face/scores/a_list.cosine" in {call[-1] for call in calls if call[0] == "fuse"}


@pytest.mark.parametrize("options", [
    ["--voice", "a=x", "--voice", "b=a+c"],
    ["--voice", "conf/voice.yaml", "--voice", "exp/other"], ["--voice", "a=x", "--face", "a=y"], ["--fusion", "mean=x"],
    ["--fusion", "conf/avn_e.yaml:voice+other"], ["--fusion", "conf/avn_e.yaml:face+voice"],
    ["--voice", "conf/absent.yaml"], ["--face", "/absent/pack"], ["--fusion", "mine=conf/absent.yaml:voice+face"],
], ids=" ".join)  # fmt: skip
def test_duplicate_systems_and_missing_parts_are_refused_in_one_line(recipe, options):
    status, stderr, calls = recipe("mini/run.sh", *options)
    assert status == 2 and options[-2] in stderr.splitlines()[-1]
    assert not calls


def test_a_new_corpus_takes_three_files(recipe):
    """Its configurations are those of the reference recipe."""
    corpus = recipe.folder / "egs/mine"
    (corpus / "conf").mkdir(parents=True)
    (corpus / "local").mkdir()
    (corpus / "run.sh").write_text('#!/usr/bin/env bash\n# Mine.\n. "$(dirname "$0")/../voxceleb/run.sh"\n')
    (corpus / "conf/recipe.conf").write_text("videos=   # folder of videos\nvoice=conf/voice_small.yaml\nheld_out=5\n")
    (corpus / "local/prepare.sh").write_text('need videos\navsv prepared "$(from_user "$videos")" "$held_out"\n')
    (recipe.folder / "clips").mkdir()
    make_sets(recipe.folder, "mine", test="all", **HELD_OUT_SETS)
    status, stderr, calls = recipe("mine/run.sh", "--stage", "0", "--stop-stage", "0")
    assert status == 2 and "--videos must be given" in stderr
    status, stderr, calls = recipe("mine/run.sh", "--videos", "clips", "--stop-stage", "2")
    assert status == 0 and calls[0] == ["prepared", f"{recipe.folder}/clips", "5"], stderr
    (train,) = [call for call in calls if call[0] == "train"]
    assert train[3].endswith("voxceleb/conf/voice_small.yaml") and Path(train[3]).exists()
    assert {"data_dir=data/train", "exp_dir=exp/voice"} <= set(train)
    status, stderr, _ = recipe("mine/run.sh", "--help")
    assert stderr.startswith("Mine.") and "--videos             folder of videos" in stderr and "(default: 5)" in stderr


def test_features_are_computed_only_on_request(recipe):
    status, stderr, calls = recipe("mini/run.sh", "--stage", "1", "--stop-stage", "1")
    assert status == 0 and "stage 1" in stderr and "--features fbank" in stderr and not calls
    options = ("--stage", "1", "--stop-stage", "1", "--features", "fbank", "--nj", "1")
    status, stderr, calls = recipe("mini/run.sh", *options)
    assert {call[-1] for call in calls} == {f"exp/fbank/{set_}" for set_ in ("train", "dev", "test")}


@pytest.mark.parametrize("name", ["mini", "voxceleb"])
def test_frames_per_clip_reach_every_set(recipe, name):
    face = "conf/face.yaml"
    status, stderr, calls = recipe(f"{name}/run.sh", "--face", face, "--frames-per-clip", "7", "--stage", "2",
                                 "--stop-stage", "4", "--face-pool", "conf/face_pool.yaml")  # fmt: skip
    assert status == 0, stderr
    of_faces = [call for call in calls if call[0] in ("align-faces", "embed-face")]
    assert len(of_faces) > 4
    assert {call[call.index("--frames-per-clip") + 1] for call in of_faces} == {"7"}


def option_of(call, name):
    return call[call.index(name) + 1]


def test_every_system_is_adapted_to_a_set_of_unlabelled_recordings(recipe):
    make_sets(recipe.folder, "voxceleb", vox1="a_list", **HELD_OUT_SETS)
    status, stderr, calls = recipe("voxceleb/run.sh", "--adapt-set", "calls", "--stage", "3", "--stop-stage", "8")
    assert status == 0, stderr
    assert {"exp/voice/calls", "exp/face/calls"} <= {call[-1] for call in calls if call[0].startswith("embed-")}
    adapted = [call for call in calls if call[0] == "adapt"]
    assert [option_of(call, "--embeddings").split("/")[1:3] for call in adapted] == [
        [modality, set_] for modality in ("voice", "face") for set_ in ("vox2", *HELD_OUT_SETS, "calls")
    ]
    written = {call[place + 2] for call in adapted for place, word in enumerate(call) if word == "--apply"}
    sets = ("vox1", "vox2", "vox2_damaged", "calls", *HELD_OUT_SETS)
    assert written == {f"exp/{modality}_adapted/{set_}" for modality in ("voice", "face") for set_ in sets}
    folds = ["data/vox2/utt2fold", *["data/dev/utt2spk"] * len(HELD_OUT_SETS), ""] * 2
    assert all((option_of(call, "--folds") if "--folds" in call else "") == fold
               for call, fold in zip(adapted, folds, strict=True))  # fmt: skip
    (train,) = [call for call in calls if "exp_dir=exp/avn_e_adapted" in call]
    assert {f"{modality}=exp/{modality}_adapted/vox2/embedding.scp" for modality in ("voice", "face")} <= set(train)
    scored = {call[-1] for call in calls if call[0] in ("score", "normalize", "calibrate", "fuse")}
    of_raw = {path for path in scored if "_adapted/" not in path}
    # PLDA scores of adapted voices and faces are normalised by the domain, and fused
    of_plda = {f"exp/{system}_adapted/{folder}.{backend}"
               for systems, backend in ((("voice", "face"), "plda_mean-norm"), (("quality",), "plda"))
               for system in systems for folder in ("scores/a_list", *(f"{name}/dev" for name in HELD_OUT_SETS))
               if backend != "plda" or "/dev" not in folder or folder.startswith("dev_noisy-0.6")}  # fmt: skip
    assert of_plda <= scored
    assert {re.sub(r"^exp/(\w+)_adapted/", r"exp/\1/", path) for path in scored - of_raw - of_plda} == of_raw
    by_domain = [call for call in calls if call[:3] == ["normalize", "--method", "mean-norm"]]
    for call in by_domain:
        of, cohort = (option_of(call, name).split("/")[2] for name in ("--enroll", "--cohort"))
        test = of == "vox1"
        assert cohort == ("calls" if test else of)
        assert ("--folds" in call) != test and (test or option_of(call, "--folds") == "data/dev/utt2spk")


@pytest.mark.parametrize(
    "options, folds",
    [(["--adapt-folds", "2"], "data/vox1/utt2fold"), (["--adapt-set", "vox1"], "data/vox1/utt2spk")],
    ids=" ".join,
)
def test_no_test_recording_is_adapted_to_itself(recipe, options, folds):
    make_sets(recipe.folder, "voxceleb", vox1="a_list", **HELD_OUT_SETS, **{"vox1_noisy-0.6": "a_list"})
    for condition in ("", "noisy-0.6"):  # a damaged set is adapted to recordings with the same damage
        given = ("--condition", condition) if condition else ()
        status, stderr, calls = recipe("voxceleb/run.sh", *options, *given, "--stage", "5", "--stop-stage", "8")
        assert status == 0, stderr
        target = f"exp/voice_adapted/target{condition and '@'}{condition}"
        adapted = [call for call in calls if call[0] == "adapt" and call[-1] == target]
        assert [option_of(call, "--folds") for call in adapted] == [folds]
        set_ = f"vox1{condition and '_'}{condition}"
        assert option_of(adapted[0], "--embeddings") == f"exp/voice/{set_}/embedding.scp"
        by_domain = [call for call in calls if call[:3] == ["normalize", "--method", "mean-norm"]]
        of_test = [call for call in by_domain if f"/{set_}/" in option_of(call, "--enroll")]
        assert len(of_test) == 2 and all(option_of(call, "--folds") == folds for call in of_test)
        assert all(f"/{set_}/" in option_of(call, "--cohort") for call in of_test)


def test_nothing_is_adapted_by_default(recipe):
    make_sets(recipe.folder, "voxceleb", vox1="a_list", **HELD_OUT_SETS)
    status, stderr, calls = recipe("voxceleb/run.sh", "--stage", "3", "--stop-stage", "8")
    assert status == 0, stderr
    assert not any("adapt" in word for call in calls for word in call)


@pytest.mark.parametrize("options", [
    ["--adapt-folds", "2", "--adapt-set", "calls"], ["--dev-conditions", "clean both-noisy"],
    ["--voice", "x_adapted=conf/voice.yaml"],
], ids=" ".join)  # fmt: skip
def test_contradictory_adaptation_and_held_out_sets_are_refused(recipe, options):
    status, stderr, calls = recipe("voxceleb/run.sh", *options)
    assert status == 2 and options[-2] in stderr.splitlines()[-1] and not calls


def test_training_held_out_people_and_test_have_noises_of_their_own(recipe):
    make_sets(recipe.folder, "mini", test="a_list", **HELD_OUT_SETS)
    (recipe.folder / "egs/mini/local/prepare.sh").write_text("")
    status, stderr, calls = recipe("mini/run.sh", "--adapt-folds", "1", "--conditions", "noisy-0.6 babble")
    assert status == 0, stderr
    noises = {call[-1]: option_of(call, "--noises") for call in calls if call[0] == "damage"}
    assert noises == {"data/dev_noisy-0.6": "data/musan_dev", "data/dev_both-noisy": "data/musan_dev",
                      "data/train_damaged": "data/musan_train", "data/test_noisy-0.6": "data/musan_test",
                      "data/test_babble": "data/musan_test"}  # fmt: skip


@pytest.mark.parametrize("cohort", ["speakers", "utterances"])
def test_the_cohort_is_the_training_speakers_or_their_utterances(recipe, cohort):
    make_sets(recipe.folder, "mini", test="a_list", **HELD_OUT_SETS)
    status, stderr, calls = recipe("mini/run.sh", "--cohort-of", cohort, "--stage", "8", "--stop-stage", "8")
    assert status == 0, stderr
    normalized = [call for call in calls if call[:3] == ["normalize", "--method", "as-norm"]]
    assert normalized
    for call in normalized:
        assert option_of(call, "--cohort-utt2spk") == "data/train/utt2spk" and option_of(call, "--cohort-of") == cohort


def test_an_encoder_of_ones_own_is_resolved_and_refused_before_any_stage(recipe):
    (recipe.folder / "mine.py").write_text("")
    own = ("voxceleb/run.sh", "--voice", "mine=mine.py:Mine", "--stage", "3", "--stop-stage", "3")
    status, output, calls = recipe(*own)
    assert status == 2 and "--trust-model" in output and not calls
    status, output, calls = recipe(*own, "--trust-model", "true")
    models = {call[call.index("--model") + 1] for call in calls}
    assert status == 0 and models == {f"{recipe.folder}/mine.py:Mine"}, output
    assert all("--trust-model" in call for call in calls)
    status, output, calls = recipe("voxceleb/run.sh", "--voice", "none.py:Mine", "--trust-model", "true")
    assert status == 2 and "none.py" in output and not calls


def test_an_onnx_file_is_resolved_and_refused_if_absent_before_any_stage(recipe):
    (recipe.folder / "net.onnx").write_text("")
    given = ("--voice", "net=net.onnx", "--stage", "3", "--stop-stage", "3")
    status, output, calls = recipe("voxceleb/run.sh", *given)
    models = {call[call.index("--model") + 1] for call in calls}
    assert status == 0 and models == {f"{recipe.folder}/net.onnx"}, output
    status, output, calls = recipe("voxceleb/run.sh", "--voice", "none.onnx")
    assert status == 2 and "none.onnx" in output and not calls


def test_the_encoder_around_resemblyzer_is_found_in_the_reference_recipe(recipe):
    own = "ge2e=local/resemblyzer_encoder.py:Ge2e"
    status, output, calls = recipe("mini/run.sh", "--voice", own, "--trust-model", "true", "--stage", "3",
                                   "--stop-stage", "3")  # fmt: skip
    assert status == 0, output
    file, _, name = calls[0][calls[0].index("--model") + 1].rpartition(":")
    assert name == "Ge2e" and Path(file).samefile(recipe.folder / "egs/voxceleb/local/resemblyzer_encoder.py")
