"""Random crops of speech as log mel spectrograms, for training the voice-to-face networks."""

import logging

import numpy as np

from avsv.errors import InputError
from avsv.jobs.progress import progress
from avsv.kaldi.segments import Source
from avsv.media.decoder_process import guarded
from avsv.media.waveforms import read_waveform
from avsv.systems.voice_to_face.speech_features import normalise_bands, speech_frames, take_frames

log = logging.getLogger("avsv")
MOST_BAD = 0.05  # share of the recordings that may be unusable


def read_normalised(path: Source, allow_pipes: bool = False) -> np.ndarray:
    """Read speech and normalise each band over the whole recording, (t, 64) float32."""
    return normalise_bands(read_speech(path, allow_pipes)).T


def read_speech(path: Source, allow_pipes: bool = False) -> np.ndarray:
    """Read the speech frames of a recording, (t, 64) float32; InputError names a recording with too few."""
    try:
        return speech_frames(guarded(read_waveform, path, 16000, allow_pipes))
    except InputError as error:
        raise InputError(str(error) if str(error).startswith(str(path)) else f"{path}: {error}") from None


class SpeechStore:
    """Normalised spectrograms for random crops, cached in memory (16 bits) up to a limit, else computed on demand.

    Parameters
    ----------
    paths : recordings, in the order of preference for the cache
    max_mib : memory for frames in MiB, shared with worker processes that are forked later
    allow_pipes : run commands, see `read_waveform`

    Raises
    ------
    InputError : more than 5 % of the recordings are unusable
    """

    def __init__(self, paths: list[str], max_mib: float, allow_pipes: bool = False):
        self.allow_pipes = allow_pipes
        self.kept: dict[str, np.ndarray] = {}
        self.bad: dict[str, str] = {}
        left = max_mib * 2**20
        for path in progress(paths, "reading speech"):
            if left <= 0:
                log.info("cache_mib=%g: cached %d of %d recordings", max_mib, len(self.kept), len(paths))
                break
            try:
                self.kept[path] = read_normalised(path, allow_pipes).astype(np.float16)
            except InputError as error:
                self.bad[path] = str(error)
                continue
            left -= self.kept[path].nbytes
        for reason in self.bad.values():
            log.warning("left out: %s", reason)
        if len(self.bad) > MOST_BAD * len(paths):
            raise InputError(f"{len(self.bad)} of {len(paths)} recordings are unusable; the first: "
                            f"{next(iter(self.bad.values()))}")  # fmt: skip

    def crop(self, path: str, begin: float, n_frames: int) -> np.ndarray:
        """Crop `n_frames` of the normalised spectrogram at `begin`, 0 to 1 of its length; (64, n_frames) float32."""
        frames = self.kept[path] if path in self.kept else read_normalised(path, self.allow_pipes)
        return np.ascontiguousarray(take_frames(frames, begin, n_frames).T, np.float32)

    def crop_of_any(self, paths: list[str], begin: float, n_frames: int) -> np.ndarray:
        """Crop the first usable of several recordings; the log names the unusable ones before it."""
        for path in paths:
            try:
                return self.crop(path, begin, n_frames)
            except InputError as error:
                log.warning("left out: %s", error)
        raise InputError(f"all {len(paths)} recordings of a person are unusable; the first: {paths[0]}")
