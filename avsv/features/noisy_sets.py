"""Noisy test sets: which clip loses what. The damage itself is done by embed-voice and embed-face."""

import json
from collections import Counter
from pathlib import Path

import numpy as np

from avsv.features.face_damage import KINDS as FACE_KINDS
from avsv.features.face_damage import draw_face_damage
from avsv.features.sound_damage import KINDS as SOUND_KINDS
from avsv.features.sound_damage import draw_sound_damage
from avsv.files import whole_file
from avsv.kaldi.damage import MISSING
from avsv.kaldi.data_dir import DataDir, write_data_dir

FACES = ("faces.scp", "utt2face_score", "utt2face_size")
COPIED = ("wav.scp", "video.scp", "utt2spk", "utt2vid", "spk2gender", "utt2dur", *FACES)
MEDIA = {"voice": ("wav.scp", "utt2dur"), "face": ("video.scp", *FACES)}


def draw_damage(data: DataDir, probability: float, noises: dict[str, list[str]], seed: int) -> dict[str, dict]:
    """Damage exactly one modality of a share of the clips that have both.

    The set is that of Qian et al. (TASLP 2021); its severities are not published, ours are in the modules that do the
    damage; that going missing is as likely as each noise is our choice too.
    The modality is drawn uniformly, then what happens to it: one of its noises or going missing, all as likely.
    A clip's lot depends on the seed and on its own name alone, so that it is the same in every list and subset.

    Returns
    -------
    utterance -> damage, as `utt2damage` holds it
    """
    damage = {}
    for utt in sorted(data.wav.keys() & data.video.keys()):
        rng = np.random.default_rng([seed, *utt.encode()])
        if rng.random() >= probability:
            continue
        modality, n_noises = ("voice", len(SOUND_KINDS)) if rng.random() < 0.5 else ("face", len(FACE_KINDS))
        if rng.random() < 1 / (n_noises + 1):
            damage[utt] = {"modality": modality, "kind": MISSING}
        else:
            damage[utt] = draw_sound_damage(rng, noises) if modality == "voice" else draw_face_damage(rng)
    return damage


def write_noisy_set(data: DataDir, out_dir: Path, damage: dict[str, dict]) -> Counter:
    """Write a data directory with the same clips and trials, and `utt2damage`; counts by modality and kind.

    What goes missing is not in wav.scp or video.scp any more, so that `utt2modality` tells of it.
    """
    tables = {name: table for name in COPIED if (table := data.table(name))}
    for utt, what in damage.items():
        if what["kind"] == MISSING:
            for name in MEDIA[what["modality"]]:
                tables.get(name, {}).pop(utt, None)
    tables["utt2damage"] = {utt: json.dumps(what) for utt, what in damage.items()}
    write_data_dir(out_dir, tables)
    for file in sorted((data.path / "trials").glob("*")):
        with whole_file(out_dir / "trials" / file.name, "wb") as out:
            out.write(file.read_bytes())
    return Counter(f"{what['modality']} {what['kind']}" for what in damage.values())
