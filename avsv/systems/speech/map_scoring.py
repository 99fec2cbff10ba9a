"""GMM-UBM scores: a speaker's model is the UBM with adapted means (Reynolds, Quatieri and Dunn 2000)."""

from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from avsv.errors import MissingEmbedding
from avsv.kaldi.embeddings import Embeddings
from avsv.kaldi.enrolment_maps import read_enrolment_map
from avsv.kaldi.trials import Trials, utterance_id
from avsv.scoring.missing import Missing
from avsv.scoring.trial_embeddings import TrialEmbeddings, read_trial_embeddings
from avsv.systems.speech.frames import SpeechFrames
from avsv.systems.speech.gmm import DiagGmm, accumulate

MODELS_AT_ONCE = 256  # adapted models in memory
TOP = 5  # Gaussians a frame, the likeliest of the UBM


def adapted_means(ubm: DiagGmm, counts: np.ndarray, first: np.ndarray, relevance: float = 16.0) -> np.ndarray:
    """Means of a speaker by maximum a posteriori (MAP) adaptation.

        a_i = n_i / (n_i + r),   mean_i = a_i f_i / n_i + (1 - a_i) UBM mean_i

    Equations (11)-(14) of Reynolds, Quatieri and Dunn, Digital Signal Processing 10, 2000.

    Parameters
    ----------
    counts : (k,) ; first : (k, d) sums of the speaker's frames, both weighted by the posteriors of the Gaussians
    relevance : r, frames

    Returns
    -------
    (k, d)

    Examples
    --------
    >>> ubm = DiagGmm(np.array([1.0]), np.zeros((1, 1)), np.ones((1, 1)))
    >>> adapted_means(ubm, np.array([16.0]), np.array([[64.0]]))
    array([[2.]])
    """
    return (first + relevance * ubm.means) / (counts + relevance)[:, None]


def llr_scores(ubm: DiagGmm, models: Sequence[np.ndarray], frames: np.ndarray, top: int = TOP) -> np.ndarray:
    """Mean log-likelihood ratio of frames: speakers' models to the UBM.

    Only the `top` likeliest Gaussians of the UBM are evaluated for a frame, in all models.

    Parameters
    ----------
    models : adapted means, (k, d) each
    frames : (t, d), t >= 1

    Returns
    -------
    (len(models),) float64, natural logarithm

    Examples
    --------
    >>> ubm = DiagGmm(np.array([1.0]), np.zeros((1, 1)), np.ones((1, 1)))
    >>> llr_scores(ubm, [np.array([[1.0]])], np.array([[1.0], [2.0]]))
    array([1.])
    """
    k = len(ubm.weights)
    joint = ubm.log_joint(frames)
    top = min(top, k)
    likeliest = np.argpartition(joint, k - top, axis=1)[:, k - top :]
    joint = np.take_along_axis(joint, likeliest, axis=1)
    of_ubm = np.logaddexp.reduce(joint, axis=1)
    scale = 1 / np.sqrt(ubm.variances)[likeliest]
    white = frames[:, None, :] * scale
    constants = joint + 0.5 * np.square(white - ubm.means[likeliest] * scale).sum(axis=2)
    scores = np.empty(len(models))
    for place, means in enumerate(models):
        of_model = constants - 0.5 * np.square(white - means[likeliest] * scale).sum(axis=2)
        scores[place] = (np.logaddexp.reduce(of_model, axis=1) - of_ubm).mean()
    return scores


def score_pairs(
    ubm: DiagGmm, enroll: SpeechFrames, models: Sequence[Sequence[str]], test: SpeechFrames, tests: Sequence[str],
    pairs: np.ndarray, relevance: float = 16.0,
) -> np.ndarray:  # fmt: skip
    """Scores of pairs of enrolment models and test recordings.

    The means of 256 models are in memory at a time; the test recordings are read once for each 256.

    Parameters
    ----------
    models : recordings of each model, together at least one frame with speech
    tests : test recordings, each with a frame with speech
    pairs : (n, 2) int, places in `models` and `tests`

    Returns
    -------
    (n,) float64

    Raises
    ------
    InputError : features of another size than the UBM's
    """
    size, scores = ubm.means.shape[1], np.empty(len(pairs))
    for begin in range(0, len(models), MODELS_AT_ONCE):
        rows = np.flatnonzero((pairs[:, 0] >= begin) & (pairs[:, 0] < begin + MODELS_AT_ONCE))
        means = {}
        for one in np.unique(pairs[rows, 0]).tolist():
            sums = accumulate(ubm, np.concatenate([enroll.of(utt, size) for utt in models[one]]))
            means[one] = adapted_means(ubm, sums.counts, sums.first, relevance)
        rows = rows[np.argsort(pairs[rows, 1], kind="stable")]
        for same in np.split(rows, np.flatnonzero(np.diff(pairs[rows, 1])) + 1):
            if len(same):
                chosen = [means[one] for one in pairs[same, 0].tolist()]
                scores[same] = llr_scores(ubm, chosen, test.of(tests[pairs[same[0], 1]], size))
    return scores


def find_speech(
    trials: Trials, enroll: SpeechFrames, test: SpeechFrames, spk2utt: Path | str | None, missing: Missing
) -> tuple[TrialEmbeddings, list[list[str]], list[str], np.ndarray]:
    """Which trials have speech on both sides, and what `score_pairs` needs to score them.

    Parameters
    ----------
    spk2utt : recordings of each enrolment model; None if the trials name recordings
    missing : what to do with trials without speech, see scoring/missing.py

    Returns
    -------
    pool : says which trials are complete
    models, tests, pairs : of the complete trials, as `score_pairs` takes them

    Raises
    ------
    MissingEmbedding : a recording without speech, unless `missing` allows it
    """
    names = dict.fromkeys([*trials.enroll_ids, *trials.test_ids])
    if spk2utt is not None:
        names |= dict.fromkeys(chain.from_iterable(read_enrolment_map(spk2utt, trials.enroll_ids).values()))
    sides = [with_speech(side, names) for side in (enroll, test)]
    pool = read_trial_embeddings(trials, sides[0], sides[0] if test is enroll else sides[1], spk2utt)
    absent, n_incomplete = pool.absent(trials), int((~pool.complete).sum())
    if absent and (missing == "error" or not pool.complete.any()):
        raise MissingEmbedding(f"{enroll.folder}: {len(absent)} recordings of the trials have no features or no "
                               f"speech, the first: {', '.join(absent[:3])}; {n_incomplete} of {len(trials)} trials "
                               "cannot be scored. Make their features, or set `missing`")  # fmt: skip
    ids, pairs = pool.embeddings.ids, pool.pairs[pool.complete]
    if pool.models is None:
        models = [[utt] for utt in ids]
    else:
        groups = np.split(pool.models.rows, np.cumsum(pool.models.counts)[:-1])
        models = [[ids[row] for row in rows] for rows in groups]
        pairs = pairs - [len(ids), 0]
    return pool, models, list(ids), pairs


def with_speech(speech: SpeechFrames, names: Iterable[str]) -> Embeddings:
    """The recordings of `names` that have speech, with empty vectors: their place in trials is that of embeddings."""
    known = [utt for name in names for utt in {name, utterance_id(name)} if utt in speech.features]
    present = [utt for utt in dict.fromkeys(known) if speech.n_frames(utt)]
    return Embeddings(present, np.zeros((len(present), 1), np.float32))
