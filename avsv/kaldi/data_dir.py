"""Data directories in Kaldi's form.

    wav.scp     utt  path of the waveform (wav, flac, m4a, mp4), or Kaldi's `command |`
    segments    utt  recording, start, end; wav.scp then lists recordings (segments.py); videos are not cut
    video.scp   utt  path of a video, or of a folder of images
    utt2spk, spk2utt, spk2gender, utt2vid (session), utt2dur (seconds), utt2modality (both | voice | face)
    feats.scp, vad.scp, faces.scp (with utt2face_score, utt2face_size), landmarks.scp, utt2damage, mouths.scp,
                utt2speaking, trials/LIST, where present
    utt2labelled (yes | no, absent if all are yes), utt2file (original file), spk2name: of avsv prepare

An utterance is a clip of one person. It may have audio only or video only; `utt2modality` says which.
The speaker of an utterance that `utt2labelled` calls unlabelled is the utterance itself: nobody knows who it is.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from avsv.errors import InputError
from avsv.jobs.files import replaced_together
from avsv.kaldi.decimals import number_or_nan
from avsv.kaldi.segments import TO_THE_END, Segment, Source, cut_recordings, segment_line
from avsv.kaldi.tables import invert, read_table, write_table

log = logging.getLogger("avsv")
BY_UTT = ("wav.scp", "segments", "video.scp", "utt2vid", "utt2dur", "utt2num_frames", "utt2modality", "feats.scp",
          "vad.scp", "faces.scp", "utt2face_score", "utt2face_size", "landmarks.scp", "utt2damage", "mouths.scp",
          "utt2speaking", "utt2labelled", "utt2file")  # fmt: skip
TWO_FIELDS = ("utt2spk", "utt2vid", "utt2dur", "utt2num_frames", "utt2modality", "utt2labelled", "spk2gender")


@dataclass(frozen=True)
class DataDir:
    """A data directory in memory; every dict goes from utterance to value.

    `wav` holds paths; if the directory has a file `segments`, parts of recordings.
    """

    path: Path
    utt2spk: dict[str, str]
    wav: dict[str, Source] = field(default_factory=dict)
    video: dict[str, str] = field(default_factory=dict)

    @property
    def utts(self) -> list[str]:
        return list(self.utt2spk)

    def table(self, name: str) -> dict[str, str]:
        """Another table of the directory; empty if the file is absent."""
        return read_table(self.path / name) if (self.path / name).exists() else {}

    def seconds(self) -> dict[str, float]:
        """Lengths from `utt2dur`, otherwise from `segments`; InputError if one is not a number above 0."""
        lengths = {utt: source.end - source.start for utt, source in self.wav.items()
                   if isinstance(source, Segment) and source.end != TO_THE_END}  # fmt: skip
        for utt, text in self.table("utt2dur").items():
            if not is_positive(text):
                raise InputError(f'{self.path}/utt2dur: {utt} lasts "{text}", expected seconds above 0')
            lengths[utt] = float(text)
        return lengths


def read_data_dir(path: Path | str, media: tuple[str, ...] = ("wav.scp", "video.scp")) -> DataDir:
    """Read `utt2spk`, `wav.scp` with `segments`, and `video.scp`.

    Parameters
    ----------
    media : which of the two tables to read; audio-only commands need not read a million lines of the other

    Raises
    ------
    InputError : no such folder, no utt2spk, no utterance, none of `media`, an utterance without a speaker, or a video
        that is the whole recording of a segment
    """
    path = Path(path)
    if not path.is_dir():
        raise InputError(f"{path}: no such data directory")
    utt2spk = read_table(path / "utt2spk", fields=2, shape="utterance speaker")
    if not utt2spk:
        raise InputError(f"{path}/utt2spk: is empty, expected one utterance a line")
    data = DataDir(path, utt2spk)
    cut = (path / "segments").exists()
    wav = data.table("wav.scp") if "wav.scp" in media or cut else {}
    if cut:
        wav = cut_recordings(path / "segments", wav)
    video = data.table("video.scp") if "video.scp" in media else {}
    for name, table in (("segments" if cut else "wav.scp", wav), ("video.scp", video)):
        if not table.keys() <= utt2spk.keys():
            utt = next(utt for utt in table if utt not in utt2spk)
            if name == "video.scp" and any(utt == part.recording for part in wav.values() if cut):
                raise InputError(f'{path}/video.scp: "{utt}" is a recording, and segments cuts audio only. Name the '
                                f"video of each utterance, or remove video.scp")  # fmt: skip
            raise InputError(f'{path}/{name}: "{utt}" is not in {path}/utt2spk. Fix the table, or run: avsv fix {path}')
    if cut:
        refuse_uncut(path, wav, video)
    data.wav.update(wav if "wav.scp" in media else {})
    data.video.update(video)
    if not data.wav and not data.video:
        raise InputError(f"{path}: has no entries in {' or '.join(media)}")
    return data


def refuse_uncut(path: Path, wav: dict[str, Segment], video: dict[str, str]) -> None:
    """InputError if the video of an utterance is the whole recording that its segment is part of."""
    for utt, file in video.items():
        if utt in wav and wav[utt].path == file and (wav[utt].start, wav[utt].end) != (0, TO_THE_END):
            raise InputError(f"{path}/video.scp: {utt} has the whole video {file}, and segments cuts its audio "
                            f"only. Cut the videos (ffmpeg -ss START -to END), or remove video.scp")  # fmt: skip


def write_data_dir(path: Path | str, tables: dict[str, dict[str, Source]]) -> None:
    """Write a new data directory from its tables; `spk2utt` and `utt2modality` follow from the others.

    Segments in "wav.scp" become the table `segments` and a wav.scp of their recordings.
    """
    path = Path(path)
    parts = {utt: source for utt, source in tables.get("wav.scp", {}).items() if isinstance(source, Segment)}
    wav, video = tables.get("wav.scp", {}), tables.get("video.scp", {})
    states = {(True, True): "both", (True, False): "voice", (False, True): "face"}
    modality = {utt: states[utt in wav, utt in video] for utt in tables["utt2spk"]}
    if parts:
        lines = {utt: segment_line(part) for utt, part in parts.items()}
        tables = {**tables, "segments": lines, "wav.scp": {part.recording: part.path for part in parts.values()}}
    tables = {**tables, "utt2modality": modality, "spk2utt": invert(tables["utt2spk"])}
    # the `segments` of an earlier set would cut these recordings
    with replaced_together(path / "utt2spk", path / "segments", *stale_tables(path, tables)):
        for name, table in tables.items():
            write_table(path / name, table)
    counts = {state: sum(m == state for m in modality.values()) for state in states.values()}
    known = {spk for utt, spk in tables["utt2spk"].items() if tables.get("utt2labelled", {}).get(utt) != "no"}
    log.info("%s: %d clips of %d people: %d with voice and face, %d voice only, %d face only", path, len(modality),
             len(known), counts["both"], counts["voice"], counts["face"])  # fmt: skip


def stale_tables(path: Path, tables: Mapping[str, Mapping[str, Source]]) -> list[Path]:
    """Tables of an earlier set made from other clips or media: aligned faces, features, lengths.

    Empty if the media are the same. Tables that are about to be replaced are not listed.
    """
    media = ("utt2spk", "wav.scp", "segments", "video.scp")
    before = {name: read_table(path / name) for name in media if (path / name).exists()}
    if all(before[name] == tables.get(name, {}) for name in before):
        return []
    return [path / name for name in sorted({*BY_UTT, *before} - tables.keys())]


def refuse_unlabelled(utt2spk: Path | str, utts: Iterable[str]) -> None:
    """InputError if the speaker of an utterance is unknown, by the table `utt2labelled` beside `utt2spk`.

    For everything that learns from the speakers of recordings: an unlabelled recording may be of anybody.
    """
    table = Path(utt2spk).with_name("utt2labelled")
    if not table.exists():
        return
    labelled = read_table(table, fields=2, shape="utterance yes|no")
    if unknown := [utt for utt in utts if labelled.get(utt) == "no"]:
        raise InputError(f"{table}: the people of {len(unknown)} recordings are unknown, such as {unknown[0]}; use the "
                        "labelled ones alone, as nothing can be learnt from unknown people")  # fmt: skip


def is_positive(text: str) -> bool:
    return 0 < number_or_nan(text) < float("inf")
