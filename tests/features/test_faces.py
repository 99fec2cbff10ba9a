"""Detecting, aligning and archiving faces."""

import struct

import numpy as np
import pytest

from avsv.errors import InputError
from avsv.features.faces import (
    SIDE,
    TEMPLATE,
    align_face,
    decode_faces,
    detect_face,
    encode_faces,
    find_faces,
    read_faces,
    similarity,
)


class Detector:
    """Returns the given boxes, in pixels of the padded image, if its input has at least `least_size` pixels."""

    def __init__(self, *boxes, least_size=0):
        self.boxes, self.least_size, self.sizes = boxes, least_size, []

    def detect(self, image, input_size, det_thresh):
        self.sizes.append(input_size[0])
        boxes = np.array(self.boxes if input_size[0] >= self.least_size else [], np.float32).reshape(-1, 5)
        centres = (boxes[:, :2] + boxes[:, 2:4]) / 2
        return boxes, centres[:, None] + (TEMPLATE - TEMPLATE.mean(0)) / 4


IMAGE = np.zeros((100, 100, 3), np.uint8)  # padded by 15 pixels on each side
LARGE_CENTRAL, SMALL_CENTRAL = (35, 35, 95, 95, 0.8), (55, 55, 75, 75, 0.9)
LARGE_CORNER = (-10, -10, 50, 50, 0.9)


@pytest.mark.parametrize("others", [(SMALL_CENTRAL,), (LARGE_CORNER,), (SMALL_CENTRAL, LARGE_CORNER)])
def test_the_most_prominent_face_is_large_certain_and_central(others):
    face = detect_face(IMAGE, Detector(*others, LARGE_CENTRAL))
    assert face.points.mean(0) == pytest.approx([50, 50])  # the middle, in pixels of the image before padding
    assert (face.score, face.size) == (pytest.approx(0.8), 60)


def test_a_second_attempt_to_detect_a_face_uses_a_higher_resolution():
    detector = Detector(SMALL_CENTRAL, least_size=400)
    assert detect_face(IMAGE, detector) is not None
    assert detector.sizes == [160, 640]


def test_a_clip_without_any_face_is_an_error():
    faces = find_faces([IMAGE, IMAGE], Detector(LARGE_CENTRAL))
    assert faces.images.shape == (2, 112, 112, 3) and faces.sizes.tolist() == [60, 60]
    with pytest.raises(InputError, match="2 frames"):
        find_faces([IMAGE, IMAGE], Detector())


def test_similarity_equals_scikit_image():
    transform = pytest.importorskip("skimage.transform")
    rng = np.random.default_rng(0)
    for _ in range(10):
        source = rng.normal(100, 30, (5, 2))
        assert np.allclose(
            similarity(source, TEMPLATE), transform.SimilarityTransform.from_estimate(source, TEMPLATE).params[:2]
        )


def test_alignment_equals_insightface():
    face_align = pytest.importorskip("insightface.utils.face_align")
    rng = np.random.default_rng(0)
    image = np.kron(rng.integers(0, 256, (20, 20, 3), np.uint8), np.ones((10, 10, 1), np.uint8))
    points = (1.3 * TEMPLATE + 20 + rng.normal(0, 4, (5, 2))).astype(np.float32)
    theirs = face_align.norm_crop(image, points).astype(int)
    assert np.abs(align_face(image, points) - theirs).max() <= 1  # of 255: rounding


def test_alignment_moves_key_points_to_the_template():
    points = 2 * TEMPLATE + 7
    image = np.zeros((260, 260, 3), np.uint8)
    for x, y in points.round().astype(int):
        image[y - 2 : y + 3, x - 2 : x + 3] = 255
    face = align_face(image, points)
    assert all(face[y, x].mean() > 200 for x, y in TEMPLATE.round().astype(int))


def test_faces_round_trip_through_an_archive(tmp_path):
    faces = np.stack([np.full((112, 112, 3), shade, np.uint8) for shade in (10, 100, 250)])
    archive = tmp_path / "faces.ark"
    archive.write_bytes(b"key1 " + encode_faces(faces[:1]) + b"key2 " + (two := encode_faces(faces)))
    result = read_faces(f"{archive}:{archive.stat().st_size - len(two)}")
    assert result.shape == faces.shape and np.abs(result.astype(int) - faces).max() <= 2
    assert len(read_faces(f"{archive}:5")) == 1


def test_a_bad_entry_of_faces_scp_is_an_error(tmp_path):
    archive = tmp_path / "faces.ark"
    data = b"key " + encode_faces(np.zeros((2, 112, 112, 3), np.uint8))
    archive.write_bytes(data[:-9])
    for entry in (
        f"{archive}:4",
        f"{archive}:0",
        f"{archive}:99999",
        f"{archive}",
        f"{archive}:x",
        f"{tmp_path}/absent:4",
    ):
        with pytest.raises(InputError, match="faces"):
            read_faces(entry)


def test_bytes_that_are_not_faces_are_refused():
    for data in (b"", b"abc", encode_faces(np.zeros((1, 112, 112, 3), np.uint8))[:-1]):
        with pytest.raises(InputError):
            decode_faces(data)


@pytest.mark.parametrize("height, width", [(65500, 65500), (30000, 30000), (65500, 112), (112, 65500), (0, 0)])
def test_faces_with_a_wrong_size_in_the_header_are_refused(height, width):
    data = bytearray(encode_faces(np.zeros((1, SIDE, SIDE, 3), np.uint8)))
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", height, width)
    with pytest.raises(InputError):
        decode_faces(bytes(data))
