"""A data directory of three people, with bands of noise as voices and shades of colour as faces."""

import numpy as np
import soundfile

from avsv.features.faces import encode_faces
from avsv.kaldi.shards import make_archives
from avsv.training.config import OptimizerConfig

PEOPLE, CLIPS = 3, 4


def draw_face(person, rng):
    face = np.full((112, 112, 3), 40 + 60 * person, np.float64)
    face[20:100, 30:80] = [200 - 50 * person, 90, 60 + 60 * person]
    return (face + rng.normal(0, 10, face.shape)).clip(0, 255).astype(np.uint8)


def draw_voice(person, rng, seconds=1.5):
    noise = rng.normal(0, 0.1, int(16000 * seconds))
    waveform = np.convolve(noise, np.cos(np.arange(64) * (0.3 + 0.5 * person)), "same")
    return 0.1 * waveform / np.abs(waveform).max()


def make_data(folder, prefix="p", without_face=(), without_voice=()):
    """Write wav files, a faces archive and the tables; returns `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    faces, tables = {}, {"utt2spk": "", "wav.scp": "", "video.scp": ""}
    for person in range(PEOPLE):
        for clip in range(CLIPS):
            utt = f"{prefix}{person}-{clip}"
            rng = np.random.default_rng([person, clip, *prefix.encode()])
            tables["utt2spk"] += f"{utt} {prefix}{person}\n"
            if utt not in without_voice:
                soundfile.write(folder / f"{utt}.wav", draw_voice(person, rng), 16000)
                tables["wav.scp"] += f"{utt} {folder}/{utt}.wav\n"
            if utt not in without_face:
                faces[utt] = np.stack([draw_face(person, rng) for _ in range(2)])
                tables["video.scp"] += f"{utt} {folder}/{utt}.mp4\n"

    def work(keys, out):
        for key in keys:
            out.write_bytes("faces", key, encode_faces(faces[key]))

    make_archives(folder / "faces", ["faces"], dict.fromkeys(faces, ""), {}, work)
    tables["faces.scp"] = (folder / "faces" / "faces.scp").read_text()
    for name, text in tables.items():
        (folder / name).write_text(text)
    return folder


def make_noises(folder):
    """A data directory with one noise of each kind."""
    folder.mkdir(parents=True)
    utt2spk, wav = "", ""
    for number, sort in enumerate(("music", "noise", "rir", "speech")):
        waveform = np.random.default_rng(number).normal(0, 0.1, 16000)
        if sort == "rir":
            waveform *= np.exp(-np.arange(16000) / 800)
        soundfile.write(folder / f"{sort}.wav", waveform, 16000)
        utt2spk += f"{sort}-1 {sort}\n"
        wav += f"{sort}-1 {folder}/{sort}.wav\n"
    (folder / "utt2spk").write_text(utt2spk)
    (folder / "wav.scp").write_text(wav)
    return folder


def tiny(kind, task, data, noises, exp_dir, **more):
    """A configuration of `kind` that trains in a second or two."""
    options = {"crop_seconds": 0.5, "batch_size": 6, "epochs": 2, "workers": 0, "threads": 1, "device": "cpu",
               "noise_dir": str(noises), "optimizer": OptimizerConfig(name="adamw", lr=0.005)}  # fmt: skip
    return kind(task=task, exp_dir=str(exp_dir), data_dir=str(data), **{**options, **more})
