"""All frames of a video with their times, on the same clock as the audio; synchrony is measured on these."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.media.containers import open_container, time_zero, unreadable
from avsv.media.images import upright, video_stream


def video_frames(path: Path | str) -> Iterator[tuple[float, np.ndarray]]:
    """Decode a whole video.

    Frames are upright and carry the times that the file gives them; the frame rate may vary.

    Yields
    ------
    time in seconds on the common clock of audio and video (clock.py) ; (height, width, 3) uint8 BGR

    Raises
    ------
    InputError : no such file, no video stream, frames without time stamps, or a decoding error
    """
    import av

    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: is not a video file" if path.exists() else f"{path}: no such file")
    try:
        with open_container(path) as container:
            stream = video_stream(path, container)
            show = upright(path, stream)
            zero = time_zero(container)
            for frame in container.decode(stream):
                if frame.pts is None:
                    raise InputError(f"{path}: its frames have no time stamps, so audio and video cannot be aligned")
                time = float(frame.pts * frame.time_base) - zero
                if time >= 0 and not frame.is_corrupt:
                    yield time, show(frame)
    except MemoryError:  # ffmpeg's MemoryError is also an FFmpegError; the decoder process reports it
        raise
    except (av.FFmpegError, ValueError) as error:
        raise unreadable(path, "video", error) from None
