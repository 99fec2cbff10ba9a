"""A synthetic data directory: mouths are black bars, voices are noise with the amplitude of the mouth opening."""

import numpy as np
import soundfile

from avsv.systems.synchrony.mouths import Mouths, encode_mouths
from tests.systems.synchrony.talking import talk, voice

PEOPLE, CLIPS, FRAMES = 4, 3, 60


def draw_mouth(opening, person):
    image = np.full((60, 100), 110 + 20 * person, np.uint8)
    image[28 : 29 + round(25 * float(opening)), 25:75] = 20
    return image


def make_talk(folder, prefix="p", people=PEOPLE, frames=FRAMES):
    """Write mouth images, wav files and tables; returns `folder`."""
    folder.mkdir(parents=True)
    archive, tables = b"", {"utt2spk": "", "wav.scp": "", "mouths.scp": ""}
    for person in range(people):
        for clip in range(CLIPS):
            utt = f"{prefix}{person}-{clip}"
            rng = np.random.default_rng([person, clip, *prefix.encode()])
            opening = talk(rng, frames)
            soundfile.write(folder / f"{utt}.wav", voice(opening, rng), 16000)
            archive += f"{utt} ".encode()
            tables["mouths.scp"] += f"{utt} {folder}/mouths.ark:{len(archive)}\n"
            images = np.stack([draw_mouth(o, person) for o in opening])
            archive += encode_mouths(Mouths(images, np.arange(frames) / 25))
            tables["utt2spk"] += f"{utt} {prefix}{person}\n"
            tables["wav.scp"] += f"{utt} {folder}/{utt}.wav\n"
    (folder / "mouths.ark").write_bytes(archive)
    for name, text in tables.items():
        (folder / name).write_text(text)
    return folder
