"""The six fusion forms: gradients, missing modalities, sizes against the table, and each form's own definition."""

import math

import pytest
import torch
import torch.nn.functional as F

from avsv.errors import InputError
from avsv.models.avn_e import FORMS, CompactBilinear, Fusion, FusionOptions, Sum, halving_layers

N_VOICE, N_FACE = 5, 6
BOTH = torch.ones(8, 2, dtype=torch.bool)


def make(form="soft_attention", **options):
    torch.manual_seed(0)
    return Fusion(N_VOICE, N_FACE, FusionOptions(**{"fusion": form, "size": 16, **options}))


def draw(n=8):
    torch.manual_seed(1)
    return torch.randn(n, N_VOICE), torch.randn(n, N_FACE)


def n_weights(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("missing", ["mask", "learned"])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_passes_gradients_to_both_modalities(form, missing):
    voice, face = (x.requires_grad_() for x in draw())
    fusion = make(form, missing=missing)
    (F.normalize(fusion(voice, face, BOTH).out) * torch.randn(fusion.out_size)).sum().backward()
    assert voice.grad.abs().sum(1).min() > 0 and face.grad.abs().sum(1).min() > 0
    for modality in (fusion.voice, fusion.face):
        assert modality[0].weight.grad.abs().sum() > 0


@pytest.mark.parametrize("form", ["soft_attention", "soft_attention_concat", "gated"])
def test_attention_and_gate_get_gradients(form):
    fusion = make(form)
    (F.normalize(fusion(*draw(), BOTH).out) * torch.randn(fusion.out_size)).sum().backward()
    layers = fusion.head.gate[3] if form == "gated" else fusion.head.attention[-1]
    assert layers.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("missing", ["mask", "learned"])
@pytest.mark.parametrize("form", FORMS)
def test_the_vector_of_a_missing_modality_is_ignored(form, missing):
    fusion = make(form, missing=missing).eval()
    voice, face = draw(2)
    only_voice = torch.tensor([[True, False]] * 2)
    fused = fusion(voice, face, only_voice)
    assert torch.equal(fused.out, fusion(voice, torch.randn(2, N_FACE) * 100, only_voice).out)
    assert fused.weights.tolist() == [[1, 0], [1, 0]]
    assert fused.out.abs().sum(1).min() > 0
    assert not torch.allclose(fused.out, fusion(voice, face, BOTH[:2]).out)


@pytest.mark.parametrize("form", ["sum", "soft_attention", "soft_attention_concat"])
def test_if_one_modality_is_masked_the_cosine_equals_that_of_the_other(form):
    voice, face = draw(2)
    v = F.normalize(voice)
    fused = make(form)(voice, face, torch.tensor([[True, False]] * 2)).out
    assert F.cosine_similarity(fused[0], fused[1], 0).item() == pytest.approx((v[0] @ v[1]).item(), abs=1e-5)


def test_a_learned_state_replaces_a_missing_modality():
    fusion = make("soft_attention_concat", missing="learned", transform_depth=0)
    out = fusion(*draw(2), torch.tensor([[True, False], [False, True]])).out
    assert torch.allclose(out[0, :N_FACE], fusion.face_state / 2)
    assert torch.allclose(out[1, N_FACE:], fusion.voice_state / 2)
    out.sum().backward()
    assert fusion.face_state.grad.abs().sum() > 0 and fusion.voice_state.grad.abs().sum() > 0


@pytest.mark.parametrize("form", ["sum", "soft_attention", "soft_attention_concat"])
def test_training_starts_from_the_sum_of_cosines(form):
    voice, face = draw(2)
    v, f = F.normalize(voice), F.normalize(face)
    fused = make(form)(voice, face, BOTH[:2]).out
    expected = (v[0] @ v[1] + f[0] @ f[1]) / 2
    assert F.cosine_similarity(fused[0], fused[1], 0).item() == pytest.approx(expected.item(), abs=1e-5)


def test_soft_attention_is_the_weighted_sum():
    fusion = make("soft_attention", attention_depth=2)
    torch.nn.init.normal_(fusion.head.attention[-1].weight)
    voice, face = draw()
    v, f = F.normalize(voice), F.normalize(face)
    first, last = fusion.head.attention[0], fusion.head.attention[2]
    scores = last(torch.relu(first(torch.cat([f, v], 1))))
    for i in range(8):
        a_f, a_v = scores[i].softmax(0)
        expected = a_f * (fusion.face[0].weight @ f[i]) + a_v * (fusion.voice[0].weight @ v[i])
        assert torch.allclose(fusion(voice, face, BOTH).out[i], expected, atol=1e-6)


def test_gate_mixes_each_dimension():
    fusion = make("gated").eval()
    voice, face = draw()
    v, f = F.normalize(voice), F.normalize(face)
    z = fusion.head.gate(torch.cat([f, v], 1))
    expected = z * torch.tanh(fusion.face(f)) + (1 - z) * torch.tanh(fusion.voice(v))
    fused = fusion(voice, face, BOTH)
    assert torch.allclose(fused.out, expected, atol=1e-6)
    assert torch.allclose(fused.weights[:, 1], z.mean(1), atol=1e-6)


def test_compact_bilinear_is_a_circular_convolution_of_sketches():
    fusion = make("compact_bilinear", transform_depth=0)
    voice, face = draw(1)
    fused = fusion(voice, face, BOTH[:1]).out[0]
    expected = torch.zeros(16)
    for i, x in enumerate(F.normalize(voice)[0]):
        for j, y in enumerate(F.normalize(face)[0]):
            place = (fusion.head.voice_place[i] + fusion.head.face_place[j]) % 16
            expected[place] += fusion.head.voice_sign[i] * fusion.head.face_sign[j] * x * y
    assert torch.allclose(fused, expected, atol=1e-6)


def test_compact_bilinear_keeps_inner_products_of_outer_products_in_expectation():
    torch.manual_seed(0)
    voice, face = F.normalize(torch.randn(2, N_VOICE)), F.normalize(torch.randn(2, N_FACE))
    outer = torch.einsum("ni,nj->nij", voice, face).flatten(1)
    products = []
    for _ in range(3000):
        out, _ = CompactBilinear(N_VOICE, N_FACE, 0, FusionOptions(size=16))(voice, face, BOTH[:2], None)
        products.append(out @ out.T)
    products = torch.stack(products)
    error = products.std(0) / len(products) ** 0.5
    assert ((products.mean(0) - outer @ outer.T).abs() < 4 * error + 1e-6).all()


@pytest.mark.parametrize("n_voice", [192, 512])
def test_numbers_of_weights_match_the_table(n_voice):
    """Embeddings of 512 (face) and 192 or 512 (voice), transforms of one Linear to 512, as in the paper."""
    transforms, both = (n_voice + 512) * 512, n_voice + 512
    expected = {
        "sum": 0,
        "soft_attention": 2 * both + 2,
        "soft_attention_concat": 2 * both + 2,
        "concat": (1024 * 512 + 512) + 2 * 512 + (512 * 512 + 512),
        "gated": (both * 64 + 64) + 2 * 64 + (64 * 512 + 512),
        "compact_bilinear": 0,
    }
    for form, own in expected.items():
        fusion = Fusion(n_voice, 512, FusionOptions(fusion=form))
        assert n_weights(fusion) == transforms + own, form
        assert fusion.out_size == (1024 if form == "soft_attention_concat" else 512)


def test_each_layer_of_the_attention_halves_its_width():
    shapes = [tuple(layer.weight.shape) for layer in halving_layers(1024, 2, 4) if hasattr(layer, "weight")]
    assert shapes == [(512, 1024), (256, 512), (128, 256), (2, 128)]


def test_transforms_have_the_requested_depth():
    assert n_weights(make("soft_attention_concat", transform_depth=0).voice) == 0
    assert n_weights(make(transform_depth=3).voice) == N_VOICE * 16 + 2 * 16 * 16


def test_an_unreliable_clip_moves_towards_the_learned_state():
    fusion = make("soft_attention_concat", transform_depth=0, reliability=True, missing="learned",
                  attention_on="reliability", face_quality=["utt2sharpness"])  # fmt: skip
    with torch.no_grad():
        fusion.reliability.face_trust.weight[0, 1] = 10
    voice, face = draw(3)
    sharp = torch.tensor([[2.0], [-2.0], [float("nan")]])
    fused = fusion(voice, face, BOTH[:3], sharp)
    assert fused.weights[0, 1] > 0.48 and fused.weights[1, 1] < 1e-3
    assert torch.allclose(fused.out[1, :N_FACE], fusion.face_state / 2, atol=1e-3)
    average = fusion(voice, face, BOTH[:3], torch.zeros(3, 1))
    assert torch.equal(fused.weights[2], average.weights[2])  # no value: treated as average


def test_attention_on_quality_is_a_softmax_of_limited_standardised_quality():
    fusion = make("soft_attention_concat", transform_depth=0, attention_on="quality", voice_quality=["utt2snr"],
                  face_quality=["utt2sharpness"])  # fmt: skip
    matrix = torch.tensor([[0.3, 2.0], [1.5, -0.4]])  # rows: logits of face and voice
    with torch.no_grad():
        fusion.head.attention[0].weight.copy_(matrix)
        fusion.head.attention[0].bias.copy_(torch.tensor([0.2, 0.1]))
        fusion.quality_mean.copy_(torch.tensor([10.0, 5.0]))
        fusion.quality_std.copy_(torch.tensor([4.0, 0.5]))
    quality = torch.tensor([[18.0, 5.5], [2.0, float("nan")], [1e9, 5.0], [18.0, 5.5]])
    present = torch.tensor([[True, True]] * 3 + [[False, True]])
    weights = fusion(*draw(4), present, quality).weights
    for row, (snr, sharpness) in enumerate([(2, 1), (-2, 0), (5, 0)]):  # in standard deviations; clipped to 5
        face, voice = (2 * math.tanh(snr / 2) * v + 2 * math.tanh(sharpness / 2) * f + b
                       for (v, f), b in zip(matrix.tolist(), (0.2, 0.1), strict=True))  # fmt: skip
        assert weights[row, 0].item() == pytest.approx(1 / (1 + math.exp(face - voice)), abs=1e-5)
    assert weights[3].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attention_on": "quality"}, "needs voice_quality"),
        ({"fusion": "product"}, "fusion=product"),
        ({"missing": "zero"}, "missing=zero"),
        ({"attention_depth": 0}, "attention_depth=0"),
        ({"attention_on": "reliability"}, "set reliability: true"),
        ({"voice_quality": ["utt2snr"]}, "set reliability: true"),
        ({"fusion": "sum", "transform_depth": 0}, "sum .*5 and 6"),
    ],
)
def test_contradictory_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        make(**options)


def test_without_transforms_embeddings_of_one_size_can_be_added():
    assert Sum(4, 4, 0, FusionOptions(transform_depth=0)).out_size == 4
