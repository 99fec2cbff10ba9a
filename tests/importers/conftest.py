"""Fixtures that read embeddings of other programs from the test's folder."""

import pytest

from avsv.errors import InputError
from avsv.importers.embeddings import check_embeddings
from avsv.importers.formats import read_raw_embeddings


@pytest.fixture
def read(tmp_path):
    """Read tmp_path/NAME with the given options, and check the result."""
    return lambda name, **options: check_embeddings(tmp_path / name, read_raw_embeddings(tmp_path / name, **options))


@pytest.fixture
def refused(tmp_path, read):
    """The message of a file that is refused."""

    def message(name, **options):
        with pytest.raises(InputError) as caught:
            read(name, **options)
        assert name in str(caught.value)
        return str(caught.value)

    return message
