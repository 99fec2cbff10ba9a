"""The records beside archives: which shards belong together, and what a run that is cut otherwise leaves behind.

`done.json` (`done.J.json` of shard J) is written last of all. It holds digests of the settings (model and options), of
the shard's inputs (its clips and their media) and of the whole list of clips, the names of its archives and tables, the
model (origin.py), and how many clips were skipped. Archives of other programs have no record.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avsv.errors import InputError
from avsv.jobs.inputs import as_text, read_bytes, regular_file
from avsv.kaldi.places import archive_of

if TYPE_CHECKING:
    from avsv.kaldi.embeddings import Embeddings

MERGED = "merged.json"  # which shards the merged tables are of
NUMBERED = re.compile(r"(.+?)\.(\d+)(\.ark|\.scp|\.json)?")
ARCHIVE = re.compile(r".+?(\.\d+)?\.ark")


def read_proof(record: Path) -> dict:
    """What a shard's proof says; empty where there is none, or something else."""
    try:
        proof = json.loads(regular_file(record).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, InputError):
        return {}
    expected = {"shards": int, "settings": str, "inputs": str}
    right = isinstance(proof, dict) and all(type(proof.get(key)) is kind for key, kind in expected.items())
    right = right and type(proof.get("model", "")) is str
    return proof if right else {}


def one_run(proof: dict, like: Mapping[str, Any]) -> bool:
    """Whether two shards are of one run: the same clips, cut into as many parts, with the same settings."""
    return bool(proof) and all(proof.get(key) == like.get(key) for key in ("shards", "settings", "clips"))


def finished(folder: Path) -> str:
    """What tells one complete result in a folder from another, by its records; empty where there is none."""
    merged = read_proof(folder / MERGED)
    if not merged:
        proof = read_proof(folder / "done.json")
        return json.dumps(proof) if proof else ""
    proofs = [read_proof(folder / f"done.{job}.json") for job in range(1, min(merged["shards"], 100_000) + 1)]
    return json.dumps([merged, proofs]) if all(one_run(proof, proofs[0]) for proof in proofs) else ""


def other_shards(folder: Path, total: int, names: Iterable[str], tables: Iterable[str]) -> list[Path]:
    """Files of the archives `names` and `tables` that were cut into another number of shards than `total`.

    Returns
    -------
    in an order in which they may be removed: what reads an archive before it
    """
    there = os.listdir(folder)
    records = {name: read_proof(folder / name) for name in there if re.fullmatch(r"done(\.\d+)?\.json", name)}
    stems = {*names, *tables, "skipped", "done"}
    for record in records.values():
        stems |= {name for key in ("archives", "tables") for name in record.get(key) or ()}
    stale = []
    for name in there:
        found = NUMBERED.fullmatch(name)
        if found and found[1] in stems:
            cut = records.get(f"done.{found[2]}.json", {}).get("shards", total)
            if total == 1 or int(found[2]) > total or cut != total:
                stale.append(name)
    stale += [
        name for name in there if total > 1 and (name == "done.json" or (name[-4:] == ".ark" and name[:-4] in stems))
    ]
    stale += [MERGED] if total == 1 else []
    return [folder / name for name in sorted(stale, key=lambda name: (name.endswith(".ark"), name))]


def records_of(archives: Iterable[str]) -> dict[str, dict]:
    """Archive -> the record of the shard that it belongs to; empty where there is none.

    Raises
    ------
    InputError : archives of one folder that were made by different models or options, or some of which have no record:
        a shard is being made again, or was not finished
    """
    found: dict[str, dict] = {}
    folders: dict[Path, list[str]] = {}
    for archive in dict.fromkeys(archives):
        path = Path(archive)
        name = ARCHIVE.fullmatch(path.name)
        found[archive] = read_proof(path.with_name(f"done{(name and name[1]) or ''}.json"))
        folders.setdefault(path.parent, []).append(archive)
    for folder, names in folders.items():
        records = [found[name] for name in names]
        if any(records) and len({(r.get("shards"), r.get("settings")) for r in records}) > 1:
            raise InputError(f"{folder}: its shards are not of one run (another model or other options), or one of "
                            "them is being made again; finish all of them with the command that made them")  # fmt: skip
    return found


def archives_of(scp: Path | str) -> list[str]:
    """The archives that an scp file points to, each once; InputError where it is absent or no text."""
    archives: dict[str, None] = {}
    last = "\n"
    for line in as_text(scp, read_bytes(scp)).splitlines():
        if last in line:  # a million lines, nearly all of the archive of the line before
            continue
        fields = line.split(maxsplit=1)
        if len(fields) == 2:
            archive = archive_of(fields[1])
            archives[archive] = None
            last = f" {archive}:"
    return list(archives)


def model_digest_of(scp: Path | str, archives: Iterable[str] | None = None) -> str | None:
    """The digest of the network that made the embeddings of an scp file; merged shards and subsets have one as well.

    Parameters
    ----------
    archives : those of the scp file, where they are known already

    Returns
    -------
    None where nothing is known: another program's archives, or those of an earlier version

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
        raise InputError(f"{scp}: its vectors are of {len(known)} different models, which cannot be compared")
    return known.pop() if len(models) == 1 and known else None


def embeddings_digest(embeddings: "Embeddings") -> str:
    """A short hash of names and vectors: what a training on them depends on, however they are cut into archives.

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
