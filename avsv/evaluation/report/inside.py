"""Files of an experiment that a report may show; symbolic links in a downloaded folder may point outside it."""

import logging
import stat
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger("avsv")


def files_inside(exp_dir: Path, pattern: str) -> Iterator[Path]:
    """The regular files below `exp_dir` that match a pattern, sorted; other matches are skipped with a warning."""
    return (path for path in sorted(exp_dir.glob(pattern)) if is_inside(exp_dir, path))


def is_inside(exp_dir: Path, path: Path) -> bool:
    """Whether a path is a regular file below `exp_dir`, symbolic links resolved. False for an absent file.

    Examples
    --------
    >>> is_inside(Path("/etc"), Path("/etc/../dev/null"))
    False
    """
    try:
        real = path.resolve(strict=True)
        regular = stat.S_ISREG(real.stat().st_mode)
    except FileNotFoundError:
        return False
    except (OSError, RuntimeError, ValueError):  # RuntimeError: circular links, until Python 3.12
        regular = False
    if not regular or not real.is_relative_to(exp_dir.resolve()):
        log.warning("%s: not shown, because it is not a regular file in %s", path, exp_dir)
        return False
    return True
