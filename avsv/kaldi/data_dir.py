"""Data directories: what is in one, whether it keeps Kaldi's rules, and how to mend it.

    wav.scp     utt  path of the sound (wav, flac, m4a, mp4), or Kaldi's `command |`
    video.scp   utt  path of the picture: a video, or a folder of pictures
    utt2spk, spk2utt, spk2gender, utt2vid (session), utt2dur (seconds), utt2modality (both | voice | face)
    feats.scp, vad.scp, faces.scp (with utt2face_score, utt2face_size), landmarks.scp, utt2damage, mouths.scp,
                utt2speaking, trials/LIST where they were made

An utterance is a clip of one person. It may have a sound and no picture, or the reverse: `utt2modality` says so.
"""

import logging
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from avsv.errors import UserError
from avsv.kaldi.tables import invert, read_lines, read_table, write_table

log = logging.getLogger("avsv")
BY_UTT = ("wav.scp", "video.scp", "utt2vid", "utt2dur", "utt2num_frames", "utt2modality", "feats.scp", "vad.scp",
          "faces.scp", "utt2face_score", "utt2face_size", "landmarks.scp", "utt2damage", "mouths.scp",
          "utt2speaking")  # fmt: skip
TWO_FIELDS = ("utt2spk", "utt2vid", "utt2dur", "utt2num_frames", "utt2modality", "spk2gender")


@dataclass(frozen=True)
class DataDir:
    """A data directory in memory; every dict goes from utterance to value."""

    path: Path
    utt2spk: dict[str, str]
    wav: dict[str, str] = field(default_factory=dict)
    video: dict[str, str] = field(default_factory=dict)

    @property
    def utts(self) -> list[str]:
        return list(self.utt2spk)

    def table(self, name: str) -> dict[str, str]:
        """Another of its tables, empty where there is no such file."""
        return read_table(self.path / name) if (self.path / name).exists() else {}

    def seconds(self) -> dict[str, float]:
        """Lengths from `utt2dur`; UserError where one is no number above 0."""
        lengths = {}
        for utt, text in self.table("utt2dur").items():
            if not is_positive(text):
                raise UserError(f'{self.path}/utt2dur: {utt} lasts "{text}", expected seconds above 0')
            lengths[utt] = float(text)
        return lengths


def read_data_dir(path: Path | str) -> DataDir:
    """Read `utt2spk`, `wav.scp` and `video.scp`.

    Raises
    ------
    UserError : no such folder, no utt2spk, no utterance, no wav.scp and no video.scp, or an utterance without a speaker
    """
    path = Path(path)
    if not path.is_dir():
        raise UserError(f"{path}: there is no such data directory")
    utt2spk = read_table(path / "utt2spk", fields=2, shape="utterance speaker")
    if not utt2spk:
        raise UserError(f"{path}/utt2spk: is empty, expected one utterance a line")
    data = DataDir(path, utt2spk)
    for name, table in (("wav.scp", data.wav), ("video.scp", data.video)):
        table.update(data.table(name))
        for utt in table:
            if utt not in utt2spk:
                raise UserError(f'{path}/{name}: "{utt}" is not in {path}/utt2spk. Mend it, or run: avsv fix {path}')
    if not data.wav and not data.video:
        raise UserError(f"{path}: has neither wav.scp nor video.scp, or both are empty")
    return data


def write_data_dir(path: Path | str, tables: dict[str, dict[str, str]]) -> None:
    """Write a new data directory from its tables; `spk2utt` and `utt2modality` follow from the others."""
    path = Path(path)
    wav, video = tables.get("wav.scp", {}), tables.get("video.scp", {})
    states = {(True, True): "both", (True, False): "voice", (False, True): "face"}
    modality = {utt: states[utt in wav, utt in video] for utt in tables["utt2spk"]}
    for name, table in {**tables, "utt2modality": modality, "spk2utt": invert(tables["utt2spk"])}.items():
        write_table(path / name, table)
    counts = {state: sum(m == state for m in modality.values()) for state in states.values()}
    log.info("%s: %d clips of %d people: %d with voice and face, %d voice only, %d face only", path, len(modality),
             len(set(tables["utt2spk"].values())), counts["both"], counts["voice"], counts["face"])  # fmt: skip


def check(path: Path | str) -> list[str]:
    """Defects of a data directory against Kaldi's rules, one sentence each; an empty list where there are none."""
    path = Path(path)
    if not path.is_dir():
        return [f"{path}: there is no such data directory"]
    defects: list[str] = []
    tables = {}
    for name in ("utt2spk", "spk2utt", "spk2gender", *BY_UTT):
        if (path / name).exists():
            tables[name] = check_table(path / name, defects)
    if not tables.get("utt2spk"):
        return [*defects, f"{path}/utt2spk: is absent or empty"]
    utt2spk = tables["utt2spk"]
    for utt, spk in utt2spk.items():
        if not utt.startswith(spk):
            defects.append(f'{path}/utt2spk: speaker "{spk}" is not a prefix of utterance "{utt}"')
    if tables.get("spk2utt") != invert(utt2spk):
        defects.append(f"{path}/spk2utt: is absent or does not invert utt2spk")
    for name in BY_UTT:
        for utt in tables.get(name, {}).keys() - utt2spk.keys():
            defects.append(f'{path}/{name}: utterance "{utt}" is not in utt2spk')
    for utt in utt2spk.keys() - tables.get("wav.scp", {}).keys() - tables.get("video.scp", {}).keys():
        defects.append(f'{path}: utterance "{utt}" is neither in wav.scp nor in video.scp')
    defects += check_values(path, tables) + check_trials(path, utt2spk)
    return defects


def check_table(path: Path, defects: list[str]) -> dict[str, str]:
    """Read a table, noting every bad line instead of stopping at the first."""
    table: dict[str, str] = {}
    previous = b""
    try:
        lines = read_lines(path)
        if lines and not path.read_bytes().endswith(b"\n"):
            defects.append(f"{path}: the last line has no end")
    except UserError as error:
        defects.append(str(error))
        return table
    for number, line in enumerate(lines, 1):
        parts = line.split(None, 1)
        n_fields = len(line.split())
        if n_fields < 2 or (path.name in TWO_FIELDS and n_fields != 2):
            defects.append(f'{path}, line {number}: expected "key value", found {n_fields} fields: "{line}"')
            continue
        key = parts[0].encode()
        if parts[0] in table:
            defects.append(f'{path}, line {number}: "{parts[0]}" stands in the table twice')
        elif key < previous:
            defects.append(f'{path}, line {number}: "{parts[0]}" is not in LC_ALL=C order')
        table[parts[0]], previous = parts[1].strip(), key
    return table


def check_values(path: Path, tables: dict[str, dict[str, str]]) -> list[str]:
    defects = []
    people = set(tables["utt2spk"].values())
    genders = tables.get("spk2gender", {})
    defects += [f'{path}/spk2gender: {s} is "{g}", expected m or f' for s, g in genders.items() if g not in ("m", "f")]
    if genders:
        defects += [f'{path}/spk2gender: speaker "{s}" is missing' for s in sorted(people - genders.keys())]
    for utt, text in tables.get("utt2dur", {}).items():
        if not is_positive(text):
            defects.append(f'{path}/utt2dur: {utt} lasts "{text}", expected seconds above 0')
    return defects


def check_trials(path: Path, utt2spk: dict[str, str]) -> list[str]:
    from avsv.kaldi.trials import read_trials

    defects = []
    for file in sorted((path / "trials").glob("*")):
        try:
            trials = read_trials(file)
        except UserError as error:
            defects.append(str(error))
            continue
        unknown = sorted((set(trials.enroll_ids) | set(trials.test_ids)) - utt2spk.keys())
        if unknown:
            defects.append(f'{file}: {len(unknown)} utterances are not in utt2spk, such as "{unknown[0]}"')
    return defects


def is_positive(text: str) -> bool:
    try:
        return float(text) > 0
    except ValueError:
        return False


def fix(path: Path | str) -> tuple[int, int]:
    """Mend a data directory: sort, drop bad lines and utterances that lack a speaker or any medium.

    What it replaces is kept in `.backup/`.

    Returns
    -------
    (kept, before) : numbers of utterances

    Raises
    ------
    UserError : nothing would be left
    """
    path = Path(path)
    if not (path / "utt2spk").exists():
        raise UserError(f"{path}/utt2spk: there is no such file, so there is nothing to mend from")
    tables = {n: check_table(path / n, []) for n in ("utt2spk", "spk2gender", *BY_UTT) if (path / n).exists()}
    before = len(tables["utt2spk"])
    bad = {utt for utt, text in tables.get("utt2dur", {}).items() if not is_positive(text)}
    media = tables.get("wav.scp", {}).keys() | tables.get("video.scp", {}).keys()
    keep = {utt: spk for utt, spk in tables["utt2spk"].items() if utt in media and utt not in bad}
    if not keep:
        raise UserError(f"{path}: no utterance of {before} has a speaker and a sound or picture; nothing was changed")
    people = set(keep.values())
    backup = path / ".backup"
    backup.mkdir(exist_ok=True)
    for name, table in tables.items():
        shutil.copy2(path / name, backup / name)
        wanted = people if name == "spk2gender" else keep
        write_table(path / name, {key: value for key, value in table.items() if key in wanted})
    write_table(path / "spk2utt", invert(keep))
    return len(keep), before
