"""Progress bars that are seen on a terminal and quiet elsewhere."""

import os
import sys
from collections.abc import Iterable

from tqdm import tqdm


def seen() -> bool:
    """On a terminal; of processes that torchrun started together only the first shows bars."""
    return sys.stderr.isatty() and os.environ.get("RANK", "0") == "0"


def progress(items: Iterable, what: str, total: int | None = None, unit: str = "clip") -> tqdm:
    """Iterate over `items` under a bar titled `what`; nothing is printed when stderr is not a terminal."""
    return tqdm(items, desc=what, total=total, unit=unit, disable=not seen(), dynamic_ncols=True)
