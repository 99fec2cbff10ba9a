"""Finds the commands in the documentation, and runs those that need only the results of the mini recipe.

    python tests/docs/blocks.py egs/mini      after its run.sh: runs every block marked "mini", then the notebook

A block of bash in docs/ has a marker on the line before it, a comment that the pages do not show:

    <!-- test: mini -->              runs in egs/mini
    <!-- test: recipe -->            the recipe itself, which the tests run anyway
    <!-- test: skip, REASON -->      needs a corpus, a GPU, a cluster, ...
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"(?:^<!-- test: (?P<kind>\w+)[^\n]*-->\n)?^```bash\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
NOTEBOOK = ROOT / "docs/tour.ipynb"
# Networks of the short recipe are hardly trained, so a face may be missed in many clips.
PRELUDE = """set -euo pipefail
avsv() { case $1 in embed-face) set -- "$1" --max-skipped 1 "${@:2}" ;; esac; command avsv "$@"; }
"""


class Block(NamedTuple):
    """A block of bash: where it is, its marker ("" if it has none), and its text."""

    path: Path
    line: int
    kind: str
    text: str


def blocks(path: Path) -> list[Block]:
    """The blocks of bash in a page, in order."""
    page = path.read_text(encoding="utf-8")
    return [Block(path, page.count("\n", 0, found.start("text")), found["kind"] or "", found["text"])
            for found in BLOCK.finditer(page)]  # fmt: skip


def notebook_code() -> list[str]:
    """The code cells of the notebook."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def run_all(folder: Path) -> None:
    """Run the blocks marked "mini" and the notebook in `folder`; exits with status 1 at the first failure."""
    for path in sorted((ROOT / "docs").glob("*.md")):
        for block in blocks(path):
            if block.kind == "mini":
                print(f"== {path.name}, line {block.line}", flush=True)
                done = subprocess.run(["bash", "-c", PRELUDE + block.text], cwd=folder, check=False)
                if done.returncode:
                    sys.exit(f"{path}, line {block.line}: exit status {done.returncode}\n{block.text}")
    print(f"== {NOTEBOOK.name}", flush=True)
    os.chdir(folder)
    names: dict[str, object] = {}
    for cell in notebook_code():
        exec(compile(cell, str(NOTEBOOK), "exec"), names)


if __name__ == "__main__":
    run_all(Path(sys.argv[1]))
