"""avsv verify with made-up embedders: what is printed, and what is refused."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from avsv.errors import UserError

VECTORS = {"a.mp4": (1.0, 0.0), "b.mp4": (0.6, 0.8), "c.mp4": (-1.0, 0.0)}


@pytest.fixture
def verify(avsv, tmp_path, monkeypatch):
    """Clips whose voice and face are both the vector of their name."""
    vector = {name: np.array(values) for name, values in VECTORS.items()}

    def media_faces(clips, *_):
        def read(name):
            if clips[name] not in vector:
                raise UserError(f"{clips[name]}: no face was found")
            return SimpleNamespace(pictures=vector[clips[name]])

        return read

    class Embedder:
        def __init__(self, _):
            pass

        def embed_clips(self, clips):
            return clips

    monkeypatch.setattr("avsv.embeddings.face.media_faces", media_faces)
    monkeypatch.setattr("avsv.embeddings.face.FaceEmbedder", Embedder)
    monkeypatch.setattr(
        "avsv.features.face_pack.load_pack", lambda *_: SimpleNamespace(detection=None, recognition=None)
    )
    monkeypatch.setattr("avsv.embeddings.voice.read_clip", lambda path, *_, **__: vector[path])
    monkeypatch.setattr("avsv.embeddings.voice.make_voice_embedder", lambda *_: lambda sounds: np.stack(sounds))

    def call(a, b, *options, weights=(2.0, 3.0)):
        model = {"weights": weights, "offset": -1.0, "target_prior": 0.5, "systems": ["s"] * len(weights)}
        (tmp_path / "m.json").write_text(json.dumps(model))
        return avsv("verify", "--voice", "v", "--face", "f", "--calibration", tmp_path / "m.json", *options, a, b)

    return call


def test_score_and_verdict(verify):
    status, said = verify("a.mp4", "b.mp4")
    assert status == 0
    assert [line.split()[1] for line in said.splitlines()[:3]] == ["0.6000", "0.6000", f"{0.6 * 5 - 1:.4f}"]
    assert said.splitlines()[-1] == "the same person"
    assert verify("a.mp4", "c.mp4")[1].splitlines()[-1] == "different people"


def test_the_verdict_depends_on_the_prior(verify):
    assert verify("a.mp4", "b.mp4", "--target-prior", "0.01")[1].splitlines()[-1] == "different people"


def test_a_clip_without_a_face_and_a_calibration_of_one_system_are_told(verify):
    status, said = verify("a.mp4", "none.mp4")
    assert status == 1 and "none.mp4: no face was found" in said
    status, said = verify("a.mp4", "b.mp4", weights=(2.0,))
    assert status == 1 and "is for 1 scores, expected those of voice and face" in said
