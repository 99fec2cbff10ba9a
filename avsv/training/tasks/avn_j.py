"""Training AVN-J: a pretrained speaker encoder, a pretrained face encoder and an AVN-E head, trained jointly.

The experiment's folder holds three models in the usual formats:
  voice/               a SpeechBrain folder, for avsv embed-voice
  face/                a face pack, for avsv embed-face
  fusion.safetensors   the head, for avsv embed-pair --model EXP_DIR
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avsv.embeddings.pair import load_fusion
from avsv.embeddings.quality_tables import LOG
from avsv.errors import InputError
from avsv.jobs.fingerprints import file_digest
from avsv.losses.margin import AAMSoftmax, warmed_margin
from avsv.models.avn_e import FUSION, Fusion
from avsv.models.avn_f import where_present
from avsv.models.checkpoint import save
from avsv.models.ranges import within
from avsv.models.speechbrain_library import make_frontend
from avsv.training.clips import (
    Clip,
    ClipsConfig,
    ClipsTask,
    random_clip_data,
    to_device,
    validate_clips,
)
from avsv.training.distributed import from_all, gather
from avsv.training.encoders import (
    Encoder,
    read_face_encoder,
    read_voice_encoder,
    save_face_encoder,
    save_voice_encoder,
)
from avsv.training.image_augmentation import fast_layout
from avsv.training.pair_noise import PairNoise
from avsv.training.task import RandomData
from avsv.training.tasks.avn_e import FusionConfig, FusionModel, measure_weights
from avsv.training.trainer import Step, Trainer, Validate

STATISTICS_BATCHES = 50  # batches that estimate the means of the embeddings before training
MAGNITUDE = "utt2magnitude"


@dataclass
class AvnJConfig(FusionConfig, ClipsConfig):
    """`task: avn_j`: the options of AVN-E's head and losses, and of the trainings on clips.

    `voice` and `face` are folders here: a SpeechBrain folder or source, and a finished training of task face.
    """

    head: str = ""  # a finished training of task avn_e on the same encoders, to start the head from; empty: a new head
    voice_loss: float = within(0.5, 0, 10_000)  # weight of AAM-softmax on the voice embedding alone
    face_loss: float = within(0.5, 0, 10_000)
    encoder_rate: float = within(1.0, 0, 1)  # learning rate of the encoders as a share of the head's
    # number of initial epochs with frozen encoders, in which only the head is trained
    freeze_epochs: int = within(1, 0, 1_000_000)


class Encoders(nn.Module):
    """Both encoders: waveforms and images -> raw embeddings.

    Parameters
    ----------
    voice : SpeechBrain network, (batch, t, mels), lengths -> (batch, 1, n)
    face : (batch, 3, 112, 112) -> (batch, m)
    """

    def __init__(self, voice: nn.Module, face: nn.Module):
        super().__init__()
        self.fbank, self.normalize = make_frontend()
        self.voice, self.face = voice, face
        self.layout = fast_layout(face)
        self.face.to(memory_format=self.layout)
        self.frozen = False

    def freeze(self, frozen: bool) -> None:
        """Freeze or unfreeze the encoders; frozen ones update neither weights nor batch-norm statistics."""
        self.frozen = frozen
        for network in (self.voice, self.face):
            network.requires_grad_(not frozen)
        self.train(self.training)

    def train(self, mode: bool = True) -> "Encoders":
        return super().train(mode and not self.frozen)

    def forward(self, waveforms: Tensor, images: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Embed both modalities; a missing one gets the embedding 0.

        Parameters
        ----------
        waveforms : (batch, n) at 16 kHz
        images : (batch, 3, 112, 112) uint8 RGB
        present : (batch, 2) bool

        Returns
        -------
        (batch, n voice), (batch, n face)
        """
        with torch.no_grad(), torch.autocast(waveforms.device.type, enabled=False):
            features = self.normalize(self.fbank(waveforms), torch.ones(len(waveforms), device=waveforms.device))
            scaled = ((images.float() - 127.5) / 127.5).contiguous(memory_format=self.layout)
        voice = where_present(self.embed_voice, features, present[:, 0])
        return voice.float(), where_present(self.face, scaled, present[:, 1]).float()

    def embed_voice(self, features: Tensor) -> Tensor:
        return self.voice(features, torch.ones(len(features), device=features.device)).squeeze(1)


class AvnJModel(nn.Module):
    """Encoders, head, and their losses."""

    def __init__(self, config: AvnJConfig, n_people: int, voice: Encoder, face: Encoder):
        super().__init__()
        refuse(config)
        self.config, sizes = config, (voice.size, face.size)
        self.encoders = Encoders(voice.net, face.net)
        for parameter in self.encoders.parameters():
            parameter.rate_share = config.encoder_rate
        self.head = FusionModel(*sizes, n_people, config)
        self.noise = PairNoise(config, (config.voice_quality, config.face_quality), [], sizes)
        weights = (config.voice_loss, config.face_loss)
        self.single = nn.ModuleList(
            [AAMSoftmax(n, n_people, config.scale, config.margin) if weight else nn.Identity()
             for n, weight in zip(sizes, weights, strict=True)]
        )  # fmt: skip

    def freeze(self, frozen: bool) -> None:
        if frozen != self.encoders.frozen:
            self.encoders.freeze(frozen)

    def forward(self, clip: Clip, done: float) -> tuple[Tensor, dict]:
        """Loss and figures of a batch."""
        fusion, config = self.head.fusion, self.config
        # each process embeds its share; the losses use pairs, and need the whole batch
        voice, face, quality = (from_all(x) for x in self.embed_apart(clip))
        present, damaged, label = (from_all(x) for x in (clip.present, clip.damaged, clip.label))
        voice, face = fusion.normalize(voice, face, present)
        singles = self.single_losses((voice, face), present, label, done)
        hit = self.noise.draw(present)
        voice, face, present, hit = self.noise.damage_unit(voice, face, present, hit)
        damaged = (hit | damaged) & present
        fused = fusion.fuse(voice, face, present, quality)
        loss, figures = self.head(fused, label, present, damaged, done)
        figures |= {f"{name}_aam": value.detach() for name, value in singles.items()}
        figures |= measure_weights(fused.weights.detach(), present, damaged)
        weights = {"voice": config.voice_loss, "face": config.face_loss}
        return loss + sum(weights[name] * value for name, value in singles.items()), figures

    def embed(self, clip: Clip) -> Tensor:
        """(batch, size) fused embeddings of undamaged clips."""
        voice, face, quality = self.embed_apart(clip)
        return self.head.fusion(voice, face, clip.present, quality).out

    def embed_apart(self, clip: Clip) -> tuple[Tensor, Tensor, Tensor]:
        """Embeddings of voice and face, and their magnitudes, as embed-voice and embed-face write them.

        embed-face averages unit-length embeddings of a clip's faces, so the embedding of a single face has length 1.
        """
        voice, face = self.encoders(clip.waveform, clip.image, clip.present)
        columns = []
        for raw, names in ((voice, self.config.voice_quality), (face, self.config.face_quality)):
            magnitude = raw.norm(dim=1).clamp(min=1e-6)
            columns += [magnitude.log() if name.startswith(LOG) else magnitude for name in names]
        quality = torch.stack(columns, 1) if columns else voice.new_zeros(len(voice), 0)
        return voice, F.normalize(face), quality

    def single_losses(
        self, vectors: tuple[Tensor, Tensor], present: Tensor, label: Tensor, done: float
    ) -> dict[str, Tensor]:
        """AAM-softmax of each modality's embeddings, over the clips that have it."""
        losses = {}
        for number, (name, criterion) in enumerate(zip(("voice", "face"), self.single, strict=True)):
            rows = present[:, number]
            if isinstance(criterion, AAMSoftmax):
                criterion.margin = warmed_margin(self.config.margin, done, self.config.margin_warmup)
                # without such clips the loss is 0 x parameters: with several processes, each must use all parameters
                losses[name] = (
                    criterion(vectors[number][rows], label[rows])[0]
                    if rows.any()
                    else 0 * (criterion.weight.sum() + vectors[number].sum())
                )
        return losses


def refuse(config: AvnJConfig) -> None:
    """Raise InputError for options of AVN-E that AVN-J does not support."""
    for name in [*config.voice_quality, *config.face_quality]:
        if name.removeprefix(LOG) != MAGNITUDE:
            raise InputError(f"voice_quality, face_quality: {name}: AVN-J embeds crops during training and supports "
                            f"{MAGNITUDE} and log:{MAGNITUDE} only")  # fmt: skip
    if config.damage not in ("v1", "none"):
        raise InputError(
            f"damage: {config.damage}: not supported by AVN-J, which changes its embeddings during training; use v1 or "
            "none (feature_damage damages audio and images)"
        )


@torch.no_grad()
def set_statistics(model: AvnJModel, batches: Iterable, device: torch.device) -> None:
    """Set the head's statistics from undamaged crops in the first batches of training.

    These are the means of the embeddings, and the means and standard deviations of the magnitudes.
    """
    model.eval()
    fusion, n_voice_quality = model.head.fusion, len(model.config.voice_quality)
    sums: list[Tensor] = [torch.zeros(()), torch.zeros(())]
    for batch in islice(batches, STATISTICS_BATCHES):
        clip = to_device(batch, device)
        voice, face, quality = model.embed_apart(clip)
        qualities = (quality[:, :n_voice_quality], quality[:, n_voice_quality:])
        for modality, (vectors, values) in enumerate(zip((voice, face), qualities, strict=True)):
            rows = torch.cat([vectors, values, values.square(), torch.ones_like(vectors[:, :1])], 1).double().cpu()
            sums[modality] = sums[modality] + rows[(clip.present & ~clip.damaged)[:, modality].cpu()].sum(0)
    for modality, mean in enumerate((fusion.voice_mean, fusion.face_mean)):
        total = sum(gather(sums[modality]))
        means = total[:-1] / total[-1].clamp(min=1)
        mean.copy_(means[: len(mean)])
        first, second = means[len(mean) :].chunk(2)
        columns = slice(0, n_voice_quality) if modality == 0 else slice(n_voice_quality, None)
        fusion.quality_mean[columns] = first.to(fusion.quality_mean)
        fusion.quality_std[columns] = (second - first**2).clamp(min=1e-12).sqrt().to(fusion.quality_std)


def start_head(fusion: Fusion, folder: str) -> None:
    """Load the weights and means of a trained AVN-E; raise InputError if its sizes or options differ."""
    trained = load_fusion(folder)
    ours, theirs = ({"n_voice": f.n_voice, "n_face": f.n_face, **asdict(f.options)} for f in (fusion, trained))
    different = [f"{name}: {theirs[name]}, expected {ours[name]}" for name in ours if ours[name] != theirs[name]]
    if different:
        raise InputError(f"head: {folder}: has another architecture: {'; '.join(different)}")
    fusion.load_state_dict(trained.state_dict())


class AvnJTask(ClipsTask):
    """`task: avn_j`: writes a voice encoder, a face pack and a head."""

    config_class = AvnJConfig
    title = "AVN-J: a speaker encoder, a face encoder and their fusion, trained jointly."
    use = (
        'voice, face = avsv.load_voice_encoder("FOLDER/voice"), avsv.load_face_encoder("FOLDER/face")',
        'fusion = avsv.load_fusion("FOLDER")',
    )

    def read_models(self) -> dict[str, str | None]:
        self.read_encoders()
        keys = {"voice": self.voice.digest, "face": self.face.digest}
        return keys | ({"head": file_digest(FUSION.path(self.config.head))} if self.config.head else {})

    def random_data(self, n_people: int, n_clips: int) -> RandomData:
        """Random clips; the encoders are not frozen, as in most epochs."""
        self.n_people = n_people
        self.read_encoders()
        return random_clip_data(self.config, n_people, n_clips)

    def read_encoders(self) -> None:
        self.voice, self.face = read_voice_encoder(self.config.voice), read_face_encoder(self.config.face)

    def make_model(self) -> AvnJModel:
        model = AvnJModel(self.config, self.n_people, self.voice, self.face)
        if self.config.head:
            start_head(model.head.fusion, self.config.head)
        return model

    def prepare(self, trainer: Trainer) -> None:
        super().prepare(trainer)
        config = self.config
        if not config.head and not (Path(config.exp_dir) / "checkpoint.pt").exists():
            set_statistics(self.model, super().batches(0), trainer.device)

    def make_step(self, trainer: Trainer) -> Step:
        """The step on a batch of clips."""
        return lambda batch: self.model(to_device(batch, trainer.device), trainer.done)

    def batches(self, epoch: int) -> Iterable:
        self.model.freeze(epoch < self.config.freeze_epochs)
        return super().batches(epoch)

    def make_validation(self, trainer: Trainer) -> Validate | None:
        if not self.held_out:
            return None
        return validate_clips(self.config, self.held_out, AvnJModel.embed, trainer.device)

    def save(self) -> None:
        exp_dir, model = Path(self.config.exp_dir), self.model.cpu()
        save_voice_encoder(model.encoders.voice, self.voice.source, exp_dir / "voice")
        save_face_encoder(model.encoders.face, self.face.source, exp_dir / "face")
        save(exp_dir, FUSION, model.head.fusion, model.head.fusion.description)
