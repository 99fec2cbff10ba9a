"""Embeddings, back-ends and scores of another model are refused if models are recorded; unknown models are logged."""

import json

import numpy as np
import pytest

from avsv.kaldi.embeddings import read_embeddings, write_embeddings
from avsv.kaldi.origin import read_system
from avsv.kaldi.shards import make_archives


def known(folder, scp, model):
    """The same embeddings with the record that embed-voice writes beside them."""
    embeddings = read_embeddings(scp)
    out = folder / scp.stem / "embedding.scp"
    make_archives(out.parent, ["embedding"], dict.fromkeys(embeddings.ids, ""), {"model": model},
                  lambda names, writer: [writer.write("embedding", *pair) for pair in zip(*vars(embeddings).values())],
                  model=model)  # fmt: skip
    return out


@pytest.fixture
def models(world):
    """Test and training embeddings of model 1, and embeddings of the same clips by model 2, of the same size."""
    turned, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((12, 12)))
    for scp in (world.test, world.train):
        embeddings = read_embeddings(scp)
        other = scp.with_name(f"{scp.stem}2.scp")
        write_embeddings(
            other.with_suffix(".ark"), other, embeddings.ids, embeddings.vectors @ (0.7 * np.eye(12) + 0.3 * turned)
        )
    paths = {name: world.folder / f"{name}.scp" for name in ("test", "train", "test2", "train2")}
    return (
        world,
        {name: known(world.folder, path, f"voice:{2 if '2' in name else 1}") for name, path in paths.items()},
        paths,
    )


@pytest.mark.parametrize(
    "other", ["test", "plda", "center", "transform", "weights", "cohort", "normalize plda", "scores"]
)
def test_results_of_another_model_are_refused_by_every_command(avsv, models, other):
    world, scp, _ = models
    for name in ("train", "train2"):
        training = ["--embeddings", scp[name], "--utt2spk", world.utt2spk]
        assert avsv("plda", *training, world.folder / f"plda-{name}")[0] == 0
        assert avsv("lda", *training, world.folder / f"lda-{name}")[0] == 0
    for name in ("test", "test2"):
        (scp[name].parent / "weights").write_text("".join(f"{utt} 0.6 0.8\n" for utt in read_embeddings(scp[name]).ids))
    common = ["--trials", world.trials, "--enroll", scp["test"]]
    assert avsv("score", *common, world.folder / "s")[0] == 0
    assert (world.folder / "s.system").exists()
    norm = ["normalize", "--method", "s-norm", *common, "--scores", world.folder / "s"]

    def call(number):
        train, test = ("train2", "test2") if number == 2 else ("train", "test")
        plda = ["--backend", "plda", "--plda", world.folder / f"plda-{train}"]
        center = ["--center", world.folder / f"lda-{train}" / "mean.vec"]
        return avsv(*{
            "test": ["score", *common, "--test", scp[test]],
            "plda": ["score", *common, *plda],
            "center": ["score", *common, *center],
            "transform": ["score", *common, "--center", world.folder / "lda-train" / "mean.vec",
                          "--transform", world.folder / f"lda-{train}" / "transform.mat"],
            "weights": ["score", "--weights", scp[test].parent / "weights", *common],
            "cohort": [*norm, "--cohort", scp[train]],
            "scores": ["normalize", "--method", "s-norm", "--trials", world.trials, "--enroll", scp[test],
                       "--cohort", scp[train], "--scores", world.folder / "s"],
            "normalize plda": [*norm, "--cohort", scp["train"], *plda],
        }[other], world.folder / "out")  # fmt: skip

    if other != "normalize plda":
        assert call(1)[0] == 0
        (world.folder / "out").unlink()
    status, output = call(2)
    assert status == 1 and "voice:1" in output and "voice:2" in output
    assert not (world.folder / "out").exists()


def test_unknown_models_are_logged(avsv, models):
    world, scp, unknown = models
    status, output = avsv(
        "score", "--trials", world.trials, "--enroll", scp["test"], "--test", unknown["test2"], world.folder / "o"
    )
    assert status == 0 and str(unknown["test2"]) in output and "recorded" in output
    assert not (world.folder / "o.system").exists()


def test_raw_scores_of_other_embeddings_are_detected_without_records(avsv, models):
    world, _, unknown = models
    common = ["--trials", world.trials, "--method", "as-norm", "--top-n", "20"]
    for name in ("test", "test2"):
        assert avsv("score", "--trials", world.trials, "--enroll", unknown[name], world.folder / f"s-{name}")[0] == 0
        rounded = [
            f"{a} {b} {float(score):.3f}\n" for a, b, score in map(str.split, (world.folder / f"s-{name}").open())
        ]
        (world.folder / f"s-{name}-rounded").write_text("".join(rounded))

    def sides(scores, embeddings, cohort):
        return ["--enroll", unknown[embeddings], "--cohort", unknown[cohort], "--scores", world.folder / f"s-{scores}"]

    for scores, embeddings, cohort in (("test", "test", "train"), ("test2-rounded", "test2", "train2")):
        options = sides(scores, embeddings, cohort)
        assert avsv("normalize", *common, *options, world.folder / "n")[0] == 0
    for scores, embeddings, cohort in (("test", "test2", "train2"), ("test2-rounded", "test", "train")):
        options = sides(scores, embeddings, cohort)
        status, output = avsv("normalize", *common, *options, world.folder / "m")
        assert status == 1 and str(world.folder / f"s-{scores}") in output and "test0" in output
        assert not (world.folder / "m").exists()


def test_embeddings_of_an_earlier_version_are_refused_in_one_line(avsv, models):
    world, scp, _ = models
    proof = scp["test"].parent / "done.json"
    content = json.loads(proof.read_text())
    del content["format"]
    proof.write_text(json.dumps(content))
    status, output = avsv("score", "--trials", world.trials, "--enroll", scp["test"], world.folder / "s")
    assert status == 1 and str(proof.parent) in output and len(output.splitlines()) == 1
    assert not (world.folder / "s").exists()


def test_as_norms_with_other_cohort_members_are_different_systems(avsv, models):
    world, scp, _ = models
    raw, out = world.folder / "raw", world.folder / "normalized"
    common = ["--trials", world.trials, "--enroll", scp["test"]]
    assert avsv("score", *common, raw)[0] == 0

    def system(*options):
        more = ["--method", "as-norm", "--scores", raw, "--cohort", scp["train"], *options]
        assert avsv("normalize", *common, *more, out)[0] == 0
        return read_system(out)

    systems = [system(), system("--top-n", "20"), system("--top-share", "0.2"), system("--cohort-choice", "other")]
    assert None not in systems and len(set(systems)) == 4
    assert system("--top-n", "300") == systems[0]
