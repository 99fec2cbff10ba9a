"""The two losses of a generative adversarial network that also knows whose face it draws.

Wen, Raj and Singh, NeurIPS 2019: the critic tells real faces from drawn ones (binary cross entropy) and whose the real
ones are (cross entropy); the generator wants its faces to pass for real and to be recognised as the speaker's.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def critic_loss(real: Tensor, drawn: Tensor, person: Tensor, label: Tensor) -> Tensor:
    """BCE(real faces, real) + BCE(drawn faces, not real) + CE(real faces, whose).

    Parameters
    ----------
    real, drawn : (batch,) logits that a face is real, of real faces and of drawn ones
    person : (batch, people) logits of the real faces
    label : (batch,) whose the real faces are

    Examples
    --------
    >>> zero = torch.zeros(2)
    >>> round(critic_loss(zero, zero, torch.zeros(2, 4), torch.tensor([0, 3])).item(), 4)  # 2 ln 2 + ln 4
    2.7726
    """
    return (
        F.binary_cross_entropy_with_logits(real.float(), torch.ones_like(real, dtype=torch.float32))
        + F.binary_cross_entropy_with_logits(drawn.float(), torch.zeros_like(drawn, dtype=torch.float32))
        + F.cross_entropy(person.float(), label)
    )


def generator_loss(drawn: Tensor, person: Tensor, label: Tensor, person_weight: float = 1.0) -> Tensor:
    """BCE(drawn faces, real) + person_weight * CE(drawn faces, whose voice).

    Parameters
    ----------
    drawn : (batch,) logits that a drawn face is real
    person : (batch, people) logits of the drawn faces
    label : (batch,) whose voices they were drawn from
    person_weight : 1 in the paper

    Examples
    --------
    >>> round(generator_loss(torch.zeros(2), torch.zeros(2, 4), torch.tensor([0, 3])).item(), 4)  # ln 2 + ln 4
    2.0794
    """
    passes = F.binary_cross_entropy_with_logits(drawn.float(), torch.ones_like(drawn, dtype=torch.float32))
    return passes + person_weight * F.cross_entropy(person.float(), label)
