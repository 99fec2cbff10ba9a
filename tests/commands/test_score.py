"""avsv score."""

import numpy as np
import pytest

from avsv.kaldi.embeddings import read_embeddings, write_embeddings
from avsv.kaldi.matrices import write_array
from avsv.kaldi.trials import read_trials
from avsv.scoring.backend import make_backend


def score(avsv, world, *options, out="s"):
    return avsv("score", "--trials", world.trials, "--enroll", world.test, *options, world.folder / out)


def test_scores_are_cosines_in_the_order_of_the_trials(avsv, world):
    assert score(avsv, world) == (0, f"{world.folder}/s: {len(read_trials(world.trials))} cosine scores\n")
    table = dict(zip(*vars(read_embeddings(world.test)).values()))
    for trial, line in zip(world.trials.read_text().splitlines(), (world.folder / "s").read_text().splitlines()):
        enroll, test, _ = trial.split()
        assert line.split()[:2] == [enroll, test]
        a, b = table[enroll], table[test]
        assert float(line.split()[2]) == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=1e-6)


def test_test_side_may_have_its_own_embeddings(avsv, world):
    score(avsv, world)
    score(avsv, world, "--test", world.test, out="same")
    (world.folder / "copy.scp").write_text(world.test.read_text())
    score(avsv, world, "--test", world.folder / "copy.scp", out="two")
    assert (world.folder / "s").read_text() == (world.folder / "same").read_text() == (world.folder / "two").read_text()


def test_center_is_subtracted(avsv, world):
    vectors = read_embeddings(world.test).vectors
    write_array(world.folder / "mean.vec", vectors.mean(axis=0))
    assert score(avsv, world, "--center", world.folder / "mean.vec")[0] == 0
    trials, ids = read_trials(world.trials), read_embeddings(world.test).ids
    a, b = (vectors[ids.index(name)] - vectors.mean(axis=0) for name in trials[0])
    assert world.scores("s")[0] == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=1e-6)


def test_transform_is_applied_after_the_mean(avsv, world):
    vectors = read_embeddings(world.test).vectors
    transform = np.random.default_rng(0).standard_normal((5, 12)).astype("<f4")
    write_array(world.folder / "mean.vec", vectors.mean(axis=0))
    write_array(world.folder / "transform.mat", transform)
    options = ["--center", world.folder / "mean.vec", "--transform", world.folder / "transform.mat"]
    assert score(avsv, world, *options)[0] == 0
    trials, ids = read_trials(world.trials), read_embeddings(world.test).ids
    a, b = (transform @ (vectors[ids.index(name)] - vectors.mean(axis=0)) for name in trials[0])
    assert world.scores("s")[0] == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=1e-5)


@pytest.fixture
def models(world):
    """Trials of models with one to three recordings of the test people against the others."""
    recordings = {f"model{p}": [f"test0{p}-{clip}" for clip in range(1 + p % 3)] for p in range(8)}
    (world.folder / "spk2utt").write_text("".join(f"{name} {' '.join(own)}\n" for name, own in recordings.items()))
    pairs = [(name, f"test0{p}-4") for name in recordings for p in range(8)]
    world.trials.write_text("".join(f"{name} {test}\n" for name, test in pairs))
    return world, recordings, pairs


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def test_models_are_scored_by_average_embedding_or_average_score(avsv, models):
    world, recordings, pairs = models
    table = dict(zip(*vars(read_embeddings(world.test)).values()))
    options = ["--enroll-spk2utt", world.folder / "spk2utt", "--enroll-method"]
    expected = {
        "embedding-average": [cosine(sum(table[own] for own in recordings[m]), table[test]) for m, test in pairs],
        "score-average": [np.mean([cosine(table[own], table[test]) for own in recordings[m]]) for m, test in pairs],
    }
    for method, scores in expected.items():
        assert score(avsv, world, *options, method, out=method)[0] == 0
        assert world.scores(method) == pytest.approx(scores, abs=1e-5)
    assert score(avsv, world, *options[:2])[0] == 0
    assert world.scores("s").tolist() == world.scores("embedding-average").tolist()


def test_models_are_averaged_by_quality(avsv, models):
    world, recordings, pairs = models
    table = dict(zip(*vars(read_embeddings(world.test)).values()))
    quality = {own: 0.1 + 0.2 * n for n, own in enumerate(own for m in recordings.values() for own in m)}
    (world.folder / "quality").write_text("".join(f"{own} {q}\n" for own, q in quality.items()))
    options = ["--enroll-spk2utt", world.folder / "spk2utt"]
    status, output = score(avsv, world, *options, "--enroll-quality", world.folder / "quality")
    assert status == 0, output
    expected = [cosine(sum(quality[own] * table[own] for own in recordings[m]), table[test]) for m, test in pairs]
    assert world.scores("s") == pytest.approx(expected, abs=1e-5)
    assert score(avsv, world, *options, out="plain")[0] == 0
    assert np.abs(world.scores("s") - world.scores("plain")).max() > 1e-3


def test_quality_needs_models_whose_recordings_are_averaged(avsv, models):
    world, _, _ = models
    (world.folder / "quality").write_text("test00-0 1\n")
    for options in ([], ["--enroll-spk2utt", world.folder / "spk2utt", "--enroll-method", "by-the-book"]):
        status, output = score(avsv, world, *options, "--enroll-quality", world.folder / "quality")
        assert status == 1 and "--enroll-quality" in output
    status, output = score(avsv, world, "--enroll-spk2utt", world.folder / "spk2utt",
                           "--enroll-quality", world.folder / "quality")  # fmt: skip
    assert status == 1 and f"{world.folder}/quality" in output and "test01-0" in output


def test_models_are_scored_by_the_book(avsv, models):
    from avsv.scoring.plda import plda_llr
    from avsv.scoring.plda_files import read_plda

    world, recordings, pairs = models
    avsv("plda", "--embeddings", world.train, "--utt2spk", world.utt2spk, world.folder / "plda")
    options = ["--enroll-spk2utt", world.folder / "spk2utt", "--enroll-method", "by-the-book"]
    assert score(avsv, world, *options, "--backend", "plda", "--plda", world.folder / "plda")[0] == 0
    plda, embeddings = read_plda(world.folder / "plda"), read_embeddings(world.test)
    projected = dict(zip(embeddings.ids, plda.project(embeddings.vectors).astype(float)))
    expected = []
    for name, test in pairs:
        own = np.array([projected[recording] for recording in recordings[name]])
        ratio = plda_llr(own.mean(axis=0)[None], projected[test][None], plda.gaussians.psi, len(own))
        expected.append(ratio.item())
    assert world.scores("s") == pytest.approx(expected, rel=1e-4, abs=1e-3)

    status, output = score(avsv, world, *options)
    assert status == 1
    assert "by-the-book" in output and "plda" in output


def test_model_whose_average_is_zero_is_named(avsv, world):
    from avsv.kaldi.embeddings import write_embeddings

    write_embeddings(
        world.folder / "o.ark", world.folder / "o.scp", ["a", "b", "c"], np.array([[1, 2], [-1, -2], [1, 1]])
    )
    (world.folder / "spk2utt").write_text("m a b\n")
    world.trials.write_text("m c\n")
    status, output = score(
        avsv, world, "--enroll", world.folder / "o.scp", "--enroll-spk2utt", world.folder / "spk2utt"
    )
    assert status == 1
    assert "m: " in output


def test_incomplete_models_are_counted(avsv, models):
    world, _, pairs = models
    world.leave_out("test00-0", "test02-1")  # all of model0's, one of model2's three
    options = ["--enroll-spk2utt", world.folder / "spk2utt"]
    status, output = score(avsv, world, *options)
    assert status == 1
    assert "test00-0, test02-1" in output and "1 models" in output and "8 of 64 trials" in output
    status, output = score(avsv, world, *options, "--missing", "drop")
    assert status == 0
    assert "1 models" in output and "8 of 64 trials" in output
    assert (world.folder / "s.missing").read_text() == "model0\ntest00-0\ntest02-1\n"
    assert [line.split()[0] for line in (world.folder / "s").open()] == [name for name, _ in pairs if name != "model0"]


def test_missing_embeddings_are_named_and_nothing_is_written(avsv, world):
    world.leave_out("test03-0", "test05-0")
    status, output = score(avsv, world)
    assert status == 1
    assert f"{world.test}: 2 recordings" in output and "test03-0, test05-0" in output
    assert not (world.folder / "s").exists()


def test_missing_number_is_the_score_and_is_counted(avsv, world):
    score(avsv, world, out="all")
    world.leave_out("test03-0")
    status, output = score(avsv, world, "--missing", "-1")
    lacking = np.array(["test03-0" in line for line in world.trials.read_text().splitlines()])
    assert status == 0
    assert f"{lacking.sum()} of {len(lacking)} trials" in output
    assert np.array_equal(world.scores("s"), np.where(lacking, -1, world.scores("all")))
    assert (world.folder / "s.missing").read_text() == "test03-0\n"


def test_missing_drop_leaves_trials_out(avsv, world):
    score(avsv, world, out="all")
    world.leave_out("test03-0")
    status, _ = score(avsv, world, "--missing", "drop")
    kept = [line for line in (world.folder / "all").read_text().splitlines() if "test03-0" not in line]
    assert status == 0
    assert (world.folder / "s").read_text().splitlines() == kept


def test_the_list_of_missing_recordings_of_an_earlier_run_is_removed(avsv, world):
    (world.folder / "s.missing").write_text("old\n")
    score(avsv, world)
    assert not (world.folder / "s.missing").exists()


def test_without_any_embedding_drop_is_an_error_and_a_number_a_score(avsv, world):
    world.test.write_text("")
    status, output = score(avsv, world, "--missing", "drop")
    assert status == 1
    assert f"{world.test}: " in output
    assert score(avsv, world, "--missing", "0")[0] == 0
    assert set(world.scores("s")) == {0}


def test_zero_embedding_is_named(avsv, world):
    data = bytearray((world.folder / "test.ark").read_bytes())
    data[len("test00-0 ") + 10 : len("test00-0 ") + 10 + 48] = bytes(48)
    (world.folder / "test.ark").write_bytes(data)
    status, output = score(avsv, world)
    assert status == 1
    assert "test00-0: " in output


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--missing", "maybe"], 2, '"maybe"'),
        (["--missing", "nan"], 2, '"nan"'),
        (["--backend", "plda"], 1, "avsv plda"),
        (["--backend", "plda", "--plda", "nowhere"], 1, "nowhere: "),
        (["--center", "nowhere"], 1, "nowhere: "),
        (["--transform", "nowhere"], 1, "transform needs center"),
        (["--backend", "plda", "--plda", "d", "--transform", "t"], 1, "transform"),
        (["--enroll-method", "score-average"], 1, "--enroll-spk2utt"),
        (["--enroll-spk2utt", "nowhere"], 1, "nowhere: "),
        (["--test", "nowhere"], 1, "nowhere: "),
    ],
)
def test_wrong_options_are_refused(avsv, world, options, status, message):
    actual, output = score(avsv, world, *options)
    assert actual == status
    assert message in output


def test_sides_of_different_sizes_are_refused(avsv, world):
    from avsv.kaldi.embeddings import write_embeddings

    names = read_embeddings(world.test).ids
    write_embeddings(world.folder / "o.ark", world.folder / "o.scp", names, np.ones((len(names), 3)))
    status, output = score(avsv, world, "--test", world.folder / "o.scp")
    assert status == 1
    assert str(world.test) in output and "o.scp" in output and "12" in output


def test_published_voice_embeddings_give_the_published_error_rates(avsv, real_data, tmp_path):
    """minivox's README: cosine of SpeechBrain's ECAPA embeddings, three lists in VoxCeleb's form."""
    import json

    from avsv.kaldi.embeddings import write_embeddings

    archive = np.load(real_data / "minivox" / "ecapa_embeddings.npz")
    names = [str(name).removeprefix("vox1/").replace("/", "-") for name in archive["utterances"]]
    write_embeddings(tmp_path / "e.ark", tmp_path / "e.scp", names, archive["ecapa"])
    for name, expected in (("veri_test2", 5.63), ("list_test_all2", 5.73), ("list_test_hard2", 7.19)):
        trials = real_data / "minivox" / "vox1" / f"{name}.txt"
        assert avsv("score", "--trials", trials, "--enroll", tmp_path / "e.scp", tmp_path / "s")[0] == 0
        assert avsv("evaluate", "--trials", trials, "--json", tmp_path / "j", tmp_path / "s")[0] == 0
        (measures,) = json.loads((tmp_path / "j").read_text()).values()
        assert measures["eer_percent"] == pytest.approx(expected, abs=0.006)
        assert measures["eer_ci95"][0] < expected < measures["eer_ci95"][1]


def shared(world, names, weights):
    (world.folder / "weights").write_text("".join(f"{name} {w}\n" for name, w in zip(names, weights)))
    return "score", "--weights", world.folder / "weights", "--trials", world.trials, "--enroll", world.test


def test_clips_are_compared_on_the_modalities_that_both_have(avsv, world):
    names = [line.split()[0] for line in world.test.read_text().splitlines()]
    avsv("score", "--trials", world.trials, "--enroll", world.test, world.folder / "plain")
    command = shared(world, names, ["0.6 0.8", *["1 0"] * (len(names) - 1)])
    status, output = avsv(*command, world.folder / "shared")
    assert status == 0, output
    pairs = [line.split()[:2] for line in world.trials.read_text().splitlines()]
    factor = [0.6 if (names[0] in pair) and pair[0] != pair[1] else 1.0 for pair in pairs]
    assert np.allclose(world.scores("shared"), world.scores("plain") / factor, rtol=1e-4)


def test_a_voice_against_a_face_is_an_error_unless_missing_allows_it(avsv, world):
    names = [line.split()[0] for line in world.test.read_text().splitlines()]
    command = shared(world, names, ["0 1", *["1 0"] * (len(names) - 1)])
    status, output = avsv(*command, world.folder / "shared")
    assert status == 1 and names[0] in output
    status, output = avsv(*command, "--missing", 0, world.folder / "shared")
    assert status == 0, output
    listed = (world.folder / "shared.missing").read_text().splitlines()
    pairs = [line.split()[:2] for line in world.trials.read_text().splitlines()]
    disjoint = [" ".join(pair) for pair in pairs if (names[0] in pair) and pair[0] != pair[1]]
    assert listed == disjoint and disjoint
    zero = [score == 0 for score in world.scores("shared")]
    assert zero == [" ".join(pair) in disjoint for pair in pairs]
    # calibration gives these trials a log-likelihood ratio of 0
    scores = ["--scores", world.folder / "shared", world.folder / "calibrated"]
    status, _ = avsv("calibrate", "--missing", "rest", "--trials", world.trials, *scores)
    assert status == 0 and [score == 0 for score in world.scores("calibrated")] == zero


def test_weights_need_plain_cosines(avsv, world):
    names = [line.split()[0] for line in world.test.read_text().splitlines()]
    write_array(world.folder / "mean.vec", read_embeddings(world.test).vectors.mean(axis=0))
    command = shared(world, names, ["1 1"] * len(names))
    status, output = avsv(*command, "--center", world.folder / "mean.vec", world.folder / "out")
    assert status == 1 and "--weights" in output


def test_scores_that_are_not_finite_are_never_written(avsv, world):
    """Embeddings near the largest float: PLDA squares them."""
    train = ["--embeddings", world.train, "--utt2spk", world.utt2spk, world.folder / "plda"]
    assert avsv("plda", *train)[0] == 0
    embeddings = read_embeddings(world.test)
    write_embeddings(world.folder / "big.ark", world.folder / "big.scp", embeddings.ids, embeddings.vectors * 1e30)
    options = ["--backend", "plda", "--plda", world.folder / "plda", "--vector-length", "as-is"]
    status, output = avsv(
        "score", "--trials", world.trials, "--enroll", world.folder / "big.scp", *options, world.folder / "o"
    )
    assert status == 1 and "test0" in output
    assert not (world.folder / "o").exists()
    for number in ("inf", "nan", "1e999"):
        assert score(avsv, world, "--missing", number)[0] == 2


@pytest.mark.parametrize("options", [["--normalize-length", "true"], ["--vector-length", "one"],
                                     ["--simple-length-norm", "true"], ["--backend", "plda", "--plda", "PLDA",
                                      "--simple-length-norm", "true"]])  # fmt: skip
def test_kaldis_options_without_effect_are_refused(avsv, world, options):
    avsv("plda", "--embeddings", world.train, "--utt2spk", world.utt2spk, world.folder / "PLDA")
    options = [world.folder / option if option == "PLDA" else option for option in options]
    status, output = score(avsv, world, *options)
    assert status == 1 and options[-2] in output


def test_kaldis_defaults_are_available_as_options(avsv, world):
    avsv("plda", "--embeddings", world.train, "--utt2spk", world.utt2spk, world.folder / "plda")
    common = ["--backend", "plda", "--plda"]
    scores = {}
    for name, options in {"none": [], "model": ["--normalize-length=true"],
                          "simple": ["--normalize-length=true", "--simple-length-norm=true"]}.items():  # fmt: skip
        assert score(avsv, world, *common, world.folder / "plda", *options, out=name)[0] == 0
        left, right = make_backend("plda", world.folder / "plda", normalization=name)(read_embeddings(world.test))
        trials = read_trials(world.trials)
        row = {utt: number for number, utt in enumerate(read_embeddings(world.test).ids)}
        expected = [left[row[a]] @ right[row[b]] for a, b in (trials[number] for number in range(len(trials)))]
        scores[name] = world.scores(name)
        assert scores[name] == pytest.approx(expected, rel=1e-4, abs=1e-4)
    assert np.abs(scores["none"] - scores["model"]).max() > 0.1 < np.abs(scores["simple"] - scores["model"]).max()
