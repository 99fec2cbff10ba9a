"""SSNet / SBNet (Nawaz et al., DICTA 2019; Saeed et al., ICASSP 2023): one branch shared by voices and faces.

Pre-extracted vectors of one size pass 512 -> 128 -> 128, twice Linear, BN, ReLU, Dropout, then L2 norm. If the sizes
differ, a Linear layer per modality first maps them to the larger size (ours). With `hidden: 0` on a shared end-to-end
trunk, the trunk's vectors are classified directly: the criterion of the single-stream network, softmax + (lambda / 2) x
cross-modal centre loss.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from avsv.systems.association.losses import cross_modal_centre
from avsv.systems.association.networks.family import Family, Pairs, accuracy, branch, layer


class UnitLength(nn.Module):
    """Scale vectors (batch, n) to length 1."""

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(x)


class SharedBranch(Family):
    """One branch and one classifier of the training people, both shared by the modalities."""

    def __init__(self, sizes, n_classes, options):
        super().__init__(sizes, n_classes, options)
        wide = max(sizes)
        self.adapters = nn.ModuleList(nn.Identity() if n == wide else nn.Linear(n, wide) for n in sizes)
        hidden, size = options.hidden, options.size
        if hidden:
            layers = layer(wide, hidden, options.dropout), layer(hidden, size, options.dropout)
            self.branch = nn.Sequential(*layers, UnitLength())
        else:
            self.branch = branch(wide, 0, size, options.dropout)
        self.classifier = nn.Linear(options.size, n_classes["identity"])

    def voice(self, x: Tensor) -> Tensor:
        return self.branch(self.adapters[0](self.prepare(x, True)))

    def face(self, x: Tensor) -> Tensor:
        return self.branch(self.adapters[1](self.prepare(x, False)))

    def loss(self, pairs: Pairs, done: float) -> tuple[Tensor, dict[str, Tensor]]:
        voice, face = self.voice(pairs.voice), self.face(pairs.face)
        return softmax_centre(self.classifier, voice, face, pairs.labels, self.options.centre_weight)


def softmax_centre(classifier: nn.Module, voice: Tensor, face: Tensor, labels: Tensor,
                   weight: float) -> tuple[Tensor, dict[str, Tensor]]:  # fmt: skip
    """Mean cross-entropy of both modalities + (weight / 2) x centre loss of the unit-length vectors.

    The centre loss is divided by the number of vectors. This and the unit length are ours: the weight then has the same
    effect at any batch size and dimension, and the softmax is not swamped.
    """
    logits = [classifier(x) for x in (voice, face)]
    softmax = sum(F.cross_entropy(x, labels) for x in logits) / 2
    centre = cross_modal_centre(F.normalize(voice.float()), F.normalize(face.float()), labels) / (2 * len(labels))
    figures = {"accuracy": sum(accuracy(x, labels) for x in logits) / 2, "centre": centre.detach()}
    return softmax + weight / 2 * centre, figures
