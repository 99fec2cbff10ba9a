"""Training AVN-E on voice and face embeddings: any fusion form, embedding-level augmentation, weighted losses."""

import logging
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avsv.embeddings.pair import fuse_pairs, pair_quality
from avsv.embeddings.quality_tables import quality_file
from avsv.errors import InputError
from avsv.jobs.files import write_json
from avsv.jobs.fingerprints import digest
from avsv.kaldi.embeddings import read_embeddings
from avsv.kaldi.origin import TRAINED_ON, embeddings_model
from avsv.kaldi.pairs import join_embeddings
from avsv.kaldi.records import embeddings_digest
from avsv.kaldi.tables import read_table
from avsv.losses.margin import AAMSoftmax, warmed_margin
from avsv.losses.pairs import VerificationLoss, contrastive_loss, kept_share
from avsv.models.avn_e import FUSION, Fused, Fusion, FusionOptions
from avsv.models.checkpoint import save
from avsv.models.ranges import options_of, within
from avsv.scoring.modality_overlap import LEAST
from avsv.training.batches import plan_by_person
from avsv.training.config import TrainingConfig
from avsv.training.experiment import digest_arrays
from avsv.training.pair_noise import PairNoise, PairNoiseOptions, Pairs
from avsv.training.task import Inputs, RandomData, Task
from avsv.training.trainer import Step, Trainer, Validate
from avsv.training.validation import choose_clips, pairs_eer, refuse_trained

log = logging.getLogger("avsv")


@dataclass
class LossWeights:
    """Weights of the terms of the loss; 0 disables a term."""

    aam: float = within(1.0, 0, 10_000)  # AAM-softmax over the training people
    contrastive: float = within(0.0, 0, 10_000)  # with aggressive sampling; 0.1 in the paper
    verification: float = within(0.0, 0, 10_000)  # cross-entropy of the batch's pairs
    damage: float = within(0.0, 0, 10_000)  # cross-entropy of the detectors of damage; needs reliability
    # minus the logarithm of the clean modality's weight if the other is damaged
    attention: float = within(0.0, 0, 10_000)


@dataclass
class FusionConfig(FusionOptions, PairNoiseOptions, TrainingConfig):
    """`task: avn_e`; `data_dir` is used for its utt2spk."""

    voice: str = "???"  # embedding.scp of the training set
    face: str = "???"
    # more quality tables of both modalities, used where avsv adapt wrote them beside the embeddings
    domain_quality: list[str] = field(default_factory=list)
    valid_voice: str = ""  # of the held-out people of valid_dir, clean or damaged
    valid_face: str = ""
    losses: LossWeights = field(default_factory=LossWeights)
    scale: float = within(32.0, above=0, high=10_000)
    margin: float = within(0.2, 0, 3)
    margin_warmup: float = within(0.0, 0, 1)  # share of the training during which the margin grows from 0
    sub_centres: int = within(1, 1, 100)
    inter_top_k: int = within(0, 0, 100_000)  # number of nearest other people that are penalised
    inter_top_penalty: float = within(0.06, 0, 3)
    target_prior: float = within(0.1, above=0, below=1)  # of the verification loss
    # clips of each person in a batch, for pairs of the same person; 0: sample clips regardless of person
    clips_per_person: int = within(0, 0, 10_000)


class FusionModel(nn.Module):
    """The network and its criteria.

    With several processes, each works on the whole batch: the network is small, and its losses use pairs.
    """

    whole_batch = True  # see distributed.py

    def __init__(self, n_voice: int, n_face: int, n_people: int, config: FusionConfig):
        super().__init__()
        options = options_of(FusionOptions, config)
        self.config, self.fusion = config, Fusion(n_voice, n_face, options)
        if config.losses.damage and not config.reliability:
            raise InputError("losses.damage: trains the detectors of damage; set reliability: true")
        if config.losses.aam:
            self.aam = AAMSoftmax(self.fusion.out_size, n_people, config.scale, config.margin, config.sub_centres,
                                  config.inter_top_k, config.inter_top_penalty)  # fmt: skip
        if config.losses.verification:
            self.verification = VerificationLoss(config.target_prior, LEAST)

    def forward(self, fused: Fused, labels: Tensor, present: Tensor, damaged: Tensor,
                done: float) -> tuple[Tensor, dict[str, Tensor]]:  # fmt: skip
        """The weighted sum of the losses, and each loss.

        Parameters
        ----------
        labels : (batch,) int64
        present, damaged : (batch, 2) bool
        done : finished share of the training
        """
        weights, config = self.config.losses, self.config
        terms, figures = {}, {}
        if weights.aam:
            self.aam.margin = warmed_margin(config.margin, done, config.margin_warmup)
            terms["aam"], logits = self.aam(fused.out, labels)
            figures["accuracy"] = (logits.detach().argmax(1) == labels).float().mean()
        if weights.contrastive:
            terms["contrastive"] = contrastive_loss(fused.out, labels, kept_share(done))
        if weights.verification:
            # where a missing modality is left out and the output is weighted voice and face, pairs are compared as by
            # avsv score --weights
            shared = config.fusion == "soft_attention_concat" and config.missing == "mask"
            terms["verification"] = self.verification(fused.out, labels, fused.weights if shared else None)
        if weights.damage:
            terms["damage"] = F.binary_cross_entropy_with_logits(fused.damage[present], damaged[present].float())
        if weights.attention:
            terms["attention"] = attention_loss(fused.weights, present, damaged)
        figures |= {name: term.detach() for name, term in terms.items()} if len(terms) > 1 else {}
        return sum(getattr(weights, name) * term for name, term in terms.items()), figures


def attention_loss(weights: Tensor, present: Tensor, damaged: Tensor) -> Tensor:
    """Minus the logarithm of the clean modality's weight, over pairs with one clean and one damaged modality.

    The sum is divided by the number of all pairs; otherwise batches with few such pairs would weigh more.

    Examples
    --------
    >>> both = torch.tensor([[True, True], [True, True]])
    >>> hit = torch.tensor([[False, True], [False, False]])
    >>> round(attention_loss(torch.tensor([[0.5, 0.5], [0.9, 0.1]]), both, hit).item(), 4)  # ln 2 / 2
    0.3466
    """
    one = present.all(1) & (damaged.sum(1) == 1)
    clean = (weights * ~damaged).sum(1)
    return -(clean.clamp(min=1e-4).log() * one).sum() / len(weights)


def read_pairs(data_dir: str, voice_scp: str, face_scp: str,
               options: FusionOptions) -> tuple[Pairs, list[str], list[str]]:  # fmt: skip
    """Voice and face embeddings of every clip that has at least one, sorted by identifier.

    Returns
    -------
    Pairs ; n utterances ; n people's names
    """
    utt2spk = read_table(Path(data_dir) / "utt2spk", fields=2, shape="utterance speaker")
    voice, face, present, utts = join_embeddings(voice_scp, face_scp)
    unknown = [utt for utt in utts if utt not in utt2spk]
    if unknown:
        raise InputError(f"{data_dir}/utt2spk: {len(unknown)} embedded utterances are not in it, such as {unknown[0]}")
    quality = pair_quality(options, voice_scp, face_scp, utts)
    pairs = Pairs(*(torch.from_numpy(x) for x in (voice, face, present, quality, np.zeros_like(present))))
    return pairs, utts, [utt2spk[u] for u in utts]


def validation_digests(config: FusionConfig) -> list[str]:
    """Hashes of the held-out clips' embeddings; none without held-out people.

    Raises
    ------
    InputError : valid_dir is given without valid_voice and valid_face
    """
    if config.valid_dir and not (config.valid_voice and config.valid_face):
        raise InputError("valid_dir: needs the embeddings of its clips too: valid_voice and valid_face")
    scps = [config.valid_voice, config.valid_face] if config.valid_dir else []
    return [embeddings_digest(read_embeddings(scp)) for scp in scps]


def make_validation(config: FusionConfig, people: list[str]) -> Validate | None:
    """The EER over all pairs of clips (or a sample of clips) of the held-out people; None without such people."""
    if not config.valid_dir:
        return None
    pairs, utts, spk = read_pairs(config.valid_dir, config.valid_voice, config.valid_face, config)
    refuse_trained(config.valid_dir, spk, people)
    rows_of = {utt: row for row, utt in enumerate(utts)}
    rows = [rows_of[utt] for utt in choose_clips(dict(zip(utts, spk, strict=True)), config.valid_clips)]
    who, arrays = [spk[row] for row in rows], [x[rows].numpy() for x in pairs[:4]]
    if not 1 < len(set(who)) < len(who):
        raise InputError(f"{config.valid_dir}: {len(who)} clips of {len(set(who))} people make no pairs for validation")
    return lambda model: {"eer_percent": pairs_eer(fuse_pairs(model.fusion, *arrays)[0], who)}


def add_domain_quality(config: FusionConfig) -> FusionConfig:
    """The configuration with those tables of `domain_quality` that avsv adapt wrote beside the embeddings."""
    tables = {}
    for modality, scp in (("voice", config.voice), ("face", config.face)):
        further = [name for name in config.domain_quality if quality_file(scp, name).exists()]
        if further:
            log.info("%s: adapted; its quality includes %s", scp, ", ".join(further))
        tables[f"{modality}_quality"] = [*getattr(config, f"{modality}_quality"), *further]
    return replace(config, domain_quality=[], **tables)


def set_statistics(fusion: Fusion, pairs: Pairs, noise: PairNoise) -> None:
    """Training-set statistics: means of the clean embeddings, mean and spread of the quality tables of all."""
    fusion.voice_mean.copy_(pairs.voice[pairs.present[:, 0]].mean(0))
    fusion.face_mean.copy_(pairs.face[pairs.present[:, 1]].mean(0))
    tables = [*fusion.options.voice_quality, *fusion.options.face_quality]
    for column, name in enumerate(tables):
        values = torch.cat([part[:, column] for part in (pairs.quality, noise.damaged_quality())])
        values = values[~values.isnan()]
        if len(values) < 2:
            raise InputError(f"{name}: {len(values)} training clips have a value, at least 2 are needed")
        fusion.quality_mean[column] = values.mean()
        fusion.quality_std[column] = values.std().clamp(min=1e-6)


class AvnETask(Task):
    """`task: avn_e`: writes fusion.safetensors."""

    config_class = FusionConfig
    title = "AVN-E: an embedding of a voice and one of a face, fused to one embedding."
    use = (
        'fusion = avsv.load_fusion("FOLDER")',
        "out = fusion(voice, face, present).out  # embeddings, and (n, 2) bool: is there a voice, a face?",
    )

    def read(self) -> Inputs:
        config = self.config = add_domain_quality(self.config)
        self.pairs, utts, self.people = read_pairs(config.data_dir, config.voice, config.face, config)
        self.names = sorted(set(self.people))
        if len(self.names) < 2:
            raise InputError(f"{config.data_dir}: has embeddings of {len(self.names)} people; training needs at "
                             "least 2")  # fmt: skip
        self.sizes, self.n_people = (self.pairs.voice.shape[1], self.pairs.face.shape[1]), len(self.names)
        self.noise = PairNoise(config, (config.voice_quality, config.face_quality), utts, self.sizes)
        scps = {"voice": config.voice, "face": config.face}
        self.encoders = {modality: model for modality, scp in scps.items() if (model := embeddings_model(scp))}
        keys = {"data": [digest([utts, self.people]), digest_arrays(*self.pairs)], "noise": self.noise.digests(),
                "validation": validation_digests(config)}  # fmt: skip
        return Inputs(keys)

    def random_data(self, n_people: int, n_clips: int) -> RandomData:
        """Random embeddings of the published encoders' sizes, without damage that needs files."""
        config = self.config
        sizes, n = (192, 512), min(config.batch_size, n_clips)
        options = replace(config, damage=config.damage if config.damage == "v1" else "none")
        self.sizes, self.n_people = sizes, n_people
        self.noise = PairNoise(options, (config.voice_quality, config.face_quality), [], sizes)
        quality = torch.randn(n, len(config.voice_quality) + len(config.face_quality))
        both = torch.ones(n, 2, dtype=torch.bool)
        self.pairs = Pairs(torch.randn(n, sizes[0]), torch.randn(n, sizes[1]), both, quality, ~both)
        self.labels = torch.randint(n_people, (n,))
        example = f"a pair of embeddings ({sizes[0]}, {sizes[1]})"
        return RandomData(lambda size: (torch.arange(size), 1.0), n_clips, example)

    def make_model(self) -> FusionModel:
        return FusionModel(*self.sizes, self.n_people, self.config)

    def prepare(self, trainer: Trainer) -> None:
        counts = self.pairs.present.sum(0).tolist()
        log.info("%d clips of %d people, %d with a voice, %d with a face", len(self.people), self.n_people, *counts)
        numbers = {spk: number for number, spk in enumerate(self.names)}
        self.labels = torch.tensor([numbers[spk] for spk in self.people])
        set_statistics(self.model.fusion, self.pairs, self.noise)

    def make_step(self, trainer: Trainer) -> Step:
        """The step on rows of the pairs and the finished share of the training."""
        model, noise = self.model, self.noise

        def step(batch):
            rows, done = batch
            raw = noise.damage_raw(Pairs(*(x[rows].to(trainer.device) for x in self.pairs)), rows)
            voice, face = model.fusion.normalize(raw.voice, raw.face, raw.present)
            voice, face, present, damaged = noise.damage_unit(voice, face, raw.present, raw.damaged)
            fused = model.fusion.fuse(voice, face, present, raw.quality)
            loss, figures = model(fused, self.labels[rows].to(trainer.device), present, damaged, done)
            return loss, {**figures, **measure_weights(fused.weights.detach(), present, damaged)}

        return step

    def plan(self, epoch: int) -> list[Tensor]:
        size = min(self.config.batch_size, len(self.people))
        return plan_by_person(self.labels, size, self.config.clips_per_person, [self.config.seed, epoch])

    def batches(self, epoch: int) -> list[tuple[Tensor, float]]:
        plan = self.plan(epoch)
        return [(rows, (epoch + i / len(plan)) / self.config.epochs) for i, rows in enumerate(plan)]

    def make_validation(self, trainer: Trainer) -> Validate | None:
        return make_validation(self.config, self.names)

    def save(self) -> None:
        save(self.config.exp_dir, FUSION, self.model.fusion, self.model.fusion.description)
        write_json(Path(self.config.exp_dir) / TRAINED_ON, self.encoders)


def measure_weights(weights: Tensor, present: Tensor, damaged: Tensor) -> dict[str, Tensor]:
    """The voice's mean weight over pairs with both modalities clean, with a damaged voice, and with a damaged face.

    A state that does not occur in the batch gets the mean of all pairs, so every batch has the same figures.
    """
    both = present.all(1)
    states = {"voice_weight": ~damaged.any(1)}
    if damaged.any():
        states |= {"voice_weight_voice_hit": damaged[:, 0] & ~damaged[:, 1],
                   "voice_weight_face_hit": damaged[:, 1] & ~damaged[:, 0]}  # fmt: skip
    rows = {name: both & state for name, state in states.items()}
    return {name: (weights[row, 0] if row.any() else weights[:, 0]).mean() for name, row in rows.items()}
