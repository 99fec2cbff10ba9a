"""The coupled 3D CNN matches its layer table."""

import pytest
import torch
from torch import nn

from avsv.systems.synchrony import coupled_cnn
from avsv.systems.synchrony.coupled_cnn import CoupledCNN
from tests.models.tables import layer_table, n_parameters

MOUTH, AUDIO = coupled_cnn.__doc__.split("audio, 15 x 40 x 3")


def blocks(net):
    """Number of parameters of each convolution with the norm and activation after it."""
    found = []
    for layer in net:
        if isinstance(layer, (nn.Conv1d, nn.Conv2d)):
            found.append(0)
        found[-1] += n_parameters(layer)
    return found


@pytest.mark.parametrize("part, text", [("mouth", MOUTH), ("sound", AUDIO)])
def test_parameters_match_the_table(part, text):
    net, rows = CoupledCNN(), layer_table(text)
    counts = [numbers[-1] for name, numbers in rows.items() if name.startswith(("conv", "fc", "out"))]
    layers, last = getattr(net, f"{part}_net"), getattr(net, f"{part}_out")
    assert [*blocks(layers), n_parameters(last)] == counts
    assert n_parameters(layers) + n_parameters(last) == rows["all"][0] == sum(counts)


def sizes_after_convolutions_and_pools(net, x):
    sizes = []
    for layer in net.eval():
        x = layer(x)
        if isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.MaxPool1d, nn.MaxPool2d)):
            sizes.append(tuple(x.shape[2:]))
    return sizes


def test_mouth_feature_maps_have_the_papers_sizes():
    sizes = sizes_after_convolutions_and_pools(CoupledCNN().mouth_net, torch.zeros(1, 1, 60, 100))
    assert sizes == [(60, 100), (29, 49), (29, 49), (14, 24), (14, 24), (14, 24), (6, 11), (6, 11), (2, 5), (1, 1)]


def test_audio_feature_maps_have_the_papers_sizes():
    sizes = sizes_after_convolutions_and_pools(CoupledCNN().sound_net, torch.zeros(1, 3, 40))
    assert [n for (n,) in sizes] == [36, 18, 15, 12, 6, 4, 2, 1]


def test_a_cube_gives_the_64_numbers_that_3d_convolutions_give():
    """The reference applies the same weights as Conv3d with the paper's kernels."""
    net = CoupledCNN(width=0.25).eval()
    with torch.no_grad():
        cube = torch.randn(2, 9, 60, 100)
        x = cube.unsqueeze(1)
        for layer in net.mouth_net:
            if isinstance(layer, nn.Conv2d):
                same = layer.padding[0]
                x = nn.functional.conv3d(x, layer.weight.unsqueeze(2), padding=(0, same, same))
            elif isinstance(layer, nn.BatchNorm2d):
                x = nn.functional.batch_norm(x, layer.running_mean, layer.running_var, layer.weight, layer.bias)
            elif isinstance(layer, nn.MaxPool2d):
                x = nn.functional.max_pool3d(x, (1, 3, 3), (1, 2, 2))
            else:
                x = layer(x)
        x = nn.functional.conv3d(x, net.mouth_out.weight[..., None, None], net.mouth_out.bias)
        assert x.shape == (2, 64, 1, 1, 1)
        assert torch.allclose(net.embed_mouths(cube)[:, 0], x.flatten(1), atol=1e-5)


@pytest.mark.parametrize("stride", [1, 3])
def test_a_segment_gives_the_vectors_of_its_cubes(stride):
    net = CoupledCNN(width=0.25).eval()
    with torch.no_grad():
        frames, audio = torch.randn(1, 15, 60, 100), torch.randn(1, 22, 40, 3)
        mouths, audios = net.embed_mouths(frames, stride), net.embed_audio(audio, stride)
        for place in range(0, 7, stride):
            one = net.embed_mouths(frames[:, place : place + 9])[:, 0]
            assert torch.allclose(mouths[:, place // stride], one, atol=1e-5)
        for place in range(0, 8, stride):
            one = net.embed_audio(audio[:, place : place + 15])[:, 0]
            assert torch.allclose(audios[:, place // stride], one, atol=1e-5)


def test_mouth_and_audio_cubes_last_equally_long_and_advance_equally():
    net = CoupledCNN
    assert net.mouth_frames / net.fps == net.audio_frames / net.audio_rate == pytest.approx(net.seconds)
    assert net.mouth_stride / net.fps == pytest.approx(net.audio_stride * net.audio_step)
