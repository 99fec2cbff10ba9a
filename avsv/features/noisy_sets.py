"""Noisy test sets: which clip loses what. The damage itself is done by embed-voice and embed-face.

The name of a condition says all of it (`find_condition`); a kind of damage is a condition of the same name. What
happens to a clip depends on the condition, the seed and the clip's own name alone: it is the same in every list and
subset, and conditions can be compared clip by clip. The clips damaged in noisy-0.3 are damaged in the same way in
noisy-0.6; both-noisy is voice-noisy and face-noisy; snr-0 and snr-5 add the same noise; frames-0.5 is face-noisy in
half of each clip's faces.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from avsv.errors import InputError, refuse_unknown
from avsv.features import audio_damage as sound_damage
from avsv.features import face_damage
from avsv.features.audio_damage import draw_audio_damage
from avsv.features.face_damage import draw_face_damage
from avsv.features.faces import SIDE
from avsv.jobs.files import copy_file, replaced_together
from avsv.kaldi.damage import MISSING, damage_table
from avsv.kaldi.data_dir import DataDir, write_data_dir

FACES = ("faces.scp", "utt2face_score", "utt2face_size")
COPIED = ("wav.scp", "video.scp", "utt2spk", "utt2vid", "spk2gender", "utt2dur", *FACES)
MEDIA = {"voice": ("wav.scp", "utt2dur"), "face": ("video.scp", *FACES)}


@dataclass(frozen=True)
class Condition:
    """What may happen to the clips of a set.

    voice : kinds of damage, one of which is drawn, all as likely; MISSING may be among them
    face : the same, kind -> severity
    snr : dB, from ... to; None for the noisy test sets' own
    share : of the clips that are damaged
    exclusive : of clips with voice and face exactly one is damaged, either as likely; otherwise all that are named
    frames : share of a damaged clip's faces that are hit
    """

    voice: Sequence[str] = ()
    face: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    snr: tuple[float, float] | None = None
    share: float = 1.0
    exclusive: bool = False
    frames: float = 1.0


def noisy(probability: float) -> Condition:
    """The set of Qian et al. (TASLP 2021): exactly one modality is damaged, or missing, in a share of the clips.

    That going missing is as likely as each noise is our choice.
    """
    if not 0 <= probability <= 1:
        raise ValueError("the share of the clips is 0 to 1")
    face = {**face_damage.NOISY, MISSING: {}}
    return Condition((*sound_damage.NOISY, MISSING), face, share=probability, exclusive=True)


def one_snr(snr: float) -> Condition:
    if not abs(snr) <= 100:
        raise ValueError("the signal-to-noise ratio is -100 to 100 dB")
    return Condition(voice=sound_damage.NOISES, snr=(snr, snr))


def one_blur(sigma: float) -> Condition:
    if not 0 < sigma <= SIDE:
        raise ValueError(f"sigma is above 0 and at most {SIDE} pixels")
    return Condition(face={"gaussian-blur": {"sigma": (sigma, sigma)}})


def some_frames(share: float) -> Condition:
    if not 0 < share <= 1:
        raise ValueError("the share of each clip's faces is above 0 and at most 1")
    return Condition(face=face_damage.NOISY, frames=share)


CONDITIONS = {
    "voice-noisy": Condition(voice=sound_damage.NOISY),
    "face-noisy": Condition(face=face_damage.NOISY),
    "both-noisy": Condition(voice=sound_damage.NOISY, face=face_damage.NOISY),
    "no-voice": Condition(voice=(MISSING,)),
    "no-face": Condition(face={MISSING: {}}),
    "half-missing": Condition((MISSING,), {MISSING: {}}, share=0.5, exclusive=True),
    **{kind: Condition(voice=(kind,)) for kind in sound_damage.KINDS},
    **{kind: Condition(face={kind: {}}) for kind in face_damage.KINDS},
}
# conditions whose name ends with a number
SWEEPS: dict[str, Callable[[float], Condition]] = {
    "noisy": noisy,
    "snr": one_snr,
    "blur": one_blur,
    "frames": some_frames,
}


def find_condition(name: str) -> Condition:
    """The condition of this name; InputError where there is none.

    Examples
    --------
    >>> find_condition("noisy-0.6").share, find_condition("snr-5").snr, find_condition("babble").voice
    (0.6, (5.0, 5.0), ('babble',))
    """
    if name in CONDITIONS:
        return CONDITIONS[name]
    sweep, _, number = name.partition("-")
    if sweep not in SWEEPS:
        known = ", ".join([*(f"{sweep}-NUMBER" for sweep in SWEEPS), *CONDITIONS])
        raise InputError(f'there is no condition "{name}"; expected one of {known}')
    try:
        return SWEEPS[sweep](float(number))
    except ValueError as error:
        raise InputError(f'condition "{name}": {error}') from None


def needs_noises(condition: Condition) -> bool:
    """Whether recordings are needed to do it."""
    return any(kind in sound_damage.SOURCES for kind in condition.voice)


def draw_damage(data: DataDir, condition: Condition, noises: dict[str, list[str]], seed: int) -> dict[str, list[dict]]:
    """Draw what happens to each clip.

    No clip loses the only modality that it has; where exactly one of two is damaged, a clip with one keeps it whole.

    Parameters
    ----------
    noises : as `read_noises` gives them; may be empty where the condition adds none to a voice

    Returns
    -------
    utterance -> records, one a modality, as `utt2damage` holds them; clips without damage are not in it
    """
    drawn = {}
    for utt in sorted(data.wav.keys() | data.video.keys()):
        there = [modality for modality, table in (("voice", data.wav), ("face", data.video)) if utt in table]
        records = draw_clip(condition, there, noises, seed, utt)
        if records:
            drawn[utt] = records
    return drawn


def draw_clip(condition: Condition, there: list[str], noises: dict[str, list[str]], seed: int, utt: str) -> list[dict]:
    """Damage to one clip that has the modalities `there`."""
    kinds = {"voice": condition.voice, "face": condition.face}
    if condition.exclusive:
        rng = np.random.default_rng([seed, *utt.encode()])
        if len(there) < 2 or rng.random() >= condition.share:
            return []
        modality = "voice" if rng.random() < 0.5 else "face"
        return [draw_record(rng, condition, modality, noises)]
    hit = [modality for modality in there if kinds[modality] and (len(there) == 2 or MISSING not in kinds[modality])]
    # a stream for each modality: what happens to the voice is the same whether the face is damaged too or not
    streams = {modality: np.random.default_rng([seed, *f"{utt} {modality}".encode()]) for modality in hit}
    return [draw_record(rng, condition, modality, noises) for modality, rng in streams.items()]


def draw_record(rng: np.random.Generator, condition: Condition, modality: str, noises: dict[str, list[str]]) -> dict:
    refuse_unknown("modality", modality, ("voice", "face"))
    kinds = condition.voice if modality == "voice" else condition.face
    if MISSING in kinds and rng.random() < 1 / len(kinds):
        return {"modality": modality, "kind": MISSING}
    if modality == "voice":
        return draw_audio_damage(rng, noises, [kind for kind in kinds if kind != MISSING], condition.snr)
    damage = draw_face_damage(rng, {kind: severity for kind, severity in condition.face.items() if kind != MISSING})
    if condition.frames < 1:
        damage |= {"frames": condition.frames, "order": int(rng.integers(1 << 31))}
    return damage


def write_noisy_set(data: DataDir, out_dir: Path, damage: dict[str, list[dict]]) -> Counter:
    """Write a data directory with the same clips and trials, and `utt2damage`; counts by modality and kind.

    What goes missing is not in wav.scp or video.scp any more, so that `utt2modality` tells of it.
    """
    tables = {name: table for name in COPIED if (table := data.table(name))}
    tables |= {"wav.scp": dict(data.wav)} if data.wav else {}  # segments, where they cut its recordings
    lost = [(utt, what["modality"]) for utt, records in damage.items() for what in records if what["kind"] == MISSING]
    for utt, modality in lost:
        for name in MEDIA[modality]:
            tables.get(name, {}).pop(utt, None)
    tables["utt2damage"] = damage_table(damage)
    lists = {file.name: file for file in sorted((data.path / "trials").glob("*"))}
    # lists that the clean set has no longer would be scored and reported
    old = [file for file in (out_dir / "trials").glob("[!.]*") if file.name not in lists]
    with replaced_together(*old):
        write_data_dir(out_dir, tables)
        for name, file in lists.items():
            copy_file(file, out_dir / "trials" / name)
    return Counter(f"{what['modality']} {what['kind']}" for records in damage.values() for what in records)
