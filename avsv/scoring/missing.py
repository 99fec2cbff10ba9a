"""What to do about trials whose embedding or score is missing: never silence, always a count."""

import argparse
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from avsv.errors import InputError, refuse_unknown
from avsv.jobs.files import whole_file

if TYPE_CHECKING:  # a command's --help needs this file, but no numpy
    import numpy as np

    from avsv.kaldi.trials import Trials
    from avsv.scoring.trial_embeddings import TrialEmbeddings

log = logging.getLogger("avsv")
POLICIES = ("error", "drop", "keep", "score")


@dataclass(frozen=True)
class Missing:
    """The user's wish.

    policy : "error" stop, "drop" leave the trial out, "keep" leave its score as it was, "score" give it `value`
    """

    policy: str = "error"
    value: float = 0.0

    def __post_init__(self):
        refuse_unknown("policy", self.policy, POLICIES)
        if not math.isfinite(self.value):
            raise InputError(f"a missing score can be given any finite number, found {self.value}")

    def check(self, trials: "Trials", pool: "TrialEmbeddings", scp: Path) -> None:
        """InputError that names the first recordings without an embedding, where that is to stop the work."""
        absent = pool.absent(trials)
        if not absent:
            return
        n_incomplete = int((~pool.complete).sum())
        if self.policy == "error":
            short = f"{pool.models.n_short} models lack some of theirs and " if pool.models is not None else ""
            raise InputError(
                f"{scp}: no embedding of {len(absent)} recordings of the trials, so that {short}{n_incomplete} of "
                f"{len(trials)} trials have no score; the first: {', '.join(absent[:3])}. Make them, or see --missing"
            )
        if self.policy == "drop" and n_incomplete == len(trials):
            raise InputError(f"{scp}: no trial is left: not one has both embeddings; the first absent: {absent[0]}")

    def check_apart(self, trials: "Trials", apart: "np.ndarray") -> None:
        """InputError where trials, of these numbers, have nothing in common, and that is to stop the work."""
        if len(apart) and self.policy == "error":
            enroll, test = trials[int(apart[0])]
            raise InputError(f"{len(apart)} of {len(trials)} trials compare clips that have nothing in common, a voice "
                            f"with a face, the first: {enroll} {test}; see --missing")  # fmt: skip

    def fill(self, complete: "np.ndarray", scores: "np.ndarray", before: "np.ndarray | None" = None) -> "np.ndarray":
        """Scores of all trials, or of the complete ones where the others are dropped.

        Parameters
        ----------
        complete : (n,) bool
        scores : (complete trials,)
        before : (n,) scores that are kept where the policy is "keep"
        """
        import numpy as np

        if self.policy == "drop" or complete.all():
            return scores
        filled = np.full(len(complete), self.value, scores.dtype) if self.policy != "keep" else before.copy()
        filled[complete] = scores
        return filled

    def note(self, out: Path, trials: "Trials", pool: "TrialEmbeddings", apart: "np.ndarray | None" = None) -> None:
        """Say how many trials lack an embedding and what became of them.

        OUT.missing lists the recordings, and the models that have none at all; then the trials of `apart`.

        Parameters
        ----------
        apart : (trials,) bool, those whose clips have embeddings, and nothing in common
        """
        listing = missing_list(out)
        absent = pool.absent(trials)
        numbers = [] if apart is None else apart.nonzero()[0].tolist()
        if not absent and not numbers:
            listing.unlink(missing_ok=True)  # of an earlier run
            return
        with whole_file(listing) as file:
            file.writelines(f"{name}\n" for name in sorted({*absent, *without_embedding(trials, pool)}))
            file.writelines(" ".join(trials[number]) + "\n" for number in numbers)
        done = {"drop": "left out", "keep": "kept as they were"}.get(self.policy, f"given the score {self.value:g}")
        if numbers:
            log.warning("%s: %d of %d trials compare a voice with a face: %s", out, len(numbers), len(trials), done)
        if not absent:
            return
        n_incomplete = int((~pool.complete).sum())
        if pool.models is not None and pool.models.n_short:
            log.warning("%s: %d models are made of fewer recordings than they have", out, pool.models.n_short)
        log.warning("%s: %d of %d trials lack an embedding: %s", out, n_incomplete, len(trials), done)
        log.warning("%s: the %d recordings without one", listing, len(absent))


def without_embedding(trials: "Trials", pool: "TrialEmbeddings") -> set[str]:
    """Names in the trials, of recordings or of models, for which there is nothing to score."""
    import numpy as np

    names = set()
    for side, ids in enumerate((trials.enroll_ids, trials.test_ids)):
        names.update(ids[row] for row in np.unique(trials.pairs[pool.pairs[:, side] < 0, side]))
    return names


def missing_list(scores: Path) -> Path:
    """Where the recordings without an embedding are listed, beside a score file."""
    return scores.parent / f"{scores.name}.missing"


def made_up(scores: Path, trials: "Trials") -> "np.ndarray":
    """(trials,) bool: the trial or a name in it is listed as one without, so that its score tells nothing.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from avsv.kaldi.trials import Trials
    >>> scores = Path(tempfile.mkdtemp()) / "scores"
    >>> _ = missing_list(scores).write_text("c\\na d\\n")
    >>> made_up(scores, Trials(["a"], ["b", "c", "d"], np.array([[0, 0], [0, 1], [0, 2]]))).tolist()
    [False, True, True]
    """
    import numpy as np

    from avsv.kaldi.tables import read_lines

    listing = missing_list(scores)
    if not listing.exists():
        return np.zeros(len(trials), bool)
    lines = [line.split() for line in read_lines(listing)]
    names, apart = {line[0] for line in lines if len(line) == 1}, [line for line in lines if len(line) == 2]
    sides = trials.enroll_ids, trials.test_ids
    enroll, test = (np.array([name in names for name in ids], bool) for ids in sides)
    found = enroll[trials.pairs[:, 0]] | test[trials.pairs[:, 1]]
    if apart:
        # as numbers: enroll row x number of test names + test row
        rows = [{name: row for row, name in enumerate(ids)} for ids in sides]
        keys = [rows[0][a] * len(sides[1]) + rows[1][b] for a, b in apart if a in rows[0] and b in rows[1]]
        found |= np.isin(trials.pairs[:, 0].astype(np.int64) * len(sides[1]) + trials.pairs[:, 1], keys)
    return found


def missing_policy(*words: str) -> Callable[[str], Missing]:
    """A type for argparse: one of `words`, or where "score" is among them a number.

    Examples
    --------
    >>> missing_policy("error", "drop", "score")("-1")
    Missing(policy='score', value=-1.0)
    """

    def parse(text: str) -> Missing:
        if text in words and text != "score":
            return Missing(text)
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if "score" not in words or not math.isfinite(value):
            choices = ", ".join(word if word != "score" else "a number" for word in words)
            raise argparse.ArgumentTypeError(f'"{text}" is none of: {choices}')
        return Missing("score", value)

    return parse
