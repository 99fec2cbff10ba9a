"""Association losses against plain loops."""

import math

import numpy as np
import pytest
import torch

from avsv.errors import InputError
from avsv.systems.association.losses import (
    cross_modal_centre,
    curriculum_contrastive,
    curriculum_tau,
    info_nce,
    orthogonal_projection,
)

LABELS = [0, 1, 1, 2, 3, 0, 4]


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(7, 5, generator=generator, dtype=torch.float64) for _ in range(2)]


def cosine(a, b):
    a, b = a.double().numpy(), b.double().numpy()
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_info_nce_agrees_with_plain_loops(batch):
    voice, face = batch
    total = 0.0
    for one, other in ((voice, face), (face, voice)):
        for i in range(7):
            right = math.exp(4 * cosine(one[i], other[i]))
            wrong = sum(math.exp(4 * cosine(one[i], other[j])) for j in range(7) if LABELS[j] != LABELS[i])
            total -= math.log(right / (right + wrong)) / 14
    assert info_nce(voice, face, torch.tensor(LABELS), 4.0).item() == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize("form", ["paper", "code"])
def test_orthogonal_projection_agrees_with_plain_loops(batch, form):
    x = batch[0]
    pairs = [(i, j) for i in range(7) for j in range(7) if i != j]
    same = [cosine(x[i], x[j]) for i, j in pairs if LABELS[i] == LABELS[j]]
    different = [cosine(x[i], x[j]) for i, j in pairs if LABELS[i] != LABELS[j]]
    repulsion = {"paper": abs(np.mean(different)), "code": 0.7 * np.mean(np.abs(different))}[form]
    expected = (1 - np.mean(same)) + repulsion
    assert orthogonal_projection(x, torch.tensor(LABELS), form).item() == pytest.approx(expected, rel=1e-5)


def test_opposite_negatives_cancel_in_the_papers_projection_but_not_in_the_codes():
    x = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    labels = torch.tensor([0, 1, 2, 3])  # negative cosines: -1 and 1 once each, the rest 0
    assert orthogonal_projection(x, labels, "paper").item() == pytest.approx(0.0)
    assert orthogonal_projection(x, labels, "code").item() == pytest.approx(0.7 * 2 / 6)


def test_an_unknown_form_of_the_projection_is_refused():
    with pytest.raises(InputError, match="projection"):
        orthogonal_projection(torch.eye(2), torch.tensor([0, 1]), "both")


def test_orthogonal_projection_without_positive_pairs_is_the_negative_term():
    x = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    assert orthogonal_projection(x, torch.tensor([0, 1])).item() == pytest.approx(math.sqrt(0.5))


def test_centre_loss_agrees_with_plain_loops(batch):
    voice, face = batch
    total = 0.0
    for person in set(LABELS):
        rows = [i for i in range(7) if LABELS[i] == person]
        vectors = np.array([side[i].numpy() for side in (voice, face) for i in rows])
        total += ((vectors - vectors.mean(0)) ** 2).sum()
    assert cross_modal_centre(voice, face, torch.tensor(LABELS)).item() == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize("tau", [0.0, 0.3, 0.8, 1.0])
def test_curriculum_loss_agrees_with_plain_loops(batch, tau):
    voice, face = batch
    distance = [[math.sqrt(2 - 2 * cosine(v, f)) for f in face] for v in voice]
    total = sum(distance[i][i] ** 2 for i in range(7)) / 7
    for table in (distance, list(zip(*distance))):
        for i in range(7):
            ranked = sorted((table[i][j] for j in range(7) if LABELS[j] != LABELS[i]), reverse=True)
            hard = ranked[math.floor(tau * (len(ranked) - 1))]
            total += max(0.6 - hard, 0) ** 2 / 7 / 2
    # some negatives are within the margin
    found = curriculum_contrastive(voice, face, torch.tensor(LABELS), tau)
    assert found.item() == pytest.approx(total, rel=1e-4)


def test_the_hardest_negative_counts_only_within_the_margin():
    voice = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    face = torch.tensor([[1.0, 0.0], [1.0, 0.0]])  # equal faces: the second has distance 0 to the first voice
    found = curriculum_contrastive(voice, face, torch.tensor([0, 1]), 1.0).item()
    # positives 0 and 2; voice 0 with face 1 at 0, voice 1 with face 0 at sqrt 2, and the reverse
    assert found == pytest.approx((0 + 2) / 2 + (0.36 + 0) / 4 + (0 + 0.36) / 4, abs=1e-4)


def test_tau_rises_in_six_steps_from_first_to_last():
    found = [round(curriculum_tau(i / 60), 4) for i in range(60)]
    assert found == [round(0.3 + 0.1 * (i // 10), 4) for i in range(60)]


def test_gradients_are_finite_where_vectors_are_equal():
    voice = torch.ones(4, 3, requires_grad=True)
    face = torch.ones(4, 3)
    labels = torch.tensor([0, 0, 1, 2])
    loss = curriculum_contrastive(voice, face, labels, 0.8) + info_nce(voice, face, labels, 10.0)
    loss.backward()
    assert torch.isfinite(voice.grad).all()
