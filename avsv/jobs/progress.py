"""Progress bars, shown only on a terminal."""

import os
import sys
from collections.abc import Iterable

from tqdm import tqdm


def seen() -> bool:
    """Whether to show bars: on a terminal, and only in the first of the processes that torchrun started."""
    return sys.stderr.isatty() and os.environ.get("RANK", "0") == "0"


def progress(items: Iterable, what: str, total: int | None = None, unit: str = "clip") -> tqdm:
    """Iterate over `items` under a bar titled `what`; nothing is printed when stderr is not a terminal."""
    return tqdm(items, desc=what, total=total, unit=unit, disable=not seen(), dynamic_ncols=True)
