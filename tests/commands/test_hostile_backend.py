"""The back-end's commands with one corrupt input file: finite results, or a message and exit status 1.

AVSV_FUZZ=N tries N contents per file instead of 4.
"""

import json
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from avsv.cli import main
from avsv.kaldi.embeddings import read_embeddings
from avsv.kaldi.origin import write_system
from avsv.kaldi.scores import write_scores
from avsv.kaldi.trials import read_trials

N_TRIED = int(os.environ.get("AVSV_FUZZ", "4"))
NUMBERS = st.sampled_from(
    ["1", "-0.5", "nan", "inf", "-inf", "1e308", "-1e308", "1e-320", "1e999", "x", "", "0x1", "1_0"]
)
WORDS = st.sampled_from(["test00-0", "test00-1", "test01-0", "train00-0", "target", "nontarget", "\ufeff", "a b", "é"])
LINES = st.lists(st.lists(NUMBERS | WORDS, max_size=4).map(" ".join), max_size=6).map("\n".join)
CONTENT = st.binary(max_size=60) | LINES.map(str.encode) | st.just(b"") | st.just(b"\0B") | st.just(b"[" * 100_000)


@pytest.fixture
def backend(world):
    """All valid input files of the commands below."""
    folder = world.folder
    for letter, trials in (("s", world.trials), ("t", world.train_trials)):
        listed = read_trials(trials)
        for number in "12":
            scores = listed.labels + np.random.default_rng(int(number)).standard_normal(len(listed))
            write_scores(folder / f"{letter}{number}", listed, scores)
    for part, scp in (("test", world.test), ("train", world.train)):
        names = read_embeddings(scp).ids
        (folder / f"{part}.quality").write_text(
            "".join(f"{name} {number % 7 + 1}\n" for number, name in enumerate(names))
        )
    (folder / "weights").write_text("".join(f"{name} 0.6 0.8\n" for name in read_embeddings(world.test).ids))
    call(world, "fuse")
    (folder / "out.json").rename(folder / "m.json")
    assert call(world, "plda", out="plda") == call(world, "lda", out="lda") == call(world, "score", out="cosine") == 0
    (folder / "folds").write_text("".join(f"{name} {name[5]}\n" for name in read_embeddings(world.test).ids))
    (folder / "published").write_text("list\tsystem\teer_percent\tsource\ntest.trials\tecapa\t0.98\tX, 2023\n")
    return world


def call(world, which, out="out"):
    """Run one of the commands on the files of `backend`; its exit status."""
    folder = world.folder
    trials, training = ["--trials", world.trials], ["--train-trials", world.train_trials]
    both = ["--scores", folder / "s1", folder / "s2"]
    quality = ["--quality", f"log:{folder}/test.quality", "--train-quality", f"log:{folder}/train.quality"]
    training_set = ["--embeddings", world.train, "--utt2spk", world.utt2spk]
    enroll = [*trials, "--enroll", world.test]
    projection = ["--center", folder / "lda" / "mean.vec", "--transform", folder / "lda" / "transform.mat"]
    argv = {
        "evaluate": ["evaluate", *trials, "--resamples", 0, "--by", folder / "test.quality", "--json"],
        "calibrate": ["calibrate", *trials, "--scores", folder / "s1", *training, "--train-scores", folder / "t1",
                      *quality],
        "fuse": ["fuse", *trials, *both, *training, "--train-scores", folder / "t1", folder / "t2",
                 "--missing", "rest"],
        "mean": ["fuse", "--method", "mean", *trials, *both],
        "model": ["fuse", "--model", folder / "m.json", *trials, *both],
        "score": ["score", *enroll],
        "weights": ["score", "--missing", "0", "--weights", folder / "weights", *enroll],
        "projection": ["score", *enroll, *projection],
        "plda score": ["score", *enroll, "--backend", "plda", "--plda", folder / "plda"],
        "normalize": ["normalize", "--method", "s-norm", *enroll, "--cohort", world.train,
                      "--scores", folder / "cosine"],
        "plda": ["plda", *training_set],
        "lda": ["lda", *training_set],
        "adapt plda": ["adapt", "--plda", folder / "plda", "--embeddings", world.test],
        "adapt": ["adapt", "--method", "coral", "--embeddings", world.test, "--source", world.train],
        "adapt folds": ["adapt", "--embeddings", world.test, "--folds", folder / "folds", "--apply", world.test,
                        folder / "adapted"],
        "compare": ["compare", *trials, "--resamples", 0, f"a={folder / 's1'}", "--published", folder / "published",
                    "--json"],
    }[which]  # fmt: skip
    argv += [folder / out, folder / "s1"] if which == "evaluate" else [folder / out]
    try:
        return main([str(word) for word in argv])
    except SystemExit as stop:
        return stop.code


FILES = [
    ("evaluate", "s1"), ("evaluate", "test.trials"), ("evaluate", "test.quality"), ("calibrate", "s1"),
    ("calibrate", "t1"), ("calibrate", "train.trials"), ("calibrate", "test.quality"), ("calibrate", "train.quality"),
    ("fuse", "s2"), ("fuse", "t2"), ("fuse", "s1.missing"), ("fuse", "s1.system"), ("mean", "s2"), ("model", "m.json"),
    ("score", "test.scp"), ("score", "test.ark"), ("weights", "weights"), ("projection", "lda/mean.vec"),
    ("projection", "lda/transform.mat"), ("projection", "lda/trained_on.json"), ("plda score", "plda/plda"),
    ("plda score", "plda/mean.vec"), ("plda score", "plda/trained_on.json"), ("normalize", "cosine"),
    ("normalize", "train.scp"), ("plda", "train.utt2spk"), ("plda", "train.ark"), ("lda", "train.utt2spk"),
    ("adapt plda", "plda/plda"), ("adapt", "test.ark"), ("adapt", "train.scp"),
    ("adapt folds", "folds"), ("compare", "published"), ("compare", "s1"),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("which, name", FILES)
def test_a_corrupt_file_gives_a_finite_result_or_a_message(backend, capfd, which, name):
    path = backend.folder / name
    before = path.read_bytes() if path.exists() else b""

    @settings(max_examples=N_TRIED, deadline=None, suppress_health_check=list(HealthCheck))
    @given(CONTENT | st.integers(0, len(before)).map(lambda cut: before[:cut]))
    def try_one(content):
        path.write_bytes(content)
        status = call(backend, which)
        assert status in (0, 1), content
        out = backend.folder / "out"
        if status == 0 and out.is_file() and which not in ("evaluate", "compare"):
            assert np.isfinite(backend.scores("out")).all()
        if status == 1:
            assert capfd.readouterr().err.startswith("avsv ")

    try_one()


@pytest.mark.parametrize("factor", [1e30, 1e160, 1e300])
@pytest.mark.parametrize("which", ["calibrate", "fuse", "mean"])
def test_scores_near_the_largest_float_give_finite_scores_or_none(backend, which, factor):
    for name in ("s1", "s2", "t1", "t2"):
        lines = [line.split() for line in (backend.folder / name).open()]
        text = "".join(f"{a} {b} {float(score) * factor:.17g}\n" for a, b, score in lines)
        (backend.folder / name).write_text(text)
    status = call(backend, which)
    assert status in (0, 1)
    if status == 0:
        assert np.isfinite(backend.scores("out")).all()
        if which != "mean":
            maps = json.loads((backend.folder / "out.json").read_text())["maps"]
            assert all(np.isfinite([*one["weights"], one["offset"]]).all() for one in maps)


@pytest.mark.parametrize("which", ["evaluate", "calibrate", "fuse", "mean", "score", "normalize", "plda", "lda"])
def test_an_empty_out_is_refused_and_nothing_is_written(backend, monkeypatch, which):
    monkeypatch.chdir(backend.folder)
    argv = {
        "evaluate": ["evaluate", "--trials", backend.trials, "--resamples", 0, "--json", "", "s1"],
        "calibrate": ["calibrate", "--trials", backend.trials, "--scores", "s1", ""],
        "fuse": ["fuse", "--trials", backend.trials, "--scores", "s1", "s2", ""],
        "mean": ["fuse", "--method", "mean", "--trials", backend.trials, "--scores", "s1", "s2", ""],
        "score": ["score", "--trials", backend.trials, "--enroll", backend.test, ""],
        "normalize": ["normalize", "--method", "s-norm", "--trials", backend.trials, "--scores", "cosine", "--enroll",
                      backend.test, "--cohort", backend.train, ""],
        "plda": ["plda", "--embeddings", backend.train, "--utt2spk", backend.utt2spk, ""],
        "lda": ["lda", "--embeddings", backend.train, "--utt2spk", backend.utt2spk, ""],
    }[which]  # fmt: skip
    before = sorted(path.name for path in backend.folder.rglob("*"))
    try:
        status = main([str(word) for word in argv])
    except SystemExit as stop:
        status = stop.code
    assert status in (1, 2)
    assert sorted(path.name for path in backend.folder.rglob("*")) == before


@pytest.mark.parametrize("verb", ["evaluate", "compare", "report", "calibrate", "fuse"])
@pytest.mark.parametrize("prior", ["0", "1", "-0.1", "2", "nan", "inf", "x", "1e-400"])
def test_a_prior_out_of_range_is_a_usage_error(backend, verb, prior):
    rest = {"evaluate": ["s1"], "compare": ["a=s1"], "report": ["exp", "out"], "calibrate": ["o"], "fuse": ["o"]}[verb]
    trials = ["--trials-dir" if verb == "report" else "--trials", "t"]
    scores = ["--scores", "s"] if verb in ("calibrate", "fuse") else []
    with pytest.raises(SystemExit) as stop:
        main([verb, *trials, *scores, f"--p-target={prior}", *rest])
    assert stop.value.code == 2


def test_the_record_of_a_replaced_file_is_not_used(backend):
    write_system(backend.folder / "s1", "voice:1 cosine")
    (backend.folder / "s1").write_text((backend.folder / "s1").read_text() + "\n")
    assert call(backend, "mean") in (0, 1)
