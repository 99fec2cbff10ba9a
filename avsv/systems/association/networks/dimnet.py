"""DIMNet (Wen et al., ICLR 2019): one branch per modality, one classifier per covariate shared by both."""

import torch.nn.functional as F
from torch import Tensor, nn

from avsv.errors import InputError
from avsv.systems.association.networks.family import COVARIATES, Family, Pairs, accuracy, branch


class Dimnet(Family):
    """Training never compares voices with faces; sharing the classifiers is what aligns the two modalities."""

    def __init__(self, sizes, n_classes, options):
        super().__init__(sizes, n_classes, options)
        unknown = sorted(set(options.covariates) - set(COVARIATES))
        if unknown or not options.covariates:
            raise InputError(f"covariates={list(options.covariates)}: expected some of {', '.join(COVARIATES)}")
        self.branches = nn.ModuleList(branch(n, options.hidden, options.size, options.dropout) for n in sizes)
        self.classifiers = nn.ModuleDict({c: nn.Linear(options.size, n_classes[c]) for c in options.covariates})

    def voice(self, x: Tensor) -> Tensor:
        return self.branches[0](self.prepare(x, True))

    def face(self, x: Tensor) -> Tensor:
        return self.branches[1](self.prepare(x, False))

    def loss(self, pairs: Pairs, done: float) -> tuple[Tensor, dict[str, Tensor]]:
        """Sum of the cross-entropies of voices and of faces over all covariates."""
        vectors = self.voice(pairs.voice), self.face(pairs.face)
        total, figures = vectors[0].new_zeros(()), {}
        for covariate, classifier in self.classifiers.items():
            truth = pairs.covariates[covariate]
            logits = [classifier(v) for v in vectors]
            total = total + sum(F.cross_entropy(x, truth) for x in logits)
            figures[f"{covariate}_accuracy"] = sum(accuracy(x, truth) for x in logits) / 2
        return total, figures
