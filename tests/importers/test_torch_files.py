"""Tensors of every kind that torch saves: those that cannot be vectors are refused by name."""

import numpy as np
import pytest
import torch

from avsv.errors import InputError
from avsv.importers.torch_files import read_torch


@pytest.fixture
def saved(tmp_path):
    def save(content):
        torch.save(content, tmp_path / "x.pt")
        return read_torch(tmp_path / "x.pt")

    return save


@pytest.mark.parametrize("kind", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_all_floats_become_float32(saved, kind):
    arrays, _ = saved({"a": torch.tensor([1.5, -2.0], dtype=kind)})
    assert arrays["a"].dtype == np.float32 and arrays["a"].tolist() == [1.5, -2.0]


def test_views_and_parameters_are_their_values(saved):
    table = torch.arange(6.0).reshape(2, 3)
    arrays, _ = saved({"t": table.T, "p": torch.nn.Parameter(table[1]), "c": torch.tensor([1 + 2j]).conj()})
    assert arrays["t"].tolist() == [[0, 3], [1, 4], [2, 5]] and arrays["p"].tolist() == [3, 4, 5]
    assert arrays["c"].tolist() == [1 - 2j]


@pytest.mark.parametrize(
    "tensor",
    [
        torch.eye(3).to_sparse(), torch.eye(3).to_sparse_csr(), torch.zeros(3, device="meta"),
        torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8), torch.ones(1).expand(10**10),
        torch.ones(1, 3).expand(10**9, 3),
    ],
    ids=["sparse", "csr", "meta", "quantized", "expanded", "expanded rows"],
)  # fmt: skip
def test_tensors_of_odd_kinds_are_refused_by_name(saved, tensor):
    with pytest.raises(InputError, match=r"x\.pt"):
        saved({"odd": tensor})
