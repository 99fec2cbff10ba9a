"""Score files with finite scores only: a NaN in a score file would silently spoil every figure computed from it."""

from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.kaldi.origin import system_record, write_system
from avsv.kaldi.scores import write_scores
from avsv.kaldi.trials import Trials
from avsv.scoring.missing import missing_list


def write_finite(out: Path, trials: Trials, scores: np.ndarray, system: str | None = None) -> None:
    """Write a score file and, beside it, the record of its system.

    Parameters
    ----------
    scores : (len(trials),) float
    system : model and back-end, see kaldi/origin.py; None if unknown

    Raises
    ------
    InputError : a score is NaN or infinite; then nothing is written
    """
    if len(bad := np.flatnonzero(~np.isfinite(scores))):
        names = " ".join(trials[int(bad[0])])
        raise InputError(f"{out}: not written, because {len(bad)} of {len(scores)} scores are NaN or infinite, the "
                        f"first: {names}. Check the embeddings or scores of these recordings")  # fmt: skip
    write_system(out, None)  # an interrupted run must not leave the new scores with the old record
    write_scores(out, trials, scores)
    write_system(out, system)


def companions(scores: Path) -> list[Path]:
    """The files that belong to a score file: the list of its missing recordings, and the record of its system."""
    return [missing_list(scores), system_record(scores)]
