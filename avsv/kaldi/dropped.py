"""The lines that `avsv fix` drops from a data directory, with number and reason, in a file and in the log."""

import logging
from collections import Counter
from pathlib import Path

import numpy as np

from avsv.jobs.files import whole_file
from avsv.kaldi.keyed import KeyedTable

log = logging.getLogger("avsv")
FILE = "dropped"  # in .backup


class Dropped:
    """Dropped lines by file."""

    def __init__(self):
        self.lines: list[tuple[str, int, str, str]] = []  # file, number, reason, text

    def bad_lines(self, table: KeyedTable, shape: str) -> None:
        """Record malformed lines; empty lines do not count."""
        reason = f'with the wrong number of fields for "{shape}" (names have no spaces)'
        self.lines += [(table.path.name, number, reason, text) for number, fields, text in table.bad if fields]

    def rows(self, table: KeyedTable, rows: np.ndarray, reason: str) -> None:
        """Record well-formed lines that are dropped for another reason."""
        for row in rows.tolist():
            text = table.data[table.starts[row] : table.ends[row]].decode()
            self.lines.append((table.path.name, int(table.numbers[row]), reason, text))

    def write(self, folder: Path) -> None:
        """Write all of them to `folder/dropped`, and log the number of each kind with an example."""
        if not self.lines:
            return
        self.lines.sort(key=lambda line: line[:2])
        with whole_file(folder / FILE) as out:
            out.writelines(f"{file}, line {number}: {reason}: {text}\n" for file, number, reason, text in self.lines)
        counts = Counter((file, reason) for file, _, reason, _ in self.lines)
        examples = {(file, reason): f"line {number}: {text}" for file, number, reason, text in reversed(self.lines)}
        for (file, reason), n in counts.items():
            log.warning("%s: dropped %d %s: %s; such as %s", file, n, "line" if n == 1 else "lines", reason,
                        examples[file, reason][:200])  # fmt: skip
        log.warning("all dropped lines: %s", folder / FILE)
