"""AVN-E: a voice and a face embedding become one (Qian, Chen, Wang, TASLP 2021; soft attention of Shon, ICASSP 2019).

    v, f          embeddings, the training mean taken off, of length 1
    V, F          W_v v, W_f f                         one Linear each, to `size`
    a             softmax(W_a [f; v] + b_a)            two weights
    out           a_f F + a_v V

A missing modality is a state: its vector is 0, its weight is 0 and the other's is 1, so that the output is the
transform of what there is. Training meets that state (it is the all-zero corruption of the paper's augmentation).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SoftAttentionFusion(nn.Module):
    """Soft attention over the two modalities.

    Parameters
    ----------
    n_voice, n_face : sizes of the embeddings
    size : of the transforms and of the output

    Examples
    --------
    >>> fusion = SoftAttentionFusion(192, 512, 256)
    >>> both = torch.tensor([[True, True], [True, False]])
    >>> out, weights = fusion(torch.randn(2, 192), torch.randn(2, 512), both)
    >>> out.shape, weights[1].tolist()
    (torch.Size([2, 256]), [1.0, 0.0])
    """

    def __init__(self, n_voice: int, n_face: int, size: int = 512):
        super().__init__()
        self.register_buffer("voice_mean", torch.zeros(n_voice))
        self.register_buffer("face_mean", torch.zeros(n_face))
        self.voice = nn.Linear(n_voice, size, bias=False)
        self.face = nn.Linear(n_face, size, bias=False)
        self.attention = nn.Linear(n_voice + n_face, 2)
        # Our choice: transforms start as (scaled) isometries and weights as equal, so that training starts from the
        # sum of the two cosines and can only leave it for something better on the training people.
        nn.init.orthogonal_(self.voice.weight)
        nn.init.orthogonal_(self.face.weight)
        nn.init.zeros_(self.attention.weight)
        nn.init.zeros_(self.attention.bias)

    def normalize(self, voice: Tensor, face: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Take off the means, scale to length 1, and put 0 where a modality is missing."""
        voice = F.normalize(voice - self.voice_mean) * present[:, :1]
        face = F.normalize(face - self.face_mean) * present[:, 1:]
        return voice, face

    def forward(self, voice: Tensor, face: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Fuse raw embeddings.

        Parameters
        ----------
        voice : (batch, n_voice) ; face : (batch, n_face)
        present : (batch, 2) bool, is there a voice, is there a face; at least one of them

        Returns
        -------
        (batch, size) fused embeddings ; (batch, 2) weights of voice and face
        """
        return self.fuse(*self.normalize(voice, face, present), present)

    def fuse(self, voice: Tensor, face: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Fuse normalised embeddings; training damages them between `normalize` and this."""
        scores = self.attention(torch.cat([face, voice], 1)).flip(1)
        weights = scores.masked_fill(~present, float("-inf")).softmax(1)
        return weights[:, :1] * self.voice(voice) + weights[:, 1:] * self.face(face), weights
