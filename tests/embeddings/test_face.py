"""Embeddings of clips: batches change nothing, and a clip's faces all have the same say."""

import numpy as np
import pytest

from avsv.embeddings.face import FaceEmbedder, archived_faces, clip_embedding, damaged, media_faces
from avsv.errors import InputError
from avsv.features.faces import ClipFaces, encode_faces


class Recognition:
    """Mean colour of each face, and the sizes of the batches that were asked for."""

    def __init__(self, fixed="batch"):
        self.input_shape, self.batches = [fixed, 3, 112, 112], []

    def get_feat(self, faces):
        self.batches.append(len(faces))
        return np.stack([face.mean(axis=(0, 1)) for face in faces]).astype(np.float32)


def clips(sizes):
    rng = np.random.default_rng(0)
    return [(f"c{i}", rng.integers(1, 256, (n, 112, 112, 3), np.uint8)) for i, n in enumerate(sizes)]


@pytest.mark.parametrize("batch_size", [1, 2, 3, 8, 50])
def test_batches_are_of_one_size_and_change_nothing(batch_size):
    given = clips([3, 1, 5, 2, 7])
    network = Recognition()
    found = list(FaceEmbedder(network, batch_size).embed_clips(given))
    assert [key for key, _ in found] == [key for key, _ in given]
    for (_, embedding), (_, faces) in zip(found, given):
        assert np.array_equal(embedding, clip_embedding(faces.mean(axis=(1, 2)).astype(np.float32)))
    assert set(network.batches) == {batch_size} and len(network.batches) == -(-18 // batch_size)


def test_a_network_with_a_fixed_batch_uses_it():
    assert FaceEmbedder(Recognition(fixed=1), 8).batch_size == 1


def test_no_clips_no_embeddings():
    assert list(FaceEmbedder(Recognition()).embed_clips([])) == []


def test_clips_are_read_as_they_are_needed_and_one_batch_ahead(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    read = []

    def reading():
        for key, faces in clips([2] * 10):
            read.append(key)
            yield key, faces

    next(FaceEmbedder(Recognition(), 4).embed_clips(reading()))
    assert len(read) == 4


def test_a_long_embedding_has_no_more_say_than_a_short_one():
    assert clip_embedding(np.array([[0.0, 100.0], [1.0, 0.0]])).tolist() == [0.5, 0.5]
    assert np.isfinite(clip_embedding(np.zeros((2, 3)))).all()


def test_faces_are_also_had_one_by_one():
    given = clips([3, 1])
    found = dict(FaceEmbedder(Recognition(), 2).embed_faces_of_clips(given))
    assert all(np.array_equal(found[key], faces.mean(axis=(1, 2)).astype(np.float32)) for key, faces in given)


def test_an_archive_gives_evenly_spaced_faces(tmp_path):
    faces = np.stack([np.full((112, 112, 3), 40 * i, np.uint8) for i in range(6)])
    (tmp_path / "faces.ark").write_bytes(b"a " + encode_faces(faces))
    read = archived_faces({"a": f"{tmp_path}/faces.ark:2"}, 3)
    assert [round(face.mean() / 40) for face in read("a").images] == [1, 3, 5]


def test_only_the_clips_named_are_damaged():
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
        with pytest.raises(InputError, match="there is no such file"):
            faces("a")
