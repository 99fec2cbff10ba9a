"""Progress bars that are seen on a terminal and quiet elsewhere."""

import sys
from collections.abc import Iterable

from tqdm import tqdm


def progress(items: Iterable, what: str, total: int | None = None, unit: str = "clip") -> tqdm:
    """Iterate over `items` under a bar titled `what`; nothing is printed when stderr is not a terminal."""
    return tqdm(items, desc=what, total=total, unit=unit, disable=not sys.stderr.isatty(), dynamic_ncols=True)
