"""Embedding-level augmentation: which pairs it changes, how, and which options it refuses."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from avsv.errors import InputError
from avsv.kaldi.embeddings import write_embeddings
from avsv.training.noise_statistics import NoiseStatistics, write_noise
from avsv.training.pair_noise import DamagedSet, PairNoise, PairNoiseOptions, Pairs

# records of damage in the form of utt2damage
HIT = {"voice": {"kind": "noise", "sources": [["n.wav", 0.5]], "snr": 5.0}, "face": {"kind": "jpeg", "quality": 5}}

N = 20000


def unit_pairs(n=N):
    torch.manual_seed(0)
    present = torch.ones(n, 2, dtype=torch.bool)
    present[:100, 0] = False  # clips without a voice
    voice, face = F.normalize(torch.randn(n, 10)), F.normalize(torch.randn(n, 12))
    return Pairs(voice * present[:, :1], face, present, torch.zeros(n, 0), torch.zeros_like(present))


def damage(pairs, **options):
    noise = PairNoise(PairNoiseOptions(**options), ([], []), [], (10, 12))
    raw = noise.damage_raw(pairs, torch.arange(len(pairs.voice)))
    return noise.damage_unit(raw.voice, raw.face, raw.present, raw.damaged)


def test_v1_damages_one_modality_in_the_configured_share_of_pairs():
    pairs = unit_pairs()
    v, f, there, damaged = damage(pairs, damage_share=0.6)
    hit_voice = (v != pairs.voice).any(1) | ~there[:, 0] & pairs.present[:, 0]
    hit_face = (f != pairs.face).any(1) | ~there[:, 1]
    assert not (hit_voice & hit_face).any() and not hit_voice[:100].any() and not hit_face[:100].any()
    assert hit_voice[100:].float().mean().item() == pytest.approx(0.3, abs=0.02)
    assert hit_face[100:].float().mean().item() == pytest.approx(0.3, abs=0.02)
    missing = (~there[100:]).any(1).float().mean().item()
    assert missing == pytest.approx(0.2, abs=0.02)
    assert torch.equal(damaged, torch.stack([hit_voice, hit_face], 1) & there)
    similar = (v * pairs.voice).sum(1)[hit_voice & there[:, 0]]
    assert 0.3 < (similar > 0.7).float().mean() < 0.7  # half strong, half mild


def test_damage_both_hits_both_modalities_but_one_stays_present():
    pairs = unit_pairs()
    _, _, there, damaged = damage(pairs, damage_share=0.4, damage_both=True)
    assert there.any(1).all()
    assert damaged[100:].any(1).float().mean().item() == pytest.approx(0.4, abs=0.02)
    whole = damaged & there.all(1, keepdim=True)
    assert torch.equal(whole[:, 0], whole[:, 1])


def test_modality_dropout_removes_one_of_two():
    pairs = unit_pairs()
    voice, face, there, damaged = damage(pairs, damage="none", missing_share=0.3)
    assert not damaged.any() and there.any(1).all() and torch.equal(there[:100], pairs.present[:100])
    lost = (~there[100:]).float().mean(0).tolist()
    assert lost == pytest.approx([0.15, 0.15], abs=0.02)
    assert not voice[~there[:, 0]].any() and not face[~there[:, 1]].any()
    assert torch.equal(voice[there[:, 0]], pairs.voice[there[:, 0]])


@pytest.fixture
def noise_files(tmp_path):
    rng = np.random.default_rng(0)
    for name, d, kinds in (("voice", 10, ("babble", "music")), ("face", 12, ("blur",))):
        k = len(kinds)
        means = 10.0 * np.arange(1, k + 1)[:, None] + rng.random((k, d))
        write_noise(tmp_path / name, NoiseStatistics(kinds, np.full(k, 9), means, np.full((k, d), 0.5), ("utt2x",),
                                                     np.full((k, 1), 7.0), np.full((k, 1), 0.1)))  # fmt: skip
    return {"voice_noise": str(tmp_path / "voice"), "face_noise": str(tmp_path / "face")}


def test_v2_adds_noise_with_the_measured_moments_and_changes_quality_too(noise_files):
    pairs = unit_pairs()._replace(quality=torch.zeros(N, 2))
    options = PairNoiseOptions(damage="v2", damage_share=0.5, **noise_files)
    noise = PairNoise(options, (["utt2x"], ["utt2x"]), [], (10, 12))
    raw = noise.damage_raw(pairs, torch.arange(N))
    change, hit = raw.voice - pairs.voice, raw.damaged
    assert not change[~hit[:, 0]].any() and not raw.quality[~hit].any()
    assert hit[100:].float().mean(0).tolist() == pytest.approx([0.25, 0.25], abs=0.02)
    music = hit[:, 0] & (change.mean(1) > 15)
    assert music.sum() / hit[:, 0].sum() == pytest.approx(0.5, abs=0.03)
    assert change[music].mean(0).numpy() == pytest.approx(noise.statistics[0].mean[1], abs=0.05)
    assert change[music].std(0).numpy() == pytest.approx(np.full(10, 0.5), abs=0.03)
    assert raw.quality[hit[:, 1], 1].mean().item() == pytest.approx(7, abs=0.02)
    assert raw.quality[hit[:, 1], 1].std().item() == pytest.approx(0.1, abs=0.02)


def test_statistics_of_other_embeddings_or_tables_are_refused(noise_files):
    options = PairNoiseOptions(damage="v2", **noise_files)
    with pytest.raises(InputError, match="size 10 and quality tables"):
        PairNoise(options, (["utt2x"], ["utt2x"]), [], (11, 12))
    with pytest.raises(InputError, match="expected 10 and \\[\\]"):
        PairNoise(options, ([], []), [], (10, 12))


@pytest.fixture
def damaged_sets(tmp_path):
    """Clips a-d: set 0 has a's voice and b's face damaged, set 1 the voices of a and c; d is never damaged."""
    sets = []
    for number, hits in enumerate([{"a": "voice", "b": "face"}, {"a": "voice", "c": "voice"}]):
        folder = tmp_path / str(number)
        folder.mkdir()
        lines = {utt: json.dumps({"modality": m, **HIT[m]}) for utt, m in hits.items()}
        lines["d"] = json.dumps({"modality": "voice", "kind": "missing"})
        (folder / "utt2damage").write_text("".join(f"{utt} {line}\n" for utt, line in lines.items()))
        for modality, d in (("voice", 2), ("face", 3)):
            vectors = np.full((3, d), 10.0 + number, np.float32)
            write_embeddings(folder / f"{modality}.ark", folder / f"{modality}.scp", ["a", "b", "c"], vectors)
        (folder / "utt2x").write_text("a 5\nb 6\nc 7\n")
        sets.append(DamagedSet(str(folder), str(folder / "voice.scp"), str(folder / "face.scp")))
    return sets


def test_real_damage_uses_the_same_clips_damaged_embedding_and_quality(damaged_sets):
    utts = ["a", "b", "c", "d"] * 2000
    rows = torch.arange(4).repeat(2000)
    options = PairNoiseOptions(damage="real", damage_share=1.0, damaged_sets=damaged_sets)
    noise = PairNoise(options, (["utt2x"], []), ["a", "b", "c", "d"], (2, 3))
    n = len(utts)
    present = torch.ones(n, 2, dtype=torch.bool)
    pairs = Pairs(torch.zeros(n, 2), torch.zeros(n, 3), present, torch.zeros(n, 1), ~present)
    torch.manual_seed(0)
    raw = noise.damage_raw(pairs, rows)
    hit = {utt: raw.damaged[rows == i].float().mean(0).tolist() for i, utt in enumerate("abcd")}
    assert hit["a"] == pytest.approx([0.5, 0], abs=0.05) and hit["b"] == pytest.approx([0, 0.5], abs=0.05)
    assert hit["c"] == pytest.approx([0.5, 0], abs=0.05) and hit["d"] == [0, 0]
    first = raw.voice[(rows == 0) & raw.damaged[:, 0], 0]
    assert set(first.tolist()) == {10.0, 11.0} and (first == 10).float().mean() == pytest.approx(0.5, abs=0.06)
    assert set(raw.quality[(rows == 2) & raw.damaged[:, 0], 0].tolist()) == {7.0}
    assert not raw.voice[~raw.damaged[:, 0]].any() and not raw.quality[~raw.damaged[:, 0]].any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"damage": "v3"}, "expected one of v1, v2"),
        ({"damage": "v2"}, "avsv noise-statistics"),
        ({"damage": "real"}, "needs damaged_sets"),
        ({"damage": "v1"}, "v1 changes embeddings but not their quality"),
    ],
)
def test_augmentation_without_its_inputs_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        PairNoise(PairNoiseOptions(**options), (["utt2snr"], []), [], (2, 3))


def test_a_modality_without_damaged_embeddings_stays_unchanged(damaged_sets):
    face_only = [DamagedSet(one.data_dir, "", one.face) for one in damaged_sets]
    options = PairNoiseOptions(damage="real", damage_share=1.0, damage_both=True, damaged_sets=face_only)
    noise = PairNoise(options, ([], []), ["a", "b", "c"], (2, 3))
    present = torch.ones(3, 2, dtype=torch.bool)
    pairs = Pairs(torch.ones(3, 2), torch.ones(3, 3), present, torch.zeros(3, 0), ~present)
    found = noise.damage_raw(pairs, torch.arange(3))
    assert torch.equal(found.voice, pairs.voice) and not found.damaged[:, 0].any()
    assert not torch.equal(found.face, pairs.face) and found.damaged[:, 1].any()


def test_sets_that_damage_nothing_are_refused(damaged_sets):
    with pytest.raises(InputError, match="no training clip has a damaged voice"):
        PairNoise(PairNoiseOptions(damage="real", damaged_sets=damaged_sets), ([], []), ["d"], (2, 3))
