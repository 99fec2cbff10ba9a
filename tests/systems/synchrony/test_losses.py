"""The contrastive loss and online pair selection against plain loops."""

import pytest
import torch

from avsv.errors import InputError
from avsv.systems.synchrony.losses import contrastive_distance_loss, select_pairs

DISTANCE = torch.tensor([0.5, 4.0, 1.0, 3.0, 9.0, 2.0, 20.0])
GENUINE = torch.tensor([True, True, True, False, False, False, False])


def test_the_loss_equals_the_papers_formula():
    total = 0.0
    for d, y in zip(DISTANCE.tolist(), GENUINE.tolist(), strict=True):
        total += 0.5 * (y * d**2 + (1 - y) * max(10 - d, 0) ** 2)
    assert contrastive_distance_loss(DISTANCE, GENUINE, 10.0).item() == pytest.approx(total / 7)


def test_genuine_pairs_are_pulled_together_and_impostors_within_the_margin_pushed_apart():
    distance = DISTANCE.clone().requires_grad_()
    contrastive_distance_loss(distance, GENUINE, 8.0).backward()
    assert (distance.grad > 0).tolist() == GENUINE.tolist()
    assert (distance.grad < 0).tolist() == [False, False, False, True, False, True, False]


def test_fixed_selection_equals_the_published_code():
    for margin in (0.0, 5.5, 100.0):
        kept = []
        most_genuine = max(d for d, y in zip(DISTANCE, GENUINE) if y)
        for d, y in zip(DISTANCE, GENUINE):
            kept.append(bool(y) or bool(d < most_genuine + margin))
        assert select_pairs(DISTANCE, GENUINE, "fixed", margin).tolist() == kept


def test_adaptive_selection_keeps_the_pairs_where_both_kinds_overlap():
    margin = 1.0 * 4.0 / 20.0  # max genuine / max impostor
    kept = []
    for d, y in zip(DISTANCE.tolist(), GENUINE.tolist(), strict=True):
        kept.append(d > 2.0 - margin if y else d < 4.0 + margin)
    assert select_pairs(DISTANCE, GENUINE, "adaptive", 1.0).tolist() == kept
    assert kept == [False, True, False, True, False, True, False]


def test_adaptive_selection_keeps_no_pair_of_a_well_separated_batch():
    apart = torch.where(GENUINE, 0.1 * DISTANCE, 10 + DISTANCE)
    assert not select_pairs(apart, GENUINE, "adaptive", 1.0).any()


@pytest.mark.parametrize("kind", ["none", "fixed", "adaptive"])
def test_a_batch_of_one_kind_is_kept_whole(kind):
    for genuine in (torch.ones(7, dtype=torch.bool), torch.zeros(7, dtype=torch.bool)):
        assert select_pairs(DISTANCE, genuine, kind, 0.0).all()


def test_an_unknown_selection_is_refused():
    with pytest.raises(InputError, match="selection"):
        select_pairs(DISTANCE, GENUINE, "some", 1.0)
