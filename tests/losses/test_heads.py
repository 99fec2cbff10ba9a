"""Softmax over speakers, computed by hand."""

import numpy as np
import torch

from avsv.losses.heads import Softmax


def test_cross_entropy_of_a_linear_layer():
    torch.manual_seed(0)
    loss = Softmax(4, 3)
    x, labels = torch.randn(5, 4), torch.tensor([0, 1, 2, 1, 0])
    value, logits = loss(x, labels)
    z = x.numpy() @ loss.out.weight.detach().numpy().T + loss.out.bias.detach().numpy()
    logs = np.log(np.exp(z).sum(1))
    assert np.allclose(logits.detach().numpy(), z, atol=1e-5)
    assert np.isclose(value.item(), (logs - z[np.arange(5), labels]).mean(), atol=1e-5)


def test_the_hidden_layer_is_that_of_speechbrains_xvector_classifier():
    from avsv.models.speechbrain_library import import_speechbrain

    import_speechbrain()
    from speechbrain.lobes.models.Xvector import Classifier

    torch.manual_seed(0)
    loss = Softmax(6, 3, hidden=5).eval()
    theirs = Classifier(input_shape=[None, None, 6], lin_blocks=1, lin_neurons=5, out_neurons=3).eval()
    own = [p for p in loss.state_dict().values() if p.is_floating_point()]
    state = {name: p for name, p in theirs.state_dict().items() if p.is_floating_point()}
    assert [p.shape for p in state.values()] == [p.shape for p in own]
    theirs.load_state_dict(dict(zip(state, own, strict=True)), strict=False)
    x, labels = torch.randn(4, 6), torch.tensor([0, 1, 2, 1])
    value, logits = loss(x, labels)
    expected = theirs(x.unsqueeze(1)).squeeze(1)
    assert torch.allclose(logits.log_softmax(1), expected, atol=1e-5)
    assert torch.allclose(value, -expected[torch.arange(4), labels].mean(), atol=1e-5)
