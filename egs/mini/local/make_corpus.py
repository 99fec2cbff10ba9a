#!/usr/bin/env python3
"""Make the corpus of the mini recipe: talking people who do not exist, laid out as VoxCeleb2, MUSAN and RIRS_NOISES are."""

import argparse
import json
import multiprocessing
import shutil
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import faces
import numpy as np
import voices
from animation import FPS, film
from faces import draw_expression, draw_face, draw_look
from media import write_mp4
from noises import FILES, make_noises
from people import random_stream, traits_of
from portrait import draw_portrait
from tqdm import tqdm
from trials import meta_csv, person_ids, test_people, trial_list, video_id
from voices import RATE, draw_channel, draw_voice, mouth_opening, record, speak

SECONDS = (2.0, 4.0)  # of a clip
CRF = (24, 34)  # x264's quality, better to worse
AUDIO_BITS = (24_000, 32_000, 48_000)
SETTINGS = "corpus.json"  # written last: a folder that has it is complete
KNOBS = {
    voices: ("VOICE_SPREAD", "VOICE_DRIFT", "SESSION_SPREAD", "NOISE_DB"),
    faces: ("FACE_SPREAD", "FACE_DRIFT", "LIGHT_SPREAD", "POSE_SPREAD", "DISGUISE"),
}
HEADER = "FRAME\tX\tY\tW\tH\tLEFT_EYE_X\tLEFT_EYE_Y\tRIGHT_EYE_X\tRIGHT_EYE_Y\tNOSE_X\tNOSE_Y\tLEFT_MOUTH_X\tLEFT_MOUTH_Y\tRIGHT_MOUTH_X\tRIGHT_MOUTH_Y"


class UserError(Exception):
    """Something that the user can put right; the message says how."""


@dataclass(frozen=True)
class Job:
    """One piece of work for one process: a person (kind "person") or a file of noise."""

    folder: Path
    seed: int
    kind: str
    number: int
    clips: int = 0
    name: str = ""
    part: str = ""


def sessions_of(clips: int) -> list[int]:
    """Return each clip's session: two clips a session, but at least two sessions, which a target trial needs.

    Examples
    --------
    >>> sessions_of(8), sessions_of(2)
    ([0, 0, 1, 1, 2, 2, 3, 3], [0, 1])
    """
    sessions = max(2, (clips + 1) // 2)
    return [clip * sessions // clips for clip in range(clips)]


def make(job: Job) -> list[tuple[str, str, str]]:
    """Do a piece of work; return the clips made, as (person, video, file name)."""
    if job.kind != "person":
        make_noises(job.folder, job.seed, job.kind, job.number)
        return []
    traits = traits_of(job.seed, job.number)
    voice = draw_voice(traits, random_stream(job.seed, "voice", job.number))
    face = draw_face(traits, random_stream(job.seed, "face", job.number))
    made, last = [], -1
    for clip, session in enumerate(sessions_of(job.clips)):
        if session != last:
            rng = random_stream(job.seed, "clips", job.number, session)
            video, take, last = video_id(rng), 0, session
            channel, look = draw_channel(rng), draw_look(face, traits, rng)
        take += 1
        rng = random_stream(job.seed, "clips", job.number, session, clip)
        place = Path(job.name, video, f"{take:05d}")
        make_clip(job.folder / job.part, place, voice, channel, face, look, rng)
        made.append((job.name, video, f"{take:05d}.mp4"))
    return made


def make_clip(folder: Path, place: Path, voice, channel, face, look, rng: np.random.Generator) -> None:
    """Make mp4/PLACE.mp4 and txt/PLACE.txt below `folder`."""
    frames = round(rng.uniform(*SECONDS) * FPS)
    clean = speak(voice, channel.drift, frames / FPS, rng)
    sound = record(clean, channel, rng)
    portrait = draw_portrait(face, look, draw_expression(face, rng))
    rows = [HEADER]

    def pictures():
        for number, (picture, box, points) in enumerate(film(portrait, look, face.skin, mouth_opening(clean, frames), rng)):
            rows.append("\t".join([f"{number:06d}", *(f"{v:.1f}" for v in box), *(f"{v:.1f}" for v in points.ravel())]))
            yield picture

    crf, bits = int(rng.integers(CRF[0], CRF[1] + 1)), int(rng.choice(AUDIO_BITS))
    write_mp4(folder / "mp4" / place.with_suffix(".mp4"), pictures(), FPS, sound, RATE, crf, bits)
    text = folder / "txt" / place.with_suffix(".txt")
    text.parent.mkdir(parents=True, exist_ok=True)
    text.write_text("\n".join(rows) + "\n")


def jobs_of(folder: Path, people: int, clips: int, seed: int) -> list[Job]:
    """Return all work, in a fixed order."""
    ids, first_test = person_ids(seed, people), people - test_people(people)
    work = [Job(folder, seed, "person", i, clips, ids[i], "test" if i >= first_test else "dev") for i in range(people)]
    work += [Job(folder, seed, kind, i) for kind in ("noise", "music", "speech") for i in range(FILES)]
    return [*work, Job(folder, seed, "rooms", 0)]


def start_worker() -> None:
    """Leave Ctrl-C to the parent, and the second core to the other worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    cv2.setNumThreads(1)


def make_all(folder: Path, people: int, clips: int, seed: int, processes: int) -> None:
    """Make the whole corpus in `folder`."""
    work = jobs_of(folder, people, clips, seed)
    # A fresh process for each person, because espeak-ng remembers what it said before (see espeak.py); forked by a server
    # that has already loaded the large packages.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["av", "cv2", "numpy", "scipy.signal", "soxr", "soundfile", "espeakng_loader", "tqdm"])
    test_clips = []
    with context.Pool(processes, initializer=start_worker, maxtasksperchild=1) as pool:
        results = tqdm(pool.imap(make, work), "people and noises", len(work), disable=not sys.stderr.isatty(), unit="job")
        for job, clips_made in zip(work, results, strict=True):
            if job.part == "test":
                test_clips += clips_made
    persons = [job for job in work if job.kind == "person"]
    sexes = [traits_of(seed, job.number).sex for job in persons]
    names = [job.name for job in persons]
    (folder / "vox2_meta.csv").write_text(meta_csv(names, sexes, [job.part for job in persons]))
    (folder / "test" / "veri_test2.txt").write_text(trial_list(test_clips, dict(zip(names, sexes, strict=True)), seed))


def settings_of(people: int, clips: int, seed: int) -> dict:
    """Return what decides the corpus, knobs included, so that a folder made otherwise is not taken for this one."""
    knobs = {name: getattr(module, name) for module, names in KNOBS.items() for name in names}
    settings = {"people": people, "clips": clips, "seed": seed, "knobs": knobs}
    return json.loads(json.dumps(settings))  # tuples become lists, as they are when read back


def already_made(out: Path, settings: dict) -> bool:
    """Tell whether `out` is this very corpus, complete; an error if something else is in the way."""
    if not out.exists():
        return False
    if not out.is_dir():
        raise UserError(f"{out} is a file, not a folder: choose another name")
    if not (out / SETTINGS).is_file():
        if any(out.iterdir()):
            raise UserError(f"{out} holds something that is no complete corpus: remove it or choose another folder")
        return False
    try:
        found = json.loads((out / SETTINGS).read_text())
    except ValueError:
        found = {}
    different = [key for key, value in settings.items() if found.get(key) != value]
    if different:
        raise UserError(f"{out} holds a corpus made with other {', '.join(different)}: remove it or choose another folder")
    return True


def run(args: argparse.Namespace) -> None:
    """Make the corpus beside its place and rename it when it is whole."""
    for name, value, least, most in (("people", args.people, 4, 5000), ("clips", args.clips, 2, 1000),
                                     ("seed", args.seed, 0, 2**63), ("jobs", args.jobs, 1, 1024)):  # fmt: skip
        if not least <= value <= most:
            raise UserError(f"--{name} is {value}: give a whole number from {least} to {most}")
    out, settings = args.out_dir.absolute(), settings_of(args.people, args.clips, args.seed)
    if already_made(out, settings):
        print(f"{args.out_dir}: complete, nothing to do")
        return
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".part", dir=out.parent))
    except OSError as error:
        raise UserError(f"{out.parent}: cannot write there ({error.strerror})") from None
    try:
        make_all(part, args.people, args.clips, args.seed, args.jobs)
        (part / SETTINGS).write_text(json.dumps(settings, indent=2) + "\n")
        part.chmod(0o755)  # mkdtemp's own is for one user only
        part.rename(out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    print(f"{args.out_dir}: {args.people} people, {args.clips} clips each")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="example: python local/make_corpus.py corpus --people 72 --clips 8 --jobs 2"
    )
    parser.add_argument("out_dir", type=Path, metavar="OUT_DIR", help="the corpus; it appears when it is complete")
    parser.add_argument("--people", type=int, default=72, help="two thirds for training, one third for test (default 72)")
    parser.add_argument("--clips", type=int, default=8, help="of each person, two a session (default 8)")
    parser.add_argument("--seed", type=int, default=0, help="another seed makes other people (default 0)")
    parser.add_argument("--jobs", type=int, default=2, help="processes; the files are the same with any number (default 2)")
    return parser.parse_args()


def main() -> int:
    """Run; a user's mistake is one line on stderr and status 1."""
    args = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what is half made is removed
    try:
        run(args)
    except UserError as error:
        print(f"make_corpus.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("make_corpus.py: interrupted, nothing kept", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
