"""Adaptation of embeddings to another domain, from recordings of it without speaker labels.

In a domain that an encoder was not trained on (another channel, language or camera), all recordings share an offset, so
everybody looks alike. Each domain is therefore mapped to a space in which its own mean is 0, that of the training data
included: back-ends, fusion networks and calibrations are trained in this space, and serve every domain. To add a
method, write its function and give it a line in METHODS: `avsv adapt` takes its choices and its help from there.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from avsv.errors import InputError, OptionError, refuse_unknown
from avsv.jobs.files import replaced_together, write_json
from avsv.jobs.schema import read_json
from avsv.kaldi.embeddings import Embeddings
from avsv.kaldi.matrices import write_array
from avsv.kaldi.origin import trained_on, write_trained_on
from avsv.scoring.adaptation import align_covariance, power, refuse_few
from avsv.scoring.domain_similarity import TABLES, choose_members, evenly_spaced, similarity
from avsv.scoring.lda import shrink
from avsv.scoring.projection import Projection, read_finite, read_projection, write_projection
from avsv.scoring.verification import Clip
from avsv.scoring.whitening import mean_and_covariance

log = logging.getLogger("avsv")
# Number of people at which the domain's mean and that of the training data count equally. Measured on published ECAPA
# and x-vector embeddings of 270 people in three speaking styles, tested on other people: 8 to 24 are equally good.
HALF = 16
RECORDINGS_PER_PERSON = 10  # assumed where the number of people is not given
RECORD = "adaptation.json"
MEAN, TRANSFORM, MEMBERS = "mean.vec", "transform.mat", "members.mat"


@dataclass(frozen=True)
class Adaptation:
    """A map of one encoder's embeddings of one domain to the space that all domains share.

    projection : (x - center), times a matrix
    method : one of METHODS
    model : name of the encoder (see kaldi/origin.py); None if unknown
    share : share of the domain's own mean in the center, 0 to 1; the rest is the source's
    members : (m, d) float32, some of the domain's recordings after the map, of length 1; None if there are none
    """

    projection: Projection
    method: str
    model: str | None = None
    share: float = 1.0
    members: np.ndarray | None = None

    @property
    def adapted_model(self) -> str | None:
        """Name of the embeddings after the map, which keeps them apart from those before it."""
        return self.model and f"{self.model}+{METHODS[self.method].space}"

    def apply(self, vectors: np.ndarray) -> np.ndarray:
        """Map embeddings (n, d), or one (d,), to float32 of the same shape; InputError if they have another size.

        Examples
        --------
        >>> Adaptation(Projection(np.array([1.0, 2.0])), "center").apply(np.array([4.0, 2.0]))
        array([3., 0.], dtype=float32)
        """
        return self.projection.apply(np.atleast_2d(vectors)).reshape(vectors.shape)


@dataclass(frozen=True)
class Moments:
    """Moments of the recordings of one domain.

    mean : (d,)
    covariance : (d, d); None if the method needs none
    sample : (m, d), some of the recordings, at most 1,000
    """

    mean: np.ndarray
    covariance: np.ndarray | None
    sample: np.ndarray


def center(domain: Moments, source: Moments | None, freedom: int) -> None:
    """Subtract the domain's mean."""
    return


def whiten(domain: Moments, source: Moments | None, freedom: int) -> np.ndarray:
    """Subtract the mean, then give the domain the covariance I, keeping the axes (ZCA whitening).

    The covariance is first shrunk towards a multiple of I, see `lda.shrink`: with few people nothing but the mean
    changes.
    """
    return power(shrink(domain.covariance, freedom), -0.5)


def coral_to_source(domain: Moments, source: Moments | None, freedom: int) -> np.ndarray:
    """Subtract the mean, then give the domain the covariance of --source (CORAL; Sun, Feng and Saenko, AAAI 2016).

    The paper maps the training data to the domain. This is the reverse, which leaves everything trained on the source
    valid. The domain's covariance is first averaged with that of the source, which counts as d degrees of freedom for
    embeddings of d values (the mean of an inverse Wishart posterior, roughly). Without this, the map is worse than
    none for fewer people than d.
    """
    d = len(domain.mean)
    return align_covariance((freedom * domain.covariance + d * source.covariance) / (freedom + d), source.covariance)


@dataclass(frozen=True)
class Method:
    """A method of adaptation.

    transform : (moments of domain and source, degrees of freedom of the domain's covariance: people - 1, as more
        recordings of one person are little evidence) -> matrix applied after centring, None for none
    space : the space it maps to, as part of a model's name. CORAL leads to that of a source that was only centred
    needs_source : whether it needs embeddings of the source
    """

    transform: Callable[[Moments, Moments | None, int], np.ndarray | None]
    space: str
    needs_source: bool = False

    def moments(self, what: str, vectors: np.ndarray) -> Moments:
        """The moments that the method needs of embeddings (n, d); InputError if they are unusable.

        what : "adaptation" or "source", for the message
        """
        refuse_few(what, vectors)
        if not np.isfinite(vectors.sum(axis=1)).all():
            raise InputError(f"the {what} embeddings have NaN or infinite values")
        if self.transform is center:
            return Moments(vectors.mean(axis=0, dtype=np.float64), None, evenly_spaced(vectors))
        return Moments(*mean_and_covariance(vectors), evenly_spaced(vectors))


METHODS = {
    "center": Method(center, "centered"),
    "whiten": Method(whiten, "whitened"),
    "coral": Method(coral_to_source, "centered", needs_source=True),
}


def learn_adaptation(
    domain: np.ndarray,
    method: str = "center",
    source: np.ndarray | Moments | None = None,
    people: int | None = None,
    model: str | None = None,
    warn: bool = True,
) -> Adaptation:
    """Learn the map of a domain's embeddings from unlabelled recordings.

    The mean of a few people says more about them than about the domain: centred on it, other people are confused more
    often than without. With `source`, the center is therefore share x (mean of the domain) + (1 - share) x (mean of
    the source), with share = people / (people + 16): the empirical Bayes estimate if people differ 16 times as much
    (in squared distance) as domains do. With `source`, fewer than two recordings of the domain teach nothing: it is
    then taken to be the source's domain, with a warning. This is so for faces of a set without faces.

    Parameters
    ----------
    domain : (n, d) embeddings of the domain's recordings
    method : one of METHODS
    source : (m, d) embeddings that back-ends, fusion and calibration are trained on; needed for "coral". Or their
        moments, from `METHODS[method].moments`, to learn from many domains
    people : number of different people in `domain`, about; None: a tenth of the recordings
    model : name of the encoder, if known
    warn : log a warning if there are fewer than 16 people and no source

    Raises
    ------
    InputError : fewer than two recordings without `source` or to whiten, other sizes, values that are not finite, or no
        variation
    OptionError : unknown method, "coral" without `source`, or no people

    Examples
    --------
    >>> learn_adaptation(np.array([[1.0, 0.0], [3.0, 2.0]])).projection.center
    array([2., 1.])
    >>> few = learn_adaptation(np.array([[1.0, 0.0], [3.0, 2.0]]), source=np.zeros((9, 2)), people=2)
    >>> few.projection.center.round(3)  # 2 / (2 + 16) of the way
    array([0.222, 0.111])
    """
    refuse_unknown("method", method, METHODS)
    chosen = METHODS[method]
    if chosen.needs_source and source is None:
        raise OptionError(f"method {method} needs `source`, the embeddings that the back-end was trained on")
    of_source = chosen.moments("source", source) if isinstance(source, np.ndarray) else source
    if of_source is not None and len(domain) and len(of_source.mean) != domain.shape[1]:
        raise InputError(f"adaptation embeddings have {domain.shape[1]} values, source embeddings "
                        f"{len(of_source.mean)}")  # fmt: skip
    if of_source is not None and len(domain) < 2 and chosen.space == "centered":
        log.warning("%d recordings to adapt to: the domain is taken to be like the source", len(domain))
        projection = Projection(of_source.mean)
        return Adaptation(projection, method, model, 0.0, choose_members(of_source.sample, projection.apply))
    of_domain = chosen.moments("adaptation", domain)
    if of_domain.covariance is not None and not np.trace(of_domain.covariance) > 0:
        raise InputError("the domain's embeddings are all identical; give embeddings that vary")
    people = count_people(len(domain), people, warn and source is None)
    share = 1.0 if of_source is None else people / (people + HALF)
    mean = of_domain.mean if of_source is None else share * of_domain.mean + (1 - share) * of_source.mean
    transform = chosen.transform(of_domain, of_source, people - 1)
    projection = Projection(mean, transform)
    return Adaptation(projection, method, model, share, choose_members(domain, projection.apply))


def apply_by_fold(
    embeddings: Embeddings,
    domain: Embeddings,
    fold_of: Mapping[str, str],
    learn: Callable[..., Adaptation],
    people: int | None = None,
    source: Path | str = "folds",
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Adapt each recording to the recordings of the domain that are in other folds than its own.

    With people kept in one fold, and trials within folds only, no trial has a recording of an adaptation person.

    Parameters
    ----------
    embeddings : to adapt
    domain : of the domain's recordings, which may be the same
    fold_of : recording -> fold, for all recordings of both
    learn : `learn_adaptation` with its options except `people`
    people : number of different people in `domain`; each fold counts in proportion to its recordings
    source : file of `fold_of`, for messages

    Returns
    -------
    adapted : (n, d) float32
    similarities : from `similarity`, to the members of those folds

    Raises
    ------
    InputError : a recording without a fold, or whatever `learn` refuses, such as one recording outside a fold

    Examples
    --------
    >>> both = Embeddings(["a", "b", "c", "d"], np.array([[0.0], [2], [6], [8]], np.float32))
    >>> apply_by_fold(both, both, {"a": "1", "b": "1", "c": "2", "d": "2"}, learn_adaptation)[0].ravel().tolist()
    [-7.0, -5.0, 5.0, 7.0]
    """
    if unknown := [name for name in (*embeddings.ids, *domain.ids) if name not in fold_of]:
        raise InputError(f"{source}: {len(unknown)} recordings have no fold, the first: {unknown[0]}")
    folds, domain_folds = (np.array([fold_of[name] for name in rows.ids]) for rows in (embeddings, domain))
    adapted = np.empty(embeddings.vectors.shape, np.float32)
    tables = {name: np.empty(len(embeddings)) for name in TABLES}
    for number, fold in enumerate(np.unique(folds)):
        others = domain.vectors[domain_folds != fold]
        share = None if people is None else max(1, round(people * len(others) / max(1, len(domain))))
        adaptation = learn(others, people=share, warn=number == 0)
        adapted[folds == fold] = adaptation.apply(embeddings.vectors[folds == fold])
        for name, values in similarity(adapted[folds == fold], adaptation.members).items():
            tables[name][folds == fold] = values
    return adapted, tables


def count_people(n_recordings: int, people: int | None, warn: bool) -> int:
    """The number of people, assumed if not given; warns, if asked to, of too few to learn a domain from."""
    if people is not None and people < 1:
        raise OptionError(f"`people`: expected an integer >= 1, found {people}")
    known = people is not None
    people = min(people or max(1, n_recordings // RECORDINGS_PER_PERSON), n_recordings)
    if warn and people < HALF:
        log.warning("adaptation to %d recordings of %s%d people: fewer than %d can do harm. Give recordings of more "
                    "people, or the source's embeddings, towards whose mean theirs is then moved%s", n_recordings,
                    "" if known else "perhaps ", people, HALF, "" if known else "; or their number")  # fmt: skip
    return people


def write_adaptation(folder: Path | str, adaptation: Adaptation, text: bool = False) -> None:
    """Write mean.vec, transform.mat and members.mat, in Kaldi's formats, with adaptation.json and trained_on.json."""
    folder = Path(folder)
    with replaced_together(folder / RECORD, folder / MEMBERS):
        write_projection(folder, adaptation.projection, text)
        if adaptation.members is not None:
            write_array(folder / MEMBERS, adaptation.members, text)
        write_trained_on(folder, adaptation.model)
        write_json(folder / RECORD, {"method": adaptation.method, "share": adaptation.share})


def read_adaptation(folder: Path | str) -> Adaptation:
    """Read a folder of `avsv adapt`.

    Raises
    ------
    InputError : not such a folder, or a damaged one

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> write_adaptation(folder, Adaptation(Projection(np.array([1.0, 2.0])), "center", "voice:1"))
    >>> read_adaptation(folder).adapted_model
    'voice:1+centered'
    """
    folder = Path(folder)
    if not (folder / RECORD).exists():
        raise InputError(f"{folder}: has no {RECORD}; expected a folder that avsv adapt wrote for embeddings")
    record = read_json(folder / RECORD, {"method": str, "share": float}, "record of an adaptation")
    if record["method"] not in METHODS:
        raise InputError(f'{folder / RECORD}: unknown method "{record["method"]}"')
    transform = folder / TRANSFORM
    projection = read_projection(folder / MEAN, transform if transform.exists() else None)
    members = read_finite(folder / MEMBERS).astype(np.float32) if (folder / MEMBERS).exists() else None
    return Adaptation(projection, record["method"], trained_on(folder), record["share"], members)


def adapt_clip(clip: Clip, adaptations: Sequence[Adaptation]) -> Clip:
    """Adapt the embeddings of one clip; modalities without an adaptation stay as they are.

    Parameters
    ----------
    adaptations : of the encoders that embedded the clip, found by their names

    Raises
    ------
    InputError : an adaptation of another encoder, of an unknown one, or of one that another is already for

    Examples
    --------
    >>> clip = Clip({"voice": np.array([4.0, 2.0])}, models={"voice": "voice:1"})
    >>> adapted = adapt_clip(clip, [Adaptation(Projection(np.array([1.0, 2.0])), "center", "voice:1")])
    >>> adapted.vectors, adapted.models
    ({'voice': array([3., 0.], dtype=float32)}, {'voice': 'voice:1+centered'})
    """
    vectors, models, quality = dict(clip.vectors), dict(clip.models), dict(clip.quality)
    modality_of = {model: modality for modality, model in clip.models.items()}
    for adaptation in adaptations:
        modality = modality_of.pop(adaptation.model, None) if adaptation.model else None
        if modality is None:
            raise InputError(f"the adaptation was learnt on embeddings of {adaptation.model or 'an unknown model'}, "
                            f"expected one each of: {', '.join(clip.models.values())}")  # fmt: skip
        models[modality] = adaptation.adapted_model
        if modality in vectors:
            vectors[modality] = adaptation.apply(vectors[modality])
            measures = similarity(vectors[modality][None], adaptation.members) if adaptation.members is not None else {}
            quality[modality] = {**quality.get(modality, {}), **{name: float(one[0]) for name, one in measures.items()}}
    return replace(clip, vectors=vectors, models=models, quality=quality)
