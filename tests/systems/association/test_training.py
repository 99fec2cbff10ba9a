"""Training association on synthetic embeddings with shared traits, and end to end on tiny media."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from avsv.errors import InputError
from avsv.kaldi.data_dir import write_data_dir
from avsv.kaldi.embeddings import write_embeddings
from avsv.models.checkpoint import load
from avsv.systems.association.embedding import embed_side
from avsv.systems.association.networks.media import ASSOCIATION_MEDIA
from avsv.systems.association.networks.registry import ASSOCIATION
from avsv.systems.association.training import AssociationConfig, AssociationTask, plan_pairs
from avsv.systems.association.training_media import AssociationMediaConfig, AssociationMediaTask, hide_stripes
from avsv.training.config import OptimizerConfig
from avsv.training.task import train
from tests.training.small_clips import make_data

OPTIMIZER = OptimizerConfig(name="adamw", lr=0.005)


def make_set(folder, name, n_people, seed):
    """Write embeddings: voice and face share a trait of two numbers per person, the rest is independent."""
    rng, utts, sides = np.random.default_rng(seed), {}, ([], [])
    mixes = [np.random.default_rng(99).normal(size=(2, 12)), np.random.default_rng(98).normal(size=(2, 9))]
    for person in range(n_people):
        trait = 2 * rng.normal(size=2)
        for clip in range(3):
            utts[f"{name}{person:02d}-{clip}"] = f"{name}{person:02d}"
            for side, mix in zip(sides, mixes):
                side.append(trait @ mix + rng.normal(size=mix.shape[1]))
    write_data_dir(folder / name, {"utt2spk": utts, "wav.scp": dict.fromkeys(utts, "a.wav"),
                                   "video.scp": dict.fromkeys(utts, "a.mp4"),
                                   "spk2gender": {spk: "mf"[int(spk[-1]) % 2] for spk in utts.values()}})  # fmt: skip
    for kind, vectors in zip(("voice", "face"), sides):
        write_embeddings(folder / name / f"{kind}.ark", folder / name / f"{kind}.scp", list(utts), np.array(vectors))


@pytest.fixture
def config(tmp_path):
    make_set(tmp_path, "train", 24, 0)
    make_set(tmp_path, "valid", 8, 1)
    files = {key: str(tmp_path / path) for key, path in (
        ("exp_dir", "exp"), ("data_dir", "train"), ("voice", "train/voice.scp"), ("face", "train/face.scp"),
        ("valid_dir", "valid"), ("valid_voice", "valid/voice.scp"), ("valid_face", "valid/face.scp"))}  # fmt: skip
    return AssociationConfig(task="association", **files, size=8, hidden=16, dropout=0.1, epochs=12, batch_size=24,
                             threads=1, device="cpu", optimizer=OPTIMIZER)  # fmt: skip


def test_voices_and_faces_of_unseen_people_are_matched_by_their_trait(config, tmp_path):
    train(AssociationTask(config))
    last = (tmp_path / "exp/curves.tsv").read_text().splitlines()
    eer = float(last[-1].split("\t")[last[0].split("\t").index("eer_percent")])
    assert eer < 35


def test_fop_needs_two_clips_of_a_person_in_a_batch(config):
    with pytest.raises(InputError, match="clips_per_person=1"):
        train(AssociationTask(replace(config, system="fop", clips_per_person=1)))
    batches = plan_pairs(torch.arange(24).repeat(3), torch.arange(24).repeat(3), replace(config, clips_per_person=2), 0)
    for rows, _ in batches:  # clips 0 to 71, of person clip % 24
        assert (torch.bincount(rows % 24) != 1).all()


def test_equal_seeds_give_equal_weights_and_other_seeds_do_not(config):
    weights = []
    for number, seed in enumerate((3, 3, 4)):
        changed = replace(config, exp_dir=f"{config.exp_dir}{number}", seed=seed, epochs=2, valid_dir="")
        train(AssociationTask(changed))
        weights.append(load(changed.exp_dir, ASSOCIATION)[0].branches[0][0].weight)
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_a_saved_network_embeds_and_refuses_another_dimension(config):
    train(AssociationTask(replace(config, epochs=1, valid_dir="")))
    family = load(config.exp_dir, ASSOCIATION)[0]
    assert embed_side(family, np.ones((3, 12), np.float32), True).shape == (3, 8)
    with pytest.raises(InputError, match="dimension 12"):
        embed_side(family, np.ones((3, 9), np.float32), True)


def test_pairs_join_one_persons_clips_and_a_plan_is_reproducible(config):
    voices, faces = torch.arange(24).repeat_interleave(3), torch.arange(24).repeat(2)
    plan = plan_pairs(voices, faces, config, 5)
    assert all(torch.equal(voices[v], faces[f]) for v, f in plan)
    assert all(len(voices[v].unique()) == 24 for v, _ in plan)  # one clip per person in a batch
    again = plan_pairs(voices, faces, config, 5)
    assert all(torch.equal(a, b) for one, other in zip(plan, again) for a, b in zip(one, other))


def test_held_out_people_among_the_training_people_are_refused(config):
    with pytest.raises(InputError, match=re.escape(config.data_dir)):
        same = {"valid_dir": config.data_dir, "valid_voice": config.voice, "valid_face": config.face}
        train(AssociationTask(replace(config, **same)))


def test_a_covariate_without_its_table_is_named(config):
    changed = replace(config, system="dimnet", covariates=("identity", "nationality"))
    with pytest.raises(InputError, match="spk2nationality: 24 people"):
        train(AssociationTask(changed))


@pytest.fixture
def media(tmp_path):
    data = make_data(tmp_path / "data")
    return AssociationMediaConfig(
        task="association_media", exp_dir=str(tmp_path / "exp"), data_dir=str(data), system="ssnet", side=80,
        width=0.125, blocks=(1, 1, 1), trunk_size=16, size=16, hidden=0, epochs=2, batch_size=6, clips_per_person=2,
        workers=0, threads=1, device="cpu", optimizer=OPTIMIZER)  # fmt: skip


def test_a_single_stream_is_trained_resumed_and_embeds_both_modalities(media, tmp_path, avsv):
    train(AssociationMediaTask(media))
    network = load(media.exp_dir, ASSOCIATION_MEDIA)[0]
    assert len(network.trunks) == 1
    train(AssociationMediaTask(media))  # already complete
    status, text = avsv("association", "embed", "--model", media.exp_dir, "--data", media.data_dir, tmp_path / "out")
    assert status == 0, text
    lines = (tmp_path / "out/voice.scp").read_text().splitlines()
    assert len(lines) == len((tmp_path / "out/face.scp").read_text().splitlines()) == 12


def test_other_families_train_end_to_end_with_a_trunk_per_modality(media):
    config = replace(media, system="infonce", shared_trunk=False, hidden=8, size=8, epochs=1, clips_per_person=0)
    train(AssociationMediaTask(config))
    assert len(load(config.exp_dir, ASSOCIATION_MEDIA)[0].trunks) == 2


def test_a_clip_that_cannot_be_read_is_skipped_and_listed(media, tmp_path, avsv):
    train(AssociationMediaTask(replace(media, epochs=1)))
    (tmp_path / "data/p0-0.wav").write_bytes(b"no sound")
    command = ("association", "embed", "--model", media.exp_dir, "--data", media.data_dir, tmp_path / "out")
    status, text = avsv(*command)
    assert status == 1 and "1 of 12 voices" in text
    status, _ = avsv(*command, "--max-skipped", "0.5")
    assert status == 0 and (tmp_path / "out/skipped").read_text().startswith("p0-0 voice ")
    assert len((tmp_path / "out/voice.scp").read_text().splitlines()) == 11


def test_at_most_the_given_share_of_rows_and_columns_is_masked_in_place():
    for seed in range(20):
        picture = np.random.default_rng(1).integers(0, 255, (50, 50)).astype(np.uint8)
        before = picture.copy()
        hide_stripes(picture, 0.2, np.random.default_rng(seed))
        assert (picture != before).sum() <= 2 * 10 * 50


DRY = "exp_dir: e\ndata_dir: d\nthreads: 1\nbatch_size: 4\ndevice: cpu\n"
EMBEDDINGS = "task: association\nsystem: infonce\nvoice: v\nface: f\n"
MEDIA = """task: association_media
system: ssnet
side: 80
width: 0.125
blocks: [1, 1, 1]
trunk_size: 16
size: 16
hidden: 0
"""


@pytest.mark.parametrize("text", [EMBEDDINGS, MEDIA], ids=["embeddings", "media"])
def test_a_dry_run_needs_no_data(tmp_path, avsv, text):
    (tmp_path / "c.yaml").write_text(DRY + text)
    status, text = avsv("train", tmp_path / "c.yaml", "--dry-run", "--people", "6", "--clips", "40")
    assert status == 0 and "an epoch: 10 steps" in text
