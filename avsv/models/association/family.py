"""What the families have in common: their options, their inputs, and the Linear blocks that they are made of."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

COVARIATES = ("identity", "gender", "nationality", "age")


@dataclass
class AssociationOptions:
    """How the network of a system is built and taught; each system reads what concerns it."""

    system: str = "infonce"  # infonce | fop | ssnet | dimnet | pins | svhf
    size: int = 128  # of the joint space
    hidden: int = 256  # of the layer before it; 0: there is none
    dropout: float = 0.5
    noise: float = 0.0  # added to the inputs in training: standard deviation, where their elements have mean square 1
    temperature: float = 0.07  # infonce: at the beginning; it is learned
    fusion: str = "gated"  # fop: none | linear | gated
    transform: str = "relu"  # fop: relu (Linear, BN, ReLU, Dropout, L2) | tanh (of a Linear, L2: the single stream's)
    ce_weight: float = 1.0  # fop: of cross-entropy
    alpha: float = 1.0  # fop: of the orthogonal projection
    projection: str = "paper"  # fop: paper (|mean cosine| of strangers) | code (0.7 x mean |cosine|)
    centre_weight: float = 1.0  # ssnet: lambda of softmax + (lambda / 2) centre loss
    covariates: tuple[str, ...] = ("identity", "gender", "nationality")  # dimnet: what is classified
    margin: float = 0.6  # pins
    tau: tuple[float, float] = (0.3, 0.8)  # pins: hardness of negatives, at first and in the end
    direction: str = "v2f"  # svhf: v2f (a voice and N faces) | f2v
    candidates: int = 2  # svhf: N that it is trained with


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
