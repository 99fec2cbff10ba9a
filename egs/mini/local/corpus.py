"""Generate the people and noises of the corpus in a pool of processes, and write the lists of the corpus."""

import multiprocessing
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from animation import FPS, film
from faces import Face, Look, draw_expression, draw_face, draw_look
from media import write_mp4
from noises import make_noises
from people import random_stream, traits_of
from portrait import draw_portrait
from tqdm import tqdm
from trials import meta_csv, person_ids, test_people, trial_list, video_id
from voices import RATE, Channel, Voice, draw_channel, draw_voice, mouth_opening, record, speak

SECONDS = (2.0, 4.0)  # of a clip
CRF = (24, 34)  # x264's quality, better to worse
AUDIO_BITS = (24_000, 32_000, 48_000)
HEADER = "\t".join(
    ["FRAME", "X", "Y", "W", "H"]
    + [f"{part}_{axis}" for part in ("LEFT_EYE", "RIGHT_EYE", "NOSE", "LEFT_MOUTH", "RIGHT_MOUTH") for axis in "XY"]
)


@dataclass(frozen=True)
class Job:
    """A unit of work for one process: a person (kind "person") or a kind of noise."""

    folder: Path
    seed: int
    kind: str
    number: int = 0
    clips: int = 0
    name: str = ""
    part: str = ""
    show: float = 1.0  # visibility of traits in the face, see draw_face


def sessions_of(clips: int) -> list[int]:
    """Return the session of each clip: two clips per session, at least two sessions (required by target trials).

    Examples
    --------
    >>> sessions_of(8), sessions_of(2)
    ([0, 0, 1, 1, 2, 2, 3, 3], [0, 1])
    """
    sessions = max(2, (clips + 1) // 2)
    return [clip * sessions // clips for clip in range(clips)]


def make(job: Job) -> list[tuple[str, str, str]]:
    """Run one job; return its clips as (person, video, file name)."""
    if job.kind != "person":
        make_noises(job.folder, job.seed, job.kind)
        return []
    traits = traits_of(job.seed, job.number)
    voice = draw_voice(traits, random_stream(job.seed, "voice", job.number))
    face = draw_face(traits, random_stream(job.seed, "face", job.number), job.show)
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


def make_clip(folder: Path, place: Path, voice: Voice, channel: Channel, face: Face, look: Look,
              rng: np.random.Generator) -> None:  # fmt: skip
    """Make mp4/PLACE.mp4 and txt/PLACE.txt below `folder`."""
    frames = round(rng.uniform(*SECONDS) * FPS)
    clean = speak(voice, channel.drift, frames / FPS, rng)
    waveform = record(clean, channel, rng)
    portrait = draw_portrait(face, look, draw_expression(face, rng))
    rows = [HEADER]

    opening = mouth_opening(clean, frames)

    def images():
        for number, (image, box, points) in enumerate(film(portrait, look, face.skin, opening, rng)):
            rows.append("\t".join([f"{number:06d}", *(f"{v:.1f}" for v in box), *(f"{v:.1f}" for v in points.ravel())]))
            yield image

    crf, bits = int(rng.integers(CRF[0], CRF[1] + 1)), int(rng.choice(AUDIO_BITS))
    write_mp4(folder / "mp4" / place.with_suffix(".mp4"), images(), FPS, waveform, RATE, crf, bits)
    text = folder / "txt" / place.with_suffix(".txt")
    text.parent.mkdir(parents=True, exist_ok=True)
    text.write_text("\n".join(rows) + "\n")


def jobs_of(folder: Path, people: int, clips: int, seed: int, show: float) -> list[Job]:
    """Return all jobs in a fixed order."""
    ids, first_test = person_ids(seed, people), people - test_people(people)
    work = [Job(folder, seed, kind) for kind in ("speech", "music", "noise", "rooms")]
    for i, name in enumerate(ids):
        work.append(Job(folder, seed, "person", i, clips, name, "test" if i >= first_test else "dev", show))
    return work


def start_worker() -> None:
    """Leave Ctrl-C to the parent, and the second core to the other worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    cv2.setNumThreads(1)


def make_all(folder: Path, people: int, clips: int, seed: int, show: float, processes: int) -> None:
    """Make the whole corpus in `folder`."""
    work = jobs_of(folder, people, clips, seed, show)
    # Each person gets a new process because espeak-ng keeps state between utterances (see espeak.py). A server that
    # has already loaded the large packages forks them.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["av", "cv2", "scipy.signal", "soxr", "soundfile", "espeakng_loader", "tqdm"])
    test_clips = []
    with context.Pool(processes, initializer=start_worker, maxtasksperchild=1) as pool:
        quiet = not sys.stderr.isatty()
        results = tqdm(pool.imap(make, work), "people and noises", len(work), disable=quiet, unit="job")
        for job, clips_made in zip(work, results, strict=True):
            if job.part == "test":
                test_clips += clips_made
    persons = [job for job in work if job.kind == "person"]
    genders = [traits_of(seed, job.number).gender for job in persons]
    names = [job.name for job in persons]
    (folder / "vox2_meta.csv").write_text(meta_csv(names, genders, [job.part for job in persons]))
    gender_of = dict(zip(names, genders, strict=True))
    (folder / "test" / "veri_test2.txt").write_text(trial_list(test_clips, gender_of, seed))
