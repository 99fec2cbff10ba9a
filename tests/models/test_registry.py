"""The registry of published models, the verb that lists it, and the page that follows from it."""

import json
import re

import pytest
from models_page import PAGE, page

from avsv.errors import InputError
from avsv.features.voice_inputs import FRONT_ENDS
from avsv.models import registry
from avsv.models.registry import KINDS, forbids_commercial_use, published_models, tell_licence

MODELS = published_models()


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_an_entry_is_complete(model):
    assert model.kind in KINDS and re.fullmatch(r"https://\S+", model.source)
    assert re.fullmatch(r"[a-z0-9][a-z0-9_-]*", model.name)
    if model.kind == "voice" and model.use == "FILE.onnx":
        assert model.front_end in FRONT_ENDS
    if model.sha256:
        assert re.fullmatch(r"[0-9a-f]{64}", model.sha256)
    assert model.sha256 or model.waits_for, "tested weights have a hash"
    if model.published:
        assert model.published["source"]


def test_the_page_follows_from_the_registry():
    text = PAGE.read_text(encoding="utf-8")
    assert page(text) == text, "run: python utils/models_page.py"
    assert all(f"[{name}](" in text for name in MODELS)


def test_the_verb_lists_every_model_with_its_licence(avsv):
    status, output = avsv("models")
    lines = output.splitlines()
    assert status == 0 and len(lines) == 1 + len(MODELS)
    for line, model in zip(lines[1:], MODELS.values()):
        assert line.startswith(f"{model.name} ") and model.weights in line and model.results in line


def test_json_has_everything(avsv):
    status, output = avsv("models", "--json")
    records = {record["name"]: record for record in json.loads(output)}
    assert status == 0 and list(records) == list(MODELS)
    record = records["wespeaker-resnet293"]
    assert record["published"]["values"] == [0.447, 0.657, 1.183] and record["code"] == "Apache-2.0"
    assert record["weights"] == "CC-BY-4.0" and record["front_end"] == "wespeaker" and record["waits_for"]


@pytest.mark.parametrize(("licence", "forbidden"), [
    ("CC-BY-NC-4.0", True), ("cc by-nc-sa", True), ("Non-commercial research only", True), ("noncommercial", True),
    ("research only", True), ("Apache-2.0", False), ("CC-BY-4.0", False), ("MIT", False), ("BSD-3-Clause", False),
])  # fmt: skip
def test_a_restricted_licence_is_told(licence, forbidden, caplog):
    assert forbids_commercial_use(licence) == forbidden
    tell_licence("net.onnx", licence)
    assert [("net.onnx" in text and licence in text) for text in caplog.messages] == [True] * forbidden


@pytest.mark.parametrize(("old", "new", "named"), [
    ("  kind: voice", "  kind: sound", "kind"), ("weights: Apache-2.0", "weight: Apache-2.0", "weight"),
    ("size: 192", "size: many", "size"), ("  code: Apache-2.0\n", "", "code"),
])  # fmt: skip
def test_a_wrong_entry_is_named(monkeypatch, tmp_path, old, new, named):
    path = tmp_path / "registry.yaml"
    path.write_text(registry.REGISTRY.read_text().replace(old, new, 1))
    monkeypatch.setattr(registry, "REGISTRY", path)
    with pytest.raises(InputError, match=rf"registry\.yaml.*{named}"):
        registry.published_models.__wrapped__()
