"""avsv voice-to-face draw and evaluate with small untrained networks."""

import json

import cv2
import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from avsv.jobs.explain import explain
from avsv.kaldi.data_dir import read_data_dir
from avsv.models.checkpoint import write_torch
from avsv.models.face_encoders import save_onnx
from avsv.models.iresnet import IResNet
from avsv.systems.voice_to_face.commands import evaluate as evaluate_voice_to_face
from avsv.systems.voice_to_face.evaluation import draw_lengths, read_speech_of_videos
from avsv.systems.voice_to_face.generated_faces import FaceGenerator
from avsv.systems.voice_to_face.networks import VoiceEmbedder, normalise_embeddings
from avsv.systems.voice_to_face.speech_features import FRAMES_PER_SECOND, LEAST_FRAMES, normalise_bands
from avsv.systems.voice_to_face.speech_store import read_speech
from avsv.systems.voice_to_face.training import VoiceToFace, VoiceToFaceConfig
from avsv.training.config import to_yaml
from tests.training.small_clips import make_data


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    config = VoiceToFaceConfig(task="voice_to_face", exp_dir="e", data_dir="d", voice="v", channels=(16,) * 5,
                               critic_channels=(16,) * 5, batch_norm=True)  # fmt: skip
    model = VoiceToFace(config, VoiceEmbedder((8, 8, 8, 8), 6), 3).train()
    with torch.no_grad():  # give batch norm statistics, and the faces contrast
        model.generator.layers[-1].weight.mul_(20)
        for _ in range(30):
            model(torch.randn(8, 64, 60))
    return config, model.eval()


@pytest.fixture(scope="module")
def exp(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exp") / "gan"
    config, network = model
    write_torch(folder / "checkpoint.pt", {"model": network.state_dict()})
    (folder / "config.yaml").write_text(to_yaml(config))
    (folder / "done").write_text("complete\n")
    return folder


@pytest.fixture(scope="module")
def judge(tmp_path_factory):
    folder = tmp_path_factory.mktemp("judge")
    torch.manual_seed(0)
    net = IResNet((1, 1), (8, 8), embedding_size=12, stem_stride=4)
    net(torch.randn(8, 3, 112, 112))
    save_onnx(net, folder / "recognition.onnx")
    return folder


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Training people q and test people p: three each with four clips, two per video; the third person is a man."""
    folder = tmp_path_factory.mktemp("sets")
    for name, prefix in (("train", "q"), ("test", "p")):
        make_data(folder / name, prefix)
        utts = read_data_dir(folder / name).utts
        (folder / name / "utt2vid").write_text("".join(f"{utt} {utt[:2]}-v{int(utt[-1]) // 2}\n" for utt in utts))
        (folder / name / "spk2gender").write_text("".join(f"{prefix}{n} {'ffm'[n]}\n" for n in range(3)))
    return folder


def evaluate(avsv, exp, judge, sets, out, *more, test="test"):
    return avsv("voice-to-face", "evaluate", "--model", exp, "--face", judge, "--train", sets / "train",
                *more, sets / test, out)  # fmt: skip


def test_a_voice_becomes_the_image_that_the_networks_compute(avsv, exp, model, sets, tmp_path):
    wav = sets / "test" / "p1-0.wav"
    status, text = avsv("voice-to-face", "draw", "--model", exp, wav, tmp_path / "face.png")
    assert status == 0 and "face.png" in text
    network = model[1]
    mels = torch.from_numpy(normalise_bands(read_speech(str(wav))))[None]
    with torch.no_grad():
        face = network.generator(normalise_embeddings(network.embedder(mels)))[0]
    expected = np.clip(face.numpy().transpose(1, 2, 0) * 127.5 + 127.5, 0, 255)
    assert np.abs(np.asarray(Image.open(tmp_path / "face.png")) - expected).max() <= 0.5 + 1e-3  # rounded
    assert expected.std() > 5


def test_unusable_recordings_are_named_and_leave_no_image(avsv, exp, tmp_path, tone):
    silence = tmp_path / "silence.wav"
    soundfile.write(silence, np.zeros(32000), 16000)
    film = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(film), cv2.VideoWriter_fourcc(*"MJPG"), 25, (64, 64))
    for _ in range(5):
        writer.write(np.zeros((64, 64, 3), np.uint8))
    writer.release()
    (tmp_path / "text.wav").write_text("no sound")
    for path in (silence, tone("short.wav", seconds=0.2), tone("window.wav", seconds=0.02), film,
                 tmp_path / "text.wav", tmp_path / "absent.wav"):  # fmt: skip
        status, text = avsv("voice-to-face", "draw", "--model", exp, path, tmp_path / "face.png")
        assert status == 1 and f"{path}: " in text and not (tmp_path / "face.png").exists()


def test_a_wrong_model_and_a_wrong_file_name_are_refused(avsv, exp, judge, sets, tmp_path):
    wav = sets / "test" / "p1-0.wav"
    status, text = avsv("voice-to-face", "draw", "--model", exp, wav, tmp_path / "face.jpg")
    assert status == 1 and "face.jpg: expected" in text
    status, text = avsv("voice-to-face", "draw", "--model", judge, wav, tmp_path / "face.png")
    assert status == 1 and f"{judge}" in text
    other = tmp_path / "voice"
    other.mkdir()
    for name in ("checkpoint.pt", "done"):
        (other / name).write_bytes((exp / name).read_bytes())
    (other / "config.yaml").write_text("task: voice\n")
    status, text = avsv("voice-to-face", "draw", "--model", other, wav, tmp_path / "face.png")
    assert status == 1 and f"{other}: expected" in text


def test_an_evaluation_writes_a_table_results_and_a_grid_of_faces(avsv, exp, judge, sets, tmp_path):
    status, text = evaluate(avsv, exp, judge, sets, tmp_path / "out", "--seconds", "0.5,1", "--people", 3)
    assert status == 0 and "1:2 matching, same gender, %" in text
    results = json.loads((tmp_path / "out/results.json").read_text())
    assert (results["n_people"], results["n_videos"], results["n_bad_clips"]) == (3, 6, 0)
    assert list(results["lengths"]) == ["0.5 s", "1 s", "all"]
    for measures in (*results["lengths"].values(), results["real"]):
        assert 0 <= measures["sex"]["percent"] <= 100 and measures["frechet"] >= 0
    assert "| speech used | chance | 0.5 s | 1 s | all | real faces |" in (tmp_path / "out/results.md").read_text()
    page = np.asarray(Image.open(tmp_path / "out/faces.png"))
    # 3 rows, 4 columns of 128 pixels; the last column has real faces, person 2 of small_clips at the bottom
    last = page[22 + 2 * 134 + 40 : 22 + 2 * 134 + 80, 110 + 3 * 134 + 6 + 50 : 110 + 3 * 134 + 6 + 70].mean((0, 1))
    assert np.allclose(last, (180, 90, 100), atol=12)
    first = explain(tmp_path / "out/results.json")
    assert first.record.command == "voice-to-face evaluate"
    assert {"model", "face", "data", "train", "media"} <= {step.role for step in first.inputs}


def test_a_face_depends_on_its_own_speech_alone(exp, sets):
    videos, n_bad = read_speech_of_videos(read_data_dir(sets / "test"))
    assert n_bad == 0 and [v.video for v in videos] == [f"p{n}-v{v}" for n in range(3) for v in range(2)]
    assert len(videos[0].frames) > 200  # two clips of 1.5 s
    generator = FaceGenerator(exp)
    faces = draw_lengths(generator, videos, [0.5, 1.0])
    assert faces.shape == (6, 3, 64, 64, 3)
    assert np.array_equal(faces[3, 1], generator.draw(videos[3].frames[:100]))
    assert np.array_equal(faces[3, 2], generator.draw(videos[3].frames))


def test_unusable_clips_and_videos_are_counted_and_named(avsv, exp, judge, sets, tmp_path):
    folder = tmp_path / "test"
    folder.mkdir()
    for path in (sets / "test").glob("*"):
        if path.is_file() and path.suffix != ".wav":
            (folder / path.name).write_text(path.read_text())
    soundfile.write(folder / "silence.wav", np.zeros(16000), 16000)
    lines = (folder / "wav.scp").read_text().splitlines()
    lines[0] = f"p0-0 {folder}/silence.wav"  # makes the video of p0-0 and p0-1 too short
    (folder / "wav.scp").write_text("\n".join(lines) + "\n")
    faces = (folder / "faces.scp").read_text().splitlines()
    (folder / "faces.scp").write_text("".join(f"{line}\n" for line in faces if not line.startswith("p2")))
    status, text = evaluate(avsv, exp, judge, sets, tmp_path / "out", "--seconds", "2", folder, test=folder)[:2]
    assert status == 2 and "unrecognized arguments" in text
    status, text = evaluate(avsv, exp, judge, sets, tmp_path / "out", "--seconds", "2", test=folder)
    assert status == 0 and all(f"left out {name}: " in text for name in ("p0-0", "p0-v0", "p2-v0"))
    results = json.loads((tmp_path / "out/results.json").read_text())
    counts = [results[name] for name in ("n_people", "n_videos", "n_bad_clips", "n_short_videos", "n_without_face")]
    assert counts == [2, 3, 1, 1, 2]
    status, text = evaluate(avsv, exp, judge, sets, tmp_path / "out", "--seconds", "9", test=folder)
    assert status == 1 and f"{folder}: expected" in text


def test_the_least_length_equals_the_embedders():
    assert evaluate_voice_to_face.LEAST == LEAST_FRAMES / FRAMES_PER_SECOND


def test_training_people_and_malformed_lengths_are_refused(avsv, exp, judge, sets, tmp_path):
    status, text = evaluate(avsv, exp, judge, sets, tmp_path / "out", test="train")
    assert status == 1 and f"{sets}/train: expected" in text
    for lengths in ("2,1", "0.1,1", "x", "1,inf"):
        status, text = evaluate(avsv, exp, judge, sets, tmp_path / "out", "--seconds", lengths)
        assert status == 2 and "--seconds" in text
