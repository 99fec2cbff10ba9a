"""Face embeddings: a recognition network embeds the aligned faces of a clip, which are pooled to one vector."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from avsv.embeddings.face_pool import FacePool, face_measures
from avsv.errors import InputError
from avsv.features.face_damage import damage_faces
from avsv.features.face_pack import load_pack
from avsv.features.faces import ClipFaces, find_faces, read_faces
from avsv.features.quality_measures import face_quality, sharpness
from avsv.jobs.progress import progress
from avsv.jobs.threads import ReadOnce, map_ahead, n_allowed
from avsv.kaldi.origin import face_model
from avsv.kaldi.shard_writer import ShardWriter
from avsv.media.decoder_process import guarded_stream
from avsv.media.images import each_frame, evenly_spaced
from avsv.models.registry import tell_licences
from avsv.scoring.groups import quality_weights

FaceReader = Callable[[str], ClipFaces]  # utterance -> at least one face; raises InputError if there is none


def media_faces(video: Mapping[str, str], detector: Any, n_frames: int, det_thresh: float = 0.5) -> FaceReader:
    """Make a reader that detects and aligns the faces in up to `n_frames` frames of a clip."""

    def read(path: str) -> ClipFaces:
        return find_faces(list(guarded_stream(each_frame, path, n_frames)), detector, det_thresh)

    once = ReadOnce(read)  # consecutive clips of one VoxCeleb1 video share a folder of images
    return lambda utt: once(video[utt])


def read_ahead(read: FaceReader, utts: Iterable[str]) -> Iterator[tuple[str, ClipFaces | InputError]]:
    """Yield clips in order with their faces, or with the error; reads in as many threads as the job may use."""

    def faces_or_error(utt: str) -> tuple[str, ClipFaces | InputError]:
        try:
            return utt, read(utt)
        except InputError as error:
            return utt, error

    return map_ahead(faces_or_error, utts, n_allowed())


def archived_faces(faces: Mapping[str, str], n_frames: int) -> FaceReader:
    """Make a reader of up to `n_frames` of a clip's faces from the archive of align-faces."""

    def read(utt: str) -> ClipFaces:
        clip = read_faces(faces[utt])
        return ClipFaces(clip[evenly_spaced(len(clip), n_frames)])

    return read


def damaged(read: FaceReader, damage: Mapping[str, dict]) -> FaceReader:
    """Make a reader that also damages the faces of the clips in `damage`, utterance -> record."""

    def read_damaged(utt: str) -> ClipFaces:
        faces = read(utt)
        return replace(faces, images=damage_faces(faces.images, damage[utt])) if utt in damage else faces

    return read_damaged


def assessed(read: FaceReader, quality: "FaceEmbedder | None") -> FaceReader:
    """Make a reader that also measures the quality of each face by a pack's quality network, if it has one."""
    if quality is None:
        return read

    def read_assessed(utt: str) -> ClipFaces:
        faces = read(utt)
        return replace(faces, quality=quality.embed_faces(faces.images)[:, 0])

    return read_assessed


class FaceEmbedder:
    """Runs a network on batches of constant size, regardless of the clips' numbers of faces.

    onnxruntime may choose different kernels for different batch sizes, which changes the last digits. Faces of
    consecutive clips therefore fill batches of `batch_size`, and zeros fill the last one. A face's embedding then
    depends neither on its neighbours nor on the split into jobs. Threads share the batches.

    Parameters
    ----------
    network : `FacePack.recognition`, or `FacePack.quality`, whose embedding is one number
    batch_size : faces per batch; a network with a fixed batch size uses its own
    """

    def __init__(self, network: Any, batch_size: int = 8):
        self.network = network
        fixed = network.input_shape[0]
        self.batch_size = fixed if isinstance(fixed, int) and fixed > 0 else batch_size

    def embed_faces(self, faces: np.ndarray) -> np.ndarray:
        """Embed (n, 112, 112, 3) uint8 BGR faces: (n, d) float32, not normalised."""
        n = len(faces)
        padded = np.zeros((-(-n // self.batch_size) * self.batch_size, *faces.shape[1:]), np.uint8)
        padded[:n] = faces
        batches = [list(padded[i : i + self.batch_size]) for i in range(0, len(padded), self.batch_size)]
        return np.concatenate([self.network.get_feat(batch) for batch in batches])[:n]

    def embed_faces_of_clips(self, clips: Iterable[tuple[str, np.ndarray]]) -> Iterator[tuple[str, np.ndarray]]:
        """Embed every face of many clips, batching faces across clips.

        Parameters
        ----------
        clips : pairs of a key and a clip's aligned faces, (n, 112, 112, 3) uint8 BGR, n >= 1

        Yields
        ------
        (key, (n, d) float32, not normalised), in the same order
        """
        waiting: list[tuple[str, int]] = []  # incomplete clips and their numbers of faces

        def batches() -> Iterator[np.ndarray]:
            faces: list[np.ndarray] = []
            for key, clip in clips:
                waiting.append((key, len(clip)))
                faces.extend(clip)
                while len(faces) >= self.batch_size:
                    yield np.stack(faces[: self.batch_size])
                    del faces[: self.batch_size]
            if faces:
                yield np.stack(faces)

        done: list[np.ndarray] = []  # embeddings of the faces of incomplete clips
        for embeddings in map_ahead(self.embed_faces, batches(), n_allowed()):
            done.extend(embeddings)
            yield from self.complete(waiting, done)

    @staticmethod
    def complete(waiting: list[tuple[str, int]], done: list[np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
        """Remove complete clips, with all faces embedded, from both lists and yield them."""
        while waiting and waiting[0][1] <= len(done):
            key, n = waiting.pop(0)
            yield key, np.stack(done[:n])
            del done[:n]


def embed_clips(
    embedder: FaceEmbedder,
    read: FaceReader,
    utts: Iterable[str],
    out: ShardWriter,
    detected: Mapping[str, Mapping[str, str]],
    pool: FacePool | None = None,
    keep_faces: bool = False,
) -> None:
    """Embed the faces of clips into the archive "embedding"; clips that cannot be read are skipped.

    A quality of each face, if the reader measures it, weights the faces, unless there is a `pool`. Quality measures of
    the embedded faces go to the tables `FACE_TABLES`. The magnitude is the mean norm of the faces'
    embeddings, since `clip_embedding` normalises them.

    Parameters
    ----------
    read : reader of a clip's faces, such as `assessed`
    detected : utterance -> table -> value, detection scores and sizes of faces from an archive
    pool : trained attention on the faces' sharpness and magnitude; None for the mean, weighted by quality if measured
    keep_faces : also write the embedding and sharpness of every face, to the archives "faces" and "faces_sharpness"
    """
    # of the faces of clips whose embeddings are not ready
    sharp: dict[str, np.ndarray] = {}
    quality: dict[str, np.ndarray | None] = {}

    def clips() -> Iterator[tuple[str, np.ndarray]]:
        for utt, faces in read_ahead(read, progress(utts, "embed faces")):
            if isinstance(faces, InputError):
                out.skip(utt, str(faces))
                continue
            for table, value in {**detected.get(utt, {}), **face_quality(faces)}.items():
                out.note(table, utt, value)
            if pool or keep_faces:
                sharp[utt] = sharpness(faces.images)
            quality[utt] = faces.quality
            yield utt, faces.images

    for utt, embeddings in embedder.embed_faces_of_clips(clips()):
        measured, of_faces = sharp.pop(utt, None), quality.pop(utt)
        if pool:
            of_faces = pool.attention(face_measures(embeddings, measured))
        out.write("embedding", utt, clip_embedding(embeddings, of_faces))
        if keep_faces:
            out.write("faces", utt, embeddings)
            out.write("faces_sharpness", utt, measured)
        out.note("utt2magnitude", utt, float(np.linalg.norm(embeddings, axis=1).mean()))


@dataclass(frozen=True)
class FaceEncoder:
    """A face detector and a recognition network.

    detector : network that detects faces and their landmarks
    embedder : the recognition network
    model : its name, see avsv/kaldi/origin.py
    quality : network that measures the quality of faces, which weights them; None for equal weights
    """

    detector: Any
    embedder: FaceEmbedder
    model: str
    quality: FaceEmbedder | None = None


def load_face_encoder(source: Path | str, device: str = "cpu") -> FaceEncoder:
    """Load a face detector and a face recognition network.

    Parameters
    ----------
    source : folder of a face pack: ONNX files of a detector and a recognition network, such as `avsv train` writes or
        InsightFace publishes, and perhaps a quality network; or a published name, such as "buffalo_l", which is
        downloaded once
    device : "cpu" or "cuda"

    Raises
    ------
    InputError : no such pack, or a network is missing or damaged

    Examples
    --------
    >>> face = load_face_encoder("exp/face")                                     # doctest: +SKIP
    >>> face.embedder.embed_faces(np.zeros((1, 112, 112, 3), np.uint8)).shape    # doctest: +SKIP
    (1, 512)
    """
    pack = load_pack(source, device)
    tell_licences(pack.files("detection", "recognition"))
    quality = FaceEmbedder(pack.quality) if pack.quality else None
    return FaceEncoder(pack.detection, FaceEmbedder(pack.recognition), face_model(pack.files("recognition")), quality)


def clip_embedding(embeddings: np.ndarray, quality: np.ndarray | None = None) -> np.ndarray:
    """Pool the embeddings of a clip's faces: scale each to length 1 and average them, weighted by their quality.

    Blurred or turned faces often have short embeddings; normalising gives every face the same weight before quality.
    The mean is not normalised again: its length, at most 1, measures how much the faces agree.

    Parameters
    ----------
    embeddings : (n, d) float
    quality : (n,) float, of the faces, as `quality_weights` takes it; None for equal weights

    Returns
    -------
    (d,) float32

    Examples
    --------
    >>> clip_embedding(np.array([[3.0, 0.0], [0.0, 0.5]]))
    array([0.5, 0.5], dtype=float32)
    >>> clip_embedding(np.array([[3.0, 0.0], [0.0, 0.5]]), np.array([0.3, 0.1]))
    array([0.75, 0.25], dtype=float32)
    """
    lengths = np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-12)
    unit = embeddings / lengths
    if quality is not None:
        unit = unit * quality_weights(quality)[:, None].astype(unit.dtype)
    return unit.mean(axis=0).astype(np.float32)
