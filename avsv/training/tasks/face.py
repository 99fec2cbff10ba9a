"""Training a face network: an IR-ResNet with AAM-softmax on aligned faces, one class a person.

The experiment's folder becomes a face pack: recognition.onnx, and detector.onnx of the pack that aligned the faces.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset

from avsv.errors import InputError
from avsv.features.face_damage import damage_faces, draw_face_damage
from avsv.features.face_pack import load_pack
from avsv.features.faces import SIDE, read_faces
from avsv.jobs.files import copy_file
from avsv.jobs.fingerprints import digest, file_digest
from avsv.kaldi.data_dir import read_data_dir
from avsv.losses.margin import AAMSoftmax, warmed_margin
from avsv.models.iresnet import IResNet, save_onnx
from avsv.models.ranges import within
from avsv.training.config import TrainingConfig
from avsv.training.dry_run import Rehearsal
from avsv.training.image_augmentation import fast_layout, plan_batches, to_input, vary_face
from avsv.training.trainer import Step, Trainer, finish_experiment, load_batches, start_experiment
from avsv.training.validation import held_out_eer, read_held_out

log = logging.getLogger("avsv")
# milder than a noisy test set: a picture with nothing left to see teaches nothing (our choice)
DAMAGE = {
    "gaussian-blur": {"sigma": (0.5, 3.0)},
    "motion-blur-vertical": {"length": (3.0, 12.0)},
    "motion-blur-horizontal": {"length": (3.0, 12.0)},
    "occlusion": {"share": (0.05, 0.25)},
}


@dataclass
class FaceConfig(TrainingConfig):
    """`task: face`."""

    detector: str = ""  # the pack that aligned the faces; its detector is copied, so that exp_dir is a pack
    blocks: tuple[int, ...] = within((3, 4, 14, 3), 1, 200)  # IResNet50
    channels: tuple[int, ...] = within((64, 128, 256, 512), 1, 16384)
    embedding_size: int = within(512, 1, 16384)
    stem_stride: int = within(1, 1, 8)  # 2: a quarter of the work, for a laptop
    dropout: float = within(0.0, 0, below=1)
    scale: float = within(64.0, above=0, high=10_000)
    margin: float = within(0.5, 0, 3)
    margin_warmup: float = within(0.3, 0, 1)  # share of the epochs in which the margin grows from 0
    faces_per_clip: int = within(1, 1, 10_000)  # an epoch has this many random faces of each clip
    shift: float = within(3.0, 0, 112)  # pixels of 112
    zoom: float = within(0.05, 0, below=1)
    rotation: float = within(5.0, 0, 180)  # degrees
    colour: float = within(0.3, 0, 1)
    damage_share: float = within(0.2, 0, 1)  # of the faces that are blurred or partly hidden


class Faces(Dataset):
    """Random faces of clips; an item is asked for by (clip, seed), so that a batch is the same each time.

    Faces are read from the archive when they are wanted: what fits into memory stays in the system's file cache, and
    what does not fit is no obstacle.
    """

    def __init__(self, config: FaceConfig, entries: list[str], labels: np.ndarray):
        self.config, self.entries, self.labels = config, entries, labels

    def __getitem__(self, item: tuple[int, int]) -> tuple[torch.Tensor, int]:
        clip, seed = item
        rng = np.random.default_rng(seed)
        faces = read_faces(self.entries[clip])
        face = self.change(faces[rng.integers(len(faces))], rng)
        return to_input(face), int(self.labels[clip])

    def change(self, face: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """One face moved, mirrored, recoloured and sometimes damaged."""
        config = self.config
        face = vary_face(face, rng, config.shift, config.zoom, config.rotation, config.colour)
        if rng.random() < config.damage_share:
            face = damage_faces(face[None], draw_face_damage(rng, DAMAGE))[0]
        return face

    def plan(self, epoch: int) -> list[list[tuple[int, int]]]:
        """Batches of one epoch: `faces_per_clip` times every clip, in a random order."""
        clips = list(range(len(self.entries))) * self.config.faces_per_clip
        return plan_batches(clips, self.config.batch_size, self.config.seed, epoch)


class FaceModel(nn.Module):
    """Network and loss in one module."""

    def __init__(self, config: FaceConfig, n_people: int):
        super().__init__()
        if not len(config.blocks) == len(config.channels) > 0:
            raise InputError(f"blocks={list(config.blocks)} channels={list(config.channels)}: expected one of each a "
                            "stage")  # fmt: skip
        self.config = config
        self.net = IResNet(config.blocks, config.channels, config.embedding_size, config.stem_stride, config.dropout)
        self.layout = fast_layout(self.net)
        self.net.to(memory_format=self.layout)
        self.loss = AAMSoftmax(config.embedding_size, n_people, config.scale, config.margin)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """(batch, 3, 112, 112) uint8 RGB -> (batch, embedding size)."""
        return self.net(((pictures.float() - 127.5) / 127.5).contiguous(memory_format=self.layout))


def read_middle(entry: str) -> torch.Tensor:
    """The middle one of a held-out clip's faces."""
    faces = read_faces(entry)
    return to_input(faces[len(faces) // 2])


def make_step(model: FaceModel, trainer: Trainer) -> Step:
    """The step on a batch of pictures (batch, 3, 112, 112) uint8 and people (batch,)."""
    config = model.config

    def step(batch):
        pictures, label = (part.to(trainer.device, non_blocking=True) for part in batch)
        model.loss.margin = warmed_margin(config.margin, trainer.epoch / config.epochs, config.margin_warmup)
        loss, logits = model.loss(model(pictures), label)
        return loss, {"accuracy": (logits.argmax(1) == label).float().mean()}

    return step


def rehearse(config: FaceConfig, n_people: int, n_clips: int) -> Rehearsal:
    """A dry run on pictures of noise."""
    model = FaceModel(config, n_people)

    def make_batch(n):
        return torch.randint(256, (n, 3, SIDE, SIDE), dtype=torch.uint8), torch.randint(n_people, (n,))

    examples = n_clips * config.faces_per_clip
    return Rehearsal(model, lambda trainer: make_step(model, trainer), make_batch, examples, "a face")


def train_face(config: FaceConfig) -> None:
    """Train, and write a face pack in `config.exp_dir`.

    Raises
    ------
    InputError : no faces.scp, faces of fewer than 2 people, no detector in the pack, not as many blocks as channels
    """
    data = read_data_dir(config.data_dir)
    entries = {utt: entry for utt, entry in data.table("faces.scp").items() if utt in data.utt2spk}
    if not entries:
        raise InputError(f"{config.data_dir}/faces.scp: is absent or empty; make it with avsv align-faces")
    clips = sorted(entries)
    people = sorted({data.utt2spk[utt] for utt in clips})
    if len(people) < 2:
        raise InputError(f"{config.data_dir}: has faces of {len(people)} people, at least 2 are needed to train")
    held_out = read_held_out(config, set(people))
    detector = load_pack(config.detector, tasks=("detection",)).files("detection")[0] if config.detector else None
    inputs = {
        "data": digest([[utt, data.utt2spk[utt], entries[utt]] for utt in clips]),
        "detector": detector and file_digest(detector),
    }
    if not start_experiment(config, inputs, [entries, *([held_out.table("faces.scp")] if held_out else [])]):
        return
    cv2.setNumThreads(1)  # processes that prepare batches do one picture at a time
    torch.manual_seed(config.seed)
    numbers = {spk: number for number, spk in enumerate(people)}
    labels = np.array([numbers[data.utt2spk[utt]] for utt in clips])
    faces = Faces(config, [entries[utt] for utt in clips], labels)
    model = FaceModel(config, len(people))
    trainer = Trainer(model, config)
    log.info("%s: %d clips of %d people", config.data_dir, len(clips), len(people))

    def batches(epoch):
        return load_batches(faces, faces.plan(epoch), config)

    validate = held_out and held_out_eer(config, held_out, held_out.table("faces.scp"), read_middle,
                                         lambda model, pictures: model(pictures.to(trainer.device)))  # fmt: skip
    trainer.fit(make_step(model, trainer), batches, len(faces.plan(0)), validate)
    save_onnx(model.net, Path(config.exp_dir) / "recognition.onnx")
    if detector:
        copy_file(detector, Path(config.exp_dir) / "detector.onnx")
    else:
        log.warning("%s: has no detector, so embed-face can use it on data with faces.scp only", config.exp_dir)
    finish_experiment(config)
