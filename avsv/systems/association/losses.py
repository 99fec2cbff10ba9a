"""Cross-modal losses for voices and faces: InfoNCE, orthogonal projection, centre loss, curriculum contrastive loss."""

import torch
import torch.nn.functional as F
from torch import Tensor

from avsv.errors import InputError

# form of the orthogonal projection -> weight of its second term
PROJECTIONS = {"paper": 1.0, "code": 0.7}


def info_nce(voice: Tensor, face: Tensor, labels: Tensor, scale: Tensor | float) -> Tensor:
    """Symmetric InfoNCE (CLIP, Radford et al., ICML 2021, figure 3) over the batch's voices and faces.

    For each voice, cross-entropy of its own clip's face against the faces of other people, and for each face the
    reverse; the mean of the two. Other clips of the same person are neither targets nor negatives and are left out.

    Parameters
    ----------
    voice, face : (batch, n), row i of both from one person
    labels : (batch,) int64, identities
    scale : factor of the cosines, the inverse of the temperature

    Examples
    --------
    >>> eye = torch.eye(2)
    >>> round(info_nce(eye, eye, torch.tensor([0, 1]), 1.0).item(), 4)  # ln(1 + exp(-1))
    0.3133
    """
    logits = scale * F.normalize(voice.float()) @ F.normalize(face.float()).T
    same = labels[:, None] == labels[None]
    others_clip = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    logits = logits.masked_fill(others_clip, float("-inf"))
    right = torch.arange(len(labels), device=labels.device)
    return (F.cross_entropy(logits, right) + F.cross_entropy(logits.T, right)) / 2


def orthogonal_projection(embeddings: Tensor, labels: Tensor, form: str = "paper") -> Tensor:
    """Orthogonal projection loss over all pairs of a batch (FOP, Saeed et al., ICASSP 2022), in one of two forms.

    paper  (1 - mean positive cosine) + |mean negative cosine|
    code   (1 - mean positive cosine) + 0.7 mean |negative cosine|: the authors' public code, which also pushes opposite
           directions apart, whereas they cancel in the paper's mean

    Pairs of an embedding with itself are left out; a term without pairs is 0.

    Parameters
    ----------
    embeddings : (batch, n)
    labels : (batch,) int64
    form : "paper" | "code"

    Raises
    ------
    InputError : unknown form

    Examples
    --------
    >>> x = torch.tensor([[1.0, 0], [1, 0], [0, 1]])
    >>> orthogonal_projection(x, torch.tensor([0, 0, 1])).item()
    0.0
    """
    if form not in PROJECTIONS:
        raise InputError(f"projection={form}: expected {' | '.join(PROJECTIONS)}")
    unit = F.normalize(embeddings.float())
    cosines = unit @ unit.T
    same = labels[:, None] == labels[None]
    positive = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    n_positive, n_negative = positive.sum(), (~same).sum()
    attract = torch.where(n_positive > 0, 1 - (cosines * positive).sum() / n_positive.clamp(min=1), 0.0)
    negative = cosines * ~same
    total = negative.sum().abs() if form == "paper" else negative.abs().sum()
    return attract + PROJECTIONS[form] * total / n_negative.clamp(min=1)


def cross_modal_centre(voice: Tensor, face: Tensor, labels: Tensor) -> Tensor:
    """Sum of squared distances of all voice and face vectors to the mean of their identity.

    Means are computed over the batch (Nawaz et al., DICTA 2019); no centres are kept between batches.

    Parameters
    ----------
    voice, face : (batch, n)
    labels : (batch,) int64

    Examples
    --------
    >>> cross_modal_centre(torch.tensor([[0.0]]), torch.tensor([[2.0]]), torch.tensor([5])).item()  # 1 + 1
    2.0
    """
    vectors, who = torch.cat([voice, face]).float(), torch.cat([labels, labels])
    names, group = who.unique(return_inverse=True)
    sums = torch.zeros(len(names), vectors.shape[1], device=vectors.device).index_add(0, group, vectors)
    centres = sums / group.bincount(minlength=len(names))[:, None]
    return (vectors - centres[group]).square().sum()


def curriculum_tau(done: float, first: float = 0.3, last: float = 0.8, steps: int = 6) -> float:
    """Hardness of negatives after a share `done` of the training: from 0.3 to 0.8 in steps of 0.1.

    Examples
    --------
    >>> [round(curriculum_tau(done), 1) for done in (0.0, 0.2, 0.99, 1.0)]
    [0.3, 0.4, 0.8, 0.8]
    """
    return first + (last - first) * min(int(done * steps), steps - 1) / (steps - 1)


def curriculum_contrastive(voice: Tensor, face: Tensor, labels: Tensor, tau: float, margin: float = 0.6) -> Tensor:
    """Contrastive loss of Learnable PINs (Nagrani et al., ECCV 2018) with negatives of a given hardness.

    Each voice forms a positive pair with its own face, with loss d^2, and a negative pair with one face of another
    person, with loss max(margin - d, 0)^2, where d is the distance between unit vectors. The faces of other people are
    sorted from the furthest to the nearest, and the one at the fraction `tau` is taken: 0 is the easiest, 1 the
    hardest. The paper does not give the exact index; ours is floor(tau * (count - 1)). The same is done for each face
    and other people's voices; the loss is the mean of the two.

    Parameters
    ----------
    voice, face : (batch, n), row i of both from one person
    labels : (batch,) int64
    tau : 0 to 1
    """
    voice, face = F.normalize(voice.float()), F.normalize(face.float())
    # 2 - 2 cos rather than cdist: the gradient of the square root is infinite for equal vectors
    squares = (2 - 2 * voice @ face.T).clamp(min=0)
    other = labels[:, None] != labels[None]
    loss = squares.diagonal().mean()
    n_others = other.sum(1)
    rows = n_others > 0
    if not rows.any():
        return loss
    place = (tau * (n_others - 1)).floor().long()
    for table in (squares, squares.T):  # `other` is symmetric
        ranked = table.masked_fill(~other, float("-inf")).sort(1, descending=True).values
        chosen = ranked.gather(1, place.clamp(min=0)[:, None])[rows, 0]
        distance = (chosen + 1e-12).sqrt()
        loss = loss + (margin - distance).clamp(min=0).square().sum() / len(labels) / 2
    return loss
