"""Trials without an embedding or a score: counted, listed, and treated as the caller decides.

The functions below take this decision as the parameter `missing`: "error" raises, "drop" leaves such trials out, "keep"
keeps their previous score, and a number becomes their score.
"""

import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from avsv.errors import InputError, MissingEmbedding, OptionError, refuse_unknown
from avsv.jobs.files import whole_file

if TYPE_CHECKING:  # a command's --help imports this module and should not wait for numpy
    import numpy as np

    from avsv.kaldi.trials import Trials
    from avsv.scoring.trial_embeddings import TrialEmbeddings

log = logging.getLogger("avsv")
POLICIES = ("error", "drop", "keep")
Missing = Literal["error", "drop", "keep"] | float


def check_missing(missing: Missing) -> None:
    """Raise OptionError unless `missing` is one of POLICIES or a finite number.

    Examples
    --------
    >>> check_missing("drop")
    >>> check_missing(-1.0)
    """
    if not isinstance(missing, (int, float)):
        refuse_unknown("missing", missing, POLICIES)
    elif not math.isfinite(missing):
        raise OptionError(f"missing: expected {', '.join(POLICIES)} or a finite number, found {missing}")


def refuse_missing(missing: Missing, trials: "Trials", pool: "TrialEmbeddings", scp: Path) -> None:
    """Stop if trials have no embedding and `missing` does not allow it.

    Raises
    ------
    MissingEmbedding : `missing` is "error" and a trial is incomplete, or it is "drop" and no trial is complete; the
        message names the first recordings without an embedding
    """
    absent = pool.absent(trials)
    if not absent:
        return
    n_incomplete = int((~pool.complete).sum())
    if missing == "error":
        short = f"{pool.models.n_short} models are incomplete and " if pool.models is not None else ""
        raise MissingEmbedding(
            f"{scp}: {len(absent)} recordings of the trials have no embedding, the first: {', '.join(absent[:3])}; "
            f"{short}{n_incomplete} of {len(trials)} trials cannot be scored. Embed these recordings, or set `missing` "
            "to something other than error"
        )
    if missing == "drop" and n_incomplete == len(trials):
        raise MissingEmbedding(f"{scp}: no trial has embeddings on both sides; the first absent one: {absent[0]}")


def refuse_disjoint(missing: Missing, trials: "Trials", disjoint: "np.ndarray") -> None:
    """Stop if clips of a trial share no modality and `missing` is "error".

    Parameters
    ----------
    disjoint : (k,) int, numbers of the trials whose clips share no modality

    Raises
    ------
    InputError : names the first such trial
    """
    if len(disjoint) and missing == "error":
        enroll, test = trials[int(disjoint[0])]
        raise InputError(f"{len(disjoint)} of {len(trials)} trials compare a voice with a face, the first: "
                        f"{enroll} {test}; set `missing` to another value than error")  # fmt: skip


def fill_missing(
    missing: Missing, complete: "np.ndarray", scores: "np.ndarray", before: "np.ndarray | None" = None
) -> "np.ndarray":
    """Scores of all trials; with "drop", of the complete trials only.

    Parameters
    ----------
    complete : (n,) bool, trials that could be scored
    scores : (complete trials,) float
    before : (n,) float, the scores that "keep" keeps

    Returns
    -------
    (n,) float of the type of `scores`; (complete trials,) with "drop"

    Examples
    --------
    >>> import numpy as np
    >>> fill_missing(-1.0, np.array([True, False]), np.array([0.5])).tolist()
    [0.5, -1.0]
    """
    import numpy as np

    if missing == "drop" or complete.all():
        return scores
    filled = np.full(len(complete), missing, scores.dtype) if missing != "keep" else before.copy()
    filled[complete] = scores
    return filled


def report_missing(
    missing: Missing, out: Path, trials: "Trials", pool: "TrialEmbeddings", disjoint: "np.ndarray | None" = None
) -> None:
    """Log how many trials could not be scored, and list their recordings in OUT.missing.

    OUT.missing holds one recording, or one model without any embedding, on a line; then the trials of `disjoint`, as
    "enroll test". It is removed if nothing is missing.

    Parameters
    ----------
    disjoint : (trials,) bool, trials with both embeddings whose clips share no modality
    """
    listing = missing_list(out)
    absent = pool.absent(trials)
    numbers = [] if disjoint is None else disjoint.nonzero()[0].tolist()
    if not absent and not numbers:
        listing.unlink(missing_ok=True)  # left by an earlier run
        return
    with whole_file(listing) as file:
        file.writelines(f"{name}\n" for name in sorted({*absent, *without_embedding(trials, pool)}))
        file.writelines(" ".join(trials[number]) + "\n" for number in numbers)
    action = {"drop": "left out", "keep": "scores kept"}.get(missing) or f"scored {missing:g}"
    if numbers:
        log.warning("%s: %d of %d trials compare a voice with a face: %s", out, len(numbers), len(trials), action)
    if not absent:
        return
    n_incomplete = int((~pool.complete).sum())
    if pool.models is not None and pool.models.n_short:
        log.warning("%s: %d models are made from only some of their recordings", out, pool.models.n_short)
    log.warning("%s: %d of %d trials have no embedding on one side: %s", out, n_incomplete, len(trials), action)
    log.warning("recordings without an embedding: %d, listed in %s", len(absent), listing)


def without_embedding(trials: "Trials", pool: "TrialEmbeddings") -> set[str]:
    """Enrolment and test names, of recordings or of models, that have no embedding at all."""
    import numpy as np

    names = set()
    for side, ids in enumerate((trials.enroll_ids, trials.test_ids)):
        names.update(ids[row] for row in np.unique(trials.pairs[pool.pairs[:, side] < 0, side]))
    return names


def missing_list(scores: Path) -> Path:
    """The file beside a score file that lists recordings without an embedding."""
    return scores.parent / f"{scores.name}.missing"


def filled_trials(scores: Path, trials: "Trials") -> "np.ndarray":
    """(trials,) bool: the score in the file was filled in, because FILE.missing lists the trial or a name in it.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from avsv.kaldi.trials import Trials
    >>> scores = Path(tempfile.mkdtemp()) / "scores"
    >>> _ = missing_list(scores).write_text("c\\na d\\n")
    >>> filled_trials(scores, Trials(["a"], ["b", "c", "d"], np.array([[0, 0], [0, 1], [0, 2]]))).tolist()
    [False, True, True]
    """
    import numpy as np

    from avsv.kaldi.tables import read_lines

    listing = missing_list(scores)
    if not listing.exists():
        return np.zeros(len(trials), bool)
    lines = [line.split() for line in read_lines(listing)]
    names, disjoint = {line[0] for line in lines if len(line) == 1}, [line for line in lines if len(line) == 2]
    sides = trials.enroll_ids, trials.test_ids
    enroll, test = (np.array([name in names for name in ids], bool) for ids in sides)
    filled = enroll[trials.pairs[:, 0]] | test[trials.pairs[:, 1]]
    if disjoint:
        # a trial as one number: enrolment row x number of test names + test row
        rows = [{name: row for row, name in enumerate(ids)} for ids in sides]
        keys = [rows[0][a] * len(sides[1]) + rows[1][b] for a, b in disjoint if a in rows[0] and b in rows[1]]
        filled |= np.isin(trials.pairs[:, 0].astype(np.int64) * len(sides[1]) + trials.pairs[:, 1], keys)
    return filled
