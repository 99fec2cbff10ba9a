"""avsv embed-face and verify with a pack of YuNet, SFace and a quality network, which weights the faces."""

import json
import shutil

import cv2
import kaldiio
import numpy as np
import pytest

import avsv as api
from avsv.embeddings.face_pool import FacePool, save_face_pool
from avsv.features.face_pack import load_pack
from avsv.features.faces import align_face, detect_face
from avsv.kaldi.tables import read_table
from tests.face_networks import write_means, write_yunet


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    """SFace's input and the mean of each channel as an embedding; red less 175 as the quality."""
    folder = tmp_path_factory.mktemp("pack")
    write_yunet(folder / "face_detection_yunet_2023mar.onnx")
    write_means(folder / "face_recognition_sface_2021dec.onnx", batch=1)
    write_means(folder / "quality.onnx", 1)
    (folder / "quality.yaml").write_text("task: quality\nchannels: rgb\nmean: 175\nstd: 1\n")
    return folder


@pytest.fixture
def data(tmp_path):
    """Three clips of four frames, with white squares of different surroundings."""
    rng, folder = np.random.default_rng(0), tmp_path / "data"
    for clip in range(3):
        (folder / f"p-{clip}").mkdir(parents=True)
        for frame in range(4):
            image = (rng.integers(0, 200, (1, 1, 3)) * np.ones((160, 160, 1))).astype(np.uint8)
            image[56:112, 56:112] = 255
            cv2.imwrite(str(folder / f"p-{clip}" / f"{frame}.png"), image)
    (folder / "video.scp").write_text("".join(f"p-{i} {folder}/p-{i}\n" for i in range(3)))
    (folder / "utt2spk").write_text("".join(f"p-{i} p\n" for i in range(3)))
    return folder


def embeddings(folder):
    return dict(kaldiio.load_scp(str(folder / "embedding.scp")).items())


def test_faces_are_weighted_and_the_measure_is_written(avsv, pack, data, tmp_path):
    status, output = avsv("embed-face", "--model", pack, data, tmp_path / "out")
    assert status == 0, output
    detector = load_pack(pack, tasks=("detection",)).detection
    signs = set()
    for utt, vector in embeddings(tmp_path / "out").items():
        images = [cv2.imread(str(path)) for path in sorted((data / utt).glob("*.png"))]
        faces = [align_face(image, detect_face(image, detector).points) for image in images]
        means = np.stack([face.mean((0, 1))[::-1] for face in faces])
        quality = means[:, 0] - 175
        signs.update(np.sign(quality))
        unit = means / np.linalg.norm(means, axis=1, keepdims=True)
        assert vector == pytest.approx(quality.clip(0) @ unit / quality.clip(0).sum(), abs=1e-4)
        assert float(read_table(tmp_path / "out/utt2face_quality")[utt]) == pytest.approx(quality.mean(), rel=1e-3)
    assert signs == {-1.0, 1.0}


def test_the_quality_network_is_part_of_the_model(avsv, pack, data, tmp_path):
    plain = shutil.copytree(pack, tmp_path / "plain")
    (plain / "quality.onnx").unlink()
    (plain / "quality.yaml").unlink()
    for name, folder in (("weighted", pack), ("mean", plain)):
        assert avsv("embed-face", "--model", folder, data, tmp_path / name)[0] == 0
    weighted, mean = embeddings(tmp_path / "weighted"), embeddings(tmp_path / "mean")
    assert any(np.abs(weighted[utt] - mean[utt]).max() > 1e-3 for utt in weighted)
    models = [json.loads((tmp_path / name / "done.json").read_text())["model"] for name in ("weighted", "mean")]
    assert models[0] != models[1] == api.load_face_encoder(plain).model
    assert models[0] == api.load_face_encoder(pack).model
    assert not (tmp_path / "mean/utt2face_quality").exists()


def test_python_gives_the_embedding_of_the_command(avsv, pack, data, tmp_path):
    assert avsv("embed-face", "--model", pack, data, tmp_path / "out")[0] == 0
    clip = api.embed(data / "p-1", None, api.load_face_encoder(pack))
    assert np.array_equal(clip.vectors["face"], embeddings(tmp_path / "out")["p-1"])
    written = read_table(tmp_path / "out/utt2face_quality")["p-1"]
    assert clip.quality["face"]["utt2face_quality"] == pytest.approx(float(written), rel=1e-4)


@pytest.mark.parametrize("batch_size", [1, 3, 50])
def test_batches_do_not_change_an_embedding(avsv, pack, data, tmp_path, batch_size):
    for name, size in (("eight", 8), ("other", batch_size)):
        assert avsv("embed-face", "--model", pack, "--batch-size", size, data, tmp_path / name)[0] == 0
    one, other = embeddings(tmp_path / "eight"), embeddings(tmp_path / "other")
    assert all(one[utt] == pytest.approx(other[utt], abs=1e-6) for utt in one)


def test_a_trained_pool_weights_the_faces_and_the_log_says_so(avsv, pack, data, tmp_path, caplog):
    caplog.set_level("INFO", logger="avsv")
    save_face_pool(tmp_path / "pool", FacePool((0.0, 0.0), (1.0, 1.0), (0.0, 0.0)))
    status, output = avsv("embed-face", "--model", pack, "--pool", tmp_path / "pool", data, tmp_path / "out")
    assert status == 0, output
    assert any("quality.onnx" in message and str(tmp_path / "pool") in message for message in caplog.messages)
    assert read_table(tmp_path / "out/utt2face_quality")
    plain = shutil.copytree(pack, tmp_path / "plain")
    (plain / "quality.onnx").unlink()
    assert avsv("embed-face", "--model", plain, data, tmp_path / "mean")[0] == 0
    mean, pooled = embeddings(tmp_path / "mean"), embeddings(tmp_path / "out")
    assert all(mean[utt] == pytest.approx(pooled[utt], abs=1e-6) for utt in mean)


def test_a_network_whose_input_is_unknown_is_an_error_that_says_what_to_write(avsv, pack, data, tmp_path):
    folder = shutil.copytree(pack, tmp_path / "pack")
    (folder / "face_recognition_sface_2021dec.onnx").rename(folder / "my network.onnx")
    status, output = avsv("embed-face", "--model", folder, data, tmp_path / "out")
    assert status == 1 and "Traceback" not in output and not (tmp_path / "out/embedding.scp").exists()
    assert f"{folder}/my network.onnx" in output and "my network.yaml" in output
    (folder / "my network.yaml").write_text("task: recognition\nchannels: rgb\nmean: 0\nstd: 1\n")
    assert avsv("embed-face", "--model", folder, data, tmp_path / "out")[0] == 0
