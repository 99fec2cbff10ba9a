"""Margin softmax losses over cosine similarities with class centres."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class AAMSoftmax(nn.Module):
    """Additive angular margin softmax (ArcFace, Deng et al., CVPR 2019, equation 3).

    The target's logit is scale * cos(theta + margin); where theta + margin would pass pi, the linear continuation
    cos(theta) - margin sin(margin) keeps it falling, as in the authors' code.

    Parameters
    ----------
    n_in : embedding size
    n_classes : number of training people
    scale, margin : s and m (radians); `margin` may be changed as training goes

    Examples
    --------
    >>> loss, logits = AAMSoftmax(4, 3)(torch.randn(2, 4), torch.tensor([0, 2]))
    >>> logits.shape
    torch.Size([2, 3])
    """

    def __init__(self, n_in: int, n_classes: int, scale: float = 32.0, margin: float = 0.2):
        super().__init__()
        self.scale, self.margin = scale, margin
        self.weight = nn.Parameter(torch.empty(n_classes, n_in))
        nn.init.xavier_normal_(self.weight)

    def forward(self, embeddings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Mean loss and the scaled cosines without a margin.

        Parameters
        ----------
        embeddings : (batch, n_in)
        labels : (batch,) int64

        Returns
        -------
        (), (batch, n_classes)
        """
        cosine = F.linear(F.normalize(embeddings.float()), F.normalize(self.weight.float()))
        target = cosine.gather(1, labels[:, None])
        sine = (1 - target**2).clamp(min=1e-7).sqrt()
        moved = target * math.cos(self.margin) - sine * math.sin(self.margin)
        past_pi = target <= math.cos(math.pi - self.margin)
        moved = torch.where(past_pi, target - self.margin * math.sin(self.margin), moved)
        return F.cross_entropy(self.scale * cosine.scatter(1, labels[:, None], moved), labels), self.scale * cosine
