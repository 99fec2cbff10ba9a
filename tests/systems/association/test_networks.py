"""The network families of association: formulas, invariances, contradictory options."""

import pytest
import torch
import torch.nn.functional as F

from avsv.errors import InputError
from avsv.systems.association.losses import orthogonal_projection
from avsv.systems.association.networks.family import AssociationOptions, Pairs
from avsv.systems.association.networks.fop import GatedFusion, GatedUnit
from avsv.systems.association.networks.registry import SYSTEMS, make_family
from avsv.systems.association.networks.svhf import choose_strangers

SIZES, CLASSES = (6, 9), {"identity": 4, "gender": 2, "nationality": 3}


def make(system, **options):
    torch.manual_seed(0)
    return make_family(SIZES, CLASSES, AssociationOptions(system, size=8, hidden=10, **options))


def draw(n=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    voice, face = (torch.randn(n, size, generator=generator) for size in SIZES)
    labels = torch.arange(n) % 4
    return Pairs(voice, face, labels, {"identity": labels, "gender": labels % 2, "nationality": labels % 3})


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_family_fits_its_training_people(system):
    family, pairs = make(system, dropout=0.0), draw(16)
    optimizer = torch.optim.Adam(family.parameters(), 0.02)
    losses = []
    for _ in range(60):
        loss, _ = family.loss(pairs, 0.5)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])


@pytest.mark.parametrize("system", SYSTEMS)
def test_voices_and_faces_get_one_dimension(system):
    family, pairs = make(system).eval(), draw()
    assert family.voice(pairs.voice).shape == family.face(pairs.face).shape == (8, 8)


def test_a_gated_unit_agrees_with_plain_loops():
    torch.manual_seed(1)
    unit, e, b, u, v = GatedUnit((4, 2), 3), torch.randn(2, 4), torch.randn(2, 2), torch.randn(2, 3), torch.randn(2, 3)
    found = unit(e, b, u, v)
    for row in range(2):
        both = [*e[row].tolist(), *b[row].tolist()]
        for i in range(3):
            logit = sum(w * x for w, x in zip(unit.gate.weight[i].tolist(), both)) + unit.gate.bias[i].item()
            k = 1 / (1 + 2.718281828459045**-logit)
            assert found[row, i].item() == pytest.approx(k * u[row, i].item() + (1 - k) * v[row, i].item(), rel=1e-5)


def test_the_single_stream_transform_is_the_unit_length_tanh_of_a_linear_layer():
    family, x = make("fop", transform="tanh").eval(), draw().voice
    linear = family.transforms[0][0]
    wanted = F.normalize(torch.tanh(F.normalize(x) * SIZES[0] ** 0.5 @ linear.weight.T + linear.bias))
    torch.testing.assert_close(family.voice(x), wanted)


def test_the_initial_single_stream_gate_is_not_constant():
    family, pairs = make("fop", transform="tanh", fusion="gated").eval(), draw(64)
    inputs = family.prepare(pairs.voice, True), family.prepare(pairs.face, False)
    assert all(x.square().mean().item() == pytest.approx(1, rel=1e-4) for x in inputs)
    gate = torch.sigmoid(family.fusion.gate(torch.cat(inputs, 1)))
    # W is uniform within +-1 / sqrt(n): inputs of mean square 1 give logits of variance 1 / 3
    assert torch.logit(gate).std(0).mean().item() == pytest.approx(3**-0.5, rel=0.25)


def test_linear_fusion_has_two_scalars():
    family, pairs = make("fop", fusion="linear", dropout=0.0).eval(), draw()
    assert [p.shape for p in family.fusion.parameters()] == [(2,)]
    family.fusion.weights.data = torch.tensor([2.0, -3.0])
    fused = 2 * family.voice(pairs.voice) - 3 * family.face(pairs.face)
    expected = F.cross_entropy(family.classifier(fused), pairs.labels) + orthogonal_projection(fused, pairs.labels)
    assert family.loss(pairs, 0.0)[0].item() == pytest.approx(expected.item(), rel=1e-5)


def test_fops_gate_has_a_hidden_layer_on_unit_vectors_and_fuses_their_tanh():
    torch.manual_seed(3)
    fusion, u, v = GatedFusion(3, 5).eval(), F.normalize(torch.randn(2, 3)), F.normalize(torch.randn(2, 3))
    hidden, norm, _, last = fusion.gate
    norm.running_mean.normal_()
    for row in range(2):
        x = hidden.weight @ torch.cat([u[row], v[row]]) + hidden.bias
        x = ((x - norm.running_mean) / (norm.running_var + norm.eps).sqrt()).clamp(min=0)
        k = 1 / (1 + torch.exp(-(last.weight @ x + last.bias)))
        expected = k * torch.tanh(u[row]) + (1 - k) * torch.tanh(v[row])
        torch.testing.assert_close(fusion(None, None, u, v)[row], expected)


def test_fops_loss_is_the_sum_of_its_terms():
    pairs = draw()
    losses = []
    for options in ({}, {"alpha": 0.0}, {"ce_weight": 0.0}):
        family = make("fop", dropout=0.0, **options).eval()
        losses.append(family.loss(pairs, 0.0)[0].item())
    assert losses[0] == pytest.approx(losses[1] + losses[2], rel=1e-5)


def test_dimnet_shares_one_classifier_per_covariate():
    family, pairs = make("dimnet", dropout=0.0).eval(), draw()
    expected = sum(F.cross_entropy(family.classifiers[c](x), pairs.covariates[c])
                   for x in (family.voice(pairs.voice), family.face(pairs.face)) for c in CLASSES)  # fmt: skip
    assert family.loss(pairs, 0.0)[0].item() == pytest.approx(expected.item(), rel=1e-6)


def test_ssnet_shares_one_branch_between_modalities():
    family = make("ssnet").eval()
    face = torch.randn(2, 9)
    family.adapters[0] = torch.nn.Identity()
    torch.testing.assert_close(family.branch(family.prepare(face, False)), family.face(face))


def test_ssnet_has_two_blocks_and_unit_length_outputs():
    torch.manual_seed(0)
    family = make_family((512, 512), CLASSES, AssociationOptions("ssnet", size=128, hidden=128)).eval()
    kinds = [torch.nn.Linear, torch.nn.BatchNorm1d, torch.nn.ReLU, torch.nn.Dropout]
    assert [type(part) for block in family.branch[:2] for part in block] == 2 * kinds
    # 512 x 128 + 128 and 128 x 128 + 128, and two per channel of batch norm
    assert sum(p.numel() for p in family.branch.parameters()) == 513 * 128 + 129 * 128 + 4 * 128
    out = family.voice(torch.randn(5, 512))
    torch.testing.assert_close(out.norm(dim=1), torch.ones(5))
    assert (out >= 0).all()


@pytest.mark.parametrize("n", [2, 5])
def test_svhf_does_not_depend_on_the_order_of_candidates(n):
    family = make("svhf").eval()
    query, candidates = torch.randn(3, 8), torch.randn(3, n, 8)
    order = torch.randperm(n)
    torch.testing.assert_close(family.choose(query, candidates[:, order]), family.choose(query, candidates)[:, order])


def test_strangers_are_different_rows_of_other_people():
    labels = torch.tensor([0, 0, 1, 2, 3])
    rows = choose_strangers(labels, 3)
    assert (labels[rows] != labels[:, None]).all()
    assert all(len(set(row)) == 3 for row in rows.tolist())


@pytest.mark.parametrize(
    ("system", "options", "option"),
    [("clip", {}, "system=clip"), ("fop", {"fusion": "sum"}, "fusion=sum"),
     ("fop", {"ce_weight": 0, "alpha": 0}, "ce_weight=0 alpha=0"), ("svhf", {"candidates": 1}, "candidates=1"),
     ("svhf", {"direction": "both"}, "direction=both"), ("dimnet", {"covariates": ("height",)}, "covariates")],
)  # fmt: skip
def test_contradictory_options_are_named(system, options, option):
    with pytest.raises(InputError, match=option):
        make_family(SIZES, CLASSES, AssociationOptions(system, **options))
