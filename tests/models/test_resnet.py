"""ResNet34 for speakers: the docstring's table, SpeechBrain's call signature, and its pooling."""

import numpy as np
import pytest
import torch

from avsv.models import resnet
from avsv.models.resnet import SpeakerResNet, pool_statistics
from tests.models.tables import layer_table, n_parameters


def test_numbers_of_parameters_match_the_table():
    with torch.device("meta"):
        net = SpeakerResNet()
    parts = {"stem": net.stem, "Linear": net.embedding} | {f"stage {i + 1}": s for i, s in enumerate(net.stages)}
    table = layer_table(resnet.__doc__)
    assert {name: n_parameters(part) for name, part in parts.items()} == {name: table[name][-1] for name in parts}
    # published size of WeSpeaker's ResNet34 with statistics pooling and 256 dimensions: 6.63 M
    assert n_parameters(net) / 1e6 == pytest.approx(6.63, abs=0.005)
    assert f"{n_parameters(net):,}" in resnet.__doc__


def test_sizes_of_maps_match_the_table():
    with torch.device("meta"):
        net = SpeakerResNet()
        maps = net.stem(torch.zeros(1, 1, 80, 200))
        for channels, rows, columns, stage in ((32, 80, 200, 0), (64, 40, 100, 1), (128, 20, 50, 2), (256, 10, 25, 3)):
            maps = net.stages[stage](maps)
            assert maps.shape == (1, channels, rows, columns)
        assert net.embedding.in_features == 5120


def test_pooling_equals_numpys_mean_and_deviation():
    maps = torch.randn(2, 3, 4, 10)
    expected = maps.numpy().reshape(2, 12, 10)
    pooled = pool_statistics(maps).numpy()
    assert np.allclose(pooled, np.concatenate([expected.mean(2), expected.std(2)], 1), atol=1e-5)


def test_padding_is_not_pooled():
    maps = torch.randn(1, 2, 3, 10)
    padded = torch.cat([maps, torch.full((1, 2, 3, 10), 7.0)], 3)
    assert torch.allclose(pool_statistics(padded, torch.tensor([0.5])), pool_statistics(maps), atol=1e-6)


def test_gradients_are_finite_if_a_channel_is_silent():
    maps = torch.zeros(1, 2, 2, 5, requires_grad=True)
    pool_statistics(maps).sum().backward()
    assert torch.isfinite(maps.grad).all()
