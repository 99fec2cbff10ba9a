"""Margin softmax, compared with SpeechBrain and with a loop."""

import math

import pytest
import torch

from avsv.losses.margin import AAMSoftmax, warmed_margin
from avsv.models.speechbrain_library import import_speechbrain


@pytest.mark.parametrize("margin", [0.0, 0.2, 0.5])
def test_loss_matches_speechbrain(margin):
    import_speechbrain()
    from speechbrain.nnet.losses import AdditiveAngularMargin, LogSoftmaxWrapper

    torch.manual_seed(0)
    loss = AAMSoftmax(16, 7, scale=30, margin=margin).double()
    embeddings, labels = torch.randn(12, 16).double(), torch.randint(7, (12,))
    ours, logits = loss(embeddings, labels)
    cosine = logits / 30
    theirs = LogSoftmaxWrapper(AdditiveAngularMargin(margin=margin, scale=30))(cosine[:, None], labels[:, None])
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-4)


def test_loss_agrees_with_a_manual_calculation():
    loss = AAMSoftmax(2, 2, scale=10, margin=0.3)
    with torch.no_grad():
        loss.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    theta = 0.7
    value, _ = loss(torch.tensor([[3 * math.cos(theta), 3 * math.sin(theta)]]), torch.tensor([0]))
    target, other = 10 * math.cos(theta + 0.3), 10 * math.sin(theta)
    assert value.item() == pytest.approx(math.log(1 + math.exp(other - target)), abs=1e-5)


def test_gradient_is_finite_at_the_centre_and_opposite_to_it():
    loss = AAMSoftmax(3, 2)
    for sign in (1, -1):
        embedding = (sign * loss.weight[:1]).detach().requires_grad_()
        loss(embedding, torch.tensor([0]))[0].backward()
        assert torch.isfinite(embedding.grad).all()


def loop_loss(loss, embeddings, labels):
    """Sub-centres and inter-top-k penalty, example by example."""
    total = 0.0
    centres = torch.nn.functional.normalize(loss.weight.double()).reshape(-1, loss.sub_centres, embeddings.shape[1])
    for x, label in zip(embeddings.double(), labels.tolist(), strict=True):
        angles = [math.acos(max((c @ x / x.norm()).item() for c in own)) for own in centres]
        others = sorted((a for i, a in enumerate(angles) if i != label))
        penalty = loss.top_penalty * loss.margin / loss.final_margin
        logits = [math.cos(a - penalty) if rank < loss.top_k else math.cos(a) for rank, a in enumerate(others)]
        target = loss.scale * math.cos(angles[label] + loss.margin)
        total += math.log(sum(math.exp(loss.scale * x - target) for x in logits) + 1)
    return total / len(labels)


@pytest.mark.parametrize(("sub_centres", "top_k"), [(1, 0), (3, 0), (1, 2), (3, 2)])
def test_sub_centres_and_inter_top_k_penalty_match_a_loop(sub_centres, top_k):
    torch.manual_seed(0)
    loss = AAMSoftmax(6, 5, 8, 0.2, sub_centres, top_k, 0.06).double()
    embeddings, labels = torch.randn(9, 6), torch.randint(5, (9,))
    for margin in (0.2, 0.1):  # the penalty is warmed up with the margin
        loss.margin = margin
        value, logits = loss(embeddings, labels)
        assert value.item() == pytest.approx(loop_loss(loss, embeddings, labels), abs=1e-4)
        assert logits.shape == (9, 5)


def test_top_k_is_limited_to_the_number_of_other_speakers():
    value, _ = AAMSoftmax(6, 3, top_k=5)(torch.randn(4, 6), torch.tensor([0, 1, 2, 0]))
    assert torch.isfinite(value)


def test_margin_increases_linearly_and_then_stays():
    assert [warmed_margin(0.3, done, 0.5) for done in (0, 0.25, 0.5, 0.9)] == pytest.approx([0, 0.15, 0.3, 0.3])
    assert warmed_margin(0.3, 0, 0) == 0.3
