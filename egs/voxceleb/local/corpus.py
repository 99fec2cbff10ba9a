"""Shared by the preparation scripts: VoxCeleb's naming scheme, clip lengths and messages."""

import argparse
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

from avsv.errors import InputError
from avsv.jobs.processes import end_soon_on_interrupt
from avsv.kaldi.data_dir import write_data_dir
from avsv.kaldi.tables import read_lines
from avsv.media.waveforms import audio_durations
from avsv.people.folders import is_hidden

log = logging.getLogger("avsv")


def run(main: Callable[[argparse.Namespace], None], parser: argparse.ArgumentParser) -> None:
    """Call `main`; a mistake of the user gives one line on stderr and exit status 1."""
    logging.basicConfig(level="INFO", format="%(message)s", stream=sys.stderr)
    end_soon_on_interrupt()
    try:
        main(parser.parse_args())
    except InputError as error:
        sys.exit(f"{Path(sys.argv[0]).name}: {error}")
    except OSError as error:
        sys.exit(f"{Path(sys.argv[0]).name}: {error.filename or ''}: {error.strerror or error}")


def need(path: Path, what: str) -> Path:
    """Return the path if it exists; raise an error that names the expected content otherwise."""
    if not path.exists():
        raise InputError(f"{path}: not found; expected {what}. See the recipe's README.md for the layout")
    return path


def find_clips(root: Path, endings: tuple[str, ...]) -> dict[str, Path]:
    """ID/VIDEO/CLIP.ending below `root`, as "ID-VIDEO-CLIP" -> path, in C order.

    Parameters
    ----------
    endings : in lower case, matched in any case; if a clip has several files, the first ending in this list wins

    The log counts the files left out (files of macOS, other forms), with an example.
    """
    clips: dict[str, tuple[int, str]] = {}  # place of the ending in `endings`, path
    left_out: dict[str, list[str]] = {}
    for speaker in folders(root, left_out):
        for video in folders(speaker.path, left_out):
            for file in entries(video.path, left_out):
                stem, ending = os.path.splitext(file.name)
                if ending.lower() not in endings:
                    left_out.setdefault(f"are not {' or '.join(endings)}", []).append(file.path)
                    continue
                utt, candidate = f"{speaker.name}-{video.name}-{stem}", (endings.index(ending.lower()), file.path)
                if utt in clips:
                    left_out.setdefault("are other forms of a clip", []).append(max(clips[utt], candidate)[1])
                clips[utt] = min(clips.get(utt, candidate), candidate)
    for why, paths in left_out.items():
        log.warning("%s: left out %d that %s, such as %s", root, len(paths), why, min(paths))
    return {utt: Path(clips[utt][1]) for utt in sorted(clips, key=str.encode)}


def entries(folder: str | Path, left_out: dict[str, list[str]]) -> list[os.DirEntry]:
    """List a folder; hidden files created by the operating system go to `left_out`."""
    with os.scandir(folder) as listing:
        all_entries = list(listing)
    for entry in all_entries:
        if is_hidden(entry.name):
            left_out.setdefault("are files of a system (hidden)", []).append(entry.path)
    return [entry for entry in all_entries if not is_hidden(entry.name)]


def folders(folder: str | Path, left_out: dict[str, list[str]]) -> list[os.DirEntry]:
    """List the subfolders of a folder, including links to folders."""
    listed = entries(folder, left_out)
    for entry in listed:
        if not entry.is_dir():
            left_out.setdefault("are not in a folder ID/VIDEO", []).append(entry.path)
    return [entry for entry in listed if entry.is_dir()]


def find_recordings(folder: Path) -> list[Path]:
    """Every WAV file below a folder, sorted; the file name extension may be in any case."""
    paths = [path for path in folder.rglob("*") if path.suffix.lower() == ".wav"]
    hidden = [path for path in paths if any(is_hidden(part) for part in path.relative_to(folder).parts)]
    if hidden:
        log.warning("%s: left out %d files of a system (hidden), such as %s", folder, len(hidden), min(hidden))
    return sorted(set(paths) - set(hidden))


def face_folders(root: Path, person: str, name: str, video: str) -> list[Path]:
    """Possible folders of a video's images: unzippedFaces/NAME/1.6/VIDEO, without the 1.6, or under the person's id."""
    return [root / each / scale / video for each in (name, person) if each for scale in ("1.6", "")]


def read_meta(path: Path, id_column: str, column: str) -> dict[str, str]:
    """Read one column of a VoxCeleb meta file by id (VoxCeleb1 separates by tabs, VoxCeleb2 by commas and spaces)."""
    rows = [[f.strip() for f in line.replace(",", "\t").split("\t")] for line in read_lines(path) if line.strip()]
    for name in (id_column, column):
        if not rows or name not in rows[0]:
            raise InputError(
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
        raise InputError(f"{len(unknown)} people are not in the meta file, such as {unknown[0]}")
    seconds, bad = audio_durations({utt: str(wav[utt]) for utt in wav}, jobs)
    for utt, reason in list(bad.items())[:10]:
        log.warning("%s: length unknown: %s", utt, reason)
    for what, of, others in (("audio", wav, video), ("faces", video, wav)):
        if lacking := sorted(others.keys() - of.keys()):
            log.warning("%s: %d of %d clips have no %s, such as %s", out_dir, len(lacking), len(utts), what, lacking[0])
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
