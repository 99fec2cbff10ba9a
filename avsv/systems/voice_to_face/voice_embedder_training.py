"""Training the voice embedder of voice to face as a speaker classifier with cross-entropy on crops of speech.

As in Wen, Raj and Singh, NeurIPS 2019, it is trained first and frozen while the generator is trained.
"""

import logging
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import Dataset

from avsv.errors import InputError
from avsv.kaldi.data_dir import read_data_dir
from avsv.models.ranges import within
from avsv.systems.voice_to_face.networks import VoiceEmbedder
from avsv.systems.voice_to_face.speech_features import N_MELS
from avsv.systems.voice_to_face.speech_store import SpeechStore
from avsv.training.config import TrainingConfig
from avsv.training.labels import label_clips
from avsv.training.task import Inputs, RandomData, Task
from avsv.training.trainer import Step, Trainer, Validate
from avsv.training.validation import held_out_eer, read_held_out

log = logging.getLogger("avsv")


@dataclass
class VoiceEmbedderConfig(TrainingConfig):
    """`task: voice_embedder`."""

    # least and greatest length of crops in frames of 10 ms; one length per batch
    crop_frames: tuple[int, int] = within((300, 800), 1, 60_000, rising=True)
    crops_per_clip: int = within(1, 1, 10_000)  # in an epoch
    cache_mib: int = within(4000, 0, 1 << 24)  # memory for spectrograms
    channels: tuple[int, ...] = within((256, 384, 576, 864), 1, 16384)
    embedding_size: int = within(64, 1, 16384)
    mask_bands: int = within(0, 0, 64)  # largest number of consecutive bands masked in each crop (SpecAugment; ours)


class SpeechCrops(Dataset):
    """Random crops; an item is indexed by (clip, frames, seed), which makes batches reproducible."""

    def __init__(self, config: VoiceEmbedderConfig, paths: list[str], labels: np.ndarray):
        self.config, self.paths, self.labels = config, paths, labels
        self.store = SpeechStore(paths, config.cache_mib, config.allow_pipes)
        self.usable = [clip for clip, path in enumerate(paths) if path not in self.store.bad]

    def __getitem__(self, item: tuple[int, int, int]) -> tuple[Tensor, int]:
        clip, n_frames, seed = item
        rng = np.random.default_rng(seed)
        others = np.flatnonzero(self.labels == self.labels[clip])
        paths = [self.paths[clip], *(self.paths[other] for other in rng.permutation(others) if other != clip)]
        mels = self.store.crop_of_any(paths, rng.random(), n_frames)
        if self.config.mask_bands:
            width = rng.integers(self.config.mask_bands + 1)
            begin = rng.integers(N_MELS - width + 1)
            mels[begin : begin + width] = 0
        return torch.from_numpy(mels), int(self.labels[clip])

    def plan(self, epoch: int) -> list[list[tuple[int, int, int]]]:
        """Plan one epoch: every usable clip `crops_per_clip` times in random order, one length per batch."""
        rng = np.random.default_rng([self.config.seed, epoch])
        order = rng.permutation(self.usable * self.config.crops_per_clip)
        size = min(self.config.batch_size, len(order))
        batches = []
        for begin in range(0, len(order) - size + 1, size):  # without the incomplete last batch, for batch norm
            n_frames = int(rng.integers(self.config.crop_frames[0], self.config.crop_frames[1] + 1))
            seeds = rng.integers(0, 2**62, size)
            rows = order[begin : begin + size]
            batches.append([(int(clip), n_frames, int(seed)) for clip, seed in zip(rows, seeds, strict=True)])
        return batches


class SpeakerClassifier(nn.Module):
    """The embedder with a linear classifier of the training speakers."""

    def __init__(self, config: VoiceEmbedderConfig, n_people: int):
        super().__init__()
        self.embedder = VoiceEmbedder(config.channels, config.embedding_size)
        self.classifier = nn.Linear(config.embedding_size, n_people)

    def forward(self, mels: Tensor) -> Tensor:
        """(batch, 64, frames) -> (batch, embedding size)."""
        return self.embedder(mels)


def refuse_crop_frames(crop_frames: tuple[int, int]) -> None:
    """InputError unless crop_frames is a range of positive numbers."""
    least, most = crop_frames
    if not 1 <= least <= most:
        raise InputError(f"crop_frames={list(crop_frames)}: expected an increasing pair of integers >= 1")


class VoiceEmbedderTask(Task):
    """`task: voice_embedder`: the checkpoint contains the embedder, for `task: voice_to_face`."""

    config_class = VoiceEmbedderConfig
    title = "The embedder of voices from which faces are generated."

    def read(self) -> Inputs:
        config = self.config
        refuse_crop_frames(config.crop_frames)
        data = read_data_dir(config.data_dir)
        self.clips = label_clips(data, data.wav, "audio")
        self.n_people = len(self.clips.people)
        self.held_out = read_held_out(config, set(self.clips.people))
        return Inputs({"data": self.clips.digest()}, [one.wav for one in (data, self.held_out) if one])

    def random_data(self, n_people: int, n_clips: int) -> RandomData:
        """Random spectrograms of the longest crop."""
        self.n_people, n_frames = n_people, self.config.crop_frames[1]

        def make_batch(n):
            return torch.randn(n, N_MELS, n_frames), torch.randint(n_people, (n,))

        return RandomData(make_batch, n_clips * self.config.crops_per_clip, f"{n_frames} frames")

    def make_model(self) -> SpeakerClassifier:
        return SpeakerClassifier(self.config, self.n_people)

    def prepare(self, trainer: Trainer) -> None:
        self.dataset = SpeechCrops(self.config, self.clips.entries, self.clips.labels)
        log.info("%s: %d clips of %d people", self.config.data_dir, len(self.dataset.usable), self.n_people)

    def make_step(self, trainer: Trainer) -> Step:
        """The step on a batch of spectrograms (batch, 64, frames) and people (batch,)."""
        model = self.model

        def step(batch):
            mels, label = (part.to(trainer.device, non_blocking=True) for part in batch)
            logits = model.classifier(model(mels)).float()
            return F.cross_entropy(logits, label), {"accuracy": (logits.argmax(1) == label).float().mean()}

        return step

    def make_validation(self, trainer: Trainer) -> Validate | None:
        config = self.config
        if not self.held_out:
            return None

        def read_middle(path: str) -> Tensor:
            return torch.from_numpy(SpeechStore([], 0, config.allow_pipes).crop(path, 0.5, config.crop_frames[0]))

        return held_out_eer(config, self.held_out, self.held_out.wav, read_middle,
                            lambda model, mels: model(mels.to(trainer.device)))  # fmt: skip

    def save(self) -> None:
        """Nothing to do: the checkpoint contains the network."""
