"""Deep Speaker's networks against the docstring's table and the published sizes."""

import pytest
import torch

from avsv.models import deep_speaker
from avsv.models.deep_speaker import ClippedBlock, ClippedReLU, DeepSpeakerGru, DeepSpeakerResCnn
from tests.models.tables import layer_table, n_parameters


def test_parameters_and_sizes_match_the_table():
    table = layer_table(deep_speaker.__doc__)
    with torch.device("meta"):
        net = DeepSpeakerResCnn()
        maps = torch.zeros(1, 1, 160, 64)
        for number, stage in enumerate(net.stages, 1):
            conv, blocks = stage[:2], stage[3:]
            maps = stage(maps)
            numbers = table[f"conv{number}"]
            assert [numbers[0], *numbers[-3:]] == [*maps.shape[1:], n_parameters(conv)]
            assert [*maps.shape[2:], n_parameters(blocks)] == table[f"blocks{number}"][-3:]
            assert len(blocks) == 3
        assert n_parameters(net.affine) == table["affine"][-1]
    assert n_parameters(net) / 1e6 == pytest.approx(24, abs=0.5)  # the paper's


def test_the_gru_variant_has_the_published_size():
    with torch.device("meta"):
        net = DeepSpeakerGru()
    assert n_parameters(net) / 1e6 == pytest.approx(23, abs=0.5)
    assert net.gru.input_size == 64 * 32 and net.gru.num_layers == 3


def test_the_activation_is_clipped_at_20():
    assert ClippedReLU()(torch.tensor([-1.0, 0, 7, 20, 21])).tolist() == [0, 0, 7, 20, 20]


def test_a_block_adds_its_input_before_the_last_activation():
    block = ClippedBlock(2).eval()
    x = torch.randn(1, 2, 4, 4)
    conv1, norm1, _, conv2, norm2 = block.body
    expected = (norm2(conv2(norm1(conv1(x)).clamp(0, 20))) + x).clamp(0, 20)
    assert torch.allclose(block(x), expected, atol=1e-6)


@pytest.mark.parametrize("net", [DeepSpeakerResCnn(2, 5), DeepSpeakerGru(2, 4, 1, 5)], ids=["rescnn", "gru"])
def test_padding_is_not_averaged(net):
    net.eval()
    features = torch.randn(1, 160, 64)
    frames = []
    net.affine.register_forward_hook(lambda _module, inputs, _output: frames.append(inputs[0]))
    net(features)
    net(torch.cat([features, torch.zeros(1, 160, 64)], 1), torch.tensor([0.5]))
    # the padding's border reaches the last frames through the convolutions, which are few
    assert torch.cosine_similarity(*frames).item() > 0.99
    assert net(features[:, :11]).shape == (1, 1, 5)
