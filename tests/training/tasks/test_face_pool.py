"""Attention on faces: training lowers the weight of damaged faces, and pooling agrees with embed-face."""

import json

import numpy as np
import pytest
import torch

from avsv.embeddings.face import clip_embedding
from avsv.embeddings.face_pool import FacePool, face_measures, load_face_pool
from avsv.errors import InputError
from avsv.jobs.files import write_json
from avsv.kaldi.shard_writer import ShardWriter
from avsv.kaldi.tables import write_table
from avsv.training.tasks.face_pool import Faces, PoolModel, mix

RNG = np.random.default_rng(0)


def write_faces(folder, faces, sharpness):
    with ShardWriter(folder, ["faces", "faces_sharpness"], "") as out:
        for utt, vectors in faces.items():
            out.write("faces", utt, vectors)
            out.write("faces_sharpness", utt, np.full(len(vectors), sharpness))


@pytest.fixture
def data(tmp_path):
    """Six people with five clips of four faces; a damaged face is half noise, shorter, and blurred."""
    people, clean, damaged = {}, {}, {}
    for person in range(6):
        centre = RNG.standard_normal(16)
        for clip in range(5):
            utt = f"p{person}-{clip}"
            people[utt] = f"p{person}"
            clean[utt] = 10 * (centre + 0.3 * RNG.standard_normal((4, 16)))
            damaged[utt] = centre + 3 * RNG.standard_normal((4, 16))
    write_table(tmp_path / "utt2spk", people)
    write_faces(tmp_path / "clean", clean, 500.0)
    write_faces(tmp_path / "damaged", damaged, 5.0)
    return tmp_path


def config(data, **changes):
    given = {
        "task": "face_pool", "exp_dir": str(data / "exp"), "data_dir": str(data), "device": "cpu", "epochs": 60,
        "faces": str(data / "clean/faces.scp"), "damaged_faces": str(data / "damaged/faces.scp"), "batch_size": 24,
        "optimizer": {"lr": 0.05}, **changes,
    }  # fmt: skip
    write_json(data / "config.yaml", given)
    return data / "config.yaml"


def test_long_and_sharp_faces_get_more_weight(data, avsv):
    status, output = avsv("train", config(data))
    assert status == 0, output
    pool = load_face_pool(data / "exp")
    assert pool.weight[0] > 0.3 and pool.weight[1] > 0.3
    shares = pool.attention(np.log([[20.0, 500.0], [4.0, 5.0]]))
    assert shares[0] > 0.8 and shares.sum() == pytest.approx(1)


def test_the_network_pools_as_embed_face_does():
    clips = [(RNG.standard_normal((n, 8)).astype(np.float32), RNG.uniform(1, 900, n)) for n in (1, 3)]
    faces, model = Faces(clips), PoolModel(0.1)
    pool = FacePool((0.9, 5.0), (0.4, 2.0), (1.2, -0.7))
    for name in ("mean", "std", "weight"):
        getattr(model, name).data.copy_(torch.tensor(getattr(pool, name)))
    shares = model.shares(faces.measures, faces.present)
    pooled = (shares[..., None] * faces.vectors).sum(1).detach().numpy()
    for row, (vectors, sharp) in enumerate(clips):
        expected = clip_embedding(vectors, pool.attention(face_measures(vectors, sharp)))
        assert np.allclose(pooled[row], expected, atol=1e-6)


def test_every_clip_keeps_at_least_one_of_its_own_faces():
    torch.manual_seed(0)
    clean = Faces([(np.ones((n, 4), np.float32), np.ones(n)) for n in (1, 2, 5)] * 50)
    _, _, kept = mix(clean, clean, torch.arange(150), 0.5)
    assert kept.any(1).all() and not (kept & ~clean.present).any() and (clean.present & ~kept).any()


def test_a_set_without_pairs_is_refused(data, avsv):
    write_table(data / "utt2spk", {f"p0-{clip}": "p0" for clip in range(5)})
    status, output = avsv("train", config(data))
    assert status == 1 and "5 clips of 1 people have several faces" in output


def test_a_file_that_is_not_a_pool_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"is absent; is .* a finished training of task face_pool"):
        load_face_pool(tmp_path)
    other = {"measures": ["log magnitude"], "mean": [0], "std": [1], "weight": [1]}
    (tmp_path / "face_pool.json").write_text(json.dumps(other))
    with pytest.raises(InputError, match="face_pool"):
        load_face_pool(tmp_path)
