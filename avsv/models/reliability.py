"""The reliability of a voice and a face embedding: a damaged modality is treated as partly missing.

Each modality has two kinds of evidence: a linear damage detector on the embedding itself (damage shifts embeddings in
directions common to all speakers, so few speakers suffice for training), and quality measures of the clip. Trust is a
logistic function of both.
"""

import torch
from torch import Tensor, nn


class Reliability(nn.Module):
    """Log-odds of damage, evidence, and trust.

    Parameters
    ----------
    n_voice, n_face : sizes of the embeddings
    n_voice_quality, n_face_quality : number of quality measures

    Examples
    --------
    >>> reliability = Reliability(192, 512, 2, 0)
    >>> present = torch.tensor([[1.0, 1.0], [0.0, 1.0]])
    >>> damage, evidence, trust = reliability(torch.randn(2, 192), torch.randn(2, 512), present, torch.randn(2, 2))
    >>> damage.shape, evidence.shape, trust[1, 0].item()
    (torch.Size([2, 2]), torch.Size([2, 6]), 0.0)
    """

    def __init__(self, n_voice: int, n_face: int, n_voice_quality: int = 0, n_face_quality: int = 0):
        super().__init__()
        self.n_voice_quality = n_voice_quality
        self.n_evidence = 4 + n_voice_quality + n_face_quality
        self.voice_detector, self.face_detector = nn.Linear(n_voice, 1), nn.Linear(n_face, 1)
        self.voice_trust, self.face_trust = nn.Linear(1 + n_voice_quality, 1), nn.Linear(1 + n_face_quality, 1)
        # our choice: at first no damage is detected, and everything is trusted (sigmoid(3) = 0.95)
        for layer, bias in ((self.voice_detector, 0.0), (self.face_detector, 0.0),
                            (self.voice_trust, 3.0), (self.face_trust, 3.0)):  # fmt: skip
            nn.init.zeros_(layer.weight)
            nn.init.constant_(layer.bias, bias)

    def forward(self, voice: Tensor, face: Tensor, present: Tensor, quality: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """
        Parameters
        ----------
        voice : (batch, n_voice), face : (batch, n_face), of unit length
        present : (batch, 2) 1 or 0
        quality : (batch, n_voice_quality + n_face_quality), standardised

        Returns
        -------
        (batch, 2) log-odds of damage to voice and face
        (batch, n_evidence): presence, probability of damage, quality; 0 where missing
        (batch, 2) trust in voice and face, 0 where missing
        """
        # elements of a unit vector are small; scaled to a mean square of 1, they train as fast as the other inputs
        voice, face = (x * x.shape[1] ** 0.5 for x in (voice, face))
        damage = torch.cat([self.voice_detector(voice), self.face_detector(face)], 1)
        probability = damage.sigmoid() * present
        voice_quality = quality[:, : self.n_voice_quality] * present[:, :1]
        face_quality = quality[:, self.n_voice_quality :] * present[:, 1:]
        trust = torch.cat([
            self.voice_trust(torch.cat([probability[:, :1], voice_quality], 1)),
            self.face_trust(torch.cat([probability[:, 1:], face_quality], 1)),
        ], 1).sigmoid() * present  # fmt: skip
        return damage, torch.cat([present, probability, voice_quality, face_quality], 1), trust
