"""Training the coupled 3D CNN or SyncNet on genuine pairs, and on impostor pairs with shifted audio."""

import logging
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from avsv.errors import InputError
from avsv.jobs.fingerprints import digest
from avsv.jobs.progress import progress
from avsv.kaldi.data_dir import DataDir, read_data_dir
from avsv.media.decoder_process import guarded
from avsv.media.waveforms import read_waveform
from avsv.models.checkpoint import save
from avsv.models.ranges import choice, within
from avsv.systems.synchrony.embedding import FEATURES, NETWORKS, SYNCHRONY, SynchronyEmbedder, unit_mouths
from avsv.systems.synchrony.losses import SELECTIONS, contrastive_distance_loss, select_pairs
from avsv.systems.synchrony.mouths import HEIGHT, WIDTH, Mouths, frame_indices, read_mouths
from avsv.systems.synchrony.validation import find_threshold, read_clips, validate_pairs
from avsv.training.config import TrainingConfig
from avsv.training.image_augmentation import plan_batches
from avsv.training.task import Inputs, RandomData, Task
from avsv.training.trainer import Step, Trainer, Validate
from avsv.training.validation import read_held_out

log = logging.getLogger("avsv")


@dataclass
class SynchronyConfig(TrainingConfig):
    """`task: coupled_cnn` or `task: syncnet`; data_dir has mouths.scp (from avsv synchrony mouths) and wav.scp."""

    size: int = within(64, 1, 16384)  # dimension of the vectors
    width: float = within(1.0, above=0, high=16)  # multiple of the published channel counts
    # seconds; all cubes of a segment are pairs of a batch
    segment: float = within(1.5, above=0, high=600)
    segments_per_clip: int = within(1, 1, 10_000)  # in an epoch
    stride: int = within(1, 1, 1000)  # use every cube of a segment (1), every second (2), ...
    # least and greatest shift of impostor audio in seconds, in either direction
    shift: tuple[float, float] = within((0.5, 0.5), above=0, high=600, rising=True)
    margin: float = within(
        100.0, above=0, high=1e9
    )  # distance up to which impostors are pushed; the authors' code has 100
    # none | fixed | adaptive: online pair selection, see avsv.systems.synchrony.losses.select_pairs
    selection: str = choice("none", "none", "fixed", "adaptive")
    selection_margin: float = within(10.0, 0, 1e9)  # the authors' code has 10
    flip: bool = True  # mirror half of the segments
    move: int = within(4, 0, 50)  # largest random shift of the mouth in pixels, in each direction
    light: float = within(0.2, 0, below=1)  # strength of random changes of contrast and brightness


@dataclass(frozen=True)
class ClipList:
    """Training clips: utterances with their entries in mouths.scp and wav.scp."""

    utts: list[str]
    mouths: list[str]
    wav: list[str]

    def entries(self) -> dict[str, tuple[str, str]]:
        """Utterance -> entries in mouths.scp and wav.scp."""
        return dict(zip(self.utts, zip(self.mouths, self.wav, strict=True), strict=True))


def list_clips(data: DataDir) -> ClipList:
    """The clips of a data directory with mouth images and audio; InputError if there are none."""
    mouths = {utt: entry for utt, entry in data.table("mouths.scp").items() if utt in data.utt2spk and utt in data.wav}
    if not mouths:
        raise InputError(
            f"{data.path}: expected clips in both mouths.scp and wav.scp, found none; run avsv synchrony mouths"
        )
    utts = sorted(mouths)
    return ClipList(utts, [mouths[utt] for utt in utts], [data.wav[utt] for utt in utts])


class Segments(Dataset):
    """Random segments of clips; an item is indexed by (clip, seed). `keep` first reads all clips into memory."""

    def __init__(self, config: SynchronyConfig, clips: ClipList):
        self.config, self.clips = config, clips
        self.net = NETWORKS[config.task]
        self.n_mouths, self.n_audio = frames_of(self.net, config)
        self.features: dict[int, np.ndarray] = {}
        self.mouths: dict[int, Mouths] = {}

    @property
    def n_pairs(self) -> int:
        """Genuine pairs of a segment."""
        return pairs_of(self.net, self.config)

    def keep(self) -> list[int]:
        """Read the audio and mouth images of all clips; returns the usable ones, the log names the others."""
        usable = []
        for index in progress(range(len(self.clips.utts)), "read clips"):
            try:
                self.features[index] = FEATURES[self.net.audio_features](guarded(read_waveform, self.clips.wav[index]))
                self.mouths[index] = read_mouths(self.clips.mouths[index])
            except InputError as error:
                log.warning("left out %s: %s", self.clips.utts[index], error)
                continue
            if self.room(index) < 0:
                log.warning("left out %s: shorter than a segment of %g s", self.clips.utts[index],
                            self.config.segment)  # fmt: skip
                continue
            usable.append(index)
        return usable

    def room(self, index: int) -> int:
        """Number of steps by which a segment can move within a clip; negative if the clip is too short."""
        net = self.net
        n_mouths = len(frame_indices(self.mouths[index].times, net.fps))
        return min((n_mouths - self.n_mouths) // net.mouth_stride,
                   (len(self.features[index]) - self.n_audio) // audio_hop(net))  # fmt: skip

    def __getitem__(self, item: tuple[int, int]) -> tuple[Tensor, Tensor]:
        index, seed = item
        rng = np.random.default_rng(seed)
        begin = int(rng.integers(self.room(index) + 1))
        images = unit_mouths(self.mouths[index], self.net.fps)[begin * self.net.mouth_stride :][: self.n_mouths]
        audio = self.features[index][begin * audio_hop(self.net) :][: self.n_audio]
        return torch.from_numpy(augment(images, rng, self.config)), torch.from_numpy(audio)


def audio_hop(net: type[nn.Module]) -> int:
    """Feature frames from one pair to the next."""
    return net.audio_stride * round(net.audio_step * net.audio_rate)


def pairs_of(net: type[nn.Module], config: SynchronyConfig) -> int:
    """Genuine pairs of a segment."""
    steps = (config.segment - net.seconds) * net.fps / net.mouth_stride
    return int(steps / config.stride + 1e-6) + 1


def frames_of(net: type[nn.Module], config: SynchronyConfig) -> tuple[int, int]:
    """Numbers of mouth images and of feature frames that the pairs of a segment span."""
    steps = (pairs_of(net, config) - 1) * config.stride
    return steps * net.mouth_stride + net.mouth_frames, steps * audio_hop(net) + net.audio_frames


def augment(images: np.ndarray, rng: np.random.Generator, config: SynchronyConfig) -> np.ndarray:
    """Mirror, shift and relight a segment of mouth images, (t, 60, 100) float32, all frames alike."""
    if config.flip and rng.random() < 0.5:
        images = images[:, :, ::-1]
    across, down = rng.integers(-config.move, config.move + 1, 2)
    rows = np.clip(np.arange(HEIGHT) + down, 0, HEIGHT - 1)
    columns = np.clip(np.arange(WIDTH) + across, 0, WIDTH - 1)
    gain, lift = np.exp(config.light * rng.normal()), config.light * rng.normal()
    return np.ascontiguousarray(images[:, rows][:, :, columns] * np.float32(gain) + np.float32(lift))


def draw_impostors(n_pairs: int, least: int, most: int) -> Tensor:
    """Draw for every position of a segment another one that is `least` to `most` steps away, (n_pairs,) int64.

    Examples
    --------
    >>> (draw_impostors(6, 3, 3) - torch.arange(6)).tolist()
    [3, 3, 3, -3, -3, -3]
    """
    places = torch.arange(n_pairs)
    away = (places[None] - places[:, None]).abs()
    return torch.multinomial(((away >= least) & (away <= most)).float(), 1)[:, 0]


def shift_steps(config: SynchronyConfig) -> tuple[int, int]:
    """The shifts in steps of the network; InputError if a segment is too short for them."""
    net = NETWORKS[config.task]
    step = config.stride * net.mouth_stride / net.fps
    least, most = round(config.shift[0] / step), round(config.shift[1] / step)
    n_pairs = pairs_of(net, config)
    if not 1 <= least <= most or n_pairs < 2 * least:
        raise InputError(f"shift={list(config.shift)} segment={config.segment}: expected increasing shifts of at least "
                        f"{step:g} s, and a segment longer than twice the first plus {net.seconds:g} s")  # fmt: skip
    return least, most


class SynchronyTask(Task):
    """`task: coupled_cnn` and `task: syncnet`: writes synchrony.safetensors."""

    config_class = SynchronyConfig
    title = "Synchrony of voice and mouth: do sound and lips belong together?"

    def read(self) -> Inputs:
        config = self.config
        if config.selection not in SELECTIONS:
            raise InputError(f"selection={config.selection}: expected one of {', '.join(SELECTIONS)}")
        shift_steps(config)
        data = read_data_dir(config.data_dir)
        self.clips = list_clips(data)
        self.held_out = read_held_out(config, {data.utt2spk[utt] for utt in self.clips.utts})
        media = [part for one in (data, self.held_out) if one for part in (one.wav, one.table("mouths.scp"))]
        return Inputs({"data": digest([self.clips.utts, self.clips.mouths, self.clips.wav])}, media)

    def random_data(self, n_people: int, n_clips: int) -> RandomData:
        config, net = self.config, NETWORKS[self.config.task]
        n_mouths, n_audio = frames_of(net, config)
        shape = FEATURES[net.audio_features](np.ones(16000, np.float32)).shape[1:]

        def make_batch(n: int) -> tuple[Tensor, Tensor]:
            return torch.randn(n, n_mouths, HEIGHT, WIDTH), torch.randn(n, n_audio, *shape)

        example = f"{config.segment:g} s of mouth images and audio"
        return RandomData(make_batch, n_clips * config.segments_per_clip, example)

    def make_model(self) -> nn.Module:
        return NETWORKS[self.config.task](self.config.size, self.config.width)

    def prepare(self, trainer: Trainer) -> None:
        config = self.config
        self.dataset = Segments(config, self.clips)
        self.usable = self.dataset.keep()
        if not self.usable:
            raise InputError(f"{config.data_dir}: expected clips of at least segment={config.segment:g} s, found none")
        log.info("%s: training on %d of %d clips", config.data_dir, len(self.usable), len(self.clips.utts))
        self.valid = None
        if self.held_out:
            entries = list_clips(self.held_out).entries()
            self.valid = read_clips(entries, self.held_out.utt2spk, config.valid_clips)

    def make_step(self, trainer: Trainer) -> Step:
        """The step on a batch of mouth images (batch, t, 60, 100) and audio features (batch, t', ...)."""
        return make_step(self.model, trainer, self.config)

    def plan(self, epoch: int) -> list:
        config = self.config
        return plan_batches(self.usable * config.segments_per_clip, config.batch_size, config.seed, epoch)

    def make_validation(self, trainer: Trainer) -> Validate | None:
        return validate_pairs(self.valid, trainer.device) if self.valid else None

    def save(self) -> None:
        config, model = self.config, self.model
        device = next(model.parameters()).device
        threshold = find_threshold(SynchronyEmbedder(model, device), self.valid) if self.valid else None
        if threshold is None:
            log.warning(
                "%s: no threshold of confidence was determined; that needs valid_dir with two people", config.exp_dir
            )
        description = {"kind": config.task, "size": config.size, "width": config.width, "threshold": threshold}
        save(config.exp_dir, SYNCHRONY, model, description)


def make_step(model: nn.Module, trainer: Trainer, config: SynchronyConfig) -> Step:
    """See `SynchronyTask.make_step`."""
    least, most = shift_steps(config)

    def step(batch: tuple[Tensor, Tensor]) -> tuple[Tensor, dict]:
        images, features = (part.to(trainer.device, non_blocking=True) for part in batch)
        mouths = model.embed_mouths(images, config.stride * model.mouth_stride).float()
        audio = model.embed_audio(features, config.stride * model.audio_stride).float()
        others = torch.stack([draw_impostors(mouths.shape[1], least, most) for _ in range(len(mouths))])
        impostors = torch.take_along_dim(audio, others.to(audio.device).unsqueeze(2), 1)
        distance = torch.cat([(mouths - other).add(1e-6).norm(dim=2).flatten() for other in (audio, impostors)])
        genuine = torch.arange(len(distance), device=distance.device) < len(distance) // 2
        kept = select_pairs(distance.detach(), genuine, config.selection, config.selection_margin)
        if kept.any():
            loss = contrastive_distance_loss(distance[kept], genuine[kept], config.margin)
        else:
            loss = distance.sum() * 0
        half = len(distance) // 2
        with torch.no_grad():
            apart = (distance[:half] < distance[half:]).float().mean()
        return loss, {"pair_accuracy": apart, "kept_genuine": kept[:half].float().mean(),
                      "kept_impostors": kept[half:].float().mean()}  # fmt: skip

    return step
