"""Face networks beside InsightFace's: colours and scale, detection by YuNet, and refusals."""

import shutil
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from onnx import TensorProto

from avsv.embeddings.face import FaceEmbedder
from avsv.errors import InputError
from avsv.features.face_inputs import FaceInput
from avsv.features.face_networks import YUNET_OUTPUTS, YuNet
from avsv.features.face_pack import load_network, load_pack
from avsv.features.faces import align_face, detect_face
from tests.face_networks import STRIDES, write_graph, write_means, write_yunet

RNG = np.random.default_rng(0)
FACE = RNG.integers(0, 256, (112, 112, 3), np.uint8)
FACE[..., 0] //= 2  # blue is darker than green, and green than red
FACE[..., 1] = 3 * (FACE[..., 1] // 4)
YAML = "task: {task}\nchannels: {channels}\nmean: {mean}\nstd: {std}\n"


def described(path, task="recognition", channels="rgb", mean=127.5, std=127.5):
    path.with_suffix(".yaml").write_text(YAML.format(task=task, channels=channels, mean=mean, std=std))
    return load_network(path)


def test_the_network_is_given_the_colours_in_its_order_and_scale(tmp_path):
    path, blue_green_red = write_means(tmp_path / "net.onnx"), FACE.mean((0, 1))
    expected = (blue_green_red[::-1] - [10, 20, 30]) / [2, 4, 8]
    found = described(path, mean=[10, 20, 30], std=[2, 4, 8]).get_feat([FACE])[0]
    assert found == pytest.approx(expected, rel=1e-5)
    found = described(path, channels="bgr", mean=[10, 20, 30], std=[2, 4, 8]).get_feat([FACE])[0]
    assert found == pytest.approx((blue_green_red - [10, 20, 30]) / [2, 4, 8], rel=1e-5)


def test_sface_is_given_what_opencv_gives_it(tmp_path):
    path = write_means(tmp_path / "face_recognition_sface_2021dec.onnx", batch=1)
    expected = cv2.FaceRecognizerSF.create(str(path), "").feature(FACE)
    assert load_network(path).get_feat([FACE]) == pytest.approx(expected, rel=1e-6)
    assert expected[0] == pytest.approx(FACE.mean((0, 1))[::-1], rel=1e-5)


def test_faces_are_aligned_as_opencv_aligns_them_for_sface(tmp_path):
    """OpenCV's alignment of the published example has the same five points and the same least squares."""
    path = write_means(tmp_path / "face_recognition_sface_2021dec.onnx", batch=1)
    image = cv2.GaussianBlur(RNG.integers(0, 256, (200, 220, 3), np.uint8), (0, 0), 4)
    points = np.float32([[80, 90], [128, 84], [106, 118], [90, 142], [130, 138]])
    row = np.concatenate([[60, 50, 90, 110], points.ravel(), [0.9]]).astype(np.float32)
    expected = cv2.FaceRecognizerSF.create(str(path), "").alignCrop(image, row)
    difference = np.abs(align_face(image, points).astype(int) - expected)
    assert difference.max() <= 2 and difference.mean() < 0.2


@pytest.mark.parametrize(("name", "order"), [("edgeface_xs_gamma_06", [2, 1, 0]), ("adaface_ir101", [0, 1, 2])])
def test_networks_with_pixels_from_minus_one_to_one(tmp_path, name, order):
    """ToTensor and Normalize(0.5, 0.5) of torchvision, which both authors use, on RGB and on BGR."""
    path = write_means(tmp_path / f"{name}.onnx")
    expected = ((FACE.mean((0, 1)) / 255 - 0.5) / 0.5)[order]
    assert load_network(path).get_feat([FACE, FACE])[1] == pytest.approx(expected, abs=1e-5)


def test_a_description_of_what_insightface_does_changes_nothing(real_data, tmp_path):
    """The real MobileFaceNet scales its pixels itself, so it takes RGB from 0 to 255."""
    path = tmp_path / "mobilefacenet.onnx"
    shutil.copyfile(real_data / "models" / "mobileface" / path.name, path)
    faces = [FACE, FACE[::-1].copy()]
    expected = load_network(path).get_feat(faces)
    assert described(path, mean=0, std=1).get_feat(faces) == pytest.approx(expected, abs=1e-5)
    assert np.abs(described(path, channels="bgr", mean=0, std=1).get_feat(faces) - expected).max() > 0.1


def test_neighbours_in_a_batch_change_nothing(real_data, tmp_path):
    path = tmp_path / "mobilefacenet.onnx"
    shutil.copyfile(real_data / "models" / "mobileface" / path.name, path)
    embedder = FaceEmbedder(described(path, mean=0, std=1), 4)
    faces = np.stack([np.roll(FACE, shift, 0) for shift in range(6)])
    together = embedder.embed_faces(faces)
    alone = np.concatenate([embedder.embed_faces(face[None]) for face in faces])
    assert np.array_equal(together, alone)


def test_a_network_from_any_publisher_needs_the_size_of_aligned_faces(tmp_path):
    for side in (96, 160):
        with pytest.raises(InputError, match=rf"net\.onnx.*112.*{side}"):
            described(write_means(tmp_path / "net.onnx", side=side))


def test_of_several_outputs_one_is_named(tmp_path):
    path = write_graph(tmp_path / "net.onnx", outputs=("feature", "norm"))
    with pytest.raises(InputError, match=r"net\.onnx.*feature, norm"):
        described(path)
    for name, fits in (("norm", True), ("feat", False)):
        path.with_suffix(".yaml").write_text(YAML.format(task="recognition", channels="rgb", mean=0, std=1)
                                             + f"output: {name}\n")  # fmt: skip
        if fits:
            assert load_network(path).get_feat([FACE]).shape == (1, 3)
        else:
            with pytest.raises(InputError, match=rf"net\.onnx.*{name}.*feature, norm"):
                load_network(path)


@pytest.mark.parametrize("change", [{"kind": TensorProto.DOUBLE}, {"inputs": ("input", "other")}])
def test_other_inputs_are_refused(tmp_path, change):
    with pytest.raises(InputError, match=r"net\.onnx"):
        described(write_graph(tmp_path / "net.onnx", **change))


@pytest.mark.parametrize(("task", "size"), [("quality", 3), ("quality", 2), ("recognition", 1)])
def test_a_network_for_another_task_is_refused(tmp_path, task, size):
    write_means(tmp_path / "p" / "w600k_r50.onnx")
    path = write_means(tmp_path / "p" / "a.onnx", size)
    path.with_suffix(".yaml").write_text(YAML.format(task=task, channels="rgb", mean=0, std=1))
    with pytest.raises(InputError, match=rf"a\.onnx.*{task}"):
        load_pack(path.parent, tasks=("recognition",))


@pytest.mark.parametrize("data", [
    b"", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", b"<!DOCTYPE html>", b"\x08\x08", "half",
])  # fmt: skip
@pytest.mark.parametrize("name", ["face_detection_yunet_2023mar", "face_recognition_sface_2021dec", "a_described"])
def test_files_that_are_not_networks_are_named(tmp_path, name, data):
    path = (write_yunet if "yunet" in name else write_means)(tmp_path / f"{name}.onnx")
    if name == "a_described":
        described(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if data == "half" else data)
    with pytest.raises(InputError, match=rf"{name}\.onnx"):
        load_network(path)


def test_a_pack_of_yunet_and_sface_finds_what_scrfd_finds(pack, tmp_path):
    """Both detectors are made to find the same face: box, points in the same order, and aligned image agree."""
    write_yunet(tmp_path / "p" / "face_detection_yunet_2023mar.onnx")
    write_means(tmp_path / "p" / "face_recognition_sface_2021dec.onnx", batch=1)
    yunet, scrfd = load_pack(tmp_path / "p"), load_pack(pack)
    assert isinstance(yunet.detection, YuNet) and yunet.recognition.given.task == "recognition"
    image = np.zeros((160, 160, 3), np.uint8)
    image[64:96, 64:96] = 255
    boxes, points = yunet.detection.detect(image, (160, 160), 0.5)
    theirs, their_points = scrfd.detection.detect(image, (160, 160), det_thresh=0.5)
    assert boxes[:, :4] == pytest.approx(theirs[:, :4], abs=0.05) and boxes.dtype == np.float32
    assert points == pytest.approx(their_points, abs=0.05) and points.shape == (1, 5, 2)
    one, other = (detect_face(image, found.detection) for found in (yunet, scrfd))
    assert np.abs(align_face(image, one.points).astype(int) - align_face(image, other.points)).max() <= 2


def test_yunet_scales_its_answer_back_to_the_image(tmp_path):
    detector = load_network(write_yunet(tmp_path / "yunet.onnx"))
    image = np.zeros((320, 480, 3), np.uint8)
    image[128:192, 128:192] = 255  # halved: a cell of 32 pixels from (64, 64) on
    boxes, points = detector.detect(image, (240, 160), 0.5)
    assert boxes[0, :4] == pytest.approx([64, 64, 256, 256], abs=0.5) and boxes[0, 4] > 0.9
    assert points[0].mean(0) == pytest.approx([160 + 0.02 * 80, 160 + 15.9 * 80 / 112 * 2], abs=2)
    assert len(detector.detect(image * 0, (240, 160), 0.5)[0]) == 0


def test_threads_share_a_yunet(tmp_path):
    detector = load_network(write_yunet(tmp_path / "yunet.onnx"))
    images = []
    for number in range(24):
        images.append(np.zeros((96 + 32 * (number % 3), 128, 3), np.uint8))
        images[-1][32:64, 32 * (number % 4) : 32 * (number % 4) + 32] = 255
    alone = [detector.detect(image, (128, 160))[0] for image in images]
    with ThreadPoolExecutor(6) as threads:
        together = list(threads.map(lambda image: detector.detect(image, (128, 160))[0], images))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def test_a_yunet_of_2022_is_refused(tmp_path):
    path = write_graph(tmp_path / "face_detection_yunet_2022mar.onnx", outputs=("loc", "conf", "iou"))
    with pytest.raises(InputError, match=r"face_detection_yunet_2022mar\.onnx.*2023"):
        load_network(path)


def test_a_network_with_the_outputs_of_yunet_but_other_shapes_is_refused(tmp_path):
    path = write_graph(tmp_path / "p" / "yunet.onnx", outputs=sorted(YUNET_OUTPUTS))
    with pytest.raises(InputError, match=r"yunet\.onnx"):
        load_pack(path.parent, tasks=("detection",))
    assert len(YUNET_OUTPUTS) == 4 * len(STRIDES)


def test_files_of_a_pack_are_all_that_its_embeddings_depend_on(tmp_path):
    folder = tmp_path / "p"
    write_yunet(folder / "yunet.onnx")
    described(write_means(folder / "net.onnx"))
    described(write_means(folder / "q.onnx", 1), task="quality")
    loaded = load_pack(folder)
    assert loaded.quality.given == FaceInput("quality", "rgb", (127.5,) * 3, (127.5,) * 3)
    names = [path.name for path in loaded.files("detection", "recognition")]
    assert names == ["yunet.onnx", "net.onnx", "q.onnx", "net.yaml", "q.yaml"]
    assert load_pack(folder, tasks=("detection",)).quality is None
