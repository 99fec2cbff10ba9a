"""Proofs of archives: whether they belong to one run, and which model made the vectors of an scp file."""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from avsv.errors import InputError
from avsv.jobs.inputs import as_text, read_bytes
from avsv.jobs.shards import read_proof
from avsv.kaldi.places import archive_of

if TYPE_CHECKING:
    from avsv.kaldi.embeddings import Embeddings

ARCHIVE = re.compile(r".+?(\.\d+)?\.ark")


def records_of(archives: Iterable[str]) -> dict[str, dict]:
    """Archive -> the proof of its shard; empty if it has none.

    Raises
    ------
    InputError : archives in one folder come from different models or options, or some have no proof: a shard is being
        redone, or was not finished
    """
    proofs: dict[str, dict] = {}
    folders: dict[Path, list[str]] = {}
    for archive in dict.fromkeys(archives):
        path = Path(archive)
        name = ARCHIVE.fullmatch(path.name)
        proofs[archive] = read_proof(path.with_name(f"done{(name and name[1]) or ''}.json"))
        folders.setdefault(path.parent, []).append(archive)
    for folder, names in folders.items():
        records = [proofs[name] for name in names]
        if any(records) and len({(r.get("shards"), r.get("settings")) for r in records}) > 1:
            raise InputError(f"{folder}: its shards come from different runs (another model or other options), or one "
                            "is being made again; finish all of them with the command that made them")  # fmt: skip
    return proofs


def archives_of(scp: Path | str) -> list[str]:
    """The archives that an scp file points to, each once; InputError if it is absent or not text."""
    archives: dict[str, None] = {}
    last = "\n"
    for line in as_text(scp, read_bytes(scp)).splitlines():
        if last in line:  # nearly always the same archive as on the line before, for a million lines
            continue
        fields = line.split(maxsplit=1)
        if len(fields) == 2:
            archive = archive_of(fields[1])
            archives[archive] = None
            last = f" {archive}:"
    return list(archives)


def model_digest_of(scp: Path | str, archives: Iterable[str] | None = None) -> str | None:
    """The network that made the embeddings of an scp file, as recorded; works for merged shards and subsets too.

    Parameters
    ----------
    archives : the scp file's archives, if already known

    Returns
    -------
    None if unknown, as for archives of other programs

    Raises
    ------
    InputError : no such file, or vectors of different models

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "embedding.scp").write_text(f"a {folder}/embedding.ark:2\\n")
    >>> _ = (folder / "done.json").write_text('{"shards": 1, "settings": "5", "inputs": "7", "model": "9f"}')
    >>> model_digest_of(folder / "embedding.scp")
    '9f'
    """
    models = {record.get("model") for record in records_of(archives or archives_of(scp)).values()}
    known = models - {None}
    if len(known) > 1:
        raise InputError(f"{scp}: its vectors come from {len(known)} different models and cannot be compared")
    return known.pop() if len(models) == 1 and known else None


def embeddings_digest(embeddings: "Embeddings") -> str:
    """A short hash of names and vectors, independent of how they are cut into archives: what a training depends on.

    Examples
    --------
    >>> import numpy as np
    >>> from avsv.kaldi.embeddings import Embeddings
    >>> embeddings_digest(Embeddings(["a"], np.ones((1, 2), np.float32)))
    '464eb8ea21b7aac4'
    """
    total = hashlib.sha256("\n".join(embeddings.ids).encode())
    total.update(embeddings.vectors.tobytes())
    return total.hexdigest()[:16]
