"""SyncNet matches its layer table."""

import pytest
import torch
from torch import nn

from avsv.systems.synchrony.syncnet import SyncNet


def maps(net, x):
    """Channels and size after each convolution and pool."""
    found = []
    for layer in net.eval():
        x = layer(x)
        if isinstance(layer, (nn.Conv2d, nn.MaxPool2d)):
            found.append((x.shape[1], *x.shape[2:]))
    return found


def test_feature_maps_match_the_table():
    net = SyncNet()
    with torch.no_grad():
        mouth = maps(net.mouth_net, torch.zeros(1, 5, 60, 100))
        audio = maps(net.sound_net, torch.zeros(1, 1, 13, 20))
    assert mouth == [(96, 27, 47), (96, 13, 23), (256, 6, 11), (256, 3, 6), (256, 3, 6), (256, 3, 6), (256, 3, 6),
                     (256, 1, 2), (512, 1, 1)]  # fmt: skip
    assert audio == [(64, 13, 20), (192, 13, 20), (192, 11, 9), (384, 11, 9), (256, 11, 9), (256, 11, 9), (256, 5, 4),
                     (512, 1, 1)]  # fmt: skip
    net.eval()
    assert net.embed_mouths(torch.zeros(1, 5, 60, 100)).shape == net.embed_audio(torch.zeros(1, 20, 13)).shape


def test_a_segment_gives_the_vectors_of_its_cubes():
    net = SyncNet(16, 0.125).eval()
    with torch.no_grad():
        frames, audio = torch.randn(1, 9, 60, 100), torch.randn(1, 36, 13)
        for stride in (1, 2):
            mouths, audios = net.embed_mouths(frames, stride), net.embed_audio(audio, stride)
            assert mouths.shape == audios.shape == (1, 5 if stride == 1 else 3, 16)
            for place in range(0, 5, stride):
                one = net.embed_mouths(frames[:, place : place + 5])[:, 0]
                assert torch.allclose(mouths[:, place // stride], one, atol=1e-5)
                one = net.embed_audio(audio[:, 4 * place : 4 * place + 20])[:, 0]
                assert torch.allclose(audios[:, place // stride], one, atol=1e-5)


def test_the_first_layer_is_a_3d_convolution_over_five_frames():
    layer = SyncNet(16, 0.125).mouth_net[0]
    frames = torch.randn(1, 5, 60, 100)
    as_3d = nn.functional.conv3d(frames.unsqueeze(1), layer.weight.unsqueeze(1), layer.bias, stride=(1, 2, 2))
    assert layer.weight.shape[1:] == (5, 7, 7)
    assert torch.allclose(layer(frames), as_3d.squeeze(2), atol=1e-5)


def test_cubes_last_0_2_seconds_and_advance_by_one_frame():
    assert SyncNet.mouth_frames / SyncNet.fps == SyncNet.audio_frames / SyncNet.audio_rate == pytest.approx(0.2)
    assert SyncNet.mouth_stride / SyncNet.fps == pytest.approx(SyncNet.audio_stride * SyncNet.audio_step)
