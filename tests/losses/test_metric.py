"""Contrastive and triplet losses, compared with plain loops."""

import itertools
import math

import numpy as np
import pytest
import torch

from avsv.losses.metric import CosineTripletLoss, SiameseLoss


def draw(n=12, n_people=4, seed=0):
    torch.manual_seed(seed)
    return torch.randn(n, 5), torch.arange(n) % n_people


def cosine(x, i, j):
    a, b = x[i].double().numpy(), x[j].double().numpy()
    return a @ b / math.sqrt((a @ a) * (b @ b))


def test_contrastive_loss_with_only_hard_pairs():
    x, labels = draw()
    positive, negative = [], []
    for i, j in itertools.combinations(range(len(x)), 2):
        d = math.sqrt(2 - 2 * cosine(x, i, j))  # of unit vectors
        (positive if labels[i] == labels[j] else negative).append(d)
    nearest = sorted(negative)[: len(positive)]
    losses = [d**2 / 2 for d in positive] + [max(1.0 - d, 0) ** 2 / 2 for d in nearest]
    loss, figures = SiameseLoss(1.0, hard=1.0)(x, labels)
    assert loss.item() == pytest.approx(np.mean(losses), abs=1e-5)
    assert figures["same"].item() == pytest.approx(np.mean([1 - d**2 / 2 for d in positive]), abs=1e-5)


def test_the_hard_share_is_always_used_and_the_rest_is_drawn_anew():
    x, labels = draw()
    hardest = SiameseLoss(2.0, hard=1.0)(x, labels)[0].item()
    half = {round(SiameseLoss(2.0, hard=0.5)(x, labels)[0].item(), 6) for _ in range(20)}
    none = {round(SiameseLoss(2.0, hard=0.0)(x, labels)[0].item(), 6) for _ in range(20)}
    assert len(half) > 1 and max(half) <= hardest + 1e-6
    assert np.mean(list(none)) < np.mean(list(half))


def test_triplets_take_the_hardest_negative_of_the_batch():
    x, labels = draw()
    losses = []
    for a, p in itertools.permutations(range(len(x)), 2):
        if labels[a] == labels[p]:
            hardest = max(cosine(x, a, n) for n in range(len(x)) if labels[n] != labels[a])
            losses.append(max(0, hardest - cosine(x, a, p) + 0.1))
    loss, figures = CosineTripletLoss(0.1)(x, labels)
    assert loss.item() == pytest.approx(np.mean(losses), abs=1e-5)
    assert figures["violated"].item() == pytest.approx(np.mean(np.array(losses) > 0))


@pytest.mark.parametrize("loss", [SiameseLoss(), CosineTripletLoss()])
def test_perfect_embeddings_cost_nothing(loss):
    x, labels = torch.eye(4)[torch.tensor([0, 0, 1, 1, 2, 2])], torch.tensor([0, 0, 1, 1, 2, 2])
    assert loss(x, labels)[0].item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("loss", [SiameseLoss(), CosineTripletLoss()])
@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2]])
def test_a_batch_without_pairs_of_both_kinds_costs_nothing_and_has_a_gradient(loss, labels):
    x = torch.randn(3, 4, requires_grad=True)
    value, _ = loss(x, torch.tensor(labels))
    value.backward()
    assert value.item() == 0 and torch.isfinite(x.grad).all()


@pytest.mark.parametrize("loss", [SiameseLoss(), CosineTripletLoss()])
def test_gradients_are_finite_for_equal_embeddings(loss):
    x = torch.ones(4, 3, requires_grad=True)
    loss(x, torch.tensor([0, 0, 1, 1]))[0].backward()
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("loss", [SiameseLoss(1.5), CosineTripletLoss()])
def test_steps_along_the_gradient_separate_the_people(loss):
    x, labels = draw(8, 2)
    x.requires_grad_(True)
    optimizer = torch.optim.SGD([x], 1.0)
    for _ in range(300):
        optimizer.zero_grad()
        loss(x, labels)[0].backward()
        optimizer.step()
    unit = torch.nn.functional.normalize(x.detach())
    cosines, same = unit @ unit.T, labels[:, None] == labels[None]
    # every recording is nearer to all of its own speaker's than to any of another's
    nearest_other = cosines.masked_fill(same, -2).amax(1)
    assert (cosines.masked_fill(~same, 2).amin(1) > nearest_other).all()
