"""Fusion networks of voice and face as ONNX files."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from avsv.embeddings.pair import fuse_pairs, load_fusion
from avsv.errors import InputError
from avsv.exporters.pair import export_pair
from avsv.models.avn_e import FORMS, FUSION, Fusion, FusionOptions
from avsv.models.checkpoint import save

OPTIONS = [
    *({"fusion": form} for form in FORMS),
    {"fusion": "gated", "reliability": True, "attention_on": "reliability", "missing": "learned"},
    {"fusion": "gated", "reliability": True, "voice_quality": ["log:utt2magnitude"]},
    {"fusion": "soft_attention", "attention_on": "quality", "voice_quality": ["utt2snr"],
     "face_quality": ["utt2sharpness", "utt2face_size"]},
]  # fmt: skip


def make(folder, **options):
    """A fusion network with random weights and statistics."""
    torch.manual_seed(0)
    net = Fusion(12, 14, FusionOptions(size=33, **options))
    for tensor in (*net.parameters(), net.voice_mean, net.face_mean):
        tensor.data += 0.1 * torch.randn_like(tensor)
    save(folder, FUSION, net, net.description)
    return folder


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_every_form_gives_the_embeddings_and_weights_of_embed_pair(tmp_path, options):
    done = export_pair(make(tmp_path, **options), tmp_path / "pair.onnx")
    assert done.difference <= 1e-5
    rng = np.random.default_rng(3)
    voice, face = (rng.normal(size=(7, n)).astype(np.float32) for n in (12, 14))
    present = np.array([[True, True]] * 5 + [[True, False], [False, True]])
    n_tables = len(options.get("voice_quality", [])) + len(options.get("face_quality", []))
    quality = rng.normal(size=(7, n_tables)).astype(np.float32)
    expected = fuse_pairs(load_fusion(tmp_path), voice, face, present, quality)
    inputs = {"voice": voice, "face": face, "present": present} | ({"quality": quality} if n_tables else {})
    session = onnxruntime.InferenceSession(str(done.path), providers=["CPUExecutionProvider"])
    for ours, theirs in zip(session.run(["embedding", "weights"], inputs), expected, strict=True):
        assert np.abs(ours - theirs).max() <= 1e-5 * np.linalg.norm(theirs, axis=1).min()


def test_metadata_name_the_columns_of_the_quality_input(tmp_path):
    done = export_pair(make(tmp_path, **OPTIONS[-1]), tmp_path / "pair.onnx", "MIT")
    found = {entry.key: entry.value for entry in onnx.load(str(done.path)).metadata_props}
    assert json.loads(found["avsv.quality"]) == ["voice utt2snr", "face utt2sharpness", "face utt2face_size"]
    assert found["avsv.voice"] == "unknown" and found["avsv.size"] == "33" and found["license"] == "MIT"


def test_a_folder_without_a_network_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"fusion\.safetensors"):
        export_pair(tmp_path, tmp_path / "pair.onnx")
