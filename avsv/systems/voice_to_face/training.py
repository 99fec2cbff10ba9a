"""Training a generator of faces from voices against a critic (Wen, Raj and Singh, NeurIPS 2019).

In each step the critic is trained on real and generated faces, then the generator is trained to produce faces that pass
as real and are identified as the speaker. The voice embedder (`task: voice_embedder`) is frozen. Voices and real faces
of a batch are drawn independently and uniformly over clips: people with more clips occur more often.
"""

import logging
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import Dataset

from avsv.errors import InputError
from avsv.features.faces import read_faces
from avsv.jobs.fingerprints import digest, file_digest
from avsv.kaldi.data_dir import DataDir, read_data_dir
from avsv.models.checkpoint import fill
from avsv.models.ranges import within
from avsv.systems.voice_to_face.losses import critic_loss, generator_loss
from avsv.systems.voice_to_face.networks import FACE_SIDE, FaceCritic, Generator, VoiceEmbedder, normalise_embeddings
from avsv.systems.voice_to_face.speech_features import N_MELS
from avsv.systems.voice_to_face.speech_store import SpeechStore
from avsv.systems.voice_to_face.voice_embedder_training import refuse_crop_frames
from avsv.training.checkpoints import load_weights, weights_file
from avsv.training.config import OptimizerConfig, TrainingConfig
from avsv.training.image_augmentation import fast_layout, to_input
from avsv.training.labels import aligned_faces
from avsv.training.task import Inputs, RandomData, Task
from avsv.training.trainer import Draw, Step, Trainer
from avsv.training.validation import read_held_out

log = logging.getLogger("avsv")
SAMPLES = 8  # people with a generated face in the sample image of each epoch


def published_optimizer() -> OptimizerConfig:
    """Adam with a constant learning rate of 2e-4 and betas 0.5 and 0.999."""
    return OptimizerConfig(lr=2e-4, final_lr=2e-4, warmup=0.0, betas=(0.5, 0.999), clip_norm=0.0)


@dataclass
class VoiceToFaceConfig(TrainingConfig):
    """`task: voice_to_face`; an epoch has `steps_per_epoch` steps and ends with an image of samples."""

    voice: str = "???"  # a training of task voice_embedder
    steps_per_epoch: int = within(500, 1, 10_000_000)
    # least and greatest length of crops in frames of 10 ms; one length per batch
    crop_frames: tuple[int, int] = within((300, 800), 1, 60_000, rising=True)
    noise: float = within(0.05, 0, 100)  # standard deviation of noise added to unit voice embeddings
    channels: tuple[int, ...] = within((1024, 512, 256, 128, 64), 1, 16384)  # of the generator
    critic_channels: tuple[int, ...] = within((32, 64, 128, 256, 512), 1, 16384)
    critic_size: int = within(64, 1, 16384)  # dimension of the features for discriminator and classifier
    batch_norm: bool = False  # in the generator (ours, for short trainings)
    person_weight: float = within(1.0, 0, 10_000)  # weight of identification in the generator's loss (published: 1)
    # decay of the running mean of the generator's weights used for generation (ours); 0: no mean
    average_decay: float = within(0.0, 0, below=1)
    cache_mib: int = within(4000, 0, 1 << 24)  # memory for spectrograms
    optimizer: OptimizerConfig = field(default_factory=published_optimizer)


class VoiceToFace(nn.Module):
    """Embedder, generator and critic in one module.

    Parameters
    ----------
    embedder : trained; it is frozen here, batch norm included
    """

    def __init__(self, config: VoiceToFaceConfig, embedder: VoiceEmbedder, n_people: int):
        super().__init__()
        if not len(config.channels) == len(config.critic_channels) == 5:
            raise InputError("channels, critic_channels: expected five numbers each, for faces of 64 x 64")
        size = embedder.layers[-1].out_channels
        self.noise = config.noise
        self.embedder = embedder.requires_grad_(False)
        self.generator = Generator(config.channels, size, config.batch_norm)
        self.critic = FaceCritic(n_people, config.critic_channels, config.critic_size)
        self.layout = fast_layout(nn.ModuleList([self.generator, self.critic]))
        self.generator.to(memory_format=self.layout)
        self.critic.to(memory_format=self.layout)
        self.mean: AveragedModel | None = None
        if config.average_decay:
            decay = get_ema_multi_avg_fn(config.average_decay)
            self.mean = AveragedModel(self.generator, multi_avg_fn=decay, use_buffers=True).requires_grad_(False)

    def train(self, mode: bool = True) -> "VoiceToFace":
        super().train(mode)
        self.embedder.eval()
        return self

    def average(self) -> None:
        """Update the running mean of the generator's weights, if there is one."""
        if self.mean is not None:
            self.mean.update_parameters(self.generator)

    def listen(self, mels: Tensor) -> Tensor:
        """Normalised log mel spectrograms (batch, 64, frames) -> embeddings (batch, d), with noise in training."""
        voices = self.embedder(mels)
        noise = self.noise * torch.randn_like(voices, dtype=torch.float32) if self.training else None
        return normalise_embeddings(voices, noise)

    def forward(self, mels: Tensor) -> Tensor:
        """Normalised log mel spectrograms (batch, 64, frames) -> faces (batch, 3, 64, 64) RGB, about -1 to 1."""
        draw = self.generator if self.training or self.mean is None else self.mean
        return draw(self.listen(mels))


def embedder_of(weights: dict[str, Tensor]) -> VoiceEmbedder:
    """Rebuild the voice embedder from a model's weights.

    Raises
    ------
    InputError : the weights contain no voice embedder
    """
    part = {name.removeprefix("embedder."): w for name, w in weights.items() if name.startswith("embedder.layers.")}
    shapes = [w.shape for name, w in part.items() if name.endswith("weight") and w.ndim == 3]
    if not shapes:
        raise InputError("expected a training of task voice_embedder, found no voice embedder")
    embedder = VoiceEmbedder([shape[0] for shape in shapes[:-1]], shapes[-1][0], shapes[0][1])
    return fill(embedder, part, "its voice embedder").eval()


class VoicesAndFaces(Dataset):
    """Independent voices and faces; an item is indexed by (voice clip, frames, face clip, seed)."""

    def __init__(self, config: VoiceToFaceConfig, data: DataDir, entries: dict[str, str], people: list[str]):
        self.config, self.people = config, people
        numbers = {name: number for number, name in enumerate(people)}
        voices, self.faces = ([(table[utt], numbers[data.utt2spk[utt]]) for utt in sorted(table)
                               if data.utt2spk[utt] in numbers] for table in (data.wav, entries))  # fmt: skip
        self.store = SpeechStore([path for path, _ in voices], config.cache_mib, config.allow_pipes)
        self.voices = [(path, person) for path, person in voices if path not in self.store.bad]
        self.wav: list[list[str]] = [[] for _ in people]
        for path, person in self.voices:
            self.wav[person].append(path)
        empty = [people[number] for number, paths in enumerate(self.wav) if not paths]
        if empty:
            raise InputError(f"{config.data_dir}: all recordings of {empty[0]} are unusable; remove this person")

    def __getitem__(self, item: tuple[int, int, int, int]) -> tuple[Tensor, int, Tensor, int]:
        voice, n_frames, image, seed = item
        rng = np.random.default_rng(seed)
        path, speaker = self.voices[voice]
        wav = self.wav[speaker]
        others = [wav[row] for row in rng.permutation(len(wav)) if wav[row] != path]
        mels = self.store.crop_of_any([path, *others], rng.random(), n_frames)
        entry, person = self.faces[image]
        faces = read_faces(entry)
        face = small_face(faces[rng.integers(len(faces))])
        return torch.from_numpy(mels), speaker, to_input(face[:, ::-1] if rng.random() < 0.5 else face), person

    def plan(self, epoch: int) -> list[list[tuple[int, int, int, int]]]:
        """Plan the batches of one epoch, reproducibly."""
        config = self.config
        rng = np.random.default_rng([config.seed, epoch])
        batches = []
        for _ in range(config.steps_per_epoch):
            n_frames = int(rng.integers(config.crop_frames[0], config.crop_frames[1] + 1))
            voices = rng.integers(len(self.voices), size=config.batch_size).tolist()
            images = rng.integers(len(self.faces), size=config.batch_size).tolist()
            seeds = rng.integers(0, 2**62, config.batch_size).tolist()
            batches.append([(v, n_frames, p, seed) for v, p, seed in zip(voices, images, seeds, strict=True)])
        return batches


def small_face(face: np.ndarray) -> np.ndarray:
    """Scale an aligned face to the generator's size: (112, 112, 3) -> (64, 64, 3) uint8."""
    return cv2.resize(face, (FACE_SIDE, FACE_SIDE), interpolation=cv2.INTER_AREA)


def to_pixels(faces: Tensor) -> np.ndarray:
    """Convert the generator's output, (batch, 3, h, w) from -1 to 1, to images (batch, h, w, 3) uint8 RGB.

    Examples
    --------
    >>> to_pixels(torch.tensor([-2.0, 0.0, 1.0]).view(1, 3, 1, 1)).ravel()
    array([  0, 128, 255], dtype=uint8)
    """
    pixels = (faces.float() * 127.5 + 127.5).round().clamp(0, 255)
    return pixels.to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


def make_steps(model: VoiceToFace, trainer: Trainer) -> list[Step]:
    """Make the steps of critic and generator.

    A batch has spectrograms (batch, 64, frames), their people (batch,), faces (batch, 3, 64, 64) and their people.
    """

    voices = None  # embeddings shared by both steps

    def critic_step(batch):
        nonlocal voices
        mels, _, images, owner = (part.to(trainer.device, non_blocking=True) for part in batch)
        images = ((images.float() - 127.5) / 127.5).contiguous(memory_format=model.layout)
        with torch.no_grad():
            voices = model.listen(mels)
            generated = model.generator(voices)
        real, person = model.critic(images)
        fooled, _ = model.critic(generated)
        return critic_loss(real, fooled, person, owner), {
            "real_accuracy": (real > 0).float().mean(),
            "drawn_accuracy": (fooled < 0).float().mean(),
            "person_accuracy": (person.argmax(1) == owner).float().mean(),
        }

    def generator_step(batch):
        speaker = batch[1].to(trainer.device, non_blocking=True)
        model.average()  # with the weights after the previous step
        generated, person = model.critic(model.generator(voices))
        loss = generator_loss(generated, person, speaker, trainer.config.person_weight)
        return loss, {
            "generator_loss": loss.detach(),
            "speaker_accuracy": (person.argmax(1) == speaker).float().mean(),
        }

    return [critic_step, generator_step]


def make_draw(mels: Tensor, faces: np.ndarray, trainer: Trainer):
    """Make a function that draws a row of real faces above a row of faces generated from the same people's voices."""

    def draw(model: nn.Module) -> np.ndarray:
        rows = [faces, to_pixels(model(mels.to(trainer.device)))]
        return np.concatenate([np.concatenate(list(row), axis=1) for row in rows])

    return draw


def choose_samples(config: VoiceToFaceConfig, data: DataDir, entries: dict[str, str]) -> tuple[Tensor, np.ndarray]:
    """Choose people spread over all, with a spectrogram (n, 64, frames) and a real face (n, 64, 64, 3) RGB of each."""
    store, mels, faces = SpeechStore([], 0, config.allow_pipes), [], []
    first: dict[str, str] = {}
    for utt in sorted(entries.keys() & data.wav.keys()):
        first.setdefault(data.utt2spk[utt], utt)
    clips = list(first.values())
    for index in np.unique(np.linspace(0, len(clips) - 1, SAMPLES).astype(int)):
        try:
            mels.append(torch.from_numpy(store.crop(data.wav[clips[index]], 0.5, config.crop_frames[1])))
            faces.append(small_face(read_faces(entries[clips[index]])[0])[:, :, ::-1])
        except InputError as error:
            log.warning("left out of the samples: %s", error)
    if not mels:
        raise InputError(f"{data.path}: expected clips with usable audio and an aligned face, found none")
    return torch.stack(mels), np.stack(faces)


class VoiceToFaceTask(Task):
    """`task: voice_to_face`: the checkpoint contains the generator.

    After each epoch, faces of held-out people (or training people) are generated as samples.
    """

    config_class = VoiceToFaceConfig
    title = "A generator of face images from voice embeddings."

    def read(self) -> Inputs:
        config = self.config
        refuse_crop_frames(config.crop_frames)
        self.data = data = read_data_dir(config.data_dir)
        self.entries = aligned_faces(data)
        self.people = sorted({data.utt2spk[utt] for utt in data.wav} & {data.utt2spk[utt] for utt in self.entries})
        if len(self.people) < 2:
            raise InputError(f"{config.data_dir}: expected at least 2 people with audio and a face, found "
                             f"{len(self.people)}")  # fmt: skip
        self.held_out = read_held_out(config, set(self.people))
        self.weights = load_weights(config.voice)
        clips = [[u, s, data.wav.get(u), self.entries.get(u)] for u, s in sorted(data.utt2spk.items())]
        held_out_media = [self.held_out.wav, self.held_out.table("faces.scp")] if self.held_out else []
        return Inputs({"data": digest(clips), "voice": file_digest(weights_file(config.voice))},
                      [data.wav, self.entries, *held_out_media])  # fmt: skip

    def random_data(self, n_people: int, n_clips: int) -> RandomData:
        """Random voices and faces, with an embedder of the published size."""
        config, n_frames = self.config, self.config.crop_frames[1]
        self.people, self.weights = [str(number) for number in range(n_people)], None

        def make_batch(n):
            faces = torch.randint(256, (n, 3, FACE_SIDE, FACE_SIDE), dtype=torch.uint8)
            return torch.randn(n, N_MELS, n_frames), torch.randint(n_people, (n,)), faces, torch.randint(n_people, (n,))

        return RandomData(make_batch, config.steps_per_epoch * config.batch_size,
                          f"{n_frames} frames of speech and a face")  # fmt: skip

    def make_model(self) -> VoiceToFace:
        try:
            embedder = embedder_of(self.weights) if self.weights else VoiceEmbedder()
            return VoiceToFace(self.config, embedder, len(self.people))
        except InputError as error:
            raise InputError(f"voice={self.config.voice}: {error}") from None

    def players(self) -> list[nn.Module]:
        return [self.model.critic, self.model.generator]

    def prepare(self, trainer: Trainer) -> None:
        cv2.setNumThreads(1)
        self.dataset = VoicesAndFaces(self.config, self.data, self.entries, self.people)
        log.info("%s: %d people with audio and a face", self.config.data_dir, len(self.people))
        shown = self.held_out or self.data
        self.samples = choose_samples(self.config, shown, aligned_faces(shown))

    def make_step(self, trainer: Trainer) -> list[Step]:
        """The steps of critic and generator."""
        return make_steps(self.model, trainer)

    def make_drawing(self, trainer: Trainer) -> Draw:
        return make_draw(*self.samples, trainer)

    def save(self) -> None:
        """Nothing to do: the checkpoint contains the networks."""
