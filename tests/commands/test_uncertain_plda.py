"""avsv uncertain-plda."""

import json

import numpy as np
import pytest

from avsv.jobs.records import record_path
from avsv.kaldi.embeddings import read_embeddings, write_embeddings
from avsv.kaldi.trials import read_trials
from avsv.scoring.plda_files import read_plda
from avsv.scoring.uncertain_plda import uncertain_llr


@pytest.fixture
def sets(avsv, world):
    """A PLDA back-end, and embeddings of the test and training people with noise of known strength, SET.noise."""
    plda = ["--embeddings", world.train, "--utt2spk", world.utt2spk, world.folder / "plda"]
    assert avsv("plda", *plda)[0] == 0
    rng = np.random.default_rng(1)
    for name, scp in (("test", world.test), ("clean", world.train), ("noisy", world.train)):
        embeddings = read_embeddings(scp)
        noise = rng.uniform(0.1, 0.5 if name == "clean" else 3, len(embeddings)).round(6)
        vectors = embeddings.vectors + noise[:, None] * rng.standard_normal(embeddings.vectors.shape)
        write_embeddings(world.folder / f"{name}_.ark", world.folder / f"{name}_.scp", embeddings.ids, vectors)
        lines = [f"{utt} {value}\n" for utt, value in zip(embeddings.ids, noise, strict=True)]
        (world.folder / f"{name}.noise").write_text("".join(lines))
    return world


def training(world, name):
    embeddings, quality = world.folder / f"{name}_.scp", f"log:{world.folder}/{name}.noise"
    return ["--train-trials", world.train_trials, "--train-embeddings", embeddings, "--train-quality", quality]


def score(avsv, world, *options):
    return avsv("uncertain-plda", "--plda", world.folder / "plda", "--trials", world.trials, "--embeddings",
                world.folder / "test_.scp", "--quality", f"log:{world.folder}/test.noise", *options)  # fmt: skip


def both_lists(world):
    return [*training(world, "clean"), *training(world, "noisy")]


def measures(avsv, world, name):
    assert avsv("evaluate", "--trials", world.trials, "--json", world.folder / "j", world.folder / name)[0] == 0
    return next(iter(json.loads((world.folder / "j").read_text()).values()))


def test_it_is_better_than_plda_that_does_not_know_the_noise(avsv, sets):
    assert score(avsv, sets, *both_lists(sets), "--p-target", "0.1", sets.folder / "u")[0] == 0
    plda = ["--backend", "plda", "--plda", sets.folder / "plda", "--trials", sets.trials]
    assert avsv("score", *plda, "--enroll", sets.folder / "test_.scp", sets.folder / "p")[0] == 0
    found, plain = measures(avsv, sets, "u"), measures(avsv, sets, "p")
    assert found["cllr"] < plain["cllr"] and found["eer_percent"] <= plain["eer_percent"] + 1


def test_the_ratios_are_those_of_the_models_numbers(avsv, sets):
    assert score(avsv, sets, *both_lists(sets), sets.folder / "u")[0] == 0
    model = json.loads((sets.folder / "u.json").read_text())
    (measure,) = model["measures"]
    assert measure["weight"] > 0 and measure["table"].endswith("clean.noise")
    labels = read_trials(sets.train_trials).labels
    assert [(one["targets"], one["nontargets"]) for one in model["lists"]] == 2 * [(labels.sum(), (~labels).sum())]
    plda, embeddings = read_plda(sets.folder / "plda"), read_embeddings(sets.folder / "test_.scp")
    trials = read_trials(sets.trials)
    x = dict(zip(embeddings.ids, plda.project(embeddings.vectors), strict=True))
    variance = {}
    for utt, value in (line.split() for line in (sets.folder / "test.noise").read_text().splitlines()):
        standard = 2 * np.tanh((np.log(float(value)) - measure["mean"]) / measure["deviation"] / 2)
        variance[utt] = 1 + np.exp(model["base"] + measure["weight"] * standard)
    sides = list(zip(*(trials[number] for number in range(len(trials))), strict=True))
    vectors = [np.array([x[utt] for utt in side]) for side in sides]
    variances = [np.array([variance[utt] for utt in side]) for side in sides]
    ratios = uncertain_llr(*vectors, *variances, np.exp(model["log_between"]) * plda.gaussians.psi)
    assert sets.scores("u") == pytest.approx(np.exp(model["log_scale"]) * ratios, rel=1e-4, abs=1e-4)


def test_a_saved_model_gives_the_same_scores_and_unchanged_ones_are_kept(avsv, sets):
    assert score(avsv, sets, *both_lists(sets), sets.folder / "u")[0] == 0
    before = (sets.folder / "u").stat().st_mtime_ns
    assert score(avsv, sets, *both_lists(sets), sets.folder / "u")[0] == 0
    assert (sets.folder / "u").stat().st_mtime_ns == before
    assert score(avsv, sets, "--model", sets.folder / "u.json", sets.folder / "v")[0] == 0
    assert (sets.folder / "v").read_text() == (sets.folder / "u").read_text()
    roles = [one["role"] for one in json.loads(record_path(sets.folder / "u.json").read_text())["made_from"]]
    assert roles.count("train quality") == 2 and "quality" not in roles


def test_missing_embeddings_are_treated_as_the_option_says(avsv, sets):
    lines = (sets.folder / "test_.scp").read_text().splitlines(True)
    (sets.folder / "test_.scp").write_text("".join(line for line in lines if not line.startswith("test03-0 ")))
    status, output = score(avsv, sets, *both_lists(sets), sets.folder / "u")
    assert status == 1 and "test03-0" in output
    assert score(avsv, sets, *both_lists(sets), "--missing", "0", sets.folder / "u")[0] == 0
    trials = read_trials(sets.trials)
    absent = np.array(["test03-0" in trials[number] for number in range(len(trials))])
    assert np.array_equal(sets.scores("u") == 0, absent)
    assert (sets.folder / "u.missing").read_text() == "test03-0\n"
    assert score(avsv, sets, *both_lists(sets), "--missing", "drop", sets.folder / "d")[0] == 0
    assert len(sets.scores("d")) == (~absent).sum()


@pytest.mark.parametrize(
    ("remove", "add", "named"),
    [(["--train-trials"], [], "--train-embeddings"), (["--train-quality"], [], "quality"),
     ([], ["--model", "m.json"], "--model"), (["--quality"], [], "quality")],
)  # fmt: skip
def test_options_that_do_not_fit_are_refused(avsv, sets, remove, add, named):
    pairs = {"--plda": [sets.folder / "plda"], "--trials": [sets.trials], "--embeddings": [sets.folder / "test_.scp"],
             "--quality": [f"log:{sets.folder}/test.noise"]}  # fmt: skip
    options = training(sets, "clean")
    pairs |= {option: [value] for option, value in zip(options[::2], options[1::2], strict=True)}
    argv = [text for option, values in pairs.items() if option not in remove for text in (option, *values)]
    status, output = avsv("uncertain-plda", *argv, *add, "--missing", "error", sets.folder / "u")
    assert status == 1 and named in output and not (sets.folder / "u").exists()


def test_a_recording_without_a_quality_value_is_named(avsv, sets):
    table = sets.folder / "test.noise"
    table.write_text("".join(line for line in table.read_text().splitlines(True) if not line.startswith("test03-0 ")))
    status, output = score(avsv, sets, *both_lists(sets), sets.folder / "u")
    assert status == 1 and "test03-0" in output and "test.noise" in output


@pytest.mark.parametrize(
    "change",
    [{"model": "other"}, {"plda": "other"}, {"base": 1e6}, {"base": "x"}, {"lists": None},
     {"target_prior": 2.0}, {"measures": []}],
)  # fmt: skip
def test_another_or_damaged_model_is_refused(avsv, sets, change):
    assert score(avsv, sets, *both_lists(sets), sets.folder / "u")[0] == 0
    model = json.loads((sets.folder / "u.json").read_text())
    (sets.folder / "w.json").write_text(json.dumps(model | change))
    status, output = score(avsv, sets, "--model", sets.folder / "w.json", sets.folder / "v")
    assert status == 1 and not (sets.folder / "v").exists()
    assert "w.json" in output or "quality tables" in output
