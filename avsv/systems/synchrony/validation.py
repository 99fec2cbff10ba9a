"""Synchrony on held-out people: the EER after each epoch, and the confidence that tells whose sound it is."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from avsv.errors import InputError
from avsv.evaluation.errors import count_errors, eer, equal_error
from avsv.jobs.progress import progress
from avsv.media.decoder_process import guarded
from avsv.media.waveforms import read_waveform
from avsv.systems.synchrony.embedding import SynchronyEmbedder
from avsv.systems.synchrony.mouths import Mouths, read_mouths
from avsv.systems.synchrony.scoring import distance_matrix, find_offset, pair_distances
from avsv.training.trainer import Validate
from avsv.training.validation import choose_clips

log = logging.getLogger("avsv")
VALID_SHIFT = 0.5  # seconds; of the impostors of held-out people, the paper's


@dataclass(frozen=True)
class HeldOut:
    """Clips of held-out people, read into memory."""

    people: list[str]
    mouths: list[Mouths]
    sound: list[np.ndarray]


def read_clips(entries: Mapping[str, tuple[str, str]], utt2spk: Mapping[str, str], n: int) -> HeldOut:
    """Up to `n` clips of held-out people; those that cannot be read are named in the log.

    Parameters
    ----------
    entries : utterance -> entry of mouths.scp, and of wav.scp
    utt2spk : utterance -> person
    """
    chosen = choose_clips({utt: utt2spk[utt] for utt in entries}, n)
    held_out = HeldOut([], [], [])
    for utt in progress(chosen, "held-out clips"):
        try:
            mouths, sound = read_mouths(entries[utt][0]), guarded(read_waveform, entries[utt][1])
        except InputError as error:
            log.warning("left out %s: %s", utt, error)
            continue
        held_out.people.append(utt2spk[utt])
        held_out.mouths.append(mouths)
        held_out.sound.append(sound)
    log.info("validation on %d clips of %d people", len(held_out.people), len(set(held_out.people)))
    return held_out


def validate_pairs(held_out: HeldOut, device: torch.device) -> Validate:
    """The EER of single cubes of held-out people: genuine pairs, and impostors whose sound is half a second away."""

    def validate(model: nn.Module) -> dict[str, float]:
        embedder = SynchronyEmbedder(model, device)
        found = []
        for mouths, sound in zip(held_out.mouths, held_out.sound, strict=True):
            found.append(pair_distances(*distance_matrix(embedder.embed(mouths, sound), VALID_SHIFT), VALID_SHIFT))
        genuine, impostor = (np.concatenate(part) for part in zip(*found, strict=True))
        scores = -np.concatenate([genuine, impostor])
        if not np.isfinite(scores).all():
            raise InputError("a distance of a held-out clip is not finite; lower optimizer.lr")
        return {"eer_percent": 100 * eer(scores, np.arange(len(scores)) < len(genuine))}

    return validate


def find_threshold(embedder: SynchronyEmbedder, held_out: HeldOut) -> float | None:
    """The confidence that tells held-out clips from the same ones with the sound of somebody else, at equal errors.

    None where there are not two people.
    """
    confidence: list[float] = []
    genuine: list[bool] = []
    n = len(held_out.people)
    vectors = [embedder.embed(m, s) for m, s in zip(held_out.mouths, held_out.sound, strict=True)]
    for index, own in enumerate(vectors):
        others = [(index + k) % n for k in range(1, n) if held_out.people[(index + k) % n] != held_out.people[index]]
        for which in [index, *others[:1]]:
            try:
                found = find_offset(*distance_matrix(replace(own, sound=vectors[which].sound)))
            except InputError:  # too short to be judged
                continue
            confidence.append(found.confidence)
            genuine.append(which == index)
    rate, threshold = equal_error(count_errors(np.array(confidence), np.array(genuine)))
    if not np.isfinite(rate):
        return None
    log.info("clips with the sound of somebody else: EER %.1f %% at a confidence of %.3f", 100 * rate, threshold)
    return threshold
