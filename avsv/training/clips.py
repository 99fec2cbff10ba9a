"""Training examples with audio and a face: a random crop and a random face of each clip, augmented and damaged."""

import logging
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from avsv.errors import InputError
from avsv.features.audio_damage import NOISY as VOICE_DAMAGE
from avsv.features.audio_damage import damage_audio, draw_audio_damage, read_noises
from avsv.features.face_damage import check_severities, damage_faces, draw_face_damage
from avsv.features.faces import SIDE, read_faces
from avsv.jobs.fingerprints import digest
from avsv.kaldi.data_dir import DataDir, read_data_dir
from avsv.kaldi.segments import Source
from avsv.media.decoder_process import guarded
from avsv.media.waveforms import read_part
from avsv.models.ranges import choice, within
from avsv.training.batches import plan_by_person
from avsv.training.config import TrainingConfig
from avsv.training.image_augmentation import plan_batches, to_input, vary_face
from avsv.training.task import Inputs, RandomData, Task
from avsv.training.tasks.voice import open_store, take_length
from avsv.training.trainer import Trainer
from avsv.training.validation import held_out_eer, read_held_out

log = logging.getLogger("avsv")
RATE = 16000
MODES = ("none", "one", "both")


@dataclass
class ClipsConfig(TrainingConfig):
    """Options of every training on audio and faces."""

    noise_dir: str = ""  # data directory of local/prepare_musan.py
    noise_snr: tuple[float, float] = within((0.0, 15.0), -100, 100, rising=True)  # dB
    voice_damage: tuple[str, ...] = choice(VOICE_DAMAGE, *VOICE_DAMAGE)  # kinds, equally likely
    # kind -> severity, such as {gaussian-blur: {sigma: [3, 3], size: 7}}; {} selects the severity of the noisy test
    # sets. Kinds are equally likely; an empty mapping selects the kinds of the noisy test sets
    face_damage: dict[str, Any] = field(default_factory=dict)
    # none | one | both: modalities damaged in a damaged clip; "one" picks voice or face with equal probability
    feature_damage: str = choice("one", "none", "one", "both")
    feature_damage_share: float = within(0.5, 0, 1)  # share of damaged clips
    drop_share: float = within(0.1, 0, 1)  # share of clips that lose one modality entirely (modality dropout)
    crop_seconds: float = within(2.0, 0.1, 600)
    crops_per_clip: int = within(1, 1, 10_000)  # crops of each clip per epoch
    # clips of each person in a batch, for pairs of the same person; 0: sample clips regardless of person
    clips_per_person: int = within(0, 0, 10_000)
    cache_mib: int = within(2000, 0, 1 << 24)  # memory for decoded audio
    # augmentation of faces: standard deviations of shift, zoom and rotation, and strength of colour changes
    shift: float = within(3.0, 0, 112)  # pixels of 112
    zoom: float = within(0.05, 0, below=1)
    rotation: float = within(5.0, 0, 180)  # degrees
    colour: float = within(0.3, 0, 1)


class Clip(NamedTuple):
    """One example, or a batch of examples with a leading batch axis.

    waveform : (n,) float32 at 16 kHz ; image : (3, 112, 112) uint8 RGB ; zeros where the modality is missing
    present : (2,) bool, voice and face
    damaged : (2,) bool, only ever true for a modality that is present
    label : index of the person
    """

    waveform: torch.Tensor
    image: torch.Tensor
    present: torch.Tensor
    damaged: torch.Tensor
    label: torch.Tensor


@dataclass(frozen=True)
class ClipList:
    """The clips of a data directory that have audio or aligned faces, sorted by name.

    wav : path or None ; faces : entry of faces.scp or None ; speakers : names ; all lists have one item per clip
    """

    utts: list[str]
    wav: list[str | None]
    faces: list[str | None]
    speakers: list[str]

    @property
    def people(self) -> list[str]:
        return sorted(set(self.speakers))


def list_clips(data: DataDir) -> ClipList:
    """List the clips of a data directory; a clip may have audio only or faces only.

    Raises
    ------
    InputError : no audio at all, no faces.scp, or fewer than two people
    """
    faces = data.table("faces.scp")
    if not data.wav or not faces:
        how = "; make it with avsv align-faces" if data.wav else ""
        raise InputError(
            f"{data.path}: has no {'faces.scp' if data.wav else 'wav.scp'}; both audio and faces are needed{how}"
        )
    utts = sorted(utt for utt in data.utt2spk if utt in data.wav or utt in faces)
    clips = ClipList(utts, *([table.get(utt) for utt in utts] for table in (data.wav, faces, data.utt2spk)))
    if len(clips.people) < 2:
        raise InputError(f"{data.path}: has clips of {len(clips.people)} people; training needs at least 2")
    return clips


class Clips(Dataset):
    """Random crops of audio with a random face of the same clip; items are indexed by (clip, seed)."""

    def __init__(self, config: ClipsConfig, clips: ClipList):
        if config.feature_damage not in MODES:
            raise InputError(f"feature_damage: {config.feature_damage}: expected one of {', '.join(MODES)}")
        check_severities(config.face_damage)
        self.damages = config.feature_damage != "none" and config.feature_damage_share > 0
        if self.damages and not config.noise_dir:
            raise InputError("feature_damage: damaging audio needs noise_dir; set it, or set feature_damage: none")
        cv2.setNumThreads(1)  # each worker process handles one image at a time
        self.config, self.clips = config, clips
        numbers = {name: number for number, name in enumerate(clips.people)}
        self.labels = [numbers[name] for name in clips.speakers]
        self.noises = read_noises(config.noise_dir) if self.damages else {}
        paths = [path for path in clips.wav if path]
        noises = sorted({path for kind_paths in self.noises.values() for path in kind_paths})
        self.store = open_store(config, paths, noises)
        self.noises = {kind: [p for p in paths if p not in self.store.bad] for kind, paths in self.noises.items()}
        self.has = np.array([(bool(w) and w not in self.store.bad, bool(f)) for w, f in zip(clips.wav, clips.faces)])
        self.usable = [int(clip) for clip in np.flatnonzero(self.has.any(1))]
        log.info("%s: %d clips of %d people, %d with audio, %d with a face", config.data_dir, len(self.usable),
                 len(clips.people), *self.has.sum(0))  # fmt: skip

    def __getitem__(self, item: tuple[int, int]) -> Clip:
        clip, seed = item
        rng = np.random.default_rng(seed)
        present, damaged = draw_modalities(rng, self.has[clip], self.config)
        waveform = torch.zeros(round(self.config.crop_seconds * RATE))
        image = torch.zeros(3, SIDE, SIDE, dtype=torch.uint8)
        if present[0]:
            waveform = torch.from_numpy(self.draw_waveform(self.clips.wav[clip], rng, damaged[0]))
        if present[1]:
            image = to_input(self.draw_face(self.clips.faces[clip], rng, damaged[1]))
        label = torch.tensor(self.labels[clip])
        return Clip(waveform, image, torch.from_numpy(present), torch.from_numpy(damaged), label)

    def draw_waveform(self, path: str, rng: np.random.Generator, damaged: bool) -> np.ndarray:
        n_samples = round(self.config.crop_seconds * RATE)
        waveform = self.store.part(path, rng.random(), n_samples)
        if damaged:
            damage = draw_audio_damage(rng, self.noises, self.config.voice_damage, self.config.noise_snr)
            waveform = take_length(damage_audio(waveform, damage, self.store.part), n_samples)
        return waveform

    def draw_face(self, entry: str, rng: np.random.Generator, damaged: bool) -> np.ndarray:
        config, faces = self.config, read_faces(entry)
        face = faces[rng.integers(len(faces))]
        face = vary_face(face, rng, config.shift, config.zoom, config.rotation, config.colour)
        if damaged:
            face = damage_faces(face[None], draw_face_damage(rng, config.face_damage or None))[0]
        return face

    def plan(self, epoch: int) -> list[list[tuple[int, int]]]:
        """Batches of one epoch: `crops_per_clip` times every clip in random order, or `clips_per_person` clips of each
        person in a batch.
        """
        config, items = self.config, self.usable * self.config.crops_per_clip
        if not config.clips_per_person:
            return plan_batches(items, config.batch_size, config.seed, epoch)
        labels = torch.tensor([self.labels[clip] for clip in items])
        size = min(config.batch_size, len(items))
        seeds = np.random.default_rng([config.seed, epoch, 1])
        return [[(items[row], int(seeds.integers(2**62))) for row in rows]
                for rows in plan_by_person(labels, size, config.clips_per_person, [config.seed, epoch])]  # fmt: skip


def draw_modalities(rng: np.random.Generator, available: np.ndarray,
                    config: ClipsConfig) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Draw the modalities that remain in a clip and those that are damaged.

    Modality dropout spares clips with a single modality, since an empty example teaches nothing.

    Parameters
    ----------
    available : (2,) bool, whether the clip has a voice and a face

    Returns
    -------
    present, damaged : (2,) bool each, voice and face

    Examples
    --------
    >>> config = ClipsConfig(feature_damage="both", feature_damage_share=1.0, drop_share=0.0)
    >>> [flags.tolist() for flags in draw_modalities(np.random.default_rng(0), np.array([True, False]), config)]
    [[True, False], [True, False]]
    """
    present = available.copy()
    drops, damages = rng.random(2) < [config.drop_share, config.feature_damage_share]
    dropped_modality, damaged_modality = rng.integers(2, size=2)
    if drops and present.all():
        present[dropped_modality] = False
    damaged = np.zeros(2, bool)
    if damages and config.feature_damage == "both":
        damaged[:] = True
    elif damages and config.feature_damage == "one":
        damaged[damaged_modality] = True
    return present, damaged & present


def to_device(clip: Clip, device: torch.device) -> Clip:
    return Clip(*(part.to(device, non_blocking=True) for part in clip))


def digest_clips(clips: ClipList) -> str:
    """A hash of the clips, their files and their speakers: inputs of the training."""
    return digest([clips.utts, clips.wav, clips.faces, clips.speakers])


class ClipsTask(Task):
    """Base class of trainings on whole clips: reads the clips and the held-out speakers, and hashes the inputs."""

    def read(self) -> Inputs:
        data = read_data_dir(self.config.data_dir)
        self.clips = list_clips(data)
        self.n_people = len(self.clips.people)
        self.held_out = read_held_out(self.config, set(self.clips.people))
        keys = {"data": digest_clips(self.clips), **self.read_models()}
        return Inputs(keys, media_of(data, self.held_out))

    @abstractmethod
    def read_models(self) -> dict[str, str | None]:
        """Read the models that the training starts from; return name -> hash."""

    def prepare(self, trainer: Trainer) -> None:
        self.dataset = Clips(self.config, self.clips)


def media_of(*sets: DataDir | None) -> list[Mapping[str, Source]]:
    """The wav.scp and faces.scp tables of data directories, for `start_experiment`."""
    return [table for data in sets if data for table in (data.wav, data.table("faces.scp"))]


def random_clips(config: ClipsConfig, n: int, n_people: int) -> Clip:
    """A batch of `n` random clips."""
    return Clip(
        0.1 * torch.randn(n, round(config.crop_seconds * RATE)),
        torch.randint(256, (n, 3, SIDE, SIDE), dtype=torch.uint8),
        torch.ones(n, 2, dtype=torch.bool),
        torch.zeros(n, 2, dtype=torch.bool),
        torch.randint(n_people, (n,)),
    )


def random_clip_data(config: ClipsConfig, n_people: int, n_clips: int) -> RandomData:
    """Random numbers in place of clips, for a dry run."""
    example = f"{config.crop_seconds:g} s of audio and a face"
    return RandomData(lambda n: random_clips(config, n, n_people), n_clips * config.crops_per_clip, example)


def validate_clips(
    config: ClipsConfig, data: DataDir, embed: Callable[[nn.Module, Clip], Tensor], device: torch.device
) -> Callable[[nn.Module], dict[str, float]]:
    """A function that measures the EER on held-out clips: the middle of the audio and the middle face, undamaged.

    Parameters
    ----------
    embed : (model, batch of clips) -> (batch, d) embeddings
    """
    clips = list_clips(data)
    n_samples = round(config.crop_seconds * RATE)

    def read(entry: tuple[str | None, str | None]) -> Clip:
        wav, faces = entry
        waveform, image = torch.zeros(n_samples), torch.zeros(3, SIDE, SIDE, dtype=torch.uint8)
        if wav:
            waveform = torch.from_numpy(guarded(read_part, wav, 0.5, n_samples, RATE, config.allow_pipes))
        if faces:
            images = read_faces(faces)
            image = to_input(images[len(images) // 2])
        present = torch.tensor([bool(wav), bool(faces)])
        return Clip(waveform, image, present, torch.zeros(2, dtype=torch.bool), torch.tensor(0))

    entries = dict(zip(clips.utts, zip(clips.wav, clips.faces, strict=True), strict=True))
    return held_out_eer(config, data, entries, read, lambda model, clip: embed(model, to_device(clip, device)))
