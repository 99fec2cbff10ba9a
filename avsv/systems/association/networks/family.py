"""What the families have in common: their options, their inputs, and the Linear blocks that they are made of."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avsv.models.ranges import choice, within

COVARIATES = ("identity", "gender", "nationality", "age")


@dataclass
class AssociationOptions:
    """How the network of a system is built and taught; each system reads what concerns it."""

    # infonce | fop | ssnet | dimnet | pins | svhf
    system: str = choice("infonce", "infonce", "fop", "ssnet", "dimnet", "pins", "svhf")
    size: int = within(128, 1, 16384)  # of the joint space
    hidden: int = within(256, 0, 16384)  # of the layer before it; 0: there is none
    dropout: float = within(0.5, 0, below=1)
    # added to the inputs in training: standard deviation, where their elements have mean square 1
    noise: float = within(0.0, 0, 100)
    temperature: float = within(0.07, above=0, high=100)  # infonce: at the beginning; it is learned
    fusion: str = choice("gated", "none", "linear", "gated")  # fop: none | linear | gated
    # fop: relu (Linear, BN, ReLU, Dropout, L2) | tanh (of a Linear, L2: the single stream's)
    transform: str = choice("relu", "relu", "tanh")
    ce_weight: float = within(1.0, 0, 10_000)  # fop: of cross-entropy
    alpha: float = within(1.0, 0, 10_000)  # fop: of the orthogonal projection
    # fop: paper (|mean cosine| of strangers) | code (0.7 x mean |cosine|)
    projection: str = choice("paper", "paper", "code")
    centre_weight: float = within(1.0, 0, 10_000)  # ssnet: lambda of softmax + (lambda / 2) centre loss
    covariates: tuple[str, ...] = ("identity", "gender", "nationality")  # dimnet: what is classified
    margin: float = within(0.6, 0, 100)  # pins
    tau: tuple[float, float] = within((0.3, 0.8), 0, 1)  # pins: hardness of negatives, at first and in the end
    direction: str = choice("v2f", "v2f", "f2v")  # svhf: v2f (a voice and N faces) | f2v
    candidates: int = within(2, 2, 10_000)  # svhf: N that it is trained with


class Pairs(NamedTuple):
    """A batch: row i of all is of one person.

    voice : (batch, n_voice), face : (batch, n_face)
    labels : (batch,) int64, who
    covariates : name -> (batch,) int64
    """

    voice: Tensor
    face: Tensor
    labels: Tensor
    covariates: Mapping[str, Tensor]


class Family(nn.Module, ABC):
    """A system: two embedding functions into one space, and what teaches them.

    Parameters
    ----------
    sizes : of voice and face inputs
    n_classes : covariate -> number of its values among the training people; "identity" is their number
    options : see AssociationOptions
    """

    whole_batch = True  # pairs are formed over all of it: of several processes each works on the whole batch

    def __init__(self, sizes: Sequence[int], n_classes: Mapping[str, int], options: AssociationOptions):
        super().__init__()
        self.sizes, self.n_classes, self.options = tuple(sizes), dict(n_classes), options
        # of the training set: set by `set_means`
        self.register_buffer("voice_mean", torch.zeros(sizes[0]))
        self.register_buffer("face_mean", torch.zeros(sizes[1]))

    def set_means(self, voice: Tensor, face: Tensor) -> None:
        self.voice_mean.copy_(voice.mean(0))
        self.face_mean.copy_(face.mean(0))

    def prepare(self, x: Tensor, is_voice: bool) -> Tensor:
        """Inputs less the training set's mean, their elements of mean square 1."""
        mean = self.voice_mean if is_voice else self.face_mean
        x = F.normalize(x.float() - mean) * x.shape[1] ** 0.5
        return x + self.options.noise * torch.randn_like(x) if self.training and self.options.noise else x

    @abstractmethod
    def voice(self, x: Tensor) -> Tensor:
        """(batch, n_voice) -> (batch, size), to be compared by their cosine."""

    @abstractmethod
    def face(self, x: Tensor) -> Tensor:
        """(batch, n_face) -> (batch, size)."""

    @abstractmethod
    def loss(self, pairs: Pairs, done: float) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss over a batch, and figures to show; `done` is the share of the training that is behind."""


def branch(n_in: int, hidden: int, size: int, dropout: float) -> nn.Sequential:
    """Linear, BN, ReLU, Dropout to `hidden` (where it is not 0), and a Linear to `size`.

    With neither a hidden layer nor another size it is nothing: an end-to-end trunk's output as it is.
    """
    if not hidden:
        return nn.Sequential() if n_in == size else nn.Sequential(nn.Linear(n_in, size))
    return nn.Sequential(*layer(n_in, hidden, dropout), nn.Linear(hidden, size))


def layer(n_in: int, size: int, dropout: float) -> nn.Sequential:
    """Linear, BN, ReLU, Dropout."""
    return nn.Sequential(nn.Linear(n_in, size), nn.BatchNorm1d(size), nn.ReLU(), nn.Dropout(dropout))


def accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    return (logits.detach().argmax(1) == labels).float().mean()
