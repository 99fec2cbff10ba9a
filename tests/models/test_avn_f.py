"""AVN-F: the docstring's table, each attention by hand, missing modalities, gradients."""

import numpy as np
import pytest
import torch

from avsv.errors import InputError
from avsv.models import avn_f
from avsv.models.avn_f import ATTENTION, AVNF, AVNFOptions
from tests.models.tables import layer_table, n_parameters

BOTH = torch.ones(2, 2, dtype=torch.bool)


def small(attention, **more):
    torch.manual_seed(0)
    options = {"channels": 4, "trunk_channels": (6, 8), "blocks": (1, 1), "embedding_size": 5, "stem_stride": 2}
    return AVNF(AVNFOptions(attention, **{**options, **more}))


def inputs(n=2):
    return torch.randn(n, 40, 80), torch.randn(n, 3, 112, 112)


@pytest.fixture(scope="module")
def paper_sized():
    with torch.device("meta"):
        return {name: AVNF(AVNFOptions(name)) for name in ATTENTION}


def test_parameters_are_those_of_the_table(paper_sized):
    net, table = paper_sized["none"], layer_table(avn_f.__doc__)
    parts = {"sound conv 1": net.sound[0], "sound conv 2": net.sound[1], "face conv 1": net.face[0],
             "face conv 2": net.face[1], "Linear": net.embedding}  # fmt: skip
    parts |= {f"stage {i + 1}": stage for i, stage in enumerate(net.trunk)}
    assert {name: n_parameters(part) for name, part in parts.items()} == {name: table[name][-1] for name in parts}
    assert n_parameters(net) == table["all"][-1]


def test_parameters_of_attentions_are_those_of_the_table(paper_sized):
    counted = [n_parameters(paper_sized[name].attention) for name in ("1", "2", "3")]
    assert counted == layer_table(avn_f.__doc__)["attention"][-3:]
    assert n_parameters(paper_sized["none"].attention) == 0


def test_maps_are_those_of_the_table(paper_sized):
    net, small_trunk = paper_sized["1"], AVNF(AVNFOptions("1", trunk_channels=(2,), blocks=(1,), embedding_size=2))
    with torch.no_grad():
        maps = small_trunk.maps(torch.zeros(1, 200, 80), torch.zeros(1, 3, 112, 112), BOTH[:1])
        assert [m.shape for m in maps] == [(1, 64, 40, 100)] * 2
    with torch.device("meta"):
        assert net.sound[0](torch.zeros(1, 1, 80, 200)).shape == (1, 32, 80, 200)
        assert net.face(torch.zeros(1, 3, 112, 112)).shape == (1, 64, 56, 56)
        trunk = torch.zeros(1, 128, 40, 100)
        for shape, stage in zip(((64, 40, 100), (128, 20, 50), (256, 10, 25), (512, 5, 13)), net.trunk):
            trunk = stage(trunk)
            assert trunk.shape == (1, *shape)


def test_attention_1_is_its_equation():
    attention = ATTENTION["1"](3)
    sound, face = torch.randn(2, 3, 4, 5), torch.randn(2, 3, 4, 5)
    c = np.concatenate([sound.numpy().mean((2, 3)), face.numpy().mean((2, 3))], 1)
    w1, b1, w2, b2 = (p.detach().numpy() for p in attention.parameters())
    expected = 1 / (1 + np.exp(-(np.maximum(c @ w1.T + b1, 0) @ w2.T + b2)))
    found = torch.cat(attention(sound, face, BOTH), 1).detach().numpy()
    assert w1.shape == (8, 6) and w2.shape == (6, 8)
    assert np.allclose(found, expected, atol=1e-6)


def test_attention_2_is_attention_1_of_convolved_maps():
    one, two = ATTENTION["1"](3), ATTENTION["2"](3)
    one.load_state_dict({name: p for name, p in two.state_dict().items() if name in one.state_dict()})
    two.eval()
    sound, face = torch.randn(2, 3, 4, 5), torch.randn(2, 3, 4, 5)
    expected = one(two.sound(sound), two.face(face), BOTH)
    assert all(torch.equal(a, b) for a, b in zip(two(sound, face, BOTH), expected))


def test_attention_3_has_one_weight_a_modality_and_they_sum_to_1():
    of_sound, of_face = ATTENTION["3"](3)(torch.randn(2, 3, 4, 5), torch.randn(2, 3, 4, 5), BOTH)
    assert of_sound.shape == of_face.shape == (2, 1)
    assert torch.allclose(of_sound + of_face, torch.ones(2, 1))


@pytest.mark.parametrize("attention", ATTENTION)
def test_gradients_reach_both_modalities(attention):
    net = small(attention)
    features, pictures = (x.requires_grad_() for x in inputs(4))
    net(features, pictures, torch.ones(4, 2, dtype=torch.bool))[0].square().sum().backward()
    assert features.grad.abs().sum() > 0 and pictures.grad.abs().sum() > 0
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.attention.parameters())


@pytest.mark.parametrize("attention", [name for name in ATTENTION if name != "none"])
def test_gradients_reach_both_modalities_through_the_weights_alone(attention):
    module = ATTENTION[attention](3)
    sound, face = (torch.randn(4, 3, 5, 6, requires_grad=True) for _ in range(2))
    both = torch.ones(4, 2, dtype=torch.bool)
    of_sound, of_face = module(sound, face, both)
    (of_sound.square().sum() + 2 * of_face.square().sum()).backward()
    assert sound.grad.abs().sum() > 0 and face.grad.abs().sum() > 0


@pytest.mark.parametrize("attention", ATTENTION)
@pytest.mark.parametrize("missing", [0, 1])
def test_what_is_missing_has_no_say(attention, missing):
    net = small(attention).eval()
    given = inputs()
    present = BOTH.clone()
    present[0, missing] = False
    out, weights = net(*given, present)
    other = list(inputs())
    other[missing] = given[missing].clone()
    other[missing][0] = 9.0
    other[1 - missing] = given[1 - missing]
    assert torch.allclose(net(*other, present)[0], out, atol=1e-6)
    assert weights[0, missing] == 0 and weights[0, 1 - missing] == 1
    assert torch.isfinite(out).all()


def test_what_is_missing_does_not_enter_the_statistics_of_batch_norm():
    net = small("1").train()
    features, pictures = inputs(4)
    present = torch.tensor([[True, True], [True, False], [True, True], [True, False]])
    net(features, pictures, present)
    alone = small("1").train()
    alone.face(pictures[[0, 2]])
    assert torch.allclose(net.face[0][1].running_mean, alone.face[0][1].running_mean)


def test_a_clip_does_not_depend_on_its_batch():
    net = small("3").eval()
    features, pictures = inputs(3)
    present = torch.tensor([[True, True], [True, False], [False, True]])
    together = net(features, pictures, present)[0]
    alone = torch.cat([net(features[i : i + 1], pictures[i : i + 1], present[i : i + 1])[0] for i in range(3)])
    assert torch.allclose(together, alone, atol=1e-5)


def test_options_that_make_no_sense_are_told():
    with pytest.raises(InputError, match="attention: 4: expected one of none, 1, 2, 3"):
        small("4")
    with pytest.raises(InputError, match="expected one of each a stage"):
        small("1", blocks=(1, 1, 1))
