"""Faces drawn from voices by a finished training of `task: voice_to_face`."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from avsv.embeddings.face import FaceEmbedder
from avsv.errors import InputError
from avsv.features.faces import SIDE, read_faces
from avsv.jobs.progress import progress
from avsv.kaldi.data_dir import DataDir
from avsv.media.decoder_process import guarded
from avsv.media.waveforms import read_waveform
from avsv.models.checkpoint import fill_part
from avsv.models.device import pick_device
from avsv.systems.voice_to_face.networks import Generator, VoiceEmbedder, normalise_embeddings
from avsv.systems.voice_to_face.speech_features import FRAMES_A_SECOND, normalise_bands, speech_frames
from avsv.systems.voice_to_face.training import VoiceToFaceConfig, embedder_of, small_face, to_pixels, usable_faces
from avsv.training.checkpoints import load_weights, weights_file
from avsv.training.config import apply_schema, read_config

log = logging.getLogger("avsv")


class FaceDrawer:
    """Voice embedder and generator of an experiment.

    Parameters
    ----------
    exp_dir : of a finished training of task voice_to_face
    device : "cpu" or "cuda"

    Raises
    ------
    InputError : no such experiment, one that is not finished, or one of another task
    """

    def __init__(self, exp_dir: Path | str, device: str = "cpu"):
        weights = load_weights(exp_dir)
        path = Path(exp_dir) / "config.yaml"
        config = read_config(path, [])
        if config.get("task") != "voice_to_face":
            raise InputError(f"{exp_dir}: is a training of task {config.get('task')}, expected voice_to_face")
        config = apply_schema(config, VoiceToFaceConfig, path)
        self.device = pick_device(device)
        self.embedder: VoiceEmbedder = embedder_of(weights).to(self.device)
        size = self.embedder.layers[-1].out_channels
        self.generator = Generator(tuple(config.channels), size, config.batch_norm)
        part = "mean.module." if config.average_decay else "generator."
        fill_part(self.generator, weights, part, weights_file(exp_dir))
        self.generator.to(self.device).eval()

    @torch.no_grad()
    def draw(self, frames: np.ndarray) -> np.ndarray:
        """One face.

        Parameters
        ----------
        frames : (t, 64) log mel energies of speech, as `speech_frames` gives them

        Returns
        -------
        (64, 64, 3) uint8 RGB
        """
        mels = torch.from_numpy(normalise_bands(frames)).unsqueeze(0).to(self.device)
        return to_pixels(self.generator(normalise_embeddings(self.embedder(mels))))[0]


@dataclass(frozen=True)
class Speech:
    """What is said in one video.

    video, person : names
    frames : (t, 64) log mel energies of the speech of its clips, one after the other
    """

    video: str
    person: str
    frames: np.ndarray


def read_speech_of_videos(data: DataDir) -> tuple[list[Speech], int]:
    """Speech by video; the clips of one follow each other in the order of their names.

    A clip that is not in utt2vid is a video of its own.

    Returns
    -------
    videos in the order of their names ; number of clips that could not be used, named in the log
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
    """Videos to draw faces from, and how many could not be used."""

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
    """Videos of people who are seen with at least `seconds` of speech; the others are named in the log.

    Raises
    ------
    InputError : fewer than 2 people are left
    """
    videos, n_bad = read_speech_of_videos(data)
    left, short, without = [], 0, 0
    for video in videos:
        if video.person not in seen:
            log.warning("left out %s: there is no face of %s", video.video, video.person)
            without += 1
        elif len(video.frames) < round(seconds * FRAMES_A_SECOND):
            log.warning("left out %s: %.2f s of speech", video.video, len(video.frames) / FRAMES_A_SECOND)
            short += 1
        else:
            left.append(video)
    probes = Probes(left, n_bad, short, without)
    log.info("%s: %s", data.path, ", ".join(f"{value} {name[2:]}" for name, value in probes.counts().items()))
    if len(set(probes.people)) < 2:
        raise InputError(f"{data.path}: {len(set(probes.people))} people have a video with {seconds:g} s of speech, "
                        "and a face; at least 2 are needed: give shorter --seconds")  # fmt: skip
    return probes


def draw_lengths(drawer: FaceDrawer, videos: Iterable[Speech], seconds: Sequence[float]) -> np.ndarray:
    """Faces from the first seconds of videos' speech, and from all of it.

    Parameters
    ----------
    videos : n videos, each with at least the longest of these seconds
    seconds : lengths, in the order of the columns

    Returns
    -------
    (n, lengths + 1, 64, 64, 3) uint8 RGB, the last from all of the speech
    """
    rows = []
    for video in progress(list(videos), "draw faces", unit="video"):
        lengths = [round(length * FRAMES_A_SECOND) for length in seconds] + [len(video.frames)]
        rows.append(np.stack([drawer.draw(video.frames[:n]) for n in lengths]))
    return np.stack(rows)


def read_small_faces(data: DataDir) -> tuple[list[str], np.ndarray]:
    """The middle face of each clip in faces.scp at the size of drawn ones; what cannot be read is named in the log.

    Returns
    -------
    people ; (n, 64, 64, 3) uint8 RGB
    """
    people, faces = [], []
    for utt, entry in progress(sorted(usable_faces(data).items()), "read faces"):
        try:
            clip = read_faces(entry)
        except InputError as error:
            log.warning("left out %s: %s", utt, error)
            continue
        people.append(data.utt2spk[utt])
        faces.append(small_face(clip[len(clip) // 2])[:, :, ::-1])
    if not faces:
        raise InputError(f"{data.path}/faces.scp: none of its faces can be read")
    return people, np.stack(faces)


def embed_small_faces(embedder: FaceEmbedder, faces: np.ndarray) -> np.ndarray:
    """Embeddings of faces of the size that is drawn, enlarged: real and drawn ones are then equally sharp.

    Parameters
    ----------
    faces : (n, 64, 64, 3) uint8 RGB

    Returns
    -------
    (n, d) float32, not normalised
    """
    large = [cv2.resize(face[:, :, ::-1], (SIDE, SIDE), interpolation=cv2.INTER_CUBIC) for face in faces]
    return embedder.embed_faces(np.stack(large))
