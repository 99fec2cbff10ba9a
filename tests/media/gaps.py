"""Writing containers with missing, duplicated, late or early audio packets, with or without a video."""

from collections.abc import Collection
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RATE = 48000
# container and audio codec; AVI and raw streams are absent because they have no time stamps
FORMS = {"mp4": "aac", "m4a": "aac", "mkv": "aac", "mka": "ac3", "webm": "libopus", "ts": "mp2", "mpg": "mp2",
         "nut": "mp2", "flv": "libmp3lame"}  # fmt: skip
VIDEO_CODECS = {"mp4": "h264", "mkv": "h264", "ts": "mpeg2video", "mpg": "mpeg2video", "nut": "h264",
            "flv": "h264"}  # fmt: skip


def audio_packets(out, codec: str, waveform: np.ndarray, rate: int = RATE):
    """Encode a recording: the stream and all packets."""
    stream = out.add_stream(codec, rate=rate, layout="mono")
    resampler = av.AudioResampler(format=stream.codec_context.format.name, layout="mono", rate=rate)
    packets = []
    for begin in range(0, len(waveform), 1024):
        frame = av.AudioFrame.from_ndarray(waveform[None, begin : begin + 1024], "fltp", "mono")
        frame.rate, frame.pts = rate, begin
        for converted in resampler.resample(frame):
            packets += stream.encode(converted)
    return stream, [packet for packet in packets + stream.encode(None) if packet.size]


def video_packets(out, codec: str, seconds: float):
    stream = out.add_stream(codec, rate=25)
    stream.width = stream.height = 64
    stream.pix_fmt, stream.max_b_frames = "yuv420p", 0
    packets = []
    for number in range(round(25 * seconds)):
        frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), number % 256, np.uint8))
        frame.pts = number
        packets += stream.encode(frame)
    return stream, packets + stream.encode(None)


def move(packet, seconds: float) -> None:
    step = round(Fraction(seconds) / packet.time_base)
    packet.pts += step
    packet.dts += step


def write_container(path: Path, waveform: np.ndarray, drop: Collection[int] = (), late: float = 0.0, begin: float = 0.0,
                    moved: dict[int, float] | None = None, images: float = 0.0) -> list[int]:  # fmt: skip
    """Write a container in the format of the file name's suffix.

    Parameters
    ----------
    drop : numbers of the audio packets to leave out
    late : seconds from the start of the video to the start of the audio
    begin : first time stamp, seconds
    moved : packet number -> seconds by which it and all later packets are moved
    images : seconds of video; 0 for no video

    Returns
    -------
    numbers of the audio packets in the file
    """
    form = path.suffix[1:]
    codec = FORMS[form]
    with av.open(str(path), "w") as out:
        _, packets = audio_packets(out, codec, waveform)
        shift = 0.0
        for number, packet in enumerate(packets):
            shift += (moved or {}).get(number, 0.0)
            move(packet, late + begin + shift)
        kept = [packet for number, packet in enumerate(packets) if number not in drop]
        if images:
            _, frames = video_packets(out, VIDEO_CODECS[form], images)
            for packet in frames:
                if packet.pts is not None:
                    move(packet, begin)
            kept += [packet for packet in frames if packet.size]
        for packet in sorted(kept, key=lambda packet: float(packet.dts * packet.time_base)):
            out.mux(packet)
    return [number for number in range(len(packets)) if number not in drop]


def audio_container(path: Path, waveform: np.ndarray) -> Path:
    """Write 16 kHz audio without video, in the format of the file name's suffix."""
    form = path.suffix[1:]
    codec = {"avi": "mp2", "wv": "wavpack", "tta": "tta", "webm": "libopus", "mka": "ac3"}.get(form, "aac")
    rate = 48000 if codec in ("ac3", "mp2", "libopus") else 44100 if form == "flv" else 16000
    waveform = np.interp(np.arange(len(waveform) * rate // 16000) / rate, np.arange(len(waveform)) / 16000, waveform)
    options = {}
    if "faststart" in path.name:
        options = {"movflags": "faststart"}
    elif "fragmented" in path.name:
        options = {"movflags": "frag_keyframe+empty_moov", "frag_duration": "500000"}
    with av.open(str(path), "w", options=options) as out:
        for packet in audio_packets(out, codec, waveform.astype(np.float32), rate)[1]:
            out.mux(packet)
    return path
