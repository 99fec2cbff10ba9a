"""All frames of a video with their times, and the sound on the same clock: what synchrony is measured on."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from avsv.errors import UserError
from avsv.kaldi.segments import Segment, Source
from avsv.media.containers import open_container
from avsv.media.pictures import upright
from avsv.media.sound import SNDFILE_ENDINGS, read_sound


def video_frames(path: Path | str) -> Iterator[tuple[float, np.ndarray]]:
    """Decode a video from its beginning to its end.

    Frames come at the times that the file gives them, whatever the frame rate does, and upright.

    Yields
    ------
    time in seconds on the clock that picture and sound share ; (height, width, 3) uint8 BGR

    Raises
    ------
    UserError : no such file, no picture in it, frames without a time, a file that cannot be decoded
    """
    import av

    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: there is no such file" if not path.exists() else f"{path}: is no video file")
    try:
        with open_container(path) as container:
            if not container.streams.video:
                raise UserError(f"{path}: there is no picture in it")
            for frame in container.decode(container.streams.video[0]):
                if frame.pts is None:
                    raise UserError(f"{path}: its frames have no times, so that sound and picture cannot be compared")
                if not frame.is_corrupt:
                    yield float(frame.pts * frame.time_base), upright(frame)
    except (av.FFmpegError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as video: {getattr(error, 'strerror', None) or error}") from None


def sound_begins(path: Source) -> float:
    """When the first sample of a container is heard, seconds on the clock of its pictures; 0 for sound files."""
    import av

    if isinstance(path, Segment) or path.rstrip().endswith("|") or Path(path).suffix.lower() in SNDFILE_ENDINGS:
        return 0.0
    try:
        with open_container(path) as container:
            first = next(container.decode(container.streams.audio[0]), None)
            return float(first.pts * first.time_base) if first is not None and first.pts is not None else 0.0
    except (av.FFmpegError, ValueError, IndexError):  # read_sound tells what is wrong
        return 0.0


def timed_sound(path: Source, rate: int = 16000, allow_pipes: bool = False) -> np.ndarray:
    """Mono sound whose first sample is at time 0 of the clock of `video_frames`: filled up with silence, or cut.

    Parameters
    ----------
    path, rate, allow_pipes : as for `read_sound`

    Returns
    -------
    (n,) float32, full scale is 1

    Raises
    ------
    UserError : what `read_sound` raises
    """
    sound = read_sound(path, rate, allow_pipes)
    begin = round(sound_begins(path) * rate)
    return np.concatenate([np.zeros(begin, np.float32), sound]) if begin > 0 else sound[-begin:]
