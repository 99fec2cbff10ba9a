"""Several recordings of one person as one clip, for cosines and their calibration."""

from collections.abc import Sequence

import numpy as np

from avsv.errors import InputError, OptionError
from avsv.scoring.groups import quality_weights
from avsv.scoring.verification import Clip

FACE_QUALITY = "utt2face_quality"  # written by embed-face if the pack has a quality network


def average_clips(clips: Sequence[Clip]) -> Clip:
    """One clip for several recordings of a person: each modality's mean embedding and mean quality.

    The mean embedding is that of `avsv score` for models of several recordings (embedding-average). Recordings without
    a modality do not count for it. A quality measure is the mean of the recordings that have it; this is our choice:
    the calibration was trained on single recordings, and their mean is in the range that it knows. Faces are weighted
    by their quality, see `template_weights`.

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
        vectors[modality] = weighted_mean(np.stack(rows), template_weights(clips, modality)).astype(np.float32)
        quality[modality] = mean_measures([clip.quality.get(modality, {}) for clip in clips])
    for modality in clips[0].models:
        if modality not in vectors:
            absent[modality] = "; ".join(clip.absent[modality] for clip in clips if modality in clip.absent)
    return Clip(vectors, absent, dict(clips[0].models), quality)


def template_weights(clips: Sequence[Clip], modality: str) -> np.ndarray | None:
    """Relative weights of a person's recordings in the mean of a modality, with mean 1; None for equal weights.

    Faces are weighted by `quality_weights` if the face pack has a quality network, which measured every one of them.

    Returns
    -------
    (n,) float, of the recordings that have the modality
    """
    measured = [clip.quality.get(modality, {}).get(FACE_QUALITY) for clip in clips if modality in clip.vectors]
    return None if modality != "face" or None in measured else quality_weights(np.array(measured))


def weighted_mean(vectors: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Mean of vectors (n, d) with relative weights of mean 1, (d,) float64; None for equal weights."""
    if weights is not None:
        vectors = vectors * weights[:, None]
    return np.mean(vectors, axis=0, dtype=np.float64)


def mean_measures(recordings: Sequence[dict[str, float]]) -> dict[str, float]:
    """Mean of each quality measure over the recordings that have it.

    Examples
    --------
    >>> mean_measures([{"utt2snr": 10.0, "utt2dur": 2.0}, {"utt2snr": 20.0}, {}])
    {'utt2snr': 15.0, 'utt2dur': 2.0}
    """
    names = dict.fromkeys(name for measures in recordings for name in measures)
    return {name: float(np.mean([one[name] for one in recordings if name in one])) for name in names}
