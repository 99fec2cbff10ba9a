"""Several recordings of one person as one clip, for cosines and their calibration."""

from collections.abc import Sequence

import numpy as np

from avsv.errors import InputError, OptionError
from avsv.scoring.verification import Clip


def average_clips(clips: Sequence[Clip]) -> Clip:
    """One clip for several recordings of a person: each modality's mean embedding and mean quality.

    The mean embedding is that of `avsv score` for models of several recordings (embedding-average). Recordings without
    a modality do not count for it. A quality measure is the mean of the recordings that have it; this is our choice:
    the calibration was trained on single recordings, and their mean is in the range that it knows.

    Parameters
    ----------
    clips : from `embed`, by the same encoders

    Raises
    ------
    InputError : the clips were embedded by different encoders
    OptionError : no clips

    Examples
    --------
    >>> one, other = (Clip({"voice": np.array(v)}, {}, {"voice": "voice:1"}) for v in ([1.0, 0.0], [0.0, 2.0]))
    >>> average_clips([one, other]).vectors
    {'voice': array([0.5, 1. ], dtype=float32)}
    """
    if not clips:
        raise OptionError("expected one or more clips")
    for clip in clips:
        if clip.models != clips[0].models:
            raise InputError(f"the clips were embedded by different encoders: {clips[0].models} and {clip.models}")
    if len(clips) == 1:
        return clips[0]
    vectors, quality, absent = {}, {}, {}
    for modality in dict.fromkeys(name for clip in clips for name in clip.vectors):
        rows = [clip.vectors[modality] for clip in clips if modality in clip.vectors]
        vectors[modality] = np.mean(rows, axis=0, dtype=np.float64).astype(np.float32)
        quality[modality] = mean_measures([clip.quality.get(modality, {}) for clip in clips])
    for modality in clips[0].models:
        if modality not in vectors:
            absent[modality] = "; ".join(clip.absent[modality] for clip in clips if modality in clip.absent)
    return Clip(vectors, absent, dict(clips[0].models), quality)


def mean_measures(recordings: Sequence[dict[str, float]]) -> dict[str, float]:
    """Mean of each quality measure over the recordings that have it.

    Examples
    --------
    >>> mean_measures([{"utt2snr": 10.0, "utt2dur": 2.0}, {"utt2snr": 20.0}, {}])
    {'utt2snr': 15.0, 'utt2dur': 2.0}
    """
    names = dict.fromkeys(name for measures in recordings for name in measures)
    return {name: float(np.mean([one[name] for one in recordings if name in one])) for name in names}
