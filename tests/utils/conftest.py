"""A checkout to install."""

import pytest

from tests.utils.house import House


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)
