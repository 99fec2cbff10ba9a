"""The calibration behind scores, and whether it was trained on the trials that it is judged on."""

import logging
from collections.abc import Iterator
from pathlib import Path

from avsv.errors import InputError
from avsv.jobs.fingerprints import digest_of, state_of
from avsv.jobs.provenance import sources_of
from avsv.jobs.records import read_record
from avsv.kaldi.origin import read_system
from avsv.scoring.calibration import ScoreFusion, read_fusion
from avsv.scoring.quality_fusion import QualityFusion
from avsv.scoring.score_lists import fused_system

log = logging.getLogger("avsv")


def calibration_of(scores: Path, source: Path) -> ScoreFusion | QualityFusion:
    """Read the calibration that made a score file.

    Parameters
    ----------
    scores : file of log-likelihood ratios
    source : file of the calibration

    Raises
    ------
    InputError : no such calibration, or the scores' record names another system, such as a cosine
    """
    if not source.exists():
        raise InputError(f"{source}: no such file; expected the calibration that made {scores}. Give scores of avsv "
                        "calibrate or avsv fuse, which write it, or `calibration`")  # fmt: skip
    calibration, made_by = read_fusion(source), read_system(scores)
    method = "quality" if isinstance(calibration, QualityFusion) else "logistic"
    expected = fused_system(calibration.trained_on, method)
    if made_by is None or expected is None:
        log.warning("%s: avsv cannot check that %s made these scores: the models are not recorded", scores, source)
    elif made_by != expected:
        raise InputError(f"{scores}: scores of {made_by}, expected log-likelihood ratios of {source}, {expected}; give "
                        "scores of avsv calibrate or avsv fuse with their own JSON")  # fmt: skip
    return calibration


def warn_same_trials(calibration: Path, trials: Path, scores: Path) -> Iterator[str]:
    """Yield a warning if the record of a calibration names these trials, or a copy of them, as its training trials.

    Scores by folds are honest all the same: models that had not seen their people made them.
    """
    record = read_record(scores)
    if record is not None and any(one.role == "folds" for one in record.inputs):
        return
    state = state_of(trials)
    digest = digest_of(trials, state) if state else ""
    if digest and digest in sources_of(calibration).values():
        yield (f"{calibration} was trained on these very trials ({trials}): its errors on other people will be higher. "
               "Train it on other people, or by folds")  # fmt: skip
