"""Association trained end to end: Inception-ResNet-V1 on aligned faces and on pictures of speech, a family on top.

The single-stream network (systems.md, B) is one trunk that faces and spectrograms share, and the family ssnet without
a layer of its own: softmax + (lambda / 2) x cross-modal centre loss. With a trunk for each modality any other family
learns end to end too.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from avsv.systems.association.networks.family import AssociationOptions
from avsv.systems.association.networks.inception_resnet import InceptionResNetV1, TrunkOptions
from avsv.systems.association.networks.registry import make_family


class MediaNetwork(nn.Module):
    """Trunks and family.

    Parameters
    ----------
    trunk : size of the trunk
    shared : one trunk for both modalities
    n_classes, options : of the family

    Examples
    --------
    >>> small = TrunkOptions(side=80, width=0.125, blocks=(1, 1, 1), trunk_size=32)
    >>> net = MediaNetwork(small, True, {"identity": 3}, AssociationOptions("ssnet", size=32, hidden=0)).eval()
    >>> net.voice(torch.zeros(2, 80, 80, dtype=torch.uint8)).shape
    torch.Size([2, 32])
    """

    def __init__(self, trunk: TrunkOptions, shared: bool, n_classes: Mapping[str, int], options: AssociationOptions):
        super().__init__()
        self.trunk_options, self.shared = trunk, shared
        self.trunks = nn.ModuleList(InceptionResNetV1(trunk) for _ in range(1 if shared else 2))
        self.family = make_family((trunk.trunk_size, trunk.trunk_size), n_classes, options)

    def trunk_voice(self, pictures: Tensor) -> Tensor:
        """(batch, side, side) uint8 grey -> (batch, trunk size)."""
        return self.trunks[0](scaled(pictures)[:, None].expand(-1, 3, -1, -1))

    def trunk_face(self, pictures: Tensor) -> Tensor:
        """(batch, 3, side, side) uint8 RGB -> (batch, trunk size)."""
        return self.trunks[-1](scaled(pictures))

    def voice(self, pictures: Tensor) -> Tensor:
        """(batch, side, side) uint8 grey -> (batch, size)."""
        return self.family.voice(self.trunk_voice(pictures))

    def face(self, pictures: Tensor) -> Tensor:
        """(batch, 3, side, side) uint8 RGB -> (batch, size)."""
        return self.family.face(self.trunk_face(pictures))

    def trunk_pairs(self, voice: Tensor, face: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures of speech and of faces of one batch -> (batch, trunk size) twice.

        A shared trunk gets both in one pass, so that its norms see one distribution, as in the test.
        """
        if not self.shared:
            return self.trunk_voice(voice), self.trunk_face(face)
        grey = scaled(voice)[:, None].expand(-1, 3, -1, -1)
        return self.trunks[0](torch.cat([grey, scaled(face)])).chunk(2)


def scaled(pictures: Tensor) -> Tensor:
    """Bytes to -1 ... 1."""
    return (pictures.float() - 127.5) / 127.5
