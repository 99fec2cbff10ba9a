"""Training AVN-F: one network on waveforms and faces together, with AAM-softmax and damage to one modality."""

from dataclasses import asdict, dataclass

from torch import Tensor, nn

from avsv.jobs.fingerprints import file_digest
from avsv.losses.margin import AAMSoftmax, warmed_margin
from avsv.models.avn_f import AVN_F, AVNF, AVNFOptions, AVNFWithFrontend
from avsv.models.checkpoint import save
from avsv.models.ranges import options_of, within
from avsv.training.clips import (
    Clip,
    ClipsConfig,
    ClipsTask,
    random_clip_data,
    to_device,
    validate_clips,
)
from avsv.training.image_augmentation import fast_layout
from avsv.training.task import RandomData
from avsv.training.tasks.avn_e import attention_loss, measure_weights
from avsv.training.tasks.face import copy_detector, detector_of
from avsv.training.trainer import Step, Trainer, Validate


@dataclass
class AvnFConfig(AVNFOptions, ClipsConfig):
    """`task: avn_f`."""

    detector: str = ""  # the pack that aligned the faces; its detector is copied to exp_dir for use on new videos
    scale: float = within(32.0, above=0, high=10_000)
    margin: float = within(0.2, 0, 3)
    margin_warmup: float = within(0.3, 0, 1)  # share of the training during which the margin grows from 0
    # weight of a loss that steers attention to the clean modality (ours; see avn_e.py)
    attention_loss: float = within(0.0, 0, 10_000)


class AvnFModel(nn.Module):
    """Network and loss."""

    def __init__(self, config: AvnFConfig, n_people: int):
        super().__init__()
        self.config = config
        self.net = AVNFWithFrontend(AVNF(options_of(AVNFOptions, config)))
        self.layout = fast_layout(self.net)
        self.net.to(memory_format=self.layout)
        self.loss = AAMSoftmax(config.embedding_size, n_people, config.scale, config.margin)

    def forward(self, clip: Clip) -> tuple[Tensor, Tensor]:
        """Embeddings (batch, size), and weights of voice and face (batch, 2)."""
        return self.net(clip.waveform, clip.image.contiguous(memory_format=self.layout), clip.present)


class AvnFTask(ClipsTask):
    """`task: avn_f`: writes avn_f.safetensors."""

    config_class = AvnFConfig
    title = "AVN-F: a recording of a voice and an image of a face to one embedding."

    def read_models(self) -> dict[str, str | None]:
        self.detector = detector_of(self.config.detector)
        return {"detector": self.detector and file_digest(self.detector)}

    def random_data(self, n_people: int, n_clips: int) -> RandomData:
        self.n_people = n_people
        return random_clip_data(self.config, n_people, n_clips)

    def make_model(self) -> AvnFModel:
        return AvnFModel(self.config, self.n_people)

    def make_step(self, trainer: Trainer) -> Step:
        """The step on a batch of clips."""
        config, model = self.config, self.model

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

    def make_validation(self, trainer: Trainer) -> Validate | None:
        if not self.held_out:
            return None
        return validate_clips(self.config, self.held_out, lambda model, clip: model(clip)[0], trainer.device)

    def save(self) -> None:
        config, net = self.config, self.model.net.net
        save(config.exp_dir, AVN_F, net, {"options": asdict(net.options), "crop_seconds": config.crop_seconds})
        copy_detector(self.detector, config.exp_dir, "embed-clips")
