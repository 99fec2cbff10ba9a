"""Small clips and noises for tests of trainings on whole clips."""

import pytest

from tests.training.drawn_curves import curves_are_drawn_once  # noqa: F401 (a fixture)
from tests.training.small_clips import make_data, make_noises


@pytest.fixture(scope="module")
def noises(tmp_path_factory):
    return make_noises(tmp_path_factory.mktemp("noises") / "musan")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data directory with one clip without a face and another without a voice."""
    return make_data(tmp_path_factory.mktemp("clips") / "d", without_face=("p0-1",), without_voice=("p1-0",))
