"""The losses of the GAN against plain sums of logarithms."""

import math

import pytest
import torch

from avsv.systems.voice_to_face.losses import critic_loss, generator_loss

REAL, GENERATED = torch.tensor([2.0, -1.0]), torch.tensor([-3.0, 0.5])
PERSON, LABEL = torch.tensor([[1.0, 0.0, -1.0], [0.0, 2.0, 0.5]]), torch.tensor([0, 2])


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def cross_entropy(rows, labels):
    return -sum(math.log(math.exp(r[k]) / sum(map(math.exp, r))) for r, k in zip(rows, labels)) / len(rows)


def test_the_critics_loss_is_the_sum_of_three_cross_entropies():
    expected = (
        -(math.log(sigmoid(2)) + math.log(sigmoid(-1))) / 2 - (math.log(sigmoid(3)) + math.log(sigmoid(-0.5))) / 2
    )
    expected += cross_entropy(PERSON.tolist(), LABEL.tolist())
    assert critic_loss(REAL, GENERATED, PERSON, LABEL).item() == pytest.approx(expected, abs=1e-6)


def test_the_generators_loss_is_the_sum_of_two_cross_entropies():
    expected = -(math.log(sigmoid(-3)) + math.log(sigmoid(0.5))) / 2 + cross_entropy(PERSON.tolist(), LABEL.tolist())
    assert generator_loss(GENERATED, PERSON, LABEL).item() == pytest.approx(expected, abs=1e-6)


def test_losses_are_stable_in_half_precision_and_for_large_logits():
    half = [x.bfloat16() for x in (REAL, GENERATED, PERSON)]
    assert critic_loss(*half, LABEL).item() == pytest.approx(
        critic_loss(REAL, GENERATED, PERSON, LABEL).item(), rel=0.01
    )
    large = torch.tensor([1000.0, -1000.0])
    assert torch.isfinite(critic_loss(large, large, 1000 * PERSON, LABEL))
