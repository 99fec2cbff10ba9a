"""SSNet / SBNet (Nawaz et al., DICTA 2019; Saeed et al., ICASSP 2023): one branch that voices and faces share.

512 -> 128 -> 128 on pre-extracted vectors of one size: twice Linear, BN, ReLU, Dropout, then length 1. Where the sizes
differ, a Linear of each modality first brings them to the larger one (ours). With `hidden: 0` and vectors of an
end-to-end trunk that both modalities share, the vectors themselves are classified: the criterion of the single-stream
network, softmax + (lambda / 2) x cross-modal centre loss.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from avsv.systems.association.losses import cross_modal_centre
from avsv.systems.association.networks.family import Family, Pairs, accuracy, branch, layer


class UnitLength(nn.Module):
    """Vectors (batch, n) to length 1."""

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(x)


class SharedBranch(Family):
    """One branch and one classifier of the training people for both modalities."""

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
    """Mean cross-entropy of both modalities + (weight / 2) x centre loss of the vectors, brought to length 1.

    The centre loss is divided by the number of vectors. That and the length are ours: a lambda of 1 then means the same
    at any batch and any size, and the softmax is not drowned.
    """
    logits = [classifier(x) for x in (voice, face)]
    softmax = sum(F.cross_entropy(x, labels) for x in logits) / 2
    centre = cross_modal_centre(F.normalize(voice.float()), F.normalize(face.float()), labels) / (2 * len(labels))
    figures = {"accuracy": sum(accuracy(x, labels) for x in logits) / 2, "centre": centre.detach()}
    return softmax + weight / 2 * centre, figures
