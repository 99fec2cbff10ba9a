"""Checks a data directory against Kaldi's rules, and repairs one: 1.2 million clips in seconds, table by table."""

import shutil
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.jobs.files import refuse_link, replaced_together, whole_file
from avsv.jobs.inputs import read_bytes
from avsv.kaldi.data_dir import BY_UTT, TWO_FIELDS, is_positive, read_data_dir
from avsv.kaldi.decimals import read_decimals
from avsv.kaldi.dropped import Dropped
from avsv.kaldi.keyed import KeyedTable, join_runs, read_keyed, rows_of
from avsv.kaldi.segments import SHAPE, read_segments

MEDIA = ("wav.scp", "video.scp")
SHAPES = {"utt2spk": "utterance speaker", "spk2gender": "speaker gender"}


def check(path: Path | str) -> list[str]:
    """Violations of Kaldi's rules in a data directory, one sentence each; empty if it is valid."""
    path = Path(path)
    if not path.is_dir():
        return [f"{path}: no such data directory"]
    defects: list[str] = []
    of_people = {name: check_table(path / name, defects) for name in ("utt2spk", "spk2utt", "spk2gender")}
    utt2spk = of_people["utt2spk"]
    if utt2spk is None or not len(utt2spk):
        return [*defects, f"{path}/utt2spk: is absent or empty"]
    utts, speakers = latest(utt2spk)
    strange, has_media, cut = [], np.zeros(len(utts), bool), (path / "segments").exists()
    for name in BY_UTT:
        if name == "wav.scp" and cut:  # has recordings; see check_segments
            continue
        table = check_segments(path, defects) if name == "segments" else check_table(path / name, defects)
        if table is None:
            continue
        rows = rows_of(table.keys, utts)
        strange += [f'{path}/{name}: utterance "{text(key)}" is not in utt2spk'
                    for key in sorted(set(table.keys[rows < 0].tolist()))]  # fmt: skip
        if name in MEDIA or name == "segments":
            has_media[rows[rows >= 0]] = True
        if name == "utt2dur":
            strange += check_seconds(table)
    return [
        *defects,
        *check_people(path, utts, speakers, of_people["spk2utt"]),
        *strange,
        *[f'{path}: utterance "{text(utt)}" is neither in wav.scp nor in video.scp' for utt in utts[~has_media]],
        *check_genders(path, set(np.unique(speakers).tolist()), of_people["spk2gender"]),
        *check_trials(path, utts),
    ]


def text(value: bytes) -> str:
    return bytes(value).decode()


def check_table(path: Path, defects: list[str]) -> KeyedTable | None:
    """Read a table if it is present, recording every bad line instead of stopping at the first."""
    if not path.exists():
        return None
    try:
        table = read_keyed(path, path.name in TWO_FIELDS)
    except InputError as error:
        defects.append(str(error))
        return None
    note_form(table, defects)
    return table


def check_segments(path: Path, defects: list[str]) -> KeyedTable | None:
    """Read `segments` and the recordings of wav.scp; record bad lines and recordings without a segment."""
    if not (path / "segments").exists():
        return None
    wav = check_table(path / "wav.scp", defects)
    try:
        segments = read_segments(path / "segments")
    except InputError as error:
        defects.append(str(error))
        return None
    note_form(segments.table, defects, SHAPE)
    recordings = np.unique(wav.keys) if wav else np.zeros(0, "S1")
    defects += [f"{path}/segments, line {number}: {why}" for _, number, why in segments.defects(recordings)]
    unused = recordings[~np.isin(recordings, segments.recordings)]
    defects += [f'{path}/wav.scp: recording "{text(name)}" has no segment' for name in unused]
    if (path / "video.scp").exists():
        try:
            read_data_dir(path)
        except InputError as error:
            defects += [str(error)] if "whole video" in str(error) else []
    return segments.table


def note_form(table: KeyedTable, defects: list[str], shape: str = "key value") -> None:
    """Record every bad line, repeated key, and key out of order."""
    path = table.path
    if not table.complete:
        defects.append(f"{path}: the last line has no line end")
    if table.marked:
        defects.append(f"{path}: has a byte order mark, which Kaldi's programs read as part of the first key")
    found = [(n, f'expected "{shape}", found {fields} fields: "{line}"') for n, fields, line in table.bad]
    if not table.ascending:
        order = np.argsort(table.keys, kind="stable")
        ranked = table.keys[order]
        twice = np.zeros(len(table), bool)
        twice[order[1:][ranked[1:] == ranked[:-1]]] = True
        late = np.concatenate([[False], table.keys[1:] < table.keys[:-1]])
        for row in np.flatnonzero(twice | late).tolist():
            what = "occurs twice in the table" if twice[row] else "is not in LC_ALL=C order"
            found.append((int(table.numbers[row]), f'"{text(table.keys[row])}" {what}'))
    defects += [f"{path}, line {number}: {what}" for number, what in sorted(found)]


def latest(utt2spk: KeyedTable) -> tuple[np.ndarray, np.ndarray]:
    """Utterances in C order and their speakers; for a repeated utterance, the last line counts."""
    rows = np.flatnonzero(~utt2spk.superseded())
    if not utt2spk.ascending:
        rows = rows[np.argsort(utt2spk.keys[rows], kind="stable")]
    return utt2spk.keys[rows], utt2spk.value_strings()[rows]


def invert(utts: np.ndarray, speakers: np.ndarray) -> bytes:
    """The table spk2utt of utterances in C order."""
    if (speakers[1:] < speakers[:-1]).any():
        order = np.argsort(speakers, kind="stable")
        utts, speakers = utts[order], speakers[order]
    begins = np.flatnonzero(np.concatenate([[True], speakers[1:] != speakers[:-1]]))
    names = utts.tolist()
    groups = zip(begins.tolist(), [*begins[1:].tolist(), len(names)], strict=True)
    return b"".join(bytes(speakers[a]) + b" " + b" ".join(names[a:b]) + b"\n" for a, b in groups)


def check_people(path: Path, utts: np.ndarray, speakers: np.ndarray, spk2utt: KeyedTable | None) -> list[str]:
    strange = np.flatnonzero(~np.strings.startswith(utts, speakers)).tolist()
    defects = [f'{path}/utt2spk: speaker "{text(speakers[row])}" is not a prefix of utterance "{text(utts[row])}"'
               for row in strange]  # fmt: skip
    if spk2utt is None or spk2utt.data != invert(utts, speakers):
        defects.append(f"{path}/spk2utt: is absent or does not invert utt2spk")
    return defects


def check_genders(path: Path, people: set[bytes], spk2gender: KeyedTable | None) -> list[str]:
    if spk2gender is None:
        return []
    genders = dict(zip(spk2gender.keys.tolist(), spk2gender.value_strings().tolist(), strict=True))
    defects = [f'{path}/spk2gender: {text(spk)} is "{text(gender)}", expected m or f'
               for spk, gender in genders.items() if gender not in (b"m", b"f")]  # fmt: skip
    missing = sorted(people - genders.keys()) if genders else []
    return defects + [f'{path}/spk2gender: speaker "{text(spk)}" is missing' for spk in missing]


def not_positive(utt2dur: KeyedTable) -> np.ndarray:
    """Rows of utt2dur that have no number above 0."""
    if not len(utt2dur):
        return np.zeros(0, int)
    seconds = read_decimals(utt2dur.value_block(), 0)
    suspect = np.flatnonzero(~np.isfinite(seconds) | (seconds <= 0)).tolist()
    return np.array([row for row in suspect if not is_positive(utt2dur.text(row))], int)


def check_seconds(utt2dur: KeyedTable) -> list[str]:
    return [f'{utt2dur.path}: {text(utt2dur.keys[row])} lasts "{utt2dur.text(row)}", expected seconds above 0'
            for row in not_positive(utt2dur).tolist()]  # fmt: skip


def check_trials(path: Path, utts: np.ndarray) -> list[str]:
    from avsv.kaldi.trials import read_trials

    defects = []
    for file in sorted((path / "trials").glob("[!.]*")):
        try:
            trials = read_trials(file)
        except InputError as error:
            defects.append(str(error))
            continue
        names = sorted(set(trials.enroll_ids) | set(trials.test_ids), key=str.encode)
        rows = rows_of(np.array([name.encode() for name in names]), utts)
        unknown = [names[row] for row in np.flatnonzero(rows < 0).tolist()]
        if unknown:
            defects.append(f'{file}: {len(unknown)} utterances are not in utt2spk, such as "{unknown[0]}"')
    return defects


def fix(path: Path | str) -> tuple[int, int]:
    """Repair a data directory: sort, drop bad lines and utterances without a speaker or media.

    A valid table is left unchanged; replaced tables are kept in `.backup/`. Every dropped line is listed with the
    reason in `.backup/dropped`, and the log counts them.

    Returns
    -------
    (kept, before) : numbers of utterances; an unreadable line of utt2spk counts as one

    Raises
    ------
    InputError : nothing would be left, or a table is not text
    """
    path = Path(path)
    if not (path / "utt2spk").exists():
        raise InputError(f"{path}/utt2spk: no such file, but the repair starts from it")
    dropped = Dropped()
    utt2spk = read_keyed(path / "utt2spk", True)
    utts, speakers = latest(utt2spk)
    before = len(utts) + sum(fields > 0 for _, fields, _ in utt2spk.bad)
    segments = good_segments(path, dropped)
    keep = np.zeros(len(utts), bool)
    for name in MEDIA:
        if (path / name).exists():
            table = segments if name == "wav.scp" and segments is not None else read_keyed(path / name, False)
            rows = rows_of(table.keys, utts)
            keep[rows[rows >= 0]] = True
    silent = utts[~keep]
    lengthless = np.zeros(0, utts.dtype)
    if (path / "utt2dur").exists():
        utt2dur = read_keyed(path / "utt2dur", True)
        current = ~utt2dur.superseded()
        rows = [row for row in not_positive(utt2dur).tolist() if current[row]]
        bad = rows_of(utt2dur.keys[rows], utts)
        keep[bad[bad >= 0]] = False
        lengthless = np.setdiff1d(utts[bad[bad >= 0]], silent)
    if not keep.any():
        raise InputError(f"{path}: no utterance of {before} has a speaker and audio or video; nothing was changed")
    dropped.rows(utt2spk, rows_with(utt2spk, silent), "the utterance has no audio and no video")
    dropped.rows(utt2spk, rows_with(utt2spk, lengthless), "its length in utt2dur is not a number above 0")
    known, people, utts, speakers = utts, np.unique(speakers), utts[keep], speakers[keep]
    with replaced_together():
        for name in ("utt2spk", *BY_UTT, "spk2gender"):
            if not (path / name).exists():
                continue
            wanted, all_keys, reason = utts, known, "the utterance is not in utt2spk"
            table = read_keyed(path / name, name in TWO_FIELDS)
            if name == "segments":
                table = segments
            elif name == "spk2gender":
                wanted, all_keys, reason = np.unique(speakers), people, "the speaker is not in utt2spk"
            elif name == "wav.scp" and segments is not None:
                used = segment_recordings(segments, utts)
                wanted, all_keys, reason = used, used, "no segment refers to this recording"
            if name != "segments":
                dropped.bad_lines(table, SHAPES.get(name, "key value"))
            dropped.rows(table, np.flatnonzero(table.superseded()), "the key occurs again later in the table")
            dropped.rows(table, np.flatnonzero(rows_of(table.keys, all_keys) < 0), reason)
            replace(table.path, table, wanted_lines(table, wanted))
        replace(path / "spk2utt", None, invert(utts, speakers))
        dropped.write(path / ".backup")
    return len(utts), before


def good_segments(path: Path, dropped: Dropped) -> KeyedTable | None:
    """The valid lines of `segments`; None if the data directory has no such file."""
    if not (path / "segments").exists():
        return None
    segments = read_segments(path / "segments")
    wav = path / "wav.scp"
    recordings = np.unique(read_keyed(wav, False).keys) if wav.exists() else np.zeros(0, "S1")
    dropped.bad_lines(segments.table, SHAPE)
    defects = segments.defects(recordings)
    for row, _, why in defects:
        dropped.rows(segments.table, np.array([row]), why)
    return segments.table.without(np.array([row for row, _, _ in defects], int), [])


def segment_recordings(segments: KeyedTable, utts: np.ndarray) -> np.ndarray:
    """Recordings that some utterances are part of, ascending."""
    rows = np.flatnonzero((rows_of(segments.keys, utts) >= 0) & ~segments.superseded())
    names = {segments.data[begin:end].split(None, 1)[0] for begin, end in segments.values[rows].tolist()}
    return np.array(sorted(names) or [b""])


def rows_with(table: KeyedTable, keys: np.ndarray) -> np.ndarray:
    """Rows with these sorted keys; for a repeated key, its last row."""
    return np.flatnonzero((rows_of(table.keys, keys) >= 0) & ~table.superseded())


def wanted_lines(table: KeyedTable, wanted: np.ndarray) -> bytes:
    """The table's lines with keys in the sorted `wanted`, in C order; for a repeated key, its last line."""
    rows = np.flatnonzero((rows_of(table.keys, wanted) >= 0) & ~table.superseded())
    if not table.ascending:
        rows = rows[np.argsort(table.keys[rows], kind="stable")]
    return join_runs(table, rows)


def replace(path: Path, old: KeyedTable | None, new: bytes) -> None:
    """Write a table that has changed, and keep the old one."""
    if old:
        before = old.data if old.complete and not old.marked else None
    else:
        before = read_bytes(path) if path.exists() else None
    if new == before:
        return
    if path.exists():
        refuse_link(path.parent / ".backup").mkdir(exist_ok=True)
        shutil.copy2(path, path.parent / ".backup" / path.name)
    with whole_file(path, "wb") as out:
        out.write(new)
