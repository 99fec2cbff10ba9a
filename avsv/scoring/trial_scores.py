"""Scores of a trial list in memory: score, normalize, calibrate and fuse as Python functions."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from avsv.errors import InputError, MissingEmbedding, refuse_unknown
from avsv.kaldi.embeddings import Embeddings
from avsv.kaldi.trials import Trials
from avsv.scoring import normalization
from avsv.scoring.backend import Backend, Cosine, both_sides
from avsv.scoring.calibration import ScoreFusion, pattern_codes, read_fusion, train_fusion
from avsv.scoring.cohort_statistics import cohort_statistics
from avsv.scoring.cosine import inner_products
from avsv.scoring.missing import fill_missing
from avsv.scoring.modality_overlap import LEAST, read_weights, shared_weights
from avsv.scoring.quality import RecordingValues
from avsv.scoring.quality_fusion import QualityFusion
from avsv.scoring.trial_embeddings import TrialEmbeddings, read_trial_embeddings

Source = Embeddings | TrialEmbeddings | Path | str
MISSING = ("error", "nan")


def score(
    trials: Trials,
    enroll: Source,
    test: Embeddings | Path | str | None = None,
    *,
    backend: Backend | None = None,
    spk2utt: Path | str | None = None,
    enroll_method: str = "embedding-average",
    weights: Sequence[Path] = (),
    missing: str = "error",
) -> np.ndarray:
    """Score every trial.

    Parameters
    ----------
    trials : pairs of recordings, or of models and recordings
    enroll : embeddings of the enrolment side, their scp file, or the result of `read_trial_embeddings`
    test : embeddings of the test side, or their scp file; None if `enroll` has both
    backend : from `make_backend`; None for the cosine
    spk2utt : Kaldi's spk2utt with the recordings of each enrolment model; None if enrolment names are recordings
    enroll_method : how a model of several recordings is scored, see `avsv.scoring.backend.both_sides`
    weights : files of modality weights beside fused embeddings; each pair is then compared on the modalities that both
        clips have, see avsv/scoring/modality_overlap.py
    missing : "error" raises if an embedding of a trial is missing or its clips share no modality; "nan" gives it NaN

    Returns
    -------
    (n,) float32

    Raises
    ------
    MissingEmbedding : names the first recordings without an embedding
    InputError : the embeddings of the two sides differ in size, or one is zero

    Examples
    --------
    >>> trials = Trials(["a"], ["b", "c"], np.array([[0, 0], [0, 1]]))
    >>> score(trials, Embeddings(["a", "b", "c"], np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]])))
    array([1., 0.], dtype=float32)
    """
    refuse_unknown("missing", missing, MISSING)
    pool = gather(trials, enroll, test, spk2utt)
    if missing == "error":
        refuse_absent(trials, pool)
    left, right, _ = both_sides(backend or Cosine(), pool, enroll_method)
    complete, shared = pool.complete, None
    if weights:
        shared = shared_weights(read_weights(weights, pool.embeddings.ids), pool.pairs[complete])
        complete[complete] = shared >= LEAST
        shared = shared[shared >= LEAST]
    if missing == "error" and not complete.all():
        names = " ".join(trials[int(np.argmin(complete))])
        raise InputError(f"{(~complete).sum()} of {len(trials)} trials compare clips that share no modality, such as a "
                        f"voice with a face, the first: {names}")  # fmt: skip
    scores = inner_products(left, right, pool.pairs if complete.all() else pool.pairs[complete])
    scores = scores if shared is None else scores / shared
    return fill_missing(np.nan, complete, scores)


def normalize(
    scores: np.ndarray,
    trials: Trials,
    enroll: Source,
    cohort: Embeddings,
    test: Embeddings | Path | str | None = None,
    *,
    method: str = "as-norm",
    n_best: int | None = None,
    choice: str = "own",
    backend: Backend | None = None,
    spk2utt: Path | str | None = None,
    enroll_method: str = "embedding-average",
    folds: Mapping[str, str] | None = None,
    names: tuple[Path | str, Path | str] = ("scores", "cohort"),
) -> np.ndarray:
    """Normalise the scores of trials against a cohort of other speakers.

    Parameters
    ----------
    scores : (n,) float, from `score` with the same trials, embeddings and back-end
    trials, enroll, test, backend, spk2utt, enroll_method : as for `score`
    cohort : embeddings of speakers who are in none of the trials, preferably one mean embedding per speaker;
        `avsv.scoring.cohort.read_cohort` reads one without the speakers of the trials
    method : "z-norm", "t-norm", "zt-norm", "s-norm", "as-norm" or "mean-norm", see avsv/scoring/normalization.py
    n_best : for as-norm and mean-norm, number of highest cohort scores used (300)
    choice : for as-norm and mean-norm, whose highest scores select the members: "own" or "other"
    folds : for as-norm and mean-norm, recording -> fold, of the trials and the cohort: the members for a recording are
        those of other folds. The cohort may then be the test set itself
    names : of the scores and of the cohort, for messages

    Returns
    -------
    (n,) float64, NaN for trials without an embedding

    Raises
    ------
    InputError : these embeddings and this back-end give other scores; the cohort is too small, or its embeddings have
        another size

    Examples
    --------
    >>> trials = Trials(["a"], ["b"], np.array([[0, 0]]))
    >>> embeddings, cohort = Embeddings(["a", "b"], np.eye(2)), Embeddings(["c", "d"], np.eye(2))
    >>> normalize(score(trials, embeddings), trials, embeddings, cohort, method="s-norm")
    array([-1.])
    """
    refuse_unknown("method", method, normalization.METHODS)
    pool = gather(trials, enroll, test, spk2utt)
    left, right, backend = both_sides(backend or Cosine(), pool, enroll_method)
    complete, scores = pool.complete, np.asarray(scores)
    if np.isnan(scores[complete]).any():
        raise InputError(f"{names[0]}: expected a score for each trial with embeddings, found NaN")
    normalization.refuse_other_scores(names[0], trials, scores, pool, left, right)
    size, cohort_size = pool.embeddings.vectors.shape[1], cohort.vectors.shape[1]
    normalised = np.full(len(trials), np.nan)
    if not complete.any():
        return normalised
    if size != cohort_size:
        raise InputError(f"{names[1]}: embeddings of {cohort_size} values, those of the trials have {size}")
    if normalization.METHODS[method].adaptive:
        n_best = normalization.n_highest(len(cohort), n_best)
    members, pairs = backend(cohort), pool.pairs[complete]
    numbers = None if folds is None else numbers_of_folds(folds, pool, cohort)
    how = (n_best, choice, numbers)
    normalised[complete] = normalization.normalize(method, scores[complete], pairs, left, members, *how)
    return normalised


def numbers_of_folds(folds: Mapping[str, str], pool: TrialEmbeddings, cohort: Embeddings) -> normalization.Folds:
    """The folds of the recordings and of the members as numbers; InputError if one has none, or for models."""
    if pool.models:
        raise InputError("folds are those of recordings, but the trials name models of several recordings")
    if unknown := [name for name in (*pool.embeddings.ids, *cohort.ids) if name not in folds]:
        raise InputError(f"folds: {len(unknown)} recordings have none, the first: {unknown[0]}")
    numbers = {fold: number for number, fold in enumerate(sorted(set(folds.values())))}
    of_recordings, of_members = (np.array([numbers[folds[name]] for name in ids], int)
                                 for ids in (pool.embeddings.ids, cohort.ids))  # fmt: skip
    return of_recordings, of_members


def cohort_means(
    pool: TrialEmbeddings, cohort: Embeddings, n_best: int, backend: Backend, enroll_method: str
) -> dict[str, float]:
    """Mean of the `n_best` highest cohort scores of each recording and each model: a quality measure."""
    left, _, backend = both_sides(backend, pool, enroll_method)
    means, _ = cohort_statistics(left, backend(cohort)[1], n_best)
    return dict(zip([*pool.embeddings.ids, *(pool.models.ids if pool.models else [])], means.tolist(), strict=True))


def calibrate(
    scores: np.ndarray, train_scores: np.ndarray, train_labels: np.ndarray, p_target: float = 0.01
) -> np.ndarray:
    """Turn the scores of one system into natural-log likelihood ratios, by logistic regression.

    Parameters
    ----------
    scores : (n,) float, NaN where a trial has no score
    train_scores : (m,) the same system's scores on trials of other speakers
    train_labels : (m,) bool, True for a target trial
    p_target : weight of the targets in training

    Returns
    -------
    (n,) float64; 0 (no evidence) where the score is NaN

    Raises
    ------
    InputError : the training trials are all of one class, or a training score is infinite

    Examples
    --------
    >>> train = np.array([0.1, 0.3, 0.2, 0.4])
    >>> calibrate(np.array([0.25, np.nan]), train, np.array([False, False, True, True]), 0.5).round(4) + 0.0
    array([0., 0.])
    """
    return fuse([scores], train_scores=[train_scores], train_labels=train_labels, p_target=p_target)


def fuse(
    scores: Sequence[np.ndarray],
    model: ScoreFusion | QualityFusion | Path | str | None = None,
    *,
    train_scores: Sequence[np.ndarray] | None = None,
    train_labels: np.ndarray | None = None,
    p_target: float = 0.01,
    pairs: np.ndarray | None = None,
    quality: Sequence[RecordingValues] = (),
) -> np.ndarray:
    """Fuse the scores of several systems on the same trials.

    With training trials or a trained model, the result is a natural-log likelihood ratio by logistic regression;
    without either, the mean. A trial without one system's score is scored with the other systems: each set of systems
    has its own regression.

    Parameters
    ----------
    scores : one (n,) array per system, NaN where it has no score
    model : from `avsv.scoring.calibration.train_fusion` or `avsv.scoring.quality_training.train_quality_fusion`, or a
        file that `avsv fuse` or `avsv calibrate` wrote
    train_scores : the same systems' scores on trials of other speakers, one (m,) array each
    train_labels : (m,) bool, True for a target trial
    p_target : weight of the targets in training
    pairs, quality : for a model of quality-dependent fusion with quality measures, the `pairs` of the trials and, for
        each system, the values of their recordings

    Returns
    -------
    (n,) float64; 0 where no system has a score

    Raises
    ------
    InputError : the model or training scores have another number of systems, a set of systems has no regression, or
        quality values are missing

    Examples
    --------
    >>> fuse([np.array([1.0, 3.0, np.nan]), np.array([2.0, np.nan, np.nan])])
    array([1.5, 3. , 0. ])
    """
    columns = np.column_stack([np.asarray(column, np.float64) for column in scores])
    if train_scores is not None:
        if model is not None or train_labels is None:
            raise InputError("expected train_scores with train_labels, or a model")
        if len(train_scores) != len(scores):
            raise InputError(f"expected train_scores of {len(scores)} systems, found {len(train_scores)}")
        train = np.column_stack([np.asarray(column, np.float64) for column in train_scores])
        patterns = {int(code) for code in np.unique(pattern_codes(columns))} - {0}
        model = train_fusion(train, np.asarray(train_labels, bool), p_target, patterns=patterns)
    if model is None:
        return mean_of_present(columns)
    fusion = read_fusion(model) if isinstance(model, Path | str) else model
    if isinstance(fusion, QualityFusion):
        return fusion.apply(columns, pairs, quality)
    if len(fusion.systems) != len(scores):
        raise InputError(f"expected scores of {len(fusion.systems)} systems, as in the model, found {len(scores)}")
    if fusion.measures:
        tables = ", ".join(measure.table for measure in fusion.measures)
        raise InputError(f"the model also uses quality measures ({tables}); apply it with avsv fuse")
    return fusion.apply(columns)


def mean_of_present(columns: np.ndarray) -> np.ndarray:
    """Mean of each trial's scores that are not NaN, 0 if there are none: (n, systems) -> (n,) float64.

    Examples
    --------
    >>> mean_of_present(np.array([[1.0, 3.0], [1.0, np.nan], [np.nan, np.nan]])).tolist()
    [2.0, 1.0, 0.0]
    """
    present = ~np.isnan(columns)
    with np.errstate(invalid="ignore"):  # infinite scores of opposite sign sum to NaN
        return np.where(present, columns, 0).sum(axis=1) / np.maximum(present.sum(axis=1), 1)


def gather(
    trials: Trials, enroll: Source, test: Embeddings | Path | str | None, spk2utt: Path | str | None
) -> TrialEmbeddings:
    """The trials' embeddings; see `score` for the parameters."""
    return enroll if isinstance(enroll, TrialEmbeddings) else read_trial_embeddings(trials, enroll, test, spk2utt)


def refuse_absent(trials: Trials, pool: TrialEmbeddings) -> None:
    """Raise MissingEmbedding if a recording of the trials has no embedding."""
    if absent := pool.absent(trials):
        names = ", ".join(absent[:3])
        raise MissingEmbedding(f"{len(absent)} recordings of the trials have no embedding, the first: {names}; embed "
                              "them, or set `missing` to nan")  # fmt: skip
