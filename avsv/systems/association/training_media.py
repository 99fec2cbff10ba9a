"""Training face-voice association end to end, on waveforms and aligned faces: the single-stream network and others."""

import logging
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from avsv.errors import InputError
from avsv.features.faces import read_faces
from avsv.jobs.fingerprints import digest
from avsv.kaldi.data_dir import DataDir, read_data_dir
from avsv.media.decoder_process import guarded
from avsv.media.waveforms import WaveformStore, read_waveform
from avsv.models.checkpoint import save
from avsv.models.ranges import options_of, within
from avsv.systems.association.embedding_media import embed_faces, embed_voices
from avsv.systems.association.input_images import square_face
from avsv.systems.association.networks.family import Pairs
from avsv.systems.association.networks.inception_resnet import TrunkOptions
from avsv.systems.association.networks.media import ASSOCIATION_MEDIA, MediaNetwork
from avsv.systems.association.spectrogram import LENGTH, drop_silence, magnitude_image
from avsv.systems.association.training import (
    PairingConfig,
    TrainingPeople,
    cross_modal_eer,
    number_people,
    people_with_both,
    plan_pairs,
    random_values,
)
from avsv.training.distributed import from_all
from avsv.training.image_augmentation import vary_face
from avsv.training.task import Inputs, RandomData, Task
from avsv.training.tasks.voice import take_length
from avsv.training.trainer import Step, Trainer, Validate
from avsv.training.validation import refuse_trained

log = logging.getLogger("avsv")
SPARE = 1.5  # length of a crop relative to a spectrogram, because silence is dropped from it


@dataclass
class AssociationMediaConfig(TrunkOptions, PairingConfig):
    """`task: association_media`."""

    shared_trunk: bool = True  # one trunk for both modalities (the single stream) instead of two
    shift: float = within(3.0, 0, 112)  # augmentation of faces: pixels of 112
    zoom: float = within(0.05, 0, below=1)
    rotation: float = within(5.0, 0, 180)  # degrees
    colour: float = within(0.3, 0, 1)
    # largest share of a spectrogram's rows, and of its columns, that is masked (SpecAugment)
    mask_share: float = within(0.2, 0, 1)
    cache_mib: int = within(2000, 0, 1 << 24)  # memory for decoded waveforms


@dataclass(frozen=True)
class MediaClips:
    """Clips of people with both modalities: entries of wav.scp and faces.scp, and the number of each clip's person."""

    wav: list[str]
    faces: list[str]
    voice_people: Tensor
    face_people: Tensor
    names: list[str]


def list_media(data: DataDir) -> MediaClips:
    """List the waveforms and aligned faces of a data directory.

    Raises
    ------
    InputError : no wav.scp, no faces.scp, or fewer than two people with both
    """
    faces = {utt: entry for utt, entry in data.table("faces.scp").items() if utt in data.utt2spk}
    if not data.wav or not faces:
        raise InputError(f"{data.path}: expected wav.scp and faces.scp; make the latter with avsv align-faces")
    names = people_with_both(data, list(data.wav), list(faces))
    numbers = {spk: number for number, spk in enumerate(names)}
    utts = [sorted(utt for utt in table if data.utt2spk[utt] in numbers) for table in (data.wav, faces)]
    people = [torch.tensor([numbers[data.utt2spk[utt]] for utt in side]) for side in utts]
    return MediaClips([data.wav[u] for u in utts[0]], [faces[u] for u in utts[1]], *people, names)


class MediaPairs(Dataset):
    """Random crops of waveforms with random faces of the same person; an item is indexed by (voice, face, seed)."""

    def __init__(self, config: AssociationMediaConfig, clips: MediaClips):
        cv2.setNumThreads(1)  # each worker process handles one image at a time
        self.config, self.clips = config, clips
        self.store = WaveformStore(clips.wav, config.cache_mib, config.allow_pipes)
        if self.store.bad:
            raise InputError(f"{len(self.store.bad)} recordings cannot be read; remove them from wav.scp. The first: "
                            f"{next(iter(self.store.bad.values()))}")  # fmt: skip

    def __getitem__(self, item: tuple[int, int, int]) -> tuple[Tensor, Tensor, int]:
        voice, face, seed = item
        config, rng = self.config, np.random.default_rng(seed)
        waveform = self.store.part(self.clips.wav[voice], rng.random(), round(SPARE * LENGTH))
        image = magnitude_image(take_length(drop_silence(waveform), LENGTH), config.side)
        hide_stripes(image, config.mask_share, rng)
        faces = read_faces(self.clips.faces[face])
        chosen = faces[rng.integers(len(faces))]
        chosen = vary_face(chosen, rng, config.shift, config.zoom, config.rotation, config.colour)
        return (torch.from_numpy(image), torch.from_numpy(square_face(chosen, config.side)),
                int(self.clips.voice_people[voice]))  # fmt: skip

    def plan(self, epoch: int) -> list[list[tuple[int, int, int]]]:
        """Plan the batches of one epoch, reproducibly."""
        seeds = np.random.default_rng([self.config.seed, epoch, 2])
        pairs = plan_pairs(self.clips.voice_people, self.clips.face_people, self.config, epoch)
        return [[(v, f, int(seeds.integers(2**62))) for v, f in zip(*(rows.tolist() for rows in batch), strict=True)]
                for batch in pairs]  # fmt: skip


def hide_stripes(image: np.ndarray, share: float, rng: np.random.Generator) -> None:
    """Mask one random run of rows and one of columns with the mean, in place (SpecAugment, Park et al., 2019)."""
    side, mean = len(image), image.mean()
    for rows in (image, image.T):
        n = int(rng.integers(0, int(share * side) + 1))
        start = int(rng.integers(0, side - n + 1))
        rows[start : start + n] = mean


def make_model(config: AssociationMediaConfig, people: TrainingPeople) -> MediaNetwork:
    trunk = options_of(TrunkOptions, config)
    if trunk.side < 75 or len(trunk.blocks) != 3:
        raise InputError(f"side={trunk.side} blocks={list(trunk.blocks)}: expected at least 75 pixels and three "
                        "numbers of blocks")  # fmt: skip
    return MediaNetwork(trunk, config.shared_trunk, people.n_classes, config.options)


class AssociationMediaTask(Task):
    """`task: association_media`: writes association_media.safetensors."""

    config_class = AssociationMediaConfig
    title = "Association of voices and faces, from recordings and images."

    def read(self) -> Inputs:
        config = self.config
        data = read_data_dir(config.data_dir)
        self.clips = clips = list_media(data)
        self.people = number_people(data, clips.names, config.covariates if config.system == "dimnet" else ())
        values = {name: of.tolist() for name, of in self.people.values.items()}
        known = [clips.wav, clips.faces, clips.voice_people.tolist(), clips.face_people.tolist(), clips.names, values]
        held_out = read_data_dir(config.valid_dir) if config.valid_dir else None
        media = [part for one in (data, held_out) if one for part in (one.wav, one.table("faces.scp"))]
        return Inputs({"data": digest(known)}, media)

    def random_data(self, n_people: int, n_clips: int) -> RandomData:
        """Random images."""
        side = self.config.side
        self.people = TrainingPeople([], random_values(self.config, n_people))

        def make_batch(n):
            images = [torch.randint(256, (n, *shape), dtype=torch.uint8) for shape in ((side, side), (3, side, side))]
            return *images, torch.arange(n) % n_people

        return RandomData(make_batch, n_clips * self.config.repeats,
                          f"a spectrogram and a face of {side} x {side} pixels")  # fmt: skip

    def make_model(self) -> MediaNetwork:
        return make_model(self.config, self.people)

    def prepare(self, trainer: Trainer) -> None:
        self.dataset = MediaPairs(self.config, self.clips)
        log.info("%s: %d recordings and %d clips with a face of %d people", self.config.data_dir, len(self.clips.wav),
                 len(self.clips.faces), len(self.clips.names))  # fmt: skip

    def make_step(self, trainer: Trainer) -> Step:
        """The step on spectrograms (batch, side, side), faces (batch, 3, side, side), and people (batch,)."""
        model = self.model

        def step(batch):
            voice, face, labels = (part.to(trainer.device, non_blocking=True) for part in batch)
            # with several processes, each embeds a share of the images, and the family works on all vectors
            voice, face, labels = (from_all(x) for x in (*model.trunk_pairs(voice, face), labels))
            covariates = {name: values.to(trainer.device)[labels] for name, values in self.people.values.items()}
            return model.family.loss(Pairs(voice, face, labels, covariates), trainer.done)

        return step

    def make_validation(self, trainer: Trainer) -> Validate | None:
        """EER of held-out people, all voices against all faces."""
        config, device = self.config, trainer.device
        if not config.valid_dir:
            return None
        clips = list_media(read_data_dir(config.valid_dir))
        refuse_trained(config.valid_dir, clips.names, self.clips.names)
        waveforms = [guarded(read_waveform, path, 16000, config.allow_pipes) for path in clips.wav]
        faces = [read_faces(entry)[:1] for entry in clips.faces]
        people = [clips.voice_people.numpy(), clips.face_people.numpy()]

        def validate(model: MediaNetwork) -> dict[str, float]:
            voice = torch.from_numpy(np.stack([embed_voices(model, w, device, of_trunk=True) for w in waveforms]))
            face = torch.from_numpy(np.stack([embed_faces(model, of, device, of_trunk=True) for of in faces]))
            return {"eer_percent": cross_modal_eer(model.family, voice.to(device), face.to(device), people)}

        return validate

    def save(self) -> None:
        save(self.config.exp_dir, ASSOCIATION_MEDIA, self.model, self.model.description)
