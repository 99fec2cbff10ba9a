"""The command line with its log, as the tests of the main verbs have it."""

from tests.commands.conftest import avsv, encoder  # noqa: F401 (fixtures)
