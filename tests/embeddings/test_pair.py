"""Saving and loading fusion networks, fusing pairs, and the quality tables beside embeddings."""

import numpy as np
import pytest
import torch

from avsv.embeddings.pair import fuse_pairs, load_fusion, pair_quality, refuse_other_encoders
from avsv.embeddings.quality_tables import read_quality
from avsv.errors import InputError
from avsv.models.avn_e import FORMS, FUSION, Fusion, FusionOptions
from avsv.models.checkpoint import save


def arrays(n=6):
    rng = np.random.default_rng(0)
    present = np.ones((n, 2), bool)
    present[0, 1] = False
    return rng.normal(size=(n, 5)).astype(np.float32), rng.normal(size=(n, 6)).astype(np.float32), present


@pytest.mark.parametrize("form", FORMS)
def test_a_saved_network_is_rebuilt_exactly(tmp_path, form):
    options = FusionOptions(fusion=form, size=16, attention_depth=2, reliability=True, attention_on="reliability",
                            missing="learned", voice_quality=["utt2snr"], gate_tanh=False)  # fmt: skip
    fusion = Fusion(5, 6, options)
    for parameter in fusion.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    save(tmp_path, FUSION, fusion, fusion.description)
    again = load_fusion(tmp_path)
    quality = np.arange(6, dtype=np.float32)[:, None]
    ours, theirs = (fuse_pairs(network, *arrays(), quality) for network in (fusion.eval(), again))
    assert again.options == options
    assert np.array_equal(ours[0], theirs[0]) and np.array_equal(ours[1], theirs[1])


def test_the_block_size_does_not_change_the_embeddings(monkeypatch):
    fusion = Fusion(5, 6, FusionOptions(size=16)).eval()
    whole = fuse_pairs(fusion, *arrays())
    monkeypatch.setattr("avsv.embeddings.pair.BLOCK", 4)
    parts = fuse_pairs(fusion, *arrays())
    assert np.allclose(whole[0], parts[0], atol=1e-6) and np.allclose(whole[1], parts[1], atol=1e-6)


@pytest.mark.parametrize("content", [b"", b"rubbish" * 10])
def test_a_damaged_network_is_refused(tmp_path, content):
    (tmp_path / "fusion.safetensors").write_bytes(content)
    with pytest.raises(InputError, match=r"fusion\.safetensors"):
        load_fusion(tmp_path)


def test_a_file_without_a_network_is_refused(tmp_path):
    from safetensors.torch import save_file

    save_file({"x": torch.ones(1)}, tmp_path / "fusion.safetensors")
    with pytest.raises(InputError, match=r"fusion\.safetensors"):
        load_fusion(tmp_path)


def test_embeddings_of_other_encoders_than_in_training_are_refused(tmp_path):
    fusion = Fusion(5, 6, FusionOptions(size=16))
    save(tmp_path, FUSION, fusion, fusion.description)
    (tmp_path / "trained_on.json").write_text('{"voice": "voice:1+centered"}')
    fusion = load_fusion(tmp_path)
    for encoders in ({"voice": "voice:1+centered", "face": "face:2"}, {"voice": None, "face": None}):
        refuse_other_encoders(fusion, encoders, "test")
    with pytest.raises(InputError, match=r"test: .*voice:1\+centered.*voice:1$"):
        refuse_other_encoders(fusion, {"voice": "voice:1", "face": "face:2"}, "test")


def test_quality_tables_are_read_from_beside_the_embeddings(tmp_path):
    for name, text in (("voice/utt2snr", "a 3\nb 4\n"), ("face/utt2magnitude", "b 10\n")):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    options = FusionOptions(voice_quality=["utt2snr"], face_quality=["log:utt2magnitude"])
    result = pair_quality(options, tmp_path / "voice/e.scp", tmp_path / "face/e.scp", ["a", "b"])
    assert result == pytest.approx(np.array([[3, np.nan], [4, np.log(10)]]), abs=1e-6, nan_ok=True)


@pytest.mark.parametrize(
    ("text", "name", "entry"), [(None, "utt2snr", ""), ("a loud\n", "utt2snr", "loud"), ("a 0\n", "log:utt2snr", "a 0")]
)
def test_tables_without_usable_numbers_are_refused(tmp_path, text, name, entry):
    if text:
        (tmp_path / "utt2snr").write_text(text)
    with pytest.raises(InputError, match=f"utt2snr: .*{entry}"):
        read_quality(tmp_path / "e.scp", [name], ["a"])
