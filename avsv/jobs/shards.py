"""Shards: one job's part of a job array, and the proofs that show which shards are complete.

`done.json` (`done.J.json` of shard J) is written last. It is a record of provenance (see provenance.py) with the keys
of a shard: `shards` (N), hashes of the settings, of the shard's own inputs and of the whole list of clips, the names
of its archives and tables, `model`, and how many clips were skipped. Archives of other programs have no proof.
"""

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avsv.errors import InputError, OptionError
from avsv.jobs.inputs import regular_file
from avsv.jobs.records import FORMAT

MERGED = "merged.json"  # names the shards that the merged tables come from
NUMBERED = re.compile(r"(.+?)\.(\d+)(\.ark|\.scp|\.json)?")


@dataclass(frozen=True)
class Shard:
    """Job `number` of `total`, counted from 1."""

    number: int = 1
    total: int = 1

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Read `J/N`.

        Examples
        --------
        >>> Shard.parse("2/4")
        Shard(number=2, total=4)
        """
        number, slash, total = text.partition("/")
        if not (slash and number.isdigit() and total.isdigit() and 1 <= int(number) <= int(total)):
            raise OptionError(f'`shard`: expected J/N with 1 <= J <= N, such as "1/4", found "{text}"')
        return cls(int(number), int(total))

    def take(self, items: Sequence) -> Sequence:
        """This job's contiguous part of `items`; the parts of all jobs, in order, are the whole."""
        return items[len(items) * (self.number - 1) // self.total : len(items) * self.number // self.total]

    @property
    def suffix(self) -> str:
        return "" if self.total == 1 else f".{self.number}"


def read_proof(record: Path) -> dict:
    """A shard's proof; empty if the file is absent or not a proof."""
    try:
        proof = json.loads(regular_file(record).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, InputError):
        return {}
    expected = {"shards": int, "settings": str, "inputs": str}
    valid = isinstance(proof, dict) and all(type(proof.get(key)) is kind for key, kind in expected.items())
    valid = valid and type(proof.get("model", "")) is str
    return proof if valid else {}


def refuse_earlier_version(folder: Path) -> None:
    """InputError if shards in a folder were made by a version of avsv with another format of proofs."""
    for record in sorted(folder.glob("done*.json")):
        if (proof := read_proof(record)) and proof.get("format") != FORMAT:
            raise InputError(f"{folder}: was made by an earlier version of avsv ({record.name} does not list its "
                            f"inputs); delete or move {folder}, and make it again")  # fmt: skip


def one_run(proof: dict, like: Mapping[str, Any]) -> bool:
    """Whether two shards belong to one run: the same clips, number of shards and settings."""
    return bool(proof) and all(proof.get(key) == like.get(key) for key in ("shards", "settings", "clips"))


def finished(folder: Path) -> str:
    """Text that identifies the complete result in a folder by its proofs; empty if it is incomplete."""
    merged = read_proof(folder / MERGED)
    if not merged:
        proof = read_proof(folder / "done.json")
        return json.dumps(proof) if proof else ""
    proofs = [read_proof(folder / f"done.{job}.json") for job in range(1, min(merged["shards"], 100_000) + 1)]
    return json.dumps([merged, proofs]) if all(one_run(proof, proofs[0]) for proof in proofs) else ""


def other_shards(folder: Path, total: int, names: Iterable[str], tables: Iterable[str]) -> list[Path]:
    """Files of archives `names` and of `tables` from a run with a number of shards other than `total`.

    Returns
    -------
    in a safe order of removal: files that point to an archive come before it
    """
    present = os.listdir(folder)
    records = {name: read_proof(folder / name) for name in present if re.fullmatch(r"done(\.\d+)?\.json", name)}
    stems = {*names, *tables, "skipped", "done"}
    for record in records.values():
        stems |= {name for key in ("archives", "tables") for name in record.get(key) or ()}
    stale = []
    for name in present:
        match = NUMBERED.fullmatch(name)
        if match and match[1] in stems:
            cut = records.get(f"done.{match[2]}.json", {}).get("shards", total)
            if total == 1 or int(match[2]) > total or cut != total:
                stale.append(name)
    stale += [
        name for name in present if total > 1 and (name == "done.json" or (name[-4:] == ".ark" and name[:-4] in stems))
    ]
    stale += [MERGED] if total == 1 else []
    return [folder / name for name in sorted(stale, key=lambda name: (name.endswith(".ark"), name))]
