"""Losses over pairs, compared with plain loops."""

import itertools
import math

import numpy as np
import pytest
import torch

from avsv.losses.pairs import VerificationLoss, contrastive_loss, kept_share, pair_cosines


def draw(n=12, seed=0):
    torch.manual_seed(seed)
    return torch.randn(n, 5), torch.randint(3, (n,))


def loop_cosines(x, labels):
    cosines = {True: [], False: []}
    x = x.double().numpy()
    for i in range(len(x)):
        for j in range(i + 1, len(x)):
            cosine = x[i] @ x[j] / math.sqrt((x[i] @ x[i]) * (x[j] @ x[j]))
            cosines[bool(labels[i] == labels[j])].append(cosine)
    return np.array(cosines[True]), np.array(cosines[False])


def test_all_pairs_occur_once():
    x, labels = draw()
    for ours, theirs in zip(pair_cosines(x, labels), loop_cosines(x, labels), strict=True):
        assert sorted(ours.tolist()) == pytest.approx(sorted(theirs), abs=1e-5)


def test_pairs_are_compared_on_shared_modalities_and_left_out_where_there_are_hardly_any():
    """Concatenated modalities, weighted: the mean of the modalities' cosines, weighted by the products of weights."""
    rng = np.random.default_rng(0)
    parts = rng.normal(size=(9, 2, 4))
    parts /= np.linalg.norm(parts, axis=2, keepdims=True)
    weights = rng.uniform(0.1, 1, size=(9, 2))
    weights[0], weights[1] = [1, 0], [0, 1]  # share nothing
    weights[2] = [0.01, 1]  # with clip 0: below `least`
    labels = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2])
    expected = {True: [], False: []}
    for i, j in itertools.combinations(range(9), 2):
        product = weights[i] * weights[j]
        if product.sum() / np.linalg.norm(weights[i]) / np.linalg.norm(weights[j]) >= 0.05:
            mean = product @ (parts[i] * parts[j]).sum(1) / product.sum()
            expected[bool(labels[i] == labels[j])].append(mean)
    vectors = torch.from_numpy((weights[:, :, None] * parts).reshape(9, 8))
    found = pair_cosines(vectors, torch.from_numpy(labels), torch.from_numpy(weights), 0.05)
    assert len(expected[True]) == 7
    for ours, theirs in zip(found, (expected[True], expected[False]), strict=True):
        assert sorted(ours.tolist()) == pytest.approx(sorted(theirs), abs=1e-5)


def test_contrastive_loss_keeps_the_hardest_share_of_balanced_pairs():
    x, labels = draw()
    labels[:] = torch.tensor([0, 1] * 6)  # 30 positive and 36 negative pairs
    positive, negative = loop_cosines(x, labels)
    losses = {round(contrastive_loss(x, labels, 0.2).item(), 4) for _ in range(40)}
    hardest = np.sort(positive)[:6].mean()
    # 30 of the 36 negative pairs are drawn at random; the mean of their 6 hardest lies between these
    highest, lowest = np.sort(negative)[-6:].mean(), np.sort(negative)[-12:-6].mean()
    assert len(losses) > 1
    assert all(lowest - hardest + 2 - 1e-3 <= value <= highest - hardest + 2 + 1e-3 for value in losses)


def test_contrastive_loss_of_all_pairs_is_the_difference_of_the_means_plus_two():
    x = torch.randn(4, 3)
    labels = torch.tensor([0, 0, 1, 1])  # 2 positive and 4 negative pairs; all positive ones are kept
    positive, negative = loop_cosines(x, labels)
    mean = np.mean([contrastive_loss(x, labels, 1.0).item() for _ in range(400)])
    spread = negative.std() / math.sqrt(400)
    assert mean == pytest.approx(negative.mean() - positive.mean() + 2, abs=4 * spread)


def test_share_of_hard_pairs_follows_the_schedule_of_the_paper():
    for done in (0.0, 0.1, 0.5, 1.0):
        assert kept_share(done) == pytest.approx(0.2 - 0.15 * (1 - 0.02**done))


def test_verification_loss_is_logistic_regression_at_the_prior():
    x, labels = draw()
    loss = VerificationLoss(prior=0.2)
    positive, negative = loop_cosines(x, labels)
    scale, offset = loss.scale.item(), loss.offset.item()

    def cost(score, sign):
        return math.log(1 + math.exp(-sign * (scale * score + offset + math.log(0.2 / 0.8))))

    expected = 0.2 * np.mean([cost(s, 1) for s in positive]) + 0.8 * np.mean([cost(s, -1) for s in negative])
    expected /= -0.2 * math.log(0.2) - 0.8 * math.log(0.8)
    assert loss(x, labels).item() == pytest.approx(expected, abs=1e-5)


def test_an_uninformative_loss_is_one():
    loss = VerificationLoss(0.3)
    with torch.no_grad():
        loss.scale.zero_()
        loss.offset.zero_()
    assert loss(*draw()).item() == pytest.approx(1)


@pytest.mark.parametrize("loss", [VerificationLoss(), lambda x, labels: contrastive_loss(x, labels, 0.2)])
@pytest.mark.parametrize("labels", [torch.zeros(4, dtype=torch.long), torch.arange(4)])
def test_without_both_kinds_of_pairs_loss_and_gradient_are_zero(loss, labels):
    x = torch.randn(4, 3, requires_grad=True)
    value = loss(x, labels)
    value.backward()
    assert value.item() == 0 and not x.grad.any()
