"""Common parts of the network families: options, inputs and Linear blocks."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avsv.models.ranges import choice, within

COVARIATES = ("identity", "gender", "nationality", "age")


@dataclass
class AssociationOptions:
    """Options of the networks and their losses; each system uses those marked with its name and the unmarked ones."""

    # infonce | fop | ssnet | dimnet | pins | svhf
    system: str = choice("infonce", "infonce", "fop", "ssnet", "dimnet", "pins", "svhf")
    size: int = within(128, 1, 16384)  # dimension of the joint space
    hidden: int = within(256, 0, 16384)  # units of the hidden layer; 0: no hidden layer
    dropout: float = within(0.5, 0, below=1)
    # standard deviation of noise added to the inputs in training; input elements have mean square 1
    noise: float = within(0.0, 0, 100)
    temperature: float = within(0.07, above=0, high=100)  # infonce: initial value; it is learned
    fusion: str = choice("gated", "none", "linear", "gated")  # fop: none | linear | gated
    # fop: relu (Linear, BN, ReLU, Dropout, L2) | tanh (Linear, tanh, L2: the single-stream network's)
    transform: str = choice("relu", "relu", "tanh")
    ce_weight: float = within(1.0, 0, 10_000)  # fop: weight of the cross-entropy
    alpha: float = within(1.0, 0, 10_000)  # fop: weight of the orthogonal projection
    # fop: paper (|mean negative cosine|) | code (0.7 x mean |negative cosine|)
    projection: str = choice("paper", "paper", "code")
    centre_weight: float = within(1.0, 0, 10_000)  # ssnet: lambda of softmax + (lambda / 2) centre loss
    covariates: tuple[str, ...] = ("identity", "gender", "nationality")  # dimnet: classified covariates
    margin: float = within(0.6, 0, 100)  # pins
    tau: tuple[float, float] = within((0.3, 0.8), 0, 1)  # pins: hardness of negatives, initial and final
    direction: str = choice("v2f", "v2f", "f2v")  # svhf: v2f (one voice, N faces) | f2v
    candidates: int = within(2, 2, 10_000)  # svhf: N in training


class Pairs(NamedTuple):
    """A batch; row i of every tensor belongs to the same person.

    voice : (batch, n_voice)
    face : (batch, n_face)
    labels : (batch,) int64, identities
    covariates : name -> (batch,) int64, values
    """

    voice: Tensor
    face: Tensor
    labels: Tensor
    covariates: Mapping[str, Tensor]


class Family(nn.Module, ABC):
    """Two embedding functions into one space, and the loss that trains them.

    Parameters
    ----------
    sizes : dimensions of voice and face inputs
    n_classes : covariate -> number of its values among the training people; "identity" is the number of people
    options : see AssociationOptions
    """

    whole_batch = True  # losses form pairs over the whole batch, so with several processes each gets all of it

    def __init__(self, sizes: Sequence[int], n_classes: Mapping[str, int], options: AssociationOptions):
        super().__init__()
        self.sizes, self.n_classes, self.options = tuple(sizes), dict(n_classes), options
        # means of the training set, see `set_means`
        self.register_buffer("voice_mean", torch.zeros(sizes[0]))
        self.register_buffer("face_mean", torch.zeros(sizes[1]))

    @property
    def description(self) -> dict:
        """The description from which `build_family` rebuilds the network."""
        return {"sizes": self.sizes, "n_classes": self.n_classes, "options": asdict(self.options)}

    def set_means(self, voice: Tensor, face: Tensor) -> None:
        self.voice_mean.copy_(voice.mean(0))
        self.face_mean.copy_(face.mean(0))

    def prepare(self, x: Tensor, is_voice: bool) -> Tensor:
        """Subtract the training set's mean and scale to mean square 1."""
        mean = self.voice_mean if is_voice else self.face_mean
        x = F.normalize(x.float() - mean) * x.shape[1] ** 0.5
        return x + self.options.noise * torch.randn_like(x) if self.training and self.options.noise else x

    @abstractmethod
    def voice(self, x: Tensor) -> Tensor:
        """Embed voices, (batch, n_voice) -> (batch, size); compare by cosine."""

    @abstractmethod
    def face(self, x: Tensor) -> Tensor:
        """Embed faces, (batch, n_face) -> (batch, size); compare by cosine."""

    @abstractmethod
    def loss(self, pairs: Pairs, done: float) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of a batch, and figures to log; `done` is the completed share of the training."""


def branch(n_in: int, hidden: int, size: int, dropout: float) -> nn.Sequential:
    """Linear, BN, ReLU, Dropout to `hidden` units unless that is 0, then Linear to `size`.

    Without a hidden layer and with `n_in == size` the branch is empty and passes an end-to-end trunk's output through.
    """
    if not hidden:
        return nn.Sequential() if n_in == size else nn.Sequential(nn.Linear(n_in, size))
    return nn.Sequential(*layer(n_in, hidden, dropout), nn.Linear(hidden, size))


def layer(n_in: int, size: int, dropout: float) -> nn.Sequential:
    """Linear, BN, ReLU, Dropout."""
    return nn.Sequential(nn.Linear(n_in, size), nn.BatchNorm1d(size), nn.ReLU(), nn.Dropout(dropout))


def accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    return (logits.detach().argmax(1) == labels).float().mean()
