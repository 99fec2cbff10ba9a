"""Folders of small media files, and the command line with its log."""

import csv

import av
import cv2
import numpy as np
import pytest
import soundfile

from avsv.kaldi.tables import read_table
from tests.commands.conftest import avsv  # noqa: F401, the command line with its log


class Media:
    """Writes media below a folder; every file has content of its own."""

    def __init__(self, folder):
        self.folder, self.n_files = folder, 0

    def place(self, name):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        self.n_files += 1
        return path

    def wav(self, name, seconds=1.0, level=0.3):
        path = self.place(name)
        noise = np.random.default_rng(self.n_files).standard_normal(int(seconds * 16000))
        soundfile.write(str(path), level * noise.clip(-3, 3) / 3, 16000, format="WAV")
        return path

    def image(self, name):
        path = self.place(name)
        image = np.full((24, 32, 3), self.n_files, np.uint8)
        cv2.imencode(".png", image)[1].tofile(str(path))
        return path

    def video(self, name, audio=True, seconds=1.0):
        path, rng = self.place(name), np.random.default_rng(self.n_files)
        with av.open(str(path), "w", format="matroska") as out:
            images = out.add_stream("mpeg4", 10)
            images.width, images.height, images.pix_fmt = 64, 48, "yuv420p"
            sound = out.add_stream("pcm_s16le", 16000, layout="mono") if audio else None
            for _ in range(int(10 * seconds)):
                frame = av.VideoFrame.from_ndarray(rng.integers(0, 255, (48, 64, 3), np.uint8), "bgr24")
                out.mux(images.encode(frame))
            if sound:
                samples = rng.integers(-9000, 9000, (1, int(16000 * seconds))).astype(np.int16)
                frame = av.AudioFrame.from_ndarray(samples, "s16", "mono")
                frame.rate = 16000
                out.mux(sound.encode(frame))
                out.mux(sound.encode(None))
            out.mux(images.encode(None))
        return path


@pytest.fixture
def media(tmp_path):
    return Media(tmp_path / "media")


@pytest.fixture
def tables(tmp_path):
    """Read a table of tmp_path/data; left_out.tsv as file -> (part, reason, detail)."""

    def read(name):
        path = tmp_path / "data" / name
        if name != "left_out.tsv":
            return read_table(path) if path.exists() else {}
        rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines(), "excel-tab"))
        return {row[0]: tuple(row[1:]) for row in rows[1:]}

    return read
