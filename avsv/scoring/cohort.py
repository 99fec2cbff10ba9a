"""The cohort of score normalisation: embeddings of speakers who are in none of the trials."""

import logging
from pathlib import Path

import numpy as np

from avsv.errors import InputError, OptionError
from avsv.kaldi.embeddings import Embeddings, read_embeddings
from avsv.scoring.groups import group_means
from avsv.scoring.speakers import speaker_names

log = logging.getLogger("avsv")


def read_cohort(
    scp: Path,
    recordings: Embeddings,
    cohort_utt2spk: Path | None = None,
    utt2spk: Path | None = None,
    by_speaker: bool = False,
) -> Embeddings:
    """Read a cohort, leaving out the recordings and, if `utt2spk` is given, the speakers of the trials.

    The log counts both.

    Parameters
    ----------
    scp : embeddings of the cohort
    recordings : embeddings of the trials
    cohort_utt2spk : speakers of the cohort's recordings
    utt2spk : speakers of the trials' recordings, named as in `cohort_utt2spk`
    by_speaker : average each speaker's embeddings to one member

    Raises
    ------
    OptionError : `cohort_utt2spk` is needed and absent
    InputError : the cohort is empty, or a recording is not in its utt2spk
    """
    if cohort_utt2spk is None and (by_speaker or utt2spk is not None):
        need = "a cohort of speakers" if by_speaker else "utt2spk"
        raise OptionError(f"{need} needs cohort_utt2spk as well, the speakers of {scp}")
    cohort = read_embeddings(scp)
    if not len(cohort):
        raise InputError(f"{scp}: expected embeddings, found none")
    speakers = None if cohort_utt2spk is None else np.array(speaker_names(cohort.ids, cohort_utt2spk, scp))
    keep = not_in_trials(scp, cohort, recordings, speakers, utt2spk)
    if not keep.all():
        rows = np.flatnonzero(keep)
        cohort = Embeddings([cohort.ids[row] for row in rows], cohort.vectors[rows])
    if not by_speaker:
        return cohort
    names, numbers = np.unique(speakers[keep], return_inverse=True)
    means = group_means(cohort.vectors, np.argsort(numbers, kind="stable"), np.bincount(numbers))
    return Embeddings(names.tolist(), means)


def not_in_trials(
    scp: Path, cohort: Embeddings, recordings: Embeddings, speakers: np.ndarray | None, utt2spk: Path | None
) -> np.ndarray:
    """(c,) bool: cohort members that are not in the trials. Logs how many are; raises InputError if all are."""
    trial_recordings = set(recordings.ids)
    keep = np.array([name not in trial_recordings for name in cohort.ids])
    n_recordings = int((~keep).sum())
    if utt2spk is not None:
        keep &= ~np.isin(speakers, np.unique(speaker_names(recordings.ids, utt2spk, "the trials")))
        n_others = int((~keep).sum()) - n_recordings
        text = "%s: left out of the cohort: %d recordings of the trials and %d others of the same speakers"
        log.info(text, scp, n_recordings, n_others)
    elif n_recordings:
        log.warning("%s: left out of the cohort: %d recordings of the trials", scp, n_recordings)
    if not keep.any():
        raise InputError(f"{scp}: the whole cohort is in the trials; give embeddings of other speakers")
    return keep
