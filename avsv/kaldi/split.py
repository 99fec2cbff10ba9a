"""A data directory cut into parts of whole speakers, as Kaldi's split_data.sh does: DATA_DIR/splitN/1 to N."""

import os
import shutil
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.jobs.files import refuse_link
from avsv.kaldi.data_dir import BY_UTT, TWO_FIELDS
from avsv.kaldi.keyed import KeyedTable, join_runs, read_keyed, rows_of
from avsv.kaldi.segments import read_segments

OF_SPEAKERS = ("spk2utt", "spk2gender")


def split_data_dir(path: Path | str, n_parts: int) -> list[int]:
    """Write `splitN/1` to `splitN/N` in a data directory, each with its share of every table but the trials.

    A part has whole speakers, consecutive in name order, and as close to 1/N of the utterances as that allows. An
    earlier split into the same number of parts is replaced as a whole.

    Returns
    -------
    utterances in each part

    Raises
    ------
    InputError : fewer speakers than parts, or a table that is not sorted or has bad lines
    """
    path = Path(path)
    if not path.is_dir():
        raise InputError(f"{path}: no such data directory")
    utt2spk = read_sorted(path / "utt2spk")
    speakers = utt2spk.value_strings()
    begins = np.flatnonzero(np.concatenate([[True], speakers[1:] != speakers[:-1]]))[: len(speakers)]
    names = speakers[begins]
    if (names[1:] <= names[:-1]).any():
        raise InputError(f"{path}/utt2spk: utterances and speakers sort differently; each utterance's name must begin "
                        f"with its speaker's. See: avsv check {path}")  # fmt: skip
    if len(names) < n_parts:
        raise InputError(f"{path}: has {len(names)} speakers, too few for {n_parts} parts of whole speakers")
    firsts = choose_firsts(begins, len(speakers), n_parts)
    part, old, final = (path / name for name in (f".split{n_parts}.part", f".split{n_parts}.old", f"split{n_parts}"))
    for folder in (part, old, final):
        refuse_link(folder)
    for folder in (part, old):
        shutil.rmtree(folder, ignore_errors=True)
    for number in range(1, n_parts + 1):
        (part / str(number)).mkdir(parents=True)
    cut = (path / "segments").exists()
    for name in ("utt2spk", *OF_SPEAKERS, *BY_UTT):
        if name == "wav.scp" and cut:
            write_recordings(part, path, utt2spk.keys[begins[firsts]])
        elif (path / name).exists():
            table = utt2spk if name == "utt2spk" else read_sorted(path / name)
            write_parts(part, table, names[firsts] if name in OF_SPEAKERS else utt2spk.keys[begins[firsts]])
    if final.exists():  # as a whole: a split that is half removed looks like a smaller one
        os.rename(final, old)
    os.rename(part, final)
    shutil.rmtree(old, ignore_errors=True)
    return np.diff(begins[firsts], append=len(speakers)).tolist()


def choose_firsts(begins: np.ndarray, total: int, n_parts: int) -> list[int]:
    """The first speaker of each part: the one nearest to the start of an equal part; every part gets at least one.

    Parameters
    ----------
    begins : where each speaker's utterances begin, ascending from 0
    total : utterances

    Examples
    --------
    >>> choose_firsts(np.array([0, 7, 8, 9]), 10, 3)
    [0, 1, 2]
    """
    firsts = [0]
    for number in range(1, n_parts):
        nearest = int(np.abs(begins - total * number / n_parts).argmin())
        firsts.append(min(max(nearest, firsts[-1] + 1), len(begins) - (n_parts - number)))
    return firsts


def read_sorted(path: Path) -> KeyedTable:
    """A table that can be cut into runs of lines; InputError if it is not sorted or has bad lines."""
    table = read_keyed(path, path.name in TWO_FIELDS)
    if table.bad or not table.ascending:
        raise InputError(f"{path}: is not sorted, or has bad lines. Run: avsv fix {path.parent}")
    return table


def write_recordings(folder: Path, path: Path, firsts: np.ndarray) -> None:
    """Write the recordings of each part's segments to `folder/1/wav.scp` and so on; one may be in several parts."""
    segments, wav = read_segments(path / "segments"), read_sorted(path / "wav.scp")
    if defects := segments.defects(wav.keys):
        raise InputError(f"{path}/segments, line {defects[0][1]}: {defects[0][2]}. Run: avsv fix {path}")
    places = np.searchsorted(segments.table.keys, firsts)
    places[0] = 0
    for number, (begin, end) in enumerate(zip(places, [*places[1:], len(segments.table)], strict=True), 1):
        used = np.flatnonzero(rows_of(wav.keys, np.unique(segments.recordings[begin:end])) >= 0)
        (folder / str(number) / "wav.scp").write_bytes(join_runs(wav, used))


def write_parts(folder: Path, table: KeyedTable, firsts: np.ndarray) -> None:
    """Write the lines from each first key up to the next to `folder/1` and so on; a file may be empty."""
    places = np.append(table.starts, len(table.data))[np.searchsorted(table.keys, firsts)]
    places[0] = 0
    for number, (begin, end) in enumerate(zip(places, [*places[1:], len(table.data)], strict=True), 1):
        (folder / str(number) / table.path.name).write_bytes(table.data[begin:end])
