"""Training AVN-E on voice and face embeddings, with the paper's embedding-level augmentation (version 1)."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from avsv.errors import UserError
from avsv.kaldi.pairs import join_embeddings
from avsv.kaldi.shards import digest, file_digest
from avsv.kaldi.tables import read_table
from avsv.losses.margin import AAMSoftmax
from avsv.models.avn_e import SoftAttentionFusion
from avsv.training.config import TrainingConfig
from avsv.training.trainer import Trainer, finish_experiment, start_experiment

log = logging.getLogger("avsv")


@dataclass
class FusionConfig(TrainingConfig):
    """`task: avn_e`; `data_dir` is used for its utt2spk."""

    voice: str = "???"  # embedding.scp of the training set
    face: str = "???"
    size: int = 512  # of the fused embedding
    scale: float = 32.0
    margin: float = 0.2
    damage_share: float = 0.5  # p: share of the pairs in which one modality, either as likely, is corrupted
    noise_std: float = 0.5  # of the mildest corruption, in standard deviations of the embedding


def damage_embeddings(
    voice: Tensor, face: Tensor, present: Tensor, share: float, noise_std: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Corrupt one modality of a share of the pairs (augmentation v1 of Qian et al.).

    The corruption is one of three, each as likely: the modality goes missing (the all-zero vector), becomes a random
    direction (N(0, I)), or has noise added (e + noise_std * std(e) * N(0, 1)). A pair that has one modality only is
    left as it is.

    Parameters
    ----------
    voice : (batch, n), face : (batch, m), of length 1 ; present : (batch, 2) bool

    Returns
    -------
    the same three, changed
    """
    n = len(voice)
    hit = (torch.rand(n, device=voice.device) < share) & present.all(1)
    which = torch.randint(2, (n,), device=voice.device)  # 0: the voice, 1: the face
    kind = torch.randint(3, (n,), device=voice.device)
    present = present.clone()
    damaged = []
    for modality, vectors in enumerate((voice, face)):
        chosen = hit & (which == modality)
        present[:, modality] &= ~(chosen & (kind == 0))
        noise = torch.randn_like(vectors)
        mild = F.normalize(vectors + noise_std * vectors.std(1, keepdim=True) * noise)
        wild = F.normalize(noise)
        options = torch.stack([torch.zeros_like(vectors), wild, mild])
        changed = options[kind, torch.arange(n, device=voice.device)]
        damaged.append(torch.where(chosen[:, None], changed, vectors))
    return damaged[0], damaged[1], present


class FusionModel(nn.Module):
    def __init__(self, n_voice: int, n_face: int, n_people: int, config: FusionConfig):
        super().__init__()
        self.fusion = SoftAttentionFusion(n_voice, n_face, config.size)
        self.loss = AAMSoftmax(config.size, n_people, config.scale, config.margin)


def read_pairs(config: FusionConfig) -> tuple[Tensor, Tensor, Tensor, list[str]]:
    """Both embeddings of every clip that has either, in the order of the identifiers.

    Returns
    -------
    (n, n_voice) ; (n, n_face) ; (n, 2) bool ; n people's names
    """
    utt2spk = read_table(Path(config.data_dir) / "utt2spk", fields=2, shape="utterance speaker")
    voice, face, present, utts = join_embeddings(config.voice, config.face)
    unknown = [utt for utt in utts if utt not in utt2spk]
    if unknown:
        raise UserError(
            f"{config.data_dir}/utt2spk: {len(unknown)} embedded utterances are not in it, such as {unknown[0]}"
        )
    return torch.from_numpy(voice), torch.from_numpy(face), torch.from_numpy(present), [utt2spk[u] for u in utts]


def train_fusion(config: FusionConfig) -> None:
    """Train, and write `fusion.safetensors` in `config.exp_dir`."""
    voice, face, present, people = read_pairs(config)
    names = sorted(set(people))
    if len(names) < 2:
        raise UserError(f"{config.data_dir}: has embeddings of {len(names)} people, at least 2 are needed to train")
    if not start_experiment(config, {"data": [digest(people), file_digest(config.voice), file_digest(config.face)]}):
        return
    counts = present.sum(0).tolist()
    log.info("%d clips of %d people, %d with a voice, %d with a face", len(people), len(names), *counts)
    torch.manual_seed(config.seed)
    numbers = {spk: number for number, spk in enumerate(names)}
    labels = torch.tensor([numbers[spk] for spk in people])
    model = FusionModel(voice.shape[1], face.shape[1], len(names), config)
    model.fusion.voice_mean.copy_(voice[present[:, 0]].mean(0))
    model.fusion.face_mean.copy_(face[present[:, 1]].mean(0))
    trainer = Trainer(model, config)
    size = min(config.batch_size, len(people))

    def batches(epoch):
        order = torch.from_numpy(np.random.default_rng([config.seed, epoch]).permutation(len(people)))
        return [order[begin : begin + size] for begin in range(0, len(order) - size + 1, size)]

    def step(rows):
        v, f, there = (x[rows].to(trainer.device) for x in (voice, face, present))
        v, f = model.fusion.normalize(v, f, there)
        v, f, there = damage_embeddings(v, f, there, config.damage_share, config.noise_std)
        fused, weights = model.fusion.fuse(v, f, there)
        target = labels[rows].to(trainer.device)
        loss, logits = model.loss(fused, target)
        accuracy = (logits.argmax(1) == target).float().mean().item()
        return loss, {"accuracy": accuracy, "voice_weight": weights[there.all(1), 0].mean().item()}

    trainer.fit(step, batches, len(batches(0)))
    save_file(model.fusion.state_dict(), Path(config.exp_dir) / "fusion.safetensors")
    finish_experiment(config)
