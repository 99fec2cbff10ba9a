"""Scores over the modalities that both clips have."""

import numpy as np
import pytest

from avsv.errors import InputError
from avsv.kaldi.tables import write_table
from avsv.scoring.modality_overlap import read_weights, shared_weights


def test_the_cosine_over_the_shared_weight_is_a_weighted_mean_over_modalities():
    rng = np.random.default_rng(0)
    voice, face = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in rng.standard_normal((2, 2, 5)))
    weights = np.array([[0.3, 0.7], [0.8, 0.2]])
    fused = np.concatenate([weights[:, :1] * voice, weights[:, 1:] * face], 1)
    cosine = fused[0] @ fused[1] / np.prod(np.linalg.norm(fused, axis=1))
    unit = weights / np.linalg.norm(weights, axis=1, keepdims=True)
    shares = weights[0] * weights[1]
    expected = (shares[0] * voice[0] @ voice[1] + shares[1] * face[0] @ face[1]) / shares.sum()
    assert cosine / shared_weights(unit, np.array([[0, 1]]))[0] == pytest.approx(expected)


def test_weights_are_read_in_the_requested_order_and_scaled_to_length_one(tmp_path):
    write_table(tmp_path / "a", {"x": "0.3 0.4"})
    write_table(tmp_path / "b", {"y": "1.0 0.0"})
    assert np.allclose(read_weights([tmp_path / "a", tmp_path / "b"], ["y", "x"]), [[1, 0], [0.6, 0.8]])


@pytest.mark.parametrize(
    "line",
    ["0.5 half", "0 0", "-1 2", None],
)
def test_wrong_or_missing_weights_are_refused(tmp_path, line):
    write_table(tmp_path / "w", {"a": "0.5 0.5"} | ({"b": line} if line else {}))
    with pytest.raises(InputError, match="w: "):
        read_weights([tmp_path / "w"], ["a", "b"])
