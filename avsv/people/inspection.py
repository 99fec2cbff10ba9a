"""Looks into every file of a collection, and remembers the findings for the next time."""

import json
import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from avsv.errors import InputError
from avsv.jobs.files import write_json
from avsv.jobs.fingerprints import digest, digest_of, stamp, state_of
from avsv.jobs.inputs import read_text
from avsv.jobs.progress import progress
from avsv.jobs.threads import map_ahead, n_allowed
from avsv.media.contents import audio_contents, image_contents
from avsv.media.decoder_process import guarded

log = logging.getLogger("avsv")
FORMAT = 1  # of the findings; raise it when these would differ for the same file


@dataclass(frozen=True)
class Contents:
    """What a file has.

    digest : of its content; of a folder, of its files' names, sizes and times
    seconds : of audio, 0 if it has none
    peak : of the audio, relative to full scale
    n_images : 0 if it has no video track and is no image
    width, height : of the middle image, pixels
    no_audio, no_images : why the audio, or the images, cannot be read; "" if they can, or are not there
    """

    digest: str
    seconds: float = 0.0
    peak: float = 0.0
    n_images: int = 0
    width: int = 0
    height: int = 0
    no_audio: str = ""
    no_images: str = ""


def inspect(path: str) -> Contents:
    """Look into one file or folder of images, in the decoder process."""
    state = state_of(path)
    content = digest_of(path, state) if state else stamp(path)
    found, reasons = {}, {}
    look = {"images": lambda: guarded(image_contents, path)}
    if not os.path.isdir(path):
        look["audio"] = lambda: guarded(audio_contents, path)
    for kind, contents in look.items():
        try:
            found[kind] = contents().tolist()
        except InputError as error:
            reasons[kind] = str(error).removeprefix(f"{path}: ")
    seconds, peak = found.get("audio", (0.0, 0.0))
    n_images, width, height = map(int, found.get("images", (0, 0, 0)))
    return Contents(
        content, seconds, peak, n_images, width, height, reasons.get("audio", ""), reasons.get("images", "")
    )


def inspect_all(paths: Iterable[str], stamps: Mapping[str, str], memory: Path) -> dict[str, Contents]:
    """Look into many files, by one thread per core; files that are unchanged since the last time are not read again.

    Parameters
    ----------
    stamps : path -> size and time, see `stamp_files`
    memory : file that keeps the findings; written also when the work is interrupted

    Returns
    -------
    path -> contents
    """
    paths = list(paths)
    known = recall(memory)
    findings = {path: known[path][1] for path in paths if path in known and known[path][0] == stamps[path]}
    new = [path for path in paths if path not in findings]
    if new and findings:
        log.info("%d of %d files are new or have changed", len(new), len(paths))
    try:
        for path, contents in zip(new, map_ahead(inspect, progress(new, "files", unit="file"), n_allowed())):
            findings[path] = contents
    finally:
        if new:
            lines = {path: [stamps[path], asdict(contents)] for path, contents in findings.items()}
            write_json(memory, {"format": FORMAT, "digest": digest(lines), "files": lines})
    return findings


def recall(memory: Path) -> dict[str, tuple[str, Contents]]:
    """Path -> stamp and contents from an earlier run; empty if there are none, or they are damaged."""
    try:
        value = json.loads(read_text(memory))
        if value["format"] != FORMAT or digest(value["files"]) != value["digest"]:
            return {}
        return {path: (mark, Contents(**contents)) for path, (mark, contents) in value["files"].items()}
    except (InputError, ValueError, KeyError, TypeError, RecursionError):
        return {}
