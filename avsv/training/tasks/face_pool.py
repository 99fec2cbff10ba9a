"""Training the attention that pools a clip's faces by their quality (avsv/embeddings/face_pool.py).

The criterion is verification: each clip of a batch contributes some of its faces, a share of them damaged, and the
loss is the verification loss over all pairs of pooled embeddings. With only two weights to learn, a few dozen people
suffice.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avsv.embeddings.face_pool import MEASURES, FacePool, face_measures, save_face_pool
from avsv.errors import InputError
from avsv.jobs.fingerprints import digest
from avsv.kaldi.matrices import read_entry
from avsv.kaldi.tables import read_table
from avsv.losses.pairs import VerificationLoss
from avsv.models.ranges import within
from avsv.training.batches import plan_by_person
from avsv.training.config import TrainingConfig
from avsv.training.experiment import digest_arrays
from avsv.training.task import Inputs, Task
from avsv.training.trainer import Step, Trainer

log = logging.getLogger("avsv")


@dataclass
class FacePoolConfig(TrainingConfig):
    """`task: face_pool`; `data_dir` is used for its utt2spk."""

    faces: str = "???"  # faces.scp written by avsv embed-face --keep-faces
    damaged_faces: str = "???"  # the same for a damaged version of the set
    damaged_share: float = within(0.5, 0, 1)  # probability that a face is damaged, independent for each face
    clips_per_person: int = within(4, 2, 10_000)  # clips of each person in a batch, for pairs of the same person
    target_prior: float = within(0.1, above=0, below=1)  # of the verification loss


class Faces:
    """Faces of clips, padded to the largest number of faces in a clip.

    vectors : (n, k, d) of length 1 ; present : (n, k) bool
    measures : (n, k, 2), `face_measures`
    """

    def __init__(self, clips: list[tuple[np.ndarray, np.ndarray]]):
        n, k = len(clips), max(len(vectors) for vectors, _ in clips)
        self.vectors = torch.zeros(n, k, clips[0][0].shape[1])
        self.present = torch.zeros(n, k, dtype=torch.bool)
        self.measures = torch.zeros(n, k, len(MEASURES))
        for row, (vectors, sharp) in enumerate(clips):
            count = len(vectors)
            self.vectors[row, :count] = F.normalize(torch.from_numpy(vectors))
            self.present[row, :count] = True
            self.measures[row, :count] = torch.from_numpy(face_measures(vectors, sharp).astype(np.float32))


class PoolModel(nn.Module):
    """Attention and loss."""

    def __init__(self, target_prior: float):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(len(MEASURES)))  # training starts from the mean
        self.register_buffer("mean", torch.zeros(len(MEASURES)))
        self.register_buffer("std", torch.ones(len(MEASURES)))
        self.loss = VerificationLoss(target_prior)

    def shares(self, measures: Tensor, present: Tensor) -> Tensor:
        """Weights of the faces, (n, k), which sum to 1 in each clip: `FacePool.attention` for a batch of clips."""
        logits = ((measures - self.mean) / self.std).clamp(-5, 5) @ self.weight
        return logits.masked_fill(~present, float("-inf")).softmax(1)


def mix(clean: Faces, damaged: Faces, rows: Tensor, damaged_share: float) -> tuple[Tensor, Tensor, Tensor]:
    """Sample faces of clips: drop each with probability 1/2, but keep at least one; damage each with `damaged_share`.

    Returns
    -------
    vectors, measures, present
    """
    present = clean.present[rows]
    chance = torch.rand(present.shape).masked_fill(~present, -1.0)
    kept = present & ((chance > 0.5) | (chance == chance.max(1, keepdim=True).values))
    hit = (torch.rand(present.shape) < damaged_share) & damaged.present[rows]
    vectors = torch.where(hit[..., None], damaged.vectors[rows], clean.vectors[rows])
    return vectors, torch.where(hit[..., None], damaged.measures[rows], clean.measures[rows]), kept


def read_face_sets(config: FacePoolConfig) -> tuple[Faces, Faces, list[str]]:
    """Clean and damaged faces, and the person, of every clip with several faces in both versions.

    Raises
    ------
    InputError : no such clips, or clips of one person only
    """
    utt2spk = read_table(Path(config.data_dir) / "utt2spk", fields=2, shape="utterance speaker")
    sets = []
    for scp in (config.faces, config.damaged_faces):
        vectors, sharp = read_table(scp), read_table(Path(scp).with_name("faces_sharpness.scp"))
        sets.append({utt: (read_entry(entry), read_entry(sharp[utt])) for utt, entry in vectors.items()
                     if utt in utt2spk and utt in sharp})  # fmt: skip
    clean, damaged = sets
    utts = [utt for utt in clean if len(clean[utt][0]) > 1 and len(clean[utt][0]) == len(damaged.get(utt, [[]])[0])]
    people = [utt2spk[utt] for utt in utts]
    if not 1 < len(set(people)) < len(people):
        raise InputError(f"{config.faces}: {len(utts)} clips of {len(set(people))} people have several faces, clean "
                        "and damaged, and are in utt2spk; pairs need 2 people, one of them with 2 clips")  # fmt: skip
    return Faces([clean[utt] for utt in utts]), Faces([damaged[utt] for utt in utts]), people


class FacePoolTask(Task):
    """`task: face_pool`: writes face_pool.json. It trains only two weights, so a dry run would be pointless."""

    config_class = FacePoolConfig
    title = "Attention over the faces of a clip, by their quality."

    def read(self) -> Inputs:
        config = self.config
        self.clean, self.damaged, self.people = read_face_sets(config)
        hashes = [digest_arrays(x.vectors, x.present, x.measures) for x in (self.clean, self.damaged)]
        return Inputs({"data": [digest(self.people), *hashes]})

    def make_model(self) -> PoolModel:
        model = PoolModel(self.config.target_prior)
        every = torch.arange(len(self.people))
        _, measures, present = mix(self.clean, self.damaged, every, self.config.damaged_share)
        model.mean.copy_(measures[present].mean(0))
        model.std.copy_(measures[present].std(0).clamp(min=1e-6))
        return model

    def prepare(self, trainer: Trainer) -> None:
        names = sorted(set(self.people))
        numbers = {spk: number for number, spk in enumerate(names)}
        self.labels = torch.tensor([numbers[spk] for spk in self.people])
        log.info("%d clips of %d people, up to %d faces per clip", len(self.people), len(names),
                 self.clean.present.shape[1])  # fmt: skip

    def make_step(self, trainer: Trainer) -> Step:
        """The step on rows of the clips."""
        model = self.model

        def step(rows: Tensor) -> tuple[Tensor, dict]:
            mixed = mix(self.clean, self.damaged, rows, self.config.damaged_share)
            vectors, measures, present = (x.to(trainer.device) for x in mixed)
            pooled = (model.shares(measures, present)[..., None] * vectors).sum(1)
            return model.loss(pooled, self.labels[rows].to(trainer.device)), {}

        return step

    def plan(self, epoch: int) -> list[Tensor]:
        size = min(self.config.batch_size, len(self.people))
        return plan_by_person(self.labels, size, self.config.clips_per_person, [self.config.seed, epoch])

    def batches(self, epoch: int) -> list[Tensor]:
        return self.plan(epoch)

    def save(self) -> None:
        model = self.model
        pool = FacePool(*(tuple(x.tolist()) for x in (model.mean.cpu(), model.std.cpu(), model.weight.detach().cpu())))
        log.info("attention: %s", ", ".join(f"{w:+.2f} {name}" for w, name in zip(pool.weight, MEASURES, strict=True)))
        save_face_pool(self.config.exp_dir, pool)
