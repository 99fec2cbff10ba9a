"""Training a speaker encoder of the registry on random crops of damaged audio, with a loss of the configuration.

`loss: aam` and `loss: softmax` classify the training speakers; `loss: contrastive` and `loss: triplet` compare the
recordings of a batch, which has `clips_per_person` of each of its speakers, and usually start from a softmax training
(`init`).
"""

import logging
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset

from avsv.errors import InputError
from avsv.features.audio_damage import damage_audio, draw_audio_damage, read_noises
from avsv.jobs.fingerprints import file_digest
from avsv.kaldi.data_dir import read_data_dir
from avsv.losses.heads import Softmax
from avsv.losses.margin import AAMSoftmax, warmed_margin
from avsv.losses.metric import CosineTripletLoss, SiameseLoss
from avsv.media.decoder_process import guarded
from avsv.media.waveforms import WaveformStore, read_part, resample
from avsv.models.ranges import choice, within
from avsv.models.self_supervised import SelfSupervisedEncoder
from avsv.models.self_supervised_files import load_pretrained, weights_of
from avsv.models.speaker_encoders import (
    SpeakerEncoderOptions,
    encoder_arguments,
    make_front_end,
    make_speaker_encoder,
)
from avsv.models.speechbrain_folder import save_speechbrain_folder
from avsv.training.batches import plan_by_person
from avsv.training.config import TrainingConfig
from avsv.training.distributed import draw_share, from_all
from avsv.training.labels import label_clips
from avsv.training.task import Inputs, RandomData, Task
from avsv.training.trainer import Step, Trainer, Validate
from avsv.training.validation import held_out_eer, read_held_out

log = logging.getLogger("avsv")
RATE = 16000
PAIRWISE = ("contrastive", "triplet")
VALID_SECONDS = 4.0  # length of the excerpt from the middle of each held-out clip


@dataclass
class VoiceConfig(SpeakerEncoderOptions, TrainingConfig):
    """`task: voice`."""

    noise_dir: str = ""  # data directory of local/prepare_musan.py; empty: no noise is added
    noise_share: float = within(0.6, 0, 1)  # share of damaged crops
    noise_snr: tuple[float, float] = within((0.0, 15.0), -100, 100, rising=True)  # dB
    speeds: tuple[float, ...] = within((0.9, 1.0, 1.1), 0.1, 10)  # each speed other than 1.0 adds new speakers
    crop_seconds: tuple[float, float] = within((2.0, 3.0), 0.1, 600, rising=True)
    crops_per_clip: int = within(1, 1, 10_000)  # crops of each clip at each speed per epoch
    cache_mib: int = within(2000, 0, 1 << 24)  # memory for decoded audio
    loss: str = choice("aam", "aam", "softmax", "contrastive", "triplet")
    scale: float = within(30.0, above=0, high=10_000)  # aam only
    # aam: radians; contrastive: distance of embeddings of length 1; triplet: cosine
    margin: float = within(0.2, 0, 3)
    classifier_size: int = within(0, 0, 16384)  # softmax only: units of a hidden layer before the classes; 0: none
    clips_per_person: int = within(
        0, 0, 10_000
    )  # of each person in a batch, in random order of people; 0: as they come
    hard_share: float = within(0.5, 0, 1)  # contrastive only: share of pairs of different people that are the nearest
    margin_warmup: float = within(0.3, 0, 1)  # share of the epochs during which the margin grows from 0
    # ssl only: learning rate of the self-supervised model as a share of the head's; 0: it is not trained
    ssl_rate: float = within(0.0, 0, 1)
    mask_frames: int = within(0, 0, 100_000)  # SpecAugment: longest run of frames set to the mean
    mask_bands: int = within(0, 0, 80)  # SpecAugment: most mel bands set to the mean

    def check(self) -> None:
        super().check()
        if self.loss in PAIRWISE and self.clips_per_person < 2:
            raise ValueError(f"clips_per_person={self.clips_per_person}: loss={self.loss} compares clips of a person "
                             "within a batch; expected 2 or more")  # fmt: skip


class Crops(Dataset):
    """Random crops; items are indexed by (clip, speed, seconds, seed), which makes batches repeatable."""

    def __init__(self, config: VoiceConfig, paths: list[str], labels: np.ndarray, n_people: int):
        self.config, self.paths, self.labels, self.n_people = config, paths, labels, n_people
        self.noises = read_noises(config.noise_dir) if config.noise_dir else None
        noise_paths = sorted({p for paths in self.noises.values() for p in paths}) if self.noises else []
        self.store = open_store(config, paths, noise_paths)
        self.usable = [i for i, path in enumerate(paths) if path not in self.store.bad]

    def __getitem__(self, item: tuple[int, int, float, int]) -> tuple[torch.Tensor, int]:
        clip, speed, seconds, seed = item
        rng = np.random.default_rng(seed)
        factor = self.config.speeds[speed]
        n_samples = int(seconds * RATE)
        waveform = self.store.part(self.paths[clip], rng.random(), int(np.ceil(n_samples * factor)))
        if factor != 1:
            waveform = resample(waveform, round(RATE * factor), RATE)
        waveform = take_length(waveform, n_samples)
        if self.noises and rng.random() < self.config.noise_share:
            damage = draw_audio_damage(rng, self.noises, snr=self.config.noise_snr)
            waveform = damage_audio(waveform, damage, self.store.part)
        return torch.from_numpy(waveform), int(self.labels[clip]) + speed * self.n_people

    def plan(self, epoch: int) -> list[list[tuple[int, int, float, int]]]:
        """Batches of one epoch, each with crops of one length.

        They have every usable clip at every speed in random order, or `clips_per_person` of each person.
        """
        config = self.config
        rng = np.random.default_rng([config.seed, epoch])
        items = [(c, s) for c in self.usable for s in range(len(config.speeds)) for _ in range(config.crops_per_clip)]
        size = min(config.batch_size, len(items))
        if config.clips_per_person:
            classes = torch.tensor([int(self.labels[clip]) + speed * self.n_people for clip, speed in items])
            chosen = plan_by_person(classes, size, config.clips_per_person, [config.seed, epoch])
        else:  # batch norm needs full batches: skip the remaining clips
            order = rng.permutation(len(items))
            chosen = [order[begin : begin + size] for begin in range(0, len(items) - size + 1, size)]
        batches = []
        for rows in chosen:
            seconds = round(float(rng.uniform(*config.crop_seconds)), 2)
            seeds = rng.integers(0, 2**62, len(rows))
            batches.append([(*items[row], seconds, int(seed)) for row, seed in zip(rows, seeds, strict=True)])
        return batches


def open_store(config: Any, paths: list[str], noise_paths: list[str]) -> WaveformStore:
    """The audio of recordings and noises; logs the ones that cannot be read.

    Parameters
    ----------
    config : has cache_mib and allow_pipes

    Raises
    ------
    InputError : more of them cannot be read than a twentieth of the recordings
    """
    store = WaveformStore([*paths, *noise_paths], config.cache_mib, config.allow_pipes)
    if len(store.bad) > 0.05 * len(paths):
        raise InputError(f"{len(store.bad)} recordings cannot be read; the first: {next(iter(store.bad.values()))}")
    for reason in store.bad.values():
        log.warning("left out: %s", reason)
    return store


def take_length(waveform: np.ndarray, n_samples: int) -> np.ndarray:
    return np.resize(waveform, n_samples) if len(waveform) < n_samples else waveform[:n_samples]


class VoiceModel(nn.Module):
    """Features, encoder and loss in one module."""

    def __init__(self, config: VoiceConfig, n_people: int):
        super().__init__()
        self.config = config
        self.features, self.normalize = make_front_end(config.encoder, config.features)
        self.encoder = make_speaker_encoder(config.encoder, encoder_arguments(config))
        if isinstance(self.encoder, SelfSupervisedEncoder):
            load_pretrained(self.encoder, config.ssl)
            self.encoder.set_rate(config.ssl_rate)
        self.loss = make_loss(config, n_people * len(config.speeds))

    def forward(self, waveforms: torch.Tensor) -> torch.Tensor:
        """(batch, n) waveforms at 16 kHz -> (batch, embedding size)."""
        with torch.no_grad(), torch.autocast(waveforms.device.type, enabled=False):
            features = self.normalize(self.features(waveforms), torch.ones(len(waveforms), device=waveforms.device))
            if self.training:
                mask(features, self.config.mask_frames, dim=1)
                mask(features, self.config.mask_bands, dim=2)
        return self.encoder(features).squeeze(1)


def make_loss(config: VoiceConfig, n_classes: int) -> nn.Module:
    """The loss of a configuration: called with embeddings and classes, it returns a loss, and logits or figures."""
    if config.loss == "softmax":
        return Softmax(config.embedding_size, n_classes, config.classifier_size)
    if config.loss == "contrastive":
        return SiameseLoss(config.margin, config.hard_share)
    if config.loss == "triplet":
        return CosineTripletLoss(config.margin)
    return AAMSoftmax(config.embedding_size, n_classes, config.scale, config.margin)


def mask(features: torch.Tensor, longest: int, dim: int) -> None:
    """Set one random run of each example to 0, the mean of the features, in place (SpecAugment, Park et al., 2019)."""
    if not longest:
        return
    size = features.shape[dim]
    where, count = features.device, len(features)
    widths = draw_share(lambda n: torch.randint(0, longest + 1, (n, 1), device=where), count)
    begins = (draw_share(lambda n: torch.rand(n, 1, device=where), count) * (size - widths)).long()
    places = torch.arange(size, device=features.device)
    hit = (places >= begins) & (places < begins + widths)
    features.masked_fill_(hit.unsqueeze(2 if dim == 1 else 1), 0.0)


def read_middle(path: str, allow_pipes: bool = False) -> torch.Tensor:
    """VALID_SECONDS from the middle of a held-out recording; shorter recordings are repeated."""
    return torch.from_numpy(guarded(read_part, path, 0.5, int(VALID_SECONDS * RATE), RATE, allow_pipes))


class VoiceTask(Task):
    """`task: voice`: exp_dir becomes a folder that SpeechBrain's EncoderClassifier can load."""

    config_class = VoiceConfig
    title = "A speaker encoder: the waveform of a voice to an embedding."
    use = (
        'voice = avsv.load_voice_encoder("FOLDER")',
        "embeddings = voice([waveform])  # float32 at 16 kHz, full scale 1",
    )

    def read(self) -> Inputs:
        config = self.config
        data = read_data_dir(config.data_dir)
        self.clips = label_clips(data, data.wav, "audio")
        self.people = self.clips.people
        self.held_out = read_held_out(config, set(self.people))
        media = [data.wav, *([self.held_out.wav] if self.held_out else [])]
        keys = {"data": self.clips.digest()}
        if config.encoder == "ssl":
            keys["ssl"] = file_digest(weights_of(config.ssl))
        return Inputs(keys, media)

    def random_data(self, n_people: int, n_clips: int) -> RandomData:
        config, seconds = self.config, self.config.crop_seconds[1]
        self.people = [str(number) for number in range(n_people)]

        def make_batch(n):
            return 0.1 * torch.randn(n, int(seconds * RATE)), torch.randint(n_people, (n,))

        examples = n_clips * len(config.speeds) * config.crops_per_clip
        return RandomData(make_batch, examples, f"{seconds:g} s of audio")

    def make_model(self) -> VoiceModel:
        return VoiceModel(self.config, len(self.people))

    def prepare(self, trainer: Trainer) -> None:
        self.dataset = Crops(self.config, self.clips.entries, self.clips.labels, len(self.people))

    def make_step(self, trainer: Trainer) -> Step:
        """The step on a batch of waveforms (batch, n) and classes (batch,)."""
        return (metric_step if self.config.loss in PAIRWISE else classification_step)(self.model, trainer)

    def make_validation(self, trainer: Trainer) -> Validate | None:
        if not self.held_out:
            return None
        read = partial(read_middle, allow_pipes=self.config.allow_pipes)
        return held_out_eer(self.config, self.held_out, self.held_out.wav, read,
                            lambda model, audio: model(audio.to(trainer.device)))  # fmt: skip

    def save(self) -> None:
        config, model = self.config, self.model
        if isinstance(model.loss, AAMSoftmax):
            names = [spk if speed == 1 else f"{spk}@{speed:g}" for speed in config.speeds for spk in self.people]
            centres = model.loss.weight.detach()
        else:  # SpeechBrain's classifier is one of cosines with class centres, which other losses do not have
            names, centres = ["nobody"], torch.zeros(1, config.embedding_size)
        save_speechbrain_folder(Path(config.exp_dir), model.encoder, centres, names,
                                encoder_arguments(config), config.encoder, config.features)  # fmt: skip


def classification_step(model: nn.Module, trainer: Trainer) -> Step:
    """The step of a model with a classifier: examples and classes -> loss and accuracy.

    The margin of a margin loss grows from epoch to epoch, over the share of the training given by `margin_warmup`.
    """
    config = model.config

    def step(batch):
        examples, label = (part.to(trainer.device, non_blocking=True) for part in batch)
        model.loss.margin = warmed_margin(config.margin, trainer.epoch / config.epochs, config.margin_warmup)
        loss, logits = model.loss(model(examples), label)
        return loss, {"accuracy": (logits.argmax(1) == label).float().mean()}

    return step


def metric_step(model: nn.Module, trainer: Trainer) -> Step:
    """The step of a model whose loss compares the recordings of a batch: examples and classes -> loss and figures.

    With several processes, each embeds its share, and the loss sees the whole batch.
    """

    def step(batch):
        examples, label = (part.to(trainer.device, non_blocking=True) for part in batch)
        return model.loss(from_all(model(examples)), from_all(label))

    return step
