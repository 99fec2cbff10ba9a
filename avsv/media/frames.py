"""All frames of a video with their times, and the sound on the same clock: what synchrony is measured on."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.media.containers import open_container, time_zero
from avsv.media.images import upright, video_stream


def video_frames(path: Path | str) -> Iterator[tuple[float, np.ndarray]]:
    """Decode a video from its beginning to its end.

    Frames come at the times that the file gives them, whatever the frame rate does, and upright.

    Yields
    ------
    time in seconds on the clock that picture and sound share (clock.py) ; (height, width, 3) uint8 BGR

    Raises
    ------
    InputError : no such file, no picture in it, frames without a time, a file that cannot be decoded
    """
    import av

    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: there is no such file" if not path.exists() else f"{path}: is no video file")
    try:
        with open_container(path) as container:
            stream = video_stream(path, container)
            show = upright(path, stream)
            zero = time_zero(container)
            for frame in container.decode(stream):
                if frame.pts is None:
                    raise InputError(f"{path}: its frames have no times, so that sound and picture cannot be compared")
                time = float(frame.pts * frame.time_base) - zero
                if time >= 0 and not frame.is_corrupt:
                    yield time, show(frame)
    except MemoryError:  # one of ffmpeg's is an FFmpegError as well; the guard tells of it
        raise
    except (av.FFmpegError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as video: {getattr(error, 'strerror', None) or error}") from None
