"""Open-set identification of lists: the gallery, the probes, and the systems that score them.

A system is one of
    SCORES              a score file with every person against every probe, `person probe score`
    FILE.scp            embeddings: the cosine of a probe and the mean of a person's recordings
    MODEL.json:A+B      systems A and B given before, fused by a model of avsv fuse or avsv calibrate
Embeddings are compared in blocks, so a gallery may have any number of people. A score file is read at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from avsv.errors import InputError, OptionError, refuse_unknown
from avsv.evaluation.identification import FAR, RANKS, measure_identification
from avsv.evaluation.ranks import NOBODY, Scorer, rank_probes
from avsv.evaluation.subsets import Grouping, read_grouping
from avsv.kaldi.embeddings import Embeddings, read_embeddings
from avsv.kaldi.enrolment_maps import read_enrolment_map
from avsv.kaldi.origin import embeddings_model, match_systems, read_system
from avsv.kaldi.tables import read_table
from avsv.kaldi.trials import Trials, utterance_id
from avsv.scoring.calibration import ScoreFusion, read_fusion
from avsv.scoring.cosine import unit_length
from avsv.scoring.groups import group_means
from avsv.scoring.missing import missing_list
from avsv.scoring.score_lists import MISSING, read_score_columns


@dataclass(frozen=True)
class OpenSet:
    """A gallery of enrolled people, and recordings to identify.

    gallery : person -> recordings
    probes : (n,) names of recordings
    persons : (n,) int, place of each probe's person in the gallery; NOBODY for strangers
    people : (n,) int, person of each probe, strangers too; None if unknown
    """

    gallery: Mapping[str, Sequence[str]]
    probes: Sequence[str]
    persons: np.ndarray
    people: np.ndarray | None

    @cached_property
    def trials(self) -> Trials:
        """Every person against every probe, one probe after the other."""
        n, m = len(self.gallery), len(self.probes)
        pairs = np.stack([np.tile(np.arange(n, dtype=np.int32), m), np.repeat(np.arange(m, dtype=np.int32), n)], axis=1)
        return Trials([*self.gallery], self.probes, pairs, pairs[:, 0] == self.persons[pairs[:, 1]])

    @property
    def known(self) -> Trials:
        """Each known probe against its own person."""
        which = np.flatnonzero(self.persons != NOBODY)
        pairs = np.stack([self.persons[which], which], axis=1).astype(np.int32)
        return Trials([*self.gallery], self.probes, pairs, np.ones(len(which), bool))


def read_open_set(gallery: Path | str, probes: Path | str, utt2spk: Path | str | None = None) -> OpenSet:
    """Read a gallery and a list of probes, such as VoxBlink2's.

    Parameters
    ----------
    gallery : an enrolment map, in any form of enrolment_maps.py
    probes : lines `recording person`; a person outside the gallery is a stranger
    utt2spk : speakers of the strangers' recordings, for the intervals. By default the persons in `probes`; if all
        strangers have one label, as in VoxBlink2, the first folder of names that are paths, or else unknown

    Raises
    ------
    InputError : a list is malformed, a probe is also an enrolment recording, or `utt2spk` contradicts the lists

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "gallery").write_text("a a-1 a-2\\nb b-1\\n")
    >>> _ = (folder / "probes").write_text("b-2 b\\nc-1 c\\n")
    >>> lists = read_open_set(folder / "gallery", folder / "probes")
    >>> lists.persons.tolist(), lists.people.tolist()
    ([1, -1], [1, 2])
    """
    models = read_enrolment_map(gallery)
    labels = read_table(probes, 2, "recording person")
    if not labels:
        raise InputError(f'{probes}: is empty, expected "recording person"')
    enrolled = {utterance_id(name): person for person, names in models.items() for name in names}
    for name in labels:
        if (person := enrolled.get(utterance_id(name))) is not None:
            raise InputError(f"{probes}: {name} is also an enrolment recording of {person} in {gallery}: it would be "
                            "compared with itself. Leave it out of one of them")  # fmt: skip
    place = {person: number for number, person in enumerate(models)}
    persons = np.array([place.get(label, NOBODY) for label in labels.values()], np.int64)
    strangers = {name: label for name, label in labels.items() if label not in place}
    if utt2spk is not None:
        strangers = speakers_of(strangers, read_table(utt2spk, 2, "recording speaker"), utt2spk, models)
    elif len(strangers) > 1 and len(set(strangers.values())) == 1:
        is_path = all("/" in name for name in strangers)
        strangers = {name: name.partition("/")[0] if is_path else None for name in strangers}
    numbers = {speaker: len(place) + n for n, speaker in enumerate(dict.fromkeys(strangers.values()))}
    people = [numbers[strangers[name]] if name in strangers else place[label] for name, label in labels.items()]
    return OpenSet(models, [*labels], persons, None if None in numbers else np.array(people, np.int64))


def speakers_of(
    strangers: Mapping[str, str], speakers: Mapping[str, str], source: Path | str, gallery: Mapping[str, object]
) -> dict[str, str]:
    """Stranger's recording -> speaker; InputError if a speaker is unknown or in the gallery."""
    found = {}
    for name, label in strangers.items():
        speaker = speakers.get(name, speakers.get(utterance_id(name)))
        if speaker is None:
            raise InputError(f'{source}: has no speaker for "{name}", a probe')
        if speaker in gallery:
            raise InputError(f'{source}: the probe "{name}" is by "{speaker}", who is in the gallery, but its label is '
                            f'"{label}"')  # fmt: skip
        found[name] = speaker
    return found


@dataclass(frozen=True)
class System:
    """How one system scores the probes.

    score : see `avsv.evaluation.ranks.rank_probes`
    origin : model and back-end (see origin.py); None if unknown
    """

    score: Scorer
    origin: str | None


def make_systems(lists: OpenSet, given: Mapping[str, str], missing: str = "error") -> dict[str, System]:
    """The systems described in the module's docstring, by name.

    Parameters
    ----------
    missing : "error" refuses a recording without embedding and a pair without score; with "rest", they have no score,
        a person is enrolled by the other recordings, and a fusion judges by the systems that have a score

    Raises
    ------
    InputError : a file is malformed or lacks scores or embeddings, or a fusion was trained on other systems
    OptionError : a fusion names a system that is not given before it
    """
    refuse_unknown("missing", missing, MISSING)
    systems: dict[str, System] = {}
    for name, source in given.items():
        model, _, parts = source.rpartition(":")
        if model.endswith(".json"):
            systems[name] = fused_system(model, parts.split("+"), systems)
        elif source.endswith(".scp"):
            systems[name] = embedding_system(lists, source, missing)
        else:
            systems[name] = score_system(lists, Path(source), missing)
    return systems


def system_files(source: str) -> list[Path]:
    """The files that a system is made of, without those of the systems that it fuses.

    Examples
    --------
    >>> system_files("exp/fused.json:voice+face")
    [PosixPath('exp/fused.json')]
    """
    model, _, _ = source.rpartition(":")
    path = Path(model if model.endswith(".json") else source)
    return [path] if path.suffix in (".scp", ".json") else [path, missing_list(path)]


def score_system(lists: OpenSet, path: Path, missing: str) -> System:
    """A system of a score file."""
    table = read_score_columns(lists.trials, [path], missing).reshape(len(lists.probes), len(lists.gallery))
    return System(lambda rows: table[rows].copy(), read_system(path))


def embedding_system(lists: OpenSet, scp: str, missing: str) -> System:
    """The cosine of each probe with the mean embedding of each person's recordings."""
    members = [name for names in lists.gallery.values() for name in names]
    enrolled, tested = read_embeddings(scp, members), read_embeddings(scp, lists.probes)
    if not len(enrolled) or not len(tested):
        side = "probe" if len(enrolled) else "enrolment recording"
        raise InputError(
            f"{scp}: has an embedding of no {side}, such as {(lists.probes if len(enrolled) else members)[0]}"
        )
    if missing == "error" and (len(enrolled) < len(members) or len(tested) < len(lists.probes)):
        have = {*enrolled.ids, *tested.ids}
        absent = [name for name in (*members, *lists.probes) if name not in have]
        raise InputError(f"{scp}: {len(absent)} recordings of the gallery and the probes have no embedding, the first: "
                        f"{', '.join(absent[:3])}; embed them, or set `missing` to rest")  # fmt: skip
    people, means = person_means(lists.gallery, enrolled)
    names = [*lists.gallery]
    gallery = unit_length(means, [names[place] for place in people])
    probes, present = unit_length(tested.vectors, tested.ids), set(tested.ids)
    row_of = np.cumsum([name in present for name in lists.probes]) - 1
    has = np.array([name in present for name in lists.probes])
    complete = len(people) == len(lists.gallery) and has.all()

    def score(rows: slice) -> np.ndarray:
        if complete:
            return probes[rows] @ gallery.T
        scores = np.full((len(has[rows]), len(lists.gallery)), np.nan, np.float32)
        scores[np.ix_(has[rows], people)] = probes[row_of[rows][has[rows]]] @ gallery.T
        return scores

    model = embeddings_model(scp)
    return System(score, model and f"{model} cosine")


def person_means(gallery: Mapping[str, Sequence[str]], enrolled: Embeddings) -> tuple[np.ndarray, np.ndarray]:
    """Places in the gallery of people with an embedding, (k,) int, and the mean embedding of each, (k, d) float32."""
    row_of = {name: row for row, name in enumerate(enrolled.ids)}
    rows = [[row_of[name] for name in names if name in row_of] for names in gallery.values()]
    people = np.flatnonzero([len(of_person) > 0 for of_person in rows])
    counts = np.array([len(rows[place]) for place in people])
    return people, group_means(enrolled.vectors, np.array([row for one in rows for row in one], np.int64), counts)


def fused_system(model: str, names: Sequence[str], systems: Mapping[str, System]) -> System:
    """Systems given before, fused by a model."""
    for name in names:
        refuse_unknown(f"{model}: system", name, [*systems])
    fusion = read_fusion(model)
    if not isinstance(fusion, ScoreFusion) or fusion.measures:
        raise OptionError(f"{model}: uses quality measures of each pair of recordings; score the pairs with it (avsv "
                        "score, avsv fuse), and give the score file as the system")  # fmt: skip
    if len(fusion.systems) != len(names):
        raise InputError(f"{model}: a model of {len(fusion.systems)} systems cannot fuse {len(names)}")
    parts = [systems[name] for name in names]
    order = match_systems(fusion.trained_on, [part.origin for part in parts], names, model)

    def score(rows: slice) -> np.ndarray:
        tables = [parts[place].score(rows) for place in order]
        columns = np.stack([table.ravel() for table in tables], axis=1)
        return fusion.apply(columns).reshape(tables[0].shape)

    return System(score, None)


def measure_systems(
    lists: OpenSet,
    systems: Mapping[str, System],
    far: Sequence[float] = FAR,
    at_ranks: Sequence[int] = RANKS,
    leave_out: bool = False,
    by: Sequence[Path] = (),
) -> dict[str, dict]:
    """Rates of each system, with `subsets` (table -> subset -> rates) if there are tables.

    Parameters
    ----------
    far, at_ranks, leave_out : see `measure_identification`
    by : tables of recordings, or of people in the gallery, that divide the known probes into subsets

    Returns
    -------
    name -> result of `measure_identification`
    """
    groupings = {str(path): read_grouping(path, lists.known) for path in by}
    n, known = len(lists.gallery), np.flatnonzero(lists.persons != NOBODY)
    rows = {}
    for name, system in systems.items():
        ranks = rank_probes(system.score, lists.persons, n, max(1, *at_ranks))
        how = (ranks, lists.persons, lists.people, n, far, at_ranks, leave_out)
        rows[name] = measure_identification(*how)
        if groupings:
            rows[name]["subsets"] = {
                path: {label: measure_identification(*how, among=among)
                       for label, among in masks(grouping, known, len(lists.probes))}
                for path, grouping in groupings.items()
            }  # fmt: skip
    return rows


def masks(grouping: Grouping, known: np.ndarray, n: int):
    """Each subset's label, and the mask of its probes, (n,) bool."""
    for number, label in enumerate(grouping.labels):
        mask = np.zeros(n, bool)
        mask[known[grouping.group == number]] = True
        yield label, mask
