"""Training AVN-F: one network on sound and face together, AAM-softmax, damage to exactly one of the two."""

import logging
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from avsv.features.face_pack import load_pack
from avsv.jobs.files import copy_file
from avsv.jobs.fingerprints import file_digest
from avsv.kaldi.data_dir import read_data_dir
from avsv.losses.margin import AAMSoftmax, warmed_margin
from avsv.models.avn_f import AVN_F, AVNF, AVNFOptions, FromSound
from avsv.models.checkpoint import save
from avsv.models.ranges import within
from avsv.training.clips import (
    Clip,
    Clips,
    ClipsConfig,
    digest_clips,
    list_clips,
    media_of,
    random_clips,
    to_device,
    validate_clips,
)
from avsv.training.dry_run import Rehearsal
from avsv.training.image_augmentation import fast_layout
from avsv.training.tasks.avn_e import attention_loss, measure_weights
from avsv.training.trainer import Step, Trainer, finish_experiment, load_batches, start_experiment
from avsv.training.validation import read_held_out

log = logging.getLogger("avsv")


@dataclass
class AvnFConfig(AVNFOptions, ClipsConfig):
    """`task: avn_f`."""

    detector: str = ""  # the pack that aligned the faces; its detector is copied, so that exp_dir finds faces itself
    scale: float = within(32.0, above=0, high=10_000)
    margin: float = within(0.2, 0, 3)
    margin_warmup: float = within(0.3, 0, 1)  # share of the training in which the margin grows from 0
    # weight of a loss that sends the attention to the clean modality (ours; see fusion.py)
    attention_loss: float = within(0.0, 0, 10_000)


class AvnFModel(nn.Module):
    """Network and loss."""

    def __init__(self, config: AvnFConfig, n_people: int):
        super().__init__()
        self.config = config
        self.net = FromSound(AVNF(AVNFOptions.of(config)))
        self.layout = fast_layout(self.net)
        self.net.to(memory_format=self.layout)
        self.loss = AAMSoftmax(config.embedding_size, n_people, config.scale, config.margin)

    def forward(self, clip: Clip) -> tuple[Tensor, Tensor]:
        """Embeddings (batch, size), and weights of voice and face (batch, 2)."""
        return self.net(clip.sound, clip.picture.contiguous(memory_format=self.layout), clip.present)


def make_step(model: AvnFModel, trainer: Trainer) -> Step:
    """The step on a batch of clips."""
    config = model.config

    def step(batch: Clip) -> tuple[Tensor, dict]:
        clip = to_device(batch, trainer.device)
        out, weights = model(clip)
        model.loss.margin = warmed_margin(config.margin, trainer.done, config.margin_warmup)
        loss, logits = model.loss(out, clip.label)
        if config.attention_loss:
            loss = loss + config.attention_loss * attention_loss(weights, clip.present, clip.damaged)
        accuracy = (logits.argmax(1) == clip.label).float().mean()
        return loss, {"accuracy": accuracy, **measure_weights(weights.detach(), clip.present, clip.damaged)}

    return step


def rehearse(config: AvnFConfig, n_people: int, n_clips: int) -> Rehearsal:
    """A dry run on noise."""
    model = AvnFModel(config, n_people)
    what = f"{config.crop_seconds:g} s of sound and a face"
    return Rehearsal(model, lambda trainer: make_step(model, trainer), lambda n: random_clips(config, n, n_people),
                     n_clips * config.crops_per_clip, what)  # fmt: skip


def train_avn_f(config: AvnFConfig) -> None:
    """Train, and write `avn_f.safetensors` in `config.exp_dir`.

    Raises
    ------
    InputError : no sound or no aligned faces, an unknown attention, no detector in the pack
    """
    data = read_data_dir(config.data_dir)
    clips = list_clips(data)
    held_out = read_held_out(config, set(clips.people))
    detector = load_pack(config.detector, tasks=("detection",)).files("detection")[0] if config.detector else None
    torch.manual_seed(config.seed)
    model = AvnFModel(config, len(clips.people))
    inputs = {"data": digest_clips(clips), "detector": detector and file_digest(detector)}
    if not start_experiment(config, inputs, media_of(data, held_out)):
        return
    crops = Clips(config, clips)
    trainer = Trainer(model, config)
    validate = held_out and validate_clips(config, held_out, lambda model, clip: model(clip)[0], trainer.device)
    trainer.fit(
        make_step(model, trainer),
        lambda epoch: load_batches(crops, crops.plan(epoch), config),
        len(crops.plan(0)),
        validate,
    )
    net = model.net.net
    save(config.exp_dir, AVN_F, net, {"options": asdict(net.options), "crop_seconds": config.crop_seconds})
    if detector:
        copy_file(detector, Path(config.exp_dir) / "detector.onnx")
    else:
        log.warning("%s: has no detector, so embed-clips can use it on data with faces.scp only", config.exp_dir)
    finish_experiment(config)
