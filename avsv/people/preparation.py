"""Makes a data directory of a folder of media: what is in each file, who it is, and what is left out."""

import csv
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from avsv.errors import InputError, printable
from avsv.jobs.files import replaced_together, whole_file
from avsv.jobs.fingerprints import digest, stamp_files
from avsv.jobs.provenance import MadeFrom
from avsv.jobs.records import find_record
from avsv.jobs.run_log import MADE, note
from avsv.kaldi.data_dir import write_data_dir
from avsv.kaldi.segments import OVERSHOOT, TO_THE_END, Segment, Source
from avsv.media.waveforms import MOST_SAMPLES, SILENT
from avsv.people.duplicates import find_duplicates
from avsv.people.folders import Entry, Listing, list_media
from avsv.people.identifiers import UNKNOWN, person_id, recording_id, session_id
from avsv.people.inspection import Contents, inspect_all
from avsv.people.people_table import read_people_table

log = logging.getLogger("avsv")
SHORTEST = 0.5  # seconds of audio; less says next to nothing about a voice
LONG = 600.0  # seconds; a longer recording probably has several people
LONGEST = MOST_SAMPLES / 16000  # seconds that embed-voice reads
NO_MEDIA = "is no recording, video or image that avsv can read"
UNREADABLE = "cannot be read"
VOICES_ONLY = "segments of a video are voices only: cut the video to use its faces"
NOTHING = "has neither audio nor images"
SAME_NAME = "another file of the same name in this folder is used"
LEFT_OUT, MEMORY, LONG_ONES = "left_out.tsv", ".inspected.json", "needs_diarisation"


@dataclass(frozen=True)
class Prepared:
    """A data directory that was made, in numbers.

    modalities : "both", "voice" or "face" -> clips
    reasons : why something was left out -> how often; examples : the same -> a file
    long : recordings that need diarisation
    """

    n_clips: int
    n_people: int
    n_unlabelled: int
    seconds: float
    modalities: Mapping[str, int]
    reasons: Mapping[str, int] = field(default_factory=dict)
    examples: Mapping[str, str] = field(default_factory=dict)
    long: Sequence[str] = ()


@dataclass
class Clip:
    """An utterance: the entries that belong to it, and which of them serve as voice and as face."""

    entries: list[Entry]
    voice: Entry | None = None
    face: Entry | None = None


def prepare(
    folder: Path | str, out_dir: Path | str, table: Path | str | None = None, unlabelled: bool = False
) -> Prepared | None:
    """Make a data directory of a folder of media.

    Recordings, videos, images and folders of images are found by their content. Files of one name in one folder
    (take1.wav, take1.jpg) are one clip. An unknown person's recording is a person of its own, marked "no" in
    `utt2labelled`. `left_out.tsv` lists what is not used and why; `needs_diarisation` the recordings over ten minutes.

    Parameters
    ----------
    folder : media in folders by person, or in any order if there is a table or nobody is known
    table : csv or tsv: file, person, and others, see people_table.py
    unlabelled : folders do not name people

    Returns
    -------
    None if the directory is current

    Raises
    ------
    InputError : no such folder, a wrong table, or no file that can be used
    """
    folder, out_dir = Path(folder).absolute(), Path(out_dir)
    table = None if table is None else Path(table)
    listing = list_media(folder, out_dir, None if table is None else read_people_table(table), table, unlabelled)
    stamps = stamp_files(sorted({entry.path for entry in listing.entries}))
    seen = {"media": digest([sorted(stamps.items()), sorted(listing.left_out)])}
    if (out_dir / "utt2spk").exists() and find_record(out_dir)[1] is None:
        raise InputError(f"{out_dir}: is a data directory that avsv prepare did not make; give another one")
    made = MadeFrom("prepare", {"table": table}, {"folder": str(folder), "unlabelled": unlabelled}, values=seen)
    if made.is_current(out_dir):
        return None
    contents = inspect_all(stamps, stamps, out_dir / MEMORY)
    clips = find_clips(listing, contents, folder)
    if not clips:
        raise InputError(f"{folder}: has no recording, video or image that can be used; {excuse(listing, folder)}")
    tables, long = make_tables(clips, contents, folder)
    before = (find_record(out_dir)[1] or {}).get("outputs", {}) if out_dir.exists() else {}
    old = [out_dir / name for name in before if name not in {*tables, LEFT_OUT, LONG_ONES}]
    with replaced_together(out_dir / "utt2spk", *old):
        write_data_dir(out_dir, tables)
        with whole_file(out_dir / LEFT_OUT) as out:
            lines = csv.writer(out, "excel-tab", lineterminator="\n")
            lines.writerow(["file", "part", "reason", "detail"])
            lines.writerows([in_one_line(relative(path, folder)), part, reason, in_one_line(detail)]
                            for path, part, reason, detail in sorted(listing.left_out))  # fmt: skip
    names = [path.name for path in out_dir.iterdir() if path.is_file() and path.name in
             {*tables, "utt2modality", "spk2utt", "segments", "wav.scp", LEFT_OUT}]  # fmt: skip
    made.write_folder(out_dir, names)
    note(MADE, out_dir)
    return summarize(tables, listing, folder, long)


def find_clips(listing: Listing, contents: Mapping[str, Contents], folder: Path) -> dict[str, Clip]:
    """Utterance -> clip. What cannot be used goes to `listing`.

    Raises
    ------
    InputError : two names give one identifier, or two people
    """
    usable = []
    for entry in listing.entries:
        found = contents[entry.path]
        if not found.seconds and not found.n_images:
            listing.leave_out(entry.path, *why_useless(found))
        else:
            usable.append(entry)
    twins = find_duplicates(usable, contents)
    for path, (reason, twin) in twins.items():
        listing.leave_out(path, reason, relative(twin, folder))
    clips: dict[str, Clip] = {}
    names: dict[str, tuple] = {}
    people: dict[str, str] = {}
    for entry in sorted((one for one in usable if one.path not in twins), key=lambda one: one.path):
        person = person_id(entry.person) if entry.person else UNKNOWN
        if entry.person and people.setdefault(person, entry.person) != entry.person:
            raise InputError(f'the people "{people[person]}" and "{entry.person}" would both be {person}; rename one')
        utt = recording_id(person, entry.parts, entry.span)
        name = (entry.person, *entry.parts, entry.span)
        if names.setdefault(utt, name) != name:
            raise InputError(f"{entry.path} and {clips[utt].entries[0].path} would both be {utt}; rename one")
        clips.setdefault(utt, Clip([])).entries.append(entry)
    for clip in clips.values():
        choose_voice(clip, contents, listing, folder)
        choose_face(clip, contents, listing, folder)
    return {utt: clip for utt, clip in clips.items() if clip.voice or clip.face}


def why_useless(found: Contents) -> tuple[str, str]:
    """Why a file has neither audio nor images, in general and in detail."""
    if found.no_audio and found.no_images:
        return NO_MEDIA, found.no_audio
    return (UNREADABLE, found.no_audio or found.no_images) if found.no_audio or found.no_images else (NOTHING, "")


def choose_voice(clip: Clip, contents: Mapping[str, Contents], listing: Listing, folder: Path) -> None:
    """The audio of a clip: a recording rather than the audio of a video."""
    fit = []
    for entry in clip.entries:
        found = contents[entry.path]
        part = "voice" if found.n_images and entry.span is None else "all"  # its images may still serve
        if reason := unfit_audio(found, entry.span):
            listing.leave_out(entry.path, *reason, part)
        elif found.seconds:
            fit.append(entry)
    fit.sort(key=lambda entry: contents[entry.path].n_images > 0)
    if fit:
        clip.voice = fit[0]
        for other in fit[1:]:
            part = "voice" if contents[other.path].n_images else "all"
            listing.leave_out(other.path, SAME_NAME, relative(fit[0].path, folder), part)


def unfit_audio(found: Contents, span: tuple[float, float] | None) -> tuple[str, str] | None:
    """Why the audio of a file, or a segment of it, is of no use; None if it is, or if the file has none."""
    if found.no_audio:
        return UNREADABLE, found.no_audio
    if not found.seconds:
        return ("has no audio, but the table gives it a begin and an end", "") if span else None
    if found.peak <= SILENT:
        return "its audio is silent", ""
    begin, end = span or (0.0, TO_THE_END)
    if begin >= found.seconds or end >= found.seconds + OVERSHOOT:
        return "ends before the begin or end that the table gives", f"lasts {found.seconds:.3f} s"
    length = seconds_of(found, span)
    if length < SHORTEST:
        return f"its audio lasts less than {SHORTEST} s", f"lasts {length:.3f} s"
    if length > LONGEST:
        return (
            f"its audio lasts over {LONGEST / 60:.0f} minutes: cut it, or give segments in a table",
            f"lasts {length:.0f} s",
        )
    return None


def seconds_of(found: Contents, span: tuple[float, float] | None) -> float:
    """Length of the audio, or of a segment of it."""
    begin, end = span or (0.0, TO_THE_END)
    return (found.seconds if end == TO_THE_END else min(end, found.seconds)) - begin


def choose_face(clip: Clip, contents: Mapping[str, Contents], listing: Listing, folder: Path) -> None:
    """The images of a clip: a video rather than a folder of images or one image; segments of a video have none."""
    fit = []
    for entry in clip.entries:
        found = contents[entry.path]
        if found.n_images and entry.span is not None:
            listing.leave_out(entry.path, VOICES_ONLY, part="face")
        elif found.n_images:
            fit.append(entry)
        elif found.no_images and found.seconds:
            listing.leave_out(entry.path, UNREADABLE, found.no_images, "face")
    fit.sort(key=lambda entry: -contents[entry.path].n_images)
    if fit:
        clip.face = fit[0]
        for other in fit[1:]:
            part = "face" if contents[other.path].seconds else "all"
            listing.leave_out(other.path, SAME_NAME, relative(fit[0].path, folder), part)


def make_tables(
    clips: Mapping[str, Clip], contents: Mapping[str, Contents], folder: Path
) -> tuple[dict[str, dict[str, Source]], list[str]]:
    """The tables of the data directory, and the recordings that need diarisation."""
    tables: dict[str, dict[str, Source]] = {name: {} for name in ("utt2spk", "utt2file")}
    spk2gender: dict[str, str] = {}
    cut = any(clip.voice and clip.voice.span for clip in clips.values())
    n_unlabelled, long = 0, []
    for utt, clip in clips.items():
        main = clip.voice or clip.face
        spk = person_id(main.person) if main.person else utt
        n_unlabelled += not main.person
        row: dict[str, Source] = {"utt2spk": spk, "utt2file": relative(main.path, folder)}
        row["utt2labelled"] = "yes" if main.person else "no"
        if clip.face:
            row["video.scp"] = clip.face.path
        if clip.voice:
            row["wav.scp"] = source_of(clip.voice, utt, folder) if cut else clip.voice.path
            seconds = seconds_of(contents[clip.voice.path], clip.voice.span)
            row["utt2dur"] = f"{seconds:.3f}"
            if seconds > LONG:
                long.append(utt)
                row[LONG_ONES] = f"{seconds:.0f}"
        if main.session:
            row["utt2vid"] = session_id(main.session)
        for name, value in main.columns.items():
            row[f"utt2{name}"] = "_".join(value.split())
        if (gender := main.columns.get("gender")) and spk2gender.setdefault(spk, gender) != gender:
            raise InputError(f"{relative(main.path, folder)}: the gender of {main.person} is {gender} here, and "
                            f"{spk2gender[spk]} elsewhere in the table")  # fmt: skip
        if main.person:
            tables.setdefault("spk2name", {})[spk] = in_one_line(main.person)
        for name, value in row.items():
            tables.setdefault(name, {})[utt] = value
    if not n_unlabelled:
        del tables["utt2labelled"]
    if spk2gender.keys() == set(tables["utt2spk"].values()):  # Kaldi's table has everybody
        tables["spk2gender"] = spk2gender
    return tables, long


def source_of(entry: Entry, utt: str, folder: Path) -> Segment:
    """The segment of an entry; a whole file is one too, if others are cut."""
    if entry.span is None:
        return Segment(entry.path, 0.0, TO_THE_END, recording=utt)
    return Segment(entry.path, *entry.span, recording=recording_id("file-", [relative(entry.path, folder)]))


def relative(path: str, folder: Path) -> str:
    """A path below the folder of the media, or the path itself."""
    with suppress(ValueError):
        return str(Path(path).relative_to(folder))
    return path


def in_one_line(text: str) -> str:
    """Text with its control characters, line ends and tabs escaped.

    Examples
    --------
    >>> in_one_line("two\\nlines")
    'two\\\\nlines'
    """
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def excuse(listing: Listing, folder: Path) -> str:
    """What was found instead of media, for an error."""
    if not listing.left_out:
        return f"it is empty{' but for files of an operating system' if listing.n_hidden else ''}"
    path, _, reason, detail = min(listing.left_out)
    return f"{len(listing.left_out)} were left out, such as {relative(path, folder)}: {reason} {detail}".rstrip()


def summarize(tables: Mapping[str, Mapping], listing: Listing, folder: Path, long: list[str]) -> Prepared:
    """The numbers of a data directory."""
    reasons = Counter(reason for _, _, reason, _ in listing.left_out)
    examples = {reason: " ".join([relative(path, folder), *([f"({detail})"] if detail else [])])
                for path, _, reason, detail in sorted(listing.left_out, reverse=True)}  # fmt: skip
    utts, n_unlabelled = tables["utt2spk"], sum(value == "no" for value in tables.get("utt2labelled", {}).values())
    wav, video = tables.get("wav.scp", {}), tables.get("video.scp", {})
    modalities = Counter("both" if utt in wav and utt in video else "voice" if utt in wav else "face" for utt in utts)
    seconds = sum(map(float, tables.get("utt2dur", {}).values()))
    n_people = len(set(utts.values())) - n_unlabelled
    return Prepared(len(utts), n_people, n_unlabelled, seconds, modalities, reasons, examples, long)
