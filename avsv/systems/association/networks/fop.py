"""FOP, fusion and orthogonal projection (Saeed et al., ICASSP 2022), and the head of the single-stream network.

Each modality is transformed and the two are fused. The fused vector is classified; fused vectors of the same person are
pulled together and those of different people made orthogonal. At test time the transformed voice and face are compared
without the fusion, which only shapes the training.

    transform  relu  Linear, BN, ReLU, Dropout, L2 norm (FOP)
               tanh  u = tanh(W e), L2 norm (head of the single-stream network)
    fusion     linear  two learned scalars, a u + b v
               gated   FOP, from the authors' public code: k = sigmoid(Linear(ReLU(BN(Linear([u; v])))));
                       k tanh(u) + (1 - k) tanh(v)
                       single stream: k = sigmoid(W [e; b] + B) of the head's input embeddings e, b;
                       k u + (1 - k) v
               none    voices and faces are classified and pulled together directly

Input embeddings come from `Family.prepare`: the training set's mean is subtracted and the mean square is 1 (ours).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avsv.errors import InputError, refuse_unknown
from avsv.systems.association.losses import PROJECTIONS, orthogonal_projection
from avsv.systems.association.networks.family import Family, Pairs, accuracy, layer

FUSIONS, TRANSFORMS = ("none", "linear", "gated"), ("relu", "tanh")


class GatedUnit(nn.Module):
    """k = sigmoid(W [e; b] + B); k * u + (1 - k) * v (GMU, Arevalo et al., 2017), the single stream's fusion.

    The gate takes the input embeddings rather than the unit-length tanh, which is too small to move it.

    Parameters
    ----------
    sizes : dimensions of the embeddings e, b
    size : dimension of the transformed vectors u, v

    Examples
    --------
    >>> unit = GatedUnit((3, 2), 2)
    >>> nn.init.zeros_(unit.gate.weight); nn.init.zeros_(unit.gate.bias)
    Parameter containing: ...
    Parameter containing: ...
    >>> unit(torch.ones(1, 3), torch.ones(1, 2), torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])).tolist()
    [[0.5, 0.5]]
    """

    def __init__(self, sizes: tuple[int, int], size: int):
        super().__init__()
        self.gate = nn.Linear(sum(sizes), size)

    def forward(self, e: Tensor, b: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """Fuse u and v, both (batch, size), with a gate from e (batch, n) and b (batch, m) -> (batch, size)."""
        k = torch.sigmoid(self.gate(torch.cat([e, b], 1)))
        return k * u + (1 - k) * v


class GatedFusion(nn.Module):
    """FOP's gated fusion in the authors' public code: the gate has a hidden layer, and the tanh of u and v are fused.

    Parameters
    ----------
    size : dimension of u and v
    hidden : units of the gate's hidden layer, 128 in the public code
    """

    def __init__(self, size: int, hidden: int = 128):
        super().__init__()
        self.gate = nn.Sequential(nn.Linear(2 * size, hidden), nn.BatchNorm1d(hidden), nn.ReLU(),
                                  nn.Linear(hidden, size))  # fmt: skip

    def forward(self, e: Tensor, b: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """See `GatedUnit.forward`; e and b are unused."""
        k = torch.sigmoid(self.gate(torch.cat([u, v], 1)))
        return k * torch.tanh(u) + (1 - k) * torch.tanh(v)


class WeightedSum(nn.Module):
    """FOP's linear fusion: a * u + b * v with two learned scalars, initially 0.5 (ours)."""

    def __init__(self):
        super().__init__()
        self.weights = nn.Parameter(torch.full((2,), 0.5))

    def forward(self, e: Tensor, b: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """See `GatedUnit.forward`; e and b are unused."""
        return self.weights[0] * u + self.weights[1] * v


class Fop(Family):
    """Transforms, fusion and classifier; see the module's table."""

    def __init__(self, sizes, n_classes, options):
        super().__init__(sizes, n_classes, options)
        for name, allowed in (("fusion", FUSIONS), ("transform", TRANSFORMS), ("projection", tuple(PROJECTIONS))):
            if getattr(options, name) not in allowed:
                raise InputError(f"{name}={getattr(options, name)}: expected {' | '.join(allowed)}")
        if not (options.ce_weight or options.alpha):
            raise InputError("ce_weight=0 alpha=0: expected at least one weight above 0")
        self.transforms = nn.ModuleList(transform(n, options.size, options.dropout, options.transform) for n in sizes)
        self.fusion = make_fusion(self.sizes, options.size, options.fusion, options.transform)
        self.classifier = nn.Linear(options.size, n_classes["identity"])

    def voice(self, x: Tensor) -> Tensor:
        return F.normalize(self.transforms[0](self.prepare(x, True)))

    def face(self, x: Tensor) -> Tensor:
        return F.normalize(self.transforms[1](self.prepare(x, False)))

    def loss(self, pairs: Pairs, done: float) -> tuple[Tensor, dict[str, Tensor]]:
        """ce_weight x CE(fused logits) + alpha x orthogonal projection of the fused vectors."""
        e, b = self.prepare(pairs.voice, True), self.prepare(pairs.face, False)
        u, v = (F.normalize(change(x)) for change, x in zip(self.transforms, (e, b), strict=True))
        if self.fusion is None:
            fused, labels = torch.cat([u, v]), pairs.labels.repeat(2)
        else:
            fused, labels = self.fusion(e, b, u, v), pairs.labels
        logits = self.classifier(fused)
        ce, projection = F.cross_entropy(logits, labels), orthogonal_projection(fused, labels, self.options.projection)
        loss = self.options.ce_weight * ce + self.options.alpha * projection
        return loss, {"accuracy": accuracy(logits, labels), "projection": projection.detach()}


def make_fusion(sizes: tuple[int, int], size: int, fusion: str, transform: str) -> nn.Module | None:
    """The module of one of FUSIONS; None for "none"."""
    refuse_unknown("fusion", fusion, FUSIONS)
    refuse_unknown("transform", transform, TRANSFORMS)
    if fusion == "none":
        return None
    if fusion == "linear":
        return WeightedSum()
    return GatedUnit(sizes, size) if transform == "tanh" else GatedFusion(size)


def transform(n_in: int, size: int, dropout: float, kind: str) -> nn.Sequential:
    refuse_unknown("transform", kind, TRANSFORMS)
    if kind == "tanh":
        return nn.Sequential(nn.Linear(n_in, size), nn.Tanh())
    return layer(n_in, size, dropout)
