"""The people against whom scores are normalised: who may be among them, and one vector of each if so wished."""

import logging
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.kaldi.embeddings import Embeddings, read_embeddings
from avsv.scoring.groups import group_means
from avsv.scoring.people import people_names

log = logging.getLogger("avsv")


def read_cohort(
    scp: Path,
    recordings: Embeddings,
    cohort_utt2spk: Path | None = None,
    utt2spk: Path | None = None,
    by_person: bool = False,
) -> Embeddings:
    """Read a cohort without those who are in the trials.

    A member that is itself a recording of the trials is always left out: it is no other person. Where `utt2spk` tells
    who is in the trials, all that these people have in the cohort is left out. Both are counted and told.

    Parameters
    ----------
    scp : embeddings of the cohort
    recordings : of the trials
    cohort_utt2spk : who is in the cohort
    utt2spk : who is in the trials, by the same names
    by_person : make one mean embedding of each person

    Raises
    ------
    InputError : nobody is left, a recording has no person in its utt2spk, or `cohort_utt2spk` is needed and absent
    """
    if cohort_utt2spk is None and (by_person or utt2spk is not None):
        need = "--cohort-of speakers" if by_person else "--utt2spk"
        raise InputError(f"{need} needs --cohort-utt2spk: who is in {scp}")
    cohort = read_embeddings(scp)
    if not len(cohort):
        raise InputError(f"{scp}: there are no embeddings in it")
    people = None if cohort_utt2spk is None else np.array(people_names(cohort.ids, cohort_utt2spk, scp))
    keep = not_in_trials(scp, cohort, recordings, people, utt2spk)
    if not keep.all():
        rows = np.flatnonzero(keep)
        cohort = Embeddings([cohort.ids[row] for row in rows], cohort.vectors[rows])
    if not by_person:
        return cohort
    names, numbers = np.unique(people[keep], return_inverse=True)
    means = group_means(cohort.vectors, np.argsort(numbers, kind="stable"), np.bincount(numbers))
    return Embeddings(names.tolist(), means)


def not_in_trials(
    scp: Path, cohort: Embeddings, recordings: Embeddings, people: np.ndarray | None, utt2spk: Path | None
) -> np.ndarray:
    """(c,) bool: this member may stay; says how many may not."""
    tried = set(recordings.ids)
    keep = np.array([name not in tried for name in cohort.ids])
    n_tried = int((~keep).sum())
    if utt2spk is not None:
        keep &= ~np.isin(people, np.unique(people_names(recordings.ids, utt2spk, "the trials")))
        others = int((~keep).sum()) - n_tried
        text = "%s: left out of the cohort: %d recordings of the trials, and %d others of the people in them"
        log.info(text, scp, n_tried, others)
    elif n_tried:
        log.warning("%s: left out of the cohort: %d recordings of the trials", scp, n_tried)
    if not keep.any():
        raise InputError(f"{scp}: nobody is left in the cohort: all are in the trials; give embeddings of other people")
    return keep
