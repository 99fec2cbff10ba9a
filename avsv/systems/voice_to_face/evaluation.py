"""Evaluation of a voice-to-face generator on unseen people, from data directory to results and a grid of faces."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from avsv.embeddings.face import FaceEmbedder
from avsv.errors import InputError
from avsv.features.faces import SIDE, read_faces
from avsv.jobs.progress import progress
from avsv.kaldi.data_dir import DataDir
from avsv.media.decoder_process import guarded
from avsv.media.waveforms import read_waveform
from avsv.systems.voice_to_face.face_grid import choose_people, face_grid
from avsv.systems.voice_to_face.generated_faces import FaceGenerator
from avsv.systems.voice_to_face.measures import Faces, measure_lengths
from avsv.systems.voice_to_face.speech_features import FRAMES_PER_SECOND, speech_frames
from avsv.systems.voice_to_face.training import small_face
from avsv.training.labels import aligned_faces

log = logging.getLogger("avsv")


@dataclass(frozen=True)
class Speech:
    """The speech of one video.

    video, person : names
    frames : (t, 64) log mel energies of the speech of its clips, concatenated
    """

    video: str
    person: str
    frames: np.ndarray


def read_speech_of_videos(data: DataDir) -> tuple[list[Speech], int]:
    """Read the speech of each video, with its clips in the order of their names.

    A clip that utt2vid does not list forms a separate video.

    Returns
    -------
    videos in the order of their names ; number of unusable clips, which the log names
    """
    clips: dict[str, list[np.ndarray]] = {}
    utt2vid, people, n_bad = data.table("utt2vid"), {}, 0
    for utt in progress(sorted(data.wav, key=str.encode), "read speech"):
        try:
            frames = speech_frames(guarded(read_waveform, data.wav[utt]))
        except InputError as error:
            n_bad += 1
            log.warning("left out %s: %s", utt, error)
            continue
        video = utt2vid.get(utt, utt)
        clips.setdefault(video, []).append(frames)
        people[video] = data.utt2spk[utt]
    return [Speech(video, people[video], np.concatenate(clips[video])) for video in sorted(clips)], n_bad


@dataclass(frozen=True)
class Probes:
    """Videos to generate faces from, and counts of those left out."""

    videos: list[Speech]
    n_bad_clips: int
    n_short_videos: int
    n_without_face: int

    @property
    def people(self) -> list[str]:
        return [video.person for video in self.videos]

    def counts(self) -> dict[str, int]:
        return {"n_people": len(set(self.people)), "n_videos": len(self.videos), "n_bad_clips": self.n_bad_clips,
                "n_short_videos": self.n_short_videos, "n_without_face": self.n_without_face}  # fmt: skip


def choose_probes(data: DataDir, seen: set[str], seconds: float) -> Probes:
    """Choose videos with at least `seconds` of speech of people with a face; the log names the others.

    Parameters
    ----------
    seen : people with a face

    Raises
    ------
    InputError : fewer than 2 people remain
    """
    videos, n_bad = read_speech_of_videos(data)
    left, short, without = [], 0, 0
    for video in videos:
        if video.person not in seen:
            log.warning("left out %s: %s has no face", video.video, video.person)
            without += 1
        elif len(video.frames) < round(seconds * FRAMES_PER_SECOND):
            log.warning("left out %s: %.2f s of speech", video.video, len(video.frames) / FRAMES_PER_SECOND)
            short += 1
        else:
            left.append(video)
    probes = Probes(left, n_bad, short, without)
    log.info("%s: %s", data.path, ", ".join(f"{value} {name[2:]}" for name, value in probes.counts().items()))
    if len(set(probes.people)) < 2:
        raise InputError(f"{data.path}: expected at least 2 people with a face and {seconds:g} s of speech in a video, "
                        f"found {len(set(probes.people))}; evaluate shorter lengths")  # fmt: skip
    return probes


def draw_lengths(generator: FaceGenerator, videos: Iterable[Speech], seconds: Sequence[float]) -> np.ndarray:
    """Generate faces from the first seconds of each video's speech, and from all of it.

    Parameters
    ----------
    videos : n videos with at least the longest of these lengths
    seconds : lengths, in the order of the columns

    Returns
    -------
    (n, lengths + 1, 64, 64, 3) uint8 RGB, the last column from all of the speech
    """
    rows = []
    for video in progress(list(videos), "generate faces", unit="video"):
        lengths = [round(length * FRAMES_PER_SECOND) for length in seconds] + [len(video.frames)]
        rows.append(np.stack([generator.draw(video.frames[:n]) for n in lengths]))
    return np.stack(rows)


def read_small_faces(data: DataDir) -> tuple[list[str], np.ndarray]:
    """Read the middle face of each clip in faces.scp, at the generator's size; the log names unreadable clips.

    Returns
    -------
    people ; (n, 64, 64, 3) uint8 RGB
    """
    people, faces = [], []
    for utt, entry in progress(sorted(aligned_faces(data).items()), "read faces"):
        try:
            clip = read_faces(entry)
        except InputError as error:
            log.warning("left out %s: %s", utt, error)
            continue
        people.append(data.utt2spk[utt])
        faces.append(small_face(clip[len(clip) // 2])[:, :, ::-1])
    if not faces:
        raise InputError(f"{data.path}/faces.scp: expected readable faces, found none")
    return people, np.stack(faces)


def embed_small_faces(embedder: FaceEmbedder, faces: np.ndarray) -> np.ndarray:
    """Embed faces of the generator's size after enlarging them; real and generated faces are then equally sharp.

    Parameters
    ----------
    faces : (n, 64, 64, 3) uint8 RGB

    Returns
    -------
    (n, d) float32, not normalised
    """
    large = [cv2.resize(face[:, :, ::-1], (SIDE, SIDE), interpolation=cv2.INTER_CUBIC) for face in faces]
    return embedder.embed_faces(np.stack(large))


def evaluate_generator(generator: FaceGenerator, embedder: FaceEmbedder, data: DataDir, train: DataDir,
                       seconds: Sequence[float], n_people: int = 10,
                       intervals: bool = True) -> tuple[dict, np.ndarray]:  # fmt: skip
    """Generate faces of unseen people from several lengths of speech and measure them.

    Parameters
    ----------
    embedder : of the network that judges the faces
    data, train : unseen people, training people; both with faces.scp and spk2gender
    seconds : lengths of speech, shortest first
    n_people : rows of the grid of faces

    Returns
    -------
    results (`Probes.counts` and `measure_lengths`) ; grid of faces, (h, w, 3) uint8 RGB

    Raises
    ------
    InputError : a person is in both data directories, or fewer than 2 people have enough speech and a face
    """
    if both := sorted(set(data.utt2spk.values()) & set(train.utt2spk.values())):
        raise InputError(f"{data.path}: expected unseen people, found {len(both)} who are in {train.path} too, such as "
                         f"{both[0]}")  # fmt: skip
    people, images = read_small_faces(data)
    real = Faces(embed_small_faces(embedder, images), people)
    train_people, train_images = read_small_faces(train)
    train_faces = Faces(embed_small_faces(embedder, train_images), train_people)
    probes = choose_probes(data, set(people), seconds[-1])
    generated = draw_lengths(generator, probes.videos, seconds)
    titles = [*(f"{length:g} s" for length in seconds), "all"]
    faces = {title: Faces(embed_small_faces(embedder, generated[:, column]), probes.people)
             for column, title in enumerate(titles)}  # fmt: skip
    gender = {**train.table("spk2gender"), **data.table("spk2gender")}
    results = {**probes.counts(), **measure_lengths(faces, real, train_faces, gender, intervals)}
    first = {person: row for row, person in reversed(list(enumerate(probes.people)))}
    references = dict(zip(people, images, strict=True))
    chosen = choose_people(probes.people, gender, n_people)
    rows = [np.concatenate([generated[first[person]], references[person][None]]) for person in chosen]
    return results, face_grid(rows, [f"{person} {gender[person]}" for person in chosen], [*titles, "real"])
