"""Face embeddings of clips: batching changes nothing, and all faces of a clip have the same weight."""

import numpy as np
import pytest

from avsv.embeddings.face import FaceEmbedder, archived_faces, assessed, clip_embedding, damaged, media_faces
from avsv.errors import InputError
from avsv.features.faces import ClipFaces, encode_faces
from avsv.features.quality_measures import face_quality


class Recognition:
    """Embeds a face as its mean colour and records the sizes of the batches."""

    def __init__(self, fixed="batch"):
        self.input_shape, self.batches = [fixed, 3, 112, 112], []

    def get_feat(self, faces):
        self.batches.append(len(faces))
        return np.stack([face.mean(axis=(0, 1)) for face in faces]).astype(np.float32)


def clips(sizes):
    rng = np.random.default_rng(0)
    return [(f"c{i}", rng.integers(1, 256, (n, 112, 112, 3), np.uint8)) for i, n in enumerate(sizes)]


@pytest.mark.parametrize("batch_size", [1, 2, 3, 8, 50])
def test_batches_have_one_size_and_change_nothing(batch_size):
    given = clips([3, 1, 5, 2, 7])
    network = Recognition()
    embedded = list(FaceEmbedder(network, batch_size).embed_faces_of_clips(given))
    assert [key for key, _ in embedded] == [key for key, _ in given]
    for (_, embeddings), (_, faces) in zip(embedded, given, strict=True):
        assert np.array_equal(embeddings, faces.mean(axis=(1, 2)).astype(np.float32))
    assert set(network.batches) == {batch_size} and len(network.batches) == -(-18 // batch_size)


def test_a_network_with_a_fixed_batch_uses_it():
    assert FaceEmbedder(Recognition(fixed=1), 8).batch_size == 1


def test_no_clips_give_no_embeddings():
    assert list(FaceEmbedder(Recognition()).embed_faces_of_clips([])) == []


def test_clips_are_read_one_batch_ahead(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    read = []

    def reading():
        for key, faces in clips([2] * 10):
            read.append(key)
            yield key, faces

    next(FaceEmbedder(Recognition(), 4).embed_faces_of_clips(reading()))
    assert len(read) == 4


def test_long_and_short_embeddings_have_the_same_weight():
    assert clip_embedding(np.array([[0.0, 100.0], [1.0, 0.0]])).tolist() == [0.5, 0.5]
    assert np.isfinite(clip_embedding(np.zeros((2, 3)))).all()


def test_faces_are_weighted_by_their_quality():
    vectors = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    quality = np.array([0.2, 0.5, 0.1], np.float32)
    expected = (quality @ unit) / quality.sum()
    assert clip_embedding(vectors, quality) == pytest.approx(expected, abs=1e-6)
    for equal in (0.3, 0.0, -1.0):
        assert np.array_equal(clip_embedding(vectors, np.full(3, equal, np.float32)), clip_embedding(vectors))


def test_quality_is_measured_after_the_damage_and_independent_of_the_batch():
    ((_, faces),) = clips([5])
    black = {"b": {"modality": "face", "kind": "low-light", "light": 0.001, "photons": 1000, "seed": 1}}
    reader = damaged(lambda utt: ClipFaces(faces), black)
    measured = [assessed(reader, FaceEmbedder(Recognition(), size)) for size in (1, 2, 8)]
    assert assessed(reader, None) is reader
    for utt in ("a", "b"):
        expected = reader(utt).images[..., 0].mean((1, 2))
        assert all(read(utt).quality == pytest.approx(expected) for read in measured)
    assert measured[0]("b").quality.max() < measured[0]("a").quality.min()
    assert face_quality(measured[0]("a"))["utt2face_quality"] == pytest.approx(faces[..., 0].mean())


def test_archived_faces_are_evenly_spaced(tmp_path):
    faces = np.stack([np.full((112, 112, 3), 40 * i, np.uint8) for i in range(6)])
    (tmp_path / "faces.ark").write_bytes(b"a " + encode_faces(faces))
    read = archived_faces({"a": f"{tmp_path}/faces.ark:2"}, 3)
    assert [round(face.mean() / 40) for face in read("a").images] == [1, 3, 5]


def test_only_clips_with_a_damage_record_are_damaged():
    ((_, faces),) = clips([2])
    clip = ClipFaces(faces, np.ones(2), np.ones(2))
    read = damaged(lambda utt: clip, {"b": {"modality": "face", "kind": "gaussian-blur", "sigma": 3.0}})
    assert read("a") is clip
    assert read("b").images.std() < 0.5 * faces.std() and read("b").scores is clip.scores


def test_clips_that_share_a_folder_are_read_once(tmp_path, monkeypatch):
    import avsv.embeddings.face as module

    read = []
    monkeypatch.setattr(module, "guarded_stream", lambda function, path, n: read.append(path) or [])
    monkeypatch.setattr(module, "find_faces", lambda frames, detector, thresh: frames)
    faces = media_faces({"a1": "x", "a2": "x", "b": "y"}, None, 5)
    for utt in ("a1", "a2", "b"):
        faces(utt)
    assert read == ["x", "y"]


def test_a_clip_that_cannot_be_read_is_an_error_each_time(tmp_path):
    faces = media_faces({"a": str(tmp_path / "absent.mp4")}, None, 5)
    for _ in range(2):
        with pytest.raises(InputError, match=r"absent\.mp4"):
            faces("a")
