"""Two encoders with a symmetric InfoNCE loss, the modern contrastive baseline."""

import math

import torch
from torch import Tensor, nn

from avsv.systems.association.losses import info_nce
from avsv.systems.association.networks.family import Family, Pairs, branch


class TwoEncoders(Family):
    """One branch per modality and a learned temperature, as in CLIP (Radford et al., ICML 2021)."""

    def __init__(self, sizes, n_classes, options):
        super().__init__(sizes, n_classes, options)
        self.branches = nn.ModuleList(branch(n, options.hidden, options.size, options.dropout) for n in sizes)
        self.log_scale = nn.Parameter(torch.tensor(-math.log(options.temperature)))

    def voice(self, x: Tensor) -> Tensor:
        return self.branches[0](self.prepare(x, True))

    def face(self, x: Tensor) -> Tensor:
        return self.branches[1](self.prepare(x, False))

    def loss(self, pairs: Pairs, done: float) -> tuple[Tensor, dict[str, Tensor]]:
        scale = self.log_scale.clamp(max=math.log(100)).exp()  # bounded as in CLIP
        loss = info_nce(self.voice(pairs.voice), self.face(pairs.face), pairs.labels, scale)
        return loss, {"temperature": 1 / scale.detach()}
