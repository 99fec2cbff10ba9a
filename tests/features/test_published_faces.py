"""Published face networks, compared with their publishers' own code: run where AVSV_PUBLISHED_MODELS names a folder.

The files are not in this repository. Put into that folder what a test names; a test whose file is absent is skipped
and says so. Faces are those of AVSV_REAL_DATA.
"""

import hashlib
import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from avsv.embeddings.face import FaceEmbedder
from avsv.features.face_pack import load_network, load_pack
from avsv.features.faces import align_face, detect_face
from avsv.models.registry import published_models


@pytest.fixture
def published():
    """published(pattern) -> path of the file in AVSV_PUBLISHED_MODELS; the test is skipped if there is none."""

    def find(pattern):
        folder = os.environ.get("AVSV_PUBLISHED_MODELS")
        found = sorted(Path(folder).rglob(pattern)) if folder else []
        if not found:
            pytest.skip(f"waits for {pattern}: set AVSV_PUBLISHED_MODELS to the folder with it")
        return found[0]

    return find


@pytest.fixture
def photographs(real_data):
    """Two pictures of each of eight people of minivox, BGR."""
    people = sorted((real_data / "minivox" / "vox1" / "unzippedFaces").iterdir())[:8]
    return [[cv2.imread(str(path)) for path in sorted(person.glob("1.6/*/*.jpg"))[:2]] for person in people]


@pytest.fixture
def faces(photographs, real_data):
    """The aligned faces of the photographs, (16, 112, 112, 3), those of a person side by side."""
    detector = load_pack(real_data / "models" / "mobileface", tasks=("detection",)).detection
    images = [image for person in photographs for image in person]
    return np.stack([align_face(image, detect_face(image, detector).points) for image in images])


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def separates(embeddings):
    """Whether the two faces of each person are closer than any two people."""
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    cosines, person = unit @ unit.T, np.arange(len(unit)) // 2
    same = (person[:, None] == person) & ~np.eye(len(unit), dtype=bool)
    return cosines[same].min() > cosines[person[:, None] != person].max()


def test_yunet_finds_what_opencv_finds(published, photographs):
    path = published("face_detection_yunet_2023mar.onnx")
    assert digest(path) == published_models()["opencv-yunet"].sha256
    network = load_network(path)
    for image in (image for person in photographs for image in person):
        size = image.shape[1::-1]
        expected = cv2.FaceDetectorYN.create(str(path), "", size, 0.6, 0.3, 5000).detect(image)[1]
        boxes, points = network.detect(image, size, 0.6)
        assert boxes[:, :2] == pytest.approx(expected[:, :2], abs=1e-3)
        assert boxes[:, 2:4] - boxes[:, :2] == pytest.approx(expected[:, 2:4], abs=1e-3)
        assert points.reshape(-1, 10) == pytest.approx(expected[:, 4:14], abs=1e-3)


def test_yunet_and_scrfd_agree_on_the_order_and_place_of_the_points(published, photographs, real_data):
    """A point is within a quarter of the distance of the eyes, and within 10 % in the mean over pictures."""
    yunet = load_network(published("face_detection_yunet_2023mar.onnx"))
    scrfd = load_pack(real_data / "models" / "mobileface", tasks=("detection",)).detection
    distances = []
    for image in (image for person in photographs for image in person):
        one, other = detect_face(image, yunet).points, detect_face(image, scrfd).points
        distances.append(np.linalg.norm(one - other, axis=1) / np.linalg.norm(other[1] - other[0]))
    assert np.max(distances) < 0.25 and np.mean(distances) < 0.1


def test_sface_gives_opencvs_embedding(published, faces):
    path = published("face_recognition_sface_2021dec.onnx")
    assert digest(path) == published_models()["opencv-sface"].sha256
    reference = cv2.FaceRecognizerSF.create(str(path), "")
    embeddings = FaceEmbedder(load_network(path)).embed_faces(faces)
    expected = np.concatenate([reference.feature(face).copy() for face in faces])
    assert embeddings == pytest.approx(expected, abs=1e-3) and embeddings.shape[1] == 128
    assert separates(embeddings)


def test_ediffiqa_gives_the_quality_of_opencvs_zoo(published, faces):
    """The zoo's ediffiqa.py: RGB, ((x / 255) - 0.5) / 0.5, OpenCV's dnn. A blurred face has a lower quality."""
    path = published("ediffiqa_tiny_jun2024.onnx")
    assert digest(path) == published_models()["ediffiqa-tiny"].sha256
    net = cv2.dnn.readNetFromONNX(str(path))
    expected = []
    for face in faces:
        net.setInput(np.moveaxis(((cv2.cvtColor(face, cv2.COLOR_BGR2RGB) / 255 - 0.5) / 0.5)[None], -1, 1))
        expected.append(net.forward().item())
    embedder = FaceEmbedder(load_network(path))
    quality = embedder.embed_faces(faces)[:, 0]
    assert quality == pytest.approx(np.array(expected), abs=1e-3)
    blurred = np.stack([cv2.GaussianBlur(face, (0, 0), 5) for face in faces])
    assert (embedder.embed_faces(blurred)[:, 0] < quality).all()


@pytest.mark.parametrize(("pattern", "channels"), [("edgeface_*.onnx", "RGB"), ("adaface_*.onnx", "BGR")])
def test_edgeface_and_adaface_get_the_colours_of_their_authors(published, faces, pattern, channels):
    import onnxruntime

    path = published(pattern)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    network = load_network(path)
    for face in faces:
        pixels = face[..., ::-1] if channels == "RGB" else face
        tensor = ((pixels / 255.0 - 0.5) / 0.5).transpose(2, 0, 1)[None].astype(np.float32)
        expected = session.run([network.output], {network.input_name: tensor})[0].ravel()
        assert network.get_feat([face])[0] == pytest.approx(expected, abs=1e-3)
    assert separates(FaceEmbedder(network).embed_faces(faces))


def test_adaface_ir50_gives_the_published_cosines(published):
    """README of mk-minchul/AdaFace: 0.7334 and -0.0655 for its img1, img2 and img3, which MTCNN aligned there."""
    network = load_network(published("adaface_ir50_ms1mv2.onnx"))
    detector = load_network(published("face_detection_yunet_2023mar.onnx"))
    images = [cv2.imread(str(published(f"adaface_img{number}.jpeg"))) for number in (1, 2, 3)]
    found = network.get_feat([align_face(image, detect_face(image, detector).points) for image in images])
    unit = found / np.linalg.norm(found, axis=1, keepdims=True)
    assert (unit @ unit.T)[0, 1:] == pytest.approx([0.7334, -0.0655], abs=0.1)


@pytest.mark.parametrize(
    "pattern", ["buffalo_l/w600k_r50.onnx", "antelopev2/glintr100.onnx", "auraface/glintr100.onnx"]
)
def test_packs_of_insightface_give_its_embeddings(published, photographs, pattern, tmp_path):
    """InsightFace's FaceAnalysis on the image, with its own alignment."""
    from insightface.app import FaceAnalysis

    folder = published(pattern).parent
    pack = load_pack(folder)
    own = shutil.copytree(folder, tmp_path / "models" / folder.name)
    app = FaceAnalysis(str(own), root=str(tmp_path), allowed_modules=["detection", "recognition"])
    app.prepare(ctx_id=-1, det_size=(640, 640))
    for image in (person[0] for person in photographs):
        padded = cv2.copyMakeBorder(image, 80, 80, 80, 80, cv2.BORDER_CONSTANT)
        (face, *_) = app.get(padded)
        ours = pack.recognition.get_feat([align_face(padded, face.kps)])[0]
        assert ours @ face.embedding > 0.999 * np.linalg.norm(ours) * np.linalg.norm(face.embedding)
