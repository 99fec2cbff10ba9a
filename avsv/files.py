"""Files that appear whole: written beside, then renamed."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


@contextmanager
def whole_file(path: Path | str, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a file for writing that takes its name only when everything was written.

    A reader never sees half a file, and a job killed at any moment leaves either the old file or the new one.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "scores"
    >>> with whole_file(target) as out:
    ...     _ = out.write("a b 0.5\\n")
    >>> target.read_text()
    'a b 0.5\\n'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(part, mode, **({} if "b" in mode else {"encoding": "utf-8", "newline": "\n"})) as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` as indented JSON with a newline at the end."""
    with whole_file(path) as out:
        json.dump(value, out, indent=2)
        out.write("\n")
