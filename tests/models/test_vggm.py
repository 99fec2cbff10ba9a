"""The VoxCeleb CNN against the docstring's table, which has the sizes of the authors' code."""

import pytest
import torch

from avsv.errors import InputError
from avsv.models import vggm
from avsv.models.vggm import VoxCelebCnn
from tests.models.tables import layer_table, n_parameters

LAYERS = ("conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5", "pool5", "fc6")


def test_parameters_and_sizes_match_the_table():
    table = layer_table(vggm.__doc__)
    with torch.device("meta"):
        net = VoxCelebCnn()
        maps = torch.zeros(1, 1, 512, 300)
        for name, layer in zip(LAYERS, net.maps, strict=True):
            maps = layer(maps)
            numbers, shape = table[name], list(maps.shape[1:])
            assert numbers[0] == shape[0], name
            found = n_parameters(layer)
            assert numbers[-3:] == [*shape[1:], found] if found else numbers[-2:] == shape[1:], name
        assert n_parameters(net.fc7) == table["fc7"][-1]
        identification = n_parameters(net) + n_parameters(torch.nn.Linear(1024, 1251))
    assert identification / 1e6 == pytest.approx(17.9, abs=0.05)  # known size with VoxCeleb1's 1251 people


def test_every_length_from_the_least_to_20_s_gives_one_vector():
    net = VoxCelebCnn(3, True, 5).eval()
    for n_frames in (65, 98, 1998):
        assert net(torch.randn(1, n_frames, 512)).shape == (1, 1, 5)


def test_fc6_is_averaged_over_time_without_padding():
    net = VoxCelebCnn(3, lin_neurons=32).eval()
    features = torch.randn(1, 400, 512)
    maps = net.maps(features.transpose(1, 2).unsqueeze(1))[0, :, 0]
    half = maps[:, : round(maps.shape[1] / 2)].mean(1)
    assert torch.allclose(net(features, torch.tensor([0.5]))[0, 0], net.fc7(half.unsqueeze(0))[0], atol=1e-5)


def test_fc8_works_on_fc7_scaled_to_length_1():
    net = VoxCelebCnn(3, True, 4).eval()
    features = torch.randn(1, 100, 512)
    plain = VoxCelebCnn(3, lin_neurons=32).eval()
    plain.load_state_dict({name: value for name, value in net.state_dict().items() if not name.startswith("fc8")})
    fc7 = plain(features)[0, 0]
    expected = net.fc8.weight @ (fc7 / fc7.norm()) + net.fc8.bias
    assert torch.allclose(net(features)[0, 0], expected, atol=1e-5)


@pytest.mark.parametrize(("channels", "size"), [(32, 1024), (96, 1000), (3, 33)])
def test_sizes_that_do_not_fit_are_refused(channels, size):
    with pytest.raises(InputError):
        VoxCelebCnn(channels, lin_neurons=size)
