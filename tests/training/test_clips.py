"""Clips for training: the choice of clips, damage and modality dropout, and repeatable batches."""

import numpy as np
import pytest
import torch

from avsv.errors import InputError
from avsv.kaldi.data_dir import read_data_dir
from avsv.training.clips import Clips, ClipsConfig, draw_modalities, list_clips
from tests.training.small_clips import tiny


def make(data, noises, **more):
    return Clips(tiny(ClipsConfig, "avn_f", data, noises, "unused", **more), list_clips(read_data_dir(data)))


def test_a_clip_with_one_modality_is_used_and_marked(data, noises):
    clips = make(data, noises, drop_share=0.0)
    rows = {utt: clips[row, 1] for row, utt in enumerate(clips.clips.utts)}
    assert rows["p0-1"].present.tolist() == [True, False] and not rows["p0-1"].image.any()
    assert rows["p1-0"].present.tolist() == [False, True] and not rows["p1-0"].waveform.any()
    assert rows["p2-0"].present.all() and len(rows) == 12


def test_the_same_index_gives_the_same_item(data, noises):
    clips = make(data, noises, feature_damage_share=1.0)
    first, again, other = clips[5, 7], clips[5, 7], clips[5, 8]
    assert all(torch.equal(a, b) for a, b in zip(first, again))
    assert not torch.equal(first.waveform, other.waveform) or not torch.equal(first.image, other.image)


def test_items_have_the_shapes_that_networks_expect(data, noises):
    clip = make(data, noises)[2, 0]
    assert clip.waveform.shape == (8000,) and clip.waveform.dtype == torch.float32
    assert clip.image.shape == (3, 112, 112) and clip.image.dtype == torch.uint8
    assert clip.label == 0 and clip.present.dtype == clip.damaged.dtype == torch.bool


def test_an_epoch_has_every_clip_crops_per_clip_times(data, noises):
    plan = make(data, noises, crops_per_clip=2).plan(0)
    assert sorted(clip for batch in plan for clip, _ in batch) == sorted([*range(12)] * 2)


def test_a_batch_may_hold_several_clips_of_each_person(data, noises):
    clips = make(data, noises, clips_per_person=3)
    assert clips.plan(1) == clips.plan(1) != clips.plan(2)
    for batch in clips.plan(0):
        assert np.bincount([clips.labels[clip] for clip, _ in batch]).tolist().count(3) == 2


def shares(mode, available=(True, True), **more):
    config = ClipsConfig(feature_damage=mode, **{"feature_damage_share": 0.5, "drop_share": 0.2, **more})
    rng = np.random.default_rng(0)
    draws = [draw_modalities(rng, np.array(available), config) for _ in range(4000)]
    present, damaged = (np.array(flags) for flags in zip(*draws))
    return present, damaged


def test_one_damages_voice_or_face_with_equal_probability():
    present, damaged = shares("one", drop_share=0.0)
    assert damaged.sum(1).max() == 1 and present.all()
    assert damaged.mean(0) == pytest.approx([0.25, 0.25], abs=0.03)


def test_both_damages_the_two_modalities_together():
    _, damaged = shares("both", drop_share=0.0)
    assert (damaged[:, 0] == damaged[:, 1]).all() and damaged[:, 0].mean() == pytest.approx(0.5, abs=0.03)


def test_none_damages_nothing():
    assert not shares("none")[1].any()


def test_dropout_never_takes_both_modalities():
    present, damaged = shares("one")
    assert present.any(1).all() and (~present).mean(0) == pytest.approx([0.1, 0.1], abs=0.02)
    assert not (damaged & ~present).any()


def test_the_only_modality_is_never_dropped():
    present, _ = shares("one", available=(False, True), drop_share=1.0)
    assert (present == [False, True]).all()


def test_damage_changes_the_marked_modality_only(data, noises):
    options = {"drop_share": 0.0, "feature_damage_share": 1.0}
    damaged, clean = (make(data, noises, feature_damage=mode, **options) for mode in ("one", "none"))
    hits = set()
    for seed in range(8):
        ours, theirs = damaged[2, seed], clean[2, seed]
        assert ours.damaged.sum() == 1 and not theirs.damaged.any()
        hits.add(ours.damaged.tolist()[0])
        if ours.damaged[1]:
            assert torch.equal(ours.waveform, theirs.waveform)
    assert hits == {True, False}


def test_errors_name_the_option_or_the_table(data, noises, tmp_path):
    with pytest.raises(InputError, match="feature_damage: all: expected one of none, one, both"):
        make(data, noises, feature_damage="all")
    with pytest.raises(InputError, match=r"feature_damage: .* noise_dir"):
        make(data, "")
    (tmp_path / "utt2spk").write_text("a a\n")
    (tmp_path / "wav.scp").write_text("a a.wav\n")
    with pytest.raises(InputError, match=r"has no faces\.scp.*avsv align-faces"):
        list_clips(read_data_dir(tmp_path))
    (tmp_path / "faces.scp").write_text("a x:3\n")
    with pytest.raises(InputError, match="clips of 1 people"):
        list_clips(read_data_dir(tmp_path))
