"""Finds out what a media file has: audio and its length, images and their number; for the decoder process."""

import os
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.jobs.inputs import regular_file
from avsv.media.containers import is_cover, open_container, unreadable
from avsv.media.decoding import look, pieces
from avsv.media.images import count_frames, read_frames
from avsv.media.still_images import ENDINGS, is_still
from avsv.media.waveforms import audio_duration, read_waveform

RATE = 16000  # Hz, of the encoders
WHOLE = 600.0  # seconds; of a longer recording, this much is decoded


def audio_contents(path: str) -> np.ndarray:
    """Length and peak of the audio of a file; the length is 0 if it has no audio track.

    A recording of up to ten minutes is decoded as `embed-voice` does; of a longer one, the header gives the length, and
    the first ten minutes the peak (further ones while these are silent).

    Returns
    -------
    (2,) float64: seconds; peak relative to full scale

    Raises
    ------
    InputError : the file is neither audio nor video, or its audio cannot be read

    Examples
    --------
    >>> import soundfile, tempfile
    >>> path = tempfile.mkdtemp() + "/a.wav"
    >>> soundfile.write(path, np.full(8000, 0.25), 16000)
    >>> audio_contents(path).tolist()
    [0.5, 0.25]
    """
    if is_still(regular_file(path)) or not (look(path, path).reader == "libsndfile" or has_stream(path, "audio")):
        return np.zeros(2)
    seconds = audio_duration(path)
    if seconds <= WHOLE:
        waveform = read_waveform(path, RATE)
        return np.array([len(waveform) / RATE, np.abs(waveform).max()])
    peak, heard = 0.0, 0.0
    for rate, piece in pieces(path, path, look(path, path)):
        if not np.isfinite(piece).all():
            raise InputError(f"{path}: the recording has NaN or infinite samples")
        peak, heard = max(peak, float(np.abs(piece).max(initial=0))), heard + len(piece) / rate
        if heard > WHOLE and peak > 0:
            break
    return np.array([seconds, peak])


def image_contents(path: str) -> np.ndarray:
    """Number and size of the images of a file or folder; (0, 0, 0) if it has no video track. One image is decoded.

    Returns
    -------
    (3,) float64: number of images; width and height of the middle one, pixels

    Raises
    ------
    InputError : the file is neither audio nor video nor an image, or its images cannot be read

    Examples
    --------
    >>> import cv2, tempfile
    >>> path = tempfile.mkdtemp() + "/a.png"
    >>> _ = cv2.imwrite(path, np.zeros((4, 6, 3), np.uint8))
    >>> image_contents(path).tolist()
    [1.0, 6.0, 4.0]
    """
    if os.path.isdir(path):
        n_images = len([name for name in os.listdir(path) if is_image_name(name)])
    elif is_still(regular_file(path)):
        n_images = 1
    elif look(path, path).reader == "libsndfile" or not has_stream(path, "video"):
        return np.zeros(3)
    else:
        n_images = count_frames(path)
    (image,) = read_frames(path, 1)
    return np.array([n_images, image.shape[1], image.shape[0]], float)


def is_image_name(name: str) -> bool:
    """Whether a file counts as an image of a folder, by its name."""
    return Path(name).suffix.lower() in ENDINGS and not name.startswith(".")


def has_stream(path: str, kind: str) -> bool:
    """Whether a media file has an audio or a video track; a cover image is none.

    Raises
    ------
    InputError : ffmpeg cannot read it
    """
    import av

    try:
        with open_container(path) as container:
            return any(stream.type == kind and not is_cover(stream) for stream in container.streams)
    except MemoryError:  # the decoder process reports it
        raise
    except (av.FFmpegError, ValueError) as error:
        raise unreadable(path, "audio or video", error) from None
