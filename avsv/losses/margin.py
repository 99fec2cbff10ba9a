"""Margin softmax losses over cosine similarities with class centres."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def warmed_margin(margin: float, done: float, warmup: float) -> float:
    """Margin after a share `done` of the training; it increases linearly from 0 over the share `warmup`.

    Examples
    --------
    >>> [round(warmed_margin(0.2, done, 0.5), 3) for done in (0.0, 0.25, 0.5, 1.0)]
    [0.0, 0.1, 0.2, 0.2]
    """
    return margin * min(1.0, done / warmup) if warmup else margin


class AAMSoftmax(nn.Module):
    """Additive angular margin softmax (ArcFace, Deng et al., CVPR 2019, equation 3), and two variants of it.

    The target's logit is scale * cos(theta + margin). If theta + margin would exceed pi, the linear continuation
    cos(theta) - margin sin(margin) keeps it decreasing, as in the authors' code.

    Sub-centres (Deng et al., ECCV 2020): each class has several centres, of which the nearest counts, so mislabelled
    and unusual recordings can form a separate centre. Inter-top-k penalty (Zhao et al., ICASSP 2022): the k nearest
    other classes get the logit scale * cos(theta - penalty), which pushes them further from the target.

    Parameters
    ----------
    n_in : embedding size
    n_classes : number of training speakers
    scale, margin : s and m (radians); `margin` may change during training, and the penalty changes in proportion
    sub_centres : centres per class
    top_k : number of other classes penalised, at most n_classes - 1; 0 for none
    top_penalty : radians

    Examples
    --------
    >>> loss, logits = AAMSoftmax(4, 3)(torch.randn(2, 4), torch.tensor([0, 2]))
    >>> logits.shape
    torch.Size([2, 3])
    """

    def __init__(self, n_in: int, n_classes: int, scale: float = 32.0, margin: float = 0.2, sub_centres: int = 1,
                 top_k: int = 0, top_penalty: float = 0.06):  # fmt: skip
        super().__init__()
        self.scale, self.margin, self.final_margin = scale, margin, margin
        self.sub_centres, self.top_k, self.top_penalty = sub_centres, min(top_k, n_classes - 1), top_penalty
        self.weight = nn.Parameter(torch.empty(n_classes * sub_centres, n_in))
        nn.init.xavier_normal_(self.weight)

    def forward(self, embeddings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Mean loss, and the scaled cosines without margin.

        Parameters
        ----------
        embeddings : (batch, n_in)
        labels : (batch,) int64

        Returns
        -------
        loss (), logits (batch, n_classes)
        """
        cosine = F.linear(F.normalize(embeddings.float()), F.normalize(self.weight.float()))
        if self.sub_centres > 1:
            cosine = cosine.unflatten(1, (-1, self.sub_centres)).amax(2)
        target = cosine.gather(1, labels[:, None])
        past_pi = target <= math.cos(math.pi - self.margin)
        moved = torch.where(past_pi, target - self.margin * math.sin(self.margin), turn(target, self.margin))
        logits = cosine
        if self.top_k:
            others = cosine.scatter(1, labels[:, None], float("-inf"))
            near, places = others.topk(self.top_k, 1)
            penalty = self.top_penalty * (self.margin / self.final_margin if self.final_margin else 1.0)
            logits = logits.scatter(1, places, turn(near, -penalty))
        return F.cross_entropy(self.scale * logits.scatter(1, labels[:, None], moved), labels), self.scale * cosine


def turn(cosine: Tensor, angle: float) -> Tensor:
    """cos(theta + angle) from cos(theta), for theta from 0 to pi and an angle in radians.

    Examples
    --------
    >>> turn(torch.tensor(1.0), math.pi / 2).round(decimals=2).item()
    -0.0
    """
    sine = (1 - cosine**2).clamp(min=1e-7).sqrt()
    return cosine * math.cos(angle) - sine * math.sin(angle)
