"""avsv fuse and avsv calibrate with --method quality."""

import json
import re

import numpy as np
import pytest

from avsv.jobs.records import record_path
from avsv.kaldi.origin import write_system
from avsv.kaldi.scores import write_scores
from avsv.kaldi.trials import read_trials
from avsv.scoring.calibration import read_fusion
from avsv.scoring.quality import RecordingValues

ORIGINS = {"voice": "voice:1 cosine", "face": "face:2 plda"}


def names_of(world, part):
    return [line.split()[0] for line in (world.folder / f"{part}.utt2spk").read_text().splitlines()]


@pytest.fixture
def sets(world):
    """Scores and quality tables of a test list and of two training lists, "clean" and "noisy", of the same trials.

    Quality is the inverse of a recording's noise. Files: SET.voice, SET.face, SET.voice.snr and SET.face.size.
    """
    rng = np.random.default_rng(0)
    for name, path, part in (("test", world.trials, "test"), ("clean", world.train_trials, "train"),
                             ("noisy", world.train_trials, "train")):  # fmt: skip
        trials = read_trials(path)
        for system, table in (("voice", "snr"), ("face", "size")):
            noise = {utt: rng.uniform(0.1, 0.5 if name == "clean" else 2) for utt in names_of(world, part)}
            deviation = np.array([max(noise[one] for one in trials[n]) for n in range(len(trials))])
            scores = trials.labels + deviation * rng.standard_normal(len(trials))
            write_scores(world.folder / f"{name}.{system}", trials, scores)
            write_system(world.folder / f"{name}.{system}", ORIGINS[system])
            text = "".join(f"{utt} {1 / value:.6f}\n" for utt, value in noise.items())
            (world.folder / f"{name}.{system}.{table}").write_text(text)
    return world


SYSTEMS = (("voice", "", "snr"), ("face", "log:", "size"))


def files(world, name, option="", order=("voice", "face")):
    """Options --scores and --quality of a set, or with `option` "train-" those of a training list."""
    systems = sorted(SYSTEMS, key=lambda one: order.index(one[0]))
    trials = world.trials if name == "test" else world.train_trials
    argv = [
        f"--{option}trials",
        trials,
        f"--{option}scores",
        *(f"{s}={world.folder}/{name}.{s}" for s, _, _ in systems),
    ]
    tables = [f"{s}={log}{world.folder}/{name}.{s}.{table}" for s, log, table in systems]
    return [*argv, f"--{option}quality", *tables]


def fuse(avsv, world, *options, order=("voice", "face")):
    return avsv("fuse", "--method", "quality", *files(world, "test", order=order), *options)


def both_lists(world, **order):
    return [*files(world, "clean", "train-", **order), *files(world, "noisy", "train-", **order)]


def cllr(avsv, world, name):
    assert avsv("evaluate", "--trials", world.trials, "--json", world.folder / "j", world.folder / name)[0] == 0
    return next(iter(json.loads((world.folder / "j").read_text()).values()))["cllr"]


def test_it_is_better_than_logistic_regression_where_quality_matters(avsv, sets):
    assert fuse(avsv, sets, *both_lists(sets), sets.folder / "q")[0] == 0
    scores = ["--scores", sets.folder / "test.voice", sets.folder / "test.face"]
    train = [
        "--train-trials",
        sets.train_trials,
        "--train-scores",
        sets.folder / "noisy.voice",
        sets.folder / "noisy.face",
    ]
    assert avsv("fuse", "--trials", sets.trials, *scores, *train, sets.folder / "l")[0] == 0
    assert cllr(avsv, sets, "q") < cllr(avsv, sets, "l") < 1


def test_the_ratios_are_those_of_the_models_formula(avsv, sets):
    assert fuse(avsv, sets, *both_lists(sets), sets.folder / "q")[0] == 0
    model = json.loads((sets.folder / "q.json").read_text())
    trials = read_trials(sets.trials)
    expected = np.zeros(len(trials))
    for system in model["systems"]:
        name, (measure,) = system["name"], system["measures"]
        kind = {"voice": "snr", "face": "size"}[name]
        table = dict(line.split() for line in (sets.folder / f"test.{name}.{kind}").read_text().splitlines())
        scores = sets.scores(f"test.{name}")
        for number in range(len(trials)):
            both = sorted(float(table[utt]) for utt in trials[number])
            both = np.log(both) if measure["log"] else np.array(both)
            standard = 2 * np.tanh((both - measure["mean"]) / measure["deviation"] / 2)
            scale = np.exp(system["log_scale"] + standard @ measure["scale_weights"])
            expected[number] += scale * (scores[number] - system["pivot"]) + system["offset"]
            expected[number] += standard @ measure["offset_weights"]
    assert sets.scores("q") == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_the_model_names_its_systems_tables_and_lists(avsv, sets):
    speakers = ["--train-utt2spk", sets.folder / "train.utt2spk"]
    assert fuse(avsv, sets, *both_lists(sets), *speakers, sets.folder / "q")[0] == 0
    model = read_fusion(sets.folder / "q.json")
    assert [system.name for system in model.systems] == ["voice", "face"]
    assert model.trained_on == list(ORIGINS.values())
    assert [(one.measures[0].table, one.measures[0].log) for one in model.systems] == [
        (f"{sets.folder}/clean.voice.snr", False), (f"{sets.folder}/clean.face.size", True),
    ]  # fmt: skip
    labels = read_trials(sets.train_trials).labels
    assert [(one.people, one.targets, one.nontargets) for one in model.lists] == [
        (30, labels.sum(), (~labels).sum())
    ] * 2


def test_the_order_of_systems_does_not_matter(avsv, sets):
    assert fuse(avsv, sets, *both_lists(sets), sets.folder / "q")[0] == 0
    swapped = {"order": ("face", "voice")}
    assert fuse(avsv, sets, *both_lists(sets, **swapped), sets.folder / "r")[0] == 0
    assert sets.scores("r") == pytest.approx(sets.scores("q"), abs=1e-4)
    assert fuse(avsv, sets, "--model", sets.folder / "q.json", sets.folder / "s", **swapped)[0] == 0
    assert sets.scores("s").tolist() == sets.scores("q").tolist()


def test_a_saved_model_gives_the_same_scores(avsv, sets):
    assert fuse(avsv, sets, *both_lists(sets), sets.folder / "q")[0] == 0
    assert fuse(avsv, sets, "--model", sets.folder / "q.json", sets.folder / "r")[0] == 0
    assert (sets.folder / "r").read_text() == (sets.folder / "q").read_text()
    assert read_fusion(sets.folder / "r.json") == read_fusion(sets.folder / "q.json")


def test_an_unchanged_fusion_is_kept_and_a_changed_table_or_list_remakes_it(avsv, sets):
    argv = [*both_lists(sets), sets.folder / "q"]
    assert fuse(avsv, sets, *argv)[0] == 0
    before = (sets.folder / "q").stat().st_mtime_ns
    assert fuse(avsv, sets, *argv)[0] == 0
    assert (sets.folder / "q").stat().st_mtime_ns == before
    with open(sets.folder / "noisy.voice.snr", "a") as table:
        table.write("nobody 1\n")
    assert fuse(avsv, sets, *argv)[0] == 0
    assert (sets.folder / "q").stat().st_mtime_ns > before
    roles = [one["role"] for one in json.loads(record_path(sets.folder / "q.json").read_text())["made_from"]]
    assert roles.count("train quality") == 4 and "scores" not in roles


@pytest.fixture
def lacking(sets):
    """Ten test trials lack a voice score, half of the noisy training recordings a face, and a recording its size."""
    trials = read_trials(sets.trials)
    scores = sets.scores("test.voice")
    write_scores(sets.folder / "test.voice", trials.take(np.arange(len(trials)) >= 10), scores[10:])
    write_system(sets.folder / "test.voice", ORIGINS["voice"])
    (sets.folder / "noisy.face.missing").write_text("".join(f"{utt}\n" for utt in names_of(sets, "train")[::2]))
    table = sets.folder / "test.face.size"
    table.write_text("".join(line for line in table.read_text().splitlines(True) if not line.startswith("test03-0 ")))
    return sets


def test_absent_scores_add_nothing_and_absent_values_are_the_training_median(avsv, lacking):
    status, output = fuse(avsv, lacking, *both_lists(lacking), lacking.folder / "q")
    assert status == 1
    status, output = fuse(avsv, lacking, "--missing", "rest", *both_lists(lacking), lacking.folder / "q")
    assert status == 0
    assert "10 trials by test.face alone" in output and "missing values: 1," in output
    fusion, trials = read_fusion(lacking.folder / "q.json"), read_trials(lacking.trials)
    scores = np.column_stack([np.full(len(trials), np.nan), lacking.scores("test.face")])[:10]
    table = dict(line.split() for line in (lacking.folder / "test.face.size").read_text().splitlines())
    median = fusion.systems[1].measures[0].median
    sides = [np.array([[np.log(float(table[utt])) if utt in table else median] for utt in ids])
             for ids in (trials.enroll_ids, trials.test_ids)]  # fmt: skip
    values = [RecordingValues(*sides), RecordingValues(*sides)]
    expected = fusion.apply(scores, trials.pairs[:10], values)
    assert lacking.scores("q")[:10] == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_a_recording_without_the_modality_needs_no_quality_value(avsv, sets):
    absent = {"test03-0", "test05-1"}
    (sets.folder / "test.face.missing").write_text("".join(f"{utt}\n" for utt in absent))
    table = sets.folder / "test.face.size"
    table.write_text("".join(line for line in table.read_text().splitlines(True) if line.split()[0] not in absent))
    status, output = fuse(avsv, sets, "--missing", "rest", *both_lists(sets), sets.folder / "q")
    assert status == 0 and "missing values" not in output


def test_of_several_penalties_one_is_chosen_over_people(avsv, sets):
    status, output = fuse(avsv, sets, *both_lists(sets), "--ridge", "0.001,0.01,100", sets.folder / "q")
    assert status == 0
    assert read_fusion(sets.folder / "q.json").ridge in (0.001, 0.01)
    assert len(re.findall("ridge 0.01:|ridge 100:", output)) == 2


def test_without_quality_tables_the_systems_need_no_tables(avsv, sets):
    drop = [o for o in files(sets, "test") if not str(o).endswith((".snr", ".size")) and o != "--quality"]
    train = [o for o in both_lists(sets) if not str(o).endswith((".snr", ".size")) and o != "--train-quality"]
    assert avsv("fuse", "--method", "quality", *drop, *train, sets.folder / "q")[0] == 0
    assert all(not system.measures for system in read_fusion(sets.folder / "q.json").systems)


def calibrate(avsv, world, *options):
    return avsv("calibrate", "--method", "quality", "--trials", world.trials, "--scores", world.folder / "test.face",
                "--quality", f"log:{world.folder}/test.face.size", *options)  # fmt: skip


def test_calibration_of_one_system_needs_no_names_and_takes_several_lists(avsv, sets):
    train = [option for name in ("clean", "noisy") for option in (
        "--train-trials", sets.train_trials, "--train-scores", sets.folder / f"{name}.face",
        "--train-quality", f"log:{sets.folder}/{name}.face.size")]  # fmt: skip
    assert calibrate(avsv, sets, *train, sets.folder / "c")[0] == 0
    (system,) = read_fusion(sets.folder / "c.json").systems
    assert len(read_fusion(sets.folder / "c.json").lists) == 2
    assert system.measures[0].scale_weights[0] > 0  # higher quality, larger scale
    assert calibrate(avsv, sets, "--model", sets.folder / "c.json", sets.folder / "d")[0] == 0
    assert (sets.folder / "d").read_text() == (sets.folder / "c").read_text()


WRONG = {
    "names are missing": lambda w: [
        *files(w, "test")[:3],
        f"{w.folder}/test.voice",
        f"{w.folder}/test.face",
        *files(w, "test")[5:],
    ],
    "two of one name": lambda w: [
        *files(w, "test")[:3],
        f"a={w.folder}/test.voice",
        f"a={w.folder}/test.face",
        *files(w, "test")[5:],
    ],
    "a table of no system": lambda w: [*files(w, "test")[:-1], f"{w.folder}/test.face.size"],
    "a table of another name": lambda w: [*files(w, "test")[:-1], f"lips={w.folder}/test.face.size"],
}


@pytest.mark.parametrize("given", WRONG.values(), ids=WRONG)
def test_names_that_do_not_fit_are_refused(avsv, sets, given):
    status, output = avsv("fuse", "--method", "quality", *given(sets), *both_lists(sets), sets.folder / "q")
    assert status == 1 and "NAME=" in output and not (sets.folder / "q").exists()


def test_lists_that_do_not_fit_are_refused(avsv, sets):
    clean = files(sets, "clean", "train-")
    extra = ["--train-trials", sets.train_trials]
    for options, named in (
        ([*clean, *extra], "--train-scores"),
        ([*clean, *extra, "--train-scores", *clean[3:5]], "--train-quality"),
        ([*clean[:-1]], "--train-quality"),
        ([*clean[:3], "a=x", "b=y", *clean[5:]], "a"),
        ([*clean, "--model", sets.folder / "q.json"], "--model"),
        (["--model", sets.folder / "q.json", "--ridge", "1"], "--ridge"),
    ):
        status, output = fuse(avsv, sets, *options, sets.folder / "q")
        assert status == 1 and named in output, options


@pytest.mark.parametrize("method", ["mean", "logistic"])
def test_a_penalty_belongs_to_the_method_quality(avsv, sets, method):
    argv = ["--trials", sets.trials, "--scores", sets.folder / "test.voice", sets.folder / "test.face"]
    status, output = avsv("fuse", "--method", method, *argv, "--ridge", "1", sets.folder / "q")
    assert status == 1 and "--ridge" in output


def test_several_lists_belong_to_the_method_quality(avsv, sets):
    argv = ["--trials", sets.trials, "--scores", sets.folder / "test.voice"]
    train = 2 * ["--train-trials", sets.train_trials, "--train-scores", sets.folder / "clean.voice"]
    status, output = avsv("fuse", *argv, *train, sets.folder / "q")
    assert status == 1 and "--method quality" in output


def test_scores_of_other_models_are_refused(avsv, sets):
    assert fuse(avsv, sets, *both_lists(sets), sets.folder / "q")[0] == 0
    write_system(sets.folder / "test.face", "face:3 plda")
    sets.forget_sources("q.json")
    for options in (["--model", sets.folder / "q.json"], both_lists(sets)):
        status, output = fuse(avsv, sets, *options, sets.folder / "r")
        assert status == 1 and "face:3 plda" in output and "face:2 plda" in output


def test_a_model_of_the_other_method_is_refused_in_one_line(avsv, sets):
    scores = ["--trials", sets.trials, "--scores", sets.folder / "test.voice", sets.folder / "test.face"]
    assert fuse(avsv, sets, *both_lists(sets), sets.folder / "q")[0] == 0
    assert avsv("fuse", *scores, sets.folder / "l")[0] == 0
    for status, output in (
        fuse(avsv, sets, "--model", sets.folder / "l.json", sets.folder / "r"),
        avsv("fuse", *scores, "--model", sets.folder / "q.json", sets.folder / "r"),
    ):
        assert status == 1 and len(output.splitlines()) == 1 and ".json" in output and "--method" in output


def test_training_on_the_trials_themselves_is_warned_of(avsv, sets, caplog):
    assert fuse(avsv, sets, sets.folder / "q")[0] == 0
    assert any("optimistic" in record.getMessage() for record in caplog.records if record.levelname == "WARNING")


def test_a_list_without_one_modality_may_have_an_empty_table_of_it(avsv, sets):
    for name, part in (("test", "test"), ("noisy", "train")):
        (sets.folder / f"{name}.face.missing").write_text("".join(f"{utt}\n" for utt in names_of(sets, part)))
        (sets.folder / f"{name}.face.size").write_text("")
    assert fuse(avsv, sets, "--missing", "rest", *both_lists(sets), sets.folder / "q")[0] == 0
    before = sets.scores("q")
    write_scores(sets.folder / "test.face", read_trials(sets.trials), np.zeros(len(before)))  # not used
    write_system(sets.folder / "test.face", ORIGINS["face"])
    assert fuse(avsv, sets, "--missing", "rest", "--model", sets.folder / "q.json", sets.folder / "r")[0] == 0
    assert np.array_equal(sets.scores("r"), before) and before.std() > 0
