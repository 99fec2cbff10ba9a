"""avsv adapt: maps, adapted embeddings and their names, folds, and adapted PLDA."""

import json

import numpy as np
import pytest

from avsv.jobs.explain import explain
from avsv.kaldi.embeddings import read_embeddings, write_embeddings
from avsv.kaldi.origin import embeddings_model, read_system
from avsv.kaldi.tables import read_table
from avsv.scoring.adaptation import adapt_plda
from avsv.scoring.domain import read_adaptation
from avsv.scoring.domain_similarity import similarity
from avsv.scoring.plda_files import read_plda


@pytest.fixture
def named(world):
    """The embeddings of `world` in folders of their own, with the name of their model: test and train."""
    scps = {}
    for name, scp in (("test", world.test), ("train", world.train)):
        embeddings, folder = read_embeddings(scp), world.folder / "voice" / name
        folder.mkdir(parents=True)
        scps[name] = folder / "embedding.scp"
        write_embeddings(folder / "embedding.ark", scps[name], embeddings.ids, embeddings.vectors + 3, "voice:1")
    return scps


def apply(scp, out_dir):
    return ["--apply", scp, out_dir]


def test_the_map_and_the_adapted_embeddings_are_written(avsv, world, named):
    out = world.folder / "adapted"
    status, output = avsv("adapt", "--embeddings", named["test"], *apply(named["test"], out / "test"), out / "target")
    assert status == 0 and "40 embeddings" in output
    raw, adapted = (read_embeddings(scp) for scp in (named["test"], out / "test" / "embedding.scp"))
    assert sorted(adapted.ids) == sorted(raw.ids)
    rows = [raw.ids.index(name) for name in adapted.ids]
    assert adapted.vectors == pytest.approx(raw.vectors[rows] - raw.vectors.mean(axis=0), abs=1e-5)
    assert embeddings_model(out / "test" / "embedding.scp") == "voice:1+centered"
    assert read_adaptation(out / "target").apply(raw.vectors)[rows] == pytest.approx(adapted.vectors, abs=1e-5)


def test_raw_and_adapted_embeddings_are_not_scored_together_or_by_each_others_back_end(avsv, world, named):
    out = world.folder / "adapted"
    avsv("adapt", "--embeddings", named["test"], *apply(named["test"], out / "test"), out / "target")
    raw, adapted, scores = named["test"], out / "test" / "embedding.scp", world.folder / "scores"
    common = ["--trials", world.trials, "--enroll", adapted]
    status, output = avsv("score", *common, "--test", raw, scores)
    assert status == 1 and "voice:1+centered" in output and not scores.exists()
    avsv("plda", "--embeddings", named["train"], "--utt2spk", world.utt2spk, world.folder / "plda")
    assert avsv("score", *common, "--backend", "plda", "--plda", world.folder / "plda", scores)[0] == 1
    assert avsv("score", *common, "--center", out / "target" / "mean.vec", scores)[0] == 1
    assert avsv("score", *common, scores)[0] == 0
    assert read_system(scores) == "voice:1+centered cosine"
    status, output = avsv("adapt", "--embeddings", named["test"], *apply(adapted, out / "twice"), out / "target")
    assert status == 1 and "voice:1+centered" in output and not (out / "twice").exists()


def test_adapted_training_data_train_a_back_end_for_adapted_test_data(avsv, world, named):
    out = world.folder / "adapted"
    for name in named:
        assert avsv("adapt", "--embeddings", named[name], *apply(named[name], out / name), out / f"{name}-map")[0] == 0
    train, test = (out / name / "embedding.scp" for name in ("train", "test"))
    assert avsv("plda", "--embeddings", train, "--utt2spk", world.utt2spk, world.folder / "plda")[0] == 0
    plda = ["--backend", "plda", "--plda", world.folder / "plda"]
    assert avsv("score", *plda, "--trials", world.trials, "--enroll", test, world.folder / "scores")[0] == 0
    assert avsv("adapt", "--plda", world.folder / "plda", "--embeddings", test, world.folder / "plda2")[0] == 0
    status, _ = avsv("adapt", "--plda", world.folder / "plda", "--embeddings", named["test"], world.folder / "plda3")
    assert status == 1


def test_quality_tables_go_with_the_embeddings(avsv, world, named):
    snr, out = named["test"].parent / "utt2snr", world.folder / "adapted"
    snr.write_text("test00-0 12\n")
    snr.with_name("utt2magnitude").write_text("test00-0 9\n")
    command = ["adapt", "--embeddings", named["test"], *apply(named["test"], out), world.folder / "map"]
    assert avsv(*command)[0] == 0
    assert (out / "utt2snr").read_text() == "test00-0 12\n"
    assert (out / "utt2magnitude").read_text() == "test00-0 9\n"
    snr.write_text("test00-0 13\n")
    assert avsv(*command)[0] == 0
    assert (out / "utt2snr").read_text() == "test00-0 13\n"
    snr.unlink()
    assert avsv(*command)[0] == 0
    assert not (out / "utt2snr").exists()


def test_similarities_to_the_domain_are_written_and_left_out_of_those_of_an_earlier_run(avsv, world, named):
    out = world.folder / "adapted"
    avsv("adapt", "--embeddings", named["train"], *apply(named["test"], out / "test"), out / "target")
    adapted = read_embeddings(out / "test" / "embedding.scp")
    expected = similarity(adapted.vectors, read_adaptation(out / "target").members)
    for name, values in expected.items():
        table = read_table(out / "test" / name)
        assert [float(table[utt]) for utt in adapted.ids] == pytest.approx(values, abs=1e-4)
    (out / "test" / "utt2similarity").unlink()
    avsv("adapt", "--embeddings", named["train"], *apply(named["test"], out / "test"), out / "target")
    assert (out / "test" / "utt2similarity").exists()


def test_current_outputs_are_kept_and_others_made_again(avsv, world, named):
    out, scp = world.folder / "adapted", named["test"]
    command = ["adapt", "--embeddings", scp, *apply(scp, out / "test"), out / "target"]
    avsv(*command)
    files = [out / "target" / "mean.vec", out / "test" / "embedding.ark"]
    before = [file.stat().st_mtime_ns for file in files]
    assert avsv(*command)[0] == 0
    assert [file.stat().st_mtime_ns for file in files] == before
    assert avsv(*command, *apply(named["train"], out / "train"))[0] == 0
    assert [file.stat().st_mtime_ns for file in files] == before and (out / "train" / "embedding.ark").exists()
    assert avsv(*command, "--people", "8", "--source", named["train"])[0] == 0
    assert all(file.stat().st_mtime_ns > time for file, time in zip(files, before, strict=True))
    step = explain(out / "test" / "embedding.scp")
    assert step.record.command == "adapt" and step.record.options["people"] == 8
    assert {one.role for one in step.inputs} == {"embeddings", "source", "applied"}
    embeddings = read_embeddings(scp)
    write_embeddings(scp.with_name("embedding.ark"), scp, embeddings.ids, embeddings.vectors * 2, "voice:1")
    assert avsv("score", "--trials", world.trials, "--enroll", out / "test" / "embedding.scp", out / "scores")[0] == 1


def test_a_set_without_the_modality_stays_empty(avsv, world, named):
    empty = world.folder / "voice" / "none"
    empty.mkdir()
    write_embeddings(empty / "embedding.ark", empty / "embedding.scp", [], np.empty((0, 0)), "voice:1")
    out = world.folder / "adapted"
    command = ["adapt", "--embeddings", named["test"], *apply(empty / "embedding.scp", out), world.folder / "map"]
    assert avsv(*command)[0] == 0
    assert (out / "embedding.scp").read_text() == "" and embeddings_model(out / "embedding.scp") == "voice:1+centered"


def test_a_set_without_the_modality_is_adapted_to_itself_by_the_source(avsv, world, named):
    empty = world.folder / "voice" / "none"
    empty.mkdir()
    write_embeddings(empty / "embedding.ark", empty / "embedding.scp", [], np.empty((0, 0)), "voice:1")
    folds, out = world.folder / "folds", world.folder / "adapted"
    folds.write_text("")
    command = ["adapt", "--embeddings", empty / "embedding.scp", "--source", named["train"], "--people", 60, "--folds"]
    status, output = avsv(*command, folds, *apply(empty / "embedding.scp", out), world.folder / "map")
    assert status == 0 and "like the source" in output
    assert (out / "embedding.scp").read_text() == ""
    mean = read_embeddings(named["train"]).vectors.mean(axis=0)
    assert read_adaptation(world.folder / "map").projection.center == pytest.approx(mean, abs=1e-5)


def test_folds_are_adapted_by_the_other_folds(avsv, world, named):
    folds, out = world.folder / "folds", world.folder / "adapted"
    raw = read_embeddings(named["test"])
    of = np.array([int(name[4:6]) % 2 for name in raw.ids])
    folds.write_text("".join(f"{name} {fold}\n" for name, fold in zip(raw.ids, of, strict=True)))
    command = ["adapt", "--embeddings", named["test"], "--folds", folds, *apply(named["test"], out)]
    assert avsv(*command, world.folder / "map")[0] == 0
    adapted = read_embeddings(out / "embedding.scp", raw.ids).vectors
    for fold in (0, 1):
        assert adapted[of == fold] == pytest.approx(raw.vectors[of == fold] - raw.vectors[of != fold].mean(0), abs=1e-5)
    folds.write_text("".join(folds.read_text().splitlines(keepends=True)[1:]))
    status, output = avsv(*command, world.folder / "map")
    assert status == 1 and str(folds) in output and raw.ids[0] in output


def edit(scp, change):
    embeddings = read_embeddings(scp)
    ids, vectors = change(list(embeddings.ids), embeddings.vectors.copy())
    scp.unlink()
    np.savetxt(scp.with_suffix(".txt"), vectors)
    lines = "".join(f"{name} [ {' '.join(map(str, vector))} ]\n" for name, vector in zip(ids, vectors, strict=True))
    scp.with_suffix(".ark").write_text(lines)
    offsets = np.cumsum([0, *(len(line) + 1 for line in lines.splitlines())])
    scp.write_text("".join(f"{name} {scp.with_suffix('.ark')}:{offset + len(name) + 1}\n"
                           for name, offset in zip(ids, offsets, strict=False)))  # fmt: skip


CHANGES = {
    "empty": lambda ids, vectors: ([], vectors[:0]),
    "one": lambda ids, vectors: (ids[:1], vectors[:1]),
    "NaN": lambda ids, vectors: (ids, np.where(np.arange(12) == 3, np.nan, vectors)),
    "size": lambda ids, vectors: (ids, vectors[:, :5]),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("side", ["--embeddings", "--source", "--apply"])
def test_unusable_embeddings_are_refused_and_nothing_is_written(avsv, world, change, side):
    edit(world.train, CHANGES[change])
    out = world.folder / "out"
    scps = {"--embeddings": world.test, "--source": world.test, "--apply": world.test, side: world.train}
    given = [word for option, scp in scps.items() for word in (option, scp)]
    status, output = avsv("adapt", *given, out, out / "map")  # --apply, the last, takes `out` too
    if side != "--source" and change in ("empty", "one"):  # then the source is all that is learnt from
        assert status == 0
    else:
        assert status == 1 and "Traceback" not in output
        assert not (out / "embedding.scp").exists()


def test_embeddings_of_another_model_are_refused(avsv, world, named):
    other = read_embeddings(named["train"])
    write_embeddings(named["train"].with_name("embedding.ark"), named["train"], other.ids, other.vectors, "voice:2")
    for option in (["--source", named["train"]], apply(named["train"], world.folder / "out")):
        status, output = avsv("adapt", "--embeddings", named["test"], *option, world.folder / "map")
        assert status == 1 and "voice:1" in output and "voice:2" in output
        assert not (world.folder / "map" / "mean.vec").exists()


@pytest.mark.parametrize(
    "options, named_in_message",
    [
        (["--method", "coral"], "--source"),
        (["--within-covar-scale", "1"], "--within-covar-scale"),
        (["--folds", "x"], "--apply"),
        (["--plda", "x", "--people", "3"], "--people"),
        (["--plda", "x", "--apply", "x", "y"], "--apply"),
    ],
)
def test_contradictory_options_are_refused(avsv, world, options, named_in_message):
    status, output = avsv("adapt", "--embeddings", world.test, *options, world.folder / "out")
    assert status == 1 and named_in_message in output and not (world.folder / "out").exists()


@pytest.mark.parametrize("options", [["--people", "0"], ["--method", "other"], ["--apply", "x"]])
def test_impossible_values_are_usage_errors(avsv, world, options):
    assert avsv("adapt", "--embeddings", world.test, *options, "--text", world.folder / "out")[0] == 2


def test_few_people_are_warned_of(avsv, world):
    status, output = avsv("adapt", "--embeddings", world.test, "--people", "8", world.folder / "out")
    assert status == 0 and "8 people" in output
    assert "30 people" not in avsv("adapt", "--embeddings", world.train, "--people", "30", world.folder / "out")[1]
    record = json.loads((world.folder / "out" / "adaptation.json").read_text())
    assert record == {"method": "center", "share": 1.0}


def train_plda(avsv, world):
    assert avsv("plda", "--embeddings", world.train, "--utt2spk", world.utt2spk, world.folder / "plda")[0] == 0
    return ["--plda", world.folder / "plda"]


def test_the_adapted_plda_folder_agrees_with_the_function(avsv, world):
    argv = [*train_plda(avsv, world), "--embeddings", world.test, "--within-covar-scale", "0.75"]
    status, output = avsv("adapt", *argv, "--between-covar-scale", "0.25", world.folder / "adapted")
    assert status == 0
    assert "adapted to 40 embeddings" in output
    expected = adapt_plda(read_plda(world.folder / "plda"), read_embeddings(world.test).vectors, 0.75, 0.25)
    found = read_plda(world.folder / "adapted")
    assert found.gaussians.psi == pytest.approx(expected.gaussians.psi)
    assert found.projection.center == pytest.approx(read_embeddings(world.test).vectors.mean(axis=0), abs=1e-5)
    assert avsv("adapt", *argv, "--mean-diff-scale", "-1", world.folder / "adapted")[0] == 2


def test_a_plda_of_another_size_is_refused(avsv, world):
    write_embeddings(world.folder / "o.ark", world.folder / "o.scp", ["a", "b"], np.eye(2, 3))
    argv = [*train_plda(avsv, world), "--embeddings", world.folder / "o.scp", world.folder / "adapted"]
    status, output = avsv("adapt", *argv)
    assert status == 1
    assert all(n in output.splitlines()[-1] for n in ("12", "3"))
