"""Noisy test sets: the damage of each clip. embed-voice and embed-face apply it.

A condition is fully defined by its name (`find_condition`); each kind of damage is also a condition of that name. The
damage of a clip depends only on the condition, the seed and the clip's name, so it is the same in every list and
subset, and conditions can be compared clip by clip. Clips damaged in noisy-0.3 have the same damage in noisy-0.6;
both-noisy combines voice-noisy and face-noisy; snr-0 and snr-5 add the same noise; frames-0.5 is face-noisy on half of
each clip's faces.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from avsv.errors import InputError, refuse_unknown
from avsv.features import audio_damage, face_damage
from avsv.features.audio_damage import draw_audio_damage
from avsv.features.face_damage import draw_face_damage
from avsv.features.faces import SIDE
from avsv.jobs.files import copy_file, replaced_together
from avsv.kaldi.damage import MISSING, damage_table
from avsv.kaldi.data_dir import DataDir, write_data_dir

FACES = ("faces.scp", "utt2face_score", "utt2face_size")
COPIED = ("wav.scp", "video.scp", "utt2spk", "utt2vid", "utt2labelled", "spk2gender", "utt2dur", *FACES)
MEDIA = {"voice": ("wav.scp", "utt2dur"), "face": ("video.scp", *FACES)}


@dataclass(frozen=True)
class Condition:
    """The possible damage to the clips of a set.

    voice : kinds of damage to draw from, uniformly; may include MISSING
    face : the same for faces, kind -> severity
    snr : range in dB; None for that of the noisy test sets
    share : share of the clips that are damaged
    exclusive : damage exactly one modality of each clip that has both, either with probability 1/2; otherwise damage
        every modality that has kinds
    frames : share of a clip's faces that are damaged
    """

    voice: Sequence[str] = ()
    face: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    snr: tuple[float, float] | None = None
    share: float = 1.0
    exclusive: bool = False
    frames: float = 1.0


def noisy(probability: float) -> Condition:
    """The set of Qian et al. (TASLP 2021): in a share of the clips, exactly one modality is damaged or missing.

    A missing modality is as likely as each kind of damage, which is our choice.
    """
    if not 0 <= probability <= 1:
        raise ValueError("the share of the clips is 0 to 1")
    face = {**face_damage.NOISY, MISSING: {}}
    return Condition((*audio_damage.NOISY, MISSING), face, share=probability, exclusive=True)


def one_snr(snr: float) -> Condition:
    if not abs(snr) <= 100:
        raise ValueError("the signal-to-noise ratio is -100 to 100 dB")
    return Condition(voice=audio_damage.NOISES, snr=(snr, snr))


def one_blur(sigma: float) -> Condition:
    if not 0 < sigma <= SIDE:
        raise ValueError(f"sigma is above 0 and at most {SIDE} pixels")
    return Condition(face={"gaussian-blur": {"sigma": (sigma, sigma)}})


def some_frames(share: float) -> Condition:
    if not 0 < share <= 1:
        raise ValueError("the share of each clip's faces is above 0 and at most 1")
    return Condition(face=face_damage.NOISY, frames=share)


CONDITIONS = {
    "voice-noisy": Condition(voice=audio_damage.NOISY),
    "face-noisy": Condition(face=face_damage.NOISY),
    "both-noisy": Condition(voice=audio_damage.NOISY, face=face_damage.NOISY),
    "no-voice": Condition(voice=(MISSING,)),
    "no-face": Condition(face={MISSING: {}}),
    "half-missing": Condition((MISSING,), {MISSING: {}}, share=0.5, exclusive=True),
    **{kind: Condition(voice=(kind,)) for kind in audio_damage.KINDS},
    **{kind: Condition(face={kind: {}}) for kind in face_damage.KINDS},
}
# conditions named PREFIX-NUMBER
SWEEPS: dict[str, Callable[[float], Condition]] = {
    "noisy": noisy,
    "snr": one_snr,
    "blur": one_blur,
    "frames": some_frames,
}


def find_condition(name: str) -> Condition:
    """The condition with this name; raises InputError if it is unknown.

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
        raise InputError(f'unknown condition "{name}"; expected one of {known}')
    try:
        return SWEEPS[sweep](float(number))
    except ValueError as error:
        raise InputError(f'condition "{name}": {error}') from None


def needs_noises(condition: Condition) -> bool:
    """Whether the condition needs noise recordings."""
    return any(kind in audio_damage.SOURCES for kind in condition.voice)


def draw_damage(data: DataDir, condition: Condition, noises: dict[str, list[str]], seed: int) -> dict[str, list[dict]]:
    """Draw the damage of each clip.

    No clip loses its only modality. Exclusive conditions leave clips with a single modality intact.

    Parameters
    ----------
    noises : from `read_noises`; may be empty if the condition needs none

    Returns
    -------
    utterance -> records as in `utt2damage`, one per damaged modality; clips without damage are absent
    """
    drawn = {}
    for utt in sorted(data.wav.keys() | data.video.keys()):
        present = [modality for modality, table in (("voice", data.wav), ("face", data.video)) if utt in table]
        records = draw_clip(condition, present, noises, seed, utt)
        if records:
            drawn[utt] = records
    return drawn


def draw_clip(
    condition: Condition, present: list[str], noises: dict[str, list[str]], seed: int, utt: str
) -> list[dict]:
    """Draw the damage of one clip with the modalities `present`."""
    kinds = {"voice": condition.voice, "face": condition.face}
    if condition.exclusive:
        rng = np.random.default_rng([seed, *utt.encode()])
        if len(present) < 2 or rng.random() >= condition.share:
            return []
        modality = "voice" if rng.random() < 0.5 else "face"
        return [draw_record(rng, condition, modality, noises)]
    hit = [modality for modality in present
           if kinds[modality] and (len(present) == 2 or MISSING not in kinds[modality])]  # fmt: skip
    # one random stream per modality: damage to the voice must not depend on damage to the face
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
    """Write a data directory with the same clips and trials, and with `utt2damage`.

    A missing modality is removed from wav.scp or video.scp, and therefore shows in `utt2modality`.

    Returns
    -------
    number of clips by "MODALITY KIND"
    """
    tables = {name: table for name in COPIED if (table := data.table(name))}
    tables |= {"wav.scp": dict(data.wav)} if data.wav else {}  # resolves segments, if the set has any
    lost = [(utt, record["modality"]) for utt, records in damage.items()
            for record in records if record["kind"] == MISSING]  # fmt: skip
    for utt, modality in lost:
        for name in MEDIA[modality]:
            tables.get(name, {}).pop(utt, None)
    tables["utt2damage"] = damage_table(damage)
    lists = {file.name: file for file in sorted((data.path / "trials").glob("[!.]*"))}
    # otherwise, trial lists that the clean set has lost would still be scored and reported
    old = [file for file in (out_dir / "trials").glob("[!.]*") if file.name not in lists]
    with replaced_together(*old):
        write_data_dir(out_dir, tables)
        for name, file in lists.items():
            copy_file(file, out_dir / "trials" / name)
    return Counter(f"{record['modality']} {record['kind']}" for records in damage.values() for record in records)
