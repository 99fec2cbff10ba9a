"""Containers whose sound has packets missing, doubled, late or early, beside a video or alone."""

from collections.abc import Collection
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RATE = 48000
# container and codec of sound; those of AVI and raw streams have no time stamps that could tell
FORMS = {"mp4": "aac", "m4a": "aac", "mkv": "aac", "mka": "ac3", "webm": "libopus", "ts": "mp2", "mpg": "mp2",
         "nut": "mp2", "flv": "libmp3lame"}  # fmt: skip
PICTURES = {"mp4": "h264", "mkv": "h264", "ts": "mpeg2video", "mpg": "mpeg2video", "nut": "h264",
            "flv": "h264"}  # fmt: skip


def sound_packets(out, codec: str, sound: np.ndarray, rate: int = RATE):
    """The stream, and all packets of a recording."""
    stream = out.add_stream(codec, rate=rate, layout="mono")
    resampler = av.AudioResampler(format=stream.codec_context.format.name, layout="mono", rate=rate)
    packets = []
    for begin in range(0, len(sound), 1024):
        frame = av.AudioFrame.from_ndarray(sound[None, begin : begin + 1024], "fltp", "mono")
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


def write_container(path: Path, sound: np.ndarray, drop: Collection[int] = (), late: float = 0.0, begin: float = 0.0,
                    moved: dict[int, float] | None = None, pictures: float = 0.0) -> list[int]:  # fmt: skip
    """Write a container of the form that the name says.

    Parameters
    ----------
    drop : numbers of the packets of sound that are missing
    late : seconds by which sound begins after the pictures
    begin : seconds at which all begins
    moved : packet -> seconds by which it and all that follow are moved
    pictures : seconds of video; 0 for none

    Returns
    -------
    numbers of the packets of sound that are in the file
    """
    form = path.suffix[1:]
    codec = FORMS[form]
    with av.open(str(path), "w") as out:
        _, packets = sound_packets(out, codec, sound)
        shift = 0.0
        for number, packet in enumerate(packets):
            shift += (moved or {}).get(number, 0.0)
            move(packet, late + begin + shift)
        kept = [packet for number, packet in enumerate(packets) if number not in drop]
        if pictures:
            _, frames = video_packets(out, PICTURES[form], pictures)
            for packet in frames:
                if packet.pts is not None:
                    move(packet, begin)
            kept += [packet for packet in frames if packet.size]
        for packet in sorted(kept, key=lambda packet: float(packet.dts * packet.time_base)):
            out.mux(packet)
    return [number for number in range(len(packets)) if number not in drop]


def sound_container(path: Path, sound: np.ndarray) -> Path:
    """Write sound alone at 16 kHz, in the form that the name says."""
    form = path.suffix[1:]
    codec = {"avi": "mp2", "wv": "wavpack", "tta": "tta", "webm": "libopus", "mka": "ac3"}.get(form, "aac")
    rate = 48000 if codec in ("ac3", "mp2", "libopus") else 44100 if form == "flv" else 16000
    sound = np.interp(np.arange(len(sound) * rate // 16000) / rate, np.arange(len(sound)) / 16000, sound)
    options = {}
    if "faststart" in path.name:
        options = {"movflags": "faststart"}
    elif "fragmented" in path.name:
        options = {"movflags": "frag_keyframe+empty_moov", "frag_duration": "500000"}
    with av.open(str(path), "w", options=options) as out:
        for packet in sound_packets(out, codec, sound.astype(np.float32), rate)[1]:
            out.mux(packet)
    return path
