"""Nothing that is not finite is written: a NaN that gets into a score file ends in figures that mean nothing."""

from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.kaldi.origin import write_system
from avsv.kaldi.scores import write_scores
from avsv.kaldi.trials import Trials


def write_finite(out: Path, trials: Trials, scores: np.ndarray, system: str | None = None) -> None:
    """Write a score file and the record of its system.

    Parameters
    ----------
    scores : (len(trials),) float
    system : the model and back-end, see kaldi/origin.py; None where they are not known

    Raises
    ------
    InputError : a score is NaN or infinite; nothing is written then
    """
    if len(bad := np.flatnonzero(~np.isfinite(scores))):
        names = " ".join(trials[int(bad[0])])
        raise InputError(f"{out}: {len(bad)} of {len(scores)} scores would be NaN or infinite, the first: {names}; "
                        "nothing was written. Check the embeddings or scores of these recordings")  # fmt: skip
    write_system(out, None)  # a record is never of an older file
    write_scores(out, trials, scores)
    write_system(out, system)
