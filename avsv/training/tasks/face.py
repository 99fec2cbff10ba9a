"""Training a face network: an IR-ResNet with AAM-softmax on aligned faces, one class per person.

The experiment's folder becomes a face pack: recognition.onnx, and detector.onnx from the pack that aligned the faces.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset

from avsv.features.face_damage import damage_faces, draw_face_damage
from avsv.features.face_pack import load_pack
from avsv.features.faces import SIDE, read_faces
from avsv.jobs.files import copy_file
from avsv.jobs.fingerprints import file_digest
from avsv.kaldi.data_dir import read_data_dir
from avsv.losses.margin import AAMSoftmax
from avsv.models.face_encoders import FaceEncoderOptions, make_face_encoder, save_onnx
from avsv.models.ranges import within
from avsv.training.config import TrainingConfig
from avsv.training.image_augmentation import fast_layout, plan_batches, to_input, vary_face
from avsv.training.labels import aligned_faces, label_clips
from avsv.training.task import Inputs, RandomData, Task
from avsv.training.tasks.voice import classification_step
from avsv.training.trainer import Step, Trainer, Validate
from avsv.training.validation import held_out_eer, read_held_out

log = logging.getLogger("avsv")
# milder than in the noisy test sets: a face that cannot be recognised teaches nothing (our choice)
DAMAGE = {
    "gaussian-blur": {"sigma": (0.5, 3.0)},
    "motion-blur-vertical": {"length": (3.0, 12.0)},
    "motion-blur-horizontal": {"length": (3.0, 12.0)},
    "occlusion": {"share": (0.05, 0.25)},
}


@dataclass
class FaceConfig(FaceEncoderOptions, TrainingConfig):
    """`task: face`."""

    detector: str = ""  # the pack that aligned the faces; its detector is copied, which makes exp_dir a complete pack
    scale: float = within(64.0, above=0, high=10_000)
    margin: float = within(0.5, 0, 3)
    margin_warmup: float = within(0.3, 0, 1)  # share of the epochs during which the margin grows from 0
    faces_per_clip: int = within(1, 1, 10_000)  # random faces of each clip per epoch
    shift: float = within(3.0, 0, 112)  # pixels of 112
    zoom: float = within(0.05, 0, below=1)
    rotation: float = within(5.0, 0, 180)  # degrees
    colour: float = within(0.3, 0, 1)
    damage_share: float = within(0.2, 0, 1)  # share of faces that are blurred or partly occluded


class Faces(Dataset):
    """Random faces of clips; items are indexed by (clip, seed), which makes batches repeatable.

    Faces are read from the archive on demand. The system's file cache keeps as many as memory allows; the training set
    may be larger.
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
        """Move, mirror and recolour a face, and sometimes damage it."""
        config = self.config
        face = vary_face(face, rng, config.shift, config.zoom, config.rotation, config.colour)
        if rng.random() < config.damage_share:
            face = damage_faces(face[None], draw_face_damage(rng, DAMAGE))[0]
        return face

    def plan(self, epoch: int) -> list[list[tuple[int, int]]]:
        """Batches of one epoch: every clip `faces_per_clip` times, in random order."""
        clips = list(range(len(self.entries))) * self.config.faces_per_clip
        return plan_batches(clips, self.config.batch_size, self.config.seed, epoch)


class FaceModel(nn.Module):
    """Network and loss in one module."""

    def __init__(self, config: FaceConfig, n_people: int):
        super().__init__()
        self.config = config
        self.net = make_face_encoder(config)
        self.layout = fast_layout(self.net)
        self.net.to(memory_format=self.layout)
        self.loss = AAMSoftmax(config.embedding_size, n_people, config.scale, config.margin)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(batch, 3, 112, 112) uint8 RGB -> (batch, embedding size)."""
        return self.net(((images.float() - 127.5) / 127.5).contiguous(memory_format=self.layout))


def read_middle(entry: str) -> torch.Tensor:
    """The middle face of a held-out clip."""
    faces = read_faces(entry)
    return to_input(faces[len(faces) // 2])


class FaceTask(Task):
    """`task: face`: exp_dir becomes a face pack."""

    config_class = FaceConfig
    title = "A face encoder: aligned faces to embeddings."
    use = (
        'face = avsv.load_face_encoder("FOLDER")',
        "embeddings = face.embedder.embed_faces(faces)  # (n, 112, 112, 3) uint8 BGR",
    )

    def read(self) -> Inputs:
        config = self.config
        data = read_data_dir(config.data_dir)
        entries = aligned_faces(data)
        self.clips = label_clips(data, entries, "faces")
        self.n_people = len(self.clips.people)
        self.held_out = read_held_out(config, set(self.clips.people))
        self.detector = detector_of(config.detector)
        keys = {"data": self.clips.digest(), "detector": self.detector and file_digest(self.detector)}
        return Inputs(keys, [entries, *([self.held_out.table("faces.scp")] if self.held_out else [])])

    def random_data(self, n_people: int, n_clips: int) -> RandomData:
        self.n_people = n_people

        def make_batch(n):
            return torch.randint(256, (n, 3, SIDE, SIDE), dtype=torch.uint8), torch.randint(n_people, (n,))

        return RandomData(make_batch, n_clips * self.config.faces_per_clip, "a face")

    def make_model(self) -> FaceModel:
        return FaceModel(self.config, self.n_people)

    def prepare(self, trainer: Trainer) -> None:
        cv2.setNumThreads(1)  # each worker process handles one image at a time
        self.dataset = Faces(self.config, self.clips.entries, self.clips.labels)
        log.info("%s: %d clips of %d people", self.config.data_dir, len(self.clips.utts), self.n_people)

    def make_step(self, trainer: Trainer) -> Step:
        """The step on a batch of images (batch, 3, 112, 112) uint8 and people (batch,)."""
        return classification_step(self.model, trainer)

    def make_validation(self, trainer: Trainer) -> Validate | None:
        if not self.held_out:
            return None
        return held_out_eer(self.config, self.held_out, self.held_out.table("faces.scp"), read_middle,
                            lambda model, images: model(images.to(trainer.device)))  # fmt: skip

    def save(self) -> None:
        save_onnx(self.model.net, Path(self.config.exp_dir) / "recognition.onnx")
        copy_detector(self.detector, self.config.exp_dir, "embed-face")


def detector_of(pack: str) -> Path | None:
    """The detector file of a face pack; None without a pack."""
    return load_pack(pack, tasks=("detection",)).files("detection")[0] if pack else None


def copy_detector(detector: Path | None, exp_dir: str, verb: str) -> None:
    """Copy a detector to `exp_dir`, which lets the command `verb` find faces with that folder alone."""
    if detector:
        copy_file(detector, Path(exp_dir) / "detector.onnx")
    else:
        log.warning("%s: has no detector, so %s can use it only on data with faces.scp", exp_dir, verb)
