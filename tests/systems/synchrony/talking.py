"""Small synthetic videos for tests: green faces with black mouths that open as given, and a detector for them."""

from fractions import Fraction

import av
import cv2
import numpy as np

from avsv.features.faces import TEMPLATE

FACE = 112  # pixels of a face's side; the template's
GREEN = (60, 200, 60)


def draw(openings, side=160):
    """Draw faces side by side, each in a square of `side` pixels; an opening of None leaves the square empty."""
    image = np.full((side, side * len(openings), 3), 40, np.uint8)
    for column, opening in enumerate(openings):
        if opening is None:
            continue
        left, top = column * side + (side - FACE) // 2, (side - FACE) // 2
        image[top : top + FACE, left : left + FACE] = GREEN
        x, y = (TEMPLATE[3:].mean(0) + np.array([left, top])).round().astype(int)
        corners = (int(x) - 14, int(y) - 1), (int(x) + 14, int(y) + round(9 * float(opening)))
        cv2.rectangle(image, *corners, (0, 0, 0), -1)
    return image


def write_talk(path, openings, times, audio=None, audio_start=0.0, turned=False):
    """Write a video with the frames `openings`, (n, faces), at `times` (s), and audio (16 kHz) from `audio_start` (s).

    turned : store the frames rotated with a display matrix in the metadata, as a phone held sideways does
    """
    base = Fraction(1, 90000)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=90000, options={"crf": "18"})
        stream.time_base = base
        stream.codec_context.time_base = base
        track = container.add_stream("aac", rate=16000, layout="mono") if audio is not None else None
        for number, (row, time) in enumerate(zip(openings, times, strict=True)):
            image = np.ascontiguousarray(np.rot90(draw(row), 3 if turned else 0))
            if number == 0:
                stream.height, stream.width, stream.pix_fmt = *image.shape[:2], "yuv420p"
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts, frame.time_base = round(time / base), base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if track is not None:
            for start in range(0, len(audio), 1024):
                piece = np.ascontiguousarray(audio[None, start : start + 1024], np.float32)
                frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="mono")
                frame.sample_rate, frame.time_base = 16000, Fraction(1, 16000)
                frame.pts = start + round(audio_start * 16000)
                container.mux(track.encode(frame))
            container.mux(track.encode())
    if turned:
        data = bytearray(path.read_bytes())
        place = data.index(b"tkhd") + 44  # the display matrix
        a, b, c, d = (int(v * 65536).to_bytes(4, "big", signed=True) for v in (0, -1, 1, 0))
        data[place : place + 20] = a + b + bytes(4) + c + d
        path.write_bytes(data)
    return path


def talk(rng, n):
    """Random mouth openings, (n,) from 0 to 1, constant over syllables of random length."""
    syllables = np.repeat(rng.random(n), rng.integers(2, 5, n))[:n]
    return np.where(rng.random(n) < 0.1, 0, syllables)


def voice(opening, rng, fps=25):
    """Noise with the amplitude of the mouth opening, 16 kHz."""
    return np.float32(0.3 * np.repeat(opening, 16000 // fps) * rng.standard_normal(len(opening) * (16000 // fps)))


class Detector:
    """Finds upright green faces."""

    def detect(self, image, input_size, det_thresh):
        green = ((image[..., 1] > 120) & (image[..., 2] < 130)).astype(np.uint8)
        green = cv2.morphologyEx(green, cv2.MORPH_CLOSE, np.ones((21, 21), np.uint8))
        boxes, points = [], []
        for left, top, wide, high, area in cv2.connectedComponentsWithStats(green)[2][1:]:
            if area > 0.5 * FACE**2:
                boxes.append((left, top, left + wide, top + high, 0.9))
                points.append(TEMPLATE + np.array([left, top]))
        return np.array(boxes, np.float32).reshape(-1, 5), np.array(points, np.float32).reshape(-1, 5, 2)
