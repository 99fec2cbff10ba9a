"""A tiny face network and a tiny detector, from data directories to a face pack."""

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from avsv.errors import InputError
from avsv.features.face_pack import load_pack
from avsv.features.faces import TEMPLATE, encode_faces
from avsv.features.landmarks import read_landmarks
from avsv.kaldi.shards import make_archives
from avsv.kaldi.tables import read_table
from avsv.models.face_detector import FaceDetector, save_onnx
from avsv.training.config import OptimizerConfig
from avsv.training.image_augmentation import move_matrix, plan_batches
from avsv.training.task import train
from avsv.training.tasks import face_detector
from avsv.training.tasks.face import FaceConfig, Faces, FaceTask
from avsv.training.tasks.face_detector import FaceDetectorConfig, FaceDetectorTask, Frames


def draw_face(person, rng):
    """Skin and background in a person's own shade, and noise."""
    face = np.full((112, 112, 3), 40 + 60 * person, np.float64)
    face[20:100, 30:80] = [200 - 50 * person, 90, 60 + 60 * person]
    return (face + rng.normal(0, 10, face.shape)).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Three people, four clips each, two faces per clip."""
    folder = tmp_path_factory.mktemp("face data")
    rng = np.random.default_rng(0)
    clips = {f"p{p}-{c}": np.stack([draw_face(p, rng) for _ in range(2)]) for p in range(3) for c in range(4)}

    def work(keys, out):
        for key in keys:
            out.write_bytes("faces", key, encode_faces(clips[key]))

    make_archives(folder / "faces", ["faces"], dict.fromkeys(clips, ""), {}, work)
    (folder / "faces.scp").write_text((folder / "faces" / "faces.scp").read_text())
    (folder / "utt2spk").write_text("".join(f"{key} {key[:2]}\n" for key in clips))
    (folder / "video.scp").write_text("".join(f"{key} {key}.mp4\n" for key in clips))
    return folder


@pytest.fixture(scope="module")
def detector_pack(tmp_path_factory):
    folder = tmp_path_factory.mktemp("detector")
    save_onnx(FaceDetector(width=8), folder / "detector.onnx")
    return folder


def tiny(data, exp_dir, **more):
    options = {"blocks": (1, 1), "channels": (16, 16), "stem_stride": 4, "embedding_size": 8, "scale": 16.0,
               "margin": 0.1, "epochs": 3, "batch_size": 6, "workers": 0, "threads": 1, "device": "cpu"}  # fmt: skip
    return FaceConfig(task="face", exp_dir=str(exp_dir), data_dir=str(data), optimizer=OptimizerConfig(lr=0.01),
                      **{**options, **more})  # fmt: skip


@pytest.fixture(scope="module")
def trained(data, detector_pack, tmp_path_factory):
    exp_dir = tmp_path_factory.mktemp("exp") / "face"
    train(FaceTask(tiny(data, exp_dir, detector=str(detector_pack))))
    return exp_dir


def test_the_experiment_is_a_face_pack(trained):
    pack = load_pack(trained)
    faces = [np.zeros((112, 112, 3), np.uint8)] * 2
    assert pack.recognition.get_feat(faces).shape == (2, 8) and pack.detection.use_kps


def test_training_learns(trained):
    losses = [json.loads(line)["loss"] for line in (trained / "history.jsonl").read_text().splitlines()]
    assert len(losses) == 3 and losses[-1] < losses[0]


def test_an_interrupted_training_ends_with_the_same_network(data, trained, detector_pack, tmp_path, monkeypatch):
    from avsv.training.trainer import Trainer

    save = Trainer.save

    def stop_after_one(self):
        save(self)
        if self.epoch == 1:
            raise KeyboardInterrupt

    config = tiny(data, tmp_path / "face", detector=str(detector_pack))
    monkeypatch.setattr(Trainer, "save", stop_after_one)
    with pytest.raises(KeyboardInterrupt):
        train(FaceTask(config))
    monkeypatch.setattr(Trainer, "save", save)
    train(FaceTask(config))
    assert (tmp_path / "face" / "recognition.onnx").read_bytes() == (trained / "recognition.onnx").read_bytes()


def test_the_eer_of_held_out_people_is_measured(data, detector_pack, tmp_path):
    other = tmp_path / "held out"
    other.mkdir()
    for name in ("utt2spk", "video.scp", "faces.scp"):
        lines = (data / name).read_text().splitlines()
        (other / name).write_text("".join(f"q{line}\n".replace(" p", " qp") if name == "utt2spk" else f"q{line}\n"
                                          for line in lines))  # fmt: skip
    train(FaceTask(tiny(data, tmp_path / "face", valid_dir=str(other), epochs=1)))
    record = json.loads((tmp_path / "face" / "history.jsonl").read_text())
    assert 0 <= record["eer_percent"] <= 100
    with pytest.raises(InputError, match=r"3 of its people .* p0"):
        train(FaceTask(tiny(data, tmp_path / "other", valid_dir=str(data))))


def test_an_epoch_has_every_clip_and_is_repeatable(data):
    faces = Faces(tiny(data, "x", faces_per_clip=2), list(read_table(data / "faces.scp").values()), np.arange(12) // 4)
    plan = faces.plan(0)
    assert sorted(clip for batch in plan for clip, _ in batch) == sorted([*range(12)] * 2)
    assert plan == faces.plan(0) != faces.plan(1)
    image, label = faces[plan[0][0]]
    assert torch.equal(image, faces[plan[0][0]][0]) and label == plan[0][0][0] // 4
    assert image.shape == (3, 112, 112) and image.dtype == torch.uint8


def test_missing_inputs_are_named(data, tmp_path):
    (tmp_path / "utt2spk").write_text("a a\n")
    (tmp_path / "video.scp").write_text("a a.mp4\n")
    with pytest.raises(InputError, match=r"faces\.scp: is absent .* avsv align-faces"):
        train(FaceTask(tiny(tmp_path, tmp_path / "exp")))
    (tmp_path / "faces.scp").write_text("a x:3\n")
    with pytest.raises(InputError, match="faces of 1 people"):
        train(FaceTask(tiny(tmp_path, tmp_path / "exp")))
    with pytest.raises(InputError, match=r"landmarks\.scp: is absent"):
        train(FaceDetectorTask(detector_config(tmp_path, tmp_path / "exp")))
    with pytest.raises(InputError, match="one of each per stage"):
        train(FaceTask(tiny(data, tmp_path / "exp", blocks=(1, 1, 1))))
    with pytest.raises(InputError, match="no such face pack"):
        train(FaceTask(tiny(data, tmp_path / "exp", detector=str(tmp_path / "nothing"))))


def test_moving_an_image_moves_its_key_points():
    matrix = move_matrix((50, 40), (30, 30), 0.5, 90.0, flip=False)
    assert (matrix @ [50, 40, 1]).round(6).tolist() == [30, 30]
    assert (matrix @ [60, 40, 1]).round(6).tolist() == [30, 35]  # rightwards becomes downwards, at half the distance
    mirrored = move_matrix((50, 40), (30, 30), 1.0, 0.0, flip=True)
    assert (mirrored @ [60, 40, 1]).round(6).tolist() == [20, 30]


def test_batches_are_full_and_small_sets_are_one_batch():
    assert [len(b) for b in plan_batches(list(range(10)), 4, 0, 0)] == [4, 4]
    assert [len(b) for b in plan_batches([3, 4], 4, 0, 0)] == [2]


# The detector


POINTS = (TEMPLATE - 56) * 0.5  # relative to the centre of a face of about 50 pixels


def draw_scene(x, y):
    """A grey square with dark key points on a dark background, which a small network detects as a face."""
    image = np.full((120, 120, 3), 40, np.uint8)
    cv2.rectangle(image, (x - 25, y - 25), (x + 25, y + 25), (170, 190, 220), -1)
    for px, py in POINTS + np.array([x, y]):
        cv2.circle(image, (round(px), round(py)), 3, (30, 30, 60), -1)
    return image


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Sixteen clips of one frame each, a PNG, with landmarks."""
    folder = tmp_path_factory.mktemp("landmarks")
    tables = {"utt2spk": "", "video.scp": "", "landmarks.scp": ""}
    for i in range(16):
        x, y = 45 + 10 * (i % 4), 45 + 10 * (i // 4)
        cv2.imwrite(str(folder / f"c{i:02d}.png"), draw_scene(x, y))
        numbers = [x - 25, y - 25, 50, 50, *(POINTS + np.array([x, y])).ravel()]
        (folder / f"c{i:02d}.txt").write_text("FRAME\tX\n0\t" + "\t".join(f"{n:.1f}" for n in numbers) + "\n")
        for name, value in (("utt2spk", "c"), ("video.scp", f"{folder}/c{i:02d}.png"),
                            ("landmarks.scp", f"{folder}/c{i:02d}.txt")):  # fmt: skip
            tables[name] += f"c{i:02d} {value}\n"
    for name, text in tables.items():
        (folder / name).write_text(text)
    return folder


def detector_config(data, exp_dir, **more):
    return FaceDetectorConfig(task="face_detector", exp_dir=str(exp_dir), data_dir=str(data), frames_per_clip=1,
                              side=96, face_side=(40.0, 60.0), width=16, batch_size=16, workers=0, threads=1,
                              device="cpu", epochs=60, optimizer=OptimizerConfig(lr=0.01), **more)  # fmt: skip


def test_a_trained_detector_finds_faces_through_the_pack(clips, tmp_path, caplog):
    config = detector_config(clips, tmp_path / "detector")
    with caplog.at_level("INFO", logger="avsv"):
        train(FaceDetectorTask(config))
    assert load_pack(tmp_path / "detector", tasks=("detection",)).recognition is None
    line = next(r.getMessage() for r in caplog.records if "key points" in r.getMessage())
    share, error = (float(word) for word in line.split() if word.replace(".", "").isdigit())
    assert share == 100.0 and error < 5


def test_frames_and_their_landmarks_move_together():
    example = face_detector.Example(draw_scene(60, 60), np.array([35.0, 35, 50, 50]), POINTS + 60)
    frames = Frames(SimpleNamespace(side=160, face_side=(60.0, 100.0), rotation=10.0, colour=0.0), [example])
    for seed in range(8):
        image, box, points = frames[0, seed]
        inside = [(x, y) for x, y in points.round().int().tolist() if 3 <= x < 157 and 3 <= y < 157]
        for x, y in inside:
            around = image[:, y - 6 : y + 7, x - 6 : x + 7].float().mean()
            assert image[:, y - 1 : y + 2, x - 1 : x + 2].float().mean() < around  # dark at the key point
        assert points[0, 0] < points[1, 0] and points[3, 0] < points[4, 0]  # left stays left in a mirrored face
        assert (box[2:] - box[:2]).prod().sqrt().item() == pytest.approx((60 * 100) ** 0.5, rel=0.3)


def test_malformed_landmarks_are_refused(tmp_path):
    for text in ("", "FRAME\n", "FRAME\n0\t1\t2\n", "FRAME\n0\t" + "\t".join(["x"] * 14) + "\n"):
        (tmp_path / "a.txt").write_text(text)
        with pytest.raises(InputError, match=r"a\.txt: expected a header"):
            read_landmarks(str(tmp_path / "a.txt"))
