"""End-to-end association: Inception-ResNet-V1 on aligned faces and spectrogram images, with a family on top.

The single-stream network has one trunk for faces and spectrograms, and the family ssnet without its own layers:
softmax + (lambda / 2) x cross-modal centre loss. Any other family can be trained end to end too, with one trunk per
modality.
"""

from collections.abc import Mapping
from dataclasses import asdict

import torch
from torch import Tensor, nn

from avsv.models.checkpoint import NetworkFile
from avsv.systems.association.networks.family import AssociationOptions
from avsv.systems.association.networks.inception_resnet import InceptionResNetV1, TrunkOptions
from avsv.systems.association.networks.registry import make_family


class MediaNetwork(nn.Module):
    """Trunks and family.

    Parameters
    ----------
    trunk : size of each trunk
    shared : use one trunk for both modalities
    n_classes, options : see `avsv.systems.association.networks.family.Family`

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

    @property
    def description(self) -> dict:
        """The description from which `ASSOCIATION_MEDIA` rebuilds the network."""
        return {"trunk": asdict(self.trunk_options), "shared": self.shared, "n_classes": self.family.n_classes,
                "options": asdict(self.family.options)}  # fmt: skip

    def trunk_voice(self, images: Tensor) -> Tensor:
        """(batch, side, side) uint8 grey -> (batch, trunk size)."""
        return self.trunks[0](scaled(images)[:, None].expand(-1, 3, -1, -1))

    def trunk_face(self, images: Tensor) -> Tensor:
        """(batch, 3, side, side) uint8 RGB -> (batch, trunk size)."""
        return self.trunks[-1](scaled(images))

    def voice(self, images: Tensor) -> Tensor:
        """(batch, side, side) uint8 grey -> (batch, size)."""
        return self.family.voice(self.trunk_voice(images))

    def face(self, images: Tensor) -> Tensor:
        """(batch, 3, side, side) uint8 RGB -> (batch, size)."""
        return self.family.face(self.trunk_face(images))

    def trunk_pairs(self, voice: Tensor, face: Tensor) -> tuple[Tensor, Tensor]:
        """Spectrograms and faces of one batch -> (batch, trunk size) twice.

        A shared trunk gets both in one pass: its batch norm then sees one distribution, as at test time.
        """
        if not self.shared:
            return self.trunk_voice(voice), self.trunk_face(face)
        grey = scaled(voice)[:, None].expand(-1, 3, -1, -1)
        return self.trunks[0](torch.cat([grey, scaled(face)])).chunk(2)


def scaled(images: Tensor) -> Tensor:
    """Scale bytes to the range -1 to 1."""
    return (images.float() - 127.5) / 127.5


def build_media_network(description: dict) -> MediaNetwork:
    return MediaNetwork(TrunkOptions(**description["trunk"]), description["shared"], description["n_classes"],
                        AssociationOptions(**description["options"]))  # fmt: skip


ASSOCIATION_MEDIA = NetworkFile("association_media.safetensors", "association_media", build_media_network)
