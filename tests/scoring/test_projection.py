"""mean.vec and transform.mat."""

import numpy as np
import pytest

from avsv.errors import InputError
from avsv.kaldi.matrices import write_array
from avsv.scoring import projection as module
from avsv.scoring.projection import Projection, read_projection, write_projection

RNG = np.random.default_rng(0)
CENTER, TRANSFORM = RNG.standard_normal(4), RNG.standard_normal((3, 4))


@pytest.mark.parametrize("text", [False, True])
def test_written_files_are_read_back(tmp_path, text):
    write_projection(tmp_path, Projection(CENTER, TRANSFORM), text)
    projection = read_projection(tmp_path / "mean.vec", tmp_path / "transform.mat")
    assert projection.center == pytest.approx(CENTER, abs=1e-6)
    assert projection.transform == pytest.approx(TRANSFORM, abs=1e-6)


def test_binary_files_have_kaldis_bytes(tmp_path):
    write_projection(tmp_path, Projection(CENTER, TRANSFORM))
    floats = CENTER.astype("<f4").tobytes(), TRANSFORM.astype("<f4").tobytes()
    assert (tmp_path / "mean.vec").read_bytes() == b"\0BFV \x04\x04\0\0\0" + floats[0]
    assert (tmp_path / "transform.mat").read_bytes() == b"\0BFM \x04\x03\0\0\0\x04\x04\0\0\0" + floats[1]


def test_last_column_of_kaldis_lda_is_an_offset(tmp_path):
    offset = RNG.standard_normal(3)
    write_array(tmp_path / "mean.vec", CENTER)
    write_array(tmp_path / "transform.mat", np.column_stack([TRANSFORM, offset]))
    x = RNG.standard_normal((5, 4))
    projected = read_projection(tmp_path / "mean.vec", tmp_path / "transform.mat").apply(x)
    assert projected == pytest.approx((x - CENTER) @ TRANSFORM.T + offset, abs=1e-5)


def test_blocks_give_the_same_result(monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 3)
    x = RNG.standard_normal((8, 4)).astype(np.float32)
    assert Projection(CENTER, TRANSFORM).apply(x) == pytest.approx((x - CENTER) @ TRANSFORM.T, abs=1e-5)
    assert Projection(CENTER).apply(x) == pytest.approx(x - CENTER, abs=1e-6)


def test_files_of_other_shapes_are_named(tmp_path):
    vector, matrix = tmp_path / "mean.vec", tmp_path / "transform.mat"
    write_array(vector, CENTER)
    write_array(matrix, np.ones((3, 7)))
    with pytest.raises(InputError, match=r"mean\.vec has 4 .*transform\.mat .* 7"):
        read_projection(vector, matrix)
    with pytest.raises(InputError, match=r"transform\.mat: "):
        read_projection(matrix)
    with pytest.raises(InputError, match=r"mean\.vec: .*\(4,\)"):
        read_projection(vector, vector)
    with pytest.raises(InputError, match="4 values, found 5"):
        Projection(CENTER).apply(np.ones((2, 5)))
