"""The small detector: anchors, loss and outputs agree with InsightFace's SCRFD."""

import numpy as np
import pytest
import torch

from avsv.features.face_pack import load_onnx
from avsv.models.face_detector import STRIDES, FaceDetector, anchors, detector_loss, save_onnx


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return FaceDetector(width=8).eval()


@pytest.fixture(scope="module")
def scrfd(net, tmp_path_factory):
    path = tmp_path_factory.mktemp("pack") / "detector.onnx"
    save_onnx(net, path)
    return load_onnx(path, ["CPUExecutionProvider"])


def perfect_outputs(box, points, size):
    """Boxes and key points that a perfect detector would output at every anchor."""
    centres, strides, _ = anchors(*size)
    distances = torch.cat([centres - box[:2], box[2:] - centres], 1) / strides[:, None]
    offsets = (points - centres[:, None]) / strides[:, None, None]
    return distances[None], offsets[None]


def test_insightface_loads_it_as_scrfd_with_key_points(scrfd):
    assert scrfd.taskname == "detection" and scrfd.use_kps and scrfd.static_input_size is None
    assert scrfd._feat_stride_fpn == list(STRIDES) and scrfd._num_anchors == 2


@pytest.mark.parametrize("width, height", [(64, 64), (96, 64), (160, 160)])
def test_insightface_decodes_what_torch_computes(net, scrfd, width, height):
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    scores, boxes, points = (np.concatenate(part) for part in scrfd.forward(image, threshold=0.0))
    rgb = torch.from_numpy(image[:, :, ::-1].copy()).permute(2, 0, 1)[None]
    with torch.no_grad():
        logits, distances, offsets = net((rgb.float() - 127.5) / 128)
    centres, strides, _ = anchors(height, width)
    near, far = centres - distances[0, :, :2] * strides[:, None], centres + distances[0, :, 2:] * strides[:, None]
    assert np.abs(scores[:, 0] - logits[0].sigmoid().numpy()).max() < 1e-5
    assert np.abs(boxes - torch.cat([near, far], 1).numpy()).max() < 1e-3
    assert np.abs(points - (centres[:, None] + offsets[0] * strides[:, None, None]).numpy()).max() < 1e-3


@pytest.mark.parametrize("side", [20.0, 60.0, 130.0])
def test_the_loss_is_smallest_at_the_truth(side):
    size = (160, 160)
    box = torch.tensor([15.0, 12.0, 15 + side, 12 + side])
    points = box[:2] + side * torch.tensor([[0.3, 0.3], [0.7, 0.3], [0.5, 0.5], [0.35, 0.8], [0.65, 0.8]])
    boxes_out, points_out = perfect_outputs(box, points, size)
    n = boxes_out.shape[1]
    truth = detector_loss((torch.full((1, n), -20.0), boxes_out, points_out), box[None], points[None], size)
    moved = detector_loss((torch.full((1, n), -20.0), boxes_out + 0.1, points_out), box[None], points[None], size)
    bent = detector_loss((torch.full((1, n), -20.0), boxes_out, points_out + 0.1), box[None], points[None], size)
    assert truth < moved and truth < bent
    logits = torch.full((1, n), -20.0, requires_grad=True)
    detector_loss((logits, boxes_out, points_out), box[None], points[None], size).backward()
    positive = logits.grad[0] < -1e-3
    assert 1 <= positive.sum() < 0.1 * n  # some anchors learn the face, most the background
    centres = anchors(*size)[0][positive]
    assert (centres - (box[:2] + box[2:]) / 2).abs().max() < 16 + 0.1 * side


def test_a_face_of_no_anchors_size_has_a_finite_loss():
    outputs = FaceDetector(width=8)(torch.zeros(2, 3, 64, 64))
    boxes = torch.tensor([[0.0, 0.0, 2.0, 2.0]] * 2)
    assert torch.isfinite(detector_loss(outputs, boxes, torch.zeros(2, 5, 2), (64, 64)))
