"""The log of a recipe, exp/log/run.log, to which every command adds what it made, redid and kept.

utils/recipe.sh sets the environment variable AVSV_RUN_LOG to the file's path, and writes the stages' titles and sums.
"""

import os
from contextlib import suppress
from pathlib import Path

VARIABLE = "AVSV_RUN_LOG"
MADE, REDONE, KEPT = "made", "redone", "kept"


def note(outcome: str, what: Path | str, why: str = "") -> None:
    """Add one line to the recipe's log; outside a recipe do nothing.

    Parameters
    ----------
    outcome : MADE, REDONE or KEPT
    what : an output, relative to the recipe's folder
    why : such as "3 of 224 clips changed"
    """
    place = os.environ.get(VARIABLE)
    if not place:
        return
    line = f"  {outcome} {what}{': ' if why else ''}{why}".replace("\n", " ") + "\n"
    # in a single write, because several jobs append; a log that cannot be written does not stop the work
    with suppress(OSError):
        log = os.open(place, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            os.write(log, os.fsencode(line))
        finally:
            os.close(log)
