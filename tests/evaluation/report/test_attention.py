"""Attention weights by the damage to the clips."""

import json

import numpy as np
import pytest

from avsv.errors import InputError
from avsv.evaluation.report.attention import attention_markdown, attention_section, find_attention
from avsv.kaldi.tables import write_table


@pytest.fixture
def world(tmp_path):
    """Attention weights of a fusion network on a clean and two noisy sets; one noisy set has more kinds of damage."""
    utts = [f"p-{n}" for n in range(8)]
    hit = {
        "p-1": ("voice", "babble"),
        "p-2": ("voice", "noise"),
        "p-3": ("face", "occlusion"),
        "p-4": ("face", "missing"),
    }
    needs = {"voice": {"sources": [["n.wav", 0.5]], "snr": 5.0}, "face": {}}
    records = {utt: {"modality": what, "kind": kind, **needs[what]} for utt, (what, kind) in hit.items()}
    damage = {utt: json.dumps(record) for utt, record in records.items()}
    damage["p-5"] = json.dumps([records["p-1"], {"modality": "face", "kind": "jpeg"}])
    weights = [0.5, 0.2, 0.3, 0.9, 1.0, 0.4, 0.6, 0.55]
    for name, table in (("t", {}), ("t_noisy", damage), ("t_babble", {"p-1": damage["p-1"]})):
        write_table(tmp_path / "data" / name / "utt2damage", table)
        write_table(tmp_path / "exp/avn" / name / "weights", {u: f"{w} {1 - w:.2f}" for u, w in zip(utts, weights)})
    data = {"clean": "t", "noisy": "t_noisy", "babble": "t_babble"}
    return tmp_path / "exp", {condition: tmp_path / "data" / name for condition, name in data.items()}


def test_the_condition_with_the_most_kinds_is_shown_with_its_clips_grouped(world):
    [found] = find_attention(*world)
    assert (found.system, found.condition) == ("avn", "noisy")
    assert {kind: w.tolist() for kind, w in found.weights.items()} == {
        "clean": [0.5, 0.6, 0.55], "voice: babble": [0.2], "voice: noise": [0.3], "face: missing": [1.0],
        "face: occlusion": [0.9], "voice and face": [0.4],
    }  # fmt: skip
    assert list(found.weights)[:2] == ["clean", "voice: babble"]


def test_means_cover_clips_that_are_damaged_but_not_missing(world):
    [found] = find_attention(*world)
    assert [found.mean(state) for state in ("clean", "voice", "face")] == pytest.approx([0.55, 0.25, 0.9])
    assert attention_markdown([found])[-2] == "| avn | noisy | 0.55 | 0.25 | 0.90 |"


def test_each_kind_is_drawn_with_its_quartiles(world):
    [found] = find_attention(*world)
    found.weights["clean"] = np.linspace(0, 1, 101)
    drawn = attention_section([found])
    assert drawn.count("<rect") == len(found.weights) and "voice: babble" in drawn
    left, width = 170, 420 - 170 - 14
    assert f'x="{left + 0.25 * width:.0f}"' in drawn and f'width="{0.5 * width:.0f}"' in drawn


def test_without_damage_nothing_is_shown(world):
    exp, data = world
    assert find_attention(exp, {"clean": data["clean"]}) == [] and attention_markdown([]) == []


def test_malformed_weights_are_refused(world):
    exp, data = world
    (exp / "avn/t_noisy/weights").write_text("p-1 much\n")
    with pytest.raises(InputError, match="weights: expected"):
        find_attention(exp, data)
