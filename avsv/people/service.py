"""What the page of `avsv serve` asks of a gallery: uploads, enrolment, identification, comparison, removal.

An upload is written to a temporary file, embedded (decoders run in a guarded process) and deleted. Its embeddings stay
in memory until they are enrolled, discarded or too old; other requests name them by a random identifier. No request
names a file.
"""

import logging
import secrets
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import BoundedSemaphore, Lock
from typing import Any, BinaryIO

from avsv.errors import AvsvError, InputError
from avsv.evaluation.dcf import bayes_threshold
from avsv.media.decoder_process import guarded
from avsv.media.waveforms import audio_duration
from avsv.people.gallery import Gallery
from avsv.people.gallery_enrolment import Sample, compare
from avsv.people.gallery_search import Identification
from avsv.people.operating_point import OperatingPoint
from avsv.people.remarks import remarks
from avsv.scoring.verification import Clip

log = logging.getLogger("avsv")
MOST_BYTES = 64 << 20  # of an upload
MOST_SECONDS = 600.0  # of its audio, where the file states it
MOST_WAITING = 4  # uploads received or embedded at a time
MOST_KEPT = 32  # embedded uploads in memory
KEPT_SECONDS = 1800.0  # after which an upload is forgotten
MOST_LISTED = 500  # people on the page
PIECE = 1 << 16  # bytes read at a time


class Busy(AvsvError):
    """Too many uploads at a time; try again."""


class CutShort(AvsvError):
    """An upload ended before its announced length."""


@dataclass(frozen=True)
class Upload:
    """An embedded upload: when it was embedded (monotonic clock, seconds), and its embeddings."""

    since: float
    sample: Sample


class Service:
    """A gallery and the uploads that are not enrolled yet. Threads may share it; a context manager.

    Parameters
    ----------
    gallery : existing
    p_target : prior probability that a recording shows somebody in the gallery, or that two show the same person
    operating_point : its threshold replaces that of the prior

    Raises
    ------
    InputError : the operating point is of another calibration
    """

    def __init__(self, gallery: Gallery, p_target: float = 0.5, operating_point: OperatingPoint | None = None):
        self.gallery, self.p_target, self.point = gallery, p_target, operating_point
        if operating_point is not None:
            operating_point.refuse_other_calibration(gallery.known.fusion, "the operating point")
        self.uploads: dict[str, Upload] = {}
        self.lock, self.places = Lock(), BoundedSemaphore(MOST_WAITING)
        self.folder = TemporaryDirectory(prefix="avsv-serve-", ignore_cleanup_errors=True)
        # one thread embeds: each thread would start a decoder process of its own
        self.worker = ThreadPoolExecutor(1, "embed")

    def __enter__(self) -> "Service":
        return self

    def __exit__(self, *error: object) -> None:
        self.worker.shutdown(wait=False, cancel_futures=True)
        self.folder.cleanup()

    def add_upload(self, body: BinaryIO, n_bytes: int) -> dict:
        """Embed an upload and delete it.

        Parameters
        ----------
        body : the content of one media file
        n_bytes : its announced length, at most MOST_BYTES

        Returns
        -------
        dict with `id`, `modalities`, `absent`, `remarks` and `quality`

        Raises
        ------
        Busy : too many uploads at a time
        CutShort : the body ends early
        InputError : the file cannot be decoded, is too long, or has neither a voice nor a face
        """
        if not self.places.acquire(blocking=False):
            raise Busy("too many uploads at a time; wait for the others to end and try again")
        path = Path(self.folder.name) / secrets.token_hex(16)
        try:
            with open(path, "xb") as file:
                copy(body, file, n_bytes)
            sample = self.worker.submit(self.embed, path).result()
        except InputError as error:
            raise InputError(str(error).replace(str(path), "the recording")) from None
        finally:
            path.unlink(missing_ok=True)
            self.places.release()
        return {"id": self.keep(sample), **record_of(sample.clip)}

    def embed(self, path: Path) -> Sample:
        """Embed a file under a name that says that it was uploaded; InputError for one that is too long."""
        refuse_long(path)
        sample = self.gallery.embed(path)
        absent = {name: why.replace(f"{path}: ", "").replace(str(path), "the recording")
                  for name, why in sample.clip.absent.items()}  # fmt: skip
        uploaded = f"uploaded {datetime.now(timezone.utc):%Y-%m-%d %H:%M:%S.%f} UTC, not kept"
        return replace(sample, path=uploaded, clip=replace(sample.clip, absent=absent))

    def keep(self, sample: Sample) -> str:
        """Keep an embedded upload in memory, in place of the oldest if there are many; returns its identifier."""
        name = secrets.token_hex(16)
        with self.lock:
            self.forget_old()
            while len(self.uploads) >= MOST_KEPT:
                self.uploads.pop(next(iter(self.uploads)))
            self.uploads[name] = Upload(time.monotonic(), sample)
        return name

    def forget_old(self) -> None:
        oldest = time.monotonic() - KEPT_SECONDS
        for name in [name for name, upload in self.uploads.items() if upload.since < oldest]:
            del self.uploads[name]

    def discard(self, ids: Sequence[str]) -> dict:
        """Forget uploads."""
        with self.lock:
            return {"discarded": sum(self.uploads.pop(name, None) is not None for name in ids)}

    def samples(self, ids: Sequence[str]) -> list[Sample]:
        """The embedded uploads of these identifiers; InputError if one is forgotten."""
        with self.lock:
            self.forget_old()
            if any(name not in self.uploads for name in ids):
                raise InputError("a recording is no longer in memory: record it, or choose its file, again")
            return [self.uploads[name].sample for name in ids]

    def overview(self) -> dict:
        """The gallery's name and modalities, its first people by name, and the largest upload."""
        people = self.gallery.people()
        listed = [asdict(person) for person in people[:MOST_LISTED]]
        return {"gallery": self.gallery.path.name, "modalities": list(self.gallery.known.modalities),
                "n_people": len(people), "people": listed, "most_bytes": MOST_BYTES}  # fmt: skip

    def person(self, name: str) -> dict:
        """The recordings of a person; InputError for an unknown name."""
        return {"name": name, "recordings": [asdict(one) for one in self.gallery.recordings(name)]}

    def enroll(self, name: str, ids: Sequence[str], consent: str = "", force: bool = False) -> dict:
        """Enrol uploads as a person; see `Gallery.enroll` for what is refused."""
        result = self.gallery.enroll(name, self.samples(ids), consent=consent, force=force)
        self.discard(ids)
        return {"name": result.name, "new": result.is_new, "warnings": result.warnings}

    def identify(self, recording: str) -> dict:
        """Who is shown by an upload, with the candidates, the threshold and the margin to the runner-up."""
        found = self.gallery.identify(self.samples([recording]), p_target=self.p_target, operating_point=self.point)[0]
        return identification_record(found)

    def verify(self, one: str, other: str) -> dict:
        """Do two uploads show the same person? The log-likelihood ratio, threshold and scores by modality."""
        a, b = (sample.clip for sample in self.samples([one, other]))
        with self.gallery.database.reading() as connection:
            ratio, scores = compare(self.gallery.setup(connection), [a], b)
        threshold = bayes_threshold(self.p_target) if self.point is None else self.point.threshold
        same = bool(ratio > threshold) if scores else None
        return {"same": same, "ratio": ratio, "threshold": float(threshold), "scores": scores,
                "remarks": [remarks(a), remarks(b)]}  # fmt: skip

    def remove(self, name: str) -> dict:
        """Remove a person with everything derived from the recordings; InputError for an unknown name."""
        removal = self.gallery.remove(name)
        return {"name": removal.name, "recordings": len(removal.recordings), "embeddings": removal.n_embeddings}


def copy(body: BinaryIO, file: BinaryIO, n_bytes: int) -> None:
    """Copy the announced bytes of a request; CutShort if there are fewer."""
    while n_bytes:
        piece = body.read(min(PIECE, n_bytes))
        if not piece:
            raise CutShort("the upload ended early; try again")
        file.write(piece)
        n_bytes -= len(piece)


def refuse_long(path: Path) -> None:
    """InputError if a file states that its audio is longer than MOST_SECONDS."""
    try:
        seconds = guarded(audio_duration, path)
    except InputError:  # no audio, such as an image; whatever is wrong with the file is found when it is embedded
        return
    if seconds > MOST_SECONDS:
        raise InputError(f"the recording lasts {seconds / 60:.0f} minutes, expected at most {MOST_SECONDS / 60:.0f}")


def record_of(clip: Clip) -> dict[str, Any]:
    """An embedded recording for the page."""
    return {"modalities": list(clip.vectors), "absent": clip.absent, "remarks": remarks(clip), "quality": clip.quality}


def identification_record(found: Identification) -> dict:
    """An identification for the page."""
    candidates = [{"name": one.name, "ratio": one.ratio, "probability": one.probability, "scores": one.scores}
                  for one in found.candidates]  # fmt: skip
    return {
        "name": found.name,
        "candidates": candidates,
        "threshold": found.threshold if found.n_people else None,
        "margin": found.margin,
        "nobody": found.nobody,
        "n_people": found.n_people,
        "remarks": remarks(found.clip),
    }
