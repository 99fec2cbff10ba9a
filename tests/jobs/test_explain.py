"""avsv explain: the tree of commands and inputs behind a file."""

import json
from pathlib import Path

import numpy as np
import pytest

from avsv.errors import InputError
from avsv.jobs.explain import as_lines, explain, steps
from avsv.jobs.provenance import CODE, MadeFrom
from avsv.kaldi.embeddings import write_embeddings


@pytest.fixture
def chained(tmp_path, monkeypatch):
    """A model folder, embeddings, scores and calibrated scores, as commands leave them."""
    monkeypatch.chdir(tmp_path)
    for name in ("model", "e", "data"):
        Path(name).mkdir()
    Path("data/wav.scp").write_text("a a.wav\n")
    Path("trials").write_text("a b target\n")
    made = MadeFrom("train", {"data": "data/wav.scp"}, {"epochs": 3}, seed=7, values={"media": "0123"})
    Path("model/network.ckpt").write_text("weights")
    made.write_folder("model", ["network.ckpt"])
    made = MadeFrom("embed-voice", {"model": "model/network.ckpt", "data": "data/wav.scp"})
    write_embeddings(Path("e/embedding.ark"), Path("e/embedding.scp"), ["a", "b"], np.ones((2, 3)))
    made.write("e/embedding.scp")
    made = MadeFrom("score", {"trials": "trials", "enroll": "e/embedding.scp"}, {"backend": "cosine"})
    Path("scores").write_text("a b 0.5\n")
    made.write("scores")
    made = MadeFrom("calibrate", {"scores": "scores", "trials": "trials"}, {"target_prior": 0.05})
    Path("calibrated").write_text("a b 1.5\n")
    made.write("calibrated")


def states(path):
    return {step.path: step.state for step in steps(explain(path)) if not step.repeated}


def test_the_chain_leads_from_scores_to_data(chained):
    root = explain("calibrated")
    commands = [step.record.command for step in steps(root) if step.record and not step.repeated]
    assert commands == ["calibrate", "score", "embed-voice", "train"]
    assert {"data/wav.scp", "trials", "model/network.ckpt"} <= {step.path for step in steps(root)}
    lines = list(as_lines(root))
    assert lines[0].startswith("calibrated") and "target_prior=0.05" in lines[0]
    assert any(line.startswith("  " * 3 + "model: model/network.ckpt") and "epochs=3 seed=7" in line for line in lines)


def test_a_training_shows_what_was_chosen_and_where_the_whole_configuration_is(chained):
    options = {"epochs": 3, "size": 8, "seed": 7, "dropout": 0.1}
    MadeFrom("train avn_e", {}, options, 7, chosen={"epochs": 3, "size": 8}).write_folder("model", ["network.ckpt"])
    first, second = list(as_lines(explain("model/network.ckpt")))
    assert "avsv train avn_e epochs=3 size=8 seed=7 (" in first and first.count("seed=7") == 1
    assert "model/config.yaml" in second
    assert explain("model").record.options == options


def test_changed_and_absent_inputs_are_marked(chained):
    assert set(states("calibrated").values()) == {"current"}
    Path("data/wav.scp").write_text("a other.wav\n")
    Path("trials").unlink()
    found = states("calibrated")
    assert found["data/wav.scp"] == "changed" and found["trials"] == "absent" and found["scores"] == "current"


def test_earlier_code_is_marked(chained, monkeypatch):
    monkeypatch.setitem(CODE, "score", 2)
    assert states("calibrated")["scores"] == "made by earlier code"


@pytest.mark.parametrize("path", ["model", "model/network.ckpt", "e/embedding.scp", "e/embedding.ark", "e"])
def test_models_archives_and_folders_are_explained(chained, path):
    assert "train" in {step.record.command for step in steps(explain(path)) if step.record}


def test_the_command_prints_text_and_json(chained, avsv):
    status, text = avsv("explain", "calibrated")
    assert status == 0 and len(text.splitlines()) == len(list(as_lines(explain("calibrated"))))
    status, text = avsv("explain", "--json", "calibrated")
    tree = json.loads(text)
    assert status == 0 and tree["record"]["command"] == "calibrate" and tree["inputs"][0]["path"] == "scores"


@pytest.mark.parametrize("path", ["absent", "trials", "data"])
def test_a_file_without_a_record_is_named(chained, path):
    with pytest.raises(InputError, match=path):
        explain(path)
