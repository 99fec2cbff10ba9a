import math

import pytest
import torch

from avsv.losses.margin import AAMSoftmax
from avsv.models.ecapa import import_speechbrain


@pytest.mark.parametrize("margin", [0.0, 0.2, 0.5])
def test_loss_is_speechbrains(margin):
    import_speechbrain()
    from speechbrain.nnet.losses import AdditiveAngularMargin, LogSoftmaxWrapper

    torch.manual_seed(0)
    loss = AAMSoftmax(16, 7, scale=30, margin=margin).double()
    embeddings, labels = torch.randn(12, 16).double(), torch.randint(7, (12,))
    ours, logits = loss(embeddings, labels)
    cosine = logits / 30
    theirs = LogSoftmaxWrapper(AdditiveAngularMargin(margin=margin, scale=30))(cosine[:, None], labels[:, None])
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-4)


def test_loss_by_hand():
    loss = AAMSoftmax(2, 2, scale=10, margin=0.3)
    with torch.no_grad():
        loss.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    theta = 0.7
    value, _ = loss(torch.tensor([[3 * math.cos(theta), 3 * math.sin(theta)]]), torch.tensor([0]))
    target, other = 10 * math.cos(theta + 0.3), 10 * math.sin(theta)
    assert value.item() == pytest.approx(math.log(1 + math.exp(other - target)), abs=1e-5)


def test_gradient_is_finite_where_an_embedding_is_its_centre_or_the_opposite():
    loss = AAMSoftmax(3, 2)
    for sign in (1, -1):
        embedding = (sign * loss.weight[:1]).detach().requires_grad_()
        loss(embedding, torch.tensor([0]))[0].backward()
        assert torch.isfinite(embedding.grad).all()
