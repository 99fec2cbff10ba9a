"""Opening media files with ffmpeg's libraries, restricted to formats that contain their own audio and video.

ffmpeg detects the format from the content. A playlist (HLS, DASH, concat) disguised as a video would make it open other
files and network addresses, so such formats are refused.
"""

import io
from pathlib import Path

from avsv.errors import InputError
from avsv.jobs.inputs import regular_file

FORMATS = """mov,mp4,m4a,3gp,3g2,mj2 matroska,webm avi mpeg mpegts mpegvideo m4v flv asf ogg wav w64 aiff au caf flac
    mp3 aac ac3 eac3 amr wv tta nistsphere mxf dv h264 hevc ivf mjpeg gif nut jpeg_pipe png_pipe""".split()


def open_container(source: Path | str | io.BytesIO):
    """Open a media file for reading with `av.open`.

    A path always names a local file, even with colons in it ("12:30.mp4", "file:x.mp4"). Tags that are not UTF-8 are
    read with replacement characters; avsv does not use them.

    Raises
    ------
    InputError : the path is a FIFO, device or folder, or its format is not in FORMATS
    av.FFmpegError : the content cannot be read
    """
    import av

    # ffmpeg strips one "file:" and takes the rest literally
    place = source if isinstance(source, io.BytesIO) else f"file:{regular_file(source)}"
    options = {"format_whitelist": ",".join(FORMATS), "protocol_whitelist": "file"}
    try:
        return av.open(place, options=options, metadata_errors="replace")
    except av.ArgumentError:  # ffmpeg recognised a format that is not on the list
        name = "the output of a pipe" if place is source else source
        raise InputError(f"{name}: cannot be read: unsupported format, expected mp4, mov, mkv, avi, mpeg, flv, asf, "
                        "mxf, dv, ogg, wav, flac, mp3, aac or similar; convert it with ffmpeg") from None  # fmt: skip


def time_zero(container) -> float:
    """Time 0 of a file's common audio and video clock, in seconds of the container's time stamps.

    It is the start of the earliest audio or video stream, because the time stamps of a transport stream may start
    anywhere. Content at negative time stamps (encoder priming, frames hidden by an edit list) is not presented.
    """
    streams = [*container.streams.audio, *container.streams.video]
    begins = [
        float(stream.start_time * stream.time_base)
        for stream in streams
        if stream.start_time is not None and stream.time_base and not is_cover(stream)
    ]
    return max(0.0, min(begins, default=0.0))


def is_cover(stream) -> bool:
    """Whether a video stream is just the cover image of a recording."""
    from av.stream import Disposition

    return bool(stream.disposition & Disposition.attached_pic)


def unreadable(path: Path | str, kind: str, error: Exception) -> InputError:
    """The error for a file that a library cannot decode as `kind`: audio, video or an image."""
    return InputError(f"{path}: cannot be read as {kind}: {getattr(error, 'strerror', None) or error}")
