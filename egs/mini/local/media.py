"""Write video as mp4 (H.264, AAC) and audio as 16-bit wav; the output is bit-exact."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import soundfile

AAC_FRAME = 1024  # samples


def write_mp4(path: Path, images: Iterable[np.ndarray], fps: int, waveform: np.ndarray, rate: int, crf: int,
              audio_bits: int) -> None:  # fmt: skip
    """Write images (height, width, 3; blue, green, red; uint8) and a mono waveform (float) to an mp4 file.

    Each encoder uses one thread and writes no version strings: more threads would change the bytes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="mp4", container_options={"fflags": "+bitexact"}) as out:
        video = out.add_stream("libx264", rate=fps, options={"preset": "superfast", "crf": str(crf), "threads": "1"})
        video.codec_context.thread_count = 1
        audio = out.add_stream("aac", rate=rate, options={"flags": "+bitexact"})
        audio.bit_rate, audio.layout = audio_bits, "mono"
        for i, image in enumerate(images):
            if i == 0:
                video.height, video.width, video.pix_fmt = *image.shape[:2], "yuv420p"
            frame = av.VideoFrame.from_ndarray(cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420), format="yuv420p")
            frame.pts, frame.time_base = i, Fraction(1, fps)
            out.mux(video.encode(frame))
        for start in range(0, len(waveform), AAC_FRAME):
            samples = np.ascontiguousarray(waveform[None, start : start + AAC_FRAME], np.float32)
            frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            out.mux(audio.encode(frame))
        out.mux(video.encode(None))
        out.mux(audio.encode(None))


def write_wav(path: Path, waveform: np.ndarray, rate: int, peak: float | None = 0.6) -> None:
    """Write a mono waveform (float) as 16-bit wav, scaled to `peak` unless that is None."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if peak is not None:
        waveform = waveform * (peak / (np.abs(waveform).max() + 1e-9))
    soundfile.write(path, waveform, rate, subtype="PCM_16")
