"""AVN-F: the docstring's table, each attention recomputed, missing modalities, gradients."""

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


def test_numbers_of_parameters_match_the_table(paper_sized):
    net, table = paper_sized["none"], layer_table(avn_f.__doc__)
    parts = {"voice conv 1": net.sound[0], "voice conv 2": net.sound[1], "face conv 1": net.face[0],
             "face conv 2": net.face[1], "Linear": net.embedding}  # fmt: skip
    parts |= {f"stage {i + 1}": stage for i, stage in enumerate(net.trunk)}
    assert {name: n_parameters(part) for name, part in parts.items()} == {name: table[name][-1] for name in parts}
    assert n_parameters(net) == table["all"][-1]


def test_numbers_of_attention_parameters_match_the_table(paper_sized):
    counted = [n_parameters(paper_sized[name].attention) for name in ("1", "2", "3")]
    assert counted == layer_table(avn_f.__doc__)["attention"][-3:]
    assert n_parameters(paper_sized["none"].attention) == 0


def test_sizes_of_maps_match_the_table(paper_sized):
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


def test_attention_1_follows_its_equation():
    attention = ATTENTION["1"](3)
    voice, face = torch.randn(2, 3, 4, 5), torch.randn(2, 3, 4, 5)
    c = np.concatenate([voice.numpy().mean((2, 3)), face.numpy().mean((2, 3))], 1)
    w1, b1, w2, b2 = (p.detach().numpy() for p in attention.parameters())
    expected = 1 / (1 + np.exp(-(np.maximum(c @ w1.T + b1, 0) @ w2.T + b2)))
    computed = torch.cat(attention(voice, face, BOTH), 1).detach().numpy()
    assert w1.shape == (8, 6) and w2.shape == (6, 8)
    assert np.allclose(computed, expected, atol=1e-6)


def test_attention_2_is_attention_1_of_convolved_maps():
    one, two = ATTENTION["1"](3), ATTENTION["2"](3)
    one.load_state_dict({name: p for name, p in two.state_dict().items() if name in one.state_dict()})
    two.eval()
    voice, face = torch.randn(2, 3, 4, 5), torch.randn(2, 3, 4, 5)
    expected = one(two.sound(voice), two.face(face), BOTH)
    assert all(torch.equal(a, b) for a, b in zip(two(voice, face, BOTH), expected))


def test_attention_3_has_one_weight_per_modality_and_they_sum_to_1():
    voice_weights, face_weights = ATTENTION["3"](3)(torch.randn(2, 3, 4, 5), torch.randn(2, 3, 4, 5), BOTH)
    assert voice_weights.shape == face_weights.shape == (2, 1)
    assert torch.allclose(voice_weights + face_weights, torch.ones(2, 1))


@pytest.mark.parametrize("attention", ATTENTION)
def test_gradients_reach_both_modalities(attention):
    net = small(attention)
    features, images = (x.requires_grad_() for x in inputs(4))
    net(features, images, torch.ones(4, 2, dtype=torch.bool))[0].square().sum().backward()
    assert features.grad.abs().sum() > 0 and images.grad.abs().sum() > 0
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.attention.parameters())


@pytest.mark.parametrize("attention", [name for name in ATTENTION if name != "none"])
def test_gradients_reach_both_modalities_through_the_weights_alone(attention):
    module = ATTENTION[attention](3)
    voice, face = (torch.randn(4, 3, 5, 6, requires_grad=True) for _ in range(2))
    both = torch.ones(4, 2, dtype=torch.bool)
    voice_weights, face_weights = module(voice, face, both)
    (voice_weights.square().sum() + 2 * face_weights.square().sum()).backward()
    assert voice.grad.abs().sum() > 0 and face.grad.abs().sum() > 0


@pytest.mark.parametrize("attention", ATTENTION)
@pytest.mark.parametrize("missing", [0, 1])
def test_a_missing_modality_is_ignored(attention, missing):
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


def test_a_missing_modality_does_not_enter_batch_norms_statistics():
    net = small("1").train()
    features, images = inputs(4)
    present = torch.tensor([[True, True], [True, False], [True, True], [True, False]])
    net(features, images, present)
    alone = small("1").train()
    alone.face(images[[0, 2]])
    assert torch.allclose(net.face[0][1].running_mean, alone.face[0][1].running_mean)


def test_a_clip_does_not_depend_on_its_batch():
    net = small("3").eval()
    features, images = inputs(3)
    present = torch.tensor([[True, True], [True, False], [False, True]])
    together = net(features, images, present)[0]
    alone = torch.cat([net(features[i : i + 1], images[i : i + 1], present[i : i + 1])[0] for i in range(3)])
    assert torch.allclose(together, alone, atol=1e-5)


def test_contradictory_options_are_refused():
    with pytest.raises(InputError, match="attention"):
        small("4")
    with pytest.raises(InputError, match=r"blocks=.* trunk_channels="):
        small("1", blocks=(1, 1, 1))
