"""Contrastive loss for mouth-audio pairs, and online selection of the training pairs."""

import torch
from torch import Tensor

from avsv.errors import InputError

SELECTIONS = ("none", "fixed", "adaptive")


def contrastive_distance_loss(distance: Tensor, genuine: Tensor, margin: float) -> Tensor:
    """Pull genuine pairs together and push impostor pairs apart up to a margin (Chopra et al., CVPR 2005).

    Mean over the pairs of 1/2 [y d^2 + (1 - y) max(margin - d, 0)^2].

    Parameters
    ----------
    distance : (n,) float, at least 0
    genuine : (n,) bool

    Examples
    --------
    >>> contrastive_distance_loss(torch.tensor([1.0, 3.0]), torch.tensor([True, False]), 4.0).item()
    0.5
    """
    terms = torch.where(genuine, distance**2, (margin - distance).clamp(min=0) ** 2)
    return terms.mean() / 2


def select_pairs(distance: Tensor, genuine: Tensor, kind: str, margin: float) -> Tensor:
    """Online pair selection (Torfi et al., 2017): the pairs of a batch to train on.

    none      all pairs
    fixed     as in the authors' published code: all genuine pairs, and impostors with d < max genuine d + margin
    adaptive  impostors with d < max genuine d + m, and genuine pairs with d > min impostor d - m, where
              m = margin x max genuine d / max impostor d. The margin adapts to the batch in the paper too, but we found
              no source for its rule; this one is OURS: the better the two kinds are separated, the fewer easy pairs
              are kept.

    If a batch has only one kind of pair, all pairs are kept.

    Parameters
    ----------
    distance : (n,) float
    genuine : (n,) bool
    kind : none | fixed | adaptive
    margin : distance

    Returns
    -------
    (n,) bool, True for the pairs to keep

    Examples
    --------
    >>> distance = torch.tensor([1.0, 2.0, 1.5, 9.0])
    >>> genuine = torch.tensor([True, True, False, False])
    >>> select_pairs(distance, genuine, "fixed", 1.0).tolist()
    [True, True, True, False]
    >>> select_pairs(distance, genuine, "adaptive", 1.0).tolist()
    [False, True, True, False]
    """
    if kind not in SELECTIONS:
        raise InputError(f"selection={kind}: expected one of {', '.join(SELECTIONS)}")
    if kind == "none" or genuine.all() or not genuine.any():
        return torch.ones_like(genuine)
    most_genuine = distance[genuine].max()
    if kind == "fixed":
        return genuine | (distance < most_genuine + margin)
    margin = margin * most_genuine / distance[~genuine].max().clamp(min=1e-9)
    least_impostor = distance[~genuine].min()
    return torch.where(genuine, distance > least_impostor - margin, distance < most_genuine + margin)
