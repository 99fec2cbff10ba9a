"""Learnable PINs (Nagrani, Albanie, Zisserman, ECCV 2018): contrastive pairs with increasingly hard negatives."""

from torch import Tensor, nn

from avsv.systems.association.losses import curriculum_contrastive, curriculum_tau
from avsv.systems.association.networks.family import Family, Pairs, branch


class LearnablePins(Family):
    """One branch per modality, unit-length vectors, margin 0.6; 256-d in the paper."""

    def __init__(self, sizes, n_classes, options):
        super().__init__(sizes, n_classes, options)
        self.branches = nn.ModuleList(branch(n, options.hidden, options.size, options.dropout) for n in sizes)

    def voice(self, x: Tensor) -> Tensor:
        return self.branches[0](self.prepare(x, True))

    def face(self, x: Tensor) -> Tensor:
        return self.branches[1](self.prepare(x, False))

    def loss(self, pairs: Pairs, done: float) -> tuple[Tensor, dict[str, Tensor]]:
        tau = curriculum_tau(done, *self.options.tau)
        vectors = self.voice(pairs.voice), self.face(pairs.face)
        loss = curriculum_contrastive(*vectors, pairs.labels, tau, self.options.margin)
        return loss, {"tau": loss.new_tensor(tau)}
