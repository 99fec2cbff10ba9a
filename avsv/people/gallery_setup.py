"""What a gallery works with: encoders, and copies of the adaptations, PLDA models and calibration of their scores.

The copies are the files themselves, so a gallery needs only its encoders beside it. They are read by the same functions
as everywhere, from a temporary folder.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import numpy as np

from avsv.errors import AvsvError, InputError, OptionError
from avsv.jobs.inputs import open_regular
from avsv.kaldi.origin import trained_on
from avsv.people.gallery_database import DamagedGallery
from avsv.people.gallery_sides import CosineSides, PldaSides, Sides
from avsv.scoring.calibration import ScoreFusion, read_fusion
from avsv.scoring.domain import Adaptation, adapt_clip, read_adaptation
from avsv.scoring.plda import Plda
from avsv.scoring.plda_files import plda_digest, read_plda
from avsv.scoring.quality import RecordingValues
from avsv.scoring.quality_fusion import Influence, QualityFusion
from avsv.scoring.verification import Clip, measured_value, modality_columns

Fusion = ScoreFusion | QualityFusion
Parts = dict[str, dict[str, bytes]]  # folder -> file -> content
MODALITIES = ("voice", "face")
CALIBRATION = "calibration.json"
ADAPTATION_FILES = ("adaptation.json", "mean.vec", "transform.mat", "members.mat", "trained_on.json")
PLDA_FILES = ("plda", "mean.vec", "transform.mat", "trained_on.json")
FILES = {"calibration": (CALIBRATION,), "adaptation": ADAPTATION_FILES, "plda": PLDA_FILES}
LARGEST = 1 << 28  # bytes of a part


@dataclass(frozen=True)
class Encoder:
    """An encoder of a gallery.

    source : where it is loaded from: a folder, or the name of a published encoder
    model : its name with a hash of its weights, see avsv/kaldi/origin.py
    """

    source: str
    model: str


@dataclass(frozen=True)
class Setup:
    """What a gallery works with.

    encoders : modality -> encoder
    parts : the files behind the following
    fusion : calibration of the modalities' scores
    columns : modality -> column of its scores in `fusion`
    adaptations : to the domain of the recordings
    plda : modality -> PLDA model; the others are compared by cosine
    frames_per_clip : frames of a video in which faces are detected
    revision : changes when a gallery's setup is replaced
    """

    encoders: dict[str, Encoder]
    parts: Parts
    fusion: Fusion
    columns: dict[str, int]
    adaptations: list[Adaptation] = field(default_factory=list)
    plda: dict[str, Plda] = field(default_factory=dict)
    frames_per_clip: int = 5
    revision: str = field(default_factory=lambda: uuid4().hex)

    @property
    def modalities(self) -> tuple[str, ...]:
        return tuple(self.encoders)

    def is_like(self, other: "Setup") -> bool:
        """Whether another setup has the same models and parts, from wherever."""
        models = [{name: one.model for name, one in setup.encoders.items()} for setup in (self, other)]
        return models[0] == models[1] and (self.parts, self.frames_per_clip) == (other.parts, other.frames_per_clip)

    def sides(self, modality: str) -> Sides:
        """How embeddings of a modality are compared."""
        return PldaSides(self.plda[modality]) if modality in self.plda else CosineSides(modality)

    def measures(self, modality: str) -> list[Influence]:
        """Quality measures that the calibration uses for a modality."""
        return self.fusion.systems[self.columns[modality]].measures if isinstance(self.fusion, QualityFusion) else []

    def adapt(self, clip: Clip) -> Clip:
        """A clip of this gallery's encoders in the space in which it is compared; InputError for other encoders."""
        if clip.models != {modality: encoder.model for modality, encoder in self.encoders.items()}:
            expected = ", ".join(encoder.model for encoder in self.encoders.values())
            raise InputError(f"embedded by {', '.join(clip.models.values())}, expected the encoders of the gallery: "
                             f"{expected}")  # fmt: skip
        return adapt_clip(clip, self.adaptations)

    def quality(self, modality: str, clip: Clip) -> np.ndarray:
        """A clip's values of the calibration's measures of a modality, (k,) float64; NaN if it lacks the modality."""
        measured = clip.quality.get(modality) if modality in clip.vectors else None
        return np.array([measured_value(one, measured, "the gallery's calibration")
                         for one in self.measures(modality)])  # fmt: skip

    def ratios(
        self, scores: np.ndarray, enrolled: Mapping[str, np.ndarray], probe: Mapping[str, np.ndarray]
    ) -> np.ndarray:
        """Natural-log likelihood ratios of people to one file, (n,) float64; 0 without a common modality.

        Parameters
        ----------
        scores : (n, modalities) in the order of `columns`, NaN where a modality is absent on either side
        enrolled : modality -> (n, k) values of the calibration's measures
        probe : modality -> (k,) values

        Raises
        ------
        InputError : the calibration has no map for these modalities, or a ratio is not finite
        """
        if isinstance(self.fusion, QualityFusion):
            pairs = np.zeros((len(scores), 2), np.int64)
            pairs[:, 0] = np.arange(len(scores))
            values = [RecordingValues(enrolled[name], probe[name][None]) for name in self.in_order]
            ratios = self.fusion.apply(scores, pairs, values)
        else:
            ratios = self.fusion.apply(scores)
        if not np.isfinite(ratios).all():
            raise InputError("a log-likelihood ratio is not finite: the calibration's weights are too large")
        return ratios

    @property
    def in_order(self) -> list[str]:
        """The modalities in the order of the calibration's columns."""
        return sorted(self.columns, key=self.columns.__getitem__)


def read_parts(
    calibration: Path | str,
    adaptations: Sequence[Path | str] = (),
    plda: Mapping[str, Path | str] | None = None,
) -> Parts:
    """The files that a gallery copies.

    Parameters
    ----------
    calibration : file that `avsv fuse` or `avsv calibrate` wrote
    adaptations : folders of `avsv adapt`
    plda : modality -> folder of `avsv plda`

    Raises
    ------
    InputError : a file or folder is absent or has the wrong format
    """
    read_fusion(calibration)
    parts = {"calibration": {CALIBRATION: read_part(Path(calibration))}}
    for number, folder in enumerate(adaptations):
        read_adaptation(folder)
        parts[f"adaptation-{number}"] = read_folder(Path(folder), ADAPTATION_FILES)
    for modality, folder in (plda or {}).items():
        if not Path(folder).is_dir():
            raise InputError(f"{folder}: expected a folder that avsv plda wrote")
        read_plda(folder)
        parts[f"plda-{modality}"] = read_folder(Path(folder), PLDA_FILES)
    return parts


def read_folder(folder: Path, names: Sequence[str]) -> dict[str, bytes]:
    """Content of the files of a folder that exist."""
    return {name: read_part(folder / name) for name in names if (folder / name).exists()}


def read_part(path: Path) -> bytes:
    with open_regular(path) as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise InputError(f"{path}: expected a file of at most {LARGEST >> 20} MiB")
    return content


def make_setup(
    encoders: Mapping[str, Encoder], parts: Parts, frames_per_clip: int = 5, revision: str | None = None
) -> Setup:
    """Read a gallery's copies, and check that they belong to its encoders and to each other.

    Parameters
    ----------
    encoders : modality -> encoder
    parts : from `read_parts`

    Raises
    ------
    InputError : a part is damaged, or of other models
    OptionError : no encoder
    """
    encoders = {modality: encoders[modality] for modality in MODALITIES if modality in encoders}
    if not encoders:
        raise OptionError("expected a voice encoder, a face encoder, or both")
    refuse_other_files(parts)
    with TemporaryDirectory() as temporary:
        folders = {}
        for folder, files in parts.items():
            folders[folder] = Path(temporary) / folder
            folders[folder].mkdir()
            for name, content in files.items():
                (folders[folder] / name).write_bytes(content)
        fusion = read_fusion(folders["calibration"] / CALIBRATION)
        adaptations = [read_adaptation(path) for name, path in folders.items() if name.startswith("adaptation-")]
        plda = {name.removeprefix("plda-"): path for name, path in folders.items() if name.startswith("plda-")}
        models = adapt_clip(Clip(models={name: one.model for name, one in encoders.items()}), adaptations).models
        if unknown := [modality for modality in plda if modality not in models]:
            raise OptionError(f"a PLDA model of the {unknown[0]} needs a {unknown[0]} encoder")
        for modality, path in plda.items():
            if trained_on(path) != models[modality]:
                raise InputError(f"the PLDA model was trained on embeddings of {trained_on(path) or 'an unknown model'}"
                                 f", expected {models[modality]}")  # fmt: skip
        backends = {modality: f"plda-{plda_digest(path)}" for modality, path in plda.items()}
        columns = modality_columns(fusion, models, "the calibration", backends)
        models_of_plda = {modality: read_plda(path) for modality, path in plda.items()}
    setup = Setup(encoders, parts, fusion, columns, adaptations, models_of_plda, frames_per_clip)
    return setup if revision is None else replace(setup, revision=revision)


def refuse_other_files(parts: Parts) -> None:
    """Raise InputError for files that are no parts: parts may come from a file of somebody else.

    Examples
    --------
    >>> refuse_other_files({"calibration": {"calibration.json": b"{}"}, "plda-voice": {"../../.profile": b""}})
    Traceback (most recent call last):
    avsv.errors.InputError: plda-voice/../../.profile: is not a part of a gallery
    """
    for folder, files in parts.items():
        kind, _, which = folder.partition("-")
        wanted = {"calibration": "", "adaptation": which if which.isdecimal() else None,
                  "plda": which if which in MODALITIES else None}  # fmt: skip
        for name in files:
            if kind not in FILES or which != wanted[kind] or name not in FILES[kind]:
                raise InputError(f"{folder}/{name}: is not a part of a gallery")
    if "calibration" not in parts:
        raise InputError("a gallery needs a calibration")


def write_setup(connection: sqlite3.Connection, setup: Setup) -> None:
    """Write a gallery's setup, in place of the one that it has."""
    settings = {"revision": setup.revision, "frames_per_clip": str(setup.frames_per_clip)}
    connection.executemany("INSERT OR REPLACE INTO settings VALUES (?, ?)", settings.items())
    connection.executemany(
        "INSERT INTO encoders VALUES (?, ?, ?) "
        "ON CONFLICT DO UPDATE SET source = excluded.source, model = excluded.model",
        [(modality, one.source, one.model) for modality, one in setup.encoders.items()],
    )
    connection.execute("DELETE FROM parts")
    connection.executemany(
        "INSERT INTO parts VALUES (?, ?, ?)",
        [(folder, name, content) for folder, files in setup.parts.items() for name, content in files.items()],
    )


def read_setup(connection: sqlite3.Connection, known: Setup | None = None) -> Setup:
    """The setup of a gallery.

    Parameters
    ----------
    known : returned if it is current
    """
    settings = dict(connection.execute("SELECT name, value FROM settings"))
    if known is not None and known.revision == settings.get("revision"):
        return known
    encoders = {modality: Encoder(source, model)
                for modality, source, model in connection.execute("SELECT * FROM encoders")}  # fmt: skip
    parts: Parts = {}
    for folder, name, content in connection.execute("SELECT * FROM parts ORDER BY folder, name"):
        parts.setdefault(folder, {})[name] = content
    try:
        return make_setup(encoders, parts, int(settings["frames_per_clip"]), settings["revision"])
    except (KeyError, ValueError, TypeError, AvsvError) as error:
        raise DamagedGallery(f"its models cannot be read ({error})") from None
