"""Opening files with ffmpeg's libraries: only forms that hold their sound and pictures themselves.

ffmpeg takes a file for what its content says. A playlist (HLS, DASH, concat) under the name of a video would make it
open other files and addresses; such forms are refused.
"""

import io
from pathlib import Path

from avsv.errors import InputError
from avsv.jobs.inputs import regular_file

FORMATS = """mov,mp4,m4a,3gp,3g2,mj2 matroska,webm avi mpeg mpegts mpegvideo m4v flv asf ogg wav w64 aiff au caf flac
    mp3 aac ac3 eac3 amr wv tta nistsphere mxf dv h264 hevc ivf mjpeg gif nut jpeg_pipe png_pipe""".split()


def open_container(source: Path | str | io.BytesIO):
    """`av.open` for reading.

    A path is a name in the file system, whatever colons it has ("12:30.mp4", "file:x.mp4"). Tags in other encodings
    than UTF-8 are read with replacement characters; nobody here needs them.

    Raises
    ------
    InputError : a FIFO, device or folder; a form that is in none of FORMATS
    av.FFmpegError : the content cannot be read
    """
    import av

    # "file:" is taken off once by ffmpeg; what follows is opened as it is
    place = source if isinstance(source, io.BytesIO) else f"file:{regular_file(source)}"
    options = {"format_whitelist": ",".join(FORMATS), "protocol_whitelist": "file"}
    try:
        return av.open(place, options=options, metadata_errors="replace")
    except av.ArgumentError:  # ffmpeg recognised a form, and it is not on the list
        name = "the output of a pipe" if place is source else source
        raise InputError(f"{name}: cannot be read, not supported: its content is in none of the forms mp4, mov, mkv, "
                        "avi, mpeg, flv, asf, mxf, dv, ogg, wav, flac, mp3, aac and their like; convert it with "
                        "ffmpeg") from None  # fmt: skip


def time_zero(container) -> float:
    """Time 0 of the clock that a file's sound and pictures share, in seconds of the container's own time stamps.

    It is where the earliest of its sound and video streams begins: a transport stream may begin at any hour. What lies
    before the stamp 0 (an encoder's priming, frames that an edit list hides) is not part of the presentation.
    """
    streams = [*container.streams.audio, *container.streams.video]
    begins = [
        float(stream.start_time * stream.time_base)
        for stream in streams
        if stream.start_time is not None and stream.time_base and not is_cover(stream)
    ]
    return max(0.0, min(begins, default=0.0))


def is_cover(stream) -> bool:
    """Whether a video stream is a picture on the cover of a recording."""
    from av.stream import Disposition

    return bool(stream.disposition & Disposition.attached_pic)
