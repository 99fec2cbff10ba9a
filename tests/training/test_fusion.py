"""AVN-E on made-up embeddings: damage, missing modalities, and better scores than either modality."""

import kaldiio
import numpy as np
import pytest
import torch

from avsv.kaldi.embeddings import write_embeddings
from avsv.kaldi.pairs import join_embeddings
from avsv.models.avn_e import SoftAttentionFusion
from avsv.training.fusion import damage_embeddings

CONFIG = """
task: avn_e
exp_dir: {folder}/exp
data_dir: {folder}
voice: {folder}/voice.scp
face: {folder}/face.scp
size: 32
epochs: 15
batch_size: 64
device: cpu
optimizer: {{lr: 0.003}}
"""


def write_people(folder, n_people=20, n_clips=8, noise=1.0, seed=0):
    """Gaussian people; the first clip has no voice, the second no face."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(seed)
    utts = [f"p{p:02d}-{c}" for p in range(n_people) for c in range(n_clips)]
    (folder / "utt2spk").write_text("".join(f"{utt} {utt[:3]}\n" for utt in utts))
    for name, dim in (("voice", 12), ("face", 16)):
        people = np.repeat(rng.normal(size=(n_people, dim)), n_clips, 0)
        vectors = (people + noise * rng.normal(size=people.shape) + 0.5).astype(np.float32)
        kept = [i for i in range(len(utts)) if i != (0 if name == "voice" else 1)]
        write_embeddings(folder / f"{name}.ark", folder / f"{name}.scp", [utts[i] for i in kept], vectors[kept])
    return folder


def test_embeddings_are_joined_by_utterance(tmp_path):
    folder = write_people(tmp_path / "d", 2, 3)
    voice, face, present, utts = join_embeddings(folder / "voice.scp", folder / "face.scp")
    assert utts == ["p00-0", "p00-1", "p00-2", "p01-0", "p01-1", "p01-2"]
    assert present.tolist() == [[False, True], [True, False]] + [[True, True]] * 4
    assert not voice[0].any() and not face[1].any() and voice[2].any()


def test_a_missing_modality_has_weight_0_and_its_vector_does_not_matter():
    fusion = SoftAttentionFusion(5, 6, 8)
    torch.nn.init.normal_(fusion.attention.weight)
    voice, face = torch.randn(2, 5), torch.randn(2, 6)
    only_voice = torch.tensor([[True, False]] * 2)
    out, weights = fusion(voice, face, only_voice)
    assert weights.tolist() == [[1, 0], [1, 0]]
    assert torch.equal(out, fusion(voice, torch.randn(2, 6) * 100, only_voice)[0])
    assert not torch.allclose(out, fusion(voice, face, torch.ones(2, 2, dtype=torch.bool))[0])


def test_both_modalities_get_gradients_and_so_does_the_attention():
    fusion = SoftAttentionFusion(5, 6, 8)
    out, _ = fusion(torch.randn(4, 5), torch.randn(4, 6), torch.ones(4, 2, dtype=torch.bool))
    out.square().sum().backward()
    for parameters in (fusion.voice, fusion.face, fusion.attention):
        assert parameters.weight.grad.abs().sum() > 0


def test_training_starts_from_the_sum_of_cosines():
    fusion = SoftAttentionFusion(5, 6, 64)
    voice, face = torch.randn(2, 5), torch.randn(2, 6)
    v, f = (torch.nn.functional.normalize(x) for x in (voice, face))
    assert torch.allclose(fusion.voice(v)[0] @ fusion.voice(v)[1], v[0] @ v[1], atol=1e-5)
    assert torch.allclose(fusion.face(f)[0] @ fusion.face(f)[1], f[0] @ f[1], atol=1e-5)


def test_damage_hits_exactly_one_modality_of_the_share_asked_for():
    torch.manual_seed(0)
    n = 20000
    voice, face = (torch.nn.functional.normalize(torch.randn(n, d)) for d in (10, 12))
    present = torch.ones(n, 2, dtype=torch.bool)
    present[:100, 0] = False
    v, f, there = damage_embeddings(voice, face, present, 0.6, 0.5)
    hit_voice = (v != voice).any(1) | ~there[:, 0] & present[:, 0]
    hit_face = (f != face).any(1) | ~there[:, 1]
    assert not (hit_voice & hit_face).any() and not hit_voice[:100].any() and not hit_face[:100].any()
    assert hit_voice[100:].float().mean().item() == pytest.approx(0.3, abs=0.02)
    assert hit_face[100:].float().mean().item() == pytest.approx(0.3, abs=0.02)
    missing = (~there[100:]).any(1).float().mean().item()
    assert missing == pytest.approx(0.2, abs=0.02)
    similar = (v * voice).sum(1)[hit_voice & there[:, 0]]
    assert 0.3 < (similar > 0.7).float().mean() < 0.7  # half wild, half mild


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    from avsv.cli import main

    folder = write_people(tmp_path_factory.mktemp("fusion") / "train")
    (folder / "c.yaml").write_text(CONFIG.format(folder=folder))
    assert main(["train", str(folder / "c.yaml")]) == 0
    return folder


def test_fused_embeddings_beat_both_and_every_state_has_one(trained, tmp_path, avsv):
    test = write_people(tmp_path / "test", seed=1)
    status, said = avsv("embed-pair", "--model", trained / "exp", "--voice", test / "voice.scp", "--face",
                        test / "face.scp", tmp_path / "out")  # fmt: skip
    assert status == 0, said
    fused = kaldiio.load_scp(str(tmp_path / "out/embedding.scp"))
    assert len(fused) == 160 and all(np.isfinite(vector).all() for vector in fused.values())
    weights = dict(line.split(" ", 1) for line in (tmp_path / "out/weights").read_text().splitlines())
    assert weights["p00-0"] == "0.0000 1.0000" and weights["p00-1"] == "1.0000 0.0000"

    def separation(vectors):
        utts = [utt for utt in sorted(vectors) if utt not in ("p00-0", "p00-1")]
        x = np.stack([vectors[utt] for utt in utts])
        x = x - x.mean(0)
        cosine = (x @ x.T) / np.outer(np.linalg.norm(x, axis=1), np.linalg.norm(x, axis=1))
        people = np.array([utt[:3] for utt in utts])
        same = (people[:, None] == people) & ~np.eye(len(x), dtype=bool)
        return (cosine[same].mean() - cosine[people[:, None] != people].mean()) / cosine[
            people[:, None] != people
        ].std()

    single = [separation(kaldiio.load_scp(str(test / f"{name}.scp"))) for name in ("voice", "face")]
    assert separation(fused) > max(single)


def test_embeddings_of_another_size_are_refused(trained, tmp_path, avsv):
    write_embeddings(tmp_path / "v.ark", tmp_path / "v.scp", ["p00-0"], np.ones((1, 7), np.float32))
    status, said = avsv("embed-pair", "--model", trained / "exp", "--voice", tmp_path / "v.scp", "--face",
                        trained / "face.scp", tmp_path / "out")  # fmt: skip
    assert status == 1 and "sizes (12, 16), found (7, 16)" in said
    status, said = avsv("embed-pair", "--model", tmp_path, "--voice", trained / "voice.scp", "--face",
                        trained / "face.scp", tmp_path / "out")  # fmt: skip
    assert status == 1 and "finished training" in said
