"""Losses of metric learning over a batch with several recordings of each speaker: contrastive and triplet."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avsv.losses.pairs import pair_cosines


class SiameseLoss(nn.Module):
    """Contrastive loss (Hadsell, Chopra, LeCun, CVPR 2006, equation 4) on embeddings scaled to length 1.

    d^2 / 2 for a pair of the same speaker, max(margin - d, 0)^2 / 2 for a pair of different speakers, where d is the
    Euclidean distance. All pairs of the same speaker in the batch are used, and as many of different speakers: the
    share `hard` of these are the nearest ones in the batch, and the others are drawn at random.

    The VoxCeleb CNN is trained with this loss, but its margin and its share of hard pairs are not known to us: both
    defaults are ours.

    Parameters
    ----------
    margin : 0 to 2
    hard : 0 to 1

    Examples
    --------
    >>> loss, figures = SiameseLoss(1.0)(torch.tensor([[1.0, 0], [1, 0], [0, 1]]), torch.tensor([0, 0, 1]))
    >>> loss.item()  # the distance of the other pairs, 1.41, exceeds the margin
    0.0
    """

    def __init__(self, margin: float = 1.0, hard: float = 0.5):
        super().__init__()
        self.margin, self.hard = margin, hard

    def forward(self, embeddings: Tensor, labels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean loss of the chosen pairs, and the mean cosine of each kind; 0 if the batch has no pairs of one kind.

        Parameters
        ----------
        embeddings : (batch, n)
        labels : (batch,) int64
        """
        positive, negative = pair_cosines(embeddings, labels)
        if not len(positive) or not len(negative):
            return embeddings.sum() * 0, {}
        ranked = negative.sort(descending=True).values
        n = min(len(positive), len(ranked))
        n_hard = round(self.hard * n)
        others = torch.randperm(len(ranked) - n_hard, device=ranked.device)[: n - n_hard] + n_hard
        chosen = torch.cat([ranked[:n_hard], ranked[others]])
        # d^2 = 2 - 2 cos; the square root has an infinite slope at 0
        distance = (2 - 2 * chosen).clamp(min=1e-8).sqrt()
        attraction, repulsion = (2 - 2 * positive) / 2, (self.margin - distance).clamp(min=0).square() / 2
        return torch.cat([attraction, repulsion]).mean(), mean_cosines(positive, negative)


class CosineTripletLoss(nn.Module):
    """Triplet loss of Deep Speaker (Li et al., 2017) with the hardest negatives of the batch.

    The mean of max(0, cos(anchor, negative) - cos(anchor, positive) + m).

    Every recording is the anchor of every other recording of its speaker in the batch; the negative is the most similar
    recording of another speaker in the whole batch, of all processes.

    Parameters
    ----------
    margin : m, of cosines

    Examples
    --------
    >>> loss, _ = CosineTripletLoss(0.1)(torch.tensor([[1.0, 0], [1, 0], [0, 1]]), torch.tensor([0, 0, 1]))
    >>> loss.item()
    0.0
    """

    def __init__(self, margin: float = 0.1):
        super().__init__()
        self.margin = margin

    def forward(self, embeddings: Tensor, labels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean loss of the triplets, and the share that violates the margin; 0 if the batch has no triplets.

        Parameters
        ----------
        embeddings : (batch, n)
        labels : (batch,) int64
        """
        unit = F.normalize(embeddings.float())
        cosines = unit @ unit.T
        same = labels[:, None] == labels[None]
        nearest = cosines.masked_fill(same, float("-inf")).amax(1)
        positive = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        positive &= nearest.isfinite()[:, None]
        if not positive.any():
            return embeddings.sum() * 0, {}
        losses = (nearest[:, None] - cosines + self.margin)[positive].clamp(min=0)
        violated = (losses.detach() > 0).float().mean()
        return losses.mean(), {"violated": violated, **mean_cosines(cosines[positive], cosines[~same])}


def mean_cosines(positive: Tensor, negative: Tensor) -> dict[str, Tensor]:
    """Figures to show: mean cosines of pairs of the same speaker and of different speakers."""
    return {"same": positive.detach().mean(), "different": negative.detach().mean()}
