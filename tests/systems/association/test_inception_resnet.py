"""Inception-ResNet-V1: its layer table and numbers of parameters."""

import pytest
import torch
from torch import nn

from avsv.systems.association.networks.inception_resnet import InceptionResNetV1, TrunkOptions

# name, output at 256 x 256, parameters: convolutions without bias, two per channel of BN, last ones of blocks with bias
TABLE = [
    ("stem", (256, 29, 29), 615_552),
    ("blocks_a", (256, 29, 29), 5 * 77_440),
    ("reduction_a", (896, 14, 14), 1_710_080),
    ("blocks_b", (896, 14, 14), 10 * 690_048),
    ("reduction_b", (1792, 6, 6), 3_346_176),
    ("blocks_c", (1792, 6, 6), 5 * 1_600_768),
    ("last", (1792, 6, 6), 1_600_768),
]


def convs(*shapes):
    """Parameters of convolutions (in, out, kernel area) with BN."""
    return sum(n_in * n_out * area + 2 * n_out for n_in, n_out, area in shapes)


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return InceptionResNetV1(TrunkOptions()).eval()


def test_outputs_and_parameters_match_the_table(net):
    x, found = torch.zeros(1, 3, 256, 256), []
    with torch.inference_mode():
        for name, _, _ in TABLE:
            x = getattr(net, name)(x)
            found.append((name, tuple(x.shape[1:]), sum(p.numel() for p in getattr(net, name).parameters())))
    assert found == TABLE


def test_the_parameters_of_the_blocks_follow_from_the_paper_s_figures():
    end = lambda n_in, n_out: n_in * n_out + n_out  # noqa: E731
    stem = convs((3, 32, 9), (32, 32, 9), (32, 64, 9), (64, 80, 1), (80, 192, 9), (192, 256, 9))
    a = convs((256, 32, 1), (256, 32, 1), (32, 32, 9), (256, 32, 1), (32, 32, 9), (32, 32, 9)) + end(96, 256)
    b = convs((896, 128, 1), (896, 128, 1), (128, 128, 7), (128, 128, 7)) + end(256, 896)
    c = convs((1792, 192, 1), (1792, 192, 1), (192, 192, 3), (192, 192, 3)) + end(384, 1792)
    to_896 = convs((256, 384, 9), (256, 192, 1), (192, 192, 9), (192, 256, 9))
    to_1792 = convs((896, 256, 1), (256, 384, 9), (896, 256, 1), (256, 256, 9), (896, 256, 1), (256, 256, 9),
                    (256, 256, 9))  # fmt: skip
    assert [stem, 5 * a, to_896, 10 * b, to_1792, 5 * c, c] == [n for _, _, n in TABLE]


def test_the_number_of_parameters_equals_the_published_one(net):
    """A converted FaceNet 20180408-102900 with BN folded into the convolutions has 23.469 M."""
    n = sum(p.numel() for p in net.parameters())
    norms = sum(m.num_features for m in net.modules() if isinstance(m, (nn.BatchNorm2d, nn.BatchNorm1d)))
    assert n == 23_482_624
    assert (n - norms) / 1e6 == pytest.approx(23.469, abs=0.002)


def test_only_the_last_block_gives_negative_values(net):
    with torch.inference_mode():
        maps = net.blocks_c(torch.rand(1, 1792, 2, 2))
        assert maps.min() >= 0
        assert net.last(maps).min() < 0
