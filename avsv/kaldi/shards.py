"""Archives made by several jobs: each writes its own shard, and the last one to finish merges them.

Shard J of N writes `NAME.J.ark` and `NAME.J.scp` (`NAME.ark` and `NAME.scp` if N is 1), the table `skipped.J` with the
clips that failed and why, and last `done.J.json`, the proof that the shard is complete, with hashes of its settings and
inputs. Numbers per clip go to tables such as `utt2snr.J`, merged in the same way. A shard with a matching proof is
kept; only the clips that it skipped are tried again. If inputs have changed, only the clips concerned are redone
(clip_keys.py); if an option or the model has changed, all are. When two runs share a folder, the second waits for the
first, shard by shard.

A shard replaces an older one as a whole. First, everything that points to the older archive is removed: its proof and
scp files, the merged tables, the copies in a data directory, and the shards of a run with another N. A reader finds the
old archives, the new ones, or none.
"""

import filecmp
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avsv.errors import InputError
from avsv.jobs.files import one_at_a_time, replaced_together, whole_file, write_json
from avsv.jobs.fingerprints import digest
from avsv.jobs.provenance import MadeFrom, code_of, differences
from avsv.jobs.run_log import KEPT, REDONE, note
from avsv.jobs.shards import MERGED, Shard, one_run, other_shards, read_proof, refuse_earlier_version
from avsv.kaldi.clip_keys import INPUT, ClipKeys, describe_changes
from avsv.kaldi.shard_writer import ShardWriter, shard_files
from avsv.kaldi.tables import read_table, write_table

log = logging.getLogger("avsv")
EVERYTHING = ".lock.all"  # held while files of several shards are read or replaced


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
    copies: Mapping[str, Path] | None = None,
    made: MadeFrom | None = None,
) -> bool:
    """Make the archives `names` and the `tables` of one shard in `out_dir`, unless they are current.

    Clips that were skipped before are tried again each time.

    Parameters
    ----------
    inputs : key -> what its result depends on, such as media and their stamps; jobs share the sorted keys
    settings : what all results depend on (options, a hash of the model)
    work : called with this shard's keys and the writer; it writes or skips every key
    max_skipped : the share of a shard's keys that may be skipped before the job fails
    tables : names of the tables that `work` fills, such as "utt2snr"; archives made without them are redone
    may_be_empty : if the input is empty, write empty archives instead of raising
    model : name of the model that makes the vectors (see origin.py), for the record
    copies : table -> place of its copy, such as feats.scp in a data directory; removed with the archive it points to
    made : the command and its inputs, for the records

    Returns
    -------
    True when all shards are complete and merged

    Raises
    ------
    InputError : no input, a copy that cannot be written, more clips skipped than `max_skipped`, or archives of an
        earlier version of avsv
    """
    out_dir, shard = Path(out_dir), shard or Shard()
    for name, copy in (copies or {}).items():
        if copy.parent.exists() and not os.access(copy.parent, os.W_OK):
            advice = "make it writable, or use a copy of the data directory"
            raise InputError(f"{copy.parent}: is not writable, but {name} belongs there; {advice}")
    keys = sorted(inputs)  # by code points, which is the order of their UTF-8 bytes
    if not keys and not may_be_empty:
        raise InputError(f"{out_dir}: nothing to do: the input is empty")
    refuse_earlier_version(out_dir)
    mine, tables = list(shard.take(keys)), [*tables, INPUT]
    made = made or MadeFrom("make_archives", {}, settings)
    settings = {**settings, "command": made.command, "code": code_of(made.command)}
    clips = ClipKeys(keys, mine, inputs, settings)
    proof = {"shards": shard.total, "settings": digest([settings, tables]), **clips.proof(),
             "archives": list(names), "tables": tables}  # fmt: skip
    job = ShardJob(out_dir, list(names), tables, shard, max_skipped, dict(copies or {}), proof, clips, made, model)
    if job.skipped_before() == 0:
        log.info("%s: %s%s: complete already, %d clips", out_dir, names[0], shard.suffix, len(mine))
        note(KEPT, f"{out_dir}: {names[0]}{shard.suffix}", f"{len(mine)} clips")
    else:
        with one_at_a_time(out_dir / f".lock{shard.suffix}"):
            job.run(mine, work)
    complete = merge_when_complete(out_dir, names, tables, proof)
    if complete:
        for name in names:
            made.write(out_dir / f"{name}.scp")
        update_copies(out_dir, job.copies)
    return complete


def update_copies(out_dir: Path, copies: Mapping[str, Path]) -> None:
    """Copy tables to their places, unless all copies are present."""
    if all(copy.is_file() and filecmp.cmp(out_dir / name, copy, shallow=False) for name, copy in copies.items()):
        return
    with replaced_together(*copies.values()):
        for name, copy in copies.items():
            with whole_file(copy) as out:
                out.write((out_dir / name).read_text(encoding="utf-8"))


@dataclass(frozen=True)
class ShardJob:
    """One shard of what `make_archives` makes, and its proof."""

    out_dir: Path
    names: list[str]
    tables: list[str]
    shard: Shard
    max_skipped: float
    copies: dict[str, Path]
    proof: dict
    clips: ClipKeys
    made: MadeFrom
    model: str | None

    @property
    def record(self) -> Path:
        return self.out_dir / f"done{self.shard.suffix}.json"

    def skipped_before(self) -> int | None:
        """Number of clips that the finished shard skipped; None if it is absent or not current."""
        proof = read_proof(self.record)
        current = self.is_like(proof) and self.clips.fit(proof) and type(proof.get("skipped")) is int
        return proof["skipped"] if current else None

    def is_like(self, proof: Mapping[str, Any]) -> bool:
        """Whether the shard in the folder has the same form and settings, and all its files."""
        suffix = self.shard.suffix
        files = [*shard_files(self.out_dir, self.names, self.tables, suffix),
                 *(self.out_dir / f"{name}{suffix}.ark" for name in self.names)]  # fmt: skip
        same = all(proof.get(key) == self.proof[key] for key in ("shards", "settings", "archives", "tables"))
        return same and all(path.exists() for path in files)

    def run(self, keys: list[str], work: Callable[[list[str], ShardWriter], None]) -> None:
        """Make the shard, or its missing part; another run may have finished it while this one waited."""
        before = self.skipped_before()
        try:
            if before is None:
                self.do(keys, work)
            elif before:
                self.try_again(keys, work)
        except TooManySkipped as error:  # the older shard stays, with its own table `skipped`
            write_table(self.refused, error.skipped)
            raise

    def do(self, keys: list[str], work: Callable[[list[str], ShardWriter], None]) -> None:
        """Make the shard, keeping the current clips of an older one."""
        kept = self.current_clips(keys)
        with self.writer() as writer:
            work([key for key in keys if key not in kept], writer)
            self.refuse_too_many(writer.skipped, len(keys))
            if kept:
                writer.take_back(kept)
        n_skipped = len(writer.skipped)
        log.info("%s: %s%s: %d clips done, %d skipped", self.out_dir, self.names[0], self.shard.suffix,
                 len(keys) - n_skipped, n_skipped)  # fmt: skip

    def current_clips(self, keys: list[str]) -> set[str]:
        """Clips of the older shard that are still current; the log says why the others are redone."""
        proof = read_proof(self.record)
        if not proof:
            return set()
        where = f"{self.out_dir}: {self.names[0]}{self.shard.suffix}"
        if not self.is_like(proof):
            why = differences(proof.get("options"), self.made.options) or ["another number of shards, or missing files"]
            log.info("%s: redoing all clips: %s", where, "; ".join(why))
            note(REDONE, where, "; ".join(why))
            return set()
        before = read_table(self.out_dir / f"{INPUT}{self.shard.suffix}")
        skipped = set(read_table(self.out_dir / f"skipped{self.shard.suffix}"))
        current = self.clips.current(before, proof)
        changes = describe_changes(keys, before, current, skipped)
        log.info("%s: %s; redoing those", where, changes)
        note(REDONE, where, changes)
        return current

    def try_again(self, keys: list[str], work: Callable[[list[str], ShardWriter], None]) -> None:
        """Try the skipped clips again, and add those that succeed."""
        before = read_table(self.out_dir / f"skipped{self.shard.suffix}")
        left = [key for key in keys if key in before]
        with suppress(NothingNew), self.writer() as writer:
            work(left, writer)
            self.refuse_too_many(writer.skipped, len(keys))
            if len(writer.skipped) == len(left):
                raise NothingNew
            writer.take_back()
        n_new = len(left) - len(writer.skipped)
        log.info("%s: %s%s: complete already, %d clips%s", self.out_dir, self.names[0], self.shard.suffix, len(keys),
                 f"; {n_new} of them were skipped before and are added" if n_new else "")  # fmt: skip

    @contextmanager
    def writer(self) -> Iterator[ShardWriter]:
        """The shard's writer; when it closes, files that point to older archives are removed before those archives."""
        self.out_dir.mkdir(parents=True, exist_ok=True)
        stale = [self.record]
        if self.shard.total > 1:
            stale += [self.out_dir / MERGED, *shard_files(self.out_dir, self.names, self.tables, "")]
        # the lock is released once all files have their names
        with ExitStack() as locked, replaced_together(*stale, *self.copies.values()):
            with ShardWriter(self.out_dir, self.names, self.shard.suffix, self.tables) as writer:
                for key, value in self.clips.wanted.items():
                    writer.note(INPUT, key, value)
                yield writer
            write_json(self.record, self.full_record(len(writer.skipped)))
            locked.enter_context(one_at_a_time(self.out_dir / EVERYTHING))
            with replaced_together(*other_shards(self.out_dir, self.shard.total, self.names, self.tables)):
                pass

    def full_record(self, n_skipped: int) -> dict:
        model = {"model": self.model} if self.model else {}
        return {**self.made.record(self.out_dir), **self.proof, **model, "skipped": n_skipped}

    @property
    def refused(self) -> Path:
        return self.out_dir / f"skipped{self.shard.suffix}{'.refused' if self.record.exists() else ''}"

    def refuse_too_many(self, skipped: dict[str, str], n_keys: int) -> None:
        if len(skipped) > self.max_skipped * n_keys:
            key, reason = next(iter(skipped.items()))
            raise TooManySkipped(
                f"{len(skipped)} of {n_keys} clips could not be used, more than the {100 * self.max_skipped:g} % "
                f"allowed by `max_skipped`; the first: {key}: {reason}. All are in {self.refused}",
                skipped,
            )


class TooManySkipped(InputError):
    """More clips were skipped than allowed.

    skipped : clip -> reason
    """

    def __init__(self, message: str, skipped: dict[str, str]):
        super().__init__(message)
        self.skipped = skipped


class NothingNew(Exception):
    """All clips that were skipped before failed again: the shard stays unchanged."""


def merge_when_complete(out_dir: Path, names: Sequence[str], tables: Sequence[str], like: Mapping[str, Any]) -> bool:
    """Join the shards' scp files into `NAME.scp`, and their tables; False while a shard's proof is missing.

    Parameters
    ----------
    like : the proof of a shard of the run; shards of other runs do not count
    """
    total = like["shards"]
    if total == 1:
        return True
    record, files = out_dir / MERGED, shard_files(out_dir, names, tables, "")

    def state() -> tuple[list[dict], dict]:
        proofs = [read_proof(out_dir / f"done.{job}.json") for job in range(1, total + 1)]
        content = digest([proofs, list(names), list(tables)])
        return proofs, {"shards": total, "settings": like["settings"], "inputs": content}

    def merged_already() -> bool:
        proofs, merged = state()
        return (all(one_run(proof, like) for proof in proofs) and read_proof(record) == merged
                and all(file.exists() for file in files))  # fmt: skip

    if merged_already():  # saves joining a million lines, and works in a read-only folder
        return True
    with one_at_a_time(out_dir / EVERYTHING):
        proofs, merged = state()
        if not all(one_run(proof, like) for proof in proofs):
            return False
        if merged_already():
            return True
        with replaced_together(record, *files):
            for name, end in [*((name, ".scp") for name in names), *((name, "") for name in [*tables, "skipped"])]:
                rows: dict[str, str] = {}
                for job in range(1, total + 1):
                    rows.update(read_table(out_dir / f"{name}.{job}{end}"))
                write_table(out_dir / f"{name}{end}", rows)
            write_json(record, merged)
    log.info("%s: %d shards merged, %d skipped", out_dir, total, len(rows))
    return True


def merge(out_dir: Path | str) -> None:
    """Merge the shards in `out_dir`, for `avsv merge`; InputError names those that are missing."""
    out_dir = Path(out_dir)
    refuse_earlier_version(out_dir)
    records = {p: read_proof(p) for p in sorted(out_dir.glob("done.*.json"))}
    if not records:
        raise InputError(f"{out_dir}: has no finished shards (done.J.json)")
    if damaged := [str(path) for path, record in records.items() if not record]:
        raise InputError(f"{', '.join(damaged)}: damaged proof of a shard; delete it and run the shard again")
    like = next(iter(records.values()))
    if not all(one_run(record, like) for record in records.values()):
        raise InputError(f"{out_dir}: has shards of different runs; delete {out_dir}/done.*.json and run them again")
    if read_proof(out_dir / "done.json") and not read_proof(out_dir / MERGED):
        raise InputError(f"{out_dir}: has the result of one job (done.json) and shards of another run; delete "
                        f"{out_dir}/done.*.json, or done.json and run the shards again")  # fmt: skip
    total = like["shards"]
    missing = [job for job in range(1, min(total, 100_000) + 1) if not (out_dir / f"done.{job}.json").exists()]
    if missing:
        raise InputError(f"{out_dir}: shards {missing} of {total} are not finished")
    (out_dir / MERGED).unlink(missing_ok=True)
    merge_when_complete(out_dir, like["archives"], like["tables"], like)
