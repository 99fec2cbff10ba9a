"""Losses of a generative adversarial network with an identity classifier (Wen, Raj and Singh, NeurIPS 2019).

The critic is trained to separate real from generated faces (binary cross-entropy) and to identify real faces
(cross-entropy); the generator is trained to produce faces that pass as real and are identified as the speaker.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def critic_loss(real: Tensor, generated: Tensor, person: Tensor, label: Tensor) -> Tensor:
    """BCE(real faces, real) + BCE(generated faces, not real) + CE(real faces, identity).

    Parameters
    ----------
    real, generated : (batch,) logits of being real, for real and for generated faces
    person : (batch, people) identity logits of the real faces
    label : (batch,) identities of the real faces

    Examples
    --------
    >>> zero = torch.zeros(2)
    >>> round(critic_loss(zero, zero, torch.zeros(2, 4), torch.tensor([0, 3])).item(), 4)  # 2 ln 2 + ln 4
    2.7726
    """
    return (
        F.binary_cross_entropy_with_logits(real.float(), torch.ones_like(real, dtype=torch.float32))
        + F.binary_cross_entropy_with_logits(generated.float(), torch.zeros_like(generated, dtype=torch.float32))
        + F.cross_entropy(person.float(), label)
    )


def generator_loss(generated: Tensor, person: Tensor, label: Tensor, person_weight: float = 1.0) -> Tensor:
    """BCE(generated faces, real) + person_weight * CE(generated faces, identity of the voice).

    Parameters
    ----------
    generated : (batch,) logits of being real
    person : (batch, people) identity logits
    label : (batch,) identities of the voices
    person_weight : 1 in the paper

    Examples
    --------
    >>> round(generator_loss(torch.zeros(2), torch.zeros(2, 4), torch.tensor([0, 3])).item(), 4)  # ln 2 + ln 4
    2.0794
    """
    passes = F.binary_cross_entropy_with_logits(generated.float(), torch.ones_like(generated, dtype=torch.float32))
    return passes + person_weight * F.cross_entropy(person.float(), label)
