"""A gallery of enrolled people: who is this?

One SQLite file holds the people, their recordings, embeddings, quality and consent notes, and copies of the
calibration, adaptations and PLDA models that it works with. The encoders are loaded from where they were at its
creation, and must be the same.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from avsv.errors import InputError, OptionError
from avsv.jobs.fingerprints import file_digest
from avsv.people.gallery_database import Database
from avsv.people.gallery_encoders import embed_file, lasting, load_encoders
from avsv.people.gallery_enrolment import Enrolment, Sample, check_name, enroll
from avsv.people.gallery_exchange import Imported, export, import_file
from avsv.people.gallery_packed import pack
from avsv.people.gallery_people import Person, Recording, Removal, list_people, recordings_of
from avsv.people.gallery_search import Identification, identify
from avsv.people.gallery_setup import Encoder, Parts, Setup, make_setup, read_parts, read_setup, write_setup
from avsv.people.gallery_upkeep import Checked, Rebuilt, check, rebuild
from avsv.people.operating_point import OperatingPoint, read_operating_point
from avsv.people.remarks import find_remarks
from avsv.scoring.verification import Clip

TWO_PEOPLE = ("several_faces", "changing_face")  # codes of remarks that enrolment refuses


class Gallery:
    """An existing gallery; `Gallery.create` makes one. Threads and processes may use a gallery at the same time.

    Parameters
    ----------
    path : the file
    device : "cpu" or "cuda", where files are embedded
    trust : run the program of a voice encoder that is not recognised, see `load_voice_encoder`

    Raises
    ------
    InputError : no such gallery, a damaged one, or one of another version

    Examples
    --------
    >>> import avsv
    >>> gallery = avsv.Gallery("people.gallery")               # doctest: +SKIP
    >>> gallery.enroll("Ann", ["ann1.mp4", "ann2.wav"])        # doctest: +SKIP
    >>> gallery.identify(["new.mp4"])[0].name                  # doctest: +SKIP
    'Ann'
    """

    def __init__(self, path: Path | str, *, device: str = "cpu", trust: bool = False):
        self.path, self.device, self.trust = Path(path), device, trust
        self.database = Database(path)
        self.loaded: tuple[str, dict[str, Any]] | None = None  # revision of the setup, and its encoders
        self.lock = Lock()
        with self.database.reading() as connection:
            self.known = read_setup(connection)

    @classmethod
    def create(
        cls,
        path: Path | str,
        *,
        calibration: Path | str,
        voice: str | None = None,
        face: str | None = None,
        adaptations: Sequence[Path | str] = (),
        plda: Mapping[str, Path | str] | None = None,
        frames_per_clip: int = 5,
        exist_ok: bool = False,
        device: str = "cpu",
        trust: bool = False,
    ) -> "Gallery":
        """Make an empty gallery.

        Parameters
        ----------
        path : the file
        calibration : of one score per modality: a file that `avsv fuse` or `avsv calibrate` wrote
        voice, face : encoders, as `load_voice_encoder` and `load_face_encoder` take them; one of them may be left out
        adaptations : folders of `avsv adapt`, to the domain of the recordings
        plda : modality -> folder of `avsv plda`, to compare it by PLDA instead of the cosine
        frames_per_clip : frames of a video in which faces are detected; their embeddings are averaged
        exist_ok : open a gallery that exists if it was made with the same models; otherwise it is an error

        Raises
        ------
        InputError : the file exists; a model is absent or damaged; or parts belong to different models
        OptionError : no encoder
        """
        sources = {"voice": voice, "face": face}
        encoders = load_encoders({name: source for name, source in sources.items() if source}, device, trust)
        parts = read_parts(calibration, adaptations, plda)
        setup = setup_of(sources, encoders, parts, frames_per_clip)
        if not (exist_ok and Database(path).exists()):
            create_gallery(path, setup)
        gallery = cls(path, device=device, trust=trust)
        if not gallery.known.is_like(setup):
            raise InputError(f"{path}: was made with other models or a copy of another calibration; leave out the "
                             "models to enrol with those, or embed everybody again (avsv gallery rebuild)")  # fmt: skip
        gallery.loaded = (gallery.known.revision, encoders)
        return gallery

    def setup(self, connection: sqlite3.Connection) -> Setup:
        """The current setup, which another process may have replaced."""
        self.known = read_setup(connection, self.known)
        return self.known

    def embed(self, path: Path | str, audio_track: int | None = None) -> Sample:
        """Embed a file by the gallery's encoders, which are loaded at the first call.

        Raises
        ------
        InputError : no such file, neither a voice nor a face in it, or an encoder that is absent or has changed
        """
        with self.database.reading() as connection:
            setup = self.setup(connection)
        path = Path(path).absolute()
        with self.lock:
            clip = embed_file(path, self.encoders(setup), setup.frames_per_clip, audio_track)
        return Sample(str(path), file_digest(path), clip, audio_track)

    def encoders(self, setup: Setup) -> dict[str, Any]:
        """Modality -> loaded encoder; InputError if one is not that of the setup."""
        if self.loaded is None or self.loaded[0] != setup.revision:
            encoders = load_encoders(
                {name: one.source for name, one in setup.encoders.items()}, self.device, self.trust
            )
            for name, encoder in encoders.items():
                if encoder.model != setup.encoders[name].model:
                    raise InputError(
                        f"{self.path}: its {name} encoder {setup.encoders[name].source} has changed: it is now "
                        f"{encoder.model}, the gallery was embedded by {setup.encoders[name].model}. Restore it, or "
                        "embed everybody again (avsv gallery rebuild)"
                    )
            self.loaded = (setup.revision, encoders)
        return self.loaded[1]

    def enroll(
        self,
        name: str,
        recordings: Sequence[Path | str | Sample],
        *,
        consent: str = "",
        force: bool = False,
        audio_track: int | None = None,
    ) -> Enrolment:
        """Add recordings of a person, all or none; a new person if the name is not in the gallery.

        Parameters
        ----------
        recordings : files, or what `embed` returned for them
        consent : note that is kept with each recording
        force : enrol in spite of doubts: two people in a file, a recording that does not match the person's others,
            or a person who seems to be enrolled under another name
        audio_track : number of the audio track, from 1; None for each file's default

        Raises
        ------
        EnrolmentRefused : doubts, and `force` is not set
        InputError : a file cannot be embedded, or the person has this recording already
        OptionError : a name that cannot be used, or no recordings
        """
        check_name(name)
        samples = [one if isinstance(one, Sample) else self.embed(one, audio_track) for one in recordings]
        found = [find_remarks(sample.clip) for sample in samples]
        warned = [[one.text for one in of_sample if one.code not in TWO_PEOPLE] for of_sample in found]
        doubted = [[one.text for one in of_sample if one.code in TWO_PEOPLE] for of_sample in found]
        with self.database.writing() as connection:
            return enroll(connection, self.setup(connection), name, samples, warned, doubted, consent, force)

    def identify(
        self,
        recordings: Sequence[Path | str | Sample | Clip],
        *,
        p_target: float = 0.5,
        operating_point: OperatingPoint | Path | str | None = None,
        top: int = 5,
        audio_track: int | None = None,
    ) -> list[Identification]:
        """Who is shown by each of these recordings?

        Parameters
        ----------
        recordings : files, or what `embed` returned for them
        p_target : prior probability that a recording shows somebody in the gallery
        operating_point : its threshold replaces that of the prior: a file of `avsv operating-point`, or what
            `read_operating_point` returned
        top : candidates to list

        Raises
        ------
        InputError : a file cannot be embedded or compared; the operating point is of another calibration
        OptionError : a prior that is not between 0 and 1
        """
        clips = []
        for one in recordings:
            one = self.embed(one, audio_track) if isinstance(one, Path | str) else one
            clips.append(one.clip if isinstance(one, Sample) else one)
        source = operating_point if isinstance(operating_point, Path | str) else "the operating point"
        point = read_operating_point(operating_point) if isinstance(operating_point, Path | str) else operating_point
        with self.database.reading() as connection:
            setup = self.setup(connection)
            if point is not None:
                point.refuse_other_calibration(setup.fusion, source)
            return identify(connection, setup, clips, p_target, point and point.threshold, top)

    def people(self) -> list[Person]:
        """Everybody enrolled, by name."""
        with self.database.reading() as connection:
            return list_people(connection, self.setup(connection).modalities)

    def recordings(self, name: str) -> list[Recording]:
        """The recordings of a person, oldest first; InputError for an unknown name."""
        with self.database.reading() as connection:
            return recordings_of(connection, self.person(connection, name))

    def person(self, connection: sqlite3.Connection, name: str) -> int:
        """The identifier of a person; InputError for an unknown name."""
        row = connection.execute("SELECT id FROM people WHERE name = ?", (check_name(name),)).fetchone()
        if row is None:
            raise InputError(f'{self.path}: nobody is enrolled as "{name}"; avsv gallery list names everybody')
        return row[0]

    def rename(self, old: str, new: str) -> None:
        """Give a person another name; InputError if the name is unknown, or the new one taken."""
        new = check_name(new)
        with self.database.writing() as connection:
            person = self.person(connection, old)
            taken = connection.execute("SELECT 1 FROM people WHERE name = ? AND id != ?", (new, person)).fetchone()
            if taken:
                raise InputError(f'{self.path}: somebody else is enrolled as "{new}"')
            connection.execute("UPDATE people SET name = ? WHERE id = ?", (new, person))

    def remove(self, name: str) -> Removal:
        """Remove a person with everything derived from the recordings, and overwrite it in the file.

        The recordings themselves are the user's files and stay.

        Raises
        ------
        InputError : an unknown name
        """
        with self.database.writing() as connection:
            setup, person = self.setup(connection), self.person(connection, name)
            recordings = recordings_of(connection, person)
            connection.execute("DELETE FROM people WHERE id = ?", (person,))
            connection.execute("INSERT INTO free_ids VALUES (?)", (person,))
            pack(connection, setup, [person])
        n_embeddings = {modality: sum(modality in one.modalities for one in recordings)
                        for modality in setup.modalities}  # fmt: skip
        return Removal(check_name(name), recordings, n_embeddings, self.database.empty_log())

    def check(self) -> Checked:
        """Compare the gallery with its encoders, its media and itself; hashes every recording's file."""
        return check(self.database, self.device, self.trust)

    def rebuild(
        self,
        *,
        calibration: Path | str | None = None,
        voice: str | None = None,
        face: str | None = None,
        adaptations: Sequence[Path | str] | None = None,
        plda: Mapping[str, Path | str] | None = None,
        frames_per_clip: int | None = None,
        missing: str = "error",
    ) -> Rebuilt:
        """Embed all recordings again, by the encoders as they are now or by others, and repair what is packed.

        Parameters
        ----------
        calibration, voice, face, adaptations, plda, frames_per_clip : as in `create`; None for the present ones. New
            encoders need a new calibration, and leave out adaptations and PLDA models that are not given. If only these
            change, nothing is embedded
        missing : what to do with recordings whose files are gone, changed or unusable: "error", or "drop" them

        Raises
        ------
        InputError : recordings that cannot be embedded and are not to be dropped, or parts of different models
        """
        with self.database.reading() as connection:
            setup = self.setup(connection)
        sources = {name: one.source for name, one in setup.encoders.items()}
        sources |= {name: source for name, source in (("voice", voice), ("face", face)) if source}
        with self.lock:
            encoders = load_encoders(sources, self.device, self.trust)
        parts = dict(setup.parts)
        if calibration is not None or adaptations is not None or plda is not None:
            if calibration is None:
                raise OptionError("other adaptations or PLDA models need the calibration of their scores")
            parts = read_parts(calibration, adaptations or (), plda)
        new = setup_of(sources, encoders, parts, frames_per_clip or setup.frames_per_clip)
        result = rebuild(self.database, new, encoders, missing)
        self.loaded = None
        return result

    def export(self, path: Path | str) -> int:
        """Write everything to one file, see gallery_exchange.py; returns the number of recordings."""
        return export(self.database, path)

    @staticmethod
    def import_file(path: Path | str, file: Path | str) -> Imported:
        """Add the people of an exported `file` to the gallery at `path`, which is made if it is absent.

        Raises
        ------
        InputError : the file is not one that `export` wrote, is of other encoders, or has a name or a recording that
            is in the gallery already; nothing is added then
        """
        return import_file(Database(path), file)


def setup_of(
    sources: Mapping[str, str | None], encoders: Mapping[str, Any], parts: Parts, frames_per_clip: int
) -> Setup:
    """The setup of loaded encoders; parameters as in `load_encoders` and `make_setup`."""
    named = {name: Encoder(lasting(sources[name]), encoder.model) for name, encoder in encoders.items()}
    return make_setup(named, parts, frames_per_clip)


def create_gallery(path: Path | str, setup: Setup) -> None:
    """Make an empty gallery with this setup; InputError if the file exists and has content."""
    Database(path).create(lambda connection: write_setup(connection, setup))
