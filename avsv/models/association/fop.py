"""FOP, fusion and orthogonal projection (Saeed et al., ICASSP 2022), and the head of the single-stream network.

Each modality is transformed; both are fused, linearly or by a gated unit (GMU); the fused vector is classified, and
fused vectors of one person are drawn together, those of different people made orthogonal. In the test the transformed
voice and face are compared, without the fusion: it is there to teach them.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avsv.errors import UserError
from avsv.losses.cross_modal import orthogonal_projection
from avsv.models.association.family import Family, Pairs, accuracy

FUSIONS, TRANSFORMS = ("none", "linear", "gated"), ("relu", "tanh")


class GatedUnit(nn.Module):
    """k = sigmoid(W [u; v] + B); k * u + (1 - k) * v (GMU, Arevalo et al., 2017).

    Examples
    --------
    >>> unit = GatedUnit(2)
    >>> nn.init.zeros_(unit.gate.weight); nn.init.zeros_(unit.gate.bias)
    Parameter containing: ...
    Parameter containing: ...
    >>> unit(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])).tolist()
    [[0.5, 0.5]]
    """

    def __init__(self, size: int):
        super().__init__()
        self.gate = nn.Linear(2 * size, size)

    def forward(self, u: Tensor, v: Tensor) -> Tensor:
        """(batch, size) twice -> (batch, size)."""
        k = torch.sigmoid(self.gate(torch.cat([u, v], 1)))
        return k * u + (1 - k) * v


class LinearSum(nn.Module):
    """A Linear of each, summed: FOP's linear fusion."""

    def __init__(self, size: int):
        super().__init__()
        self.sides = nn.ModuleList(nn.Linear(size, size) for _ in range(2))

    def forward(self, u: Tensor, v: Tensor) -> Tensor:
        """(batch, size) twice -> (batch, size)."""
        return self.sides[0](u) + self.sides[1](v)


class Fop(Family):
    """Transforms, fusion, classifier.

    fusion none: voice and face vectors are classified and drawn together each for itself.
    """

    def __init__(self, sizes, n_classes, options):
        super().__init__(sizes, n_classes, options)
        if options.fusion not in FUSIONS or options.transform not in TRANSFORMS:
            raise UserError(f"fusion={options.fusion} transform={options.transform}: expected fusion "
                            f"{' | '.join(FUSIONS)}, transform {' | '.join(TRANSFORMS)}")  # fmt: skip
        if not (options.ce_weight or options.alpha):
            raise UserError("ce_weight=0 alpha=0: nothing would be learned")
        self.transforms = nn.ModuleList(transform(n, options.size, options.dropout, options.transform) for n in sizes)
        kinds = {"none": None, "linear": LinearSum, "gated": GatedUnit}
        self.fusion = kinds[options.fusion](options.size) if kinds[options.fusion] else None
        self.classifier = nn.Linear(options.size, n_classes["identity"])

    def voice(self, x: Tensor) -> Tensor:
        return F.normalize(self.transforms[0](self.prepare(x, True)))

    def face(self, x: Tensor) -> Tensor:
        return F.normalize(self.transforms[1](self.prepare(x, False)))

    def loss(self, pairs: Pairs, done: float) -> tuple[Tensor, dict[str, Tensor]]:
        """ce_weight x CE(fused logits) + alpha x orthogonal projection of the fused vectors."""
        voice, face = self.voice(pairs.voice), self.face(pairs.face)
        if self.fusion is None:
            fused, labels = torch.cat([voice, face]), pairs.labels.repeat(2)
        else:
            fused, labels = self.fusion(voice, face), pairs.labels
        logits = self.classifier(fused)
        ce, projection = F.cross_entropy(logits, labels), orthogonal_projection(fused, labels)
        loss = self.options.ce_weight * ce + self.options.alpha * projection
        return loss, {"accuracy": accuracy(logits, labels), "projection": projection.detach()}


def transform(n_in: int, size: int, dropout: float, kind: str) -> nn.Sequential:
    if kind == "tanh":
        return nn.Sequential(nn.Linear(n_in, size), nn.Tanh())
    return nn.Sequential(nn.Linear(n_in, size), nn.BatchNorm1d(size), nn.ReLU(), nn.Dropout(dropout))
