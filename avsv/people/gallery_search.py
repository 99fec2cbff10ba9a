"""Open-set identification: everybody in a gallery is scored, and the best are scored again in double precision.

A file shows one of the N people of the gallery, each with prior P / N, or nobody of them, with prior 1 - P. Person i is
more probable than nobody if the log-likelihood ratio L_i exceeds ln((1 - P) / P) + ln N: the threshold of `verify` at
the prior P, raised by ln N. A person without a modality in common with the file has L_i = 0.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from avsv.errors import OptionError
from avsv.people.gallery_database import DamagedGallery
from avsv.people.gallery_packed import REPACK, Chunk, person_clips, person_rows, scored
from avsv.people.gallery_setup import Setup
from avsv.scoring.verification import Clip

SLACK = 16  # people scored again beyond those asked for


@dataclass(frozen=True)
class Candidate:
    """A person of the gallery, compared with a file.

    name : the person
    ratio : natural-log likelihood ratio of this person to another one
    probability : posterior probability that the file shows this person
    scores : modality -> cosine, or PLDA's log-likelihood ratio, for the modalities that the ratio rests on
    """

    name: str
    ratio: float
    probability: float
    scores: dict[str, float]

    @property
    def modalities(self) -> tuple[str, ...]:
        return tuple(self.scores)


@dataclass(frozen=True)
class Identification:
    """Who a file shows.

    name : the person; None for nobody in the gallery
    candidates : the best people, best first; people without a modality in common with the file are no candidates
    threshold : ratio above which the best candidate is named; infinite in an empty gallery
    margin : ratio of the best candidate minus that of the second; None with fewer than two
    nobody : posterior probability that the file shows nobody in the gallery
    n_people : number of people in the gallery
    clip : the file's embeddings and quality, before adaptation
    """

    name: str | None
    candidates: list[Candidate]
    threshold: float
    margin: float | None
    nobody: float
    n_people: int
    clip: Clip = field(repr=False, compare=False)


@dataclass
class Shortlist:
    """The best people so far for one file.

    size : most people kept
    ids, ratios : people and their ratios, in no order
    log_rest : logarithm of the sum of exp(ratio) over everybody else
    n_people : everybody so far
    """

    size: int
    ids: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    ratios: np.ndarray = field(default_factory=lambda: np.empty(0))
    log_rest: float = -np.inf
    n_people: int = 0

    def add(self, chunk: Chunk, ratios: np.ndarray, comparable: np.ndarray) -> None:
        """Take in a chunk of people.

        Parameters
        ----------
        ratios : (n,)
        comparable : (n,) bool, people with a modality in common with the file
        """
        self.n_people += int(chunk.present.sum())
        rows = np.flatnonzero(comparable)
        left_out = [ratios[chunk.present & ~comparable]]
        if len(self.ratios) == self.size:
            good = ratios[rows] > self.ratios.min()
            left_out.append(ratios[rows[~good]])
            rows = rows[good]
        self.ids, self.ratios = np.append(self.ids, chunk.first + rows), np.append(self.ratios, ratios[rows])
        if len(self.ratios) > self.size:
            order = np.argpartition(-self.ratios, self.size - 1)
            left_out.append(self.ratios[order[self.size :]])
            self.ids, self.ratios = self.ids[order[: self.size]], self.ratios[order[: self.size]]
        self.log_rest = log_sum(np.concatenate([[self.log_rest], *left_out]))


def log_sum(values: np.ndarray) -> float:
    """Logarithm of the sum of the exponentials; faster than np.logaddexp.reduce.

    Examples
    --------
    >>> round(log_sum(np.log([1.0, 2.0, 3.0])), 4), log_sum(np.array([-np.inf]))
    (1.7918, -inf)
    """
    highest = values.max()
    return float(highest + np.log(np.exp(values - highest).sum())) if np.isfinite(highest) else -np.inf


def identify(
    connection: sqlite3.Connection,
    setup: Setup,
    clips: Sequence[Clip],
    p_target: float = 0.5,
    threshold: float | None = None,
    top: int = 5,
) -> list[Identification]:
    """Identify files among all people of a gallery, in one pass.

    Parameters
    ----------
    clips : one for each file, of the gallery's encoders, before adaptation
    p_target : prior probability that a file shows somebody in the gallery
    threshold : log-likelihood ratio above which two recordings show the same person, in place of the prior that it
        implies
    top : candidates to list

    Raises
    ------
    InputError : a clip of other encoders, or one that cannot be compared
    OptionError : the prior is not between 0 and 1, or no candidate is to be listed
    """
    if not 0 < p_target < 1:
        raise OptionError(f"target prior: expected a number between 0 and 1, found {p_target}")
    if top < 1:
        raise OptionError(f"number of candidates: expected an integer >= 1, found {top}")
    if threshold is None:
        threshold = float(np.log((1 - p_target) / p_target))
    adapted = [setup.adapt(clip) for clip in clips]
    size, unsure, found = max(top, 2) + SLACK, list(range(len(clips))), {}
    while unsure:
        shortlists = search(connection, setup, [adapted[file] for file in unsure], size)
        again = []
        for file, shortlist in zip(unsure, shortlists, strict=True):
            best = score_again(connection, setup, adapted[file], shortlist, max(top, 2))
            if best is None:
                again.append(file)
            else:
                found[file] = decide(best, shortlist, threshold, top, clips[file])
        unsure, size = again, 4 * size
    return [found[file] for file in range(len(clips))]


def search(connection: sqlite3.Connection, setup: Setup, clips: Sequence[Clip], size: int) -> list[Shortlist]:
    """The `size` best people for each clip (after adaptation), by single-precision scores of everybody."""
    probes = {modality: {number: setup.sides(modality).probe(clip.vectors[modality])
                         for number, clip in enumerate(clips) if modality in clip.vectors}
              for modality in setup.modalities}  # fmt: skip
    quality = [{modality: setup.quality(modality, clip) for modality in setup.modalities} for clip in clips]
    shortlists = [Shortlist(size) for _ in clips]
    for chunk in scored(connection, setup, probes, len(clips)):
        for scores, values, shortlist in zip(chunk.scores, quality, shortlists, strict=True):
            comparable = ~np.isnan(scores).all(axis=1)
            shortlist.add(chunk, setup.ratios(scores, chunk.quality, values), comparable)
    return shortlists


def score_again(
    connection: sqlite3.Connection, setup: Setup, clip: Clip, shortlist: Shortlist, top: int
) -> list[tuple[str, float, dict[str, float]]] | None:
    """The shortlist's people with ratios in double precision, best first: (name, ratio, scores).

    None if somebody beyond the shortlist may belong to the best `top`. What single precision may change is taken as
    ten times the largest change in the shortlist.
    """
    if not len(shortlist.ids):
        return []
    order = np.argsort(shortlist.ids)
    ids, rough = shortlist.ids[order], shortlist.ratios[order]
    names, scores, enrolled = [], np.full((len(ids), len(setup.columns)), np.nan), {}
    quality = {name: np.full((len(ids), len(setup.measures(name))), np.nan) for name in setup.modalities}
    probes = {name: setup.sides(name).probe(vector) for name, vector in clip.vectors.items()}
    for place, person in enumerate(ids.tolist()):
        name = connection.execute("SELECT name FROM people WHERE id = ?", (person,)).fetchone()
        clips = next((clips for _, clips in person_clips(connection, person, person)), None)
        if name is None or clips is None:
            raise DamagedGallery("its packed embeddings name a person who is not in it", REPACK)
        names.append(name[0])
        enrolled = person_rows(setup, clips)
        for modality, row in enrolled.items():
            quality[modality][place] = row.quality
            if modality in probes:
                offset = setup.sides(modality).offsets(probes[modality], np.array([row.count]))
                score = row.vector @ probes[modality] + row.own + offset
                scores[place, setup.columns[modality]] = np.ravel(score)[0]
    ratios = setup.ratios(scores, quality, {name: setup.quality(name, clip) for name in setup.modalities})
    order = sorted(range(len(ids)), key=lambda place: (-ratios[place], names[place]))
    if len(ids) == shortlist.size:
        tolerance = 10 * np.abs(ratios - rough).max() + 1e-6
        if ratios[order[top - 1]] <= rough.min() + tolerance:
            return None
    return [(names[place], float(ratios[place]),
             {modality: float(scores[place, setup.columns[modality]]) for modality in setup.modalities
              if not np.isnan(scores[place, setup.columns[modality]])}) for place in order]  # fmt: skip


def decide(
    best: Sequence[tuple[str, float, dict[str, float]]], shortlist: Shortlist, threshold: float, top: int, clip: Clip
) -> Identification:
    """The posterior probabilities of everybody and of nobody, and the decision.

    Parameters
    ----------
    best : from `score_again`
    threshold : of one comparison, ln((1 - P) / P)
    """
    n = shortlist.n_people
    if not n:
        return Identification(None, [], np.inf, None, 1.0, 0, clip)
    raised = threshold + float(np.log(n))
    total = log_sum(np.array([shortlist.log_rest, raised, *(ratio for _, ratio, _ in best)]))
    candidates = [Candidate(name, ratio, float(np.exp(min(ratio - total, 0.0))), scores)
                  for name, ratio, scores in best[:top]]  # fmt: skip
    margin = best[0][1] - best[1][1] if len(best) > 1 else None
    name = candidates[0].name if candidates and candidates[0].ratio > raised else None
    return Identification(name, candidates, raised, margin, float(np.exp(raised - total)), n, clip)
