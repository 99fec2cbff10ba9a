"""Audio and images of the report: short, small, each recording once, with file names that contain no data."""

import hashlib
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from avsv.errors import InputError
from avsv.features.audio_damage import damage_audio
from avsv.jobs.files import refuse_link, whole_file
from avsv.kaldi.damage import MISSING, read_damage
from avsv.kaldi.data_dir import DataDir, read_data_dir
from avsv.kaldi.segments import is_pipe
from avsv.media.decoder_process import guarded
from avsv.media.encoding import encode_audio, encode_thumbnail
from avsv.media.images import read_frames
from avsv.media.waveforms import read_waveform

log = logging.getLogger("avsv")
SECONDS, RATE = 10, 16000
SIDE = 160  # pixels, longer side of an image
OURS = re.compile(r"[0-9a-f]{16}\.(mp3|jpg)")


@dataclass(frozen=True)
class Clip:
    """A recording as shown in the report.

    person, gender : empty if unknown
    audio, image : paths relative to the report; None if absent
    notes : reasons for missing media, and the damage
    """

    name: str
    person: str = ""
    gender: str = ""
    audio: str | None = None
    image: str | None = None
    notes: tuple[str, ...] = ()


class MediaFolder:
    """Writes audio and images of the requested recordings.

    Parameters
    ----------
    out_dir : folder of the report; media go to its subfolder media/
    data : condition -> data directory; other conditions show names only
    """

    def __init__(self, out_dir: Path, data: Mapping[str, Path]):
        self.folder = refuse_link(out_dir / "media")
        self.sets = {condition: SourceTables(path) for condition, path in data.items()}
        self.written: dict[str, str] = {}  # file name -> the error, or ""
        self.clips: dict[tuple[str, str], Clip] = {}

    def clip(self, condition: str, name: str) -> Clip:
        """The audio and image of a recording, written to files."""
        key = (condition, name)
        if key not in self.clips:
            known = condition in self.sets and name in self.sets[condition].data.utt2spk
            self.clips[key] = self.make(self.sets[condition], name) if known else Clip(name)
        return self.clips[key]

    def make(self, tables: "SourceTables", name: str) -> Clip:
        person = tables.data.utt2spk[name]
        notes = []
        audio, image = self.audio(tables, name, notes), self.image(tables, name, notes)
        return Clip(name, person, tables.genders.get(person, ""), audio, image, tuple(notes))

    def audio(self, tables: "SourceTables", name: str, notes: list[str]) -> str | None:
        damage = tables.voice_damage.get(name)
        entry = tables.data.wav.get(name)
        if entry is None:
            return None
        if is_pipe(entry):
            notes.append("the audio comes from a command, which the report does not run")
            return None
        if damage:
            notes.append(f"voice: {describe_damage(damage)}, as played")
        file = file_name(f"sound {entry} {json.dumps(damage, sort_keys=True)}", "mp3")
        return self.write(file, lambda: audio_to_play(entry, damage), notes)

    def image(self, tables: "SourceTables", name: str, notes: list[str]) -> str | None:
        damage = tables.face_damage.get(name)
        entry = tables.data.video.get(name)
        if entry is None:
            return None
        if damage:
            notes.append(f"face in the test: {describe_damage(damage)}; shown undamaged")
        return self.write(file_name(f"picture {entry}", "jpg"), lambda: thumbnail(entry), notes)

    def write(self, file: str, encode, notes: list[str]) -> str | None:
        """Write a file once; returns its path in the report, or None after adding a note with the error."""
        if file not in self.written:
            try:
                content = encode()
                with whole_file(self.folder / file, "wb") as out:
                    out.write(content)
                self.written[file] = ""
            except InputError as error:
                log.warning("not in the report: %s", error)
                self.written[file] = str(error)
        if self.written[file]:
            notes.append(self.written[file])
            return None
        return f"media/{file}"

    def remove_old(self) -> None:
        """Remove media of an earlier report that this one does not use."""
        for path in self.folder.glob("*"):
            if OURS.fullmatch(path.name) and path.name not in self.written:
                path.unlink()


class SourceTables:
    """Tables of one condition's data directory."""

    def __init__(self, path: Path):
        self.data: DataDir = read_data_dir(path)
        self.genders = self.data.table("spk2gender")
        self.voice_damage = playable(read_damage(path, "voice"))
        self.face_damage = playable(read_damage(path, "face"))


def playable(damage: dict[str, dict]) -> dict[str, dict]:
    """Damage without missing modalities, which are absent from wav.scp or video.scp too."""
    return {utt: entry for utt, entry in damage.items() if entry["kind"] != MISSING}


def find_data(data_dir: Path | None, trials_dir: Path, conditions: list[str]) -> dict[str, Path]:
    """Condition -> data directory: SET for the clean condition, SET_CONDITION for others.

    Parameters
    ----------
    data_dir : SET; None for the parent folder of `trials_dir`, if that is a data directory

    Raises
    ------
    InputError : `data_dir` is given and is not a data directory
    """
    if data_dir is None:
        data_dir = trials_dir.resolve().parent
    elif not (data_dir / "utt2spk").is_file():
        raise InputError(f"{data_dir}: expected a data directory with utt2spk, wav.scp, video.scp")
    places = {name: data_dir if name == "clean" else Path(f"{data_dir}_{name}") for name in conditions}
    return {name: path for name, path in places.items() if is_data_dir(path)}


def is_data_dir(path: Path) -> bool:
    return (path / "utt2spk").is_file() and ((path / "wav.scp").is_file() or (path / "video.scp").is_file())


def file_name(content: str, ending: str) -> str:
    """A name that depends on the content alone, and contains no text from tables."""
    return f"{hashlib.sha256(content.encode()).hexdigest()[:16]}.{ending}"


def describe_damage(damage: Mapping) -> str:
    """Damage as text: its kind and its first number, the severity.

    Examples
    --------
    >>> describe_damage({"modality": "voice", "kind": "babble", "sources": [["a.wav", 0.5]], "snr": 4.2})
    'babble, snr 4.2'
    """
    numbers = [f", {key} {value:.3g}" for key, value in damage.items() if isinstance(value, int | float)]
    return f"{damage['kind']}{''.join(numbers[:1])}"


def audio_to_play(path: str, damage: Mapping | None) -> bytes:
    """The first seconds of a recording as MP3, which every browser plays, with the damage of the test applied."""
    audio = guarded(read_waveform, path, RATE)
    try:
        audio = damage_audio(audio, dict(damage)) if damage else audio
    except (KeyError, TypeError, ValueError, IndexError):
        raise InputError(f"{path}: invalid damage in utt2damage: {describe_damage(damage)}") from None
    return encode_audio(audio[: SECONDS * RATE], RATE, "MP3")


def thumbnail(path: str) -> bytes:
    """The middle frame of a clip as a small JPEG."""
    return encode_thumbnail(guarded(read_frames, path, 1)[0], SIDE)
