"""Validation of synchrony on held-out people: EER after each epoch, and the threshold of the confidence."""

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
from avsv.systems.synchrony.offsets import distance_matrix, find_offset, pair_distances
from avsv.training.trainer import Validate
from avsv.training.validation import choose_clips

log = logging.getLogger("avsv")
VALID_SHIFT = 0.5  # seconds, shift of impostor audio, as in the paper


@dataclass(frozen=True)
class HeldOut:
    """Clips of held-out people in memory: the person, mouth images and waveform of each."""

    people: list[str]
    mouths: list[Mouths]
    waveforms: list[np.ndarray]


def read_clips(entries: Mapping[str, tuple[str, str]], utt2spk: Mapping[str, str], n: int) -> HeldOut:
    """Read up to `n` clips of held-out people; the log names unreadable ones.

    Parameters
    ----------
    entries : utterance -> entries of mouths.scp and wav.scp
    utt2spk : utterance -> person
    """
    chosen = choose_clips({utt: utt2spk[utt] for utt in entries}, n)
    held_out = HeldOut([], [], [])
    for utt in progress(chosen, "held-out clips"):
        try:
            mouths, waveform = read_mouths(entries[utt][0]), guarded(read_waveform, entries[utt][1])
        except InputError as error:
            log.warning("left out %s: %s", utt, error)
            continue
        held_out.people.append(utt2spk[utt])
        held_out.mouths.append(mouths)
        held_out.waveforms.append(waveform)
    log.info("validation on %d clips of %d people", len(held_out.people), len(set(held_out.people)))
    return held_out


def validate_pairs(held_out: HeldOut, device: torch.device) -> Validate:
    """Make a function that measures the EER of single cubes, with impostor audio shifted by half a second."""

    def validate(model: nn.Module) -> dict[str, float]:
        embedder = SynchronyEmbedder(model, device)
        pairs = []
        for mouths, waveform in zip(held_out.mouths, held_out.waveforms, strict=True):
            pairs.append(pair_distances(*distance_matrix(embedder.embed(mouths, waveform), VALID_SHIFT), VALID_SHIFT))
        genuine, impostor = (np.concatenate(part) for part in zip(*pairs, strict=True))
        scores = -np.concatenate([genuine, impostor])
        if not np.isfinite(scores).all():
            raise InputError("expected finite distances of held-out clips, found NaN or infinity; lower optimizer.lr")
        return {"eer_percent": 100 * eer(scores, np.arange(len(scores)) < len(genuine))}

    return validate


def find_threshold(embedder: SynchronyEmbedder, held_out: HeldOut) -> float | None:
    """Confidence at the equal error rate of detecting replaced audio; None with fewer than 2 people."""
    confidence: list[float] = []
    genuine: list[bool] = []
    n = len(held_out.people)
    vectors = [embedder.embed(m, s) for m, s in zip(held_out.mouths, held_out.waveforms, strict=True)]
    for index, own in enumerate(vectors):
        others = [(index + k) % n for k in range(1, n) if held_out.people[(index + k) % n] != held_out.people[index]]
        for which in [index, *others[:1]]:
            try:
                synchrony = find_offset(*distance_matrix(replace(own, audio=vectors[which].audio)))
            except InputError:  # too short
                continue
            confidence.append(synchrony.confidence)
            genuine.append(which == index)
    rate, threshold = equal_error(count_errors(np.array(confidence), np.array(genuine)))
    if not np.isfinite(rate):
        return None
    log.info("replaced audio: EER %.1f %% at a confidence of %.3f", 100 * rate, threshold)
    return threshold
