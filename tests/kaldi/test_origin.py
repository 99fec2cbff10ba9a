"""Records of which model made embeddings and scores."""

import json

import numpy as np
import pytest

from avsv.errors import InputError
from avsv.jobs.shards import Shard
from avsv.kaldi.embeddings import write_embeddings
from avsv.kaldi.origin import (
    embeddings_model,
    match_systems,
    read_system,
    same_model,
    trained_on,
    write_system,
    write_trained_on,
)  # fmt: skip
from avsv.kaldi.shards import make_archives


def embed(folder, model, shard=None, settings="s"):
    def work(keys, out):
        for key in keys:
            out.write("embedding", key, np.ones(3))

    make_archives(folder, ["embedding"], dict.fromkeys("abcd", "path"), {"model": settings}, work, shard, model=model)


def test_the_model_of_archives_is_found_from_an_scp_in_any_folder(tmp_path):
    for number in (1, 2):
        embed(tmp_path / "e", "voice:1", Shard(number, 2))
    assert embeddings_model(tmp_path / "e" / "embedding.scp") == "voice:1"
    embed(tmp_path / "f", "voice:2")
    some = (tmp_path / "e" / "embedding.scp").read_text().splitlines()[:1]
    (tmp_path / "some.scp").write_text("\n".join(some) + "\n")
    assert embeddings_model(tmp_path / "some.scp") == "voice:1"
    both = "".join((tmp_path / name / "embedding.scp").read_text() for name in "ef")
    (tmp_path / "both.scp").write_text(both)
    with pytest.raises(InputError, match="different models"):
        embeddings_model(tmp_path / "both.scp")


def test_imported_embeddings_and_damaged_records_are_unknown(tmp_path):
    write_embeddings(tmp_path / "e.ark", tmp_path / "e.scp", ["a"], np.ones((1, 2)))
    assert embeddings_model(tmp_path / "e.scp") is None
    for text in ("", "[]", '{"model": 1}', "\xff", "[" * 100_000):
        (tmp_path / "done.json").write_text(text, encoding="latin-1")
        assert embeddings_model(tmp_path / "e.scp") is None


def test_an_empty_set_has_the_model_of_its_record(tmp_path):
    (tmp_path / "embedding.scp").write_text("")
    (tmp_path / "done.json").write_text(json.dumps({"shards": 1, "settings": "", "inputs": "", "model": "voice:1"}))
    assert embeddings_model(tmp_path / "embedding.scp") == "voice:1"


def test_files_of_two_models_are_refused_and_unknown_models_logged(tmp_path, caplog):
    a, b = tmp_path / "a", tmp_path / "b"
    assert same_model({a: "voice:1", b: "voice:1"}) == "voice:1"
    assert same_model({a: None}) is None and not caplog.records
    assert same_model({a: "voice:1", b: None}) is None
    assert str(b) in caplog.text
    with pytest.raises(InputError, match=r"voice:1.*voice:2"):
        same_model({a: "voice:1", b: "voice:2"})


def test_a_record_belongs_to_one_version_of_a_score_file(tmp_path):
    scores = tmp_path / "s"
    scores.write_text("a b 1\n")
    write_system(scores, "voice:1 cosine")
    assert read_system(scores) == "voice:1 cosine"
    scores.write_text("a b 0.25\n")
    assert read_system(scores) is None
    write_system(scores, None)
    assert not (tmp_path / "s.system").exists()
    (tmp_path / "s.system").write_text("{}")
    with pytest.raises(InputError, match=r"s\.system"):
        read_system(scores)


def test_a_back_end_records_its_training_model(tmp_path):
    assert trained_on(tmp_path) is None
    write_trained_on(tmp_path, "voice:1")
    assert trained_on(tmp_path) == "voice:1"
    write_trained_on(tmp_path, None)
    assert trained_on(tmp_path) is None


def test_systems_are_matched_by_name_and_unknown_systems_by_position():
    def match(wanted, given):
        return match_systems(wanted, given, [str(number) for number in range(len(given))], "model")

    assert match(["v", "f"], ["f", "v"]) == [1, 0]
    assert match(["v", None], [None, "v"]) == [1, 0]
    assert match([None, None], [None, "v"]) == [0, 1]
    assert match(["v", "f"], [None, None]) == [0, 1]
    assert match(["v", "v"], ["v", "v"]) == [0, 1]
    for given in (["v", "x"], ["x", "v"], ["v", "v"]):
        with pytest.raises(InputError, match="model"):
            match(["v", "f"], given)
