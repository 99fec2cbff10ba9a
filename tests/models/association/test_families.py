"""The families of association: formulas, places that do not matter, options that contradict."""

import pytest
import torch
import torch.nn.functional as F

from avsv.errors import UserError
from avsv.models.association.family import AssociationOptions, Pairs
from avsv.models.association.fop import GatedUnit
from avsv.models.association.svhf import choose_strangers
from avsv.models.association.systems import SYSTEMS, make_family

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
def test_every_family_learns_to_tell_its_training_people(system):
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
def test_voices_and_faces_come_to_one_size(system):
    family, pairs = make(system).eval(), draw()
    assert family.voice(pairs.voice).shape == family.face(pairs.face).shape == (8, 8)


def test_a_gated_unit_agrees_with_plain_loops():
    torch.manual_seed(1)
    unit, u, v = GatedUnit(3), torch.randn(2, 3), torch.randn(2, 3)
    found = unit(u, v)
    for row in range(2):
        both = [*u[row].tolist(), *v[row].tolist()]
        for i in range(3):
            logit = sum(w * x for w, x in zip(unit.gate.weight[i].tolist(), both)) + unit.gate.bias[i].item()
            k = 1 / (1 + 2.718281828459045**-logit)
            assert found[row, i].item() == pytest.approx(k * u[row, i].item() + (1 - k) * v[row, i].item(), rel=1e-5)


def test_the_single_stream_s_transform_is_the_tanh_of_a_linear_at_length_one():
    family, x = make("fop", transform="tanh").eval(), draw().voice
    linear = family.transforms[0][0]
    wanted = F.normalize(torch.tanh(F.normalize(x) * SIZES[0] ** 0.5 @ linear.weight.T + linear.bias))
    torch.testing.assert_close(family.voice(x), wanted)


def test_fop_without_a_term_is_the_other_one():
    pairs = draw()
    losses = []
    for options in ({}, {"alpha": 0.0}, {"ce_weight": 0.0}):
        family = make("fop", dropout=0.0, **options).eval()
        losses.append(family.loss(pairs, 0.0)[0].item())
    assert losses[0] == pytest.approx(losses[1] + losses[2], rel=1e-5)


def test_dimnet_shares_one_classifier_a_covariate():
    family, pairs = make("dimnet", dropout=0.0).eval(), draw()
    expected = sum(F.cross_entropy(family.classifiers[c](x), pairs.covariates[c])
                   for x in (family.voice(pairs.voice), family.face(pairs.face)) for c in CLASSES)  # fmt: skip
    assert family.loss(pairs, 0.0)[0].item() == pytest.approx(expected.item(), rel=1e-6)


def test_one_branch_serves_both_modalities_of_ssnet():
    family = make("ssnet").eval()
    face = torch.randn(2, 9)
    family.adapters[0] = torch.nn.Identity()
    torch.testing.assert_close(family.branch(family.prepare(face, False)), family.face(face))


@pytest.mark.parametrize("n", [2, 5])
def test_the_place_of_a_candidate_does_not_matter_to_svhf(n):
    family = make("svhf").eval()
    query, candidates = torch.randn(3, 8), torch.randn(3, n, 8)
    order = torch.randperm(n)
    torch.testing.assert_close(family.choose(query, candidates[:, order]), family.choose(query, candidates)[:, order])


def test_strangers_are_others_and_different_rows():
    labels = torch.tensor([0, 0, 1, 2, 3])
    rows = choose_strangers(labels, 3)
    assert (labels[rows] != labels[:, None]).all()
    assert all(len(set(row)) == 3 for row in rows.tolist())


@pytest.mark.parametrize(
    ("system", "options", "said"),
    [("clip", {}, "expected one of infonce"), ("fop", {"fusion": "sum"}, "fusion=sum"),
     ("fop", {"ce_weight": 0, "alpha": 0}, "nothing would be learned"), ("svhf", {"candidates": 1}, "candidates=1"),
     ("svhf", {"direction": "both"}, "direction=both"), ("dimnet", {"covariates": ("height",)}, "covariates")],
)  # fmt: skip
def test_options_that_contradict_are_named(system, options, said):
    with pytest.raises(UserError, match=said):
        make_family(SIZES, CLASSES, AssociationOptions(system, **options))
