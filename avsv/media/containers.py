"""Opening files with ffmpeg's libraries: only forms that hold their sound and pictures themselves.

ffmpeg takes a file for what its content says. A playlist (HLS, DASH, concat) under the name of a video would make it
open other files and addresses; such forms are refused.
"""

from pathlib import Path

FORMATS = """mov,mp4,m4a,3gp,3g2,mj2 matroska,webm avi mpeg mpegts mpegvideo m4v flv asf ogg wav w64 aiff au caf flac
    mp3 aac ac3 amr h264 hevc ivf mjpeg gif nut jpeg_pipe png_pipe image2""".split()


def open_container(path: Path | str):
    """`av.open` for reading; raises av.FFmpegError for what is in none of FORMATS."""
    import av

    return av.open(str(path), options={"format_whitelist": ",".join(FORMATS), "protocol_whitelist": "file"})
