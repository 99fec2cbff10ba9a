"""Layers that begin with random weights when a training starts from an earlier one, and softmax over speakers."""

import torch.nn.functional as F
from torch import Tensor, nn


class NewLinear(nn.Linear):
    """A Linear layer that `init` may leave at its random weights, because the earlier training had none like it."""

    may_be_new = True


class Softmax(nn.Module):
    """Cross-entropy of a linear classifier of the training speakers.

    With `hidden`, the x-vector's classifier precedes it, as in SpeechBrain: LeakyReLU, batch norm, Linear, LeakyReLU,
    batch norm; the embedding is then the affine output before the first activation.

    Parameters
    ----------
    n_in : embedding size
    n_classes : number of training speakers
    hidden : size of the hidden layer, 0 for none

    Examples
    --------
    >>> import torch
    >>> loss, logits = Softmax(4, 3, hidden=8)(torch.randn(2, 4), torch.tensor([0, 2]))
    >>> logits.shape
    torch.Size([2, 3])
    """

    def __init__(self, n_in: int, n_classes: int, hidden: int = 0):
        super().__init__()
        self.body = nn.Sequential()
        if hidden:
            self.body = nn.Sequential(nn.LeakyReLU(), nn.BatchNorm1d(n_in), nn.Linear(n_in, hidden), nn.LeakyReLU(),
                                      nn.BatchNorm1d(hidden))  # fmt: skip
        self.out = NewLinear(hidden or n_in, n_classes)

    def forward(self, embeddings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Mean loss, and the logits.

        Parameters
        ----------
        embeddings : (batch, n_in)
        labels : (batch,) int64

        Returns
        -------
        loss (), logits (batch, n_classes)
        """
        logits = self.out(self.body(embeddings)).float()
        return F.cross_entropy(logits, labels), logits
