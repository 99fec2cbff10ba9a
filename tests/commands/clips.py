"""Videos, recordings and images with voices and faces, their embeddings, and a calibration, for tests of verify."""

import json
from fractions import Fraction

import av
import cv2
import kaldiio
import numpy as np
import pytest
import soundfile

from avsv.kaldi.tables import write_table

MAPS = {(True, True): ([2.0, 3.0], -1.0), (True, False): ([4.0], 0.5), (False, True): ([-5.0], 0.25)}


def noise(seed):
    rng = np.random.default_rng(seed)
    return (0.2 * rng.standard_normal(16000) * np.hanning(16000)).astype(np.float32)


def face_image(seed, face=True):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 90, (140, 140, 3), np.uint8)
    if face:
        image[30:110, 30:110] = 255
        image[40:100, 40:100] -= rng.integers(0, 40, (60, 60, 3), np.uint8)
    return image


def write_video(path, images=(), samples=None):
    with av.open(str(path), "w") as out:
        video = out.add_stream("mpeg4", rate=5)
        video.height, video.width = images[0].shape[:2] if len(images) else (140, 140)
        video.pix_fmt, video.bit_rate = "yuv420p", 4_000_000
        if samples is not None:
            audio = out.add_stream("aac", rate=16000, layout="mono")
        for number, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, 5)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        if samples is not None:
            frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
            frame.rate, frame.pts = 16000, 0
            out.mux(audio.encode(frame))
            out.mux(audio.encode(None))


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    """Videos, silent videos, recordings, images, a video without a face, and unusable files."""
    folder = tmp_path_factory.mktemp("media")
    for seed, name in enumerate("ab"):
        write_video(folder / f"{name}.mp4", [face_image(seed)] * 3, noise(seed))
        write_video(folder / f"{name}-silent.mp4", [face_image(seed + 5)] * 3)
        soundfile.write(folder / f"{name}.wav", noise(seed + 7), 16000)
    write_video(folder / "dark.mp4", [face_image(0, face=False)] * 3, noise(9))
    cv2.imwrite(str(folder / "c.png"), face_image(3))
    (folder / "clips").mkdir()
    cv2.imwrite(str(folder / "clips" / "1.png"), face_image(4))
    write_video(folder / "nothing.mp4", [face_image(0, face=False)] * 3)
    soundfile.write(folder / "still.wav", np.zeros(16000), 16000)
    (folder / "notes.txt").write_text("no media")
    return folder


@pytest.fixture(scope="module")
def vectors(media, encoder, pack):
    """Embeddings of the same files by embed-voice and embed-face: name -> modality -> vector ; the models."""
    from avsv.cli import main

    names = [path.name for path in sorted(media.iterdir())]
    data, result, models = media.parent / "data", {name: {} for name in names}, {}
    for table in ("wav.scp", "video.scp"):
        write_table(data / table, {name: str(media / name) for name in names})
    write_table(data / "utt2spk", {name: name for name in names})
    for modality, model in (("voice", encoder), ("face", pack)):
        out = media.parent / modality
        assert main([f"embed-{modality}", "--model", str(model), "--max-skipped", "1", str(data), str(out)]) == 0
        for name, vector in kaldiio.load_scp(str(out / "embedding.scp")).items():
            result[name][modality] = vector
        models[modality] = json.loads((out / "done.json").read_text())["model"]
    return result, models


def calibration(path, models, order=("voice", "face"), patterns=tuple(MAPS), **changes):
    """Write a calibration model with the maps MAPS, its systems in the given order."""
    maps = []
    for has_voice, has_face in patterns:
        weights, offset = MAPS[has_voice, has_face]
        present = dict(zip(("voice", "face"), (has_voice, has_face)))
        of = dict(zip([modality for modality in ("voice", "face") if present[modality]], weights))
        maps.append({"present": [present[modality] for modality in order],
                     "weights": [of[modality] for modality in order if modality in of], "offset": offset})  # fmt: skip
    model = {"systems": [f"exp/{modality}/s" for modality in order], "target_prior": 0.5, "measures": [], "maps": maps,
             "trained_on": [f"{models[modality]} cosine" for modality in order]}  # fmt: skip
    path.write_text(json.dumps({**model, **changes}))
    return path


@pytest.fixture(scope="module")
def encoders(encoder, pack):
    from avsv.embeddings.face import load_face_encoder  # these import torch, which few tests of commands need
    from avsv.embeddings.voice import load_voice_encoder

    return load_voice_encoder(encoder), load_face_encoder(pack)
