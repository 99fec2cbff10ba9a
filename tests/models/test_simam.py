"""SimAM: its energy by the paper's definition, no parameters, and its place in the blocks."""

import numpy as np
import pytest
import torch

from avsv.models import simam
from avsv.models.resnet import SpeakerResNet
from avsv.models.simam import SimAm, SimAmResNet
from tests.models.tables import layer_table, n_parameters


def test_numbers_of_parameters_match_the_table_and_those_of_resnet34():
    with torch.device("meta"):
        net, plain = SimAmResNet(), SpeakerResNet()
    parts = {"stem": net.stem, "Linear": net.embedding} | {f"stage {i + 1}": s for i, s in enumerate(net.stages)}
    table = layer_table(simam.__doc__)
    assert {name: n_parameters(part) for name, part in parts.items()} == {name: table[name][-1] for name in parts}
    assert n_parameters(net) == n_parameters(plain) and f"{n_parameters(net):,}" in simam.__doc__


def test_the_attention_follows_from_the_minimal_energy_of_each_position():
    """The least energy is e = 4 (v + l) / ((t - m)^2 + 2 v + 2 l), and the attention is the sigmoid of 1 / e."""
    x = np.random.default_rng(0).normal(0, 2, (2, 3, 4, 5))
    weighted = np.empty_like(x)
    for sample, channel in np.ndindex(2, 3):
        part = x[sample, channel]
        variance = part.var(ddof=1)
        energy = 4 * (variance + 1e-4) / ((part - part.mean()) ** 2 + 2 * variance + 2e-4)
        weighted[sample, channel] = part / (1 + np.exp(-1 / energy))
    assert SimAm()(torch.from_numpy(x)).numpy() == pytest.approx(weighted, rel=1e-6)


def test_it_changes_every_block_of_the_plain_network():
    torch.manual_seed(0)
    net, plain = SimAmResNet(80, 4, (2, 1), 6).eval(), SpeakerResNet(80, 4, (2, 1), 6).eval()
    plain.load_state_dict(net.state_dict())
    features = torch.randn(1, 50, 80)
    assert (net(features) - plain(features)).abs().max() > 1e-4
    assert sum(isinstance(module, SimAm) for module in net.modules()) == 3
