"""Damage to pairs of embeddings during training of AVN-E: embedding-level augmentation (Qian et al., TASLP 2021).

In a share of the pairs, one modality, voice or face with equal probability, or both are damaged. Kinds of damage:

v1    the all-zero vector (a missing modality), N(0, I), or e + noise_std std(e) N(0, 1), with equal probability
v2    noise distribution matching: e + mu_k + sigma_k N(0, 1) with the statistics of a random type k of noise
real  embeddings of the same clip computed from damaged audio or images
none  no damage

In addition, a share of the pairs loses one modality entirely (modality dropout).
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from avsv.embeddings.quality_tables import read_quality
from avsv.errors import InputError
from avsv.jobs.fingerprints import file_digest
from avsv.kaldi.damage import MISSING, read_damage
from avsv.kaldi.embeddings import read_embeddings
from avsv.models.ranges import choice, within
from avsv.training.experiment import digest_arrays
from avsv.training.noise_statistics import NoiseStatistics, read_noise

MODALITIES = ("voice", "face")
KINDS = ("v1", "v2", "real", "none")


@dataclass
class DamagedSet:
    """A data directory written by `avsv damage`, and its embeddings; an empty string leaves out that modality."""

    data_dir: str = "???"
    voice: str = ""
    face: str = ""


@dataclass
class PairNoiseOptions:
    """Embedding-level augmentation."""

    damage: str = choice("v1", "v1", "v2", "real", "none")  # v1 | v2 | real | none
    damage_share: float = within(0.5, 0, 1)  # p: share of damaged pairs
    damage_both: bool = False  # damage both modalities of these pairs instead of exactly one
    missing_share: float = within(0.0, 0, 1)  # share of pairs that lose a modality, in addition to v1's losses
    noise_std: float = within(0.5, 0, 1000)  # additive noise of v1, in standard deviations of the embedding
    voice_noise: str = ""  # v2: output of avsv noise-statistics for the voice
    face_noise: str = ""  # v2: the same for the face
    damaged_sets: list[DamagedSet] = field(default_factory=list)  # real: the damaged training sets


class Pairs(NamedTuple):
    """Raw embeddings of some clips.

    voice : (n, n_voice) ; face : (n, n_face) ; present : (n, 2) bool
    quality : (n, q) values of the quality tables, first those of the voice
    damaged : (n, 2) bool, damaged but still present
    """

    voice: Tensor
    face: Tensor
    present: Tensor
    quality: Tensor
    damaged: Tensor


class PairNoise:
    """Draws damage for batches: `damage_raw` before and `damage_unit` after the embeddings are normalised."""

    def __init__(self, options: PairNoiseOptions, quality: tuple[list[str], list[str]], utts: list[str],
                 sizes: tuple[int, int]):  # fmt: skip
        refuse_noise(options, quality)
        self.options = options
        self.n_quality = len(quality[0]), len(quality[1])
        if options.damage == "v2":
            files = (options.voice_noise, options.face_noise)
            self.statistics = [read_statistics(*one) for one in zip(files, quality, sizes, strict=True)]
        if options.damage == "real":
            self.versions = [read_versions(m, options.damaged_sets, q, utts)
                             for m, q in zip(MODALITIES, quality, strict=True)]  # fmt: skip

    def digests(self) -> list[str]:
        """Hashes of the files that the augmentation draws from; changing one makes another experiment."""
        if self.options.damage == "v2":
            return [file_digest(path) for path in (self.options.voice_noise, self.options.face_noise)]
        if self.options.damage == "real":
            return [digest_arrays(*versions) for versions in self.versions]
        return []

    def damaged_quality(self) -> Tensor:
        """Quality of the damaged clips of `real` damage, (n, q) like that of `Pairs`; NaN for the other modality."""
        if self.options.damage != "real":
            return torch.empty(0, sum(self.n_quality))
        # a modality without damaged sets has a placeholder, which no clip refers to
        voice, face = (versions.quality[: int(versions.row_of.max()) + 1] for versions in self.versions)
        return torch.cat(
            [F.pad(voice, (0, face.shape[1]), value=torch.nan), F.pad(face, (voice.shape[1], 0), value=torch.nan)]
        )

    def draw(self, present: Tensor) -> Tensor:
        """Draw the modalities to damage, (n, 2) bool. A pair with a single modality is never damaged."""
        n, device = len(present), present.device
        hit = (torch.rand(n, device=device) < self.options.damage_share) & present.all(1)
        if self.options.damage == "none":
            hit = torch.zeros_like(hit)
        which = F.one_hot(torch.randint(2, (n,), device=device), 2).bool()
        return hit[:, None] & (which | self.options.damage_both)

    def damage_raw(self, pairs: Pairs, rows: Tensor) -> Pairs:
        """Apply v2 and real damage to raw embeddings; v1 only draws the modalities that `damage_unit` will damage.

        Parameters
        ----------
        rows : (n,) indices of the training clips
        """
        hit = self.draw(pairs.present)
        change = {"v2": self.match_noise, "real": self.swap}.get(self.options.damage)
        vectors, quality = [pairs.voice, pairs.face], list(self.split(pairs.quality))
        if change:
            for modality in (0, 1):
                changed = change(modality, vectors[modality], quality[modality], hit[:, modality], rows)
                vectors[modality], quality[modality], hit[:, modality] = changed
        return Pairs(vectors[0], vectors[1], pairs.present, torch.cat(quality, 1), hit)

    def split(self, quality: Tensor) -> tuple[Tensor, Tensor]:
        return quality[:, : self.n_quality[0]], quality[:, self.n_quality[0] :]

    def match_noise(self, modality: int, vectors: Tensor, quality: Tensor, hit: Tensor, rows: Tensor) -> tuple:
        noise = self.statistics[modality]
        kind = torch.randint(len(noise.kinds), (len(rows),))

        def gaussian(mean: np.ndarray, std: np.ndarray, like: Tensor) -> Tensor:
            mean, std = (torch.from_numpy(x.astype(np.float32))[kind].to(like.device) for x in (mean, std))
            return mean + std * torch.randn_like(like)

        changed = vectors + gaussian(noise.mean, noise.std, vectors)
        measured = gaussian(noise.quality_mean, noise.quality_std, quality)
        return torch.where(hit[:, None], changed, vectors), torch.where(hit[:, None], measured, quality), hit

    def swap(self, modality: int, vectors: Tensor, quality: Tensor, hit: Tensor, rows: Tensor) -> tuple:
        versions = self.versions[modality]
        available = versions.row_of[:, rows.cpu()] >= 0
        hit = hit & available.any(0).to(hit.device)  # a clip without a damaged version stays clean
        if not hit.any():
            return vectors, quality, hit
        chosen = torch.where(available.any(0), available.T.float().add(1e-12).multinomial(1)[:, 0], 0)
        places = versions.row_of[chosen, rows.cpu()].clamp(min=0)
        vectors = torch.where(hit[:, None], versions.vectors[places].to(vectors), vectors)
        return vectors, torch.where(hit[:, None], versions.quality[places].to(quality), quality), hit

    def damage_unit(self, voice: Tensor, face: Tensor, present: Tensor, hit: Tensor) -> tuple[Tensor, ...]:
        """Apply v1 damage and modality dropout to unit-length embeddings.

        Returns
        -------
        voice, face, present, damaged (marked in `hit` and still present)
        """
        if self.options.damage == "v1":
            voice, face, present = damage_embeddings(voice, face, present, hit, self.options.noise_std)
        if self.options.missing_share:
            lost = (torch.rand(len(present), device=present.device) < self.options.missing_share) & present.all(1)
            which = torch.randint(2, (len(present),), device=present.device)
            present = present & ~(lost[:, None] & F.one_hot(which, 2).bool())
        return voice * present[:, :1], face * present[:, 1:], present, hit & present


def damage_embeddings(
    voice: Tensor, face: Tensor, present: Tensor, hit: Tensor, noise_std: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Corrupt the modalities marked in `hit` (augmentation v1 of Qian et al.).

    One of three corruptions is drawn with equal probability: the modality goes missing (the all-zero vector), becomes a
    random direction (N(0, I)), or receives noise (e + noise_std * std(e) * N(0, 1)). At most one modality of a pair
    goes missing, even if both are hit.

    Parameters
    ----------
    voice : (batch, n), face : (batch, m), of length 1 ; present : (batch, 2) bool ; hit : (batch, 2) bool

    Returns
    -------
    voice, face, present after damage
    """
    n = len(voice)
    present, damaged = present.clone(), []
    for modality, vectors in enumerate((voice, face)):
        kind = torch.randint(3, (n,), device=voice.device)
        chosen = hit[:, modality]
        present[:, modality] &= ~(chosen & (kind == 0) & present[:, 1 - modality])
        noise = torch.randn_like(vectors)
        mild = F.normalize(vectors + noise_std * vectors.std(1, keepdim=True) * noise)
        changed = torch.where((kind == 2)[:, None], mild, F.normalize(noise))
        changed = torch.where(chosen[:, None], changed, vectors)
        damaged.append(changed * present[:, modality : modality + 1].clone())  # `present` changes; gradients need this
    return damaged[0], damaged[1], present


def refuse_noise(options: PairNoiseOptions, quality: tuple[list[str], list[str]]) -> None:
    """Raise InputError if the augmentation is unknown or its inputs are missing."""
    if options.damage not in KINDS:
        raise InputError(f"damage: {options.damage}: expected one of {', '.join(KINDS)}")
    if options.damage == "v1" and any(quality):
        raise InputError("damage: v1 changes embeddings but not their quality measures, so the network would learn to "
                        "ignore the measures; use v2 or real, or remove the quality tables")  # fmt: skip
    if options.damage == "v2" and not (options.voice_noise and options.face_noise):
        raise InputError("damage: v2 needs voice_noise and face_noise; make them with avsv noise-statistics")
    if options.damage == "real" and not any(one.voice or one.face for one in options.damaged_sets):
        raise InputError("damage: real needs damaged_sets: a list of data_dir, voice, face of damaged training sets")


def read_statistics(path: str, quality: list[str], size: int) -> NoiseStatistics:
    noise = read_noise(path)
    if noise.mean.shape[1] != size or list(noise.quality) != list(quality):
        raise InputError(
            f"{path}: has statistics of embeddings of size {noise.mean.shape[1]} and quality tables "
            f"{list(noise.quality)}, "
            f"expected {size} and {list(quality)}; measure it again with avsv noise-statistics"
        )
    return noise


class Versions(NamedTuple):
    """Damaged embeddings of one modality.

    vectors : (m, d) ; quality : (m, q)
    row_of : (sets, clips) row of a clip's damaged embedding in each set, -1 where it has none
    """

    vectors: Tensor
    quality: Tensor
    row_of: Tensor


def read_versions(modality: str, sets: list[DamagedSet], quality: list[str], utts: list[str]) -> Versions:
    """Read the embeddings of clips with a damaged `modality` from all sets that name embeddings of it.

    Raises
    ------
    InputError : a set names such embeddings, but they cover none of the training clips
    """
    sets = [one for one in sets if getattr(one, modality)]
    if not sets:
        return Versions(torch.zeros(1, 1), torch.zeros(1, len(quality)), torch.full((1, len(utts)), -1))
    place = {utt: i for i, utt in enumerate(utts)}
    row_of = torch.full((len(sets), len(utts)), -1)
    vectors, values, begin = [], [], 0
    for number, one in enumerate(sets):
        hit = {utt for utt, what in read_damage(one.data_dir, modality).items() if what["kind"] != MISSING}
        scp = getattr(one, modality)
        embeddings = read_embeddings(scp, only=[utt for utt in utts if utt in hit])
        row_of[number, [place[utt] for utt in embeddings.ids]] = begin + torch.arange(len(embeddings))
        begin += len(embeddings)
        if len(embeddings):
            vectors.append(torch.from_numpy(embeddings.vectors))
            values.append(torch.from_numpy(read_quality(scp, quality, embeddings.ids)))
    if not vectors:
        names = ", ".join(one.data_dir for one in sets)
        raise InputError(f"{names}: no training clip has a damaged {modality}; make such clips from the training set "
                        f"with avsv damage, and embed them with avsv embed-{modality}")  # fmt: skip
    return Versions(torch.cat(vectors), torch.cat(values), row_of)
