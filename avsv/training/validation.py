"""Validation: the EER of cosine scores on people who are held out of training, after each epoch."""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import default_collate

from avsv.errors import InputError
from avsv.evaluation.errors import eer
from avsv.jobs.progress import progress
from avsv.kaldi.data_dir import DataDir, read_data_dir
from avsv.scoring.cosine import unit_length
from avsv.training.config import TrainingConfig

log = logging.getLogger("avsv")
TRIALS = 1_000_000  # largest number of pairs of clips
BATCH = 32


def read_held_out(config: TrainingConfig, training_people: set[str]) -> DataDir | None:
    """The data directory of `config.valid_dir`; None if it is not set.

    Raises
    ------
    InputError : it has people from the training set, or fewer than two
    """
    if not config.valid_dir:
        return None
    data = read_data_dir(config.valid_dir)
    people = set(data.utt2spk.values())
    refuse_trained(config.valid_dir, people, training_people)
    if len(people) < 2:
        raise InputError(f"{config.valid_dir}: has {len(people)} people; validation needs at least 2")
    return data


def refuse_trained(valid_dir: str, people: Iterable[str], trained: Iterable[str]) -> None:
    """Raise InputError if people of a validation set occur in training."""
    both = sorted(set(people) & set(trained))
    if both:
        raise InputError(f"{valid_dir}: {len(both)} of its people are in training, such as {both[0]}; validation "
                         "needs people who are not in data_dir")  # fmt: skip


def choose_clips(utt2spk: dict[str, str], n: int, seed: int = 0) -> list[str]:
    """Choose up to `n` utterances, spread evenly over people; the choice is repeatable and sorted by name.

    Examples
    --------
    >>> choose_clips({"a-1": "a", "a-2": "a", "a-3": "a", "b-1": "b"}, 2)
    ['a-3', 'b-1']
    """
    utts = sorted(utt2spk)
    order = np.random.default_rng(seed).permutation(len(utts))
    seen: dict[str, int] = {}
    turns = []  # (number of the clip within its person, index): sorting puts all first clips before any second one
    for index in order.tolist():
        spk = utt2spk[utts[index]]
        turns.append((seen.get(spk, 0), index))
        seen[spk] = seen.get(spk, 0) + 1
    return sorted(utts[index] for _, index in sorted(turns)[:n])


def pairs_eer(embeddings: np.ndarray, people: list[str]) -> float:
    """EER in percent of the cosines of all pairs of clips, or of a million random pairs if there are more.

    Parameters
    ----------
    embeddings : (n, d)
    people : n names

    Examples
    --------
    >>> pairs_eer(np.array([[1.0, 0], [1, 0.1], [0, 1], [0.1, 1]]), ["a", "a", "b", "b"])
    0.0
    """
    unit, labels = unit_length(embeddings), np.unique(people, return_inverse=True)[1]
    one, other = np.triu_indices(len(unit), 1)
    if len(one) > TRIALS:
        kept = np.random.default_rng(0).choice(len(one), TRIALS, replace=False)
        one, other = one[kept], other[kept]
    return 100 * eer((unit @ unit.T)[one, other], labels[one] == labels[other])


def held_out_eer(
    config: TrainingConfig,
    data: DataDir,
    entries: Mapping[str, Any],
    read: Callable[[Any], Any],
    embed: Callable[[nn.Module, Any], Tensor],
) -> Callable[[nn.Module], dict[str, float]]:
    """A function for `Trainer.fit` that embeds held-out clips and measures the EER of all their pairs.

    Clips are read at once and kept in memory; unreadable ones are named in the log and left out.

    Parameters
    ----------
    data : from `read_held_out`
    entries : utterance -> path or archive entry of the clip
    read : entry -> tensor, or tuple of tensors, of the same shapes for every clip
    embed : model and a batch of such tensors -> (batch, d) embeddings

    Raises
    ------
    InputError : no person has two clips, or all clips are from one person
    """
    utts = choose_clips({utt: data.utt2spk[utt] for utt in entries if utt in data.utt2spk}, config.valid_clips)
    if not utts:
        raise InputError(f"{data.path}: has no clips of the trained modality: needs wav.scp for audio, or faces.scp "
                        "(made by avsv align-faces) for faces")  # fmt: skip
    clips, people = [], []
    for utt in progress(utts, "held-out clips"):
        try:
            clips.append(read(entries[utt]))
            people.append(data.utt2spk[utt])
        except InputError as error:
            log.warning("left out: %s", error)
    if not 1 < len(set(people)) < len(people):
        raise InputError(f"{data.path}: {len(people)} clips of {len(set(people))} people make no pairs for validation: "
                        "at least 2 people, one of them with 2 clips, are needed")  # fmt: skip
    log.info("%s: validation on %d clips of %d people", data.path, len(people), len(set(people)))

    def validate(model: nn.Module) -> dict[str, float]:
        batches = (default_collate(clips[begin : begin + BATCH]) for begin in range(0, len(clips), BATCH))
        embeddings = torch.cat([embed(model, batch).float().cpu() for batch in batches]).numpy()
        if not np.isfinite(embeddings).all():
            raise InputError("an embedding of a held-out clip is not finite; lower optimizer.lr")
        return {"eer_percent": pairs_eer(embeddings, people)}

    return validate
