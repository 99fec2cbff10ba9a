"""What the three preparations share: the way VoxCeleb names things, lengths, and their messages."""

import argparse
import logging
import sys
from collections.abc import Callable
from pathlib import Path

from avsv.errors import UserError
from avsv.kaldi.data_dir import write_data_dir
from avsv.media.sound import all_seconds

log = logging.getLogger("avsv")


def run(main: Callable[[argparse.Namespace], None], parser: argparse.ArgumentParser) -> None:
    """Call `main`; a mistake of the user's is one line on stderr and exit status 1."""
    logging.basicConfig(level="INFO", format="%(message)s", stream=sys.stderr)
    try:
        main(parser.parse_args())
    except UserError as error:
        sys.exit(f"{Path(sys.argv[0]).name}: {error}")
    except OSError as error:
        sys.exit(f"{Path(sys.argv[0]).name}: {error.filename or ''}: {error.strerror or error}")


def need(path: Path, what: str) -> Path:
    """The path if it exists; otherwise an error that says what should be there."""
    if not path.exists():
        raise UserError(f"{path}: not found; expected {what}. See the recipe's README.md for the layout")
    return path


def find_clips(root: Path, endings: tuple[str, ...]) -> dict[str, Path]:
    """ID/VIDEO/CLIP.ending below `root`, as "ID-VIDEO-CLIP" -> path, in C order."""
    clips = {"-".join((*p.parts[-3:-1], p.stem)): p for p in root.glob("*/*/*") if p.suffix in endings}
    return {utt: clips[utt] for utt in sorted(clips, key=str.encode)}


def read_meta(path: Path, id_column: str, column: str) -> dict[str, str]:
    """One column of VoxCeleb's meta files by id: tab separated in VoxCeleb1, commas and spaces in VoxCeleb2."""
    rows = [
        [f.strip() for f in line.replace(",", "\t").split("\t")]
        for line in path.read_text().splitlines()
        if line.strip()
    ]
    for name in (id_column, column):
        if not rows or name not in rows[0]:
            raise UserError(
                f'{path}, line 1: expected a column "{name}", found: {", ".join(rows[0]) if rows else "nothing"}'
            )
    key, value = rows[0].index(id_column), rows[0].index(column)
    return {row[key]: row[value] for row in rows[1:] if len(row) > max(key, value)}


def write_set(out_dir: Path, wav: dict[str, Path], video: dict[str, Path], genders: dict[str, str], jobs: int,
              more: dict[str, dict[str, str]] | None = None) -> None:  # fmt: skip
    """Write a data directory of clips named ID-VIDEO-CLIP."""
    utts = sorted(wav.keys() | video.keys(), key=str.encode)
    utt2spk = {utt: utt.partition("-")[0] for utt in utts}
    unknown = sorted(set(utt2spk.values()) - genders.keys())
    if unknown:
        raise UserError(f"{len(unknown)} people are not in the meta file, such as {unknown[0]}")
    seconds, bad = all_seconds({utt: str(wav[utt]) for utt in wav}, jobs)
    for utt, reason in list(bad.items())[:10]:
        log.warning("%s: length unknown: %s", utt, reason)
    if bad:
        log.warning("%s: the length of %d of %d recordings cannot be read", out_dir, len(bad), len(wav))
    write_data_dir(out_dir, {
        "wav.scp": {utt: str(path) for utt, path in wav.items()},
        "video.scp": {utt: str(path) for utt, path in video.items()},
        "utt2spk": utt2spk,
        "utt2vid": {utt: utt.rpartition("-")[0] for utt in utts},
        "spk2gender": {spk: genders[spk] for spk in set(utt2spk.values())},
        "utt2dur": {utt: f"{length:.3f}" for utt, length in seconds.items()},
        **(more or {}),
    })  # fmt: skip
