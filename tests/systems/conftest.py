"""The fixture that runs the command line and captures its log, shared with the main verbs' tests."""

from tests.commands.conftest import avsv, encoder  # noqa: F401 (fixtures)
from tests.training.drawn_curves import curves_are_drawn_once  # noqa: F401 (a fixture)
