"""Archives that several jobs make: each writes its shard whole, the last one to finish merges them.

A shard J of N writes `NAME.J.ark` and `NAME.J.scp` (`NAME.ark`, `NAME.scp` where there is one shard only), the table
`skipped.J` of what could not be done and why, and last of all `done.J.json`, the proof that it is complete: what was
asked for, as hashes. Numbers that are found on the way, one a clip, go to tables such as `utt2snr.J`, merged in the
same way. A shard whose proof fits what is asked for is not done again; anything else is done from new, so that a
killed job leaves nothing that counts. Of two runs in one folder the second waits for the first, shard by shard.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kaldiio
import numpy as np

from avsv.errors import UserError
from avsv.files import one_at_a_time, whole_file, write_json
from avsv.kaldi.records import read_proof
from avsv.kaldi.tables import read_table, write_table

log = logging.getLogger("avsv")
MERGED = "merged.json"  # which shards the merged tables are of
FLOAT, COMPRESSED = (
    None,
    2,
)  # kaldiio's compression_method: 2 is Kaldi's default "speech feature" coding, one byte a value


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
            raise UserError(f'--shard {text}: expected J/N with 1 <= J <= N, such as "1/4"')
        return cls(int(number), int(total))

    def take(self, items: Sequence) -> Sequence:
        """This job's contiguous part of `items`; the parts of all jobs, in order, are the whole."""
        return items[len(items) * (self.number - 1) // self.total : len(items) * self.number // self.total]

    @property
    def suffix(self) -> str:
        return "" if self.total == 1 else f".{self.number}"


class ShardWriter:
    """Writes the archives of one shard; they appear when the `with` block ends without an error."""

    def __init__(self, out_dir: Path, names: Iterable[str], suffix: str, tables: Iterable[str] = ()):
        self.out_dir, self.suffix = out_dir, suffix
        self.files = ExitStack()
        self.arks = {name: self.files.enter_context(whole_file(self.path(name), "wb")) for name in names}
        self.entries: dict[str, list[tuple[str, str]]] = {name: [] for name in self.arks}
        self.tables: dict[str, dict[str, str]] = {name: {} for name in tables}
        self.skipped: dict[str, str] = {}

    def path(self, name: str) -> Path:
        return (self.out_dir / f"{name}{self.suffix}.ark").absolute()

    def write(self, name: str, key: str, array: np.ndarray, compression: int | None = FLOAT) -> None:
        """Add a float vector or matrix under `key` to archive `name`."""
        self.enter(name, key)
        array = np.ascontiguousarray(array, dtype=np.float32)
        kaldiio.save_ark(self.arks[name], {key: array}, compression_method=compression)

    def write_bytes(self, name: str, key: str, data: bytes) -> None:
        """Add bytes that are no Kaldi object (a picture) under `key` to archive `name`."""
        self.enter(name, key)
        self.arks[name].write(key.encode() + b" " + data)

    def enter(self, name: str, key: str) -> None:
        offset = self.arks[name].tell() + len(key.encode()) + 1
        self.entries[name].append((key, f"{self.path(name)}:{offset}"))

    def note(self, table: str, key: str, value: float | str) -> None:
        """Add `key value` to a table; a number is written with six digits. A key without a value has no line."""
        self.tables[table][key] = value if isinstance(value, str) else f"{value:.6g}"

    def skip(self, key: str, reason: str) -> None:
        """Note that nothing could be written for `key`, and why."""
        self.skipped[key] = " ".join(reason.split())
        log.warning("skipped %s: %s", key, self.skipped[key])

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(self, kind, error, traceback) -> None:
        self.files.__exit__(kind, error, traceback)
        if error is None:
            for name, entries in self.entries.items():
                write_table(self.out_dir / f"{name}{self.suffix}.scp", entries)
            for name, table in self.tables.items():
                write_table(self.out_dir / f"{name}{self.suffix}", table)
            write_table(self.out_dir / f"skipped{self.suffix}", self.skipped)


def digest(value: Any) -> str:
    """A short hash of anything JSON can hold."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]


def digest_pairs(keys: Sequence[str], values: Mapping[str, Any]) -> str:
    """`digest` of the list of [key, value], made piece by piece: a million lists at once are slow and large.

    Examples
    --------
    >>> digest_pairs(["a", "b"], {"a": 1, "b": "x"}) == digest([["a", 1], ["b", "x"]])
    True
    """
    total = hashlib.sha256(b"[")
    for begin in range(0, len(keys), 1000):
        pairs = [[key, values[key]] for key in keys[begin : begin + 1000]]
        text = json.dumps(pairs, sort_keys=True, default=str)[1:-1]
        total.update(f"{', ' if begin else ''}{text}".encode())
    total.update(b"]")
    return total.hexdigest()[:16]


def file_digest(path: Path | str) -> str:
    """A short hash of a file's bytes, or of all files in a folder."""
    path = Path(path)
    total = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
        total.update(file.read_bytes())
    return total.hexdigest()[:16]


def make_archives(
    out_dir: Path | str,
    names: Sequence[str],
    inputs: Mapping[str, Any],
    settings: Mapping[str, Any],
    work: Callable[[list[str], ShardWriter], None],
    shard: Shard | None = None,
    max_skipped: float = 0.05,
    tables: Sequence[str] = (),
    may_be_empty: bool = False,
    model: str | None = None,
) -> bool:
    """Make the archives `names` and the `tables` of one shard in `out_dir`, unless they are there already.

    Parameters
    ----------
    inputs : key -> what the result depends on (a path, say); the keys, sorted, are shared out among the jobs
    settings : whatever else the result depends on (options, a hash of the model)
    work : called with this shard's keys and the writer; it writes or skips every key
    max_skipped : the share of a shard's keys that may be skipped before the job fails
    tables : names, such as "utt2snr", of what `work` notes beside; archives made without them are made again
    may_be_empty : no input at all is no mistake, and makes empty archives
    model : name of the model that makes the vectors (see origin.py), for the record

    Returns
    -------
    True when all shards are complete and merged

    Raises
    ------
    UserError : there is no input at all, or more than `max_skipped` of it could not be used
    """
    out_dir, shard = Path(out_dir), shard or Shard()
    keys = sorted(inputs)  # by code points, which is the order of their UTF-8 bytes
    if not keys and not may_be_empty:
        raise UserError(f"{out_dir}: nothing to do: there is no input")
    mine = list(shard.take(keys))
    if tables:
        settings = {**settings, "tables": list(tables)}
    proof = {"shards": shard.total, "settings": digest(settings), "inputs": digest_pairs(mine, inputs)}
    record_of = {**proof, "model": model} if model else proof
    record = out_dir / f"done{shard.suffix}.json"
    if not (done := is_done(record, proof, out_dir, names, tables, shard.suffix)):
        with one_at_a_time(out_dir / f".lock{shard.suffix}"):
            if not (done := is_done(record, proof, out_dir, names, tables, shard.suffix)):  # by the run waited for
                record.unlink(missing_ok=True)
                (out_dir / MERGED).unlink(missing_ok=True)  # what was skipped may not be so this time
                do_shard(out_dir, names, tables, mine, work, shard, max_skipped)
                write_json(record, record_of)
    if done:
        if read_proof(record) != record_of:  # made before models were recorded: the settings prove which one it is
            write_json(record, record_of)
        log.info("%s: %s%s: complete already, %d clips", out_dir, names[0], shard.suffix, len(mine))
    return merge_when_complete(out_dir, names, tables, shard.total, proof["settings"])


def is_done(record: Path, proof: dict, out_dir: Path, names: Sequence[str], tables: Sequence[str], suffix: str) -> bool:
    files = [f"{name}{suffix}.{end}" for name in names for end in ("ark", "scp")] + [f"{t}{suffix}" for t in tables]
    return all((out_dir / file).exists() for file in files) and is_of(record, proof)


def is_of(record: Path, proof: dict) -> bool:
    """Whether a record proves this, whether or not it names the model."""
    found = read_proof(record)
    found.pop("model", None)
    return found == proof


def do_shard(out_dir, names, tables, keys, work, shard, max_skipped) -> None:
    out_dir.mkdir(parents=True, exist_ok=True)
    with ShardWriter(out_dir, names, shard.suffix, tables) as writer:
        work(keys, writer)
        refuse_too_many(out_dir, len(writer.skipped), len(keys), writer, max_skipped)
    n_skipped = len(writer.skipped)
    log.info("%s: %s%s: %d clips done, %d skipped", out_dir, names[0], shard.suffix, len(keys) - n_skipped, n_skipped)


def refuse_too_many(out_dir: Path, n_skipped: int, n_keys: int, writer: ShardWriter, max_skipped: float) -> None:
    if n_skipped <= max_skipped * n_keys:
        return
    refused = out_dir / f"skipped{writer.suffix}"
    write_table(refused, writer.skipped)
    key, reason = next(iter(writer.skipped.items()))
    raise UserError(
        f"{n_skipped} of {n_keys} clips could not be used, more than the {100 * max_skipped:g} % allowed by "
        f"--max-skipped; the first: {key}: {reason}. All are in {refused}"
    )


def merge_when_complete(out_dir: Path, names: Sequence[str], tables: Sequence[str], total: int, settings: str) -> bool:
    """Join the shards' scp files into `NAME.scp`, and their tables; False while a shard's proof is missing."""
    if total == 1:
        return True
    proofs = []
    for job in range(1, total + 1):
        proof = read_proof(out_dir / f"done.{job}.json")
        if (proof.get("shards"), proof.get("settings")) != (total, settings):
            return False
        proofs.append(proof)
    record = out_dir / MERGED
    merged = {"shards": total, "settings": settings, "inputs": digest([proofs, list(names), list(tables)])}
    files = [*(f"{name}.scp" for name in names), *tables, "skipped"]
    if read_proof(record) == merged and all((out_dir / file).exists() for file in files):
        return True  # a million lines need not be joined again
    record.unlink(missing_ok=True)
    for name, end in [*((name, ".scp") for name in names), *((name, "") for name in [*tables, "skipped"])]:
        rows: dict[str, str] = {}
        for job in range(1, total + 1):
            rows.update(read_table(out_dir / f"{name}.{job}{end}"))
        write_table(out_dir / f"{name}{end}", rows)
    write_json(record, merged)
    log.info("%s: %d shards merged, %d skipped", out_dir, total, len(rows))
    return True


def merge(out_dir: Path | str) -> None:
    """Merge the shards in `out_dir`, for `avsv merge`; UserError names those that are missing."""
    out_dir = Path(out_dir)
    records = {p: read_proof(p) for p in sorted(out_dir.glob("done.*.json"))}
    if not records:
        raise UserError(f"{out_dir}: there are no finished shards here (done.J.json)")
    if damaged := [str(path) for path, record in records.items() if not record]:
        raise UserError(f"{', '.join(damaged)}: not as a finished shard writes it; delete it and run the shard again")
    totals = {(r["shards"], r["settings"]) for r in records.values()}
    if len(totals) > 1:
        raise UserError(
            f"{out_dir}: shards of different runs lie here; delete {out_dir}/done.*.json and run them again"
        )
    ((total, settings),) = totals
    missing = [job for job in range(1, min(total, 100_000) + 1) if not (out_dir / f"done.{job}.json").exists()]
    if missing:
        raise UserError(f"{out_dir}: shards {missing} of {total} are not finished")
    names = sorted(p.name.removesuffix(".1.scp") for p in out_dir.glob("*.1.scp"))
    tables = sorted(p.name.removesuffix(".1") for p in out_dir.glob("utt2*.1"))
    (out_dir / MERGED).unlink(missing_ok=True)
    merge_when_complete(out_dir, names, tables, total, settings)
