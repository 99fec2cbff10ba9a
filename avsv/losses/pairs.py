"""Losses over pairs of embeddings: contrastive with aggressive sampling, and verification by logistic regression."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def pair_cosines(
    embeddings: Tensor, labels: Tensor, weights: Tensor | None = None, least: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Cosines of all same-speaker pairs and of all different-speaker pairs in a batch, each pair once.

    With the modality weights of fused embeddings, each pair is compared on the modalities that both have: its cosine is
    divided by that of its weights, and left out if the latter is below `least`; see avsv/scoring/modality_overlap.py.

    Parameters
    ----------
    embeddings : (batch, n)
    labels : (batch,) int64
    weights : (batch, modalities) >= 0, None for the plain cosine
    least : cosine of the weights, 0 to 1

    Returns
    -------
    (n positive pairs,) ; (n negative pairs,)

    Examples
    --------
    >>> positive, negative = pair_cosines(torch.eye(3), torch.tensor([0, 0, 1]))
    >>> len(positive), len(negative)
    (1, 2)
    """
    unit = F.normalize(embeddings.float())
    one, other = torch.triu_indices(len(unit), len(unit), 1, device=unit.device)
    cosines = (unit @ unit.T)[one, other]
    if weights is not None:
        weights = F.normalize(weights.float())
        shared = (weights @ weights.T)[one, other]
        kept = shared >= least
        one, other, cosines = one[kept], other[kept], cosines[kept] / shared[kept]
    same = labels[one] == labels[other]
    return cosines[same], cosines[~same]


def kept_share(done: float, first: float = 0.2, last: float = 0.05) -> float:
    """Share of the hardest pairs kept after a share `done` of the training (Qian et al., TASLP 2021).

    r(t) = r0 + (r1 - r0) (1 - exp((t / T) ln 0.02)).

    Examples
    --------
    >>> [round(kept_share(done), 4) for done in (0.0, 0.5, 1.0)]
    [0.2, 0.0712, 0.053]
    """
    return first + (last - first) * (1 - math.exp(done * math.log(0.02)))


def contrastive_loss(embeddings: Tensor, labels: Tensor, share: float) -> Tensor:
    """Mean cosine of the hardest negative pairs minus that of the hardest positive pairs, plus 2.

    Equally many positive and negative pairs are used: the more frequent kind is sampled at random. The hardest `share`
    of each kind is kept (aggressive sampling). The loss is 0 if the batch has no pairs of one kind.

    Parameters
    ----------
    embeddings : (batch, n)
    labels : (batch,) int64
    share : of each kind that is kept, at least one pair

    Examples
    --------
    >>> round(contrastive_loss(torch.tensor([[1.0, 0], [1, 0], [0, 1]]), torch.tensor([0, 0, 1]), 1.0).item(), 4)
    1.0
    """
    positive, negative = pair_cosines(embeddings, labels)
    if not len(positive) or not len(negative):
        return embeddings.sum() * 0
    n_pairs = min(len(positive), len(negative))
    positive = positive[torch.randperm(len(positive), device=positive.device)[:n_pairs]]
    negative = negative[torch.randperm(len(negative), device=negative.device)[:n_pairs]]
    n_kept = max(1, round(share * n_pairs))
    return negative.topk(n_kept).values.mean() - positive.topk(n_kept, largest=False).values.mean() + 2


class VerificationLoss(nn.Module):
    """Verification as the training criterion: scale * cosine + offset is the log-likelihood ratio of each pair.

    The loss is the cross-entropy at a target prior, divided by that of a system that knows only the prior, as in
    logistic regression of scores (Brummer and du Preez, 2006): 1 is uninformative, 0 perfect. Unlike a softmax over
    training speakers, it still provides a gradient when all speakers are classified correctly: pairs mix clean, damaged
    and missing modalities, and one threshold must suit all of them.

    Parameters
    ----------
    prior : of a target pair, 0 to 1
    least : cosine of the modality weights below which a pair is left out
    """

    def __init__(self, prior: float = 0.1, least: float = 0.0):
        super().__init__()
        self.prior, self.least = prior, least
        self.scale, self.offset = nn.Parameter(torch.tensor(10.0)), nn.Parameter(torch.tensor(-1.0))

    def forward(self, embeddings: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        """Mean over the batch's pairs; 0 if it has no same-speaker or no different-speaker pairs.

        Parameters
        ----------
        embeddings : (batch, n)
        labels : (batch,) int64
        weights : (batch, modalities), see `pair_cosines`

        Examples
        --------
        >>> VerificationLoss()(torch.tensor([[1.0, 0], [1, 0], [0, 1]]), torch.tensor([0, 0, 1])).item() < 1
        True
        """
        positive, negative = pair_cosines(embeddings, labels, weights, self.least)
        if not len(positive) or not len(negative):
            return embeddings.sum() * 0
        threshold = math.log(self.prior / (1 - self.prior))
        misses = F.softplus(-(self.scale * positive + self.offset + threshold)).mean()
        alarms = F.softplus(self.scale * negative + self.offset + threshold).mean()
        entropy = -self.prior * math.log(self.prior) - (1 - self.prior) * math.log(1 - self.prior)
        return (self.prior * misses + (1 - self.prior) * alarms) / entropy
